"""Histories of runs as numbers, and back, to the bit.

A history is one matrix: a row for each of the numbers of a record, a column for each record, words as their places in
a list. What is written of it are parts, one for some records of one run, each squeezed: of a row whose numbers are all
the same only the first is kept, of one that grows by equal steps, such as the number of the step, the first two.

Each number of a record has a kind, that of its value in the first record. Where a later value is of another kind, as a
detail that is None at times, the column is mixed from there on: see `deltarule.kinds` and `deltarule.mixed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import mixed
from deltarule.errors import SettingError, TrainingError, shown
from deltarule.jsonfields import choice, damaged, listed, record, text, whole
from deltarule.kinds import KINDS, kind_of, packed, unpacked
from deltarule.record import Record

Floats = NDArray[np.float64]

PLAIN = tuple(name for name in Record._fields if name != "details")
SECONDS = PLAIN.index("seconds")
"""Kept as they are, so that a part has as many numbers as records, or more: stretched, it has at most so many times as
many as a record has."""
MOST_NUMBERS = 100
"""Numbers of a record at most; methods have a dozen. More are refused before anything is written, and the matrix of
a history is at most a hundred times as large as what a file has of it."""
AT_ONCE = 512
"""Records that are turned into columns together: few enough to stay in the processor's cache."""


class Columns(NamedTuple):
    """What a history holds: the names of its details, and of each number of a record its kind, words, and mixture."""

    details: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()
    mixed: tuple[int | None, ...] = ()
    """The record from which on a number is of any kind, None where it keeps its own."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, what is mixed only if something is."""
        found = {name: list(value) for name, value in self._asdict().items()}
        found["words"] = [*map(list, self.words)]
        if all(start is None for start in self.mixed):
            del found["mixed"]
        return found


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
        self._mixed = list(columns.mixed) or [None] * len(self._kinds)

    @property
    def columns(self) -> Columns:
        """What the records hold."""
        return Columns(self._details, tuple(self._kinds), tuple(map(tuple, self._words)), tuple(self._mixed))

    @property
    def count(self) -> int:
        """How many records there are, kept elsewhere or not."""
        return self.kept + int(self.rows.shape[1])

    def extend(self, history: Sequence[Record], count: int) -> None:
        """Take the first `count` records of a history; those from before must be what they were.

        Raises
        ------
        SettingError
            If a record holds what cannot be kept.
        TrainingError
            If records are to be taken back that are kept elsewhere.
        """
        if count < self.kept:
            raise TrainingError(f"The history has {count:,} records; {self.kept:,} of them are written already.")
        if count < self.count:
            self.rows = self.rows[:, : count - self.kept]
        before = self.count
        if before >= count:
            return
        if not self._kinds:
            self._begin(history[before])
        self._mixed = [None if start is None else min(start, before) for start in self._mixed]
        packed = np.empty((len(self._kinds), count - before))
        for start in range(before, count, AT_ONCE):
            part = history[start : min(start + AT_ONCE, count)]
            for i, column in enumerate(_columns(part, self._details)):
                packed[i, start - before : start - before + len(part)] = self._numbers(i, column, start)
        self.rows = np.concatenate([self.rows, packed], axis=1) if self.rows.size else packed

    def settled(self, kept: int) -> Ledger:
        """Return this history with its first `kept` records kept elsewhere, no fewer than were; this one stays."""
        return Ledger(self.columns, kept, self.rows[:, kept - self.kept :])

    def _begin(self, first: Record) -> None:
        """Take from the first record what all of them hold."""
        if len(PLAIN) + len(first.details) > MOST_NUMBERS:
            raise SettingError(
                f"The method tells {len(first.details):,} details of itself; a run that is kept has at most "
                f"{MOST_NUMBERS - len(PLAIN)}. Put numbers of its state into arrays, which are no details."
            )
        found = [kind_of(value) for value in (*first[: len(PLAIN)], *first.details.values())]
        self._details, self._words, self._mixed = tuple(first.details), [{} for _ in found], [None] * len(found)
        self._kinds = found  # last: an interrupt may come anywhere, and where there are kinds there is the rest

    def _numbers(self, i: int, column: Sequence[Any], start: int) -> NDArray[Any] | float:
        """Return values, the first one that of record `start`, as numbers."""
        if self._mixed[i] is None:
            found = packed(self._kinds[i], column, self._words[i], i < len(PLAIN))
            if found is not None:
                return found
            self._mixed[i] = start
        return mixed.boxed(column, self._words[i])


def squeezed(parts: Iterable[tuple[int, Floats]]) -> tuple[list[dict[str, Any]], Floats]:
    """Return parts of histories, each with the number of its run, as JSON values and one array of all their numbers."""
    told, numbers = [], []
    for run, rows in parts:
        kept = [row if i == SECONDS else _squeezed(row) for i, row in enumerate(rows)]
        told.append({"run": run, "lengths": [len(row) for row in kept]})
        numbers += kept
    return told, np.concatenate(numbers) if numbers else np.zeros(0)


def stretched(
    told: object, numbers: Floats, where: str, widths: Mapping[int, int] | None = None
) -> list[tuple[int, Floats]]:
    """Return the parts that were squeezed; nothing is stretched before all of them are checked.

    Parameters
    ----------
    told : object
        The parts as JSON values.
    numbers : array of shape (n,)
        All their numbers.
    where : str
        What messages call them.
    widths : mapping of int to int, optional
        How many numbers a record has, of each run that there is.

    Raises
    ------
    ModelFileError
        If the array is not as long as they say, or a part has other numbers than its run.
    """
    parts = listed(told, where, _read_part)
    for run, lengths in parts:
        if widths is not None and widths.get(run) != len(lengths):
            raise damaged(where, run, f"a run with {len(lengths)} numbers in each record")
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
    known = isinstance(value, dict) and "mixed" in value
    d = record(value, where, Columns._fields if known else Columns._fields[:-1])
    details = listed(d["details"], f"{where}.details", text)
    kinds = listed(d["kinds"], f"{where}.kinds", lambda kind, at: choice(kind, at, KINDS))
    words = listed(d["words"], f"{where}.words", lambda some, at: listed(some, at, text))
    starts = listed(d["mixed"], f"{where}.mixed", _read_start) if known else (None,) * len(kinds)
    width = len(PLAIN) + len(details) if kinds else 0  # a run that never began has none
    if len(kinds) != width or len(words) != width or len(starts) != width or width > MOST_NUMBERS:
        raise damaged(where, kinds, "a kind and a list of words for each number of a record")
    return Columns(details, kinds, words, starts)


def records_of(columns: Columns, rows: Floats) -> list[Record]:
    """Return the records that a ledger has packed.

    Raises
    ------
    ModelFileError
        If a number stands for a word that there is not, or none is a whole number where one belongs.
    """
    if rows.ndim != 2 or len(rows) != len(columns.kinds):
        raise damaged("the history", rows.shape, "as many numbers as a record has")
    starts = columns.mixed or (None,) * len(rows)
    found = [unpacked(*column) for column in zip(columns.kinds, columns.words, starts, rows, strict=True)]
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
    with np.errstate(all="ignore"):  # a file may say anything
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


def _read_start(value: object, where: str) -> int | None:
    return None if value is None else whole(value, where)


def _columns(records: Sequence[Record], details: tuple[str, ...]) -> Iterable[Sequence[Any]]:
    """Return the values of some records by columns: those of all methods, then the method's own.

    Raises
    ------
    SettingError
        If a record has other details than the first.
    """
    *columns, told = zip(*records, strict=True)
    try:
        if set(map(len, told)) != {len(details)}:
            raise KeyError
        if not details:
            return columns
        values: Callable[[Any], Any] = itemgetter(*details)
        own = [*map(values, told)]
    except KeyError:
        other = next([*one] for one in told if {*one} != {*details})
        raise SettingError(
            f"The method told {shown(other)} of itself, and {shown([*details])} in its first step; in a run that is "
            "kept these are the same in each."
        ) from None
    return chain(columns, zip(*own, strict=True) if len(details) > 1 else [own])
