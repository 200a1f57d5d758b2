"""Values of one kind as float64, and back: what one number of a run's records holds.

A column has the kind of its first value. From a value of another kind on it is mixed; see `deltarule.mixed`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import nan
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import mixed
from deltarule.errors import ModelFileError

NONE, FLAG, WHOLE, NUMBER, WORD = KINDS = ("none", "flag", "whole", "number", "word")
"""What one number of the records holds."""
TYPES: dict[str, type] = {NONE: NoneType, FLAG: bool, WHOLE: int, NUMBER: float, WORD: str}
EXACT = 2**53
"""Whole numbers up to here are exact in float64."""


def kind_of(value: Any) -> str:
    """Return the kind of a value."""
    return next((kind for kind, type_ in TYPES.items() if _fits(kind, type(value))), NUMBER)


def _fits(kind: str, type_: type) -> bool:
    """Return whether values of this type are of that kind; true is no whole number."""
    return issubclass(type_, TYPES[kind]) and (kind == FLAG or type_ is not bool)


def packed(kind: str, column: Sequence[Any], words: dict[str, int], ours: bool) -> NDArray[Any] | float | None:
    """Return values as numbers of a kind, None if one is of another.

    `struct` makes them three to six times as fast as NumPy. What the loop itself puts into records, `ours`, is of its
    kind or None, which `struct` refuses; asking each value for its type would double the time.
    """
    if kind == NONE:
        return nan if column.count(None) == len(column) else None
    types = {TYPES[kind]} if ours else set(map(type, column))
    if not all(_fits(kind, type_) for type_ in types):
        return None
    try:
        if kind == NUMBER:
            return np.frombuffer(struct.pack(f"{len(column)}d", *column), np.float64)
    except struct.error:
        return None
    if kind == WORD:
        column = column if types == {str} else [str.__str__(word) for word in column]
        for word in dict.fromkeys(column):
            mixed.put(words, word)
        column = [words[word] for word in column]
    try:
        found = np.frombuffer(struct.pack(f"{len(column)}q", *column), np.int64)
    except struct.error:  # more than 64 bits
        return None
    return found if ((found >= -EXACT) & (found <= EXACT)).all() else None


def unpacked(kind: str, words: tuple[str, ...], start: int | None, numbers: NDArray[np.float64]) -> list[Any]:
    """Return the values of a column that is of a kind, and from `start` on, if that is given, of any.

    Raises
    ------
    ModelFileError
        If a number stands for no such value.
    """
    if start is not None:
        return [*unpacked(kind, words, None, numbers[:start]), *mixed.unboxed(numbers[start:], words)]
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
