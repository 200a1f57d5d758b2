"""Training with teaching rules, to compare them: runs side by side, from the same starts, on rows in the same order.

This is no second training loop for use: `deltarule.train` is faster, knows all methods, and stops by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.explain import rules as table
from deltarule.explain.rules import Floats, SideBySide, descent, forward
from deltarule.losses import Loss
from deltarule.methods.schedules import Schedule
from deltarule.network import Network
from deltarule.objective import Objective


class Runs(NamedTuple):
    """Runs of one rule side by side: their losses at some epochs, (points, runs), and their last weights (runs, p)."""

    epochs: NDArray[np.int64]
    losses: Floats
    w: Floats


@dataclass(frozen=True)
class Course:
    """What all runs of all rules have in common.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    loss : Loss
        A loss that accepts the network's outputs.
    X, T : arrays of shape (n, n_in) and (n, n_out)
        The rows.
    starts : array of shape (seeds, p)
        The initial weights of each seed.
    rates : tuple of float
        Learning rates; each is combined with each start, start after start for the first rate, then the next.
    epochs : int
        Passes over the rows.
    online : bool
        Whether the weights move after each row, or once an epoch by the mean over all rows.
    points : int
        At how many epochs the losses are taken, at most.
    schedules : tuple of Schedule
        A plan for the learning rate in the place of each of `rates`; see `deltarule.methods.schedules`.
    """

    network: Network
    loss: Loss
    X: Floats
    T: Floats
    starts: Floats
    rates: tuple[float, ...]
    epochs: int
    online: bool = True
    points: int = 50
    schedules: tuple[Schedule, ...] = ()

    def __post_init__(self) -> None:
        if not self.rates or not all(0 < rate < np.inf for rate in self.rates):
            raise SettingError(f"The learning rates were {self.rates!r}; give numbers above 0, as in (0.1, 0.5, 2).")
        if self.epochs < 1:
            raise SettingError(f"epochs was {self.epochs!r}; it is a whole number from 1 up.")

    @property
    def recorded(self) -> NDArray[np.int64]:
        """The epochs after which losses are taken, 0 among them."""
        return np.unique(np.linspace(0, self.epochs, min(self.epochs, self.points) + 1).round().astype(np.int64))

    def order(self, epoch: int) -> NDArray[np.intp]:
        """Return the order of each run's rows in an epoch, (runs, n): seed i shuffles as `Objective.order` does."""
        n, seeds = len(self.X), len(self.starts)
        order = np.tile(np.arange(n), (seeds, 1))
        for seed in range(seeds):
            np.random.Generator(np.random.PCG64([seed, epoch])).shuffle(order[seed])
        return np.tile(order, (len(self.rates), 1))

    def run(self, names: Sequence[str]) -> dict[str, Runs]:
        """Return the runs of each rule, trained from the same starts on rows in the same orders."""
        rules = [table.get(name) for name in names]
        runs, recorded = len(self.rates) * len(self.starts), set(self.recorded.tolist())
        together = table.side_by_side(rules, runs)
        w = np.tile(self.starts, (len(rules) * len(self.rates), 1))
        losses = [self.losses(w)]
        with np.errstate(all="ignore"):  # a rule that diverges is a result
            for epoch in range(self.epochs):
                order = np.tile(self.order(epoch), (len(rules), 1)) if self.online else None
                self._epoch(w, np.tile(self._eta(epoch), (len(rules), 1)), order, together)
                if epoch + 1 in recorded:
                    losses.append(self.losses(w))
        points = np.array(losses)
        parts = {rule.name: slice(k * runs, (k + 1) * runs) for k, rule in enumerate(rules)}
        return {name: Runs(self.recorded, points[:, part], w[part]) for name, part in parts.items()}

    def _eta(self, epoch: int) -> Floats:
        """Return the learning rate of each run of a rule in an epoch, (runs, 1)."""
        rates = [plan.at(epoch) for plan in self.schedules] or self.rates
        return np.repeat(rates, len(self.starts))[:, None]

    def _epoch(self, w: Floats, eta: Floats, order: NDArray[np.intp] | None, rule: SideBySide) -> None:
        """Move the weights through an epoch, in place."""
        if order is None:
            X, T = (np.broadcast_to(A, (len(w), *A.shape)) for A in (self.X, self.T))
            w += eta * descent(self.network, self.loss, w, X, T, rule)[1]
            return
        for taken in order.T:
            w += eta * descent(self.network, self.loss, w, self.X[taken][:, None], self.T[taken][:, None], rule)[1]

    def outputs(self, w: Floats) -> Floats:
        """Return what the networks of weights (runs, p) put out, (runs, n, n_out)."""
        network = self.network
        layers = [
            (w[:, i:j].reshape(len(w), m, -1), w[:, j:k])
            for (i, j, k), m in zip(network.spans, network.sizes[1:], strict=True)
        ]
        return forward(network, layers, np.broadcast_to(self.X, (len(w), *self.X.shape)))[1][-1]

    def losses(self, w: Floats) -> Floats:
        """Return the mean loss over all rows of each run, (runs,)."""
        X, T = (np.broadcast_to(A, (len(w), *A.shape)) for A in (self.X, self.T))
        with np.errstate(all="ignore"):
            return descent(self.network, self.loss, w, X, T)[0]


def teach(
    objective: Objective,
    w: Floats,
    rule: str = "gradient",
    *,
    learning_rate: float = 0.1,
    epochs: int = 100,
    online: bool = True,
) -> Runs:
    """Train with a teaching rule: online or batch descent with something else in the place of f′.

    Parameters
    ----------
    objective : Objective
        Network, loss and rows; rows without weights, no penalty.
    w : array of shape (p,) or (runs, p)
        The weights to start from, of one run or of several; run i visits the rows in the orders of seed i.
    rule : str
        A name of `deltarule.explain.rules.RULES`.
    learning_rate : float
        η.
    epochs : int
        Passes over the rows.
    online : bool
        Whether the weights move after each row, or once an epoch by the mean over all rows.

    Returns
    -------
    Runs
        The losses on the way and the last weights.

    Raises
    ------
    SettingError
        If the rule is unknown, a setting is out of range, or the objective has row weights or a penalty.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> X, T = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    >>> xor = dr.Objective(dr.Network((2, 3, 1), ("logistic", "logistic")), "squared_error", 2 * X - 1, T)
    >>> starts = np.array([xor.network.initial_weights(seed, "uniform") for seed in range(5)])
    >>> for rule in ("gradient", "omit_hidden"):
    ...     runs = teach(xor, starts, rule, learning_rate=1.0, epochs=1500)
    ...     print(rule, (runs.losses[-1] < 0.05).sum(), "of 5")
    gradient 5 of 5
    omit_hidden 0 of 5
    """
    if objective.rows.s is not None or objective.l2:
        raise SettingError("Teaching rules know no row weights and no penalty; give an objective without them.")
    starts = np.atleast_2d(np.asarray(w, dtype=float))
    X, T = np.asarray(objective.rows.X), np.asarray(objective.rows.T)
    course = Course(objective.network, objective.loss, X, T, starts, (learning_rate,), epochs, online)
    return course.run([rule])[rule]
