"""Truncated Gauss-Newton: exact directions where there is room, the border of the trust region where there is none."""

from itertools import islice, pairwise

import numpy as np
import pytest

from deltarule import Network, Objective, steps, train
from deltarule.errors import SettingError
from deltarule.losses import LOSSES
from deltarule.methods import NewtonCG
from deltarule.methods.newton_cg import steihaug
from deltarule.stopping import Goal, MaxSteps, Reason
from problems import CENTRE, HESSIAN, LINE, SINE, SURFACES, least_squares

QUADRATIC = next(s for s in SURFACES if s.name == "quadratic")


def product(v):
    return HESSIAN @ v


def test_with_room_the_step_is_newtons():
    g = HESSIAN @ -CENTRE
    found = steihaug(product, g, 1e6, 1e-10 * np.linalg.norm(g), 50)
    assert np.allclose(found.d, np.linalg.solve(HESSIAN, -g), rtol=0, atol=1e-8)
    assert np.allclose(found.Hd, HESSIAN @ found.d, rtol=0, atol=1e-10)
    assert not found.at_border
    assert found.products == 5
    first, second = islice(steps(QUADRATIC, QUADRATIC.start, NewtonCG(radius=1e2, tolerance=1e-12)), 2)
    assert np.allclose(second.w, CENTRE, rtol=0, atol=1e-8)
    assert second.ratio == pytest.approx(1)
    assert first.radius == second.radius == 100


@pytest.mark.parametrize("radius", [1e-6, 0.1, 1.0, 3.0])
def test_the_trust_radius_is_respected(radius):
    g = HESSIAN @ -CENTRE
    found = steihaug(product, g, radius, 1e-10, 50)
    assert np.linalg.norm(found.d) == pytest.approx(radius, rel=1e-12)
    assert found.at_border
    cauchy = -radius * g / np.linalg.norm(g)
    t = min(1.0, -(g @ cauchy) / (cauchy @ HESSIAN @ cauchy))
    model = [g @ d + 0.5 * d @ HESSIAN @ d for d in (found.d, t * cauchy)]
    assert model[0] <= model[1] * (1 - 1e-12)  # at least what steepest descent would promise


def test_without_curvature_it_goes_to_the_border():
    g = np.array([3.0, -4.0])
    found = steihaug(lambda v: 0 * v, g, 2.0, 1e-10, 50)
    assert found.d == pytest.approx([-1.2, 1.6])
    assert found.at_border


def test_products_are_limited():
    found = steihaug(product, HESSIAN @ -CENTRE, 1e6, 0.0, 3)
    assert found.products == 3
    assert not found.at_border


def test_the_region_shrinks_until_a_trial_descends():
    surface = next(s for s in SURFACES if s.name == "rosenbrock")
    states = list(islice(steps(surface, surface.start, NewtonCG(radius=100.0)), 40))
    assert any(s.trials > 1 for s in states)
    assert all(b.loss < a.loss for a, b in pairwise(states) if a.grad.any() and not b.stuck)
    for a, b in pairwise(states):
        assert np.linalg.norm(b.w - a.w) <= a.radius * (1 + 1e-12)


def test_a_linear_network_is_solved(engine):
    network = Network(LINE.sizes, LINE.activations)
    objective = Objective(network, LINE.loss, LINE.X, LINE.T, engine=engine(network, LOSSES[LINE.loss]))
    result = train(objective, network.initial_weights(0), NewtonCG(), [MaxSteps(30)])
    assert np.allclose(result.w, least_squares(LINE), rtol=0, atol=1e-6)


def test_it_learns_the_sine(engine):
    network = Network(SINE.sizes, SINE.activations)
    objective = Objective(network, SINE.loss, SINE.X, SINE.T, engine=engine(network, LOSSES[SINE.loss]))
    result = train(objective, network.initial_weights(0), "hf", [Goal(1e-5), MaxSteps(500)])
    assert result.reason is Reason.GOAL


def test_a_zero_gradient_ends_it():
    result = train(QUADRATIC, QUADRATIC.minimum, "newton_cg", [MaxSteps(5)])
    assert result.message == "No further descent was found: the gradient is zero."


def test_a_valley_without_end_is_given_up():
    class Wrong:
        """A gradient that points the wrong way: nothing descends."""

        def value_grad(self, w):
            """Return the square and minus its slope."""
            return float(w @ w), -2 * w

        def gauss_newton_product(self, w, v):
            """Return twice v."""
            return 2 * v

    result = train(Wrong(), np.ones(2), "newton_cg", [MaxSteps(5)])
    assert result.reason is Reason.NO_DESCENT
    assert "however small the trust region" in result.message


def test_a_loss_without_curvature_is_refused():
    objective = Objective(Network((1, 3, 1)), "absolute_error", SINE.X, SINE.T)
    with pytest.raises(SettingError, match="curvature"):
        list(islice(steps(objective, np.ones(10), "newton_cg"), 2))
