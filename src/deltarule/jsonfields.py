"""Strict reading of what a model file's JSON holds: each value has its type, or the file is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from deltarule.errors import ModelFileError

T = TypeVar("T")


def damaged(where: str, value: object, accepted: str) -> ModelFileError:
    """Return the error for a value that is not what belongs there."""
    given = repr(value)
    given = given if len(given) <= 60 else given[:57] + "..."
    return ModelFileError(
        f"The model file is damaged: {where} is {given}, where {accepted} belongs. Save the model again."
    )


def record(value: object, where: str, keys: Collection[str]) -> dict[str, Any]:
    """Return an object that has exactly these keys."""
    if not isinstance(value, dict):
        raise damaged(where, value, "an object")
    if set(value) != set(keys):
        raise damaged(where, sorted(map(str, value)), f"an object with the keys {', '.join(keys)}")
    return value


def finite(value: object, where: str) -> float:
    """Return a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise damaged(where, value, "a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise damaged(where, value, "a finite number")
    return number


def whole(value: object, where: str) -> int:
    """Return a whole number from 0 up; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise damaged(where, value, "a whole number from 0 up")
    return value


def text(value: object, where: str) -> str:
    """Return a text."""
    if not isinstance(value, str) or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise damaged(where, value, "a text")
    return value


def flag(value: object, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise damaged(where, value, "true or false")
    return value


def choice(value: object, where: str, accepted: Collection[str]) -> str:
    """Return a text that is one of those accepted."""
    if not isinstance(value, str) or value not in accepted:
        raise damaged(where, value, f"one of {', '.join(accepted)}")
    return value


def listed(value: object, where: str, read: Callable[[object, str], T], *, least: int = 0) -> tuple[T, ...]:
    """Return a list of at least `least` values, each as `read` returns it."""
    if not isinstance(value, list) or len(value) < least:
        raise damaged(where, value, f"a list of at least {least} values")
    return tuple(read(item, f"{where}[{i}]") for i, item in enumerate(value))


def distinct(values: tuple[T, ...], where: str) -> tuple[T, ...]:
    """Return values of which no two are equal."""
    if len(set(values)) != len(values):
        raise damaged(where, list(values), "a list without repetitions")
    return values
