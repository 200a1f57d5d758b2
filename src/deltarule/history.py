"""The history of a run: its records, its best weights, how it ended; as arrays and as a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, sqrt
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.methods import State
from deltarule.objective import Objective
from deltarule.record import Record
from deltarule.special import Array
from deltarule.stopping import Reason
from deltarule.vectors import dot


@dataclass(frozen=True)
class Result:
    """The end of a run.

    Parameters
    ----------
    w : array of shape (p,)
        The weights: the best on the validation rows where there are any, otherwise the last finite ones.
    loss : float
        The objective at those weights as the run recorded it.
    reason : Reason
        Why the run ended.
    message : str
        The reason as a sentence, with its particulars.
    history : list of Record
        One record a step, the start first.
    step : int
        The step that w comes from.
    state : State
        The last finite state of the method, from which ``train(..., state=...)`` goes on.
    """

    w: Array
    loss: float
    reason: Reason
    message: str
    history: list[Record]
    step: int
    state: State

    @property
    def converged(self) -> bool:
        """Whether the run ended at a goal, a flat place or the validation minimum, and no higher than it began."""
        if not self.history or self.loss > self.history[0].loss:
            return False
        return self.reason in (Reason.GOAL, Reason.MIN_GRAD, Reason.VALIDATION, Reason.STALLED)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the history as one array a field, each of shape (records,); see `deltarule.history.arrays`."""
        return arrays(self.history)

    def frame(self) -> Any:
        """Return the history as a pandas DataFrame, a row for each record.

        Raises
        ------
        SettingError
            If pandas is not installed.
        """
        return frame(self.history)


class History:
    """The history of a run and the best weights in it."""

    def __init__(self, counted: Any, validation: Objective | None) -> None:
        self.counted, self.validation = counted, validation
        self.penalty = getattr(counted, "penalty", None)
        self.details: list[str] | None = None
        self.history: list[Record] = []
        self.last: Any = None
        self.best_w: Array = None
        self.best_score = inf
        self.best_step = 0
        self.started = perf_counter()

    def add(self, state: Any) -> Record:
        """Append the record of a method's state and return it; its weights are kept if they are the best so far."""
        record = self._record(state)
        self.last = state
        self.history.append(record)
        return record

    def _record(self, state: Any) -> Record:
        step = len(self.history)
        if self.details is None:
            self.details = _details(state)
        checked = None if self.validation is None else self.validation.value(state.w)
        score = state.loss if checked is None else checked
        if score < self.best_score or self.best_w is None:
            self.best_w, self.best_step = state.w, step
            self.best_score = inf if isnan(score) else score  # after a NaN everything is better
        grad = getattr(state, "grad", None)
        size = None if grad is None else sqrt(dot(grad, grad))
        penalty = 0.0 if self.penalty is None else self.penalty(state.w)
        details = {name: getattr(state, name) for name in self.details}
        return Record(  # by position: by name takes longer than all the rest here
            step, self.counted.passes, perf_counter() - self.started, float(state.loss), checked, size, self.best_step,
            step - self.best_step, penalty, details,
        )  # fmt: skip

    def end(self, last: Any, reason: Reason, message: str = "") -> Result:
        """Return the end of the run: the best weights where validation rows chose them, otherwise those of `last`."""
        if self.validation is None or not self.history:
            w, loss, step = last.w, float(last.loss), max(0, len(self.history) - 1)
        else:
            w, loss, step = self.best_w, self.history[self.best_step].loss, self.best_step
        return Result(w, loss, reason, message or reason.value, self.history, step, last)


def _details(state: Any) -> list[str]:
    """Return the fields of a method's state that a record shows: numbers and words of the method's own."""
    own = [name for name in getattr(state, "_fields", ()) if name not in ("w", "loss", "grad", "stuck")]
    return [name for name in own if isinstance(getattr(state, name), bool | int | float | str)]


def arrays(history: Sequence[Record]) -> dict[str, NDArray[Any]]:
    """Return a history as one array a field, each of shape (records,), the method's details after the others.

    A validation loss or gradient size that there is not is NaN.
    """
    plain = [name for name in Record._fields if name != "details"]
    own = history[0].details if history else ()
    columns: dict[str, list[Any]] = {name: [getattr(record, name) for record in history] for name in plain}
    columns |= {name: [record.details[name] for record in history] for name in own}
    return {
        name: np.array([np.nan if value is None else value for value in column]) for name, column in columns.items()
    }


def frame(history: Sequence[Record]) -> Any:
    """Return a history as a pandas DataFrame, a row for each record.

    Raises
    ------
    SettingError
        If pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError:
        raise SettingError(
            "A frame needs pandas, which is not installed: pip install pandas; or use arrays()."
        ) from None
    return pd.DataFrame(arrays(history))
