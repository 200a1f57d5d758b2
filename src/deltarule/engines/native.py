"""The native engine: argument packing and threads for the compiled kernels, nothing numerical.

The kernels know activations, losses and rules by number. A formula that is not among them, such as a user's own
activation, goes to the array engine. Results do not depend on the number of threads.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import ACTIVATIONS
from deltarule.compiled import kernels
from deltarule.engines import Rows, Visit
from deltarule.errors import SettingError
from deltarule.losses import LOSSES, Loss, need_curvature
from deltarule.network import Network
from deltarule.update import Rule, Update

THREADS = "DELTARULE_THREADS"
"""The environment variable that limits the threads of a call."""
OPENMP_THREADS = "OMP_NUM_THREADS"
"""The one that says so to most libraries; joblib sets it in the processes it starts, so that they share the machine."""

Numbers = NDArray[Any]


def _codes(names: str) -> dict[str, int]:
    """Return what the kernels call these formulas: the order of native/activations.hpp, losses.hpp and kernels.hpp."""
    return {name: code for code, name in enumerate(names.split())}


_ACTIVATION_CODES = _codes(
    "identity logistic tanh softsign hard_tanh relu leaky_relu elu selu softplus gelu silu mish sine gaussian "
    "exponential softmax"
)
_LOSS_CODES = _codes("squared_error absolute_error huber log_cosh quantile binary_cross_entropy cross_entropy poisson")
_RULE_CODES = _codes("plain momentum nesterov rmsprop adam")


_LIMIT: ContextVar[int] = ContextVar("threads of a call in this thread")


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Let calls of this Python thread use at most so many threads, where several of them train side by side."""
    before = _LIMIT.set(threads)
    try:
        yield
    finally:
        _LIMIT.reset(before)


def n_threads() -> int:
    """Return how many threads a call may use.

    That is what DELTARULE_THREADS says, else OMP_NUM_THREADS, else the processors of this process, and inside
    `at_most` no more than that.

    Raises
    ------
    SettingError
        If DELTARULE_THREADS does not hold a whole number from 1 up.
    """
    there = _threads_of_process()
    return min(there, _LIMIT.get(there))


@cache
def _threads_of_process() -> int:
    given = os.environ.get(THREADS)
    if given is None:
        given, _, _ = os.environ.get(OPENMP_THREADS, "").partition(",")  # a list is for nested regions
        if given.isdecimal() and int(given) > 0:
            return int(given)
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not (given.isdecimal() and int(given) > 0):
        raise SettingError(f"The environment variable {THREADS} was {given!r}; it is a whole number from 1 up.")
    return int(given)


def serves(network: Network, loss: Loss) -> bool:
    """Return whether the kernels are there and know all formulas of a network and a loss."""
    built_in = all(ACTIVATIONS.get(row.name) is row and row.name in _ACTIVATION_CODES for row in network.activations)
    known = loss.name in _LOSS_CODES and replace(LOSSES[loss.name], parameter=loss.parameter) == loss
    return built_in and known and kernels() is not None


@dataclass(frozen=True)
class NativeEngine:
    """Sums over rows by compiled kernels; see `deltarule.engines.Engine`.

    Parameters
    ----------
    network : Network
        Sizes and built-in activations.
    loss : Loss
        A built-in loss that accepts the network's output activation.
    """

    network: Network
    loss: Loss

    @cached_property
    def _formulas(self) -> tuple[Any, ...]:
        """What every kernel is told first: sizes, activations, loss, its parameter, whether it fuses."""
        codes = [_ACTIVATION_CODES[row.name] for row in self.network.activations]
        parameter = 0.0 if self.loss.parameter is None else self.loss.parameter
        fused = self.loss.fuses(self.network.activations[-1])
        return list(self.network.sizes), codes, _LOSS_CODES[self.loss.name], parameter, fused

    def _bound(self, rows: Rows) -> Any:
        """Return the kernels bound to the network and to rows; the last ones are kept, as a run calls with the same."""
        kept: tuple[Rows, Any] | None = self.__dict__.get("_kept")
        if kept is not None and kept[0] is rows:
            return kept[1]
        bound = kernels().bind(*self._formulas, *_packed(*rows))
        if all(array is None or array.flags.c_contiguous for array in rows):  # a copy would not follow its original
            self.__dict__["_kept"] = rows, bound
        return bound

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make it anew: what is bound to rows stays behind."""
        return NativeEngine, (self.network, self.loss)

    def value(self, w: Numbers, rows: Rows) -> float:
        """Return Σ s · loss."""
        return float(self._bound(rows).value(_contiguous(w), n_threads()))

    def value_grad(self, w: Numbers, rows: Rows) -> tuple[float, Numbers]:
        """Return Σ s · loss and its gradient (p,)."""
        grad = np.empty_like(w)
        return self._bound(rows).value_grad(_contiguous(w), grad, n_threads()), grad

    def gauss_newton(self, w: Numbers, rows: Rows) -> tuple[float, Numbers, Numbers]:
        """Return Σ s · loss, its gradient (p,), and Σ s · J' C J (p, p)."""
        need_curvature(self.loss)
        grad, H = np.empty_like(w), np.empty((w.size, w.size), dtype=w.dtype)
        total = self._bound(rows).gauss_newton(_contiguous(w), grad, H, n_threads())
        return total, grad, H

    def gauss_newton_product(self, w: Numbers, rows: Rows, v: Numbers) -> Numbers:
        """Return (Σ s · J' C J) v of shape (p,), without the matrix."""
        need_curvature(self.loss)
        product = np.empty_like(w)
        self._bound(rows).gauss_newton_product(_contiguous(w), _contiguous(v), product, n_threads())
        return product

    def residuals(self, w: Numbers, rows: Rows) -> tuple[Numbers, Numbers]:
        """Return r = √s (y − t), (n_out · n,) output by output, and its derivatives by w (n_out · n, p)."""
        r = np.empty(rows.X.shape[0] * self.network.n_out, dtype=w.dtype)
        J = np.empty((r.size, w.size), dtype=w.dtype)
        self._bound(rows).residuals(_contiguous(w), r, J, n_threads())
        return r, J

    def squared_derivatives(self, w: Numbers, X: Numbers, D: Numbers) -> Numbers:
        """Return Σ (Σ_j δ_j²) input² for each input of each layer and a 1 after them, (Σ (n_in + 1),)."""
        out = np.empty(sum(self.network.sizes[:-1]) + self.network.depth, dtype=w.dtype)
        kernels().bind(*self._formulas, *_packed(X, D, None)).squared_derivatives(_contiguous(w), out, n_threads())
        return out

    def begun(
        self, w: Numbers, rows: Rows, l2: float, n_rows: float, cost: float, shares: tuple[float, ...]
    ) -> tuple[Numbers, bool]:
        """Return w with the last layer to begin with, and whether that lowers the objective."""
        out, (sizes, codes, *_) = np.empty_like(w), self._formulas
        bound = kernels().last_layer(sizes[:-1], codes[:-1], *_packed(*rows))
        return out, bound.begun(_contiguous(w), l2, n_rows, cost, shares, out, n_threads())

    def last_layer(self, rows: Rows) -> "NativeLastLayer":
        """Return the least-squares problem of the last layer."""
        *_, width, n_out = self.network.sizes
        sizes, codes, *_ = self._formulas
        bound = kernels().last_layer(sizes[:-1], codes[:-1], *_packed(*rows))
        kind = NativeSecondLayer if bound.gives_gradients else NativeLastLayer
        return kind(bound, (width + 1, width + 1 + n_out), rows.X.dtype)

    def epoch(
        self, w: Numbers, memory: Numbers, count: int, rows: Rows, order: Numbers, update: Update
    ) -> tuple[Numbers, Numbers, int, float]:
        """Visit the rows in `order`, moving the weights after each row or mini-batch."""
        w, memory = np.array(w, order="C"), np.array(memory, order="C")
        count, total = kernels().epoch(
            *self._formulas, w, memory, count, *_packed(*rows), np.ascontiguousarray(order, dtype=np.int64),
            update.batch_size, *_rule(update.rule), update.rate, update.l2, n_threads(),
        )  # fmt: skip
        return w, memory, count, total

    def in_place(self, w: Numbers, memory: Numbers, rule: Rule, l2: float) -> Visit:
        """Return a function of contiguous X and T, of updates and rate, that moves w and memory in place."""
        epoch, (sizes, codes, loss, parameter, fused) = kernels().epoch, self._formulas
        code, hyper = _rule(rule)

        def visit(X: Numbers, T: Numbers, count: int, rate: float) -> tuple[int, float]:
            found: tuple[int, float] = epoch(
                sizes, codes, loss, parameter, fused, w, memory, count, X, T, None, None, 1, code, hyper, rate, l2
            )
            return found

        return visit

    def predict(self, w: Numbers, X: Numbers) -> Numbers:
        """Return the outputs (n, n_out)."""
        Y = np.empty((X.shape[0], self.network.n_out), dtype=w.dtype)
        kernels().predict(self._formulas[0], self._formulas[1], *_packed(w, X), Y, n_threads())
        return Y

    def working(self) -> AbstractContextManager[object]:
        """Return a context for a run: the kernels need none."""
        return nullcontext()


@dataclass(frozen=True)
class NativeLastLayer:
    """The least-squares problem of a last layer; see `deltarule.engines.LastLayer`."""

    bound: Any
    shape: tuple[int, int]
    dtype: Any

    def sums(self, a: Numbers) -> Numbers:
        """Return [Y 1]ᵀ S [Y 1 T]."""
        out = np.empty(self.shape, dtype=self.dtype)
        self.bound.sums(_contiguous(a), out, n_threads())
        return out

    def left(self, a: Numbers, B: Numbers) -> Numbers:
        """Return (T − [Y 1] Bᵀ)ᵀ S [Y 1]."""
        out = np.empty(B.shape, dtype=self.dtype)
        self.bound.left(_contiguous(a), _contiguous(B), out, n_threads())
        return out


class NativeSecondLayer(NativeLastLayer):
    """That of a last layer with one layer before it, whose gradient then takes no way forward."""

    def value_grad(self, a: Numbers, B: Numbers) -> tuple[float, Numbers]:
        """Return Σ s · loss and its gradient in a, after `sums` at the same a."""
        grad = np.empty_like(a)
        return self.bound.value_grad(_contiguous(a), _contiguous(B), grad, n_threads()), grad


def _rule(rule: Rule) -> tuple[int, tuple[float, ...]]:
    """Return a rule's number, and its settings filled up to the three that the kernels take."""
    settings = [float(getattr(rule, setting.name)) for setting in fields(rule)]  # type: ignore[arg-type]
    return _RULE_CODES[rule.name], tuple([*settings, 0.0, 0.0, 0.0][:3])


def _packed(*arrays: Numbers | None) -> list[Numbers | None]:
    """Return the arrays as the kernels read them, copied only where they are not contiguous already."""
    return [None if array is None else _contiguous(array) for array in arrays]


def _contiguous(array: Numbers) -> Numbers:
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)
