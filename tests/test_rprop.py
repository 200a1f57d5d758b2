"""Rprop: each variant against plain loops, the draw of the first steps, and steps that lead nowhere finite."""

from itertools import islice, pairwise

import numpy as np
import pytest

import reference_methods as reference
from deltarule import Network, Objective, methods, steps
from deltarule.methods import Rprop
from deltarule.methods.rprop import VARIANTS
from problems import SINE


def path(objective, w, method, n):
    return list(islice(steps(objective, w, method), n + 1))


def as_lists(value_grad):
    """Return value_grad of lists."""

    def called(w):
        loss, grad = value_grad(np.array(w))
        return loss, grad.tolist()

    return called


@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_its_algorithm(variant, surface):
    """The signs agree exactly; the factors η are rounded once or twice, the Δ once more in each of 60 steps."""
    method = Rprop(variant, first_step=0.05)
    states = path(surface, surface.start, method, 60)
    first = [0.05] * len(surface.start)
    expected = reference.rprop(variant, as_lists(surface.value_grad), surface.start.tolist(), 60, first)
    largest = np.max(np.abs(expected))
    for k, (state, w) in enumerate(zip(states, expected, strict=True)):
        assert np.all(np.abs(state.w - w) <= k * 8 * 60 * np.finfo(float).eps * largest), k


@pytest.mark.parametrize("variant", VARIANTS)
def test_steps_stay_within_their_bounds(variant, surface):
    method = Rprop(variant, largest_step=0.1, smallest_step=1e-3)
    for state in path(surface, surface.start, method, 200)[1:]:
        assert np.all((state.sizes >= 1e-3) & (state.sizes <= 0.1))
        assert np.all(np.abs(state.move) <= 0.1)


def test_a_weight_without_slope_stays():
    def value_grad(w):
        return float(w[0] ** 2), np.array([2 * w[0], 0.0])

    surface = type("Flat", (), {"value_grad": staticmethod(value_grad)})
    for variant in VARIANTS:
        assert all(s.w[1] == 3.0 for s in path(surface, np.array([1.0, 3.0]), Rprop(variant), 20))


def test_the_first_steps_are_drawn_from_their_range():
    objective = Objective(Network((20, 30, 1)), "squared_error", np.eye(20), np.ones(20))
    w = objective.network.initial_weights(0)
    drawn = [Rprop(first_step=(0.05, 0.2), seed=seed).start(objective, w).sizes for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert 0.05 <= drawn[0].min() < 0.06 < 0.19 < drawn[0].max() <= 0.2
    assert np.array_equal(Rprop().start(objective, w).sizes, np.full(w.shape, 0.07))
    assert Rprop(first_step=[0.05, 0.2]) == Rprop(first_step=(0.05, 0.2))


class Cliff:
    """The square of w, but NaN below a limit."""

    def __init__(self, limit):
        self.limit = limit

    def value_grad(self, w):
        bad = float("nan") if w[0] < self.limit else 1.0
        return bad * float(w @ w), bad * 2 * w


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_to_nothing_finite_is_taken_back(variant):
    states = path(Cliff(0.4), np.array([1.0]), Rprop(variant), 100)
    assert all(np.isfinite(s.loss) and np.all(np.isfinite(s.grad)) for s in states)
    assert any(np.array_equal(a.w, b.w) and np.all(b.sizes < a.sizes) for a, b in pairwise(states))
    assert 0.4 <= states[-1].w[0] < 0.41


def test_where_no_step_is_finite_it_is_stuck():
    method = Rprop()
    *_, last = path(Cliff(1.0), np.array([1.0]), method, 40)
    assert last.stuck == "even the smallest steps lead to a loss that is not finite"
    assert last.w[0] == 1.0


def test_variants_have_names():
    for variant in VARIANTS:
        assert methods.get(variant) == Rprop(variant)
    assert methods.get("trainrp", increase=1.1) == Rprop("rprop-", increase=1.1)


def test_float32_stays_float32(engine):
    network = Network(SINE.sizes, SINE.activations)
    objective = Objective(network, SINE.loss, SINE.X.astype(np.float32), SINE.T)
    objective.engine = engine(objective.network, objective.loss)
    for variant in VARIANTS:
        states = path(objective, network.initial_weights(0), Rprop(variant, first_step=(0.05, 0.1)), 60)
        assert all(array.dtype == np.float32 for array in states[-1] if isinstance(array, np.ndarray))
        assert states[-1].loss < 0.1 * states[0].loss


def test_a_gradient_that_is_a_view_is_read_as_it_is():
    class Sloped:
        @staticmethod
        def value_grad(w):
            return float(w @ w), np.column_stack([2 * w, w])[:, 0]

    *_, last = (state for state, _ in zip(steps(Sloped(), np.array([1.0, -2.0]), Rprop()), range(60), strict=False))
    assert np.abs(last.w).max() < 0.1
