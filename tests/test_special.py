"""The normal distribution against mpmath, in both tails and across the seams of its three approximations."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

from deltarule.special import normal_cdf

SEAMS = np.sqrt(2) * np.array([0.46875, 4.0])
POINTS = np.concatenate(
    [
        np.linspace(-38, 9, 400),
        SEAMS,
        -SEAMS,
        np.nextafter(SEAMS, 0),
        -np.nextafter(SEAMS, 0),
        [1e-300, -1e-300],
    ]
)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_relative_accuracy(dtype):
    """Within 8 roundings, and 4 of the argument magnified by the condition number x φ(x) / Φ(x)."""
    x = POINTS.astype(dtype)
    u, smallest = np.finfo(dtype).eps / 2, float(np.finfo(dtype).smallest_subnormal)
    for point, computed in zip(x.tolist(), normal_cdf(x, np).tolist(), strict=True):
        with mp.workdps(50):
            exact = mpmath.ncdf(point)
            bound = float(u * (8 * exact + 4 * abs(point * mpmath.npdf(point)))) + 4 * smallest
            assert abs(computed - exact) <= bound, point


def test_ends():
    assert normal_cdf(np.array([-np.inf, -50.0, 0.0, 50.0, np.inf]), np).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert np.isnan(normal_cdf(np.array([np.nan]), np)[0])


def test_halves_add_up():
    x = np.linspace(0, 5, 101)
    assert np.all(np.abs(normal_cdf(x, np) + normal_cdf(-x, np) - 1) <= np.finfo(float).eps)
