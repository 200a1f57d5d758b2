"""What a race of methods came to: a row for each method, from its runs; as text, dict, frame and picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import standings
from deltarule.errors import SettingError
from deltarule.stopping import Reason

Floats = NDArray[np.float64]

GOAL_MARGIN = 1.05
"""The goal is so many times the median of the methods' final losses: who ends there with the others has reached it."""
GOAL_GIVEN = "given"
GOAL_OF_RACE = f"about {GOAL_MARGIN:g} times the median of the methods' final training losses"
"""Where a goal comes from."""
POINTS = 200
"""Points of a curve at most, where it is written out or drawn."""
ENDED = {
    Reason.MAX_STEPS: "passes used up",
    Reason.MAX_SECONDS: "time used up",
    Reason.MIN_GRAD: "gradient near 0",
    Reason.NO_DESCENT: "no further descent",
    Reason.NON_FINITE: "diverged",
    Reason.INTERRUPTED: "interrupted",
    Reason.CALLER: "stopped",
    None: "could not run",
}
"""Why runs of a race end, in a few words."""
UNFINISHED = (Reason.INTERRUPTED, Reason.CALLER)


class Curve(NamedTuple):
    """The training loss over a run, a point after each step, the start first: arrays of shape (points,).

    The losses are those the run recorded, for online training the running mean over the epoch; but the last is the
    objective at the last weights, as in the table.
    """

    passes: Floats
    seconds: Floats
    losses: Floats

    def reached(self, goal: float) -> tuple[float, float] | None:
        """Return passes and seconds at the first point that is not above the goal, or None."""
        there = np.flatnonzero(self.losses <= goal)
        return (float(self.passes[there[0]]), float(self.seconds[there[0]])) if len(there) else None

    def thinned(self, points: int = POINTS) -> Curve:
        """Return at most so many of the points, first and last among them, closer together at the start."""
        n = len(self.losses)
        if n <= points:
            return self
        even, early = np.linspace(0, n - 1, points // 2), np.geomspace(1, n - 1, points // 2)
        kept = np.unique(np.rint(np.concatenate([even, early])).astype(np.intp))
        return Curve(*(values[kept] for values in self))


@dataclass(frozen=True, eq=False)
class Run:
    """A method's run from one start.

    Parameters
    ----------
    seed : int
        Seed of the initial weights and of the orders of online training.
    loss, validation_loss : float
        The objective on the training rows and the loss on the validation rows, at the last weights; infinite if the
        run diverged or the method could not run.
    steps : int
        Steps taken.
    reason : Reason or None
        Why it ended; None if the method could not run.
    message : str
        The reason as a sentence, with its particulars.
    curve : Curve
        The loss over passes and seconds.
    """

    seed: int
    loss: float
    validation_loss: float
    steps: int
    reason: Reason | None
    message: str
    curve: Curve

    def to_dict(self) -> dict[str, Any]:
        """Return the run as JSON values, its curve thinned; what is infinite or not a number is None."""
        curve = self.curve.thinned()
        return {
            "seed": self.seed,
            "training_loss": _json(self.loss),
            "validation_loss": _json(self.validation_loss),
            "steps": self.steps,
            "passes": float(curve.passes[-1]) if len(curve.passes) else 0.0,
            "seconds": float(curve.seconds[-1]) if len(curve.seconds) else 0.0,
            "ended": ENDED[self.reason],
            "message": self.message,
            "curve": {name: [_json(value) for value in column.tolist()] for name, column in curve._asdict().items()},
        }


class Spread(NamedTuple):
    """The median of some losses, the smallest and the largest; all infinite where there are none."""

    median: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return the numbers by name; what is infinite is None."""
        return {name: _json(value) for name, value in self._asdict().items()}


@dataclass(frozen=True, eq=False)
class Row:
    """A method's runs, summed up.

    Parameters
    ----------
    label : str
        What it is called in this race.
    method : str
        Name of the method.
    settings : dict
        Its settings, as texts and numbers.
    runs : tuple of Run
        A run for each start.
    loss, validation_loss : Spread
        Over the runs, those left out that were interrupted, unless there are no others.
    reached : int
        How many runs reached the goal.
    passes, seconds : float or None
        How long that took, the median of those that did.
    ended : dict of str to int
        Why the runs ended, counted.
    """

    label: str
    method: str
    settings: dict[str, Any]
    runs: tuple[Run, ...]
    loss: Spread
    validation_loss: Spread
    reached: int
    passes: float | None
    seconds: float | None
    ended: dict[str, int]

    @property
    def share(self) -> float:
        """The share of its runs that reached the goal."""
        return self.reached / len(self.runs) if self.runs else 0.0

    def typical(self) -> Run | None:
        """Return the run with the median loss, of an even number the better of the middle two."""
        runs = sorted(_finished(self.runs), key=lambda run: run.loss)
        return runs[(len(runs) - 1) // 2] if runs else None

    def to_dict(self) -> dict[str, Any]:
        """Return the row and its runs as JSON values."""
        return {
            "label": self.label,
            "method": self.method,
            "settings": self.settings,
            "training_loss": self.loss.to_dict(),
            "validation_loss": self.validation_loss.to_dict(),
            "reached": self.reached,
            "share": self.share,
            "passes": self.passes,
            "seconds": self.seconds,
            "ended": self.ended,
            "runs": [run.to_dict() for run in self.runs],
        }


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What a race came to.

    Parameters
    ----------
    about : dict
        What all runs had in common: table, targets, task, sizes, activations, loss, l2, rows, seed, starts,
        max_passes, max_seconds.
    rows : tuple of Row
        A row for each method.
    goal : float or None
        The training loss to reach; None if none was given and no method came below the loss of the start.
    goal_from : str
        Where the goal comes from.
    interrupted : bool
        Whether the race was ended before all runs were.
    notes : tuple of str
        What was left out or filled in when the table was read.
    """

    about: dict[str, Any]
    rows: tuple[Row, ...]
    goal: float | None
    goal_from: str
    interrupted: bool
    notes: tuple[str, ...]

    def __getitem__(self, label: str) -> Row:
        return {row.label: row for row in self.rows}[label]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values, each curve with at most `POINTS` points."""
        found = {"goal": self.goal, "goal_from": self.goal_from, "interrupted": self.interrupted}
        return {**self.about, **found, "notes": list(self.notes), "methods": [row.to_dict() for row in self.rows]}

    def frame(self) -> Any:
        """Return the table as a pandas DataFrame, a row for each method.

        Raises
        ------
        SettingError
            If pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ImportError:
            raise SettingError(
                "A frame needs pandas, which is not installed: pip install pandas; or use to_dict()."
            ) from None
        columns = {
            "training_loss": [row.loss.median for row in self.rows],
            "training_loss_low": [row.loss.low for row in self.rows],
            "training_loss_high": [row.loss.high for row in self.rows],
            "validation_loss": [row.validation_loss.median for row in self.rows],
            "validation_loss_low": [row.validation_loss.low for row in self.rows],
            "validation_loss_high": [row.validation_loss.high for row in self.rows],
            "share": [row.share for row in self.rows],
            "passes": [row.passes for row in self.rows],
            "seconds": [row.seconds for row in self.rows],
            "ended": [standings.counted(row.ended) for row in self.rows],
        }
        return pd.DataFrame(columns, index=pd.Index([row.label for row in self.rows], name="method"))

    def plot(self, axes: Any = None) -> Any:
        """Draw the losses over passes and over seconds; see `deltarule.plots.comparison`."""
        from deltarule import plots

        return plots.comparison(self, axes)

    def __str__(self) -> str:
        return standings.text(self)

    __repr__ = __str__


Raced = tuple[str, str, dict[str, Any], Sequence[Run]]
"""Label, name and settings of a method, and its runs."""


def summed_up(raced: Sequence[Raced], goal: float | None) -> tuple[tuple[Row, ...], float | None]:
    """Return a row for each (label, method, settings, runs), and the goal: the one given or that of the race."""
    losses = [(_spread(runs, "loss"), _spread(runs, "validation_loss")) for *_, runs in raced]
    goal = _goal_of([loss.median for loss, _ in losses], _start_of(raced)) if goal is None else goal
    rows = []
    for (label, method, settings, runs), (loss, validation_loss) in zip(raced, losses, strict=True):
        there = [] if goal is None else [found for run in runs if (found := run.curve.reached(goal)) is not None]
        passes, seconds = (float(np.median(column)) for column in zip(*there, strict=True)) if there else (None, None)
        ended = dict(Counter(ENDED[run.reason] for run in runs))
        rows.append(
            Row(label, method, settings, tuple(runs), loss, validation_loss, len(there), passes, seconds, ended)
        )
    return tuple(rows), goal


def _start_of(raced: Sequence[Raced]) -> float:
    """Return the median loss of the starts."""
    losses = [run.curve.losses[0] for *_, runs in raced for run in runs if len(run.curve.losses)]
    return float(np.median(losses)) if losses else inf


def _goal_of(losses: Sequence[float], start: float) -> float | None:
    """Return a loss that most methods reach: the median of their final ones, the higher of the middle two, and 5 %.

    Methods that have not come below the start do not count. With three digits, so that it can be typed.
    """
    learnt = sorted(loss for loss in losses if loss < start)
    if not learnt:
        return None
    middle = learnt[len(learnt) // 2]
    return float(f"{middle * GOAL_MARGIN:.3g}") if middle > 0 else middle


def _finished(runs: Sequence[Run]) -> Sequence[Run]:
    """Return the runs that were not cut off, or all if there are no others."""
    return [run for run in runs if run.reason not in UNFINISHED] or runs


def _spread(runs: Sequence[Run], name: str) -> Spread:
    losses = sorted(getattr(run, name) for run in _finished(runs)) or [inf]
    lower, upper = losses[(len(losses) - 1) // 2], losses[len(losses) // 2]
    return Spread((lower + upper) / 2, losses[0], losses[-1])


def _json(value: float) -> float | None:
    return value if isfinite(value) else None
