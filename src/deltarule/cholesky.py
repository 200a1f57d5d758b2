"""Positive definite systems of equations, in any array library.

A = L L' with L lower triangular, by LAPACK for NumPy's arrays and by the library's own linear algebra for others. What
is factored is A with numbers added to its diagonal; a matrix that is not positive definite then gives None.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule.special import Array
from deltarule.vectors import namespace

RIDGE = 4.0
"""What `raised_factor` adds, as a multiple of the diagonal, the matrix's size and the rounding of one operation."""
RAISE = 100.0
"""By how much more is added where that is not enough."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Have BLAS use one thread.

    Waiting for a second one costs more than it saves with the small matrices of most networks, up to milliseconds
    where other processes want the processors; and results then do not depend on how many processors there are.
    """
    _HELD.enter()
    try:
        yield
    finally:
        _HELD.leave()


class _Held:
    """BLAS on one thread, for the whole process, as long as anybody in any thread wants it."""

    def __init__(self) -> None:
        self.lock, self.wanted = Lock(), 0
        self.before: list[tuple[Any, int]] = []

    def begin_in_child(self) -> None:
        """Forget a lock that another thread may have held when this process was forked."""
        self.lock = Lock()

    def enter(self) -> None:
        with self.lock:
            self.wanted += 1
            if self.wanted == 1:
                self.before = [(library, n) for library in _blas() if (n := library.get_num_threads()) > 1]
                self._set([(library, 1) for library, _ in self.before])

    def leave(self) -> None:
        with self.lock:
            self.wanted -= 1
            if self.wanted == 0:
                self._set(self.before)

    def include(self) -> None:
        """Hold what has been loaded since too."""
        with self.lock:
            if self.wanted:
                held = {library.filepath for library, _ in self.before}
                loaded = [library for library in _blas() if library.filepath not in held]
                more = [(library, n) for library in loaded if (n := library.get_num_threads()) > 1]
                self.before += more
                self._set([(library, 1) for library, _ in more])

    def _set(self, libraries: list[tuple[Any, int]]) -> None:
        """Set the threads, whichever thread has set them last: threadpoolctl heeds but one unless told to forget it."""
        for library, n in libraries:
            forget = getattr(library, "clear_controlling_thread", None)
            if forget is not None:
                forget(force=True)
            library.set_num_threads(n)
            if forget is not None:
                forget(force=True)


_HELD = _Held()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HELD.begin_in_child)


def shifted_solve(A: Array, shift: Array | float, B: Array) -> Array | None:
    """Return the solution of (A + diag(shift)) x = B for a vector B, or None where that is not positive definite."""
    if isinstance(A, np.ndarray):
        _, x, failed = _lapack("posv", A.dtype.char)(shifted(A, shift).T, B, lower=1, overwrite_a=1)
        return None if failed else x
    L = factor(A, shift)
    return None if L is None else solve(L, B[:, None])[:, 0]


def factor(A: Array, shift: Array | float = 0.0) -> Array | None:
    """Return L, lower triangular with L L' = A + diag(shift), or None where that is not positive definite."""
    if isinstance(A, np.ndarray):
        L, failed = _lapack("potrf", A.dtype.char)(shifted(A, shift).T, lower=1, overwrite_a=1, clean=1)
        return None if failed else L
    xp = array_namespace(A)
    try:
        L = xp.linalg.cholesky(shifted(A, shift))
    except (ValueError, RuntimeError):  # NumPy's LinAlgError and its likes, each library its own
        return None
    return L if bool(xp.all(xp.isfinite(L))) else None


def raised_factor(A: Array, shift: Array | float = 0.0) -> Array:
    """Return L as `factor` does, the diagonal raised by rounding, or by as little as it takes; NaN if nothing helps."""
    eps = float(namespace(A).finfo(A.dtype).eps)
    diagonal = A.diagonal() + shift
    lift = diagonal + eps * float(diagonal.max())
    share = RIDGE * A.shape[0] * eps
    while share < 1:
        L = factor(A, shift + share * lift)
        if L is not None:
            return L
        share *= RAISE
    return A + float("nan")


def inverse(L: Array) -> Array:
    """Return L⁻¹, lower triangular: the inverse of L L' is its transpose times it."""
    if isinstance(L, np.ndarray):
        return _lapack("trtri", L.dtype.char)(L, lower=1)[0]
    return forward(L, array_namespace(L).eye(L.shape[0], dtype=L.dtype))


def shifted(A: Array, shift: Array | float) -> Array:
    """Return a new matrix A + diag(shift)."""
    if isinstance(A, np.ndarray):
        made = np.array(A, order="C")
        made.reshape(-1)[:: len(A) + 1] += shift
        return made
    xp = array_namespace(A)
    made, i = xp.asarray(A, copy=True), xp.arange(A.shape[0])
    made[i, i] += shift
    return made


def solve(L: Array, B: Array) -> Array:
    """Return the solution (p, k) of L L' X = B, for B of shape (p, k)."""
    if isinstance(L, np.ndarray):
        return _lapack("potrs", L.dtype.char)(L, B, lower=1)[0]
    return array_namespace(L).linalg.solve(L.T, forward(L, B))


def forward(L: Array, B: Array) -> Array:
    """Return the solution (p, k) of L X = B, for B of shape (p, k)."""
    if isinstance(L, np.ndarray):
        return _lapack("trtrs", L.dtype.char)(L, B, lower=1)[0]
    return array_namespace(L).linalg.solve(L, B)


def _blas() -> list[Any]:
    """Return the handles on the thread pools of all BLAS libraries, SciPy's own among them once it is there."""
    return _libraries("scipy.linalg.lapack" in sys.modules)


@cache
def _libraries(with_scipy: bool) -> list[Any]:
    from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


@cache
def _lapack(name: str, number: str) -> Any:
    """Return a function of LAPACK for ``d`` float64 or ``f`` float32; SciPy loads when it is first needed."""
    from scipy.linalg import lapack  # type: ignore[import-untyped]

    _HELD.include()
    return getattr(lapack, {"d": "d", "f": "s"}[number] + name)
