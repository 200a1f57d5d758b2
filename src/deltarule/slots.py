"""The place of one run in a checkpoint: how it is told there, and how it comes back from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from math import isfinite
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import ledger
from deltarule.history import History, Result, Standing
from deltarule.jsonfields import damaged, of_file
from deltarule.ledger import Columns, Floats, Ledger
from deltarule.packing import Arrays, packed, unpacked
from deltarule.record import Record
from deltarule.runfile import FORMAT
from deltarule.special import Array
from deltarule.stopping import Reason

CUT_OFF = (Reason.INTERRUPTED, Reason.CALLER)
"""Why a run ended that somebody outside ended: it can go on."""


class Ended(NamedTuple):
    """The last state of a run that has ended, as far as it is kept."""

    w: Array
    loss: float
    stuck: str


class Finished(NamedTuple):
    """A run that has ended, as it is kept: what is told of it, and its weights."""

    told: dict[str, Any]
    w: NDArray[Any]


class Found(NamedTuple):
    """A run as a checkpoint had it: what is told of it, its arrays, its whole history as a matrix, and its columns."""

    told: dict[str, Any]
    arrays: Arrays
    columns: Columns
    rows: Floats

    @property
    def records(self) -> list[Record]:
        """Its history."""
        with _of_checkpoint():
            return ledger.records_of(self.columns, self.rows)


class Slot:
    """The place of one run in a checkpoint.

    Parameters
    ----------
    number : int
        Which of the call's runs it is.
    noted : callable
        What is called after each step that was noted.
    saving : Lock
        Held while a checkpoint is made.
    """

    def __init__(self, number: int, noted: Callable[[], None], saving: Lock) -> None:
        self.number, self.noted, self.saving = number, noted, saving
        self.ledger = Ledger()
        self.run: History | None = None
        self.finished: Finished | None = None
        self.found: Found | None = None

    def take(self, found: Found, kept: int) -> None:
        """Take over what a checkpoint had of this run, `kept` of its records being in blocks."""
        self.found = found
        self.ledger = Ledger(found.columns, kept, found.rows[:, kept:].copy())
        if "reason" in found.told:
            self.finished = Finished(found.told, found.arrays["w"])

    @property
    def under_way(self) -> bool:
        """Whether the checkpoint had a run here that can go on."""
        return self.found is not None and self.finished is None

    def result(self, like: Floats) -> Result | None:
        """Return how the run ended, if it had ended when it was saved, and its weights are of the type of `like`."""
        if self.finished is None or self.found is None:
            return None
        told, w = self.finished
        if (w.shape, w.dtype) != (like.shape, like.dtype):
            given, accepted = (f"{some.dtype} of shape {some.shape}" for some in (w, like))
            with _of_checkpoint():
                raise damaged(f"the weights of run {self.number}", given, accepted)
        reason = Reason[told["reason"]]
        loss = told["loss"] if told["loss"] is not None else float("nan")
        return Result(w, loss, reason, told["message"], self.found.records, told["step"], Ended(w, loss, ""))

    def restored(self, like: Any) -> tuple[Standing, list[Record]] | None:
        """Return where the run stood when it was saved, its state of the types of `like`, if it was under way."""
        if self.found is None or self.finished is not None:
            return None
        with _of_checkpoint():
            return self._restored(self.found, like)

    def _restored(self, found: Found, like: Any) -> tuple[Standing, list[Record]]:
        told, arrays, records = found.told, found.arrays, found.records
        where = f"runs.{self.number}"
        state = unpacked(told["state"], like, f"{where}.state", arrays)
        best_w = unpacked(told["best_w"], like.w, f"{where}.best_w", arrays)
        best_score = unpacked(told["best_score"], 0.0, f"{where}.best_score", arrays)
        if not 0 <= told["best_step"] < len(records) or not np.isfinite(np.asarray(state.w)).all():
            raise damaged(where, told["best_step"], "a step of the history, and finite weights,")
        return Standing(state, len(records), best_w, best_score, told["best_step"]), records

    def note(self, run: History) -> None:
        """Take note of the run under way, before its first step and after each; it is saved if it is time."""
        self.run = run
        if run.standing is not None:
            self.noted()

    def finish(self, result: Result) -> None:
        """Take note of the end of a run; one that was cut off stays under way."""
        if self.run is None or result.reason in CUT_OFF:
            return
        with self.saving:
            self.ledger.extend(result.history, len(result.history))
            told = {
                "number": self.number, "columns": self.ledger.columns.to_json(), "records": self.ledger.count,
                "reason": result.reason.name, "message": result.message, "step": result.step,
                "loss": result.loss if isfinite(result.loss) else None,
            }  # fmt: skip
            self.finished = Finished(told, np.asarray(result.w))
            self.run = self.found = None  # the state may be large

    def packed(self, arrays: Arrays) -> dict[str, Any] | None:
        """Return a run under way as JSON values, its arrays going into `arrays`; None before its first step."""
        run = self.run
        at = None if run is None else run.standing
        if run is None or at is None:
            return self._untouched(arrays)
        self.found = None
        where = f"runs.{self.number}"
        self.ledger.extend(run.history, at.records)
        return {
            "number": self.number,
            "columns": self.ledger.columns.to_json(),
            "records": self.ledger.count,
            "state": packed(at.state, f"{where}.state", arrays),
            "best_w": packed(at.best_w, f"{where}.best_w", arrays),
            "best_score": packed(at.best_score, f"{where}.best_score", arrays),
            "best_step": at.best_step,
        }

    def _untouched(self, arrays: Arrays) -> dict[str, Any] | None:
        """Return a run that is still as it was found."""
        if self.found is None:
            return None
        arrays |= self.found.arrays
        return self.found.told


def _of_checkpoint() -> AbstractContextManager[None]:
    """Have errors for values that do not fit say that the checkpoint is damaged."""
    return of_file("The checkpoint", FORMAT.again)


def arrays_of(number: int, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays of a checkpoint that belong to a run under way."""
    return {name: array for name, array in arrays.items() if name.startswith(f"runs.{number}.")}
