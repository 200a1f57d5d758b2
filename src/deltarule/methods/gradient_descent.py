"""Batch gradient descent: one step on the gradient over all rows.

    v ← m v − η (1 − m) g          w ← w + v

With `adaptive`, a step that raises the loss by more than `max_increase` is taken back, η is multiplied by `decrease`
and the velocity forgotten; a step that lowers it multiplies η by `increase` (Vogl et al. 1988). Plain it is MATLAB's
``traingd``, with momentum ``traingdm``, adaptive ``traingda``, with both ``traingdx``.
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from deltarule.errors import SettingError
from deltarule.numeric import isfinite
from deltarule.special import Array

SMALLEST_RATE = 1e-30
"""An adaptive rate below this can no longer move a weight."""


class GradientDescentState(NamedTuple):
    """A point of batch gradient descent."""

    w: Array
    loss: float
    grad: Array
    stuck: str
    velocity: Array
    rate: float


@dataclass(frozen=True)
class GradientDescent:
    """One step along the gradient over all rows.

    Parameters
    ----------
    learning_rate : float
        η, for the gradient of the *mean* loss: it means the same for any number of rows.
    momentum : float
        m, from 0 to below 1.
    adaptive : bool
        Whether η follows the success of the steps.
    increase, decrease, max_increase : float
        MATLAB's lr_inc, lr_dec and max_perf_inc, used when adaptive.

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
    >>> adaptive = dr.methods.GradientDescent(learning_rate=0.1, momentum=0.9, adaptive=True)  # traingdx
    >>> result = dr.train(sine, net.initial_weights(0), adaptive, stop=[dr.stopping.Goal(0.001)])
    >>> result.reason.name
    'GOAL'
    >>> bool(result.arrays()["rate"].max() > 0.1)  # the rate has grown on the way
    True
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    adaptive: bool = False
    increase: float = 1.05
    decrease: float = 0.7
    max_increase: float = 1.04

    name = "gradient_descent"
    version = 1
    state_type = GradientDescentState
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        bounds = {"learning_rate": (0, 1e300), "increase": (1, 1e300), "max_increase": (1, 1e300)}
        for setting in fields(self):
            value = getattr(self, setting.name)
            low, high = bounds.get(setting.name, (0, 1))
            if not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
                raise SettingError(f"{setting.name} was {value!r}; it is a number from {low:g} to {high:g}.")
        if self.learning_rate == 0 or self.momentum == 1:
            raise SettingError("learning_rate must be above 0 and momentum below 1.")

    def start(self, objective: Any, w: Array) -> GradientDescentState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        return GradientDescentState(w, loss, grad, "", 0 * w, self.learning_rate)

    def step(self, objective: Any, s: GradientDescentState) -> GradientDescentState:
        """Return the state after one step."""
        velocity = self.momentum * s.velocity - s.rate * (1 - self.momentum) * s.grad
        w = s.w + velocity
        loss, grad = objective.value_grad(w)
        if not self.adaptive:
            return GradientDescentState(w, loss, grad, "", velocity, s.rate)
        if not (isfinite(loss) and loss <= s.loss + (self.max_increase - 1) * abs(s.loss)):
            rate = s.rate * self.decrease
            stuck = "the adaptive learning rate has vanished" if rate < SMALLEST_RATE else ""
            return s._replace(velocity=0 * s.velocity, rate=rate, stuck=stuck)
        rate = s.rate * self.increase if loss < s.loss else s.rate
        return GradientDescentState(w, loss, grad, "", velocity, rate)
