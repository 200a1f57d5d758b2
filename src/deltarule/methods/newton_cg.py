"""Newton steps by conjugate gradients inside a trust region: truncated Gauss-Newton, "Hessian-free".

    minimise over d          g'd + ½ d'H d          with |d| ≤ Δ          w ← w + d

H, the Gauss-Newton matrix, is never formed: conjugate gradients need its products with vectors alone, each about the
price of two gradients. They end when the residual is small, or where the path leaves the region or meets no curvature,
and then at its border (Steihaug 1983; Nocedal and Wright 2006, algorithm 7.2). The radius Δ follows the ratio of the
descent to what the model promised (their algorithm 4.1). For networks whose H does not fit into memory (Martens 2010).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, sqrt
from numbers import Integral
from typing import Any, NamedTuple

from deltarule.errors import SettingError
from deltarule.numeric import isfinite
from deltarule.special import Array

POOR, GOOD = 0.25, 0.75
"""Ratios below and above which the radius shrinks and may grow (Nocedal and Wright, algorithm 4.1)."""
SHRINK, GROW = 0.25, 2.0
"""What the radius is multiplied by then."""
SMALLEST_RADIUS = 1e-10
"""Share of the weights' length, and of 1, below which a radius can no longer move them."""


class Direction(NamedTuple):
    """A step d, its product H d, whether it ends at the border, and how many products it took."""

    d: Array
    Hd: Array
    at_border: bool
    products: int


class NewtonCGState(NamedTuple):
    """A point of truncated Gauss-Newton.

    `radius` is that of the next trust region; `ratio` compares the last descent with what was promised, `products` and
    `trials` tell what the step took.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    radius: float
    ratio: float
    products: int
    trials: int


@dataclass(frozen=True)
class NewtonCG:
    """Step to the minimum of the quadratic model inside a region where it is trusted, without storing a matrix.

    Parameters
    ----------
    radius : float
        The first radius Δ, a length in the space of the weights.
    max_radius : float
        What it never exceeds.
    tolerance : float
        The residual at which conjugate gradients end, as a share of the gradient; where the gradient is small, the
        square root of its length is the share, so that steps grow exact near a minimum (Nocedal and Wright,
        section 7.1).
    max_products : int
        Products with H for one step at most.

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
    >>> result = dr.train(sine, net.initial_weights(0), "newton_cg", stop=[dr.stopping.Goal(1e-6)])
    >>> result.reason.name
    'GOAL'
    >>> sorted(result.history[-1].details)
    ['products', 'radius', 'ratio', 'trials']
    """

    radius: float = 1.0
    max_radius: float = 1e3
    tolerance: float = 0.1
    max_products: int = 250

    name = "newton_cg"
    version = 1
    state_type = NewtonCGState
    needs = ("value_grad", "gauss_newton_product")

    def __post_init__(self) -> None:
        for setting, high in {"radius": inf, "max_radius": inf, "tolerance": 1.0}.items():
            value = getattr(self, setting)
            if not isinstance(value, int | float) or not isfinite(value) or not 0 < value < high:
                raise SettingError(f"{setting} was {value!r}; it is a number above 0 and below {high:g}.")
        if self.radius > self.max_radius:
            raise SettingError(f"radius was {self.radius!r}; it is at most max_radius, {self.max_radius!r}.")
        if not isinstance(self.max_products, Integral) or self.max_products < 1:
            raise SettingError(f"max_products was {self.max_products!r}; it is a whole number from 1 up.")

    def start(self, objective: Any, w: Array) -> NewtonCGState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        return NewtonCGState(w, float(loss), grad, "", float(self.radius), 1.0, 0, 0)

    def step(self, objective: Any, s: NewtonCGState) -> NewtonCGState:
        """Return the state after the first trial that descends, the region shrinking until then."""
        size, reach = _length(s.grad), SMALLEST_RADIUS * (1 + _length(s.w))
        if size == 0:
            return s._replace(stuck="the gradient is zero")
        radius, products, trials = s.radius, 0, 0
        while radius > reach:
            residual = min(self.tolerance, sqrt(size)) * size
            d, Hd, at_border, used = self._direction(objective, s, radius, residual)
            products, trials = products + used, trials + 1
            w = s.w + d
            loss, grad = objective.value_grad(w)
            promised = -float(d @ (s.grad + 0.5 * Hd))
            ratio = (s.loss - float(loss)) / promised if promised > 0 else 0.0
            if not ratio >= POOR:  # not a number, where the loss is not
                radius = SHRINK * min(radius, _length(d))
            elif ratio > GOOD and at_border:
                radius = min(GROW * radius, self.max_radius)
            if loss < s.loss:
                return NewtonCGState(w, float(loss), grad, "", radius, ratio, products, trials)
        return s._replace(stuck="no step descends, however small the trust region", radius=radius, products=products)

    def _direction(self, objective: Any, s: NewtonCGState, radius: float, residual: float) -> Direction:
        def product(v: Array) -> Array:
            return objective.gauss_newton_product(s.w, v)

        return steihaug(product, s.grad, radius, residual, self.max_products)


def steihaug(
    product: Callable[[Array], Array], g: Array, radius: float, residual: float, max_products: int
) -> Direction:
    """Return about the smallest point of g'd + ½ d'H d with |d| ≤ radius, by conjugate gradients from 0.

    Parameters
    ----------
    product : callable
        H times a vector.
    g : array of shape (p,)
        The gradient.
    radius : float
        The largest length of d.
    residual : float
        The length of g + H d at which d is good enough.
    max_products : int
        How many products may be taken.

    Returns
    -------
    Direction
        The step and its product with H.
    """
    d, Hd, r, v = 0 * g, 0 * g, g, -g
    rr = float(r @ r)
    for used in range(1, max_products + 1):
        Hv = product(v)
        bend = float(v @ Hv)
        length = rr / bend if bend > 0 else inf
        border = _to_border(d, v, radius)
        if not length < border:
            return Direction(d + border * v, Hd + border * Hv, True, used)
        d, Hd, r = d + length * v, Hd + length * Hv, r + length * Hv
        rr, before = float(r @ r), rr
        if sqrt(rr) <= residual:
            break
        v = (rr / before) * v - r
    return Direction(d, Hd, False, used)


def _to_border(d: Array, v: Array, radius: float) -> float:
    """Return the t ≥ 0 with |d + t v| = radius, without cancellation."""
    dv, vv, room = float(d @ v), float(v @ v), max(0.0, radius * radius - float(d @ d))
    root = sqrt(dv * dv + vv * room)
    return room / (dv + root) if dv > 0 else (root - dv) / vv


def _length(v: Array) -> float:
    return sqrt(float(v @ v))
