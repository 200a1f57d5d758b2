"""The first number that was not finite: which row, layer and neuron, in which epoch, and the values that led to it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import methods
from deltarule.divergence import Origin, find
from deltarule.engines.array import ArrayEngine
from deltarule.explain.diagnosis.finding import Finding, Measurement
from deltarule.explain.health_rows import losses_of
from deltarule.history import Result
from deltarule.methods import GradientDescent, Method
from deltarule.objective import Objective
from deltarule.stopping import MaxSteps, Reason
from deltarule.train import steps, train

Floats = NDArray[np.float64]

LAST = 5
"""Losses that are shown of the way to the end."""


class Overflow(NamedTuple):
    """What became non-finite first, in which step, and the values that led to it.

    Parameters
    ----------
    origin : Origin
        Row, counted from 0, neuron or weight, quantity, value and epoch.
    step : int or None
        The step of the run in which it happened, the first being 1.
    led_to_it : tuple of Measurement
        The last losses, the largest weight before and after, and what the row made each layer receive.
    """

    origin: Origin
    step: int | None
    led_to_it: tuple[Measurement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; values that are not finite as text."""
        origin = self.origin
        value = origin.value if np.isfinite(origin.value) else str(float(origin.value))
        return {
            "quantity": origin.quantity, "place": origin.place, "value": value, "row": origin.row,
            "epoch": origin.epoch, "batch": origin.batch, "step": self.step,
            "led_to_it": [{"what": m.what, "value": m.value if np.isfinite(m.value) else str(m.value)}
                          for m in self.led_to_it],
        }  # fmt: skip

    @property
    def says(self) -> str:
        """It as a sentence, in which rows count from 1 as in all messages."""
        row, batch = (None if one is None else one + 1 for one in (self.origin.row, self.origin.batch))
        when = "" if self.step is None else f", step {self.step:,} of the run"
        return f"{self.origin._replace(row=row, batch=batch)}{when}."

    def __str__(self) -> str:
        lines = [self.says, *(f"  {one.what}: {one.value:.4g}" for one in self.led_to_it)]
        return "\n".join(lines)


def first_non_finite(objective: Objective, w: Any, method: Any = "online", max_steps: int = 1000) -> Overflow | None:
    """Train until something becomes non-finite and say what, where and after what; None if nothing does.

    Parameters
    ----------
    objective : Objective
        What is trained on.
    w : array of shape (p,)
        The weights to start from.
    method : str or Method
        How.
    max_steps : int
        Steps at most.

    Examples
    --------
    >>> from deltarule import Network, methods
    >>> objective = Objective(Network((1, 1)), "squared_error", [[3.0], [50.0]], [1.0, 2.0])
    >>> found = first_non_finite(objective, [0.1, 0.0], methods.Online(1.0, shuffle=False))
    >>> found.origin.quantity, found.origin.row, found.origin.epoch
    ('loss', 0, 37)
    """
    made = methods.get(method)
    result = train(objective, w, made, [MaxSteps(max_steps)])
    return of_result(objective, made, result) if result.reason is Reason.NON_FINITE else None


def of_result(objective: Objective, method: Method, result: Result) -> Overflow | None:
    """Return what ended a run with a value that is not finite: its last step is taken again."""
    if not result.history:
        return of_weights(objective, np.asarray(result.w, dtype=float))
    with np.errstate(all="ignore"):
        states = steps(objective, result.w, method, state=result.state)
        before = next(states)
        after = next(states)
        origin = find(objective, method, before, after)
        origin = _at_row(objective, origin)
    if origin is None or (np.isfinite(after.loss) and np.all(np.isfinite(np.asarray(after.w)))):
        return None
    return Overflow(origin, len(result.history), _led_to(objective, origin, [r.loss for r in result.history]))


def of_weights(objective: Objective, w: Floats) -> Overflow | None:
    """Return what is not finite at w itself."""
    with np.errstate(all="ignore"):
        value, grad = objective.value_grad(w)
        if np.isfinite(value) and np.all(np.isfinite(np.asarray(grad))):
            return None
        state = SimpleNamespace(w=w, loss=float(value), grad=grad)
        origin = _at_row(objective, find(objective, GradientDescent(), state, state))
    return None if origin is None else Overflow(origin, None, _led_to(objective, origin, []))


def _at_row(objective: Objective, origin: Origin | None) -> Origin | None:
    """Return the loss of the first row that is not finite where a sum over rows is not: that came before the sum."""
    if origin is None or origin.quantity not in ("gradient", "loss") or (origin.row, origin.batch) != (None, None):
        return origin
    X, T = (np.asarray(A, dtype=float) for A in objective.rows[:2])
    passed = ArrayEngine(objective.network, objective.loss).trace(np.asarray(origin.after, dtype=float), X)
    losses = losses_of(objective.loss, passed, T)
    bad = np.flatnonzero(~np.isfinite(losses))
    return origin if not len(bad) else origin._replace(
        quantity="loss", place="", value=float(losses[bad[0]]), row=int(bad[0])
    )  # fmt: skip


def _led_to(objective: Objective, origin: Origin, losses: list[float]) -> tuple[Measurement, ...]:
    shown = [
        Measurement(f"loss {LAST - i} steps before", loss)
        for i, loss in enumerate(losses[-LAST:], LAST - len(losses[-LAST:]))
    ]
    shown += [
        Measurement("last loss / the one before", now / before) for before, now in pairwise(losses[-2:]) if before
    ]
    for when, w in (("before", origin.before), ("after", origin.after)):
        if w is not None:
            largest = int(np.argmax(np.nan_to_num(np.abs(np.asarray(w, dtype=float)), nan=np.inf)))
            name = objective.network.weight_name(largest)
            shown.append(Measurement(f"largest weight {when} the update, {name}", float(w[largest])))
    row = origin.row if origin.row is not None else origin.batch
    if row is not None and origin.before is not None:
        X = np.asarray(objective.rows.X)[row : row + 1]
        with np.errstate(all="ignore"):
            passed = ArrayEngine(objective.network, objective.loss).trace(np.asarray(origin.before), X)
        shown.append(Measurement(f"largest input of row {row + 1}", float(np.abs(X).max())))
        for layer, E in enumerate(passed.E):
            name = objective.network.layer_name(layer)
            shown.append(Measurement(f"largest |e| in {name} for row {row + 1}", float(np.abs(E).max())))
    return tuple(shown)


def finding(overflow: Overflow) -> Finding:
    """Return it as a finding."""
    origin = overflow.origin
    places = tuple(part for part in (origin.place, "" if origin.row is None else f"row {origin.row + 1}") if part)
    return Finding(
        "non_finite", overflow.says, places, overflow.led_to_it,
        "Scale inputs and targets, use a smaller learning rate, and start again.",
    )  # fmt: skip
