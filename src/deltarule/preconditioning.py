"""Where a search begins and how its directions are measured, where squared error meets identity outputs.

For a hidden layer, and a penalty or more rows than an output has weights (`deltarule.projection.is_possible`).

The last layer is solved for once, at the start (`deltarule.beginning`), and P, a diagonal preconditioner, is computed
there: a hidden weight may need a step hundreds of times as long as an output's. Methods go along −P g where they would
go along −g, which is the same as going along −g in the variables w / √P (Nocedal and Wright 2006, section 5.1). It is

    P = 1 / h          h = the mean of the Gauss-Newton matrix's diagonal over the neurons that an input goes to

and h is raised by a hundredth of its layer's mean, for inputs that hardly vary. One number for all neurons of a layer,
not one for each: a neuron that does little at the start may have much to do later. With each output k a row's share of
the diagonal is (δ_k · input)², δ_k the error signals for an error of 1 at that output; a few hundred rows tell enough,
each for one of the outputs in turn, and all rows how large the inputs are. Without the solution P is of no use, as it
is then that of a place soon left; so there is neither where the solution would take too long, as with very wide layers.

Not for other losses: of cross-entropy the curvature fades where rows are fitted, and a P from the start then stands in
the way (docs/explain/architecture.md has the figures).
"""

from dataclasses import replace
from math import isfinite, sqrt
from typing import Any

import numpy as np
from array_api_compat import device

from deltarule import beginning, cholesky, projection
from deltarule.special import Array
from deltarule.vectors import dot, namespace

SAMPLE = 256
"""At most so many rows are asked for the curvature, evenly spaced."""
BLOCK = 4096
"""Rows that are squared at a time."""
RAISE = 1e-2
"""What is added to the curvature of a weight, as a share of the mean over its layer."""


def for_method(objective: Any, method: Any, begins: bool = True, rows: float | None = None) -> Any:
    """Return what a method makes small: the objective, projected or preconditioned as it asks, where that is possible.

    A method asks by attributes `projection` and `preconditioned` that are true; where is `projection.is_possible`. With
    `begins` false the method begins where it is told; see `Preconditioned`.
    """
    if not projection.is_possible(objective):
        return objective
    projects, asks = getattr(method, "projection", False), getattr(method, "preconditioned", False)
    asks = asks and callable(getattr(objective.engine, "squared_derivatives", None))
    made = projection.Projected(objective) if projects else objective
    return Preconditioned(made, begins, rows) if asks and (projects or beginning.is_worth(objective)) else made


def without(method: Any) -> Any:
    """Return a method as it is without its preconditioner, for what is asked of the weights given and no others."""
    return replace(method, preconditioned=False) if getattr(method, "preconditioned", False) else method


class Preconditioned:
    """An objective that says where to begin and how long steps are in each weight.

    What is not defined here is the objective's own.

    Parameters
    ----------
    objective : Objective or Projected
        One whose last layer can be solved for.
    begins : bool
        Whether `begun` looks for other weights than those given.
    rows : float, optional
        How many rows there are as far as noise is concerned, where that is not how many weigh anything.
    """

    def __init__(self, objective: Any, begins: bool = True, rows: float | None = None) -> None:
        self.objective, self.begins = objective, begins
        self._counted = float(objective.n_weighing) if rows is None else rows
        self._passes = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    @property
    def solving_passes(self) -> float:
        """Passes besides those that the objective's functions are."""
        return self._passes + float(getattr(self.objective, "solving_passes", 0.0))

    def begun(self, w: Array) -> Array:
        """Return the weights to begin with: w with a better last layer, if there is one."""
        settled = getattr(self.objective, "settled", None)
        if settled is not None or not self.begins:
            return w if settled is None else settled(w)
        self._passes += 1.0
        return beginning.begun(self.objective, w, self._counted)

    def preconditioner(self, w: Array) -> Array:
        """Return P at w, (p,); ones where that is no number above 0, as where a layer has no slope."""
        h, ones = self._curvatures(w), namespace(w).ones_like(w)
        if h is None:
            return ones
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            P = 1 / h
            return P if isfinite(dot(h, h) + dot(P, P)) else ones

    def _curvatures(self, w: Array) -> Array | None:
        """Return the raised mean diagonal of the Gauss-Newton matrix, (p,); None where a layer has none."""
        network, l2 = self.objective.network, self.objective.l2
        X, s, whole = self._sample()
        n, xp = X.shape[0], namespace(X)
        self._passes += n / self.objective.n_rows
        D = xp.asarray(_asked(n, network.n_out), dtype=w.dtype, device=device(w))
        of_all = self.objective.engine.squared_derivatives(w, X, D if s is None else D * xp.sqrt(s)[:, None])
        h, start = xp.empty_like(w), 0
        for i, (weights, biases) in enumerate(network.layers(h)):
            n_out, n_in = weights.shape
            of_layer = of_all[start : start + n_in + 1] / (n * n_out)
            of_inputs, of_bias = of_layer[:-1], float(of_layer[-1])
            if not of_bias > 0:
                return None
            if i == 0 and not whole:
                of_inputs = xp.maximum(of_inputs, of_bias * self._mean_squares())
            of_inputs = of_inputs + l2
            raised = RAISE / n_in * float(of_inputs.sum())
            weights[...], biases[...] = of_inputs + raised, of_bias + raised
            start += n_in + 1
        return h

    def _mean_squares(self) -> Array:
        """Return Σ s x² / n of each input over all rows: few of them may be what makes a column matter."""
        X, _, s = self.objective.rows
        total, n = 0 * X[0, :], X.shape[0]
        with cholesky.one_thread():
            for start in range(0, n, BLOCK):
                block = X[start : start + BLOCK, :]
                weight = namespace(X).ones_like(block[:, 0]) if s is None else s[start : start + BLOCK]
                total += weight @ (block * block)
        return total / n

    def _sample(self) -> tuple[Array, Array | None, bool]:
        """Return X and s of rows that weigh anything, and whether these are all."""
        X, _, s = self.objective.rows
        n = X.shape[0]
        if n <= SAMPLE and s is None:
            return X, None, True
        weighing = None if s is None else namespace(s).nonzero(s > 0)[0]
        count = n if weighing is None else int(weighing.shape[0])
        step = -(-count // SAMPLE)
        taken = np.arange(0, n, step) if weighing is None else weighing[::step]
        return X[taken, :], None if s is None else s[taken] * (count / n), count <= SAMPLE


def _asked(n: int, n_out: int) -> Any:
    """Return what each row is asked for, (n, n_out): one output in turn, or all with signs where these are too many.

    Squares of what comes back are in the mean those of all outputs together (Hutchinson 1990).
    """
    if n_out == 1:
        return np.ones((n, 1))
    if n_out > n:
        return np.random.Generator(np.random.PCG64(0)).choice([-1.0, 1.0], size=(n, n_out))
    chosen, rows = np.zeros((n, n_out)), np.arange(n)
    chosen[rows, rows % n_out] = sqrt(n_out)
    return chosen
