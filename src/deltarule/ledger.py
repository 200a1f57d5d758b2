"""Histories of runs as numbers, and back, to the bit.

A history is one matrix: a row for each of the numbers of a record, a column for each record, words as their places in
a list. What is written of it are parts, one for some records of one run, each squeezed: of a row whose numbers are all
the same only the first is kept, of one that grows by equal steps, such as the number of the step, the first two.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import nan
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import ModelFileError
from deltarule.jsonfields import choice, damaged, listed, record, text, whole
from deltarule.record import Record

Floats = NDArray[np.float64]

NONE, FLAG, WHOLE, NUMBER, WORD = KINDS = ("none", "flag", "whole", "number", "word")
"""What one number of the records holds."""
PLAIN = tuple(name for name in Record._fields if name != "details")
SECONDS = PLAIN.index("seconds")
"""Kept as they are, so that a part is as long as it says: a file cannot ask for more memory than its own size."""
MOST_NUMBERS = 100
"""Numbers of a record at most; methods have a dozen."""
EXACT = 2.0**53
"""Whole numbers up to here are exact in float64."""
MOST_WORDS = 10_000
"""Different words of one place at most: methods say a handful."""
AT_ONCE = 512
"""Records that are turned into columns together: few enough to stay in the processor's cache."""


class Columns(NamedTuple):
    """What a history holds: the names of its details, and of each number of a record its kind and its words."""

    details: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: list(value) for name, value in self._asdict().items()}


class Ledger:
    """A history that grows, as a matrix: each record is packed once, however often the history is saved.

    Parameters
    ----------
    columns : Columns, optional
        What the records hold, where that is known.
    kept : int
        How many records lie elsewhere and need not be packed.
    rows : array of shape (numbers, records)
        The records after those, packed.
    """

    def __init__(self, columns: Columns | None = None, kept: int = 0, rows: Floats | None = None) -> None:
        self.kept, self.rows = kept, np.zeros((0, 0)) if rows is None else rows
        columns = columns or Columns()
        self._details, self._kinds = columns.details, list(columns.kinds)
        self._words = [{word: i for i, word in enumerate(words)} for words in columns.words]

    @property
    def columns(self) -> Columns:
        """What the records hold."""
        return Columns(self._details, tuple(self._kinds), tuple(map(tuple, self._words)))

    @property
    def count(self) -> int:
        """How many records there are, kept elsewhere or not."""
        return self.kept + int(self.rows.shape[1])

    def extend(self, history: Sequence[Record], count: int) -> None:
        """Take the first `count` records of a history; those from before must be what they were."""
        if count < self.count:
            self.rows = self.rows[:, : count - self.kept]
        before = self.count
        if before >= count:
            return
        if not self._kinds:
            first = history[before]
            self._details = tuple(first.details)
            self._kinds = [_kind(value) for value in (*first[: len(PLAIN)], *first.details.values())]
            self._words = [{} for _ in self._kinds]
        packed = np.empty((len(self._kinds), count - before))
        for start in range(before, count, AT_ONCE):
            part = history[start : min(start + AT_ONCE, count)]
            for i, column in enumerate(_columns(part, self._details)):
                packed[i, start - before : start - before + len(part)] = self._numbers(i, column)
        self.rows = np.concatenate([self.rows, packed], axis=1) if self.rows.size else packed

    def settled(self, kept: int) -> Ledger:
        """Return this history with its first `kept` records kept elsewhere, no fewer than were; this one stays."""
        return Ledger(self.columns, kept, self.rows[:, kept - self.kept :])

    def _numbers(self, i: int, column: Sequence[Any]) -> NDArray[Any] | float:
        """Return values as numbers; `struct` makes them three to six times as fast as NumPy, and checks whole ones."""
        kind = self._kinds[i]
        if kind == NONE:
            return nan
        if kind == WORD:
            words, said = self._words[i], [str(value) for value in column]
            for word in dict.fromkeys(said):
                words.setdefault(word, len(words))
            column = [words[word] for word in said]
        try:
            if kind == NUMBER:
                return np.frombuffer(struct.pack(f"{len(column)}d", *column), np.float64)
            return np.frombuffer(struct.pack(f"{len(column)}q", *column), np.int64)
        except struct.error:
            if kind == WHOLE:
                self._kinds[i] = NUMBER  # a setting given as 1 that has become 1.5
            return np.array(column, dtype=np.float64)


def squeezed(parts: Iterable[tuple[int, Floats]]) -> tuple[list[dict[str, Any]], Floats]:
    """Return parts of histories, each with the number of its run, as JSON values and one array of all their numbers."""
    told, numbers = [], []
    for run, rows in parts:
        kept = [row if i == SECONDS else _squeezed(row) for i, row in enumerate(rows)]
        told.append({"run": run, "lengths": [len(row) for row in kept]})
        numbers += kept
    return told, np.concatenate(numbers) if numbers else np.zeros(0)


def stretched(told: object, numbers: Floats, where: str) -> list[tuple[int, Floats]]:
    """Return the parts that were squeezed.

    Raises
    ------
    ModelFileError
        If the array is not as long as they say.
    """
    parts = listed(told, where, _read_part)
    needed = sum(sum(lengths) for _, lengths in parts)
    if numbers.dtype != np.float64 or numbers.shape != (needed,):
        raise damaged(where, numbers.shape, f"{needed:,} numbers, as its parts say,")
    found, at = [], 0
    for run, lengths in parts:
        n = lengths[SECONDS]
        rows = np.empty((len(lengths), n))
        for row, length in zip(rows, lengths, strict=True):
            given, at = numbers[at : at + length], at + length
            row[:] = given if length in (1, n) else _ramp(given, n)
        found.append((run, rows))
    return found


def read_columns(value: object, where: str) -> Columns:
    """Return what a file says of a history's columns.

    Raises
    ------
    ModelFileError
        If that cannot be.
    """
    d = record(value, where, Columns._fields)
    details = listed(d["details"], f"{where}.details", text)
    kinds = listed(d["kinds"], f"{where}.kinds", lambda kind, at: choice(kind, at, KINDS))
    words = listed(d["words"], f"{where}.words", lambda some, at: listed(some, at, text))
    width = len(PLAIN) + len(details) if kinds else 0  # a run that never began has none
    if (
        len(kinds) != width
        or len(words) != width
        or width > MOST_NUMBERS
        or max(map(len, words), default=0) > MOST_WORDS
    ):
        raise damaged(where, kinds, "a kind and a list of words for each number of a record")
    return Columns(details, kinds, words)


def records_of(columns: Columns, rows: Floats) -> list[Record]:
    """Return the records that a ledger has packed.

    Raises
    ------
    ModelFileError
        If a number stands for a word that there is not, or none is a whole number where one belongs.
    """
    if rows.ndim != 2 or len(rows) != len(columns.kinds):
        raise damaged("the history", rows.shape, "as many numbers as a record has")
    found = [_column(*column) for column in zip(columns.kinds, columns.words, rows, strict=True)]
    n, names = len(PLAIN), columns.details
    return [
        Record._make([*values[:n], dict(zip(names, values[n:], strict=True))]) for values in zip(*found, strict=True)
    ]


def _squeezed(row: Floats) -> Floats:
    """Return the first number of a row that has no other, the first two of one that grows by equal steps, or all."""
    bits = row.view(np.int64)  # a -0.0 is no 0.0, and a NaN is itself
    if bits[0] == bits[-1] and (bits == bits[0]).all():
        return row[:1]
    with np.errstate(all="ignore"):
        if (
            len(row) > 2
            and row[1] - row[0] == row[2] - row[1]
            and (_ramp(row[:2], len(row)).view(np.int64) == bits).all()
        ):
            return row[:2]
    return row


def _ramp(given: Floats, n: int) -> Floats:
    """Return n numbers that grow by equal steps, of which these are the first two."""
    return np.asarray(given[0] + (given[1] - given[0]) * np.arange(n), np.float64)


def _read_part(value: object, where: str) -> tuple[int, tuple[int, ...]]:
    """Return the run of a part, and how many numbers of each row were kept."""
    d = record(value, where, ("run", "lengths"))
    lengths = listed(d["lengths"], f"{where}.lengths", whole, least=len(PLAIN))
    if len(lengths) > MOST_NUMBERS or not {*lengths} <= {1, 2, lengths[SECONDS]} or 0 in lengths:
        raise damaged(f"{where}.lengths", list(lengths), "one, two or all numbers of each row")
    if lengths[SECONDS] == 1 and 2 in lengths:
        raise damaged(f"{where}.lengths", list(lengths), "no more numbers than records")
    return whole(d["run"], f"{where}.run"), lengths


def _column(kind: str, words: tuple[str, ...], numbers: Floats) -> list[Any]:
    if kind == NONE:
        return [None] * len(numbers)
    if kind == NUMBER:
        found: list[Any] = numbers.tolist()
        return found
    low, high = {FLAG: (0.0, 1.0), WORD: (0.0, len(words) - 1.0), WHOLE: (-EXACT, EXACT)}[kind]
    if not ((numbers == np.floor(numbers)) & (numbers >= low) & (numbers <= high)).all():
        raise ModelFileError(f"The checkpoint is damaged: its history holds a number that is no {kind}.")
    whole = numbers.astype(np.int64).tolist()
    return whole if kind == WHOLE else [words[i] if kind == WORD else bool(i) for i in whole]


def _kind(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return FLAG
    return WHOLE if isinstance(value, int) else NUMBER if isinstance(value, float) else WORD


def _columns(records: Sequence[Record], details: tuple[str, ...]) -> Iterable[Sequence[Any]]:
    """Return the values of some records by columns: those of all methods, then the method's own."""
    *columns, told = zip(*records, strict=True)
    if not details:
        return columns
    values: Callable[[Any], Any] = itemgetter(*details)
    return chain(columns, zip(*map(values, told), strict=True) if len(details) > 1 else [tuple(map(values, told))])
