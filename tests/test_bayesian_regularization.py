"""Bayesian regularisation: the evidence, its maximum, and what the record shows."""

from itertools import islice, pairwise

import numpy as np
import pytest

from deltarule import Network, Objective, steps, train
from deltarule.errors import SettingError
from deltarule.losses import LOSSES
from deltarule.methods import BayesianRegularization
from deltarule.methods.bayesian_regularization import determined
from deltarule.stopping import MaxSteps, Reason


def noisy(sizes=(1, 10, 1), n=100, seed=0, engine=None, **settings):
    """Return an objective on a sine with noise of deviation 0.1, and initial weights."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, sizes[0]))
    T = np.sin(3 * X.sum(axis=1, keepdims=True)) + 0.1 * rng.normal(size=(n, sizes[-1]))
    network = Network(sizes)
    if engine is not None:
        settings["engine"] = engine(network, LOSSES["squared_error"])
    return Objective(network, "squared_error", X, T, **settings), network.initial_weights(seed)


def log_evidence(alpha, beta, A, t):
    """Return log p(t | α, β) of t = A w + noise: t is normal with covariance 1/β + A A'/α (Bishop 2006, 3.5)."""
    C = np.eye(len(t)) / beta + A @ A.T / alpha
    return -0.5 * (len(t) * np.log(2 * np.pi) + np.linalg.slogdet(C)[1] + t @ np.linalg.solve(C, t))


def test_on_a_linear_network_it_maximises_the_evidence(engine):
    """There the evidence has a closed form: no neighbour of the α and β found has more."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 4))
    t = X @ np.array([1.0, -0.5, 0.1, 0.0]) + 0.3 + 0.4 * rng.normal(size=60)
    network = Network((4, 1))
    objective = Objective(network, "squared_error", X, t, engine=engine(network, LOSSES["squared_error"]))
    end = train(objective, np.zeros(5) + 0.1, "trainbr", [MaxSteps(100)]).state
    A = np.hstack([X, np.ones((60, 1))])
    assert end.log_evidence == pytest.approx(log_evidence(end.alpha, end.beta, A, t), rel=1e-9)
    for a, b in ((1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)):
        assert log_evidence(a * end.alpha, b * end.beta, A, t) < end.log_evidence
    ridge = np.linalg.solve(A.T @ A + end.alpha / end.beta * np.eye(5), A.T @ t)
    assert np.allclose(end.w, ridge, rtol=0, atol=1e-7)
    curvatures = np.linalg.eigvalsh(end.beta * A.T @ A)
    assert end.gamma == pytest.approx(np.sum(curvatures / (curvatures + end.alpha)), rel=1e-9)


def test_it_finds_the_noise_and_leaves_weights_undetermined(engine):
    objective, w = noisy(engine=engine)
    states = list(islice(steps(objective, w, "trainbr"), 150))
    assert all(0 < s.gamma < 31 for s in states)
    assert states[-1].beta == pytest.approx(100, rel=0.3)
    assert states[-1].gamma < 16
    assert states[-1].log_evidence > states[0].log_evidence + 100
    assert np.linalg.norm(states[-1].grad) < 1e-3 * np.linalg.norm(states[0].grad)


def test_the_loss_of_the_record_is_the_objectives_own():
    objective, w = noisy()
    for s in islice(steps(objective, w, "trainbr"), 10):
        assert s.loss == pytest.approx(objective.value(s.w), rel=1e-13)
        assert np.allclose(s.grad, objective.value_grad(s.w)[1] + s.alpha / (s.beta * 100) * s.w, rtol=0, atol=1e-13)


def test_every_step_lowers_what_it_makes_small():
    objective, w = noisy()
    for s, after in pairwise(islice(steps(objective, w, BayesianRegularization(damping="matlab")), 20)):
        ratio = s.alpha / (s.beta * 100)
        assert after.loss + 0.5 * ratio * after.w @ after.w < s.loss + 0.5 * ratio * s.w @ s.w


def test_more_weights_than_errors():
    objective, w = noisy((1, 20, 1), n=30)
    for s in islice(steps(objective, w, "trainbr"), 60):
        assert 0 < s.gamma < 30
        assert np.isfinite(s.log_evidence)


def test_when_nothing_changes_any_more_it_is_stuck():
    objective, w = noisy((1, 2, 1))
    result = train(objective, w, "trainbr", [MaxSteps(2000)])
    assert result.reason is Reason.NO_DESCENT
    assert "mu_max" in result.message


def test_an_exact_fit_has_no_noise():
    """Both sums of squares vanish: α and β count as 1, and nothing is divided by 0."""
    network = Network((1, 1))
    objective = Objective(network, "squared_error", [[0.0], [1.0]], [0.0, 0.0])
    start = next(steps(objective, np.zeros(2), "trainbr"))
    assert (start.alpha, start.beta) == (1, 1)


def test_determined_weights():
    gamma, log_det = determined(np.diag([4.0, 1.0, 0.0]), 1.0)
    assert gamma == pytest.approx(0.8 + 0.5)
    assert log_det == pytest.approx(np.log(5 * 2 * 1))


def test_a_penalty_of_its_own_is_refused():
    objective, w = noisy(l2=0.1)
    with pytest.raises(SettingError, match=r"l2 was 0.1; bayesian_regularization finds its own penalty, so l2 is 0"):
        next(steps(objective, w, "trainbr"))


def test_other_losses_are_refused():
    network = Network((1, 2, 1), ("tanh", "logistic"))
    objective = Objective(network, "binary_cross_entropy", [[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(SettingError, match=r"the loss is binary_cross_entropy; use squared_error"):
        next(steps(objective, network.initial_weights(0), "trainbr"))


def test_what_does_not_fit_is_refused():
    objective, w = noisy()
    with pytest.raises(SettingError, match="BayesianRegularization stores a 31 × 31 matrix"):
        next(steps(objective, w, BayesianRegularization(memory=1000.0)))


@pytest.mark.parametrize("seed", range(3))
def test_where_the_inputs_tell_nothing_the_weights_go_to_zero_and_nothing_overflows(seed):
    rng = np.random.default_rng(seed)
    net = Network((8, 6, 1))
    noise = Objective(net, "squared_error", rng.normal(size=(150, 8)), rng.choice([-1.0, 1.0], size=(150, 1)))
    result = train(noise, net.initial_weights(seed), "bayesian_regularization", stop=[MaxSteps(40)])
    assert result.reason is not Reason.NON_FINITE
    assert all(np.isfinite(list(record.details.values())).all() for record in result.history)
