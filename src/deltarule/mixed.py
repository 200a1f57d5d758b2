"""Values of any kind as float64, and back: numbers, whole numbers of any size, words, true and false, None.

A number with a fraction is itself. All else is a NaN that no arithmetic makes, told apart by its upper 16 bits; the
lower 48 say which value. Words, and whole numbers that do not fit there, are places in a list of words.

    7FFC    0 None, 1 false, 2 true, 3 and more: a word's place and 3
    7FFD    the place of a word that spells a whole number in base 16
    7FFE    a whole number and 2⁴⁷
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import ModelFileError, SettingError, shown

SHIFT = 48
SIMPLE, SPELT, WHOLE = 0x7FFC, 0x7FFD, 0x7FFE
CONSTANTS = (None, False, True)
HALF = 1 << (SHIFT - 1)
"""Whole numbers from -HALF up to HALF, which is left out, fit into the lower bits."""
BASE_16 = re.compile(r"-?0x[0-9a-f]+")


def put(words: dict[str, int], word: str) -> int:
    """Return the place of a word among others, the last if it is a new one.

    Raises
    ------
    SettingError
        If it is no text that a file can hold.
    """
    word = str.__str__(word)  # the letters alone, of an enumeration's member too
    place = words.get(word)
    if place is None:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise SettingError(f"A detail of the method is {shown(word)}; a run that is kept needs text in Unicode.")
        place = words[word] = len(words)
    return place


def boxed(values: Sequence[Any], words: dict[str, int]) -> NDArray[np.float64]:
    """Return values as numbers; words that are new are added to the others.

    Raises
    ------
    SettingError
        If a value is of no kind that can be kept.
    """
    found = np.zeros(len(values))
    bits = found.view(np.uint64)
    for i, value in enumerate(values):
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            found[i] = np.nan if value != value else value
        else:
            bits[i] = _box(value, words)
    return found


def unboxed(numbers: NDArray[np.float64], words: Sequence[str]) -> list[Any]:
    """Return the values that were boxed.

    Raises
    ------
    ModelFileError
        If a number stands for none.
    """
    bits: list[int] = np.ascontiguousarray(numbers).view(np.uint64).tolist()
    floats: list[float] = numbers.tolist()
    first, end = SIMPLE << SHIFT, 0x8000 << SHIFT
    return [_open(b, words) if first <= b < end else x for x, b in zip(floats, bits, strict=True)]


def _box(value: Any, words: dict[str, int]) -> int:
    if value is None or isinstance(value, bool):
        return (SIMPLE << SHIFT) + CONSTANTS.index(value)
    if isinstance(value, str):
        return (SIMPLE << SHIFT) + len(CONSTANTS) + put(words, value)
    if not isinstance(value, int):
        raise SettingError(
            f"A detail of the method became {shown(value)}; in a run that is kept it is a number, a text, true, false "
            "or None. Turn it into one of these, or into an array in the first state too."
        )
    if -HALF <= value < HALF:
        return (WHOLE << SHIFT) + value + HALF
    return (SPELT << SHIFT) + put(words, hex(value))


def _open(bits: int, words: Sequence[str]) -> Any:
    tag, place = bits >> SHIFT, bits & ((1 << SHIFT) - 1)
    if tag == WHOLE:
        return place - HALF
    if tag == SIMPLE and place < len(CONSTANTS):
        return CONSTANTS[place]
    if tag == SIMPLE and place - len(CONSTANTS) < len(words):
        return words[place - len(CONSTANTS)]
    if tag == SPELT and place < len(words) and BASE_16.fullmatch(words[place]):
        return int(words[place], 16)
    raise ModelFileError("The checkpoint is damaged: its history holds a number that stands for no value.")
