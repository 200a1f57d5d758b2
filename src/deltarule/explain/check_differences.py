"""Slopes from differences of values, each with a bound on its error and a step of its own.

A central difference D(h) = (φ(w + h) − φ(w − h)) / 2h errs by truncation, about h² φ‴/6, and by rounding, at most ε/h
for values with errors up to ε. The steps of a ladder are tried for each weight, and the one of smallest bound is kept:

    truncation   |D(10 h) − D(h)| / 5     twice what it is where φ″ jumps, twenty times where φ‴ alone counts
    rounding     ε / h

ε is known for a network (see `deltarule.explain.check_gradient`) and otherwise measured by the differences of values at
equal distances, in which a smooth function vanishes and noise does not (Moré and Wild 2011, algorithm ECnoise).
"""

from collections.abc import Callable
from math import factorial, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = Callable[[Floats], float]

LADDER = tuple(10.0**-k for k in range(1, 8))
"""Steps tried, times max(1, |w|)."""
NOISE_POINTS = 9
NOISE_STEP = 1e-10
"""How far apart, relative to w, the values are whose differences show the noise."""
SAFETY = 8.0
"""By how much a measured noise is raised."""


class Slope(NamedTuple):
    """A numeric slope: its value, the bound on its error, the step, and the slopes to either side of a kink.

    `left` and `right` are equal to `value` where there is no kink.
    """

    value: float
    bound: float
    step: float
    left: float
    right: float

    @property
    def kink(self) -> bool:
        """Whether the slope jumps at this very place."""
        return self.left != self.right

    def accepts(self, given: float, extra: float = 0.0) -> bool:
        """Return whether a slope agrees, to within the bound and something more."""
        low, high = sorted((self.left, self.right))
        return low - self.bound - extra <= given <= high + self.bound + extra


def noise(value: Value, w: Floats) -> float:
    """Return how far values of a function near w err by rounding, raised by `SAFETY`."""
    direction = np.maximum(1.0, np.abs(w)) * np.random.default_rng(0).choice([-1.0, 1.0], w.shape)
    table = np.array([value(w + k * NOISE_STEP * direction) for k in range(NOISE_POINTS)])
    least = float(np.finfo(float).eps) * float(np.max(np.abs(table)))
    levels = []
    for k in range(1, NOISE_POINTS - 2):
        table = np.diff(table)
        gamma = factorial(k) ** 2 / factorial(2 * k)
        levels.append(sqrt(gamma * float(np.mean(table * table))))
    return SAFETY * max(least, *levels[2:])  # the first differences may still hold the slope itself


def slope(value: Value, w: Floats, index: int, error: float) -> Slope:
    """Return the slope of a function along w[index].

    Parameters
    ----------
    value : callable
        The function of w.
    w : array of shape (p,)
        Where.
    index : int
        The weight.
    error : float
        ε, the largest error of a value.

    Returns
    -------
    Slope
        Two slopes where the function has a kink at w: known by one-sided differences that stay apart as h shrinks.
    """
    here, scale = value(w), max(1.0, abs(float(w[index])))
    steps, sides = [], []
    for rung in LADDER:
        up, down = w.copy(), w.copy()
        up[index] += rung * scale
        down[index] -= rung * scale
        above, below = float(up[index]) - float(w[index]), float(w[index]) - float(down[index])  # what was added
        steps.append(above)
        sides.append(((here - value(down)) / below, (value(up) - here) / above))
    left, right = np.array(sides).T
    centre, h = 0.5 * (left + right), np.array(steps)
    rounding = error / h[1:]
    truncation = np.abs(np.diff(centre)) / 5
    bounds = np.where(np.isfinite(truncation), truncation + rounding, np.inf)
    best = int(np.argmin(bounds)) + 1
    jump, before = abs(right[best] - left[best]), abs(right[best - 1] - left[best - 1])
    if jump > 0.5 * before and jump > 8 * rounding[best - 1]:
        return _at_kink(left, right, h, error)
    found = float(centre[best])
    return Slope(found, float(bounds[best - 1]), float(h[best]), found, found)


def _at_kink(left: Floats, right: Floats, h: Floats, error: float) -> Slope:
    """Return both slopes: one-sided differences err by h φ″/2, a tenth of what they change from step to step."""
    truncation = np.maximum(np.abs(np.diff(left)), np.abs(np.diff(right)))
    bounds = truncation + 2 * error / h[1:]
    best = int(np.argmin(np.where(np.isfinite(bounds), bounds, np.inf))) + 1
    a, b = float(left[best]), float(right[best])
    return Slope(0.5 * (a + b), float(bounds[best - 1]), float(h[best]), a, b)
