"""Numbers as settings: what float64 can hold."""

import math
from numbers import Real


def isfinite(value: float | Real) -> bool:
    """Return whether a number is finite and float64 can hold it, which it cannot a whole number of 400 digits."""
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
