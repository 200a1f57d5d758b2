"""Where the first non-finite number came from.

A search that runs only after a step has ended with a non-finite loss: it costs nothing while all is well.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.methods import Method, Online
from deltarule.objective import Objective
from deltarule.special import Array

PARTS = 16
"""Into how many parts the epoch is cut at each level of the search for a row."""
SMALLER = "a smaller learning rate or inputs of a common scale"


def is_finite(state: Any) -> bool:
    """Return whether a state's loss, weights and, where it has one, gradient are finite."""
    xp, grad = array_namespace(state.w), getattr(state, "grad", None)
    arrays = [state.w] if grad is None else [state.w, grad]
    return isfinite(state.loss) and all(bool(xp.all(xp.isfinite(A))) for A in arrays)


def locate(objective: Any, method: Method, before: Any, after: Any) -> str:
    """Return what became non-finite first on the way from a finite state to one that is not, as a sentence.

    Parameters
    ----------
    objective : Objective
        What was trained on; of any other objective only the loss is reported.
    method : Method
        The method that made the step.
    before, after : State
        The last finite state and the one that followed.
    """
    if not isinstance(objective, Objective):
        return f"The objective became {after.loss} and no finite step was found."
    if isinstance(method, Online):
        what = _in_update(objective, method, before, after)
    else:
        what = (
            _bad_entry(objective, "weight", after.w)
            or _bad_neuron(objective, after.w, range(objective.n_rows))
            or _bad_entry(objective, "gradient at", getattr(after, "grad", after.w))
            or f"The loss became {after.loss:g}"
        )
    cure = SMALLER if "learning_rate" in getattr(method, "__dataclass_fields__", ()) else "scaled inputs"
    return f"{what}; the weights from before are kept. Try {cure}."


def _in_update(objective: Objective, method: Online, before: Any, after: Any) -> str:
    """Return what failed first in the update that failed, in the order in which it is computed."""
    before, after, rows = _failing_update(objective, method, before, after)
    value = objective.engine.value(before.w, _taken(objective, rows)) if len(rows) else 0.0
    place = f" in epoch {before.epoch + 1}"
    neuron = _bad_neuron(objective, before.w, rows)
    if neuron:
        return neuron + place
    loss = None if isfinite(value) else f"The loss became {value:g}"
    what = loss or _bad_entry(objective, "weight", after.w) or f"The loss became {after.loss:g}"
    if len(rows) == 1:
        place += f" at row {rows[0]}"
    elif len(rows):
        place += f" in the mini-batch that begins with row {rows[0]}"
    return what + place


def _failing_update(objective: Objective, method: Online, before: Any, after: Any) -> tuple[Any, Any, Sequence[int]]:
    """Take the step again in ever smaller parts; return the states around the update that failed, and its rows."""
    rate = max(method.schedule.at(before.epoch + before.row / objective.n_rows), sys.float_info.min)
    span = objective.n_rows if after.row <= before.row else after.row - before.row
    while span > method.batch_size:
        span = max(method.batch_size, span // PARTS // method.batch_size * method.batch_size)
        finer = replace(method, learning_rate=rate, rows_per_step=span)  # the step had one rate for all its rows
        last, following = before, finer.step(objective, before)
        while is_finite(following):
            if following.epoch > before.epoch:  # it does not fail again: nothing more to find
                return before, after, ()
            last, following = following, finer.step(objective, following)
        before, after = last, following
    order = objective.order(method.seed, before.epoch, method.shuffle)
    return before, after, [int(i) for i in order[before.row : before.row + method.batch_size]]


def _taken(objective: Objective, rows: Sequence[int]) -> Rows:
    return Rows(*(None if A is None else A[list(rows), ...] for A in objective.rows))


def _first_bad(values: Array) -> int | None:
    flat = np.asarray(values).reshape(-1)
    bad = np.flatnonzero(~np.isfinite(flat))
    return int(bad[0]) if bad.size else None


def _bad_entry(objective: Objective, kind: str, values: Array) -> str | None:
    """Return the first entry of a vector like w that is not finite."""
    i = _first_bad(values)
    return None if i is None else f"The {kind} {objective.network.weight_name(i)} became {float(values[i]):g}"


def _bad_neuron(objective: Objective, w: Array, rows: Sequence[int]) -> str | None:
    """Return the first row, layer and neuron in which a forward pass overflows."""
    network, engine = objective.network, ArrayEngine(objective.network, objective.loss)
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024]
        passed = engine.trace(w, _taken(objective, part).X)
        for layer, (E, Y) in enumerate(zip(passed.E, passed.Y[1:], strict=True)):
            for quantity, values in (("received", E), ("put out", Y)):
                bad = _first_bad(values)
                if bad is not None:
                    row, neuron = divmod(bad, network.sizes[layer + 1])
                    value = float(np.asarray(values).reshape(-1)[bad])
                    return f"The neuron {network.layer_name(layer)}[{neuron}] {quantity} {value:g} for row {part[row]}"
    return None
