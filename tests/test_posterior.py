"""The spread of predictions: exact on linear networks, and as wide as the errors are on others."""

import numpy as np
import pytest

from deltarule import Network, Objective, posterior, predict, train
from deltarule.engines.array import ArrayEngine
from deltarule.errors import InputError, SettingError
from deltarule.losses import LOSSES
from deltarule.stopping import MaxSteps
from problems import LINE, least_squares

NOISE = np.array([0.1, 0.3])


def test_on_a_linear_network_it_is_the_textbooks(engine):
    """The t-interval's width of ordinary least squares: σ² (1 + x' (X'X)⁻¹ x), σ² with n − p degrees of freedom."""
    network, w = Network(LINE.sizes, LINE.activations), least_squares(LINE)
    objective = Objective(network, LINE.loss, LINE.X, LINE.T, engine=engine(network, LOSSES[LINE.loss]))
    found = posterior.laplace(objective, w)
    A = np.hstack([LINE.X, np.ones((40, 1))])
    noise = np.sum((predict(network, w, LINE.X) - LINE.T) ** 2, axis=0) / (40 - 4)
    X = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    B = np.hstack([X, np.ones((2, 1))])
    spread = np.sum(B @ np.linalg.inv(A.T @ A) * B, axis=1)
    std = posterior.std(network, w, found.factor, found.noise, X)
    assert found.determined == pytest.approx(8)
    assert np.allclose(found.noise, noise, rtol=1e-10)
    assert np.allclose(std, np.sqrt(noise * (1 + spread[:, None])), rtol=1e-10)


def test_the_jacobian_is_the_outputs_derivative():
    rng = np.random.default_rng(0)
    network = Network((2, 3, 2), ("tanh", "logistic"))
    w, X, h = network.initial_weights(0), rng.normal(size=(5, 2)), 1e-6
    J = ArrayEngine(network, LOSSES["squared_error"]).jacobian(w, X)
    for i in range(len(w)):
        step = h * (np.arange(len(w)) == i)
        slope = (predict(network, w + step, X) - predict(network, w - step, X)) / (2 * h)
        assert np.allclose(J[:, :, i], slope, rtol=0, atol=1e-9)


def mean(X):
    return np.hstack([np.sin(3 * X[:, :1]) + X[:, 1:], X[:, :1] * X[:, 1:]])


@pytest.fixture(scope="module", params=["lm", "trainbr"])
def coverage(request):
    """How often new observations, and the mean, lie within 1.96 std, over seeds, for both outputs."""
    shares = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, Z = rng.uniform(-1, 1, (200, 2)), rng.uniform(-0.95, 0.95, (1000, 2))
        T, new = (mean(rows) + NOISE * rng.normal(size=(len(rows), 2)) for rows in (X, Z))
        network = Network((2, 8, 2))
        l2 = 1e-4 if request.param == "lm" else 0.0
        objective = Objective(network, "squared_error", X, T, l2=l2)
        state = train(objective, network.initial_weights(seed), request.param, [MaxSteps(150)]).state
        precisions = (state.alpha, state.beta) if request.param == "trainbr" else ()
        found = posterior.laplace(objective, state.w, *precisions)
        y = predict(network, state.w, Z)
        std = posterior.std(network, state.w, found.factor, found.noise, Z)
        alone = np.sqrt(std**2 - found.noise)
        shares.append([np.abs(new - y) < 1.96 * std, np.abs(mean(Z) - y) < 1.96 * alone])
    return np.mean(shares, axis=(0, 2))


def test_new_observations_lie_where_it_says(coverage):
    assert np.all((coverage[0] > 0.92) & (coverage[0] < 0.98))


def test_the_mean_lies_about_where_it_says(coverage):
    """Less often than the 95 % of a linear network: what the eight hidden neurons cannot do is not in the spread."""
    assert np.all((coverage[1] > 0.85) & (coverage[1] < 0.99))


def test_the_penalty_of_bayesian_regularization_counts_once():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 2))
    objective = Objective(Network((2, 3, 1)), "squared_error", X, np.tanh(X[:, 0]) + 0.1 * rng.normal(size=50))
    state = train(objective, objective.network.initial_weights(0), "trainbr", [MaxSteps(200)]).state
    found = posterior.laplace(objective, state.w, state.alpha, state.beta)
    assert found.determined == pytest.approx(state.gamma, rel=1e-9)
    assert found.noise == pytest.approx(1 / state.beta, rel=1e-3)


def test_weights_that_nothing_determines_leave_it_finite():
    """A hidden neuron without influence: its weights are open, and no output depends on them."""
    network = Network((1, 2, 1))
    w = np.array([1.0, 3.0, 0.0, 0.5, 2.0, 0.0, 0.1])
    X = np.linspace(-1, 1, 30)[:, None]
    objective = Objective(network, "squared_error", X, predict(network, w, X) + 0.1 * np.cos(40 * X))
    found = posterior.laplace(objective, w)
    std = posterior.std(network, w, found.factor, found.noise, X)
    assert np.all((std > 0.05) & (std < 0.2))


def test_blocks_of_rows_are_the_rows(monkeypatch):
    network = Network((2, 4, 3))
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(50, 2)), network.initial_weights(0)
    factor, noise = rng.normal(size=(27, 27)), np.ones(3)
    whole = posterior.std(network, w, factor, noise, X)
    monkeypatch.setattr(posterior, "JACOBIAN_NUMBERS", 7 * 27 * 3)
    assert whole.shape == (50, 3)
    assert np.allclose(posterior.std(network, w, factor, noise, X), whole, rtol=1e-12)
    assert posterior.std(network, w, factor, noise, X[:0]).shape == (0, 3)


def test_what_has_no_such_spread_is_refused():
    network, X = Network((1, 2, 1)), np.linspace(0, 1, 5)[:, None]
    w = network.initial_weights(0)
    with pytest.raises(SettingError, match="loss was absolute_error; the spread of predictions is known for squared"):
        posterior.laplace(Objective(network, "absolute_error", X, X), w)
    objective = Objective(network, "squared_error", X, X)
    with pytest.raises(SettingError, match="The posterior stores a 7 × 7 matrix"):
        posterior.laplace(objective, w, memory=100.0)
    with pytest.raises(SettingError, match=r"alpha and beta were -1.0 and 1.0"):
        posterior.laplace(objective, w, -1.0)
    with pytest.raises(InputError, match=r"5 rows determine all 7.0 weights"):
        posterior.laplace(objective, w)
