"""Seeded faults must be caught by the very checks that the engines pass: who tests the tests."""

from dataclasses import replace

import numpy as np
import pytest

from checks import (
    check_differences,
    check_epoch,
    check_gauss_newton,
    check_gradient,
    check_predict,
    make_case,
)
from deltarule.activations import ACTIVATIONS, Activation
from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.network import Network
from test_activations import ORDINARY, check_row


def refuses(check, engine, case, **settings):
    """Return whether a check fails, having passed on the sound engine."""
    check(ArrayEngine(case.network, case.loss), case, **settings)
    with pytest.raises(AssertionError, match="off by"):
        check(engine, case, **settings)


def with_slope(case, layer, df):
    """Return an engine whose layer has another derivative."""
    rows = list(case.network.activations)
    rows[layer] = replace(rows[layer], df=df)
    return ArrayEngine(Network(case.network.sizes, rows), case.loss)


SMOOTH = [name for name in ACTIVATIONS if name not in ("identity", "softmax")]
SAME_AT_Y = ("relu", "leaky_relu", "hard_tanh")
"""For these the fault is none: the slope at y is that at e."""
CASE = {"sizes": (2, 4, 2), "n": 6}


@pytest.mark.promise("P1")
@pytest.mark.parametrize("layer", [0, 1], ids=["hidden", "output"])
@pytest.mark.parametrize("name", SMOOTH)
def test_slope_left_out(name, layer):
    case = make_case(name, **CASE)
    engine = with_slope(case, layer, lambda xp, e, y: xp.ones_like(e))
    refuses(check_gradient, engine, case)
    refuses(check_differences, engine, case)
    refuses(check_gauss_newton, engine, case)
    refuses(check_epoch, engine, case)


@pytest.mark.promise("P1")
@pytest.mark.parametrize("layer", [0, 1], ids=["hidden", "output"])
@pytest.mark.parametrize("name", [name for name in SMOOTH if name not in SAME_AT_Y])
def test_slope_at_the_output_instead_of_the_input(name, layer):
    """φ′(out) for φ′(net)."""
    row, case = ACTIVATIONS[name], make_case(name, **CASE)
    engine = with_slope(case, layer, lambda xp, e, y: row.df(xp, y, row.f(xp, y)))
    refuses(check_gradient, engine, case)
    refuses(check_differences, engine, case)
    if name != "exponential":  # where exp(exp(e)) overflows in an epoch
        refuses(check_epoch, engine, case)


class UpdatesTooEarly(ArrayEngine):
    """Moves the output weights first and takes the hidden δ from the moved ones."""

    def epoch(self, w, memory, count, rows, order, update):
        w, total, hidden = w.copy(), 0.0, self.network.spans[-1][0]
        for start in range(0, len(order), update.batch_size):
            taken = order[start : start + update.batch_size]
            batch = Rows(*(None if A is None else A[taken] for A in rows))
            value, grad = self.value_grad(w, batch)
            w[hidden:] -= update.rate * grad[hidden:] / len(taken)
            moved = w.copy()
            # what arrived and went out is still that of the old weights; only the way back is through the new
            passed = self._forward(np, list(self.network.layers(self.before(w, grad, hidden, update, taken))), batch.X)
            descent = np.zeros_like(w)
            signal = self._output_signal(np, passed, batch)
            self._backward(np, list(self.network.layers(moved)), passed, signal, list(self.network.layers(descent)))
            w[:hidden] += update.rate * descent[:hidden] / len(taken)
            total, count = total + value, count + 1
        return w, memory, count, total

    @staticmethod
    def before(w, grad, hidden, update, taken):
        old = w.copy()
        old[hidden:] += update.rate * grad[hidden:] / len(taken)
        return old


@pytest.mark.promise("P1")
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("name", ["tanh", "logistic", "relu"])
def test_weights_updated_too_early(name, batch_size):
    case = make_case(name, **CASE)
    refuses(check_epoch, UpdatesTooEarly(case.network, case.loss), case, batch_size=batch_size)


class SumForMean(ArrayEngine):
    """Takes the sum over a mini-batch for its mean."""

    def epoch(self, w, memory, count, rows, order, update):
        return super().epoch(w, memory, count, rows, order, update._replace(rate=update.rate * update.batch_size))


class ForgetsWeights(ArrayEngine):
    """Ignores sample weights."""

    def value_grad(self, w, rows):
        return super().value_grad(w, rows._replace(s=None))


class PenalisesBiases(ArrayEngine):
    """Pulls biases to 0 as well."""

    def epoch(self, w, memory, count, rows, order, update):
        moved, *rest = super().epoch(w, memory, count, rows, order, update)
        return moved - update.rate * update.l2 * w * self.network.is_bias(), *rest


class SkipsARow(ArrayEngine):
    """Leaves out the last row of a block."""

    def value_grad(self, w, rows):
        return super().value_grad(w, Rows(*(None if A is None else A[:-1] for A in rows)))


class WrongCurvature(ArrayEngine):
    """Takes the curvature of squared error for every loss."""

    def _curvature(self, xp, passed, rows):
        return xp.ones_like(passed.Y[-1])


class SwapsOutputs(ArrayEngine):
    """Returns the outputs in another order."""

    def predict(self, w, X):
        return super().predict(w, X)[:, ::-1]


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    ("mutant", "check", "settings"),
    [
        (SumForMean, check_epoch, {"batch_size": 2}),
        (ForgetsWeights, check_gradient, {}),
        (PenalisesBiases, check_epoch, {"l2": 0.1}),
        (SkipsARow, check_gradient, {}),
        (WrongCurvature, check_gauss_newton, {}),
        (SwapsOutputs, check_predict, {}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_other_faults(mutant, check, settings):
    case = make_case("tanh", "log_cosh", weighted=True)
    refuses(check, mutant(case.network, case.loss), case, **settings)


@pytest.mark.promise("P1")
@pytest.mark.parametrize("factor", [1 + 1e-12, 1 - 1e-12])
def test_the_bound_is_tight(factor):
    """A gradient wrong in the twelfth digit is caught."""

    class Blurred(ArrayEngine):
        def value_grad(self, w, rows):
            value, grad = super().value_grad(w, rows)
            return value, grad * factor

    case = make_case()
    refuses(check_gradient, Blurred(case.network, case.loss), case)


@pytest.mark.promise("P1")
@pytest.mark.parametrize(
    ("name", "df"),
    [
        ("logistic", lambda xp, e, y: y * (1 - y)),
        ("tanh", lambda xp, e, y: 1 - y * y),
        ("softplus", lambda xp, e, y: 1 - xp.exp(-y)),
    ],
)
def test_slopes_from_a_rounded_output_are_caught(name, df):
    """y (1 − y) after y has been rounded to 1 is not f′."""
    row, points = ACTIVATIONS[name], ORDINARY[::8]
    check_row(row, points, 50, np.float64)
    with pytest.raises(AssertionError):
        check_row(Activation(name, row.f, df), points, 50, np.float64)
