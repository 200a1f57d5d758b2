"""Epochs of sgd and adam as scikit-learn has them: the order of the rows, and the penalty of the last mini-batch.

For the same random_state the order is the same. Each epoch permutes the order of the epoch before, so a run that goes
on needs the last one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state  # type: ignore[import-untyped]

from deltarule.engines import Engine, Rows
from deltarule.special import Array
from deltarule.update import Update

Order = NDArray[np.int64]


class Orders:
    """Orders of rows, one epoch after the other.

    Parameters
    ----------
    random : RandomState
        What permutes them.
    """

    def __init__(self, random: Any) -> None:
        self.random = random
        self.last: Order = np.arange(0)

    def of(self, n_rows: int) -> "Orders":
        """Return itself, from now on for so many rows."""
        if len(self.last) != n_rows:
            self.last = np.arange(n_rows)
        return self

    def __call__(self, seed: int, epoch: int, shuffle: bool) -> Order:
        """Return the order of the next epoch; the seed and the epoch's number are not asked."""
        if shuffle:
            indices = np.arange(len(self.last))
            self.random.shuffle(indices)
            self.last = self.last[indices]
        return self.last

    def forget(self) -> None:
        """Keep no order: the next epoch starts from the rows as they stand."""
        self.last = np.arange(0)


class PenaltyByRows:
    """An engine whose penalty for a mini-batch is divided by its rows, where the last one has fewer.

    What is not defined here is the engine's own.

    Parameters
    ----------
    engine : Engine
        Where numbers are computed.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def epoch(
        self, w: Array, memory: Array, count: int, rows: Rows, order: Array, update: Update
    ) -> tuple[Array, Array, int, float]:
        """Visit the rows in `order`; see `deltarule.engines.Engine.epoch`."""
        left = len(order) % update.batch_size
        whole, last = order[: len(order) - left], order[len(order) - left :]
        total = 0.0
        for part, l2 in ((whole, update.l2), (last, update.l2 * update.batch_size / max(left, 1))):
            if len(part):
                w, memory, count, more = self.engine.epoch(w, memory, count, rows, part, update._replace(l2=l2))
                total += more
        return w, memory, count, total


def random_states(random_state: Any, runs: int) -> list[Any]:
    """Return a RandomState for each run: from the seeds that follow an int, otherwise the one given."""
    if isinstance(random_state, int | np.integer):
        return [check_random_state((int(random_state) + run) % 2**32) for run in range(runs)]
    return [check_random_state(random_state)] * runs
