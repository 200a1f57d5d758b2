"""Running means and standard deviations against those of the rows so far, computed at once and exactly."""

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.estimators.stream_scaling import FAR, LARGEST, RunningScale, RunningTarget

ROUNDINGS = 12
"""Of one row's update; each row's come on top of those before."""


def learned(X, scale=None):
    """Return the scale that has learnt rows X, and the rows as it standardised them."""
    scale = scale or RunningScale()
    if not len(scale.mean):
        scale.grow(X[0], np.ones(X.shape[1]))
    Z = np.empty_like(X)
    for x, z in zip(X, Z, strict=True):
        scale.learn(x, z)
    return scale, Z


def exact(values):
    """Return mean and standard deviation of numbers without rounding before the last step."""
    numbers = [Fraction(float(value)) for value in values]
    mean = sum(numbers) / len(numbers)
    return float(mean), sqrt(sum((number - mean) ** 2 for number in numbers) / len(numbers))


@pytest.mark.parametrize("offset", [0.0, 1.0, -1e6, 1e9])
@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e5])
def test_they_are_those_of_all_rows_so_far(offset, spread):
    X = offset + spread * np.random.default_rng(0).standard_normal((300, 3))
    scale, Z = learned(X)
    error = len(X) * ROUNDINGS * np.finfo(float).eps
    for j in range(3):
        mean, std = exact(X[:, j])
        assert scale.mean[j] == pytest.approx(mean, rel=error)
        # a rounding of the mean is one of the deviations from it
        assert scale.std[j] == pytest.approx(std, rel=error + error * abs(offset) / spread)
        assert Z[-1, j] == pytest.approx((X[-1, j] - mean) / std, rel=2 * error * (1 + abs(offset) / spread), abs=1e-6)


@given(st.lists(st.integers(-(10**9), 10**9).map(lambda i: i / 1000), min_size=2, max_size=40))
def test_a_number_and_a_target_are_scaled_alike(values):
    column = np.array(values)[:, None]
    scale, Z = learned(column)
    target = RunningTarget()
    T = [target.learn(value) for value in values]
    assert scale.mean[0] == pytest.approx(target.mean)
    assert scale.std[0] == pytest.approx(target.std, rel=1e-12, abs=2e-150)
    assert Z[:, 0] == pytest.approx(np.clip(T, -FAR, FAR))
    mean, std = exact(values)
    assert target.mean == pytest.approx(mean, rel=1e-9, abs=1e-6 * std + 1e-300)
    assert target.std == pytest.approx(std, rel=1e-6, abs=1e-12 * max(map(abs, values)) + 1e-149)


def test_what_is_undone_is_the_target():
    target = RunningTarget()
    for y in (3.0, 5.0, 10.0):
        t = target.learn(y)
    assert target.undo(t) == pytest.approx(10.0)


def test_the_first_row_and_constant_columns_are_zero():
    X = np.column_stack([np.full(50, 0.1), np.arange(50.0)])
    scale, Z = learned(X)
    assert not Z[0].any() and not Z[:, 0].any()
    assert scale.never_varied().tolist() == [True, False]
    z = np.empty(2)
    scale.apply(np.array([7.0, 24.5]), z)
    assert z == pytest.approx([0.0, 0.0])


def test_what_lies_far_off_is_held():
    X = np.zeros((10_000, 1))
    X[-1] = 1.0
    _, Z = learned(X)
    assert Z[-1, 0] == FAR


def test_nothing_overflows():
    X = np.array([[LARGEST], [-LARGEST], [0.0], [1.0]])
    scale, Z = learned(X)
    assert np.isfinite(Z).all() and np.isfinite(scale.std).all()
    z = np.empty(1)
    scale.apply(np.array([-LARGEST]), z)
    assert np.isfinite(z).all()


def test_a_missing_number_changes_nothing_of_its_column():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60, 2))
    there = rng.random(60) < 0.5
    there[0] = True
    scale, z = RunningScale(), np.empty(2)
    scale.grow(X[0], np.ones(2))
    for x, seen in zip(X, there, strict=True):
        row = np.where([seen, True], x, scale.mean)
        scale.learn(row, z, np.array([float(seen), 1.0]))
        assert seen or z[0] == 0.0
    wanted, _ = learned(X[there, :1])
    assert scale.mean[0] == pytest.approx(wanted.mean[0], rel=1e-12)
    assert scale.std[0] == pytest.approx(wanted.std[0], rel=1e-12)


def test_a_column_that_comes_later_counts_from_there():
    X = np.random.default_rng(2).standard_normal((40, 2))
    scale, _ = learned(X[:15, :1])
    scale.grow(X[15, 1:], np.ones(1))
    scale, Z = learned(X[15:], scale)
    assert scale.mean == pytest.approx([X[:, 0].mean(), X[15:, 1].mean()])
    assert scale.std == pytest.approx([X[:, 0].std(), X[15:, 1].std()])
    assert Z[0, 1] == 0.0


def test_a_column_that_is_not_standardised_stays_as_it_is():
    X = np.random.default_rng(3).standard_normal((30, 2))
    scale, Z = RunningScale(), np.empty_like(X)
    scale.grow(X[0], np.array([1.0, 0.0]))
    for x, z in zip(X, Z, strict=True):
        scale.learn(x, z)
    assert np.array_equal(Z[:, 1], X[:, 1])


def test_a_horizon_forgets_exponentially():
    values, horizon = np.random.default_rng(4).standard_normal(200) + np.linspace(0, 9, 200), 20
    shares = np.array([1 / min(i + 1, horizon) for i in range(200)])
    weights = shares * np.append(np.cumprod((1 - shares)[::-1])[::-1][1:], 1.0)
    mean = weights @ values
    std = np.sqrt(weights @ (values - mean) ** 2)
    scale, _ = learned(values[:, None], RunningScale(horizon))
    target = RunningTarget(horizon)
    for value in values:
        target.learn(value)
    assert (scale.mean[0], scale.std[0]) == (pytest.approx(mean), pytest.approx(std))
    assert (target.mean, target.std) == (pytest.approx(mean), pytest.approx(std))


def test_a_column_that_has_become_constant_is_forgotten_without_a_division_by_zero():
    scale, Z = learned(np.append([1.0, 2.0], np.full(60_000, 3.0))[:, None], RunningScale(2))
    assert np.isfinite(Z).all() and scale.std[0] > 0
