"""Scaled conjugate gradients: the first step by hand, the paper's loops, refusals, and ends that are honest."""

from itertools import islice, pairwise

import numpy as np
import pytest

import reference_methods as reference
from deltarule import Network, Objective, steps
from deltarule.methods import ScaledConjugateGradient
from problems import SINE, SURFACES
from test_rprop import Cliff, as_lists


def path(objective, w, method, n):
    return list(islice(steps(objective, w, method), n + 1))


def test_the_first_step_by_hand():
    """E = ½ (2 x² + 4 y²) at (1, 1): g = (2, 4), c = g·H g = 72, μ = g·g = 20, λ = 0.1: a = 20 / (72 + 0.1 · 20)."""

    class Bowl:
        @staticmethod
        def value_grad(w):
            slopes = np.array([2.0, 4.0]) * w
            return 0.5 * float(w @ slopes), slopes

    start, after = path(Bowl, np.ones(2), ScaledConjugateGradient(damping=0.1), 1)
    a = 20 / 74
    assert start.damping == 0.1
    # the difference of gradients over 5e-5 loses five digits of sixteen
    assert after.w == pytest.approx([1 - 2 * a, 1 - 4 * a], rel=1e-10)
    # Δ = 2 δ (E − E′) / μ² with E = 3 and E′ = (1 − 2a)² + 2 (1 − 4a)²
    agreement = 2 * 74 * (3 - (1 - 2 * a) ** 2 - 2 * (1 - 4 * a) ** 2) / 400
    assert after.agreement == pytest.approx(agreement, rel=1e-9)
    assert after.damping == 0.1 / 4
    # β = (g′·g′ − g′·g) / μ
    g, before = np.array([2 - 4 * a, 4 - 16 * a]), np.array([2.0, 4.0])
    beta = (g @ g - g @ before) / 20
    assert after.restart in ("", "the direction is too far from the gradient")
    if not after.restart:
        assert after.direction == pytest.approx(-g - beta * before, rel=1e-8)


@pytest.mark.parametrize("every", [None, 2, 16])
def test_it_is_the_papers_algorithm(every):
    """Rounding, magnified by the differences of gradients, grows from step to step: seven digits of ten steps."""
    network = Network(SINE.sizes, SINE.activations)
    objective = Objective(network, SINE.loss, SINE.X, SINE.T)
    w = network.initial_weights(1)
    states = path(objective, w, ScaledConjugateGradient(restart_every=every, preconditioned=False), 10)
    expected = reference.scaled_conjugate_gradient(as_lists(objective.value_grad), w.tolist(), 10, restart_every=every)
    for state, at in zip(states, expected, strict=True):
        assert state.w == pytest.approx(at, rel=1e-7, abs=1e-7)
    if every == 2:
        assert "as many steps as asked" in {s.restart for s in states}


def test_negative_curvature_and_refusals_are_the_papers():
    """From Rosenbrock's start and from beside a hilltop, where δ is made positive and steps are refused."""
    for surface, start in [(SURFACES[0], SURFACES[0].start), (SURFACES[1], np.array([0.1, 1.3]))]:
        states = path(surface, start, ScaledConjugateGradient(), 8)
        expected = reference.scaled_conjugate_gradient(as_lists(surface.value_grad), start.tolist(), 8)
        for state, at in zip(states, expected, strict=True):
            assert state.w == pytest.approx(at, rel=1e-6, abs=1e-6)
    assert any(s.refused for s in path(SURFACES[0], SURFACES[0].start, ScaledConjugateGradient(), 20))


@pytest.mark.promise("P11")
def test_each_step_descends_and_tells_why_it_starts_afresh(surface):
    for before, after in pairwise(path(surface, surface.start, ScaledConjugateGradient(), 150)):
        if after.stuck:
            break
        assert after.loss <= before.loss
        assert (after.since == 0) == bool(after.restart)
        if after.restart:
            assert np.array_equal(after.direction, -after.grad)
        else:
            assert after.grad @ after.direction < 0 or not after.grad.any()


@pytest.mark.parametrize("surface_name", ["rosenbrock", "beale", "quadratic"])
def test_at_the_bottom_it_ends(surface_name):
    surface = next(s for s in SURFACES if s.name == surface_name)
    last = next(s for s in islice(steps(surface, surface.start, "scg"), 300) if s.stuck)
    assert last.stuck in ("the gradient is zero", "no step along the negative gradient lowers the loss")
    assert np.linalg.norm(last.w - surface.minimum) < 1e-6


def test_where_nothing_is_finite_it_is_stuck():
    start, after = path(Cliff(1.0), np.array([1.0]), ScaledConjugateGradient(), 1)
    assert after.stuck == "no step along the negative gradient lowers the loss"
    assert np.array_equal(after.w, start.w)


def test_float32_stays_float32(engine):
    network = Network(SINE.sizes, SINE.activations)
    objective = Objective(network, SINE.loss, SINE.X.astype(np.float32), SINE.T)
    objective.engine = engine(objective.network, objective.loss)
    # float32 gradients are compared over a longer way
    states = path(objective, network.initial_weights(0), ScaledConjugateGradient(sigma=1e-3), 60)
    assert all(array.dtype == np.float32 for array in states[-1] if isinstance(array, np.ndarray))
    assert states[-1].loss < 0.1 * states[0].loss
