"""Bayesian regularisation: Levenberg-Marquardt with a penalty whose weight the evidence sets.

    minimise β E_D + α E_W          E_D = ½ Σ (y − t)², E_W = ½ Σ w² (biases too)

With noise of variance 1/β and weights drawn from a normal distribution of variance 1/α this is the most probable w.
After every step α and β become what makes the data most probable (MacKay 1992, equations 2.24 and 2.26; Foresee and
Hagan 1997), the Gauss-Newton matrix standing in for the Hessian:

    A = β Σ J'J + α          γ = p − α trace A⁻¹          α = γ / 2 E_W          β = (N − γ) / 2 E_D

γ is the number of weights that the data determine, N the number of errors (rows · outputs). The log evidence is
½ (p log α + N log β − log det A − N log 2π) − β E_D − α E_W; networks can be compared by it. MATLAB's ``trainbr``.
"""

from dataclasses import dataclass
from functools import cached_property
from math import log, pi
from typing import Any, NamedTuple

from deltarule import cholesky
from deltarule.errors import SettingError
from deltarule.memory import check_matrices
from deltarule.methods.damped import ByMatrix
from deltarule.methods.levenberg_marquardt import MATRICES, LevenbergMarquardt
from deltarule.special import Array

LARGEST_ALPHA = 1e30
"""Where the data determine no weight, all go to zero and α to infinity; this is zero enough in any precision."""
FEWEST = 1e-12
"""γ is not taken to be less: with no weight determined, α would be 0 and its logarithm nothing."""


class BayesianRegularizationState(NamedTuple):
    """A point of Bayesian regularisation.

    `loss` is the objective itself, without penalty: it means the same at every step, and the same as other methods'.
    What the next step makes small is loss + ½ · α/(β n) · Σ w² with n rows, and `grad` is the gradient of that: it
    vanishes at the end of the road. `alpha`, `beta` and `gamma` were estimated at w; `log_evidence` is theirs.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    H: Array
    mu: float
    alpha: float
    beta: float
    gamma: float
    log_evidence: float
    gain: float
    trials: int


@dataclass(frozen=True)
class BayesianRegularization:
    """Levenberg-Marquardt steps under a penalty that is re-estimated after each: no validation rows are needed.

    Parameters
    ----------
    mu : float
        The first damping μ.
    damping : str
        ``nielsen`` or ``matlab``, as in `deltarule.methods.levenberg_marquardt.LevenbergMarquardt`.
    mu_dec, mu_inc, mu_max : float
        The factors of ``matlab``, and the damping at which the search for a descent ends.
    scaling : str
        What μ multiplies: ``diagonal`` or ``identity``.
    memory : float, optional
        Bytes that the matrices may take; half of the machine's memory unless given.

    Raises
    ------
    SettingError
        If a value is out of range.

    Examples
    --------
    Noise of standard deviation 0.1 on a sine, and more weights than that needs:

    >>> import numpy as np
    >>> import deltarule as dr
    >>> x = np.linspace(-1, 1, 100)[:, None]
    >>> t = np.sin(np.pi * x) + 0.1 * np.random.default_rng(0).normal(size=x.shape)
    >>> net = dr.Network((1, 10, 1))
    >>> noisy = dr.Objective(net, "squared_error", x, t)
    >>> result = dr.train(noisy, net.initial_weights(0), "trainbr")
    >>> last = result.history[-1].details
    >>> print(f"{last['gamma']:.1f} of {net.n_weights} weights, noise {last['beta'] ** -0.5:.2f}")
    12.7 of 31 weights, noise 0.09
    """

    mu: float = 5e-3
    damping: str = "nielsen"
    mu_dec: float = 0.1
    mu_inc: float = 10.0
    mu_max: float = 1e10
    scaling: str = "diagonal"
    memory: float | None = None

    name = "bayesian_regularization"
    version = 1
    state_type = BayesianRegularizationState
    needs = ("value", "gauss_newton")

    def __post_init__(self) -> None:
        _ = self._damped  # which checks the settings

    @cached_property
    def _damped(self) -> LevenbergMarquardt:
        return LevenbergMarquardt(
            self.mu, self.damping, self.mu_dec, self.mu_inc, self.mu_max, self.scaling, self.memory
        )

    def start(self, objective: Any, w: Array) -> BayesianRegularizationState:
        """Return the state at w, all weights counting as determined, or half as many as there are errors."""
        _check(objective)
        check_matrices("BayesianRegularization", w, MATRICES, self.memory, "lbfgs with an l2 penalty")
        gamma = min(float(w.shape[0]), 0.5 * _n_errors(objective))
        with cholesky.one_thread():
            return _arrived(objective, w, self.mu, gain=1.0, trials=0, gamma=gamma)

    def step(self, objective: Any, s: BayesianRegularizationState) -> BayesianRegularizationState:
        """Return the state after a step that lowers the penalised loss, with α and β estimated again."""
        ratio = s.alpha / (s.beta * objective.n_rows)

        def penalised(w: Array) -> float:
            return float(objective.value(w) + 0.5 * ratio * float(w @ w))

        loss = s.loss + 0.5 * ratio * float(s.w @ s.w)
        with cholesky.one_thread():
            equations = ByMatrix(cholesky.shifted(s.H, ratio), s.grad)
            found = self._damped.descend(penalised, s.w, loss, s.grad, equations, s.mu)
            if found.w is None:
                return s._replace(stuck=f"the damping has passed mu_max {self.mu_max:g}", mu=found.mu)
            return _arrived(objective, found.w, found.mu, found.gain, found.trials, alpha=s.alpha, beta=s.beta)


def _arrived(
    objective: Any, w: Array, mu: float, gain: float, trials: int,
    gamma: float | None = None, alpha: float = 0.0, beta: float = 1.0,
) -> BayesianRegularizationState:  # fmt: skip
    """Return the state at w: α and β from γ, which is computed with those from before unless it is given."""
    loss, grad, H = objective.gauss_newton(w)
    n, size = objective.n_rows, float(w @ w)
    if gamma is None:
        gamma = determined(H, alpha / (beta * n))[0]
    squares, free = 2 * n * float(loss), _n_errors(objective) - gamma
    alpha = min(gamma / size, LARGEST_ALPHA) if size > 0 else 1.0
    beta = free / squares if squares > 0 and free > 0 else 1.0
    ratio = alpha / (beta * n)
    gamma, log_det = determined(H, ratio)
    return BayesianRegularizationState(
        w, float(loss), grad + ratio * w, "", H, mu, alpha, beta, gamma,
        _log_evidence(objective, w, squares, alpha, beta, log_det), gain, trials,
    )  # fmt: skip


def determined(H: Array, ratio: float) -> tuple[float, float]:
    """Return γ, the number of weights that the data determine, and log det (H + ratio).

    Parameters
    ----------
    H : array of shape (p, p)
        The Gauss-Newton matrix of the mean loss.
    ratio : float
        α / (β n), what the penalty adds to its diagonal.
    """
    L, p = cholesky.raised_factor(H, ratio), H.shape[0]
    inverse = cholesky.inverse(L)
    gamma = p - ratio * float((inverse * inverse).sum())
    return min(max(gamma, FEWEST), float(p)), 2 * sum(log(float(pivot)) for pivot in L.diagonal())


def _log_evidence(objective: Any, w: Array, squares: float, alpha: float, beta: float, log_det: float) -> float:
    p, n_errors = w.shape[0], _n_errors(objective)
    log_det_A = p * log(beta * objective.n_rows) + log_det
    normal = p * log(alpha) + n_errors * log(beta / (2 * pi)) - log_det_A
    return float(0.5 * (normal - beta * squares - alpha * float(w @ w)))


def _n_errors(objective: Any) -> int:
    return int(objective.n_rows * objective.network.n_out)


def _check(objective: Any) -> None:
    """Refuse objectives without rows, of another loss, or with a penalty of their own."""
    loss, l2 = getattr(objective, "loss", None), getattr(objective, "l2", 0.0)
    if getattr(loss, "name", None) != "squared_error":
        raise SettingError(
            f"bayesian_regularization estimates the noise of squared errors, but the loss is {loss}; use "
            "squared_error, or another method with an l2 penalty."
        )
    if l2:
        raise SettingError(f"l2 was {l2!r}; bayesian_regularization finds its own penalty, so l2 is 0 for it.")
