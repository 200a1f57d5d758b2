"""Nonlinear conjugate gradients.

    d ← −g + β d_before          w ← w + a d, the step a from a strong-Wolfe line search

β by Fletcher-Reeves (1964), Polak-Ribière (1969, never below 0), Hestenes-Stiefel (1952), Dai-Yuan (1999) or
Hager-Zhang (2005), or any function of (g, g_before, d_before). The direction starts afresh from −g when it does not
descend, when a search finds nothing along it, and when successive gradients are far from orthogonal (Powell 1977:
``|g · g_before| ≥ 0.2 g · g``). MATLAB's ``traincgf`` and ``traincgp``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any, NamedTuple

from deltarule.errors import SettingError, unknown
from deltarule.methods.line_search import StrongWolfe
from deltarule.special import Array

Beta = Callable[[Array, Array, Array], float]
"""``beta(g, g_before, d_before)``: how much of the old direction to keep."""

POWELL = 0.2
"""Successive gradients that overlap by this share of g · g call for a restart (Powell 1977)."""
HAGER_ZHANG_ETA = 0.01
"""η of Hager and Zhang's lower bound on β (2005, equation 1.6)."""


def fletcher_reeves(g: Array, g0: Array, d: Array) -> float:
    """Return g·g / g₀·g₀."""
    return float(g @ g) / float(g0 @ g0)


def polak_ribiere(g: Array, g0: Array, d: Array) -> float:
    """Return max(0, g·(g − g₀) / g₀·g₀)."""
    return max(0.0, float(g @ (g - g0)) / float(g0 @ g0))


def hestenes_stiefel(g: Array, g0: Array, d: Array) -> float:
    """Return max(0, g·y / d·y) with y = g − g₀."""
    y = g - g0
    return max(0.0, float(g @ y) / float(d @ y))


def dai_yuan(g: Array, g0: Array, d: Array) -> float:
    """Return g·g / d·y with y = g − g₀."""
    return float(g @ g) / float(d @ (g - g0))


def hager_zhang(g: Array, g0: Array, d: Array) -> float:
    """Return (y − 2 d y·y / d·y)·g / d·y, bounded below, with y = g − g₀."""
    y = g - g0
    dy = float(d @ y)
    beta = (float(y @ g) - 2 * float(d @ g) * float(y @ y) / dy) / dy
    lengths = sqrt(float(d @ d)) * min(HAGER_ZHANG_ETA, sqrt(float(g0 @ g0)))
    return max(beta, -1 / lengths)


BETAS: dict[str, Beta] = {
    "fletcher_reeves": fletcher_reeves,
    "polak_ribiere": polak_ribiere,
    "hestenes_stiefel": hestenes_stiefel,
    "dai_yuan": dai_yuan,
    "hager_zhang": hager_zhang,
}
"""The formulas for β by name."""


class ConjugateGradientState(NamedTuple):
    """A point of conjugate gradients.

    `direction` is where the next search goes and `restart` says why it starts afresh ("" where it is conjugate);
    `step_length`, `slope` and `wolfe` tell of the search that led here.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    direction: Array
    restart: str
    step_length: float
    slope: float
    wolfe: bool


@dataclass(frozen=True)
class ConjugateGradient:
    """Search along directions that keep what the earlier ones have gained.

    Parameters
    ----------
    beta : str or callable
        ``fletcher_reeves``, ``polak_ribiere``, ``hestenes_stiefel``, ``dai_yuan``, ``hager_zhang``, or a function
        ``beta(g, g_before, d_before)``.
    search : StrongWolfe
        The line search.

    Raises
    ------
    SettingError
        If `beta` is unknown.
    """

    beta: str | Beta = "polak_ribiere"
    search: StrongWolfe = field(default=StrongWolfe())

    name = "conjugate_gradient"
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        if not callable(self.beta) and self.beta not in BETAS:
            raise unknown("beta", self.beta, BETAS)
        if not callable(self.search):
            raise SettingError(f"search was {self.search!r}; it is a line search such as StrongWolfe().")

    def start(self, objective: Any, w: Array) -> ConjugateGradientState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        return ConjugateGradientState(w, float(loss), grad, "", -grad, "start", 0.0, 0.0, True)

    def step(self, objective: Any, s: ConjugateGradientState) -> ConjugateGradientState:
        """Return the state after a search along the direction, or if that is in vain, along −g."""
        slope = float(s.grad @ s.direction)
        if slope == 0:
            return s._replace(stuck="the gradient is zero")
        point, wolfe = self.search(objective, s.w, s.loss, s.grad, s.direction, _first_step(s, slope))
        if point is None and s.restart:
            return s._replace(stuck="the line search found no lower point along the negative gradient")
        if point is None:
            return s._replace(direction=-s.grad, restart="the search found nothing", step_length=0.0)
        direction, restart = self._next_direction(point.grad, s.grad, s.direction)
        return ConjugateGradientState(point.w, point.loss, point.grad, "", direction, restart, point.step, slope, wolfe)

    def _next_direction(self, g: Array, g0: Array, d: Array) -> tuple[Array, str]:
        """Return −g + β d, or −g and why."""
        beta = self._beta(g, g0, d)
        if not isfinite(beta):
            return -g, "beta is not finite"
        if abs(float(g @ g0)) >= POWELL * float(g @ g):
            return -g, "successive gradients overlap"
        direction = beta * d - g
        if beta == 0:
            return -g, "beta is 0"
        if not float(g @ direction) < 0:
            return -g, "the direction would not descend"
        return direction, ""

    def _beta(self, g: Array, g0: Array, d: Array) -> float:
        beta = BETAS[self.beta] if isinstance(self.beta, str) else self.beta
        try:
            return beta(g, g0, d)
        except ZeroDivisionError:
            return float("nan")


def _first_step(s: ConjugateGradientState, slope: float) -> float:
    """Return the step that repeats the last first-order change (Nocedal and Wright 2006, section 3.5)."""
    if s.step_length == 0:
        return min(1.0, 1 / sqrt(float(s.direction @ s.direction)))
    return s.step_length * min(10.0, max(0.1, s.slope / slope))
