"""Engines: where numbers are computed. One interface, several implementations.

Every batch quantity is a sum over rows, so an engine is free to cut the rows into blocks and to add the blocks'
sums; it must cut at borders fixed by the data and the network alone and add in block order, so that the result
does not depend on threads or workers. Means and penalties belong to the objective.
"""

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np

from deltarule.compiled import ENGINE, kernels, wanted
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.special import Array
from deltarule.update import Rule, Update

__all__ = ["Engine", "Rows", "Update", "Visit", "choose", "in_use"]

UNCOMPILED = (
    "deltarule was installed without a C++ compiler, so NumPy computes instead of its compiled kernels: the same "
    "results, slower. Install a compiler and deltarule again."
)


class Rows(NamedTuple):
    """Rows of a table as numbers: X (n, n_in), T (n, n_out), and sample weights s (n,) or None for all 1."""

    X: Array
    T: Array
    s: Array | None = None


Visit = Callable[[Array, Array, int, float], tuple[int, float]]
"""``visit(X, T, count, rate)`` returns (updates so far, Σ loss); see `Engine.in_place`."""


class LastLayer(Protocol):
    """The least-squares problem of a linear last layer: targets T (n, n_out) from its inputs Y (n, width) and a 1.

    It may have ``value_grad(a, B)``, Σ s · loss and its gradient in a, for after `sums` at the same a.
    """

    def sums(self, a: Array) -> Array:
        """Return [Y 1]ᵀ S [Y 1 T], (width + 1, width + 1 + n_out), at the weights before that layer, a."""
        ...

    def left(self, a: Array, B: Array) -> Array:
        """Return (T − [Y 1] Bᵀ)ᵀ S [Y 1], (n_out, width + 1), for B of that shape; `sums` at the same a came before."""
        ...


class Engine(Protocol):
    """Sums over rows, for one network and one loss.

    It may have ``begun(w, rows, l2, n_rows, cost, shares)``, what `deltarule.beginning` computes otherwise.
    """

    def value(self, w: Array, rows: Rows) -> float:
        """Return Σ s · loss."""
        ...

    def value_grad(self, w: Array, rows: Rows) -> tuple[float, Array]:
        """Return Σ s · loss and its gradient (p,)."""
        ...

    def gauss_newton(self, w: Array, rows: Rows) -> tuple[float, Array, Array]:
        """Return Σ s · loss, its gradient (p,), and Σ s · Jᵀ C J (p, p), C being the loss's curvature."""
        ...

    def gauss_newton_product(self, w: Array, rows: Rows, v: Array) -> Array:
        """Return (Σ s · Jᵀ C J) v of shape (p,), without the matrix."""
        ...

    def residuals(self, w: Array, rows: Rows) -> tuple[Array, Array]:
        """Return r = √s (y − t), (n_out · n,) output by output, and J = dr/dw (n_out · n, p).

        For squared error, whose Σ s · loss is ½ r · r, and for rows few enough to hold J.
        """
        ...

    def squared_derivatives(self, w: Array, X: Array, D: Array) -> Array:
        """Return the diagonal of Σ Jᵀ J, summed over the neurons that an input goes to, (Σ (n_in + 1),).

        For each input of each layer, and a 1 after them, that is Σ over rows of (Σ_j δ_j²) input², the δ pulled back
        from local gradients D (n, n_out) of the outputs. For rows so few that all fit into memory at once.
        """
        ...

    def last_layer(self, rows: Rows) -> LastLayer:
        """Return the least-squares problem of an identity last layer, for rows that are asked of again and again."""
        ...

    def epoch(
        self, w: Array, memory: Array, count: int, rows: Rows, order: Array, update: Update
    ) -> tuple[Array, Array, int, float]:
        """Visit the rows in `order`, moving the weights after each row or mini-batch.

        Each update takes the mean of s · gradient over its rows plus l2 · W. Returns the new w and memory, the
        number of updates so far, and Σ s · loss, each row's loss taken just before its update.
        """
        ...

    def in_place(self, w: Array, memory: Array, rule: Rule, l2: float) -> Visit:
        """Return a function that visits rows as they come, one an update, and moves w and memory in place.

        It is `epoch` for rows that come one by one: what stays the same is looked at once. Called with X, T, the
        number of updates so far and the learning rate, it returns the number of updates and Σ loss.
        """
        ...

    def predict(self, w: Array, X: Array) -> Array:
        """Return the outputs (n, n_out)."""
        ...

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run of many calls."""
        ...


def choose(network: Network, loss: Loss, X: Array) -> Engine:
    """Return the engine for inputs X: compiled kernels where they are there and know all formulas, or arrays."""
    from deltarule.engines import native
    from deltarule.engines.array import ArrayEngine

    if isinstance(X, np.ndarray) and native.serves(network, loss):
        return native.NativeEngine(network, loss)
    if kernels() is None and wanted():
        _warn_uncompiled()
    return ArrayEngine(network, loss)


def in_use() -> str:
    """Return what computes for arrays in memory, as a sentence."""
    from deltarule.engines import native

    compiled = kernels()
    if not wanted():
        return f"NumPy, because the environment variable {ENGINE} asks for the array engine."
    if compiled is None:
        return UNCOMPILED
    threads = native.n_threads()
    return f"Compiled kernels for {compiled.isa()}, {'one thread' if threads == 1 else f'up to {threads} threads'}."


@cache
def _warn_uncompiled() -> None:
    """Say once that the compiled engine is missing."""
    warnings.warn(UNCOMPILED, RuntimeWarning, stacklevel=4)
