"""Scaling: a column minus its centre, divided by its spread, both from the training rows.

name       centre              spread
standard   mean                standard deviation (of the rows, not of a population)
minmax     middle of the range half the range: training rows lie in [-1, 1]
robust     median              interquartile range, or standard deviation where that is as good as 0
none       0                   1
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import unknown

Floats = NDArray[np.float64]

LARGEST = 1e150
"""A scaled number beyond this cannot be squared and summed in float64, so no loss could be computed."""
NEXT_TO_NOTHING = 1e-6
"""An interquartile range below this share of the standard deviation would blow the other rows up."""


@dataclass(frozen=True)
class Scale:
    """The map x -> (x - center) / spread, with spread > 0."""

    center: float
    spread: float

    def apply(self, values: Floats) -> Floats:
        """Return values in scaled units, infinite where that overflows."""
        with np.errstate(over="ignore"):
            return (values - self.center) / self.spread

    def too_far(self, scaled: Floats) -> int | None:
        """Return the first row of scaled values (n,) that is too large to square, or None."""
        bad = ~(np.abs(scaled) <= LARGEST)
        return int(np.argmax(bad)) if bad.any() else None

    @property
    def advice(self) -> str:
        """What is wrong with a value that is too large once it is scaled, and what to do."""
        if self == Scale(0.0, 1.0):
            return "too large to square as it stands. Choose another scaling than none, or correct it"
        return "too far from what the model was trained on to compute with. Correct it"

    def undo(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return scaled values in their original units."""
        return values * self.spread + self.center


def fit_scale(values: Floats, scaling: str) -> Scale | None:
    """Return the scale of some values, or None where they are all alike.

    Parameters
    ----------
    values : ndarray
        Shape (n,), n >= 0, finite.
    scaling : {"standard", "minmax", "robust", "none"}
        The table at the top of this module.

    Raises
    ------
    SettingError
        `scaling` is none of these.
    """
    if scaling not in SCALINGS:
        raise unknown("scaling", scaling, SCALINGS)
    if values.size == 0 or values.min() == values.max():
        return None
    # A power of two takes the largest value near 1, so that squares neither overflow nor vanish; it is exact.
    exponent = int(np.frexp(np.abs(values).max())[1])
    center, spread = SCALINGS[scaling](np.ldexp(values, -exponent))
    if scaling == "none":
        return Scale(0.0, 1.0)
    scale = Scale(float(np.ldexp(center, exponent)), float(np.ldexp(spread, exponent)))
    return scale if scale.spread > 0 else None


def fill_value(values: Floats, scaling: str) -> float:
    """Return what stands for a missing cell: the mean under "standard", otherwise the median."""
    if values.size == 0:
        return 0.0
    scale = fit_scale(values, scaling) if scaling == "standard" else None
    return scale.center if scale is not None else float(np.median(values))


def _standard(values: Floats) -> tuple[float, float]:
    return float(values.mean()), float(values.std())


def _minmax(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, (high - low) / 2


def _robust(values: Floats) -> tuple[float, float]:
    low, median, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    spread, deviation = high - low, float(values.std())
    return median, spread if spread > NEXT_TO_NOTHING * deviation else deviation


def _none(values: Floats) -> tuple[float, float]:
    return 0.0, 1.0


SCALINGS: dict[str, Callable[[Floats], tuple[float, float]]] = {
    "standard": _standard,
    "minmax": _minmax,
    "robust": _robust,
    "none": _none,
}
"""Name -> centre and spread of values near 1."""
