"""States and histories of runs as JSON values and arrays, and back, to the bit.

A state is packed as it is: a tuple of arrays, numbers, words and tuples of these. It is unpacked into the shape of
another state of the same method, the one it starts with: what does not fit into that is damaged, or belongs to another
method. So nothing in a file says what is made of it.

A history is one matrix: a row for each record, a column for each of its numbers, words as their places in a list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj
from numpy.typing import NDArray

from deltarule.errors import ModelFileError, SettingError
from deltarule.jsonfields import choice, damaged, listed, record, text
from deltarule.record import Record

Arrays = dict[str, NDArray[Any]]

KEPT_AS = {"float64": "float64", "float32": "float32", "int64": "int64", "int32": "int64", "uint8": "uint8",
           "bool": "uint8"}  # fmt: skip
"""Number types that are kept, and as what."""
SEQUENCES = {"tuple": tuple, "list": list, "deque": deque}
OWN_TEXT = ("nan", "inf", "-inf")
NONE, FLAG, WHOLE, NUMBER, WORD = KINDS = ("none", "flag", "whole", "number", "word")
"""What a column of a history holds."""
PLAIN = tuple(name for name in Record._fields if name != "details")
EXACT = 2.0**53
"""Whole numbers up to here are exact in float64."""
MOST_WORDS = 10_000
"""Different words of a column at most: methods say a handful."""


def packed(value: Any, name: str, arrays: Arrays) -> Any:
    """Return a state, or a part of one, as a JSON value; arrays go into `arrays` under names that begin with `name`.

    Raises
    ------
    SettingError
        If it holds something else than arrays, numbers, words, None, and sequences of these.
    """
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if isfinite(value) else {"number": str(value)}
    if isinstance(value, np.generic) or is_array_api_obj(value):
        return _packed_array(value, name, arrays)
    if isinstance(value, tuple | list | deque):
        kind = next(kind for kind, made in SEQUENCES.items() if isinstance(value, made))
        names = getattr(value, "_fields", map(str, range(len(value))))
        return {kind: [packed(part, f"{name}.{its}", arrays) for its, part in zip(names, value, strict=True)]}
    raise SettingError(
        f"The state of this method holds a {type(value).__name__} ({name}), which a checkpoint cannot keep; it keeps "
        "arrays, numbers, words, None, and tuples of these."
    )


def unpacked(packed: Any, like: Any, name: str, arrays: Arrays) -> Any:
    """Return the value that was packed, of the types that `like` has.

    Raises
    ------
    ModelFileError
        If it does not fit.
    """
    if isinstance(packed, dict) and len(packed) == 1:
        kind, parts = next(iter(packed.items()))
        if kind == "number":
            return float(choice(parts, name, OWN_TEXT))
        if kind in SEQUENCES and isinstance(parts, list):
            return _unpacked_sequence(kind, parts, like, name, arrays)
    if isinstance(packed, dict):
        return _unpacked_array(packed, like, name, arrays)
    if isinstance(packed, list):
        raise damaged(name, packed, "a value of a state")
    if like is not None and packed is not None and _sort(packed) != _sort(like):
        raise damaged(name, packed, f"a {_sort(like)}")
    return packed


def _sort(value: Any) -> str:
    """Return what kind of value something is, in a word."""
    if is_array_api_obj(value):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, bool | str):
        return type(value).__name__
    return "number" if isinstance(value, int | float | np.generic) else "value of another kind"


def _packed_array(value: Any, name: str, arrays: Arrays) -> dict[str, Any]:
    found = np.asarray(value)
    kept = KEPT_AS.get(found.dtype.name)
    if kept is None:
        raise SettingError(
            f"The state of this method holds {found.dtype} values ({name}), which a checkpoint cannot keep."
        )
    in_columns = found.flags.f_contiguous and not found.flags.c_contiguous  # a product has other bits then
    shared = next((known for known, array in arrays.items() if array is value), None)
    if shared is None:
        arrays[name] = (found.T if in_columns else found).astype(kept, copy=False)
    told: dict[str, Any] = {"array": name if shared is None else shared, "dtype": found.dtype.name}
    marks = {"in_columns": in_columns, "scalar": isinstance(value, np.generic)}
    return told | {mark: True for mark, set_ in marks.items() if set_}


def _unpacked_array(packed: dict[str, Any], like: Any, name: str, arrays: Arrays) -> Any:
    key, dtype = packed.get("array"), packed.get("dtype")
    known = isinstance(key, str) and key in arrays and isinstance(dtype, str) and dtype in KEPT_AS
    if not known or arrays[str(key)].dtype.name != KEPT_AS[str(dtype)]:
        raise damaged(name, packed, "an array of the file")
    found = arrays[str(key)].astype(str(dtype), copy=False)
    if packed.get("in_columns") is True:
        found = found.T
    if packed.get("scalar") is True and found.shape == ():
        return found[()]
    if like is None:
        return found
    if not is_array_api_obj(like) or tuple(like.shape) != found.shape or not str(like.dtype).endswith(str(dtype)):
        raise damaged(name, f"{dtype} of shape {found.shape}", f"what a new run has there ({_sort(like)})")
    xp = array_namespace(like)
    return found if isinstance(like, np.ndarray) else xp.asarray(found, device=device(like))


def _unpacked_sequence(kind: str, parts: list[Any], like: Any, name: str, arrays: Arrays) -> Any:
    if like is not None and not isinstance(like, SEQUENCES[kind]):
        raise damaged(name, parts, f"a {type(like).__name__}")
    fields = getattr(like, "_fields", None)
    if fields is not None and len(fields) != len(parts):
        raise damaged(name, parts, f"{len(fields)} values")
    patterns = [*(like or ()), *[None] * len(parts)][: len(parts)]
    names = map(str, range(len(parts))) if fields is None else fields
    found = [
        unpacked(part, pattern, f"{name}.{its}", arrays)
        for part, pattern, its in zip(parts, patterns, names, strict=True)
    ]
    if fields is not None:
        made: Any = type(like)
        return made(*found)
    return deque(found, getattr(like, "maxlen", None)) if kind == "deque" else SEQUENCES[kind](found)


class Columns(NamedTuple):
    """What a history holds: the names of its details, and of each column its kind and its words."""

    details: tuple[str, ...]
    kinds: tuple[str, ...]
    words: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {name: list(value) for name, value in self._asdict().items()}


class Ledger:
    """A history that grows, as a matrix: each record is packed once, however often the history is saved."""

    def __init__(self) -> None:
        self._rows: list[NDArray[np.float64]] = []
        self._n_rows = 0
        self._details: tuple[str, ...] = ()
        self._kinds: list[str] = []
        self._words: list[dict[str, int]] = []

    def packed(self, history: Sequence[Record], count: int) -> tuple[Columns, NDArray[np.float64]]:
        """Return the first `count` records of a history; those from before must be what they were."""
        new = history[self._n_rows : count]
        if new and not self._kinds:
            self._details = tuple(new[0].details)
            self._kinds = [_kind(column[0]) for column in _columns(new[:1], self._details)]
            self._words = [{} for _ in self._kinds]
        if new:
            columns = enumerate(_columns(new, self._details))
            self._rows.append(np.column_stack([self._numbers(i, column) for i, column in columns]))
            self._rows = [np.concatenate(self._rows)]
            self._n_rows = len(self._rows[0])
        columns_told = Columns(self._details, tuple(self._kinds), tuple(map(tuple, self._words)))
        return columns_told, self._rows[0][:count] if self._rows else np.zeros((0, 0))

    def _numbers(self, i: int, column: Sequence[Any]) -> NDArray[np.float64]:
        kind = self._kinds[i]
        if kind == NONE:
            return np.full(len(column), nan)
        if kind == WORD:
            words = self._words[i]
            return np.array([words.setdefault(str(value), len(words)) for value in column], dtype=float)
        if kind == WHOLE and not {*map(type, column)} <= {int, bool}:
            self._kinds[i] = NUMBER  # a setting given as 1 that has become 1.5
        return np.array(column, dtype=float)


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
    if len(kinds) != len(words) or len(kinds) != len(PLAIN) + len(details) or max(map(len, words)) > MOST_WORDS:
        raise damaged(where, kinds, "a kind and a list of words for each column")
    return Columns(details, kinds, words)


def records_of(columns: Columns, rows: NDArray[np.float64]) -> list[Record]:
    """Return the records that a ledger has packed.

    Raises
    ------
    ModelFileError
        If a number stands for a word that there is not, or none is a whole number where one belongs.
    """
    if rows.ndim != 2 or rows.shape[1] != len(columns.kinds) or not len(rows):
        raise damaged("the history", rows.shape, "a row for each record")
    found = [
        _column(kind, words, numbers) for kind, words, numbers in zip(columns.kinds, columns.words, rows.T, strict=True)
    ]
    n, names = len(PLAIN), columns.details
    return [
        Record._make([*values[:n], dict(zip(names, values[n:], strict=True))]) for values in zip(*found, strict=True)
    ]


def _column(kind: str, words: tuple[str, ...], numbers: NDArray[np.float64]) -> list[Any]:
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


def _columns(records: Sequence[Record], details: tuple[str, ...]) -> list[Sequence[Any]]:
    """Return the values of some records by columns: those of all methods, then the method's own."""
    columns: list[Sequence[Any]] = list(zip(*records, strict=True))  # half the time of a pass for each column
    told = columns.pop(Record._fields.index("details"))
    return [*columns, *([one[name] for one in told] for name in details)]
