"""A network that learns row by row and grows: inputs and outputs are added, and what was learnt stays.

Weights of an added input are 0, so that no prediction changes when it appears. The rule's memory grows with them.
"""

from collections.abc import Sequence
from math import inf, isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation
from deltarule.engines import choose
from deltarule.errors import SettingError, TrainingError
from deltarule.losses import Loss
from deltarule.losses import get as get_loss
from deltarule.methods import rules, schedules
from deltarule.methods.schedules import Constant, Pace
from deltarule.network import Network
from deltarule.plan import widths

Floats = NDArray[np.float64]

ROWS_PER_EPOCH = 1_000
"""So many rows of a stream count as an epoch of a schedule."""
ROWS_PER_RATE = 100
"""A schedule is asked for its rate every so many rows."""
REACH = 5.0
"""The first hidden layer's neurons are spread over inputs within ± so many standard deviations: of 2.5, 5, 8 and 12 the
best on streams of sines, products and sums. Steeper neurons saturate, and learn a feature that comes later slowly."""


class StreamNetwork:
    """Weights that move after every row.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers, as they are given by the user.
    activation : str, Activation or a sequence of them
        For all hidden layers, or one for each.
    output : str
        The activation of the outputs.
    loss : Loss
        A loss that accepts it.
    learning_rate : float, str or Schedule
        The rate, or a schedule.
    rule : str or rule
        See `deltarule.methods.rules`.
    l2 : float
        Penalty on the squared weights.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range.
    """

    network: Network | None
    w: Floats
    rows: int
    _memory: Floats
    _l2: float
    _pace: Pace
    _rate: float
    _total: float
    _due: float

    def __init__(
        self,
        hidden: Sequence[int],
        activation: str | Activation | Sequence[str | Activation],
        output: str,
        loss: Loss,
        learning_rate: Any,
        rule: Any,
        l2: float,
        seed: int,
    ) -> None:
        self._hidden = widths(0, hidden)
        each: list[Any] = [*activation] if isinstance(activation, list | tuple) else [activation] * len(self._hidden)
        self._activations = (*each, output)
        self._seed, self._loss = seed, loss
        self._rule, self._schedule = rules.get(rule), schedules.get(learning_rate)
        if not isinstance(l2, Real) or not 0 <= float(l2) < inf:
            raise SettingError(f"l2 was {l2!r}; it is a number from 0 up.")
        self._l2 = float(l2)
        self._made(1, 1).initial_weights(seed)  # refuses what cannot be before any row
        loss.check_pair(self._made(1, 1).activations[-1])
        self.network = None
        self.w = np.empty(0)
        self.rows = 0
        self._memory = np.empty((self._rule.n_memory, 0))
        self._pace, self._rate, self._total = Pace(), self._schedule.at(0.0), 0.0
        self._due = inf if isinstance(self._schedule, Constant) else ROWS_PER_RATE

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_visit", "_engine")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.network is not None:
            self._prepare()

    def fit_sizes(self, n_in: int, n_out: int) -> None:
        """Make the network have so many inputs and outputs: with random weights at first, with weights of 0 later."""
        before = self.network
        if before is not None and (before.n_in, before.n_out) == (n_in, n_out):
            return
        self.network = after = self._made(n_in, n_out)
        if before is None:
            self.w = after.initial_weights(self._seed, input_ranges=np.tile([-REACH, REACH], (n_in, 1)))
            self._memory = np.zeros((self._rule.n_memory, len(self.w)))
        else:
            self.w = _enlarged(before, after, self.w)
            memory = [_enlarged(before, after, remembered) for remembered in self._memory]
            self._memory = np.array(memory).reshape(-1, len(self.w))
        self._prepare()

    def set_last_bias(self, value: float) -> None:
        """Set the bias of the last output."""
        self.w[-1] = value

    def learn(self, X: Floats, T: Floats) -> None:
        """Learn a row: X (1, n_in), T (1, n_out).

        Raises
        ------
        TrainingError
            If the loss is not finite: the rows before have driven the weights away.
        """
        self.rows, loss = self._visit(X, T, self.rows, self._rate)
        self._total += loss
        if not self._total < inf:
            raise self.diverged()
        if self.rows == self._due:
            self._next_rate()

    def learn_rows(self, X: Floats, T: Floats) -> None:
        """Learn rows in their order, X (n, n_in), T (n, n_out), in as few calls as the schedule allows.

        Raises
        ------
        TrainingError
            As `learn`.
        """
        start = 0
        while start < len(X):
            stop = int(min(len(X), start + self._due - self.rows))
            self.learn(X[start:stop], T[start:stop])
            start = stop

    def predict(self, X: Floats) -> Floats:
        """Return the outputs (n, n_out) for inputs (n, n_in).

        Raises
        ------
        TrainingError
            If one is not finite.
        """
        if not self._total < inf:
            raise self.diverged()
        Y: Floats = self._engine.predict(self.w, X)
        if not all(map(isfinite, Y.reshape(-1).tolist())):
            raise self.diverged()
        return Y

    def arriving(self, X: Floats) -> Floats:
        """Return what arrives at the outputs (n, n_out) for inputs (n, n_in), before their activation."""
        assert self.network is not None
        linear = Network(self.network.sizes, (*self.network.activations[:-1], "identity"))
        arriving: Floats = choose(linear, get_loss("squared_error"), X).predict(self.w, X)
        return arriving

    def __str__(self) -> str:
        if self.network is None:
            return "before its first row"
        return f"{'-'.join(map(str, self.network.sizes))} {self._loss} after {self.rows:,} rows"

    def diverged(self) -> TrainingError:
        """Return the error for weights that have left the numbers."""
        return TrainingError(
            f"The network's outputs are no finite numbers any more after {self.rows:,} rows: steps have grown instead "
            f"of shrunk. Begin again with a learning rate below {self._rate:g}, or inputs of a common scale."
        )

    def _made(self, n_in: int, n_out: int) -> Network:
        return Network((n_in, *self._hidden, n_out), self._activations)

    def _prepare(self) -> None:
        assert self.network is not None
        self._engine = choose(self.network, self._loss, self.w)
        self._visit = self._engine.in_place(self.w, self._memory, self._rule, self._l2)

    def _next_rate(self) -> None:
        """Ask the schedule for the rate of the next rows, and tell it the mean loss where an epoch has ended."""
        if self.rows % ROWS_PER_EPOCH == 0:
            self._pace = self._schedule.observe(self._pace, self._total / ROWS_PER_EPOCH)
            self._total = 0.0
        self._rate = self._pace.factor * self._schedule.at(self.rows / ROWS_PER_EPOCH)
        self._due += ROWS_PER_RATE


def _enlarged(before: Network, after: Network, flat: Floats) -> Floats:
    """Return a vector like the weights of a network as one for a network with more inputs or outputs: 0 there."""
    grown = np.zeros(after.n_weights)
    for (W, b), (V, c) in zip(before.layers(flat), after.layers(grown), strict=True):
        V[: W.shape[0], : W.shape[1]] = W
        c[: len(b)] = b
    return grown
