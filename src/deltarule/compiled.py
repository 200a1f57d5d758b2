"""The compiled module, and what methods compute with it between two passes over the rows.

Those functions (native/step_table.hpp) return None where there are no kernels or the arrays are not theirs; the method
then does it itself.
"""

import os
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from deltarule.errors import SettingError

ENGINE = "DELTARULE_ENGINE"
"""The environment variable that asks for the array engine, for comparison, with ``array``."""
ISA = "DELTARULE_ISA"
"""The environment variable that names the instruction set of the kernels."""


NUMBERS = (np.dtype("=f8"), np.dtype("=f4"))
"""What the kernels compute with."""


@cache
def kernels() -> Any:
    """Return the compiled module, or None where it is not wanted or was installed without a compiler.

    Raises
    ------
    SettingError
        If the environment variable DELTARULE_ENGINE holds anything but ``native`` or ``array``, or DELTARULE_ISA an
        instruction set that this processor lacks.
    """
    if not wanted():
        return None
    try:
        module = import_module("deltarule.engines._native")
    except ImportError:
        return None
    there = module.isas()
    if (given := os.environ.get(ISA)) and given not in there:
        raise SettingError(f"The environment variable {ISA} was {given!r}; this processor has {', '.join(there)}.")
    return module


def wanted() -> bool:
    """Return whether DELTARULE_ENGINE leaves the choice to deltarule, or asks for the native engine."""
    given = os.environ.get(ENGINE, "native")
    if given not in ("native", "array"):
        raise SettingError(f"The environment variable {ENGINE} was {given!r}; it is native or array.")
    return given == "native"


def rprop(
    settings: tuple[float, float, float, float], forgets: bool, returns: bool, grad: Any, *place: Any
) -> tuple[Any, ...] | None:
    """Return w, Δ, signs and moves after a step of Rprop from `place`, which are these before it, (p,) each.

    `settings` are η⁺, η⁻, Δmin and Δmax; `forgets` and `returns` say what becomes of a weight whose slope has turned.
    """
    w = place[0]
    compiled = _kernels_for(w)
    if compiled is None:
        return None
    moved = np.empty_like(w), np.empty_like(w), np.empty_like(w), np.empty_like(w)
    compiled.rprop(settings, forgets, returns, *_as_theirs(w, grad, *place), *moved)
    return moved


def lbfgs_direction(A: Any, Y: Any, n: int, grad: Any, preconditioner: Any, gamma: float) -> Any:
    """Return −H g (p,) from the last n rows of A and Y (memory, p)."""
    compiled = _kernels_for(A)
    if compiled is None:
        return None
    out = np.empty(A.shape[1], A.dtype)
    compiled.lbfgs_direction(*_as_theirs(A, A, Y), n, *_as_theirs(A, grad, preconditioner), gamma, out)
    return out


def lbfgs_pair(A: Any, Y: Any, n: int, step: Any, change: Any) -> tuple[Any, Any] | None:
    """Return A and Y (memory, p) with a new pair in their last row, from those whose last n rows count."""
    compiled = _kernels_for(A)
    if compiled is None:
        return None
    made = np.empty(A.shape, A.dtype), np.empty(A.shape, A.dtype)
    compiled.lbfgs_pair(*_as_theirs(A, A, Y), n, *_as_theirs(A, step, change), *made)
    return made


def _kernels_for(array: Any) -> Any:
    """Return the kernels where they are there and know the array's numbers."""
    return kernels() if type(array) is np.ndarray and array.dtype in NUMBERS else None


def _as_theirs(like: Any, *arrays: Any) -> list[Any]:
    """Return arrays as the kernels read them, copied only where they are not contiguous or of other numbers."""
    return [np.ascontiguousarray(array, like.dtype) for array in arrays]
