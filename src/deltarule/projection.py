"""Variable projection: the outputs' weights are always the best ones, and only the hidden weights are searched.

With squared error and identity outputs the loss is a linear least-squares problem in the last layer's weights b: for
any hidden weights a the best b(a) is the solution of

    M b = Y' T / n          M = Y' Y / n + l2          Y the last hidden outputs and a column of ones

and what is left to make small is φ(a) = objective(a, b(a)), with ∇φ = ∂objective/∂a at b(a) (Golub and Pereyra 1973).
Its Gauss-Newton matrix in Kaufman's form (1975) is that of the objective with b eliminated,

    S = H_aa − H_ab H_bb⁻¹ H_ba .

Collinear hidden units make M singular: a little is added to its diagonal, and what that costs in accuracy is won back
by one step of iterative refinement, whose residual is computed from the rows.

Methods that ask for it with ``projection=True`` are on smooth functions without noise faster still than with their
preconditioner alone. But without a penalty neurons may come to do the same, the solution then grows without bound, and
searches end there; Levenberg-Marquardt, whose default it is, is held by its damping.

Everything works on the whole w, so that the states of methods look the same with and without projection.
"""

from contextlib import AbstractContextManager, ExitStack
from typing import Any, NamedTuple

from array_api_compat import array_namespace, device

from deltarule import cholesky
from deltarule.activations import ACTIVATIONS
from deltarule.losses import LOSSES
from deltarule.objective import Objective
from deltarule.special import Array

KEPT = 4
"""How many of the last solutions are remembered: a trial and the point it started from, each given and settled."""


def of(objective: Any) -> Any:
    """Return the objective with its outputs' weights projected out where that is possible, or the objective itself."""
    return Projected(objective) if is_possible(objective) else objective


def is_possible(objective: Any) -> bool:
    """Return whether an objective's last layer can be solved for: squared error, identity outputs, a hidden layer.

    It cannot where a penalty is lacking and the rows that weigh anything do not outnumber the weights of an output:
    these would fit any targets by themselves, and the hidden weights stay where they began. (Rows that are there
    several times are not noticed.) Nor is a caller's own objective, even one derived from `Objective`: only of that
    class itself is it known that its values are those of network, loss and rows.
    """
    if type(objective) is not Objective:
        return False
    network = objective.network
    linear = network.activations[-1] is ACTIVATIONS["identity"] and objective.loss == LOSSES["squared_error"]
    if not linear or network.depth < 2:
        return False
    enough = objective.l2 or objective.n_weighing > network.sizes[-2] + 1
    return bool(enough) and callable(getattr(objective.engine, "last_layer", None))


class Settled(NamedTuple):
    """Weights as they were given, the same with the best last layer, this as B (n_out, width + 1), the factor of M."""

    given: Array
    w: Array
    B: Array
    factor: Array


class Projected:
    """An objective in the hidden weights alone: the last layer's part of w is ignored and solved for.

    What is not defined here is the objective's own. Weights are known again by the array that holds them, so that none
    that has been asked about may be changed in place; and one of these serves one thread.

    Parameters
    ----------
    objective : Objective
        One with squared error, identity outputs and a hidden layer.

    Attributes
    ----------
    solving_passes : float
        Passes in which last layers were solved for, besides those that the functions below are.
    """

    n_residuals = None

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        network, engine, rows = objective.network, objective.engine, objective.rows
        *_, width, n_out = network.sizes
        self._xp = array_namespace(rows.X)
        self._first, self._width, self._n_out = network.spans[-1][0], width, n_out
        self.not_bias = self._xp.ones(width + 1, dtype=rows.X.dtype, device=device(rows.X))
        self.not_bias[-1] = 0
        self._penalty = objective.l2 * self.not_bias
        self._last = engine.last_layer(rows)
        self._short_cut: Any = getattr(self._last, "value_grad", None)
        self._recent: tuple[Settled, ...] = ()
        self.solving_passes = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run of many calls."""
        stack = ExitStack()
        stack.enter_context(self.objective.working())
        stack.enter_context(cholesky.one_thread())
        return stack

    def value(self, w: Array) -> float:
        """Return φ: the objective at w with the best last layer."""
        return float(self.objective.value(self.settled(w)))

    def value_grad(self, w: Array) -> tuple[float, Array]:
        """Return φ and its gradient (p,), 0 for the last layer."""
        settled = self._settle(w)
        if self._short_cut is not None and settled is self._recent[0]:
            return self._without_way_forward(settled)
        value, grad = self.objective.value_grad(settled.w)
        grad[self._first :] = 0
        return value, grad

    def _without_way_forward(self, settled: Settled) -> tuple[float, Array]:
        """Return φ and its gradient where the last layer has just been solved for, from what that has left."""
        w, n, l2 = settled.w, self.objective.n_rows, self.objective.l2
        grad = self._xp.zeros_like(w)
        total, hidden = self._short_cut(w[: self._first], settled.B)
        hidden /= n
        grad[: self._first] = hidden
        if not l2:
            return total / n, grad
        for i, j, _ in self.objective.network.spans[:-1]:
            grad[i:j] += l2 * w[i:j]
        return total / n + self.objective.penalty(w), grad

    def gauss_newton(self, w: Array) -> tuple[float, Array, Array]:
        """Return φ, its gradient (p,), and Kaufman's matrix (p, p): S, and H_bb for the last layer."""
        settled, first = self._settle(w), self._first
        value, grad, H = self.objective.gauss_newton(settled.w)
        grad[first:] = 0
        V = cholesky.forward(settled.factor, self._columns(H[first:, :first]))
        V = self._xp.reshape(V, (-1, first))
        H[:first, :first] -= V.T @ V
        H[:first, first:] = 0
        H[first:, :first] = 0
        return value, grad, H

    def products(self, w: Array) -> Array:
        """Return M without the penalty, (width + 1, width + 1), at the weights before the last layer."""
        return self._last.sums(w[: self._first])[:, : self._width + 1] / self.objective.n_rows

    def left(self, w: Array, B: Array) -> Array:
        """Return (T − Y Bᵀ)ᵀ Y / n, (n_out, width + 1), after `products` at the same w."""
        return self._last.left(w[: self._first], B) / self.objective.n_rows

    def matrix(self, w: Array) -> Array:
        """Return the last layer of w as B (n_out, width + 1)."""
        weights = self._xp.reshape(w[self._first : -self._n_out], (-1, self._width))
        return self._xp.concat([weights, w[-self._n_out :, None]], axis=1)

    def with_last(self, given: Array, B: Array) -> Array:
        """Return w with another last layer."""
        w = self._xp.asarray(given, dtype=self._penalty.dtype, copy=True)
        w[self._first : -self._n_out] = self._xp.reshape(B[:, :-1], (-1,))
        w[-self._n_out :] = B[:, -1]
        return w

    def settled(self, w: Array) -> Array:
        """Return w with the best last layer: a function of its hidden part alone, to the bit."""
        return self._settle(w).w

    def _settle(self, w: Array) -> Settled:
        for known in self._recent:
            if w is known.given or w is known.w:
                return known
        made = self._solved(w)
        self._recent = (made, *self._recent[: KEPT - 1])
        return made

    def _solved(self, given: Array) -> Settled:
        """Solve the normal equations, then once more for the residual that is left.

        Counted as a pass: the rows go through the hidden layers once.
        """
        self.solving_passes += 1.0
        n, k = self.objective.n_rows, self._width + 1
        a = self._xp.asarray(given[: self._first], dtype=self._penalty.dtype)
        sums = self._last.sums(a)
        sums /= n
        L = cholesky.raised_factor(sums[:, :k], self._penalty)
        B = cholesky.solve(L, sums[:, k:]).T
        left = self._last.left(a, B)
        left /= n
        if self.objective.l2:
            left -= self._penalty * B
        B = B + cholesky.solve(L, left.T).T
        return Settled(given, self.with_last(given, B), B, L)

    def _columns(self, B: Array) -> Array:
        """Return B (len(b), m) as (width + 1, n_out · m): each output's weights and below them its bias."""
        xp, split, n_out = self._xp, self._width * self._n_out, self._n_out
        if n_out == 1:
            return B
        weights = xp.permute_dims(xp.reshape(B[:split, :], (n_out, self._width, -1)), (1, 0, 2))
        return xp.concat([xp.reshape(weights, (self._width, -1)), xp.reshape(B[split:, :], (1, -1))])
