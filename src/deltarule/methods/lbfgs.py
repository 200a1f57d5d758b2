"""L-BFGS: quasi-Newton steps from the last few changes of the weights and of the gradient (Nocedal 1980).

    d ← −H g          w ← w + a d, the step a from a strong-Wolfe line search that tries 1 first

Each step leaves a pair, s = change of w and y = change of g, scaled here so that s·y = 1; m pairs are kept. From γ P
the BFGS update makes of them (Nocedal and Wright 2006, equation 7.19)

    H = γ Vᵀ P V + Σ a aᵀ          V = V₁ V₂ … Vₘ,  Vᵢ = I − yᵢ sᵢᵀ          aᵢ = Vₘᵀ … Vᵢ₊₁ᵀ sᵢ

oldest pair first. A new pair takes every earlier a through its V, a ← a − (a·y) s, and adds a = s. As V = I − Σ y aᵀ,
the two loops of their algorithm 7.4 are four products with the matrices whose rows are the a and the y:

    α = A g          q = g − Yᵀ α          H g = γ P q + Aᵀ (α − γ Y P q)

Where no pair has been, H is γ P alone. Usual is γ = s·y / y·y of the newest pair, the least of what it says of the
length of a step (their equation 7.20); the most is s·s / s·y (both from Barzilai and Borwein 1988; lengths are taken in
the variables w / √P). `reach` says where γ lies between the two, on a logarithmic scale. Half of it is the geometric
mean, |s| / |y|, long enough to move the weights that hardly matter, of which networks have many: with P = 1 and memory
for all, 200 passes on Proben1's diabetes1 (8-32-2) come to an error of 0.054 so, and of 0.086 the usual way. A long γ
also makes the step 1 fail more often, so that a step takes 1.4 passes instead of 1.1; with few pairs, which soon
forget, 0.15 is the better choice.

A pair along which the slope hardly rises is left out, for H would not stay positive definite. Where a search finds
nothing, the pairs are forgotten and the next one goes along −P g. With memory 1 it is the one-step secant method
(Battiti 1992), MATLAB's ``trainoss``; ``trainbfg`` keeps so many that nothing of note is forgotten.

Where the last layer can be solved for, P and the start are those of `deltarule.preconditioning`, elsewhere and with
``preconditioned=False`` P is 1; ``projection=True`` solves for that layer at every trial (`deltarule.projection`).
"""

from dataclasses import dataclass, field
from math import sqrt
from numbers import Integral
from typing import Any, NamedTuple

from array_api_compat import device

from deltarule.compiled import lbfgs_direction, lbfgs_pair
from deltarule.errors import SettingError
from deltarule.methods import preconditioner
from deltarule.methods.line_search import Point, StrongWolfe
from deltarule.special import Array
from deltarule.vectors import dot, namespace

FLAT = 1e-6
"""A pair is left out where the slope along the search has risen by less than this share of itself."""
TINY = 1e-300
"""Or by less than this: roots and quotients are taken of it."""


class LBFGSState(NamedTuple):
    """A point of L-BFGS.

    `A` and `Y` (memory, p) hold the `pairs` pairs as the module describes them in their last rows, oldest first, and 0
    before them; `preconditioner` is the diagonal of P, `gamma` is γ, `skipped` how many pairs were left out. `restart`
    says why the next search goes along −P g, "" where it does not; `step_length`, `slope` and `wolfe` tell of the
    search that led here.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    A: Array
    Y: Array
    preconditioner: Array
    pairs: int
    gamma: float
    skipped: int
    restart: str
    step_length: float
    slope: float
    wolfe: bool


@dataclass(frozen=True)
class LBFGS:
    """Quasi-Newton steps from the last few pairs of changes.

    Parameters
    ----------
    memory : int
        m, the number of pairs kept, 2 m p numbers. With P = 1, from a 1-5-1 network to a mean squared error of 1e-6,
        on a sine, 10 need 640 passes, 20 need 270, 50 need 150 and more no fewer; a coarse error takes 30 to 40 with
        any.
    search : StrongWolfe
        The line search.
    projection : bool
        Whether the last layer's weights are solved for at every trial, where possible (`deltarule.projection`).
    preconditioned : bool
        Whether they are solved for at the start, and P is computed there (`deltarule.preconditioning`), where possible.
    reach : float
        From 0 to 1: where γ lies between the least and the most that the newest pair says, see the module.

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
    >>> for memory in (1, 20):
    ...     lbfgs = dr.methods.LBFGS(memory=memory)
    ...     result = dr.train(sine, net.initial_weights(0), lbfgs, stop=[dr.stopping.Goal(0.001)])
    ...     print(memory, result.reason.name)
    1 GOAL
    20 GOAL
    """

    memory: int = 50
    search: StrongWolfe = field(default=StrongWolfe(c2=0.9))
    projection: bool = False
    preconditioned: bool = True
    reach: float = 0.5

    name = "lbfgs"
    version = 2
    state_type = LBFGSState
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        preconditioner.check_switches(self)
        if not isinstance(self.memory, Integral) or self.memory < 1:
            raise SettingError(f"memory was {self.memory!r}; it is a whole number from 1 up.")
        if not (isinstance(self.reach, int | float) and 0 <= self.reach <= 1):
            raise SettingError(f"reach was {self.reach!r}; it is a number from 0 to 1.")
        if not callable(self.search):
            raise SettingError(f"search was {self.search!r}; it is a line search such as StrongWolfe().")

    def start(self, objective: Any, w: Array) -> LBFGSState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        none = namespace(w).zeros((int(self.memory), w.shape[0]), dtype=w.dtype, device=device(w))
        P = preconditioner.at(objective, w)
        return LBFGSState(w, float(loss), grad, "", none, none, P, 0, 1.0, 0, "start", 0.0, 0.0, True)

    def step(self, objective: Any, s: LBFGSState) -> LBFGSState:
        """Return the state after a search along −H g, or if that is in vain, with the pairs forgotten."""
        direction = -s.preconditioner * s.grad if s.restart else _direction(s)
        slope = dot(s.grad, direction)
        if slope == 0 and s.restart:
            return s._replace(stuck="the gradient is zero")
        if slope >= 0:
            return _forgetful(s, "the direction would not descend")  # for rounding
        first = min(1.0, 1 / sqrt(-slope)) if s.restart else 1.0
        point, wolfe = self.search(objective, s.w, s.loss, slope, direction, first)
        if point is None and s.restart:
            return s._replace(stuck="the line search found no lower point along the negative gradient")
        if point is None:
            return _forgetful(s, "the search found nothing")
        return _with_pair(s, point, direction, slope, wolfe, self.reach)


def _direction(s: LBFGSState) -> Array:
    """Return −H g."""
    found = lbfgs_direction(s.A, s.Y, s.pairs, s.grad, s.preconditioner, s.gamma)
    return _direction_of_arrays(s) if found is None else found


def _direction_of_arrays(s: LBFGSState) -> Array:
    first = s.A.shape[0] - s.pairs
    A, Y = s.A[first:], s.Y[first:]
    a = A @ s.grad
    q = s.gamma * s.preconditioner * (s.grad - a @ Y)
    return (Y @ q - a) @ A - q


def _forgetful(s: LBFGSState, restart: str) -> LBFGSState:
    """Return the state without pairs, to go along −g next."""
    return s._replace(A=0 * s.A, Y=0 * s.Y, pairs=0, restart=restart, step_length=0.0)


def _with_pair(s: LBFGSState, point: Point, direction: Array, slope: float, wolfe: bool, reach: float) -> LBFGSState:
    """Return the state at a point, with the pair of changes that led there in place of the oldest."""
    A, Y, pairs, gamma, skipped, restart = s.A, s.Y, s.pairs, s.gamma, s.skipped + 1, s.restart
    rise = point.slope - slope
    if rise > FLAT * -slope and point.step * rise > TINY:
        by = (direction, s.grad, point.grad, s.preconditioner, point.step, 1 / sqrt(point.step * rise))
        A, Y, ss, yy = lbfgs_pair(A, Y, pairs, *by) or _added(A, Y, pairs, *by)
        pairs = min(pairs + 1, A.shape[0])
        gamma, skipped, restart = sqrt(ss / yy) * (ss * yy) ** (reach - 0.5), s.skipped, ""
    found = (A, Y, s.preconditioner, pairs, gamma, skipped, restart)
    return LBFGSState(point.w, point.loss, point.grad, "", *found, point.step, slope, wolfe)


def _added(
    A: Array, Y: Array, pairs: int, direction: Array, grad: Array, new_grad: Array, P: Array, step_length: float,
    scale: float,
) -> tuple[Array, Array, float, float]:  # fmt: skip
    """Return A and Y with a new pair in their last row, and the squares s · s / P and y · P y."""
    step, change = (scale * step_length) * direction, scale * (new_grad - grad)
    first = max(A.shape[0] - pairs - 1, 0)
    kept = A[first + 1 :]
    new_A = _moved_up(A, first, step, kept - (kept @ change)[:, None] * step)
    return new_A, _moved_up(Y, first, change, Y[first + 1 :]), dot(step, step / P), dot(change, P * change)


def _moved_up(rows: Array, first: int, last: Array, kept: Array) -> Array:
    """Return an array like `rows` with the kept ones from `first` on and the last one; before them there is 0."""
    made = namespace(rows).empty_like(rows)
    if first:
        made[:first] = 0
    made[first:-1] = kept
    made[-1] = last
    return made
