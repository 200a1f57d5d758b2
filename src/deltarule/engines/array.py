"""The array engine: backpropagation as matrix products, in any array library.

The reference that the compiled engine is held against, and its fallback. The rows are cut into blocks small enough
that a block's activations stay in the processor's cache; memory beyond the data is bounded by one block.

Forward, for each layer          E = Y W' + b          Y = f(E)
at the outputs                   D = −∂loss/∂Y pulled back through f, or −∂loss/∂E where the loss fuses
backward, for each layer         −∂loss/∂W = D' Y_before       D_before = (D W) · f′(E_before)

(Rumelhart, Hinton and Williams 1986.) The Gauss-Newton matrix is Σ J' C J with J = ∂outputs/∂w and C the curvature of
the loss; its product with a vector pushes the vector forward and pulls it back (Pearlmutter 1994, Schraudolph 2002).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from array_api_compat import array_namespace

from deltarule.engines import Rows, Visit
from deltarule.engines.last_layer import ArrayLastLayer
from deltarule.losses import Loss, need_curvature
from deltarule.network import Network
from deltarule.special import Array
from deltarule.update import Rule, Update

BLOCK_NUMBERS = 2**16
"""About how many activations a block holds: 512 KiB in float64, the size of a common second-level cache."""
JACOBIAN_NUMBERS = 2**20
"""At most about how many numbers of a Jacobian exist at once: 8 MiB in float64."""
LARGEST_BLOCK = 4096


@cache
def _blas() -> Any:
    """Return the handle on the thread pools of the loaded BLAS libraries."""
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return ThreadpoolController()


class Pass(NamedTuple):
    """What a forward pass leaves behind: Y[0] is X, and layer i turns Y[i] into E[i] and Y[i + 1]."""

    E: list[Array]
    Y: list[Array]


@dataclass(frozen=True)
class ArrayEngine:
    """Sums over rows by matrix products; see `deltarule.engines.Engine`.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    loss : Loss
        A loss that accepts the network's output activation.
    """

    network: Network
    loss: Loss

    def value(self, w: Array, rows: Rows) -> float:
        """Return Σ s · loss."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        return sum(self._loss_sum(xp, self._forward(xp, layers, block.X), block) for block in self._blocks(rows))

    def value_grad(self, w: Array, rows: Rows) -> tuple[float, Array]:
        """Return Σ s · loss and its gradient (p,)."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        descent = xp.zeros_like(w)
        into = list(self.network.layers(descent))
        total = 0.0
        for block in self._blocks(rows):
            passed = self._forward(xp, layers, block.X)
            total += self._loss_sum(xp, passed, block)
            self._backward(xp, layers, passed, self._output_signal(xp, passed, block), into)
        return total, -descent

    def gauss_newton(self, w: Array, rows: Rows) -> tuple[float, Array, Array]:
        """Return Σ s · loss, its gradient (p,), and Σ s · J' C J (p, p)."""
        need_curvature(self.loss)
        xp, layers = array_namespace(w), list(self.network.layers(w))
        p, total = self.network.n_weights, 0.0
        descent, H = xp.zeros_like(w), xp.zeros((p, p), dtype=w.dtype)
        into = list(self.network.layers(descent))
        largest = max(1, JACOBIAN_NUMBERS // (p * self.network.n_out))
        for block in self._blocks(rows, largest):
            passed = self._forward(xp, layers, block.X)
            total += self._loss_sum(xp, passed, block)
            self._backward(xp, layers, passed, self._output_signal(xp, passed, block), into)
            for k in range(self.network.n_out):
                J = self._jacobian(xp, layers, passed, self._curvature_root(xp, passed, block, k), w)
                H += J.T @ J
        return total, -descent, H

    def gauss_newton_product(self, w: Array, rows: Rows, v: Array) -> Array:
        """Return (Σ s · J' C J) v of shape (p,), without the matrix."""
        need_curvature(self.loss)
        xp, layers = array_namespace(w), list(self.network.layers(w))
        along = list(self.network.layers(v))
        product = xp.zeros_like(w)
        into = list(self.network.layers(product))
        for block in self._blocks(rows):
            passed = self._forward(xp, layers, block.X)
            change = self._push_forward(xp, layers, along, passed)
            self._backward(xp, layers, passed, self._curve(xp, passed, block, change), into)
        return product

    def last_layer(self, rows: Rows) -> ArrayLastLayer:
        """Return the least-squares problem of the last layer."""
        hidden = Network(self.network.sizes[:-1], self.network.activations[:-1])
        return ArrayLastLayer(self.network, ArrayEngine(hidden, self.loss).predict, rows)

    def epoch(
        self, w: Array, memory: Array, count: int, rows: Rows, order: Array, update: Update
    ) -> tuple[Array, Array, int, float]:
        """Visit the rows in `order`, moving the weights after each row or mini-batch."""
        xp = array_namespace(w)
        w, memory = xp.asarray(w, copy=True), xp.asarray(memory, copy=True)
        layers, total = list(self.network.layers(w)), 0.0
        for start in range(0, len(order), update.batch_size):
            taken = order[start : start + update.batch_size]
            batch = Rows(*(None if part is None else part[taken, ...] for part in rows))
            passed = self._forward(xp, layers, batch.X)
            total += self._loss_sum(xp, passed, batch)
            descent = xp.zeros_like(w)
            into = list(self.network.layers(descent))
            self._backward(xp, layers, passed, self._output_signal(xp, passed, batch), into)
            descent /= len(taken)
            if update.l2:
                for (pull, _), (W, _) in zip(into, layers, strict=True):
                    pull -= update.l2 * W
            count += 1
            update.rule.apply(xp, w, -descent, memory, update.rate, count)
        return w, memory, count, total

    def in_place(self, w: Array, memory: Array, rule: Rule, l2: float) -> Visit:
        """Return a function of X, T, updates and rate that visits the rows as they come, moving w and memory."""

        def visit(X: Array, T: Array, count: int, rate: float) -> tuple[int, float]:
            order, update = array_namespace(X).arange(X.shape[0]), Update(rule, rate, 1, l2)
            with np.errstate(all="ignore"):  # as in the kernels, a loss that is not finite tells
                moved, remembered, count, total = self.epoch(w, memory, count, Rows(X, T), order, update)
            w[...], memory[...] = moved, remembered
            return count, total

        return visit

    def predict(self, w: Array, X: Array) -> Array:
        """Return the outputs (n, n_out)."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        Y = xp.empty((X.shape[0], self.network.n_out), dtype=w.dtype)
        start = 0
        for block in self._blocks(Rows(X, X)):
            n = block.X.shape[0]
            Y[start : start + n, :] = self._forward(xp, layers, block.X).Y[-1]
            start += n
        return Y

    def jacobian(self, w: Array, X: Array) -> Array:
        """Return the derivatives of the outputs by the weights, (n, n_out, p), for rows few enough to hold them all."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        passed = self._forward(xp, layers, X)
        columns = []
        for k in range(self.network.n_out):
            D = xp.zeros_like(passed.Y[-1])
            D[:, k] = 1
            columns.append(self._jacobian(xp, layers, passed, self._pull_back_outputs(xp, passed, D), w))
        return xp.stack(columns, axis=1)

    def residuals(self, w: Array, rows: Rows) -> tuple[Array, Array]:
        """Return r = √s (y − t), (n_out · n,) output by output, and its derivatives by w (n_out · n, p)."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        passed = self._forward(xp, layers, rows.X)
        root = xp.ones_like(passed.Y[-1]) if rows.s is None else xp.sqrt(rows.s)[:, None] + 0 * passed.Y[-1]
        derivatives = []
        for k in range(self.network.n_out):
            D = xp.zeros_like(root)
            D[:, k] = root[:, k]
            derivatives.append(self._jacobian(xp, layers, passed, self._pull_back_outputs(xp, passed, D), w))
        J = derivatives[0] if len(derivatives) == 1 else xp.concat(derivatives)
        return xp.reshape((root * (passed.Y[-1] - rows.T)).T, (-1,)), J

    def squared_derivatives(self, w: Array, X: Array, D: Array) -> Array:
        """Return Σ (Σ_j δ_j²) input² for each input of each layer and a 1 after them, (Σ (n_in + 1),)."""
        xp, layers = array_namespace(w), list(self.network.layers(w))
        passed = self._forward(xp, layers, X)
        found: list[Array] = []
        for i, local in self._signals(xp, layers, passed, D):
            of_row, Y = xp.sum(local * local, axis=1), passed.Y[i]
            found[:0] = [of_row @ (Y * Y), xp.reshape(xp.sum(of_row), (1,))]
        return xp.concat(found)

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run: BLAS on one thread, for starting others costs more than a block's products."""
        return _blas().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]

    def trace(self, w: Array, X: Array) -> Pass:
        """Return what arrives in every neuron and what it puts out, for every row."""
        return self._forward(array_namespace(w), list(self.network.layers(w)), X)

    def _blocks(self, rows: Rows, largest: int = LARGEST_BLOCK) -> Iterator[Rows]:
        """Yield consecutive blocks of rows, with borders that depend on the network alone."""
        n = rows.X.shape[0]
        size = max(1, min(largest, LARGEST_BLOCK, max(16, BLOCK_NUMBERS // sum(self.network.sizes))))
        for start in range(0, n, size):
            yield Rows(*(None if part is None else part[start : start + size, ...] for part in rows))

    def _forward(self, xp: Any, layers: list[tuple[Array, Array]], X: Array) -> Pass:
        passed = Pass([], [X])
        for (W, b), activation in zip(layers, self.network.activations, strict=True):
            E = passed.Y[-1] @ W.T
            E += b
            passed.E.append(E)
            passed.Y.append(activation.f(xp, E))
        return passed

    def _loss_sum(self, xp: Any, passed: Pass, rows: Rows) -> float:
        values = self.loss.value(xp, passed.E[-1], passed.Y[-1], rows.T, self._parameter)
        return float(xp.sum(values if rows.s is None else values * rows.s[:, None]))

    def _output_signal(self, xp: Any, passed: Pass, rows: Rows) -> Array:
        """Return the local gradient D at the outputs, times the sample weights."""
        D = self.loss.signal(xp, passed.E[-1], passed.Y[-1], rows.T, self._parameter)
        if rows.s is not None:
            D = D * rows.s[:, None]
        return D if self._fused else self._pull_back_outputs(xp, passed, D)

    def _pull_back_outputs(self, xp: Any, passed: Pass, D: Array) -> Array:
        return self.network.activations[-1].pull_back(xp, passed.E[-1], passed.Y[-1], D)

    def _signals(
        self, xp: Any, layers: list[tuple[Array, Array]], passed: Pass, D: Array
    ) -> Iterator[tuple[int, Array]]:
        """Yield (layer, local gradient of that layer) from the outputs back to the first layer."""
        for i in reversed(range(len(layers))):
            yield i, D
            if i:
                before = self.network.activations[i - 1]
                W = layers[i][0]
                D = D * W if W.shape[0] == 1 else D @ W  # the outer product is slow as a matrix product
                D = before.pull_back(xp, passed.E[i - 1], passed.Y[i], D)

    def _backward(
        self, xp: Any, layers: list[tuple[Array, Array]], passed: Pass, D: Array, into: list[tuple[Array, Array]]
    ) -> None:
        """Add D' Y_before and the sum of D, summed over rows, into the views of a flat vector."""
        ones = xp.ones((1, D.shape[0]), dtype=D.dtype)
        for i, local in self._signals(xp, layers, passed, D):
            W, b = into[i]
            W += local.T @ passed.Y[i]
            b += (ones @ local)[0, :]

    def _jacobian(self, xp: Any, layers: list[tuple[Array, Array]], passed: Pass, D: Array, like: Array) -> Array:
        """Return (n, p): for each row the derivative by w of what D weighs at the outputs."""
        n = D.shape[0]
        J = xp.empty((n, self.network.n_weights), dtype=like.dtype)
        for i, local in self._signals(xp, layers, passed, D):
            start, bias, stop = self.network.spans[i]
            J[:, start:bias] = (local[:, :, None] * passed.Y[i][:, None, :]).reshape(n, bias - start)
            J[:, bias:stop] = local
        return J

    def _curvature_root(self, xp: Any, passed: Pass, rows: Rows, k: int) -> Array:
        """Return column k of a root of C, pulled back to what arrives at the outputs.

        For softmax with cross-entropy C = diag(y) − y y', and diag(√y) − y √y' is a root of it.
        """
        output, Y = self.network.activations[-1], passed.Y[-1]
        root = xp.sqrt(self._curvature(xp, passed, rows)[:, k])
        if rows.s is not None:
            root = root * xp.sqrt(rows.s)
        D = xp.zeros_like(Y)
        D[:, k] = root
        if self._fused:
            return D - Y * root[:, None] if output.couples else D
        return self._pull_back_outputs(xp, passed, D)

    def _curve(self, xp: Any, passed: Pass, rows: Rows, change: Array) -> Array:
        """Return C times a change of what arrives at the outputs (fused), or pulled through f on both sides."""
        output, Y = self.network.activations[-1], passed.Y[-1]
        if self._fused and output.couples:
            curved = Y * (change - xp.sum(change * Y, axis=1, keepdims=True))
        elif self._fused:
            curved = self._curvature(xp, passed, rows) * change
        else:
            through = self._pull_back_outputs(xp, passed, change)  # f's Jacobian is symmetric
            curved = self._pull_back_outputs(xp, passed, self._curvature(xp, passed, rows) * through)
        return curved if rows.s is None else curved * rows.s[:, None]

    def _push_forward(
        self, xp: Any, layers: list[tuple[Array, Array]], along: list[tuple[Array, Array]], passed: Pass
    ) -> Array:
        """Return the change (n, n_out) of what arrives at the outputs when w moves along a direction."""
        moved: Array | None = None
        for i, ((W, _), (V, c)) in enumerate(zip(layers, along, strict=True)):
            change = passed.Y[i] @ V.T
            change += c
            if moved is not None:
                change += moved @ W.T
            if i < len(layers) - 1:
                moved = self.network.activations[i].pull_back(xp, passed.E[i], passed.Y[i + 1], change)
        return change

    def _curvature(self, xp: Any, passed: Pass, rows: Rows) -> Array:
        assert self.loss.curvature is not None
        return self.loss.curvature(xp, passed.E[-1], passed.Y[-1], rows.T, self._parameter)

    @property
    def _fused(self) -> bool:
        return self.loss.fuses(self.network.activations[-1])

    @property
    def _parameter(self) -> float:
        return 0.0 if self.loss.parameter is None else self.loss.parameter
