"""The formulas for β of conjugate gradients: how much of the old direction the new one keeps, d ← −g + β d.

All are the same on a quadratic with exact searches. Elsewhere those whose numerator is g·(g − g_before) start afresh
by themselves where a step has hardly changed the gradient; they are kept from falling below 0 (Powell 1984, Gilbert and
Nocedal 1992).
"""

from collections.abc import Callable
from math import sqrt

from deltarule.special import Array

Beta = Callable[[Array, Array, Array], float]
"""``beta(g, g_before, d_before)``: how much of the old direction to keep."""

BAND = 0.2
"""By what share of g · g the slope −d · g may differ from it before a direction is given up (Powell 1977)."""
HAGER_ZHANG_ETA = 0.01
"""η of Hager and Zhang's lower bound on β (2005, equation 1.6)."""


def fletcher_reeves(g: Array, g0: Array, d: Array) -> float:
    """Return g·g / g₀·g₀."""
    return float(g @ g) / float(g0 @ g0)


def polak_ribiere(g: Array, g0: Array, d: Array) -> float:
    """Return max(0, g·(g − g₀) / g₀·g₀)."""
    return max(0.0, float(g @ (g - g0)) / float(g0 @ g0))


def hestenes_stiefel(g: Array, g0: Array, d: Array) -> float:
    """Return max(0, g·y / d·y) with y = g − g₀."""
    y = g - g0
    return max(0.0, float(g @ y) / float(d @ y))


def dai_yuan(g: Array, g0: Array, d: Array) -> float:
    """Return g·g / d·y with y = g − g₀."""
    return float(g @ g) / float(d @ (g - g0))


def hager_zhang(g: Array, g0: Array, d: Array) -> float:
    """Return (y − 2 d y·y / d·y)·g / d·y, bounded below, with y = g − g₀."""
    y = g - g0
    dy = float(d @ y)
    beta = (float(y @ g) - 2 * float(d @ g) * float(y @ y) / dy) / dy
    lengths = sqrt(float(d @ d)) * min(HAGER_ZHANG_ETA, sqrt(float(g0 @ g0)))
    return max(beta, -1 / lengths)


def out_of_band(slope: float, square: float) -> bool:
    """Return whether a slope d·g is too far from −g·g, given g·g, for d to be kept (Powell 1977)."""
    return not abs(square + slope) <= BAND * square


BETAS: dict[str, Beta] = {
    "fletcher_reeves": fletcher_reeves,
    "polak_ribiere": polak_ribiere,
    "hestenes_stiefel": hestenes_stiefel,
    "dai_yuan": dai_yuan,
    "hager_zhang": hager_zhang,
}
"""The formulas for β by name."""
