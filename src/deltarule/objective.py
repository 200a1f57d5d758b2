"""The objective: how wrong a network is over all its rows, as a function of the flat weights w.

    objective(w) = Σ s · loss(row) / Σ s  +  ½ · l2 · Σ W²        (biases are free)

Arrays are checked once, where an objective is made (`deltarule.incoming`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from math import sqrt

import numpy as np
from array_api_compat import array_namespace, is_numpy_namespace

from deltarule import losses
from deltarule.engines import Engine, choose
from deltarule.errors import InputError, SettingError
from deltarule.incoming import checked_inputs, checked_rows, largest
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.numeric import isfinite
from deltarule.special import Array
from deltarule.update import Update
from deltarule.vectors import dot


class Objective:
    """Network, loss and rows as functions of w: the weighted mean loss plus the penalty.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    loss : str or Loss
        A loss that accepts the network's output activation.
    X : array of shape (n, n_in)
        Inputs, of any array library; float32 stays float32, other numbers become float64.
    T : array of shape (n, n_out), or (n,) for one output
        Targets; for cross_entropy each row sums to 1.
    sample_weight : array of shape (n,), optional
        Weights s ≥ 0 of the rows. Only their ratios matter: they are scaled to mean 1.
    l2 : float
        Penalty on the squared weights, biases free.
    engine : Engine, optional
        Where numbers are computed; chosen for the arrays unless given.
    orders : callable, optional
        ``orders(seed, epoch, shuffle)`` returns the order of shape (n,) in which an epoch visits the rows, and is asked
        once for each epoch; see `order` for what happens unless it is given.

    Raises
    ------
    SettingError
        If loss and output activation do not fit, or l2 is negative or not finite.
    InputError
        If shapes do not fit, there are no rows, a value is not finite or too large to square, or a target
        lies outside the range of the loss; the message names the place.
    """

    def __init__(
        self,
        network: Network,
        loss: str | Loss,
        X: Array,
        T: Array,
        sample_weight: Array | None = None,
        l2: float = 0.0,
        engine: Engine | None = None,
        orders: Callable[[int, int, bool], Array] | None = None,
    ) -> None:
        self.network = network
        self.loss = losses.get(loss)
        self.loss.check_pair(network.activations[-1])
        if not (isinstance(l2, int | float) and isfinite(l2) and l2 >= 0):
            raise SettingError(f"l2 was {l2!r}; it is a number from 0 up.")
        self.l2 = float(l2)
        self.rows = checked_rows(network, self.loss, X, T, sample_weight)
        self.engine = choose(network, self.loss, self.rows.X) if engine is None else engine
        self._xp = array_namespace(self.rows.X)
        self._shape, self._dtype, self._n = (network.n_weights,), self.rows.X.dtype, float(self.rows.X.shape[0])
        self._orders = orders
        self._last_order: tuple[tuple[int, int, bool] | None, Array] = (None, None)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.rows.X.shape[0])

    @property
    def n_weighing(self) -> int:
        """Number of rows whose sample weight is not 0."""
        return (
            self.n_rows if self.rows.s is None else int(self._xp.sum(self._xp.astype(self.rows.s > 0, self._xp.int64)))
        )

    @property
    def n_weights(self) -> int:
        """Number of weights and biases, p."""
        return self.network.n_weights

    @property
    def has_curvature(self) -> bool:
        """Whether Gauss-Newton quantities exist for this loss."""
        return self.loss.curvature is not None

    def value(self, w: Array) -> float:
        """Return the objective at w."""
        w = self._weights(w)
        return self.engine.value(w, self.rows) / self._n + self.penalty(w)

    def value_grad(self, w: Array) -> tuple[float, Array]:
        """Return the objective at w and its gradient (p,)."""
        w = self._weights(w)
        total, grad = self.engine.value_grad(w, self.rows)
        grad /= self._n
        if not self.l2:
            return total / self._n, grad
        squares = 0.0
        for i, j, _ in self.network.spans:
            W = w[i:j]
            squares += dot(W, W)
            grad[i:j] += self.l2 * W
        return total / self._n + 0.5 * self.l2 * squares, grad

    def gauss_newton(self, w: Array) -> tuple[float, Array, Array]:
        """Return the objective, its gradient (p,), and the Gauss-Newton matrix (p, p), penalty included."""
        w = self._weights(w)
        total, grad, H = self.engine.gauss_newton(w, self.rows)
        grad, H = grad / self._n, H / self._n
        if self.l2:
            diagonal = self._xp.arange(self.n_weights)
            H[diagonal, diagonal] += self._add_penalty(self._xp.zeros_like(w), self._xp.ones_like(w))
        return total / self.n_rows + self.penalty(w), self._add_penalty(grad, w), H

    @property
    def n_residuals(self) -> int | None:
        """Rows times outputs where the loss is squared error and the engine has `residuals`, otherwise None."""
        there = self.loss == losses.LOSSES["squared_error"] and callable(getattr(self.engine, "residuals", None))
        return self.n_rows * self.network.n_out if there else None

    @property
    def ridge(self) -> Array | None:
        """The penalty's second derivatives (p,): l2, 0 for biases; None without a penalty."""
        return self._add_penalty(self.memory(1)[0, :], self.memory(1)[0, :] + 1) if self.l2 else None

    def residuals(self, w: Array) -> tuple[float, Array, Array, Array]:
        """Return the objective, its gradient (p,), r (m,) and J = dr/dw (m, p), for squared error.

        The objective is ½ r · r and the penalty, its Gauss-Newton matrix J'J and the penalty's diagonal.
        """
        w = self._weights(w)
        r, J = self.engine.residuals(w, self.rows)
        root = sqrt(self._n)
        r, J = r / root, J / root
        return 0.5 * dot(r, r) + self.penalty(w), self._add_penalty(r @ J, w), r, J

    def gauss_newton_product(self, w: Array, v: Array) -> Array:
        """Return the Gauss-Newton matrix at w times v, of shape (p,), without the matrix."""
        w, v = self._weights(w), self._weights(v)
        return self._add_penalty(self.engine.gauss_newton_product(w, self.rows, v) / self.n_rows, v)

    def epoch(
        self, w: Array, memory: Array, count: int, order: Array, update: Update
    ) -> tuple[Array, Array, int, float]:
        """Train through the rows in `order`; see `deltarule.engines.Engine.epoch`.

        `update.l2` is overruled by the objective's own.
        """
        return self.engine.epoch(w, memory, count, self.rows, order, update._replace(l2=self.l2))

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run of many calls; see `deltarule.engines.Engine.working`."""
        return self.engine.working()

    def penalty(self, w: Array) -> float:
        """Return ½ · l2 · Σ W²."""
        if not self.l2:
            return 0.0
        squares = 0.0
        for i, j, _ in self.network.spans:
            W = w[i:j]
            squares += dot(W, W)
        return 0.5 * self.l2 * squares

    def memory(self, n: int) -> Array:
        """Return zeros of shape (n, p) in the objective's number type and place."""
        return self._xp.zeros((n, self.n_weights), dtype=self.rows.X.dtype)

    def order(self, seed: int, epoch: int, shuffle: bool = True) -> Array:
        """Return the order in which an epoch visits the rows, a function of seed and epoch alone."""
        asked = (seed, epoch, shuffle)
        if self._last_order[0] != asked:  # an epoch in many steps asks for the same one again and again
            orders = self._shuffled if self._orders is None else self._orders
            order = orders(seed, epoch, shuffle)
            self._last_order = asked, order if is_numpy_namespace(self._xp) else self._xp.asarray(order)
        return self._last_order[1]

    def _shuffled(self, seed: int, epoch: int, shuffle: bool) -> Array:
        order = np.arange(self.n_rows)
        if shuffle:
            np.random.Generator(np.random.PCG64([seed, epoch])).shuffle(order)
        return order

    def weight_of(self, order: Array) -> float:
        """Return the sum of the sample weights of some rows: their number where all weigh 1."""
        return float(len(order)) if self.rows.s is None else float(self._xp.sum(self.rows.s[order]))

    def weights(self, w: Array) -> Array:
        """Return a copy of w in the objective's array library and number type, checked.

        Raises
        ------
        InputError
            If its shape is not (p,) or a value is not finite or too large to square.
        """
        xp = self._xp
        made = xp.asarray(w, dtype=self.rows.X.dtype, copy=True)
        if tuple(made.shape) != (self.n_weights,):
            raise InputError(f"w has shape {tuple(made.shape)}; this network needs ({self.n_weights},).")
        fine = xp.abs(made) < largest(xp, made)
        if not bool(xp.all(fine)):
            i = int(xp.argmax(xp.astype(~fine, xp.int8)))
            what = "too large to square" if isfinite(float(made[i])) else "not finite"
            raise InputError(f"The weight {self.network.weight_name(i)} is {what} at the start ({float(made[i]):g}).")
        return made

    def _weights(self, w: Array) -> Array:
        if w.shape != self._shape:
            raise InputError(f"w has shape {tuple(w.shape)}; this network needs ({self.n_weights},).")
        return w if w.dtype == self._dtype else self._xp.asarray(w, dtype=self._dtype)

    def _add_penalty(self, grad: Array, w: Array) -> Array:
        if self.l2:
            for i, j, _ in self.network.spans:
                grad[i:j] += self.l2 * w[i:j]
        return grad


def predict(network: Network, w: Array, X: Array) -> Array:
    """Return what a network puts out, shape (n, n_out), for inputs X of shape (n, n_in).

    Raises
    ------
    InputError
        If shapes do not fit or a value is not finite.
    """
    X = checked_inputs(network, X)
    xp = array_namespace(X)
    w = xp.asarray(w, dtype=X.dtype)
    if tuple(w.shape) != (network.n_weights,):
        raise InputError(f"w has shape {tuple(w.shape)}; this network needs ({network.n_weights},).")
    return choose(network, losses.get("squared_error"), X).predict(w, X)
