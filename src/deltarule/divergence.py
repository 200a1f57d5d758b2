"""Where the first non-finite number came from.

A search that runs only after a step has ended with a non-finite loss: it costs nothing while all is well.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.methods import Method, Online
from deltarule.objective import Objective
from deltarule.special import Array
from deltarule.vectors import dot

PARTS = 16
"""Into how many parts the epoch is cut at each level of the search for a row."""
OF_A_WEIGHT = {
    "weight": "weight {}",
    "gradient": "gradient at {}",
    "memory": "rule's memory of the gradient at {}",
    "curvature": "curvature at {}",
}
"""What a quantity of a weight is called."""
SMALLER = "a smaller learning rate or inputs of a common scale"


Watch = Callable[[Any], tuple[bool, float | None]]
"""Says of a state whether it is finite and its method not stuck, and what its gradient's square is, if it has one.

The gradient's square is what a record needs anyway, so that watching costs no more than a product w · w.
"""


def watcher(state: Any) -> Watch:
    """Return what watches the states of a run that begins with this one.

    A sum of squares is finite unless a number in it is not or is too large to square, so one number tells of all. What
    a method's states have is asked once: asking takes as long as the product. Where the answer is no, ask `is_finite`.
    """
    has_gradient, memory = getattr(state, "grad", None) is not None, getattr(state, "memory", None)
    has_memory = memory is not None and memory.shape[0] > 0

    def of_weights(state: Any) -> tuple[bool, None]:
        w = state.w
        return isfinite(state.loss + dot(w, w)) and not state.stuck, None

    def of_gradient(state: Any) -> tuple[bool, float]:
        w, grad = state.w, state.grad
        square = dot(grad, grad)
        return isfinite(state.loss + dot(w, w) + square) and not state.stuck, square

    simple = of_gradient if has_gradient else of_weights

    def of_memory(state: Any) -> tuple[bool, float | None]:
        fine, square = simple(state)
        flat = state.memory.reshape(-1)
        return fine and isfinite(dot(flat, flat)), square

    return of_memory if has_memory else simple


def is_finite(state: Any) -> bool:
    """Return whether a state's loss and arrays are finite: weights, gradient, a rule's memory, Gauss-Newton matrix.

    The matrix is looked at where the method is stuck, since nothing descends if it is not finite. What a method derives
    from these, such as the pairs of L-BFGS, makes weights that are not finite where it is not.
    """
    return isfinite(state.loss) and all(_all_finite(A) for _, A in _watched(state))


def _watched(state: Any) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of a state that are watched, all of shape (p,), by the names of what they hold."""
    yield "weight", state.w
    grad = getattr(state, "grad", None)
    if grad is not None:
        yield "gradient", grad
    memory, H = getattr(state, "memory", None), getattr(state, "H", None)
    if memory is not None:
        for row in range(memory.shape[0]):
            yield "memory", memory[row]
    if H is not None:  # it is positive semidefinite: |h_ij| ≤ max(h_ii, h_jj)
        yield "curvature", H.diagonal()


def _all_finite(A: Array) -> bool:
    """Return whether every entry is finite."""
    xp = array_namespace(A)
    return bool(xp.all(xp.isfinite(A)))


class Origin(NamedTuple):
    """What became non-finite first.

    Parameters
    ----------
    quantity : str
        ``loss``, ``weight``, ``gradient``, ``memory`` (of a rule such as Adam), ``curvature``, or of a neuron
        ``received`` or ``put out``.
    place : str
        The weight or the neuron; empty for the loss.
    value : float
        What it became.
    row : int or None
        The row, counted from 0, where one row is to blame.
    epoch : int or None
        The epoch, counted from 1, of online training.
    batch : int or None
        The row that the mini-batch begins with, where a mini-batch is to blame.
    before, after : arrays of shape (p,)
        The weights before and after the update that failed.
    """

    quantity: str
    place: str
    value: float
    row: int | None = None
    epoch: int | None = None
    batch: int | None = None
    before: Array = None
    after: Array = None

    def __str__(self) -> str:
        when = "" if self.epoch is None else f" in epoch {self.epoch}"
        if self.quantity in ("received", "put out"):
            return f"The neuron {self.place} {self.quantity} {self.value:g} for row {self.row}{when}"
        if self.row is not None:
            when += f" at row {self.row}"
        elif self.batch is not None:
            when += f" in the mini-batch that begins with row {self.batch}"
        what = OF_A_WEIGHT.get(self.quantity, "loss").format(self.place)
        return f"The {what} became {self.value:g}{when}"


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
    origin = find(objective, method, before, after)
    if origin is None:
        return f"The objective became {after.loss} and no finite step was found."
    cure = SMALLER if "learning_rate" in getattr(method, "__dataclass_fields__", ()) else "scaled inputs"
    return f"{origin}; the weights from before are kept. Try {cure}."


def find(objective: Any, method: Method, before: Any, after: Any) -> Origin | None:
    """Return what became non-finite first; see `locate`. None for an objective that is no network."""
    while not isinstance(objective, Objective) and hasattr(objective, "objective"):
        objective = objective.objective  # a projection of one, or one with its preconditioner
    if not isinstance(objective, Objective):
        return None
    if isinstance(method, Online):
        return _in_update(objective, method, before, after)
    origin = (
        _bad_entry(objective, "weight", after.w)
        or _bad_neuron(objective, after.w, range(objective.n_rows))
        or _bad_part(objective, after)
        or Origin("loss", "", float(after.loss))
    )
    return origin._replace(before=before.w, after=after.w)


def _in_update(objective: Objective, method: Online, before: Any, after: Any) -> Origin:
    """Return what failed first in the update that failed, in the order in which it is computed."""
    before, after, rows = _failing_update(objective, method, before, after)
    value = objective.engine.value(before.w, _taken(objective, rows)) if len(rows) else 0.0
    origin = _bad_neuron(objective, before.w, rows)
    if origin is None:
        loss = None if isfinite(value) else Origin("loss", "", float(value))
        origin = loss or _bad_part(objective, after) or Origin("loss", "", float(after.loss))
        if len(rows) == 1:
            origin = origin._replace(row=rows[0])
        elif len(rows):
            origin = origin._replace(batch=rows[0])
    return origin._replace(epoch=before.epoch + 1, before=before.w, after=after.w)


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


def _bad_entry(objective: Objective, quantity: str, values: Array) -> Origin | None:
    """Return the first entry of a vector like w that is not finite."""
    i = _first_bad(values)
    return None if i is None else Origin(quantity, objective.network.weight_name(i), float(values[i]))


def _bad_part(objective: Objective, state: Any) -> Origin | None:
    """Return the first entry of what a state holds that is not finite."""
    found = (_bad_entry(objective, quantity, values) for quantity, values in _watched(state))
    return next((origin for origin in found if origin is not None), None)


def _bad_neuron(objective: Objective, w: Array, rows: Sequence[int]) -> Origin | None:
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
                    return Origin(quantity, f"{network.layer_name(layer)}[{neuron}]", value, int(part[row]))
    return None
