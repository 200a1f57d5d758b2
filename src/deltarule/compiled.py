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


def rprop(settings: tuple[float, float, float, float], forgets: bool, returns: bool, grad: Any, *place: Any) -> Any:
    """Return w, Δ, signs and moves (4, p) after a step of Rprop from `place`, which are these before it, (p,) each.

    `settings` are η⁺, η⁻, Δmin and Δmax; `forgets` and `returns` say what becomes of a weight whose slope has turned.
    """
    w = place[0]
    compiled = _kernels_for(w)
    if compiled is None:
        return None
    made = np.empty((4, w.shape[0]), w.dtype)
    _call(compiled.rprop, (settings, forgets, returns, grad, *place), made)
    return made


def lbfgs_direction(A: Any, Y: Any, n: int, grad: Any, preconditioner: Any, gamma: float) -> Any:
    """Return −H g (p,) from the last n rows of A and Y (memory, p)."""
    compiled = _kernels_for(A)
    if compiled is None:
        return None
    out = np.empty(A.shape[1], A.dtype)
    _call(compiled.lbfgs_direction, (A, Y, n, grad, preconditioner, gamma), out)
    return out


def lbfgs_pair(
    A: Any, Y: Any, n: int, direction: Any, grad: Any, new_grad: Any, preconditioner: Any, step: float, scale: float
) -> tuple[Any, Any, float, float] | None:
    """Return A and Y (memory, p) with a new pair, and the pair's squares s · s / P and y · P y.

    The pair is that of a step along a direction, both times `scale`; of A and Y the last n rows count.
    """
    compiled = _kernels_for(A)
    if compiled is None:
        return None
    new_A, new_Y = np.empty(A.shape, A.dtype), np.empty(A.shape, A.dtype)
    given = (A, Y, n, direction, grad, new_grad, preconditioner, step, scale)
    ss, yy = _call(compiled.lbfgs_pair, given, new_A, new_Y)
    return new_A, new_Y, ss, yy


def _kernels_for(array: Any) -> Any:
    """Return the kernels where they are there and know the array's numbers."""
    return kernels() if type(array) is np.ndarray and array.dtype in NUMBERS else None


def _call(kernel: Any, given: tuple[Any, ...], *out: Any) -> Any:
    """Call a kernel; arrays that are not as it reads them, in pieces or of other numbers, are copied."""
    try:
        return kernel(*given, *out)
    except TypeError:
        return kernel(*(_as_theirs(one, out[0].dtype) for one in given), *out)


def _as_theirs(one: Any, dtype: Any) -> Any:
    return one if isinstance(one, bool | int | float | tuple) else np.ascontiguousarray(one, dtype)
