"""Online training: the weights move after every row, w ← w + η · δ · f′(e) · input.

All factors of a row's update are taken from the weights as they were before it. The order of the rows is shuffled
anew for each epoch, as a function of (seed, epoch) alone, so a run can go on from any state bit for bit. With
batch_size k > 1 an update takes the mean over k rows (mini-batches). The rule may add momentum or scale each weight's
step; the schedule moves η from epoch to epoch.

Widrow and Hoff 1960 for one layer, Rumelhart, Hinton and Williams 1986 for any number; MATLAB's ``adapt``, ``trains``.
"""

from dataclasses import dataclass, field
from math import nan
from numbers import Integral
from typing import Any, NamedTuple

from deltarule.errors import SettingError
from deltarule.methods import rules, schedules
from deltarule.methods.schedules import Pace, Schedule
from deltarule.special import Array
from deltarule.update import Update


class OnlineState(NamedTuple):
    """A point of online training: `loss` is the running mean over the epoch, each row before its own update."""

    w: Array
    loss: float
    stuck: str
    epoch: int
    row: int
    memory: Array
    updates: int
    total: float
    pace: Pace


@dataclass(frozen=True)
class Online:
    """Train row by row or in mini-batches.

    One step is one epoch, or `rows_per_step` rows of it.

    Parameters
    ----------
    learning_rate : float, str or Schedule
        η, or a schedule by name or object; see `deltarule.methods.schedules`.
    batch_size : int
        Rows per update; 1 is online training proper.
    rule : str or rule
        ``plain``, ``momentum``, ``nesterov``, ``rmsprop``, ``adam``, or an object of `deltarule.methods.rules`.
    shuffle : bool
        Whether each epoch visits the rows in an order of its own.
    seed : int
        Seed of the orders.
    rows_per_step : int, optional
        Rows that one step visits, a multiple of batch_size; the whole epoch unless given.

    Raises
    ------
    SettingError
        If a name is unknown or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import deltarule as dr
    >>> x = np.linspace(-1, 1, 41)[:, None]
    >>> net = dr.Network((1, 5, 1))
    >>> sine = dr.Objective(net, "squared_error", x, np.sin(np.pi * x))
    >>> online = dr.methods.Online(learning_rate=0.1, seed=1)
    >>> result = dr.train(sine, net.initial_weights(0), online, stop=[dr.stopping.MaxSteps(200)])
    >>> result.loss < 0.01 * result.history[0].loss
    True
    >>> result.state.epoch, result.state.updates  # 41 rows, 200 times
    (200, 8200)
    """

    learning_rate: Any = 0.01
    batch_size: int = 1
    rule: Any = "plain"
    shuffle: bool = True
    seed: int = 0
    rows_per_step: int | None = None
    schedule: Schedule = field(init=False, repr=False)

    name = "online"
    version = 1
    state_type = OnlineState
    needs = ("value", "epoch")

    def __post_init__(self) -> None:
        if not isinstance(self.batch_size, Integral) or self.batch_size < 1:
            raise SettingError(f"batch_size was {self.batch_size!r}; it is a whole number from 1 up.")
        rows = self.rows_per_step
        if rows is not None and (not isinstance(rows, Integral) or rows < 1 or rows % self.batch_size):
            raise SettingError(f"rows_per_step was {rows!r}; it is a multiple of batch_size {self.batch_size}.")
        if self.shuffle not in (True, False):
            raise SettingError(f"shuffle was {self.shuffle!r}; it is True or False.")
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise SettingError(f"seed was {self.seed!r}; it is a whole number from 0 up.")
        object.__setattr__(self, "rule", rules.get(self.rule))
        object.__setattr__(self, "schedule", schedules.get(self.learning_rate))

    def start(self, objective: Any, w: Array) -> OnlineState:
        """Return the state before the first row; its loss is the objective at w."""
        return self.begin(objective, w)._replace(loss=objective.value(w))

    def begin(self, objective: Any, w: Array) -> OnlineState:
        """Return the state before the first row with no number as its loss, for loops that do not ask for that pass."""
        return OnlineState(w, nan, "", 0, 0, objective.memory(self.rule.n_memory), 0, 0.0, Pace())

    def step(self, objective: Any, s: OnlineState) -> OnlineState:
        """Return the state after the next rows."""
        n = objective.n_rows
        stop = n if self.rows_per_step is None else min(n, s.row + self.rows_per_step)
        whole = objective.order(self.seed, s.epoch, self.shuffle)
        order = whole if stop - s.row == n else whole[s.row : stop]
        rate = s.pace.factor * self.schedule.at(s.epoch + s.row / n)
        update = Update(self.rule, rate, self.batch_size, 0.0)
        w, memory, count, total = objective.epoch(s.w, s.memory, s.updates, order, update)
        total = total + s.total
        weight = n if stop == n else objective.weight_of(whole[:stop])
        loss = (total / weight if weight else 0.0) + objective.penalty(w)
        if stop < n:
            return OnlineState(w, loss, "", s.epoch, stop, memory, count, total, s.pace)
        pace = self.schedule.observe(s.pace, loss)
        return OnlineState(w, loss, "", s.epoch + 1, 0, memory, count, 0.0, pace)
