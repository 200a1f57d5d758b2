"""The normal distribution function in the operations of any array library.

Φ(x) = ½ erfc(−x/√2) by the rational approximations of W. J. Cody, "Rational Chebyshev approximations for
the error function", Math. Comp. 23 (1969), 631-637. The left tail keeps its relative accuracy, which
½ (1 + erf) does not.
"""

from math import pi, sqrt
from typing import Any

Array = Any
"""An array of any library that array_api_compat knows."""

_ERF_P = (3.20937758913846947e03, 3.77485237685302021e02, 1.13864154151050156e02, 3.16112374387056560e00)
_ERF_P_LAST = 1.85777706184603153e-1
_ERF_Q = (2.84423683343917062e03, 1.28261652607737228e03, 2.44024637934444173e02, 2.36012909523441209e01)
_ERFC_P = (
    1.23033935479799725e03, 2.05107837782607147e03, 1.71204761263407058e03, 8.81952221241769090e02,
    2.98635138197400131e02, 6.61191906371416295e01, 8.88314979438837594e00, 5.64188496988670089e-1,
)  # fmt: skip
_ERFC_P_LAST = 2.15311535474403846e-8
_ERFC_Q = (
    1.23033935480374942e03, 3.43936767414372164e03, 4.36261909014324716e03, 3.29079923573345963e03,
    1.62138957456669019e03, 5.37181101862009858e02, 1.17693950891312499e02, 1.57449261107098347e01,
)  # fmt: skip
_TAIL_P = (6.58749161529837803e-4, 1.60837851487422766e-2, 1.25781726111229246e-1, 3.60344899949804439e-1)
_TAIL_P_LAST = (3.05326634961232344e-1, 1.63153871373020978e-2)
_TAIL_Q = (2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346047e00)
_TAIL_Q_LAST = 2.56852019228982242e00
_SMALL, _LARGE = 0.46875, 4.0
_VANISHED = 40.0  # Φ(−40) is below the smallest positive number


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Return the polynomial whose coefficients are given from the highest power to the lowest."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


def _descending(ascending: tuple[float, ...], *highest: float) -> tuple[float, ...]:
    return (*reversed(highest), *reversed(ascending))


_P1, _Q1 = _descending(_ERF_P, _ERF_P_LAST), _descending(_ERF_Q, 1.0)
_P2, _Q2 = _descending(_ERFC_P, _ERFC_P_LAST), _descending(_ERFC_Q, 1.0)
_P3, _Q3 = _descending(_TAIL_P, *_TAIL_P_LAST), _descending(_TAIL_Q, _TAIL_Q_LAST, 1.0)


def _exp_minus_half_square(a: Array, xp: Any) -> Array:
    """Return exp(−a²/2) with the square split in two, so that its rounding is not magnified by the exponent."""
    coarse = xp.floor(a * 16.0) / 16.0
    return xp.exp(-0.5 * coarse * coarse) * xp.exp(-0.5 * (a - coarse) * (a + coarse))


def normal_cdf(x: Array, xp: Any) -> Array:
    """Return Φ(x), the probability that a standard normal variable is below x, elementwise."""
    size = xp.clip(xp.abs(x), 0.0, _VANISHED)
    a = size / sqrt(2.0)
    small, middle, large = xp.clip(a, 0.0, _SMALL), xp.clip(a, _SMALL, _LARGE), xp.clip(a, _LARGE, _VANISHED)
    square, inverse = small * small, 1.0 / (large * large)
    erf = small * _horner(square, _P1) / _horner(square, _Q1)
    body = _horner(middle, _P2) / _horner(middle, _Q2)
    tail = (1.0 / sqrt(pi) - inverse * _horner(inverse, _P3) / _horner(inverse, _Q3)) / large
    erfc = _exp_minus_half_square(size, xp) * xp.where(a > _LARGE, tail, body)
    below = 0.5 * xp.where(a > _SMALL, erfc, 1.0 - erf)  # Φ(−|x|)
    return xp.where(x < 0.0, below, 1.0 - below)
