"""Levenberg-Marquardt: Gauss-Newton steps, damped as much as it takes to descend.

    (H + μ D) d = −g          w ← w + d

H is the Gauss-Newton matrix, D its diagonal plus the diagonal's mean (between Marquardt 1963 and Levenberg 1944) or
the identity (Levenberg). A step that does not descend is refused and μ raised: the method moves between Gauss-Newton
steps (μ → 0) and short steps along −D⁻¹ g. After a step, the gain ratio ρ compares the descent with what the quadratic
model promised,

    ρ = (loss − loss at w + d) / ½ d'(μ D d − g)          μ ← μ · max(m, 1 − (2ρ − 1)³)

with m = ⅓ after a refused step, which multiplies μ by 2, then 4, 8, … (Nielsen 1999), and m = 0.001 without one; or, as
in MATLAB's ``trainlm``, μ is multiplied by fixed factors (Hagan and Menhaj 1994). With H = Σ J'CJ, C being the loss's
curvature, all this serves every loss that has one, cross-entropy among them (Schraudolph 2002).

Where it steps in all weights and squared error has at most half as many rows (times outputs) as there are weights, the
equations are solved by the rows (`deltarule.methods.damped`), at a fraction of the cost and to the same step.

With squared error and identity outputs, and a penalty or more rows than an output has weights, the last layer's weights
are solved for and only the hidden ones are stepped in (`deltarule.projection`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from deltarule import cholesky
from deltarule.errors import SettingError, unknown
from deltarule.memory import check_matrices
from deltarule.methods.damped import ByMatrix, ByRows, Equations
from deltarule.numeric import isfinite
from deltarule.special import Array

DAMPINGS = ("nielsen", "matlab")
"""Ways to choose the next μ."""
SCALINGS = ("diagonal", "identity")
"""What μ multiplies."""
FLOOR = 1.0
"""Share of the mean curvature that is added to each weight's own in D, so that weights with hardly any are not thrown
far. Without projection a tenth takes two to three times as many steps to a sinc function (1-20-1, error 3e-7)."""
LEAST_FACTOR = 1e-3
"""What μ is multiplied by at least after a step whose first trial descended. With Nielsen's ⅓ a sinc function (1-20-1,
error 3e-7) takes 13 steps, with 0.03 eight, so five, and no step is refused."""
LEAST_AFTER_REFUSAL = 1 / 3
"""And after one that was refused at first: Nielsen's own. With 0.03 twice as many trials fail on hard surfaces."""
TINY = 1e-30
"""Added to D where all curvatures are zero."""
LEAST_MU = 1e-20
"""μ does not fall below: it could not be told from 0, and would take many steps to come back."""
FEWER = 2
"""By how many times the weights outnumber the rows, times outputs, where the equations are solved by the rows."""
MATRICES = 4
"""Matrices that exist at once: two states' H, what is factored, and the engine's sum."""


class Descent(NamedTuple):
    """What the search for a descent ends with: where it leads (None if nowhere), the next μ, ρ, the trials made."""

    w: Array
    mu: float
    gain: float
    trials: int


class LevenbergMarquardtState(NamedTuple):
    """A point of Levenberg-Marquardt.

    `H` is the Gauss-Newton matrix at w, (p, p), and `r` is empty; or where rows are few `H` is J, (m, p), and `r` the
    residuals (m,). `mu` is the damping that the next step begins with; `gain` is ρ of the step that led here, and
    `trials` how many were tried for it.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    H: Array
    r: Array
    mu: float
    gain: float
    trials: int


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Step to the minimum of the quadratic model, damped until that descends.

    Parameters
    ----------
    mu : float
        The first damping μ.
    damping : str
        ``nielsen``: μ follows the gain ratio; ``matlab``: it is multiplied by fixed factors.
    mu_dec, mu_inc : float
        The factors of ``matlab`` after a step and after a refused one.
    mu_max : float
        The damping at which the search for a descent ends.
    scaling : str
        What μ multiplies: ``diagonal``, the curvature of each weight, or ``identity``, 1 for each.
    memory : float, optional
        Bytes that the matrices may take; half of the machine's memory unless given.
    projection : bool
        Whether the last layer's weights are solved for where that is possible.

    Raises
    ------
    SettingError
        If a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import deltarule as dr
    >>> x = np.linspace(-1, 1, 41)[:, None]
    >>> net = dr.Network((1, 5, 1))
    >>> sine = dr.Objective(net, "squared_error", x, np.sin(np.pi * x))
    >>> result = dr.train(sine, net.initial_weights(0), "levenberg_marquardt", stop=[dr.stopping.Goal(1e-8)])
    >>> result.reason.name, result.step < 20
    ('GOAL', True)
    >>> sorted(result.history[-1].details)
    ['gain', 'mu', 'trials']
    """

    mu: float = 1e-3
    damping: str = "nielsen"
    mu_dec: float = 0.1
    mu_inc: float = 10.0
    mu_max: float = 1e10
    scaling: str = "diagonal"
    memory: float | None = None
    projection: bool = True

    name = "levenberg_marquardt"
    version = 1
    state_type = LevenbergMarquardtState
    needs = ("value", "gauss_newton")

    def __post_init__(self) -> None:
        if self.damping not in DAMPINGS:
            raise unknown("damping", self.damping, DAMPINGS)
        if self.scaling not in SCALINGS:
            raise unknown("scaling", self.scaling, SCALINGS)
        if not isinstance(self.projection, bool):
            raise SettingError(f"projection was {self.projection!r}; it is True or False.")
        bounds = {"mu_max": (0, inf), "mu": (0, self.mu_max), "mu_dec": (0, 1), "mu_inc": (1, inf), "memory": (0, inf)}
        for setting, (low, high) in bounds.items():
            value = getattr(self, setting)
            fits = isinstance(value, int | float) and isfinite(value) and low < value < high
            if not (fits or (setting == "memory" and value is None)):
                raise SettingError(f"{setting} was {value!r}; it is a number above {low:g} and below {high:g}.")

    def start(self, objective: Any, w: Array) -> LevenbergMarquardtState:
        """Return the state at w; refuse the work where the matrices would not fit."""
        m = _few_rows(objective, w)
        check_matrices("LevenbergMarquardt", w, MATRICES, self.memory, "newton_cg or lbfgs", m)
        with cholesky.one_thread():
            loss, grad, H, r = _arrived(objective, w, m)
        return LevenbergMarquardtState(w, float(loss), grad, "", H, r, self.mu, 1.0, 0)

    def step(self, objective: Any, s: LevenbergMarquardtState) -> LevenbergMarquardtState:
        """Return the state after the first trial that descends.

        Where the last step's first trial did, this one's is likely to, and H is computed there along with the loss.
        """
        at_first: tuple[float, Array, Array, Array] | None = None
        m = _few_rows(objective, s.w)

        def value(w: Array) -> float:
            nonlocal at_first
            if at_first is None and s.trials == 1:
                at_first = _arrived(objective, w, m)
                return float(at_first[0])
            return float(objective.value(w))

        with cholesky.one_thread():
            equations = ByMatrix(s.H, s.grad) if m is None else ByRows(s.H, s.r, s.w, objective.ridge)
            w, mu, gain, trials = self.descend(value, s.w, s.loss, s.grad, equations, s.mu)
            if w is None:
                return s._replace(stuck=f"the damping has passed mu_max {self.mu_max:g}", mu=mu, trials=trials)
            loss, grad, H, r = at_first if at_first is not None and trials == 1 else _arrived(objective, w, m)
        return LevenbergMarquardtState(w, float(loss), grad, "", H, r, mu, gain, trials)

    def descend(
        self, value: Callable[[Array], float], w: Array, loss: float, grad: Array, equations: Equations, mu: float
    ) -> Descent:
        """Raise μ until a step from w descends."""
        D, growth, trials = self._scale(equations.diagonal), 2.0, 0
        while mu <= self.mu_max:
            trials += 1
            d = equations.solve(mu, D)
            trial = w if d is None else w + d
            descent = 0.0 if d is None else loss - value(trial)
            if descent > 0:  # not where the loss is not finite
                promised = 0.5 * float(d @ (mu * D * d - grad))
                gain = descent / promised if promised else 1.0
                return Descent(trial, max(LEAST_MU, mu * self._decrease(gain, trials)), gain, trials)
            mu *= growth if self.damping == "nielsen" else self.mu_inc
            growth *= 2
        return Descent(None, mu, 0.0, trials)

    def _scale(self, diagonal: Array) -> Array:
        """Return D from the diagonal of H: the curvatures, raised by a share of their mean so that none is zero."""
        return diagonal + FLOOR * float(diagonal.mean()) + TINY if self.scaling == "diagonal" else 0 * diagonal + 1

    def _decrease(self, gain: float, trials: int) -> float:
        if self.damping != "nielsen":
            return self.mu_dec
        return max(LEAST_FACTOR if trials == 1 else LEAST_AFTER_REFUSAL, 1 - (2 * gain - 1) ** 3)


def _few_rows(objective: Any, w: Array) -> int | None:
    """Return the number of residuals m where it is small enough to solve by the rows, otherwise None."""
    m: int | None = getattr(objective, "n_residuals", None)
    return m if m is not None and FEWER * m <= w.shape[0] else None


def _arrived(objective: Any, w: Array, m: int | None) -> tuple[float, Array, Array, Array]:
    """Return the loss and gradient at w, and what the equations there are made of: H and nothing, or J and r."""
    if m is None:
        return (*objective.gauss_newton(w), w[:0])
    loss, grad, r, J = objective.residuals(w)
    return loss, grad, J, r
