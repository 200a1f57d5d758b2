"""Facts about "why the derivative" that the documentation states, checked on random networks."""

import numpy as np
import pytest

import reference
from checks import gradient_bound, make_case
from deltarule import losses
from deltarule.activations import ACTIVATIONS, Activation
from deltarule.engines.array import ArrayEngine
from deltarule.network import Network
from reference import REAL


def without_slope(name):
    """Return an activation whose f′ is left out: 1, and for softmax the identity instead of its matrix."""
    row = ACTIVATIONS[name]
    return Activation(name, row.f, lambda xp, e, y: xp.ones_like(e))


@pytest.mark.parametrize(
    ("output", "cross_entropy"), [("logistic", "binary_cross_entropy"), ("softmax", "cross_entropy")]
)
def test_leaving_out_the_slope_at_the_output_is_cross_entropy(output, cross_entropy):
    """Fact 3: at a logistic or softmax output it is exactly gradient descent on cross-entropy instead."""
    for seed in range(5):
        case = make_case(output, cross_entropy, seed=seed)
        hidden = case.network.activations[0]
        careless = Network(case.network.sizes, (hidden, without_slope(output)))
        squared = ArrayEngine(careless, losses.get("squared_error")).value_grad(case.w, case.rows)[1]
        entropy = ArrayEngine(case.network, case.loss).value_grad(case.w, case.rows)[1]
        assert np.all(np.abs(squared - entropy) <= 2 * gradient_bound(case))


def test_one_row_one_output_one_hidden_layer_never_reverses():
    """Fact 1: there, leaving f′ out everywhere changes lengths, never directions."""
    for seed in range(20):
        case = make_case("logistic", sizes=(3, 4, 1), n=1, seed=seed)
        careless = Network(case.network.sizes, [without_slope("logistic")] * 2)
        squared = losses.get("squared_error")
        false = ArrayEngine(careless, squared).value_grad(case.w, case.rows)[1]
        true = ArrayEngine(case.network, squared).value_grad(case.w, case.rows)[1]
        assert np.array_equal(np.sign(false), np.sign(true))


def test_two_outputs_can_reverse_it():
    """Fact 2: rescaled terms no longer add up to the same sign. Somewhere among 50 networks they do not."""
    reversed_weights = 0
    for seed in range(50):
        case = make_case("logistic", sizes=(3, 4, 2), n=1, seed=seed)
        w = 3 * case.w
        careless = Network(case.network.sizes, [without_slope("logistic")] * 2)
        squared = losses.get("squared_error")
        false = ArrayEngine(careless, squared).value_grad(w, case.rows)[1]
        true = ArrayEngine(case.network, squared).value_grad(w, case.rows)[1]
        reversed_weights += np.sum(false * true < 0)
    assert reversed_weights > 0


def test_the_update_is_the_product_of_its_factors():
    """One online update: new weight = old weight + η · δ · f′(e) · input, each factor from the plain loops."""
    case = make_case("tanh", sizes=(2, 1), n=1)
    (x, t, _), w = case.listed()[0], case.w.tolist()
    E, Y = reference.forward(REAL, case.net, w, x)
    delta, slope = t[0] - Y[-1][0], reference.ACTIVATIONS["tanh"][1](REAL, E[0][0])
    by_hand = [w[0] + 0.5 * delta * slope * x[0], w[1] + 0.5 * delta * slope * x[1], w[2] + 0.5 * delta * slope]
    moved, _ = reference.epoch(case.net, w, case.listed(), [0], "plain", 0.5)
    assert moved == pytest.approx(by_hand, rel=8 * np.finfo(float).eps)
