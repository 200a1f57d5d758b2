"""Strict reading of what the JSON of a file holds: each value has its type, or the file is refused.

The readers know where in the file a value stands, not which file that is: it is a model file, unless whoever reads
another one says so by `of_file`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from deltarule.errors import ModelFileError

T = TypeVar("T")


class MisfitError(ModelFileError):
    """A value of a file is not what belongs there; `fault` says that without the name of the file."""

    fault: str


def damaged(where: str, value: object, accepted: str) -> MisfitError:
    """Return the error for a value that is not what belongs there."""
    given = repr(value)
    given = given if len(given) <= 60 else given[:57] + "..."
    fault = f"{where} is {given}, where {accepted} belongs"
    error = MisfitError(f"The model file is damaged: {fault}. Save the model again.")
    error.fault = fault
    return error


@contextmanager
def of_file(name: str, again: str) -> Iterator[None]:
    """Have the errors for values that do not fit say which file they stand in, and what to do about it.

    Parameters
    ----------
    name : str
        What the file is called, such as "The checkpoint".
    again : str
        What to do with a damaged one, as `deltarule.tensorheader.Format` says it.

    Raises
    ------
    ModelFileError
        If a value read inside does not fit.
    """
    try:
        yield
    except MisfitError as error:
        raise ModelFileError(f"{name} is damaged: {error.fault}; {again}.") from None


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
