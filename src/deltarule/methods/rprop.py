"""Resilient backpropagation: each weight has a step size of its own, and only the sign of its slope counts.

    s ← sign(g) · sign(g_before)           Δ ← min(η⁺ Δ, Δmax) where s > 0,  max(η⁻ Δ, Δmin) where s < 0
    w ← w − sign(g) Δ

The variants differ in what happens to a weight whose slope has turned (s < 0), for it has jumped over a valley:

    rprop-     it steps like any other                                        (Riedmiller 1994)
    rprop+     it goes back to where it was                                   (Riedmiller and Braun 1993)
    irprop-    it stays                                                       (Igel and Hüsken 2000)
    irprop+    it goes back if the loss has risen, and otherwise stays        (Igel and Hüsken 2000, 2003)

In all but the first, its next step takes its sign from the slope alone and keeps Δ. A step to a loss that is not finite
is taken back by all weights, and all Δ are shortened. MATLAB's ``trainrp`` is described as the first.
"""

from dataclasses import dataclass
from math import isfinite
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import device

from deltarule.compiled import rprop
from deltarule.errors import SettingError, unknown
from deltarule.special import Array
from deltarule.vectors import namespace

VARIANTS = ("irprop+", "irprop-", "rprop+", "rprop-")


class RpropState(NamedTuple):
    """A point of Rprop.

    `sizes` are the Δ, `signs` those of the slopes that count for the next step (0 where the slope has just turned),
    `move` is what was last taken from w, `loss_before` the loss before that. What a kernel makes of w, `sizes`,
    `signs` and `move` are rows of one array.
    """

    w: Array
    loss: float
    grad: Array
    stuck: str
    sizes: Array
    signs: Array
    move: Array
    loss_before: float


@dataclass(frozen=True)
class Rprop:
    """Step by the sign of each slope, with a step size for each weight.

    Parameters
    ----------
    variant : str
        ``irprop+``, ``irprop-``, ``rprop+`` or ``rprop-``.
    increase, decrease : float
        η⁺ and η⁻, MATLAB's delt_inc and delt_dec.
    first_step : float or (float, float)
        The first Δ of all weights, MATLAB's delta0, or the range in which each weight draws its own.
    largest_step, smallest_step : float
        Δmax, MATLAB's deltamax, and Δmin.
    seed : int
        Seed of the draw, where `first_step` is a range.

    Raises
    ------
    SettingError
        If the variant is unknown or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import deltarule as dr
    >>> x = np.linspace(-1, 1, 41)[:, None]
    >>> net = dr.Network((1, 5, 1))
    >>> sine = dr.Objective(net, "squared_error", x, np.sin(np.pi * x))
    >>> for variant in ("irprop+", "rprop-"):  # the default, and what trainrp is
    ...     rprop = dr.methods.Rprop(variant=variant)
    ...     result = dr.train(sine, net.initial_weights(0), rprop, stop=[dr.stopping.Goal(0.001)])
    ...     print(variant, result.reason.name)
    irprop+ GOAL
    rprop- GOAL
    """

    variant: str = "irprop+"
    increase: float = 1.2
    decrease: float = 0.5
    first_step: float | tuple[float, float] = 0.07
    largest_step: float = 50.0
    smallest_step: float = 1e-6
    seed: int = 0

    name = "rprop"
    version = 2
    state_type = RpropState
    needs = ("value_grad",)

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise unknown("variant", self.variant, VARIANTS)
        bounds = {"largest_step": (0, 1e100), "smallest_step": (0, self.largest_step), "increase": (1, 10),
                  "decrease": (0, 1)}  # fmt: skip
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not (isinstance(value, int | float) and low < value < high):
                raise SettingError(f"{name} was {value!r}; it is a number above {low:g} and below {high:g}.")
        if isinstance(self.first_step, list):  # as it comes from a file
            object.__setattr__(self, "first_step", tuple(self.first_step))
        first = self._first_range()
        if not (all(isinstance(end, int | float) for end in first) and self._in_order(*first)):
            raise SettingError(
                f"first_step was {self.first_step!r}; it is a number, or the two ends of a range, from "
                f"smallest_step {self.smallest_step:g} to largest_step {self.largest_step:g}."
            )
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise SettingError(f"seed was {self.seed!r}; it is a whole number from 0 up.")

    def start(self, objective: Any, w: Array) -> RpropState:
        """Return the state at w."""
        loss, grad = objective.value_grad(w)
        return RpropState(w, float(loss), grad, "", self._first_sizes(w), 0 * w, 0 * w, float(loss))

    def step(self, objective: Any, s: RpropState) -> RpropState:
        """Return the state after one step."""
        forgets, returns = self.variant != "rprop-", self.variant == "rprop+"
        returns = returns or (self.variant == "irprop+" and s.loss > s.loss_before)
        settings = (self.increase, self.decrease, self.smallest_step, self.largest_step)
        made = rprop(settings, forgets, returns, s.grad, s.w, s.sizes, s.signs, s.move)
        w, sizes, signs, move = self._moved(s, forgets, returns) if made is None else made
        loss, grad = objective.value_grad(w)
        if not isfinite(loss):
            return self._taken_back(namespace(s.w), s)
        return RpropState(w, float(loss), grad, "", sizes, signs, move, s.loss)

    def _moved(self, s: RpropState, forgets: bool, returns: bool) -> tuple[Array, Array, Array, Array]:
        """Return w, Δ, signs and moves after a step, the gradient there not known yet."""
        xp = namespace(s.w)
        signs = xp.sign(s.grad)
        agree = signs * s.signs
        one = xp.ones_like(agree)
        factors = xp.where(agree > 0, self.increase * one, xp.where(agree < 0, self.decrease * one, one))
        sizes = self._bounded(xp, factors * s.sizes)
        if forgets:
            signs *= agree >= 0
        move = signs * sizes
        if returns:
            move = xp.where(agree < 0, -s.move, move)
        return s.w - move, sizes, signs, move

    def _bounded(self, xp: Any, sizes: Array) -> Array:
        return xp.maximum(xp.minimum(sizes, self.largest_step), self.smallest_step)

    def _taken_back(self, xp: Any, s: RpropState) -> RpropState:
        """Return the state before the step, with shorter steps to come."""
        sizes = self._bounded(xp, self.decrease * s.sizes)
        stuck = "" if bool(xp.any(sizes < s.sizes)) else "even the smallest steps lead to a loss that is not finite"
        return s._replace(sizes=sizes, signs=0 * s.signs, stuck=stuck)

    def _first_sizes(self, w: Array) -> Array:
        low, high = self._first_range()
        drawn = np.random.Generator(np.random.PCG64(self.seed)).uniform(low, high, size=w.shape[0])
        return namespace(w).asarray(drawn, dtype=w.dtype, device=device(w))

    def _first_range(self) -> tuple[float, float]:
        first = self.first_step
        return first if isinstance(first, tuple) and len(first) == 2 else (first, first)

    def _in_order(self, low: float, high: float) -> bool:
        return self.smallest_step <= low <= high <= self.largest_step
