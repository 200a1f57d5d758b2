"""Rows as a diagnosis sees them: some of an objective's rows as NumPy arrays, what each loses, and which are wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine, Pass
from deltarule.losses import Loss
from deltarule.methods import ConjugateGradient
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.stopping import MaxSteps, MinGrad
from deltarule.train import train

Floats = NDArray[np.float64]

MOST_ROWS = 2000
"""So many rows are looked at, drawn by chance where there are more."""
WRONG = 0.1
"""A row is wrong if it loses more than this share of what a constant output loses on average."""


@dataclass(frozen=True)
class Sample:
    """Some rows of an objective, in float64.

    Parameters
    ----------
    objective : Objective
        The same network, loss and penalty on these rows alone, computed by NumPy or the compiled kernels.
    places : array of shape (n,)
        Which rows of the given objective they are.
    n_rows : int
        How many there are in all.
    """

    objective: Objective
    places: NDArray[np.intp]
    n_rows: int

    @property
    def network(self) -> Network:
        """Sizes and activations."""
        return self.objective.network

    @property
    def loss(self) -> Loss:
        """The loss."""
        return self.objective.loss

    @property
    def X(self) -> Floats:  # noqa: N802
        """Inputs (n, n_in)."""
        return np.asarray(self.objective.rows.X)

    @property
    def T(self) -> Floats:  # noqa: N802
        """Targets (n, n_out)."""
        return np.asarray(self.objective.rows.T)

    def trace(self, w: Floats) -> Pass:
        """Return what arrives in every neuron and what it puts out, for every row."""
        with np.errstate(all="ignore"):
            return ArrayEngine(self.network, self.loss).trace(w, self.X)

    def row_losses(self, w: Floats) -> Floats:
        """Return what each row loses, (n,)."""
        return losses_of(self.loss, self.trace(w), self.T)


def sample(objective: Objective, most: int = MOST_ROWS, seed: int = 0) -> Sample:
    """Return at most so many rows of an objective, in their order."""
    n = objective.n_rows
    places = np.arange(n)
    if n > most:
        places = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    X, T, s = (None if A is None else np.asarray(A, dtype=float)[places] for A in objective.rows)
    if s is not None and not s.sum() > 0:
        s = None
    taken = Objective(objective.network, objective.loss, X, T, s, objective.l2)
    return Sample(taken, places, n)


def losses_of(loss: Loss, passed: Pass, T: Floats) -> Floats:
    """Return what each row of a forward pass loses, (n,)."""
    with np.errstate(all="ignore"):
        each = loss.value(np, passed.E[-1], passed.Y[-1], T, loss.parameter or 0.0)
    return np.asarray(each.sum(axis=1))


def baseline(objective: Objective) -> float:
    """Return the mean loss of the best constant outputs: what can be known without inputs.

    The biases of a network without hidden layer are trained, its inputs being 0.
    """
    rows: Rows = objective.rows
    X = np.zeros((objective.n_rows, 1))
    network = Network((1, objective.network.n_out), objective.network.activations[-1:])
    constant = Objective(network, objective.loss, X, np.asarray(rows.T, dtype=float), rows.s)
    low, high = float(np.min(rows.T)), float(np.max(rows.T))
    start = np.zeros(network.n_weights)
    if network.activations[-1].name in ("identity", "relu", "leaky_relu"):
        start[network.n_out :] = np.clip(np.mean(rows.T, axis=0), low, high)
    return float(train(constant, start, ConjugateGradient(), [MaxSteps(50), MinGrad(1e-10)]).loss)


def wrong_rows(losses: Floats, constant: float) -> NDArray[np.bool_]:
    """Return which rows are wrong, given what each and what a constant output loses."""
    return ~(losses <= WRONG * constant)  # what is not finite is wrong too
