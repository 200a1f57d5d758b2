"""The history of a run: its records, its best weights, how it ended; as arrays and as a frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, sqrt
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.methods import State
from deltarule.objective import Objective
from deltarule.record import Record
from deltarule.special import Array
from deltarule.stopping import Reason


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        """Return the end of the run in a line: weights and history would fill pages."""
        steps, p = max(len(self.history) - 1, 0), self.w.shape[0]
        return f"Result(loss {self.loss:.6g} at step {self.step} of {steps:,}, {p:,} weights: {self.message})"

    @property
    def converged(self) -> bool:
        """Whether the run ended at a goal, a flat place or the validation minimum, and no higher than it began.

        Never with a loss that is not finite.
        """
        if not self.history or not isfinite(self.loss) or self.loss > self.history[0].loss:
            return False
        checked = self.history[self.step].validation_loss
        if checked is not None and not isfinite(checked):
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


class Standing(NamedTuple):
    """Where a run stands after a step: with its records, all that it needs to go on.

    Parameters
    ----------
    state : State
        The method's.
    records : int
        How many records there are up to this one.
    best_w : array of shape (p,)
        The weights with the smallest validation loss so far (without validation rows, the smallest loss).
    best_score : float
        That loss.
    best_step : int
        The step they come from.
    """

    state: Any
    records: int
    best_w: Array
    best_score: float
    best_step: int


class History:
    """The history of a run and the best weights in it.

    `standing` is replaced as a whole once a step is over, so that it is right whenever somebody interrupts; records
    beyond those that it counts do not count.
    """

    def __init__(self, counted: Any, validation: Objective | None) -> None:
        self.counted, self.validation = counted, validation
        self.penalty = getattr(counted, "penalty", None)
        self.details: list[str] | None = None
        self.history: list[Record] = []
        self.standing: Standing | None = None
        self.started = perf_counter()

    @property
    def last(self) -> Any:
        """The method's last state, None before the start."""
        return None if self.standing is None else self.standing.state

    def add(self, state: Any, square: float | None) -> Record:
        """Take note of a state, whose gradient has this square if it has one, and return its record."""
        step = len(self.history)
        if self.details is None:
            self.details = details_of(state)
        checked = None if self.validation is None else self.validation.value(state.w)
        score = state.loss if checked is None else checked
        before = self.standing
        best_w, best_score, best_step = (None, inf, 0) if before is None else before[2:]
        if score < best_score or best_w is None:
            best_w, best_step = state.w, step
            best_score = inf if isnan(score) else score  # after a NaN everything is better
        size = None if square is None else sqrt(square)
        penalty = 0.0 if self.penalty is None else self.penalty(state.w)
        details = {name: getattr(state, name) for name in self.details}
        record = Record(  # by position: by name takes longer than all the rest here
            step, self.counted.passes, perf_counter() - self.started, float(state.loss), checked, size, best_step,
            step - best_step, penalty, details,
        )  # fmt: skip
        self.history.append(record)
        self.standing = Standing(state, step + 1, best_w, float(best_score), best_step)
        return record

    def go_on(self, standing: Standing, records: list[Record]) -> None:
        """Go on from where another process, or an earlier call, left the run."""
        self.details = list(records[0].details)  # as they began: a later state may have None where there was a number
        self.history[:], self.standing = records, standing
        self.started = perf_counter() - records[-1].seconds

    def broken_off(self) -> Standing | None:
        """Return where the run stands after it was interrupted, anywhere: its last whole step, if there was one."""
        if self.standing is not None:
            del self.history[self.standing.records :]
        return self.standing

    def end(self, last: Any, reason: Reason, message: str = "") -> Result:
        """Return the result of a run: at its best weights where validation rows say which, otherwise at the last."""
        at = self.standing
        if self.validation is None or at is None:
            w, loss, step = last.w, float(last.loss), max(0, len(self.history) - 1)
        else:
            w, loss, step = at.best_w, self.history[at.best_step].loss, at.best_step
        return Result(w, loss, reason, message or reason.value, self.history, step, last)


def details_of(state: Any) -> list[str]:
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
