"""A run on disk: saved while it goes, gone on with bit for bit.

A checkpoint holds for each run the method's state, the best weights, the history and with it the random state, which
is (seed, epoch, row): orders are functions of these. A call of `train` is one run; one of `fit` has many, those that
have ended and those under way. Whoever goes on makes the same call again: what has ended is taken from the file, what
was under way goes on from its last state, and the rest begins. So what is in the file decides nothing but where to
begin; that the call is the same is checked by `deltarule.sameness`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import packing, runfile, sameness
from deltarule.errors import InputError, SettingError, TrainingError
from deltarule.history import History, Result, Standing
from deltarule.jsonfields import choice, damaged, finite, listed, record, text, whole
from deltarule.packing import Ledger, packed, unpacked
from deltarule.record import Record
from deltarule.runfile import Saved
from deltarule.special import Array
from deltarule.stopping import Reason

EVERY = 30.0
"""Seconds from one checkpoint to the next."""
CUT_OFF = (Reason.INTERRUPTED, Reason.CALLER)
"""Why a run ended that somebody outside ended: it can go on."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is kept, and how often it is saved.

    Parameters
    ----------
    folder : str or Path
        A folder of its own; it is made if it is not there.
    every : float
        Seconds from one checkpoint to the next; 0 saves after every step.
    resume : bool
        Whether to go on with the run that is in the folder, if there is one. Otherwise such a folder is refused.
    about : mapping
        JSON values that the caller wants to find again.

    Raises
    ------
    SettingError
        If `every` is not a number from 0 up.
    """

    folder: str | Path
    every: float = EVERY
    resume: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fine = isinstance(self.every, int | float) and not isinstance(self.every, bool)
        if not fine or not 0 <= self.every < inf:
            raise SettingError(f"every was {self.every!r}; it is a number of seconds, from 0 up.")
        if not isinstance(self.folder, str | Path) or not str(self.folder):
            raise SettingError(f"checkpoint was {self.folder!r}; give the name of a folder, as in 'run/'.")


class Ended(NamedTuple):
    """The last state of a run that has ended, as far as it is kept."""

    w: Array
    loss: float
    stuck: str


class Finished(NamedTuple):
    """A run that has ended, as it is kept: what is told of it, its weights, its history as a matrix."""

    told: dict[str, Any]
    w: NDArray[Any]
    rows: NDArray[np.float64]


class Slot:
    """The place of one run in a checkpoint."""

    def __init__(self, keeper: Keeper, number: int) -> None:
        self.keeper, self.number = keeper, number
        self.ledger = Ledger()
        self.run: History | None = None
        self.finished: Finished | None = None
        self.under_way: dict[str, Any] | None = None

    def result(self) -> Result | None:
        """Return how the run ended, if it had ended when it was saved."""
        if self.finished is None:
            return None
        told = self.finished.told
        history = packing.records_of(packing.read_columns(told["columns"], "the history"), self.finished.rows)
        reason, w = Reason[told["reason"]], self.finished.w
        loss = told["loss"] if told["loss"] is not None else float("nan")
        return Result(w, loss, reason, told["message"], history, told["step"], Ended(w, loss, ""))

    def restored(self, like: Any) -> tuple[Standing, list[Record]] | None:
        """Return where the run stood when it was saved, its state of the types of `like`, if it was under way."""
        if self.under_way is None:
            return None
        told, arrays = self.under_way, self.keeper.arrays
        where = f"runs.{self.number}"
        columns = packing.read_columns(told["columns"], f"{where}.columns")
        records = packing.records_of(columns, _array(arrays, f"{where}.history"))
        state = unpacked(told["state"], like, f"{where}.state", arrays)
        best_w = unpacked(told["best_w"], like.w, f"{where}.best_w", arrays)
        best_score = unpacked(told["best_score"], 0.0, f"{where}.best_score", arrays)
        if not 0 <= told["best_step"] < len(records) or not np.isfinite(np.asarray(state.w)).all():
            raise damaged(where, told["best_step"], "a step of the history, and finite weights,")
        return Standing(state, len(records), best_w, best_score, told["best_step"]), records

    def note(self, run: History) -> None:
        """Take note of the run under way, before its first step and after each, and save if it is time."""
        self.run = run
        if run.standing is not None and perf_counter() >= self.keeper.due:
            self.keeper.save()

    def finish(self, result: Result) -> None:
        """Take note of the end of a run; one that was cut off stays under way."""
        if self.run is None or result.reason in CUT_OFF:
            return
        with self.keeper.saving:
            columns, rows = self.ledger.packed(result.history, len(result.history))
            told = {
                "number": self.number, "columns": columns.to_json(), "records": len(rows),
                "reason": result.reason.name, "message": result.message, "step": result.step,
                "loss": result.loss if isfinite(result.loss) else None,
            }  # fmt: skip
            self.finished = Finished(told, np.asarray(result.w), rows)
            self.run, self.ledger = None, Ledger()  # the state may be large

    def packed(self, arrays: dict[str, Any]) -> dict[str, Any] | None:
        """Return a run under way as JSON values, its arrays going into `arrays`; None before its first step."""
        run = self.run
        at = None if run is None else run.standing
        if run is None or at is None:
            return self._untouched(arrays)
        where = f"runs.{self.number}"
        columns, arrays[f"{where}.history"] = self.ledger.packed(run.history, at.records)
        return {
            "number": self.number,
            "columns": columns.to_json(),
            "state": packed(at.state, f"{where}.state", arrays),
            "best_w": packed(at.best_w, f"{where}.best_w", arrays),
            "best_score": packed(at.best_score, f"{where}.best_score", arrays),
            "best_step": at.best_step,
        }

    def _untouched(self, arrays: dict[str, Any]) -> dict[str, Any] | None:
        """Return a run that is still as it was found."""
        if self.under_way is not None:
            begin = f"runs.{self.number}."
            arrays |= {name: array for name, array in self.keeper.arrays.items() if name.startswith(begin)}
        return self.under_way


class Keeper:
    """Saves the runs of a call to a folder, and finds them there again.

    Parameters
    ----------
    asked : Checkpoint
        Where and how often.
    about : dict
        What the call is, as JSON values.
    """

    def __init__(self, asked: Checkpoint, about: dict[str, Any]) -> None:
        self.folder, self.every, self.about = Path(asked.folder), float(asked.every), about
        self.arrays: dict[str, Any] = {}
        self.due = 0.0
        self._slots: dict[int, Slot] = {}
        self.saving = Lock()
        found = runfile.newest(self.folder, _check)
        if found is not None:
            self._take(found, asked)

    def slot(self, number: int = 0) -> Slot:
        """Return the place of a run."""
        return self._slots.setdefault(number, Slot(self, number))

    def save(self, final: bool = False) -> None:
        """Write a checkpoint now.

        The first one must succeed; if a later one fails, as on a full disk, a warning says so, those from before stay,
        and the run goes on.
        """
        with self.saving:
            if not final and perf_counter() < self.due:
                return  # another thread has saved meanwhile
            first = self.due == 0.0
            saved = self._saved()
            if not saved.content["runs"] and not saved.content["finished"]:
                return
            try:
                runfile.write(self.folder, saved)
            except TrainingError as error:
                if first:
                    raise
                warnings.warn(f"No checkpoint this time; the run goes on. {error}", RuntimeWarning, stacklevel=2)
            finally:
                self.due = perf_counter() + self.every

    def _saved(self) -> Saved:
        arrays: dict[str, Any] = {}
        slots = [slot for _, slot in sorted(self._slots.copy().items())]
        done = [slot.finished for slot in slots if slot.finished is not None]
        runs = [told for slot in slots if slot.finished is None and (told := slot.packed(arrays)) is not None]
        if done:
            arrays["finished.w"] = np.concatenate([one.w for one in done])
            arrays["finished.history"] = np.concatenate([one.rows.reshape(-1) for one in done])
        columns: list[Any] = []
        finished = []
        for one in done:  # most runs have the same columns
            if one.told["columns"] not in columns:
                columns.append(one.told["columns"])
            place = columns.index(one.told["columns"])
            finished.append({**one.told, "weights": len(one.w), "columns": place})
        return Saved({"about": self.about, "runs": runs, "columns": columns, "finished": finished}, arrays)

    def _take(self, found: runfile.Found, asked: Checkpoint) -> None:
        """Take over the runs of a checkpoint."""
        for fault in found.damaged:
            message = f"{fault} The checkpoint before it, {found.path.name}, is used."
            warnings.warn(message, RuntimeWarning, stacklevel=5)
        if not asked.resume:
            raise InputError(
                f"The folder {str(self.folder)!r} holds a run already; go on with it by `deltarule resume` or "
                "Checkpoint(folder, resume=True), or give another folder."
            )
        content = found.saved.content
        sameness.check(content["about"], self.about, str(self.folder))
        self.arrays = found.saved.arrays
        for told in content["runs"]:
            self.slot(told["number"]).under_way = told
        w_at = rows_at = 0
        for told in content["finished"]:
            told = {**told, "columns": content["columns"][told["columns"]]}
            p, n, columns = told.pop("weights"), told["records"], len(told["columns"]["kinds"])
            w = self.arrays["finished.w"][w_at : w_at + p].copy()
            rows = self.arrays["finished.history"][rows_at : rows_at + n * columns].reshape(n, columns)
            w_at, rows_at = w_at + p, rows_at + n * columns
            self.slot(told["number"]).finished = Finished(told, w, rows)


@contextmanager
def opened(asked: Checkpoint | str | Path, about: dict[str, Any]) -> Iterator[Keeper]:
    """Give the keeper of a call's runs; when it ends, however that is, they are saved once more.

    Raises
    ------
    InputError
        If the folder cannot be used, or holds a run that is not to be gone on with or cannot be.
    """
    asked = asked if isinstance(asked, Checkpoint) else Checkpoint(asked)
    about = {**about, "caller": dict(asked.about)}
    with runfile.held(Path(asked.folder)):
        keeper = Keeper(asked, about)
        try:
            yield keeper
        finally:
            keeper.save(final=True)


def _check(saved: Saved) -> None:
    """Refuse a checkpoint whose content cannot be: what a state means is checked where it is unpacked."""
    content = record(saved.content, "the run", ("about", "runs", "columns", "finished"))
    if not isinstance(content["about"], dict):
        raise damaged("about", content["about"], "an object")
    listed(content["runs"], "runs", _check_under_way)
    widths = [len(one.kinds) for one in listed(content["columns"], "columns", packing.read_columns)]
    found = listed(content["finished"], "finished", lambda value, where: _check_finished(value, where, widths))
    sizes = [sum(n) for n in zip(*found, strict=True)] or [0, 0]
    names = ("finished.w", "finished.history")
    there = [saved.arrays[name].shape == (n,) for name, n in zip(names, sizes, strict=True) if name in saved.arrays]
    if there != [True] * (2 if found else 0):
        raise damaged("finished", sizes, "as many numbers as its runs have")


def _check_under_way(value: object, where: str) -> None:
    d = record(value, where, ("number", "columns", "state", "best_w", "best_score", "best_step"))
    whole(d["number"], f"{where}.number")
    whole(d["best_step"], f"{where}.best_step")
    packing.read_columns(d["columns"], f"{where}.columns")


def _check_finished(value: object, where: str, widths: Sequence[int]) -> tuple[int, int]:
    """Return how many weights and how many numbers of history a finished run has."""
    keys = ("number", "columns", "records", "reason", "message", "step", "loss", "weights")
    d = record(value, where, keys)
    columns = whole(d["columns"], f"{where}.columns")
    choice(d["reason"], f"{where}.reason", Reason.__members__)
    text(d["message"], f"{where}.message")
    if d["loss"] is not None:
        finite(d["loss"], f"{where}.loss")
    _, records, step, weights = (whole(d[key], f"{where}.{key}") for key in ("number", "records", "step", "weights"))
    if step > max(0, records - 1) or weights == 0 or columns >= len(widths):
        raise damaged(where, step, f"a step of its {records} records")
    return weights, records * widths[columns]


def _array(arrays: Mapping[str, Any], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise damaged(name, None, "an array of the file")
    found: NDArray[Any] = arrays[name]
    return found
