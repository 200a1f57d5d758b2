"""Levenberg-Marquardt: damping, refused steps, singular matrices, memory, and every loss that has a curvature."""

import pickle
from itertools import islice, pairwise

import numpy as np
import pytest

from deltarule import Network, Objective, memory, steps, train
from deltarule.errors import SettingError
from deltarule.losses import LOSSES
from deltarule.methods import LevenbergMarquardt, levenberg_marquardt
from deltarule.methods.damped import ByMatrix, ByRows
from deltarule.stopping import Goal, MaxSteps, Reason
from problems import LINE, SINE, SURFACES, least_squares


def objective_of(table, engine=None, **settings):
    network = Network(table.sizes, table.activations)
    if engine is not None:
        settings["engine"] = engine(network, LOSSES[table.loss])
    return Objective(network, table.loss, table.X, table.T, **settings), network.initial_weights(0)


def test_a_gauss_newton_step_on_a_linear_network_is_least_squares(engine):
    objective, w = objective_of(LINE, engine)
    _, after = islice(steps(objective, w, LevenbergMarquardt(mu=1e-15)), 2)
    assert np.allclose(after.w, least_squares(LINE), rtol=0, atol=1e-12)


@pytest.mark.parametrize("projection", [True, False])
@pytest.mark.parametrize("damping", levenberg_marquardt.DAMPINGS)
@pytest.mark.parametrize("scaling", levenberg_marquardt.SCALINGS)
def test_it_learns_the_sine(engine, damping, scaling, projection):
    objective, w = objective_of(SINE, engine)
    method = LevenbergMarquardt(damping=damping, scaling=scaling, projection=projection)
    result = train(objective, w, method, [Goal(5e-7), MaxSteps(300)])
    assert result.reason is Reason.GOAL


@pytest.mark.promise("P11")
def test_every_step_descends_and_follows_its_formula(surface):
    method = LevenbergMarquardt()
    states = list(islice(steps(surface, surface.start, method), 12))
    for s, after in pairwise(states):
        if after.stuck or not s.grad.any():
            break
        assert after.loss < s.loss
        mu, growth = s.mu, 2.0
        for _ in range(after.trials - 1):
            mu, growth = mu * growth, growth * 2
        D = np.diag(s.H) + levenberg_marquardt.FLOOR * np.mean(np.diag(s.H))
        d = np.linalg.solve(s.H + mu * np.diag(D), -s.grad)
        assert np.allclose(after.w, s.w + d, rtol=1e-9, atol=1e-12)
        gain = (s.loss - after.loss) / -(s.grad @ d + 0.5 * d @ s.H @ d)
        assert after.gain == pytest.approx(gain, rel=1e-4)


WIDE = {"rows that weigh 1": {}, "a penalty": {"l2": 0.01}, "sample weights": {"sample_weight": [0.5, 2, 1, 1, 3, 0]}}


def wide(engine=None, dtype=float, **settings):
    """Return an objective of six rows and 51 weights, with a bent output layer."""
    rng = np.random.default_rng(5)
    network = Network((2, 8, 3), ("tanh", "tanh"))
    X, T = rng.uniform(-1, 1, (6, 2)).astype(dtype), rng.uniform(-0.9, 0.9, (6, 3)).astype(dtype)
    if engine is not None:
        settings["engine"] = engine(network, LOSSES["squared_error"])
    return Objective(network, "squared_error", X, T, **settings), network.initial_weights(1).astype(dtype)


@pytest.mark.parametrize("settings", WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("scaling", levenberg_marquardt.SCALINGS)
def test_few_rows_are_solved_by_the_rows_to_the_same_steps(engine, settings, scaling, monkeypatch):
    objective, w = wide(engine, **settings)
    method = LevenbergMarquardt(scaling=scaling)
    by_rows = list(islice(steps(objective, w, method), 5))
    monkeypatch.setattr(levenberg_marquardt, "FEWER", np.inf)
    by_matrix = list(islice(steps(objective, w, method), 5))
    assert by_rows[0].H.shape == (18, 51) and by_matrix[0].H.shape == (51, 51)
    for one, other in zip(by_rows, by_matrix, strict=True):
        assert one.trials == other.trials and one.loss == pytest.approx(other.loss, rel=1e-9)
        assert np.allclose(one.w, other.w, rtol=0, atol=1e-9)
        assert np.allclose(one.grad, other.grad, rtol=0, atol=1e-9)


def test_by_the_rows_no_damping_is_too_small():
    """The limit μ → 0 is the shortest of the steps that meet all targets, D weighing it; by the matrix it is lost."""
    objective, w = wide()
    _, grad, r, J = objective.residuals(w)
    D = 1 + np.arange(len(w)) % 3
    d = ByRows(J, r, w, None).solve(1e-200, D)
    assert np.allclose(J @ d, -r, rtol=0, atol=1e-12)
    root = np.sqrt(D)
    assert np.allclose(root * d, -np.linalg.pinv(J / root) @ r, rtol=0, atol=1e-12)
    assert ByMatrix(J.T @ J, grad).solve(1e-200, D) is None or not np.allclose(
        J @ ByMatrix(J.T @ J, grad).solve(1e-200, D), -r, rtol=0, atol=1e-3
    )


def test_few_rows_go_on_from_a_state_to_the_same_bits(engine):
    objective, w = wide(engine, l2=1e-3)
    whole = list(islice(steps(objective, w, "lm"), 9))
    rest = list(islice(steps(wide(engine, l2=1e-3)[0], None, "lm", pickle.loads(pickle.dumps(whole[4]))), 5))
    assert [s.w.tobytes() for s in rest] == [s.w.tobytes() for s in whole[4:]]


def test_few_rows_in_float32(engine):
    objective, w = wide(engine, np.float32)
    result = train(objective, w, "lm", [Goal(1e-7), MaxSteps(50)])
    assert result.reason is Reason.GOAL and result.w.dtype == np.float32


def test_few_rows_need_less_memory():
    network = Network((2, 3000, 1), ("tanh", "tanh"))
    objective = Objective(network, "squared_error", np.ones((4, 2)), np.zeros(4))
    next(steps(objective, network.initial_weights(0), LevenbergMarquardt(memory=2e6)))
    with pytest.raises(SettingError, match=r"stores a 4 × 12,001 matrix \(384.0 kB\), at times 4 of them"):
        next(steps(objective, network.initial_weights(0), LevenbergMarquardt(memory=1e6)))


def test_matlabs_factors():
    objective, w = objective_of(SINE)
    states = list(islice(steps(objective, w, LevenbergMarquardt(damping="matlab", mu_dec=0.2, mu_inc=7.0)), 30))
    for before, after in pairwise(states):
        assert after.mu == pytest.approx(max(1e-20, before.mu * 7.0 ** (after.trials - 1) * 0.2))


@pytest.mark.promise("P11")
def test_a_refused_step_is_not_taken():
    """Far off, Gauss-Newton overshoots: the trials are counted, and the state is one that descended."""
    surface = next(s for s in SURFACES if s.name == "rosenbrock")
    first, second = islice(steps(surface, surface.start, LevenbergMarquardt(mu=1e-12)), 2)
    assert second.trials > 1
    assert second.loss < first.loss


def test_at_the_minimum_it_is_stuck():
    surface = next(s for s in SURFACES if s.name == "quadratic")
    result = train(surface, surface.minimum, LevenbergMarquardt(mu_max=1e6), [MaxSteps(50)])
    assert result.reason is Reason.NO_DESCENT
    assert "the damping has passed mu_max 1e+06" in result.message
    assert np.array_equal(result.w, surface.minimum)


class Cliff:
    """A bowl that cannot be computed beyond 1: Gauss-Newton's first step from −3 would land there."""

    def value(self, w):
        """Return NaN beyond the edge."""
        return float(w @ w) if w[0] < 1 else float("nan")

    def gauss_newton(self, w):
        """Return a curvature that is ten times too small."""
        return self.value(w), 2 * w, 0.2 * np.eye(len(w))


def test_trials_that_are_not_finite_raise_the_damping():
    *_, last = islice(steps(Cliff(), np.array([-3.0]), "lm"), 60)
    assert abs(last.w[0]) < 1e-6


class Flat:
    """Two of three weights have no say: the curvature is singular, and for the damping alone a step exists."""

    def value(self, w):
        """Return the square of the first weight."""
        return float(w[0] ** 2)

    def gauss_newton(self, w):
        """Return a matrix with a single number in it."""
        H = np.zeros((3, 3))
        H[0, 0] = 2.0
        return self.value(w), np.array([2 * w[0], 0.0, 0.0]), H


@pytest.mark.parametrize("scaling", levenberg_marquardt.SCALINGS)
def test_singular_matrices(scaling):
    method = LevenbergMarquardt(mu=1e-300, mu_max=1e300, scaling=scaling)
    *_, last = islice(steps(Flat(), np.array([2.0, 5.0, -1.0]), method), 40)
    assert abs(last.w[0]) < 1e-6
    assert last.w[1:] == pytest.approx([5, -1], abs=1e-12)


@pytest.mark.parametrize(
    ("loss", "output"), [("cross_entropy", "softmax"), ("binary_cross_entropy", "logistic"), ("huber", "identity"),
                         ("log_cosh", "identity"), ("poisson", "exponential")],
)  # fmt: skip
def test_every_loss_with_curvature(engine, loss, output):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 2))
    first = (X[:, :1] * X[:, 1:] > 0).astype(float)
    T = np.hstack([first, 1 - first]) if loss == "cross_entropy" else first
    network = Network((2, 6, T.shape[1]), ("tanh", output))
    objective = Objective(network, loss, X, T, l2=0.02, engine=engine(network, LOSSES[loss]))
    result = train(objective, network.initial_weights(0), "lm", [MaxSteps(300)])
    assert result.loss < 0.7 * result.history[0].loss
    assert result.history[-1].gradient_size < 1e-5


def test_float32(engine):
    table = SINE._replace(X=SINE.X.astype(np.float32), T=SINE.T.astype(np.float32))
    for projection in (True, False):
        objective, w = objective_of(table, engine)
        result = train(objective, w, LevenbergMarquardt(projection=projection), [Goal(1e-5), MaxSteps(200)])
        assert result.w.dtype == np.float32
        assert result.state.H.dtype == np.float32
        assert result.reason is Reason.GOAL


def test_matrices_that_do_not_fit_are_refused_before_work():
    network = Network((2, 10_000, 1), "relu")

    class Idle:
        """Has 40,001 weights and computes nothing."""

        def gauss_newton(self, w):
            """Fail."""
            raise AssertionError("work was done")

        value = gauss_newton

    expected = (
        r"LevenbergMarquardt stores a 40,001 × 40,001 matrix \(12.8 GB\), at times 4 of them, and may take 1.0 GB; "
        r"use newton_cg or lbfgs, or memory="
    )
    with pytest.raises(SettingError, match=expected):
        next(steps(Idle(), np.zeros(network.n_weights), LevenbergMarquardt(memory=1e9)))


def test_the_machine_has_memory(monkeypatch):
    assert memory.of_machine() > 1e8
    monkeypatch.setattr(memory.os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert memory.of_machine() == memory.UNKNOWN


def test_a_loss_without_curvature_is_refused():
    objective = Objective(Network((1, 3, 1)), "absolute_error", SINE.X, SINE.T)
    with pytest.raises(SettingError, match="curvature"):
        next(steps(objective, np.zeros(10), "lm"))
