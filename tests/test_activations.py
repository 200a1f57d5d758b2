"""Activations against mpmath: values and slopes keep their relative accuracy, also where neurons saturate.

A formula may be as wrong as one rounding of e makes the exact result (its condition number times u), times 4,
and 8 roundings of its own. Slopes taken from y inherit y's rounding, magnified at most 1/SATURATED times.
"""

import pickle

import mpmath
import numpy as np
import pytest
from mpmath import mp

import reference
from checks import assert_within
from deltarule import activations
from deltarule.activations import ACTIVATIONS, ALIASES, SATURATED, own
from deltarule.errors import SettingError

SINGLE = [row for row in ACTIVATIONS.values() if not row.couples]
ORDINARY = np.linspace(-12.0, 12.0, 160) + 0.003  # off every kink
EXTREME = np.array([-1e3, -745.2, -700.0, -40.0, -37.5, -20.0, -1e-5, -1e-200, 1e-200, 1e-5, 20.0, 40.0, 700.0, 1e3])
FROM_OUTPUT = {"logistic", "tanh"}


@pytest.fixture(params=SINGLE, ids=lambda row: row.name)
def row(request):
    return request.param


def exact_values(name, points, digits):
    """Return f, f′ and f″ at the points; the derivatives are numeric, with as many digits as it takes."""

    def f(e):
        return reference.ACTIVATIONS[name][0](reference.EXACT, e)

    with mp.workdps(digits):
        places = [mpmath.mpf(float(e)) for e in points]
        return [[f(e), mp.diff(f, e), mp.diff(f, e, 2)] for e in places]


def check_row(row, points, digits, dtype):
    e = points.astype(dtype)
    y = row.f(np, e)
    slope = row.df(np, e, y)
    assert y.dtype == slope.dtype == dtype
    own_roundings = 2 / SATURATED if row.name in FROM_OUTPUT else 8
    for i, (f0, f1, f2) in enumerate(exact_values(row.name, e, digits)):
        assert near(y[i], f0, f1, e[i], 8), (row.name, "f", e[i], y[i], float(f0))
        assert near(slope[i], f1, f2, e[i], own_roundings), (row.name, "df", e[i], slope[i], float(f1))


def near(computed, exact, slope, e, roundings):
    """Return whether a number lies within its roundings; near 0 the unit is the smallest number there is."""
    numbers = np.finfo(computed.dtype)
    if abs(exact) > float(numbers.max):
        return bool(np.isinf(computed))
    u, smallest = float(numbers.eps) / 2, float(numbers.smallest_subnormal)
    bound = u * (roundings * abs(exact) + 4 * abs(float(e) * slope)) + 4 * (1 + abs(float(e))) * smallest
    return abs(mpmath.mpf(float(computed)) - exact) <= bound


def test_ordinary_values_and_slopes(row):
    check_row(row, ORDINARY, 50, np.float64)


@np.errstate(over="ignore")  # exponential overflows where it must
def test_saturated_values_and_slopes(row):
    digits = 50 if row.name == "gelu" else 700  # 1 + exp(−1000) needs 434 digits; erfc keeps its own
    check_row(row, EXTREME, digits, np.float64)


def test_single_precision(row):
    check_row(row, ORDINARY[::4], 50, np.float32)


def test_slopes_of_the_reference_are_its_derivatives(row):
    f, df = reference.ACTIVATIONS[row.name]
    for e in (-2.3, -0.4, 0.7, 1.9):
        exact = float(mp.diff(lambda x: f(reference.EXACT, x), mpmath.mpf(e)))
        # cosh and exp of a mish in a row: some twenty roundings
        assert df(reference.REAL, e) == pytest.approx(exact, rel=32 * np.finfo(float).eps)


def test_nothing_finite_becomes_non_finite(row):
    """Up to the largest numbers f and df stay finite, except where f itself is larger than any number."""
    e = np.array([-1.7e308, -1e200, -1e155, 0.0, 1e155, 1e200, 1.7e308])
    with np.errstate(over="ignore", invalid="raise"):
        y = row.f(np, e)
        slope = row.df(np, e, y)
    kept = e <= 0 if row.name == "exponential" else e == e
    if row.name == "selu":
        kept = e < 1.7e308  # 1.05 times that is no number
    assert np.all(np.isfinite(y[kept]))
    assert np.all(np.isfinite(slope[kept]))


def test_nan_is_not_hidden(row):
    assert np.isnan(row.f(np, np.array([np.nan, 0.5]))[0])


@np.errstate(invalid="ignore", over="ignore")
def test_infinity_gives_the_limit_or_nan(row):
    e = np.array([-np.inf, np.inf])  # no row may turn an infinity into a wrong finite number
    far = row.f(np, np.array([-1e300, 1e300]) if row.name != "exponential" else np.array([-1e300, 700.0]))
    for at_infinity, before in zip(row.f(np, e), far, strict=True):
        limit = before if abs(before) <= 2 else np.copysign(np.inf, before)
        assert np.isnan(at_infinity) or at_infinity == limit


def test_slope_at_a_kink_is_that_of_the_left():
    at = {"relu": (0.0, 0.0), "leaky_relu": (0.0, activations.LEAK), "hard_tanh": (1.0, 1.0)}
    for name, (e, left) in at.items():
        x = np.array([e])
        row = ACTIVATIONS[name]
        assert row.df(np, x, row.f(np, x))[0] == left
    assert ACTIVATIONS["hard_tanh"].df(np, np.array([-1.0]), np.array([-1.0]))[0] == 0.0
    left = activations.SELU_SCALE * activations.SELU_ALPHA
    assert ACTIVATIONS["selu"].df(np, np.zeros(1), np.zeros(1))[0] == left


def test_shape_is_kept_and_inputs_are_left_alone(activation):
    e = np.random.default_rng(0).normal(size=(4, 3)) * 5
    before = e.copy()
    y = activation.f(np, e)
    kept = y.copy()
    local = activation.pull_back(np, e, y, np.ones_like(e))
    assert y.shape == local.shape == (4, 3)
    assert np.array_equal(e, before)
    assert np.array_equal(y, kept)
    assert not np.shares_memory(y, e)


def test_softmax_against_exact_numbers():
    E = np.array([[0.0, 1.0, -2.0], [1000.0, 0.0, -1000.0], [-1e300, 0.0, 3.0], [700.0, 700.0, 699.0]])
    softmax = ACTIVATIONS["softmax"]
    with np.errstate(over="raise", invalid="raise"):
        Y = softmax.f(np, E)
    for e, y in zip(E.tolist(), Y, strict=True):
        with mp.workdps(700):
            top = mpmath.mpf(max(e))
            exact = reference.put_out(reference.EXACT, "softmax", [mpmath.mpf(ek) - top for ek in e])
        # e − max(e) is rounded once: u |e − max(e)| relative in the exponential
        allowed = [
            (8 + abs(ek - max(e))) * np.finfo(float).eps * float(x) + 5e-324 for ek, x in zip(e, exact, strict=True)
        ]
        assert_within(y, [float(x) for x in exact], np.array(allowed), "softmax")


def test_softmax_pulls_back_through_its_full_matrix():
    rng = np.random.default_rng(0)
    E, D = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    softmax = ACTIVATIONS["softmax"]
    local = softmax.pull_back(np, E, softmax.f(np, E), D)
    exact = [reference.pull_back(reference.REAL, "softmax", e, d) for e, d in zip(E.tolist(), D.tolist(), strict=True)]
    assert_within(local, exact, 32 * np.finfo(float).eps * np.abs(D).max(), "softmax")


def test_every_alias_leads_to_a_row(activation):
    assert activations.get(activation.name) is activation
    assert activations.get(activation) is activation
    for alias, name in ALIASES.items():
        assert activations.get(alias) is ACTIVATIONS[name]
        assert alias not in ACTIVATIONS


@pytest.mark.parametrize("name", ["tanhh", "", "Tanh", 3, None])
def test_unknown_names_are_refused_with_the_accepted_ones(name):
    with pytest.raises(SettingError, match=r"Unknown activation .*Accepted: identity, logistic, tanh"):
        activations.get(name)
    with pytest.raises(SettingError, match="Did you mean tanh"):
        activations.get("tanhh")


def test_rows_survive_pickling(activation):
    assert pickle.loads(pickle.dumps(activation)) is activation


SOUND = {
    "cube": (lambda e: e**3, lambda e, y: 3 * e**2),
    "from_y": (np.tanh, lambda e, y: 1 - y * y),
    "kink_at_0": (lambda e: np.maximum(e, 0), lambda e, y: (e > 0) * 1.0),
    "kink_at_1": (lambda e: np.clip(e, -1, 1), lambda e, y: (np.abs(e) < 1) * 1.0),
    "fast_wave": (lambda e: np.sin(10 * e), lambda e, y: 10 * np.cos(10 * e)),
    "constant_slope": (lambda e: 2 * e, lambda e, y: 2.0),
    "tiny": (lambda e: 1e-8 * e**2, lambda e, y: 2e-8 * e),
    "huge": (lambda e: 1e8 * e**2, lambda e, y: 2e8 * e),
}
FAULTY = {
    "factor": (lambda e: e**3, lambda e, y: 2 * e**2),
    "slope_at_y": (np.tanh, lambda e, y: 1 - np.tanh(y) ** 2),
    "sign": (np.cos, lambda e, y: np.sin(e)),
    "left_out": (np.tanh, lambda e, y: np.ones_like(e)),
    "a_little": (np.sin, lambda e, y: 1.001 * np.cos(e)),
    "nan": (np.sin, lambda e, y: np.full_like(e, np.nan)),
    "far_out": (np.sin, lambda e, y: np.where(np.abs(e) > 5.5, 0.0, np.cos(e))),
    "tiny": (lambda e: 1e-8 * e**2, lambda e, y: 1e-8 * e),
}


@pytest.mark.parametrize("name", SOUND)
def test_own_activation_with_its_derivative_is_taken(name):
    f, df = SOUND[name]
    made = own("my_" + name, f, df)
    e = np.linspace(-2, 2, 9)
    assert made.name == "my_" + name
    assert np.array_equal(made.f(np, e), f(e))
    assert np.array_equal(made.df(np, e, f(e)), df(e, f(e)))


@pytest.mark.parametrize("name", FAULTY)
def test_own_activation_with_a_wrong_derivative_is_refused(name):
    with pytest.raises(SettingError, match=f"The derivative of 'my_{name}' is wrong at e = .*the slope is"):
        own("my_" + name, *FAULTY[name])


def test_own_activation_must_keep_the_shape_and_choose_a_free_name():
    with pytest.raises(SettingError, match="must keep the shape"):
        own("total", lambda e: np.sum(e), lambda e, y: e)
    for name in ("tanh", "sigmoid"):
        with pytest.raises(SettingError, match="belongs to a built-in activation"):
            own(name, np.tanh, lambda e, y: 1 - y * y)
