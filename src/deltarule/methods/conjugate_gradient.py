"""Nonlinear conjugate gradients.

    d ← −P g + β d_before          w ← w + a d, the step a from a strong-Wolfe line search

β by Fletcher-Reeves (1964), Polak-Ribière (1969, never below 0), Hestenes-Stiefel (1952), Dai-Yuan (1999) or
Hager-Zhang (2005), or any function of (g, g_before, d_before). These are taken in the variables
w / √P, so that g·g stands for g·P g. The direction starts afresh from −P g when it does not
descend, when a search finds nothing along it, and when successive gradients are far from orthogonal (Powell 1977:
``|g · g_before| ≥ 0.2 g · g``). MATLAB's ``traincgf`` and ``traincgp``.

The default, ``powell_beale``, loses nothing when it starts afresh (Beale 1972, Powell 1977; MATLAB's ``traincgb``): it
goes on from the direction d_t that it has, whatever that is, and stays conjugate to it by a third term,

    d ← −P g + β d_before + γ d_t          β = g·P y / d_before·y,   γ = g·P y_t / d_t·y_t

with y the change of the gradient along a direction. It does so when successive gradients overlap as above, after as
many steps as there are weights, and when d·g is not within a fifth of −g·g; without the third term that time. On the
networks of MATLAB's comparison it needs half the passes of the others to a small error.

Where the last layer can be solved for, P and the start are those of `deltarule.preconditioning`, elsewhere and with
``preconditioned=False`` P is 1; ``projection=True`` solves for that layer at every trial (`deltarule.projection`).
"""

from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any, NamedTuple

from deltarule.errors import SettingError, unknown
from deltarule.methods import preconditioner
from deltarule.methods.betas import BETAS, Beta, out_of_band
from deltarule.methods.line_search import Point, StrongWolfe
from deltarule.special import Array
from deltarule.vectors import dot

POWELL_BEALE = "powell_beale"
OVERLAP = 0.2
"""Successive gradients that overlap by this share of g · g call for a restart (Powell 1977)."""


class ConjugateGradientState(NamedTuple):
    """A point of conjugate gradients.

    `direction` is where the next search goes, `restart` says why it starts afresh ("" where it goes on) and `since` how
    many searches ago: 0 where it is −P g. `base` and `base_change` are d_t and y_t / d_t·y_t of Powell and Beale,
    `preconditioner` the diagonal of P. `step_length`, `slope` and `wolfe` tell of the search that led here.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    direction: Array
    restart: str
    since: int
    base: Array
    base_change: Array
    preconditioner: Array
    step_length: float
    slope: float
    wolfe: bool


class Heading(NamedTuple):
    """Where to search next, and what a state says of it."""

    direction: Array
    restart: str
    since: int
    base: Array
    base_change: Array


@dataclass(frozen=True)
class ConjugateGradient:
    """Search along directions that keep what the earlier ones have gained.

    Parameters
    ----------
    beta : str or callable
        ``powell_beale``, ``fletcher_reeves``, ``polak_ribiere``, ``hestenes_stiefel``, ``dai_yuan``, ``hager_zhang``,
        or a function ``beta(g, g_before, d_before)``.
    search : StrongWolfe
        The line search.
    projection : bool
        Whether the last layer's weights are solved for at every trial, where possible (`deltarule.projection`).
    preconditioned : bool
        Whether they are solved for at the start, and P is computed there (`deltarule.preconditioning`), where possible.

    Raises
    ------
    SettingError
        If `beta` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import deltarule as dr
    >>> x = np.linspace(-1, 1, 41)[:, None]
    >>> net = dr.Network((1, 5, 1))
    >>> sine = dr.Objective(net, "squared_error", x, np.sin(np.pi * x))
    >>> for beta in ("powell_beale", "polak_ribiere"):
    ...     cg = dr.methods.ConjugateGradient(beta=beta)
    ...     result = dr.train(sine, net.initial_weights(0), cg, stop=[dr.stopping.Goal(0.001)])
    ...     print(beta, result.reason.name, set(result.arrays()["wolfe"].tolist()))
    powell_beale GOAL {True}
    polak_ribiere GOAL {True}
    """

    beta: str | Beta = POWELL_BEALE
    search: StrongWolfe = field(default=StrongWolfe())
    projection: bool = False
    preconditioned: bool = True

    name = "conjugate_gradient"
    version = 2
    state_type = ConjugateGradientState
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        preconditioner.check_switches(self)
        if not callable(self.beta) and self.beta not in (POWELL_BEALE, *BETAS):
            raise unknown("beta", self.beta, [POWELL_BEALE, *BETAS])
        if not callable(self.search):
            raise SettingError(f"search was {self.search!r}; it is a line search such as StrongWolfe().")

    def start(self, objective: Any, w: Array) -> ConjugateGradientState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        P = preconditioner.at(objective, w)
        none = 0 * w
        return ConjugateGradientState(w, float(loss), grad, "", -P * grad, "start", 0, none, none, P, 0.0, 0.0, True)

    def step(self, objective: Any, s: ConjugateGradientState) -> ConjugateGradientState:
        """Return the state after a search along the direction, or if that is in vain, with −P g to search next."""
        slope = dot(s.grad, s.direction)
        if slope == 0:
            return s._replace(stuck="the gradient is zero")
        point, wolfe = self.search(objective, s.w, s.loss, slope, s.direction, _first_step(s, slope))
        if point is None and s.since == 0:
            return s._replace(stuck="the line search found no lower point along the negative gradient")
        if point is None:
            return s._replace(
                direction=-s.preconditioner * s.grad, restart="the search found nothing", since=0, step_length=0.0
            )
        heading = _powell_beale(s, point, slope) if self.beta == POWELL_BEALE else self._conjugate(s, point)
        told = (s.preconditioner, point.step, slope, wolfe)
        return ConjugateGradientState(point.w, point.loss, point.grad, "", *heading, *told)

    def _conjugate(self, s: ConjugateGradientState, point: Point) -> Heading:
        """Return −P g + β d, or −P g and why."""
        g, root = point.grad, s.preconditioner**0.5
        beta, z = self._beta(root * g, root * s.grad, s.direction / root), s.preconditioner * g
        direction, restart = beta * s.direction - z, ""
        if not isfinite(beta):
            restart = "beta is not finite"
        elif _overlap(z, s.grad, dot(g, z)):
            restart = "successive gradients overlap"
        elif beta == 0:
            restart = "beta is 0"
        elif not dot(g, direction) < 0:
            restart = "the direction would not descend"
        if restart:
            return Heading(-z, restart, 0, s.base, s.base_change)
        return Heading(direction, "", s.since + 1, s.base, s.base_change)

    def _beta(self, g: Array, g0: Array, d: Array) -> float:
        beta = BETAS[self.beta] if isinstance(self.beta, str) else self.beta
        try:
            return beta(g, g0, d)
        except ZeroDivisionError:
            return float("nan")


def _powell_beale(s: ConjugateGradientState, point: Point, slope: float) -> Heading:
    """Return −P g + β d + γ d_t, or −P g + β d and why it starts from d anew, or −P g."""
    g, z, rise = point.grad, s.preconditioner * point.grad, point.slope - slope
    square = dot(g, z)
    if not rise > 0:
        return Heading(-z, "the slope has not risen", 0, s.base, s.base_change)
    change = (g - s.grad) / rise
    direction, restart = dot(z, change) * s.direction - z, ""
    if s.since + 1 >= g.shape[0]:
        restart = "as many searches as weights"
    elif _overlap(z, s.grad, square):
        restart = "successive gradients overlap"
    elif s.since > 0:
        third = direction + dot(z, s.base_change) * s.base
        if not out_of_band(dot(g, third), square):
            return Heading(third, "", s.since + 1, s.base, s.base_change)
        restart = "the direction is too far from the gradient"
    if not dot(g, direction) < 0:
        return Heading(-z, "the direction would not descend", 0, s.base, s.base_change)
    return Heading(direction, restart, 1, s.direction, change)


def _overlap(z: Array, g0: Array, square: float) -> bool:
    return abs(dot(z, g0)) >= OVERLAP * square


def _first_step(s: ConjugateGradientState, slope: float) -> float:
    """Return the step that repeats the last first-order change (Nocedal and Wright 2006, section 3.5)."""
    if s.step_length == 0:
        return min(1.0, 1 / sqrt(-slope))
    return s.step_length * min(10.0, max(0.1, s.slope / slope))
