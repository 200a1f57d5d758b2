"""Where the first non-finite number came from.

A search that runs only after a step has ended with a non-finite loss: it costs nothing while all is well.
"""

from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule.engines.array import ArrayEngine
from deltarule.methods import Method, Online
from deltarule.objective import Objective
from deltarule.special import Array

PARTS = 16
"""Into how many parts the epoch is cut at each level of the search for a row."""


def is_finite(state: Any) -> bool:
    """Return whether a state's loss and weights are finite."""
    xp = array_namespace(state.w)
    return isfinite(state.loss) and bool(xp.all(xp.isfinite(state.w)))


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
    place = ""
    if isinstance(method, Online):
        before, after, row = _first_bad_rows(objective, method, before, after)
        place = f" in epoch {before.epoch + 1} at row {row}"
    weight = _first_bad(after.w)
    if weight is not None:
        what = f"The weight {objective.network.weight_name(weight)} became {float(after.w[weight]):g}"
    else:
        what = _bad_neuron(objective, after.w) or f"The loss became {after.loss:g}"
    cure = "a smaller learning rate or inputs of a common scale" if "learning_rate" in _settings(method) else "scaled inputs"
    return f"{what}{place}; the weights from before are kept. Try {cure}."


def _settings(method: Method) -> list[str]:
    return list(getattr(method, "__dataclass_fields__", ()))


def _first_bad_rows(objective: Objective, method: Online, before: Any, after: Any) -> tuple[Any, Any, int]:
    """Take the step again in ever smaller parts; return the states around the update that failed, and its data row."""
    span = objective.n_rows if after.row <= before.row else after.row - before.row
    while span > method.batch_size:
        span = max(method.batch_size, span // PARTS // method.batch_size * method.batch_size)
        finer = replace(method, rows_per_step=span)
        last = before
        while True:
            following = finer.step(objective, last)
            if not is_finite(following):
                break
            if following.epoch > before.epoch + 1:  # it does not fail again: nothing more to find
                return before, after, -1
            last = following
        before, after = last, following
    order = objective.order(method.seed, before.epoch, method.shuffle)
    return before, after, int(order[min(before.row, objective.n_rows - 1)])


def _first_bad(values: Array) -> int | None:
    flat = np.asarray(values).reshape(-1)
    bad = np.flatnonzero(~np.isfinite(flat))
    return int(bad[0]) if bad.size else None


def _bad_neuron(objective: Objective, w: Array) -> str | None:
    """Return the first row, layer and neuron in which a forward pass overflows."""
    network, engine = objective.network, ArrayEngine(objective.network, objective.loss)
    for start in range(0, objective.n_rows, 1024):
        passed = engine.trace(w, objective.rows.X[start : start + 1024, ...])
        for layer, (E, Y) in enumerate(zip(passed.E, passed.Y[1:], strict=True)):
            for quantity, values in (("received", E), ("put out", Y)):
                bad = _first_bad(values)
                if bad is not None:
                    row, neuron = divmod(bad, network.sizes[layer + 1])
                    value = float(np.asarray(values).reshape(-1)[bad])
                    return f"{network.layer_name(layer)}[{neuron}] {quantity} {value:g} in row {start + row}"
    return None
