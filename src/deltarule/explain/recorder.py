"""Recording a run: the terms that moved each weight, step after step.

A step of a batch method is explained from the states before and after it. A step of online training is an epoch, or a
part of one: it is gone through once more, update by update from the state before, and the terms of the updates are
summed, each taken at the weights of its own moment. So a recorded step costs about a second one.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import methods, preconditioning
from deltarule.engines import Rows
from deltarule.errors import SettingError
from deltarule.explain import backward, frames, rounding
from deltarule.explain.explaining import explained
from deltarule.explain.grids import Grid, number, share, text
from deltarule.explain.names import Names
from deltarule.explain.step import Wanted
from deltarule.explain.terms import Taken, online
from deltarule.explain.terms.account import pull
from deltarule.methods import Online
from deltarule.train import steps as steps_of
from deltarule.update import Update as UpdateOfRule

Numbers = NDArray[Any]


class Recorded(NamedTuple):
    """What moved the weights in one step: arrays of shape (weights,), in the order of the recorder's `weights`.

    `updates` is how many updates the step was: 1, or for a step of online training as many as its rows or mini-batches.
    `bound` is by how much the terms may miss the step, rounding being what it is.
    """

    step: int
    before: Numbers
    after: Numbers
    terms: dict[str, Numbers]
    data: Numbers
    cancellation: Numbers
    bound: Numbers
    updates: int
    settings: dict[str, float | int | str]
    notes: tuple[str, ...]

    @property
    def error(self) -> Numbers:
        """By how much old + terms misses new, (weights,)."""
        return np.asarray(np.abs(self.before + sum(self.terms.values()) - self.after))


class Recorder:
    """Records why weights move in a run: ``dr.train(..., record=Recorder(...))``, or `steps`.

    Parameters
    ----------
    weights : str, int or sequence of them, optional
        Which weights, by the names that `deltarule.explain.names.Names.find` takes; all unless given.
    every : int
        From one recorded step to the next.
    inputs, outputs : sequence of str
        The names of columns, for the names of weights.

    Raises
    ------
    SettingError
        If `every` is not a whole number from 1 up; when the run begins, if there is no such weight.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> from itertools import islice
    >>> line = dr.Objective(dr.Network((1, 1)), "squared_error", [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> recorder = Recorder("output[0] <- bias")
    >>> method = dr.methods.GradientDescent(0.1, momentum=0.5)
    >>> for state in islice(recorder.steps(line, np.zeros(2), method), 3):
    ...     pass
    >>> [round(float(values[0]), 4) for values in recorder.recorded[-1].terms.values()]
    [0.1317, 0.075]
    """

    def __init__(
        self, weights: Wanted = None, every: int = 1, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()
    ) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise SettingError(f"every was {every!r}; it is a whole number from 1 up.")
        self.wanted, self.every = weights, every
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.recorded: list[Recorded] = []
        self.weights: tuple[str, ...] = ()
        self._names: Names | None = None
        self._indices: list[int] = []
        self._count = 0
        self._earlier: Any = None

    def __call__(self, objective: Any, method: Any, before: Any, after: Any) -> None:
        """Record a step of a run, if it is its turn; the start has no state before it."""
        if before is None:
            self._begin(objective)
            return
        if self._count % self.every == 0:
            taken = Taken(objective, method, before, after, self._earlier)
            with np.errstate(over="ignore", invalid="ignore"):
                found = self._epoch(taken) if isinstance(method, Online) else self._step(taken)
            self.recorded.append(found)
        self._count += 1
        self._earlier = before

    def steps(self, objective: Any, w: Any, method: Any = "online", state: Any = None) -> Iterator[Any]:
        """Yield the states that `deltarule.steps` yields, recording on the way."""
        method = methods.get(method)
        prepared = preconditioning.for_method(objective, method)
        before = None
        for after in steps_of(objective, w, method, state):
            self(prepared, method, before, after)
            before = after
            yield after

    def _begin(self, objective: Any) -> None:
        self._names = Names(objective.network, self.inputs, self.outputs)
        self._indices = list(range(objective.n_weights)) if self.wanted is None else self._names.find(self.wanted)
        self.weights = tuple(self._names.weight(index) for index in self._indices)
        self.recorded.clear()
        self._count, self._earlier = 0, None

    def _step(self, taken: Taken) -> Recorded:
        """Return the record of a step over all rows."""
        assert self._names is not None
        found = explained(taken, self._names, ("",) * taken.objective.n_rows)
        here = self._indices
        return Recorded(
            self._count + 1, found.before[here], found.after[here],
            {term.name: term.values[here] for term in found.account.terms}, found.data[here], found.cancellation[here],
            found.bound[here], 1, found.account.settings, found.account.notes,
        )  # fmt: skip

    def _epoch(self, taken: Taken) -> Recorded:
        """Return the record of a step of online training, from going through its updates once more."""
        objective, method, state, here = taken.objective, taken.method, taken.before, self._indices
        rate = online.rate_of(method, state, objective.n_rows)
        stop = taken.after.row or objective.n_rows
        order = objective.order(method.seed, state.epoch, method.shuffle)[state.row : stop]
        w, memory, count = state.w, state.memory, state.updates
        sums: dict[str, Numbers] = {}
        net, gross, bound = (np.zeros(len(here)) for _ in range(3))
        for start in range(0, len(order), method.batch_size):
            batch = order[start : start + method.batch_size]
            data, off = self._data(objective, w, batch)
            found = online.of_rule(method.rule, rate, memory, count + 1, data, pull(objective, w))
            for term in found.terms:
                sums[term.name] = sums.get(term.name, 0.0) + term.values[here]
            net, gross = net + data[here], gross + np.abs(data[here])
            bound = bound + (np.abs(np.asarray(found.scale) * off) + _rounding(w, found.terms))[here]
            w, memory, count, _ = objective.epoch(
                w, memory, count, batch, UpdateOfRule(method.rule, rate, method.batch_size, 0.0)
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            cancelled = np.abs(net) / np.where(gross > 0, gross, np.nan)
        return Recorded(
            self._count + 1, state.w[here], taken.after.w[here], sums, net, cancelled, bound, count - state.updates,
            {"learning rate": rate}, (),
        )  # fmt: skip

    def _data(self, objective: Any, w: Numbers, batch: Numbers) -> tuple[Numbers, Numbers]:
        """Return the mean of δ · f′ · input over some rows, (p,), and how far another engine's may lie from it."""
        assert self._names is not None
        X, T, s = objective.rows
        rows = Rows(X[batch], T[batch], None if s is None else s[batch])
        layers = backward.trace(objective.network, objective.loss, w, rows, self._names)
        off = rounding.of_gradient(objective.network, objective.loss, layers, rows.T)
        return backward.descent(objective.network, layers) / len(batch), off / len(batch)

    def to_dict(self) -> dict[str, Any]:
        """Return what was recorded as JSON values: the names of the weights, and for each step what moved them."""
        return {
            "weights": list(self.weights),
            "steps": [
                {
                    "step": one.step, "updates": one.updates, "settings": one.settings, "notes": list(one.notes),
                    "before": one.before.tolist(), "after": one.after.tolist(),
                    "terms": {name: values.tolist() for name, values in one.terms.items()},
                    "cancellation": [value if isfinite(value) else None for value in one.cancellation.tolist()],
                }
                for one in self.recorded
            ],
        }  # fmt: skip

    def frame(self) -> Any:
        """Return a pandas DataFrame with a row for each recorded step and weight.

        Raises
        ------
        SettingError
            If pandas is not installed.
        """
        return frames.frame([
            {
                "step": one.step, "weight": name, "before": one.before[i], "after": one.after[i],
                **{term: values[i] for term, values in one.terms.items()}, "cancellation": one.cancellation[i],
            }
            for one in self.recorded
            for i, name in enumerate(self.weights)
        ])  # fmt: skip

    def __str__(self) -> str:
        if not self.recorded:
            return "nothing recorded yet"
        names = list(dict.fromkeys(name for one in self.recorded for name in one.terms))
        nothing = np.zeros(len(self.weights))
        sums = {name: np.sum([one.terms.get(name, nothing) for one in self.recorded], axis=0) for name in names}
        first, last = self.recorded[0], self.recorded[-1]
        rows = [
            (
                weight, number(float(first.before[i])), *(number(float(sums[name][i])) for name in names),
                number(float(last.after[i])), share(float(last.cancellation[i])),
            )
            for i, weight in enumerate(self.weights)
        ]  # fmt: skip
        title = f"{len(self.recorded):,} recorded steps, {first.step} to {last.step}; what they added up to"
        return text([Grid(title, ("weight", "first", *names, "last", "|Σ|/Σ| |"), rows)])


def _rounding(w: Numbers, terms: Any) -> Numbers:
    """Return what adding the terms to w may be rounded by."""
    eps = float(np.finfo(w.dtype).eps)
    return np.asarray((len(terms) + 3) * eps * (2 * np.abs(w) + 2 * sum(np.abs(term.values) for term in terms)))
