"""Variable projection: the last layer is always the best one, and its objective is one in the hidden weights alone."""

import numpy as np
import pytest

from deltarule import Network, Objective, methods, projection, steps, train
from deltarule.activations import Activation
from deltarule.engines import last_layer
from deltarule.engines.array import ArrayEngine
from deltarule.methods import LevenbergMarquardt
from deltarule.stopping import MaxSteps

EPS = np.finfo(float).eps


def made(engine, sizes=(2, 4, 3), n=60, l2=0.0, weighted=False, dtype=np.float64, activations="tanh", seed=0):
    """Return an objective on random rows, and random weights."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, sizes[0])).astype(dtype)
    T = np.stack([np.sin(2 * X[:, 0] + k) + X[:, -1] ** 2 for k in range(sizes[-1])], axis=1)
    s = rng.uniform(0, 2, n) if weighted else None
    network = Network(sizes, activations)
    objective = Objective(network, "squared_error", X, T, s, l2)
    objective.engine = engine(network, objective.loss)
    return objective, network.initial_weights(seed).astype(dtype)


CASES = {
    "plain": {"sizes": (2, 4, 1)},
    "outputs": {},
    "penalty": {"l2": 0.01},
    "weights": {"weighted": True},
    "deep": {"sizes": (2, 5, 4, 2), "l2": 0.1, "weighted": True},
}


@pytest.fixture(params=CASES)
def case(request, engine):
    return made(engine, **CASES[request.param])


def best_last_layer(objective, w):
    """Return w with the last layer from lstsq on the rows: each row times √s, a row √(n l2) for each weight."""
    network, (X, T, s) = objective.network, objective.rows
    first = network.spans[-1][0]
    hidden = ArrayEngine(Network(network.sizes[:-1], network.activations[:-1]), objective.loss)
    Y = np.hstack([hidden.predict(w[:first], X), np.ones((len(X), 1))])
    root = np.ones(len(X)) if s is None else np.sqrt(s)
    width = Y.shape[1] - 1
    ridge = np.sqrt(len(X) * objective.l2) * np.eye(width, width + 1)
    A = np.vstack([Y * root[:, None], ridge])
    B = np.vstack([T * root[:, None], np.zeros((width, T.shape[1]))])
    best = np.linalg.lstsq(A, B, rcond=None)[0]
    return np.concatenate([w[:first], best[:-1].T.ravel(), best[-1]]), np.linalg.cond(A)


def test_the_last_layer_is_the_best(case):
    objective, w = case
    settled = projection.of(objective).settled(w)
    best, condition = best_last_layer(objective, w)
    # the normal equations square the condition; the refinement takes most of that back
    assert np.max(np.abs(settled - best)) <= 100 * EPS * condition**2 * np.max(np.abs(best))
    assert objective.value(settled) <= objective.value(best) * (1 + 100 * EPS)


def test_it_is_a_function_of_the_hidden_weights_alone(case):
    objective, w = case
    projected = projection.of(objective)
    settled = projected.settled(w)
    moved = w.copy()
    moved[objective.network.spans[-1][0] :] = 7.0
    assert np.array_equal(projection.of(objective).settled(moved), settled)
    assert np.array_equal(projection.of(objective).settled(settled), settled)
    assert np.array_equal(projected.settled(w), settled)
    assert projected.value(moved) == projected.value(w) == objective.value(settled)


def test_nothing_is_computed_twice(engine):
    objective, w = made(engine)
    projected = projection.of(objective)
    settled = projected.settled(w)
    assert projected.settled(w) is settled
    assert projected.settled(settled) is settled


def test_the_gradient_is_that_of_the_projected_value(case):
    objective, w = case
    projected = projection.of(objective)
    value, grad = projected.value_grad(w)
    first, h = objective.network.spans[-1][0], EPS ** (1 / 3)
    differences = np.zeros_like(w)
    for i in range(len(w)):
        step = h * (np.arange(len(w)) == i)
        differences[i] = (projected.value(w + step) - projected.value(w - step)) / (2 * h)
    assert value == pytest.approx(projected.value(w), rel=100 * EPS)
    assert not grad[first:].any()
    assert not differences[first:].any()
    # h² third derivatives and rounding / h, both of the order of EPS^⅔
    assert np.max(np.abs(grad - differences)) <= 300 * h * h


def test_kaufmans_matrix_is_the_schur_complement(case):
    """Elimination in plain loops: one pivot after another, from the last weight to the first of the last layer."""
    objective, w = case
    projected = projection.of(objective)
    value, grad, H = projected.gauss_newton(w)
    whole = objective.gauss_newton(projected.settled(w))[2]
    p, first = len(w), objective.network.spans[-1][0]
    S = [list(row) for row in whole]
    for k in range(p - 1, first - 1, -1):
        for i in range(k):
            share = S[i][k] / S[k][k]
            for j in range(k):
                S[i][j] -= share * S[k][j]
    expected = np.array(S)[:first, :first]
    bound = 1000 * EPS * np.linalg.cond(whole[first:, first:]) * np.max(np.abs(whole))
    assert np.max(np.abs(H[:first, :first] - expected)) <= bound
    assert np.array_equal(H[first:, first:], whole[first:, first:])
    assert not H[:first, first:].any()
    assert not H[first:, :first].any()
    assert value == pytest.approx(projected.value(w), rel=100 * EPS)
    assert np.allclose(grad, projected.value_grad(w)[1], rtol=0, atol=100 * EPS)


def test_collinear_and_dead_hidden_units_do_no_harm(engine):
    """Two neurons are the same and one never fires: the best last layer is not unique, its loss is."""
    objective, w = made(engine, (2, 5, 2), activations="relu")
    W, b = next(iter(objective.network.layers(w)))
    W[1], b[1] = W[0], b[0]
    W[2], b[2] = 0, -1
    projected = projection.of(objective)
    best, _ = best_last_layer(objective, w)
    assert projected.value(w) == pytest.approx(objective.value(best), rel=1e-10)
    assert np.max(np.abs(projected.settled(w))) < 100
    *_, H = projected.gauss_newton(w)
    assert np.all(np.isfinite(H))
    assert np.linalg.eigvalsh(H)[0] >= -1e-8 * np.max(H)


def test_small_errors_are_reached(engine):
    """An ill-conditioned fit: values come from residuals, and one refinement takes back what squaring has cost."""
    X = np.linspace(-1, 1, 500)[:, None]
    network = Network((1, 12, 1))
    w = 0.1 * network.initial_weights(3) + 1e-3 * np.random.default_rng(0).normal(size=37)
    objective = Objective(network, "squared_error", X, np.cos(2 * X), engine=engine(network, made(engine)[0].loss))
    best, condition = best_last_layer(objective, w)
    assert condition > 5e5
    assert projection.of(objective).value(w) == pytest.approx(objective.value(best), rel=1e-3)
    assert objective.value(best) < 2e-11


def test_blocks_of_rows_add_up(engine, monkeypatch):
    objective, w = made(engine, n=100, weighted=True, l2=0.01)
    whole = projection.of(objective).settled(w)
    monkeypatch.setattr(last_layer, "BLOCK_NUMBERS", 28)
    in_parts = projection.of(objective).settled(w)
    assert np.allclose(whole, in_parts, rtol=0, atol=1e-10)


def test_float32_stays_float32(engine):
    objective, w = made(engine, dtype=np.float32)
    projected = projection.of(objective)
    value, grad, H = projected.gauss_newton(w)
    assert {a.dtype for a in (projected.settled(w), grad, H)} == {np.dtype(np.float32)}
    double, v = made(engine)
    assert value == pytest.approx(projection.of(double).value(v), rel=1e-3)


@pytest.mark.parametrize(
    ("sizes", "activations", "loss"),
    [
        ((2, 3), "identity", "squared_error"),
        ((2, 4, 3), ("tanh", "tanh"), "squared_error"),
        ((2, 4, 3), "tanh", "absolute_error"),
        ((2, 4, 3), "tanh", "huber"),
    ],
)
def test_what_is_not_linear_least_squares_is_left_alone(sizes, activations, loss):
    objective = Objective(Network(sizes, activations), loss, np.ones((2, 2)), np.zeros((2, 3)))
    assert projection.of(objective) is objective
    assert projection.of("anything") == "anything"


def test_outputs_that_would_fit_any_targets_are_left_to_be_trained():
    rows = made(ArrayEngine)[0].rows
    for n, l2, projects in ((5, 0.0, False), (6, 0.0, True), (5, 1e-3, True)):
        few = Objective(Network((2, 4, 3)), "squared_error", rows.X[:n], rows.T[:n], l2=l2)
        assert (projection.of(few) is not few) == projects


def test_rows_that_weigh_nothing_do_not_count():
    rows = made(ArrayEngine)[0].rows
    s = (np.arange(60) < 5).astype(float)
    assert projection.of(few := Objective(Network((2, 4, 3)), "squared_error", rows.X, rows.T, s)) is few
    s[5] = 1
    enough = Objective(Network((2, 4, 3)), "squared_error", rows.X, rows.T, s)
    assert projection.of(enough) is not enough


def test_an_engine_of_ones_own_need_not_know_of_it():
    objective, w = made(ArrayEngine)

    class Own:
        def __init__(self, engine):
            self.value, self.value_grad = engine.value, engine.value_grad
            self.gauss_newton, self.working = engine.gauss_newton, engine.working

    objective.engine = Own(objective.engine)
    for method in ("lbfgs", "cg", "scg", "lm"):
        assert train(objective, w, method, [MaxSteps(5)]).loss < objective.value(w)


def test_an_objective_of_ones_own_is_left_alone():
    """What it does to values and gradients would not be known to the solution of the last layer."""

    class Held(Objective):
        def value_grad(self, w):
            value, grad = super().value_grad(w)
            return value, grad * (np.arange(len(grad)) != 3)

    rows = made(ArrayEngine)[0].rows
    held = Held(Network((2, 4, 3)), "squared_error", rows.X, rows.T)
    w = held.network.initial_weights(0)
    assert projection.of(held) is held
    for method in ("lbfgs", "cg", "scg"):
        assert train(held, w, method, [MaxSteps(10)]).w[3] == w[3]


def test_a_projection_is_not_projected_again():
    projected = projection.of(made(ArrayEngine)[0])
    assert projection.of(projected) is projected
    assert (projected.n_rows, projected.n_weights) == (60, 27)


def test_a_users_own_activation_is_projected_too():
    own = Activation("own", lambda xp, e: e / (1 + e * e), lambda xp, e, y: (1 - e * e) / (1 + e * e) ** 2)
    network = Network((2, 4, 3), own)
    rows = made(ArrayEngine)[0].rows
    objective, w = Objective(network, "squared_error", rows.X, rows.T), network.initial_weights(0, "glorot")
    assert projection.of(objective).value(w) < objective.value(w)


def test_weights_that_are_not_finite_give_a_loss_that_is_not(engine):
    objective, w = made(engine)
    w[0] = np.nan
    with np.errstate(all="ignore"):
        assert np.isnan(projection.of(objective).value(w))


def test_with_and_without_projection_the_minimum_is_the_same():
    objective, w = made(ArrayEngine, (2, 2, 1), l2=1e-3)
    end = train(objective, w, "lm", [MaxSteps(300)])
    near = end.w + 0.01 * np.random.default_rng(0).normal(size=w.shape)
    again = [train(objective, near, LevenbergMarquardt(projection=on), [MaxSteps(300)]) for on in (True, False)]
    for result in again:
        assert result.loss == pytest.approx(end.loss, rel=1e-12)
        assert np.allclose(result.w, end.w, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", ["lbfgs", "cg", "scaled_conjugate_gradient"])
def test_first_order_methods_gain_by_it(method):
    objective, w = made(ArrayEngine, (2, 5, 1), l2=1e-4)
    ends = [train(objective, w, methods.get(method, projection=on), [MaxSteps(40)]) for on in (True, False)]
    assert ends[0].loss < ends[1].loss
    assert ends[0].loss == pytest.approx(objective.value(ends[0].w), rel=1e-12)


def test_the_states_of_a_run_are_settled():
    objective, w = made(ArrayEngine)
    for _, state in zip(range(5), steps(objective, w, "lm"), strict=False):
        assert np.array_equal(projection.of(objective).settled(state.w), state.w)
        assert state.loss == pytest.approx(objective.value(state.w), rel=1e-12)
