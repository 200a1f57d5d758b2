"""Scaled conjugate gradients (Møller 1993): no line search, the step comes from the curvature along the direction.

The curvature along p is a difference of gradients over the short length σ, and λ is added to it as in Levenberg and
Marquardt's method, so that the step stays where the quadratic model of the loss E can be trusted:

    c = p · (∇E(w + σ p/|p|) − ∇E(w)) |p| / σ          δ = c + λ |p|²
    δ ≤ 0:  λ ← 2 (λ − δ / |p|²), which turns the sign of δ
    μ = −p · ∇E(w)          a = μ / δ          w ← w + a p
    Δ = (E(w) − E(w + a p)) / (½ a μ), the descent there is over the descent foretold

    Δ ≤ 0: the step is refused and tried again with the next λ
    Δ < ¼: λ ← λ + δ (1 − Δ) / |p|²          Δ ≥ ¾: λ ← λ / 4
    p ← −P g + β p with β = (g·P g − g·P g_before) / μ, and p ← −P g where that fails

Lengths are taken in the variables w / √P: |p|² = p·P⁻¹p. These are steps 1 to 9 of the paper's algorithm, but for the
last line: the paper starts afresh from −g after as many steps as there are weights, which `restart_every` brings back.
Here it is where β < 0 or p·g is not within a fifth of −g·P g (Powell 1977). One period of a sine by 1-5-1 neurons, to a
mean squared error of 1e-6, takes 2,900 passes so and 6,300 with the paper's restarts (medians of 30 starts, P = 1),
which throw away much on a network of 16 weights. Where the descent foretold is less than a millionth of E, so that
rounding may hide it, Δ is taken from the slopes at both ends, 1 − p·∇E(w + a p) / p·∇E(w), the same on a parabola. A
step goes on until it is taken, so that each record is of a new point: two passes, one more for each refusal. MATLAB's
``trainscg``.

Where the last layer can be solved for, P and the start are those of `deltarule.preconditioning`, elsewhere and with
``preconditioned=False`` P is 1; ``projection=True`` solves for that layer at every trial (`deltarule.projection`).
"""

from dataclasses import dataclass
from math import isfinite, nan, sqrt
from numbers import Integral
from typing import Any, NamedTuple

from deltarule.errors import SettingError
from deltarule.methods import preconditioner
from deltarule.methods.betas import out_of_band
from deltarule.methods.line_search import HIDDEN
from deltarule.special import Array
from deltarule.vectors import dot

LOWEST, HIGHEST = 1e-15, 1e100
"""Between these λ stays, as in Nabney's Netlab (2002): below nothing is added, beyond nothing is moved."""
REFUSED = -3.0
"""The Δ of a trial that has none, not being finite, or being higher by what may be rounding: δ grows by four δ."""


class ScaledConjugateGradientState(NamedTuple):
    """A point of scaled conjugate gradients.

    `direction` is where the next step goes and `restart` says why it starts afresh ("" where it is conjugate), `since`
    how many steps ago; `damping` is λ, `agreement` the Δ of the step that led here, `refused` how many were before
    it; `preconditioner` is the diagonal of P.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    direction: Array
    restart: str
    since: int
    damping: float
    agreement: float
    refused: int
    preconditioner: Array


@dataclass(frozen=True)
class ScaledConjugateGradient:
    """Step along conjugate directions as far as their curvature says, without searching.

    Parameters
    ----------
    sigma : float
        σ, the length over which gradients are compared.
    damping : float
        The first λ.
    restart_every : int, optional
        Steps after which the direction is −g at the latest; the paper's are as many as there are weights.
    projection : bool
        Whether the last layer's weights are solved for at every trial, where possible (`deltarule.projection`).
    preconditioned : bool
        Whether they are solved for at the start, and P is computed there (`deltarule.preconditioning`), where possible.

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
    >>> result = dr.train(sine, net.initial_weights(0), "trainscg", stop=[dr.stopping.Goal(0.001)])
    >>> result.reason.name
    'GOAL'
    >>> sorted(result.history[-1].details)
    ['agreement', 'damping', 'refused', 'restart', 'since']
    """

    sigma: float = 5e-5
    damping: float = 5e-7
    restart_every: int | None = None
    projection: bool = False
    preconditioned: bool = True

    name = "scaled_conjugate_gradient"
    version = 2
    state_type = ScaledConjugateGradientState
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        preconditioner.check_switches(self)
        for name, value in (("sigma", self.sigma), ("damping", self.damping)):
            if not (isinstance(value, int | float) and 0 < value <= 1):
                raise SettingError(f"{name} was {value!r}; it is a small number, above 0 and at most 1.")
        every = self.restart_every
        if every is not None and (not isinstance(every, Integral) or every < 1):
            raise SettingError(f"restart_every was {every!r}; it is a whole number from 1 up, or None.")

    def start(self, objective: Any, w: Array) -> ScaledConjugateGradientState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        P = preconditioner.at(objective, w)
        return ScaledConjugateGradientState(w, float(loss), grad, "", -P * grad, "start", 0, self.damping, 1.0, 0, P)

    def step(self, objective: Any, s: ScaledConjugateGradientState) -> ScaledConjugateGradientState:
        """Return the state after a step that is taken, or after none with the direction back at −P g."""
        p, slope = s.direction, dot(s.direction, s.grad)
        size = dot(p, p / s.preconditioner)
        if slope == 0 or size == 0:
            return s._replace(stuck="the gradient is zero")
        curvature = self._curvature(objective, s, sqrt(size))
        damping, refused = s.damping, 0
        while isfinite(curvature) and damping < HIGHEST:
            delta = curvature + damping * size
            if delta <= 0:
                damping, delta = 2 * (damping - delta / size), damping * size - delta
            length = -slope / delta
            w = s.w + length * p
            loss, grad = objective.value_grad(w)
            agreement = _agreement(s.loss, float(loss), slope, length, dot(p, grad))
            if agreement < 0.25:
                damping += delta * (1 - agreement) / size
            elif agreement >= 0.75:
                damping = max(damping / 4, LOWEST)
            if agreement > 0:
                heading = self._next_direction(s, grad, slope)
                told = (damping, agreement, refused)
                return ScaledConjugateGradientState(w, float(loss), grad, "", *heading, *told, s.preconditioner)
            refused += 1
            if agreement == 0:  # nothing moved: steps are below rounding
                break
        if s.restart:
            return s._replace(stuck="no step along the negative gradient lowers the loss")
        return s._replace(
            direction=-s.preconditioner * s.grad,
            restart="no step was taken",
            since=0,
            damping=self.damping,
            refused=refused,
        )

    def _curvature(self, objective: Any, s: ScaledConjugateGradientState, length: float) -> float:
        """Return c, the curvature p · H p by a difference of gradients."""
        share = self.sigma / length
        if share == 0:  # the direction is too long to square
            return nan
        nearby = objective.value_grad(s.w + share * s.direction)[1]
        return dot(s.direction, nearby - s.grad) / share

    def _next_direction(self, s: ScaledConjugateGradientState, g: Array, slope: float) -> tuple[Array, str, int]:
        """Return −P g + β p, or −P g and why, and how many steps it has gone on."""
        z = s.preconditioner * g
        beta = dot(z, g - s.grad) / -slope
        direction, restart = beta * s.direction - z, ""
        if s.since + 1 == self.restart_every:
            restart = "as many steps as asked"
        elif not beta >= 0:
            restart = "beta is below 0"
        elif out_of_band(dot(g, direction), dot(g, z)):
            restart = "the direction is too far from the gradient"
        return (-z, restart, 0) if restart else (direction, "", s.since + 1)


def _agreement(loss: float, new_loss: float, slope: float, length: float, new_slope: float) -> float:
    """Return Δ."""
    foretold = -0.5 * length * slope
    if not isfinite(new_loss) or not isfinite(new_slope):
        return REFUSED
    if foretold > HIDDEN * abs(loss):
        return (loss - new_loss) / foretold
    return 1 - new_slope / slope if new_loss <= loss else REFUSED
