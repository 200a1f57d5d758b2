"""Where a search begins and how its directions are measured, where squared error meets identity outputs.

The last layer is solved for once, at the start, with a ridge that holds it near the one given (see
`deltarule.projection`): the objective is never higher for it. And a diagonal preconditioner P is computed there, since
a hidden weight may need a step hundreds of times as long as an output's: methods go along −P g where they would go
along −g, which is the same as going along −g in the variables w / √P (Nocedal and Wright 2006, section 5.1). It is

    P = 1 / h          h = the mean of the Gauss-Newton matrix's diagonal over the neurons that an input goes to

and h is raised by a hundredth of its layer's mean, for inputs that hardly vary. One number for all neurons of a layer,
not one for each: a neuron that does little at the start may have much to do later. With each output k a row's share of
the diagonal is (δ_k · input)², δ_k the error signals for an error of 1 at that output; a few hundred rows tell enough,
each for one of the outputs in turn.

Not for other losses: of cross-entropy the curvature fades where rows are fitted, and a P from the start then stands in
the way (docs/explain/architecture.md has the figures).
"""

from contextlib import AbstractContextManager, ExitStack
from math import isfinite, sqrt
from typing import Any

import numpy as np

from deltarule import cholesky, projection
from deltarule.engines.array import ArrayEngine
from deltarule.special import Array
from deltarule.vectors import dot, namespace

SAMPLE = 256
"""At most so many rows are asked for the curvature, evenly spaced."""
RAISE = 1e-2
"""What is added to the curvature of a weight, as a share of the mean over its layer."""


def for_method(objective: Any, method: Any) -> Any:
    """Return what a method makes small: the objective, projected or preconditioned as it asks, where that is possible.

    A method asks by attributes `projection` and `preconditioned` that are true; where is `projection.is_possible`.
    """
    if not projection.is_possible(objective):
        return objective
    made = projection.Projected(objective) if getattr(method, "projection", False) else objective
    return Preconditioned(made) if getattr(method, "preconditioned", False) else made


class Preconditioned:
    """An objective that says where to begin and how long steps are in each weight.

    What is not defined here is the objective's own.

    Parameters
    ----------
    objective : Objective or Projected
        One whose last layer can be solved for.
    """

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self._passes = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run of many calls."""
        stack = ExitStack()
        stack.enter_context(self.objective.working())
        stack.enter_context(cholesky.one_thread())
        return stack

    @property
    def solving_passes(self) -> float:
        """Passes besides those that the objective's functions are."""
        return self._passes + float(getattr(self.objective, "solving_passes", 0.0))

    def begun(self, w: Array) -> Array:
        """Return the weights to begin with: w with a better last layer, if there is one."""
        settled = getattr(self.objective, "settled", None)
        if settled is not None:
            return settled(w)
        solver = projection.Projected(self.objective)
        begun = solver.begun(w)
        self._passes += solver.solving_passes
        return begun

    def preconditioner(self, w: Array) -> Array:
        """Return P at w, (p,)."""
        network, (X, _, s), l2 = self.objective.network, self.objective.rows, self.objective.l2
        n = X.shape[0]
        if n > SAMPLE:
            taken = np.arange(0, n, -(-n // SAMPLE))
            X, s = X[taken, :], None if s is None else s[taken]
        m = X.shape[0]
        self._passes += m / n
        xp, passed = namespace(X), ArrayEngine(network, self.objective.loss).trace(w, X)
        D = xp.asarray(_each_in_turn(m, network.n_out), dtype=w.dtype)
        D = D if s is None else D * xp.sqrt(s)[:, None]
        h, layers = xp.empty_like(w), list(network.layers(w))
        for i, (weights, biases) in reversed(list(enumerate(network.layers(h)))):
            of_row = (D * D).sum(axis=1) / (m * D.shape[1])
            of_inputs = of_row @ (passed.Y[i] * passed.Y[i]) + l2
            raised = RAISE * float(of_inputs.sum()) / of_inputs.shape[0]
            weights[...], biases[...] = of_inputs + raised, float(of_row.sum()) + raised
            if i:
                W, activation = layers[i][0], network.activations[i - 1]
                D = activation.pull_back(xp, passed.E[i - 1], passed.Y[i], D * W if W.shape[0] == 1 else D @ W)
        return 1 / h if isfinite(dot(h, h)) and float(h.min()) > 0 else xp.ones_like(w)


def _each_in_turn(n: int, n_out: int) -> Any:
    """Return (n, n_out) with one number in each row, √n_out, so that the mean of squares is 1."""
    if n_out == 1:
        return np.ones((n, 1))
    chosen, rows = np.zeros((n, n_out)), np.arange(n)
    chosen[rows, rows % n_out] = sqrt(n_out)
    return chosen
