"""Arrays as callers give them: turned into numbers of one type and checked, once, at the door."""

from math import sqrt
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule.engines import Rows
from deltarule.errors import InputError
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.numeric import isfinite
from deltarule.special import Array

NEARLY = 1e-4
"""By how much the targets of a row may miss the sum 1, as shares written with a few digits do."""


def checked_inputs(network: Network, X: Array) -> Array:
    """Return inputs of shape (n, n_in) as float32 or float64; refuse other shapes and numbers that cannot be used."""
    X = _floating(X, "X")
    if X.ndim != 2 or X.shape[1] != network.n_in:
        raise InputError(f"X has shape {tuple(X.shape)}; this network needs (rows, {network.n_in}).")
    _check_numbers(array_namespace(X), X, "X")
    return X


def checked_rows(network: Network, loss: Loss, X: Array, T: Array, s: Array | None) -> Rows:
    """Return the rows in one library and number type, the sample weights scaled to mean 1; refuse what does not fit."""
    return _in_one_piece(_checked(network, loss, X, T, s))


def _checked(network: Network, loss: Loss, X: Array, T: Array, s: Array | None) -> Rows:
    X = checked_inputs(network, X)
    xp = array_namespace(X)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused as such
        T = xp.asarray(_floating(T, "T"), dtype=X.dtype)
    if T.ndim == 1:
        T = T[:, None]
    if T.ndim != 2 or tuple(T.shape) != (X.shape[0], network.n_out):
        raise InputError(f"T has shape {tuple(T.shape)}; {X.shape[0]} rows of {network.n_out} targets are needed.")
    if X.shape[0] == 0:
        raise InputError("There are no rows; give at least one.")
    _check_numbers(xp, T, "T")
    _check_targets(xp, loss, T)
    if loss.name == "cross_entropy":
        T = _summing_to_one(xp, T)
    if s is None:
        return Rows(X, T)
    with np.errstate(over="ignore"):
        s = xp.asarray(_floating(s, "sample_weight"), dtype=X.dtype)
    if tuple(s.shape) != (X.shape[0],):
        raise InputError(f"sample_weight has shape {tuple(s.shape)}; {(X.shape[0],)} is needed.")
    _check_numbers(xp, s[:, None], "sample_weight")
    total = float(xp.sum(s))
    if bool(xp.any(s < 0)) or total <= 0:
        raise InputError("sample_weight must hold no negative number, and at least one above 0.")
    return Rows(X, T, s * (X.shape[0] / total))


def _in_one_piece(rows: Rows) -> Rows:
    """Return the rows with NumPy's arrays contiguous, which kernels would otherwise copy in every pass."""
    return Rows(*(np.ascontiguousarray(A) if isinstance(A, np.ndarray) else A for A in rows))


def _floating(values: Any, name: str) -> Array:
    """Return values as an array of float32 or float64 in their own library, NumPy's for lists."""
    try:
        xp = array_namespace(values)
    except TypeError:
        try:
            values, xp = np.asarray(values, dtype=float), np
        except OverflowError:
            raise InputError(f"{name} holds a number too large for float64; remove or rescale it.") from None
        except (TypeError, ValueError):
            raise InputError(f"{name} is a {type(values).__name__} that does not turn into numbers.") from None
    if values.dtype in (xp.float32, xp.float64):
        return values
    try:
        return xp.asarray(values, dtype=xp.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} holds {values.dtype} values; numbers are needed.") from None


def _summing_to_one(xp: Any, T: Array) -> Array:
    """Return targets whose rows sum to 1 but for rounding: only then is t − y the slope of the cross-entropy."""
    sums = xp.sum(T, axis=1, keepdims=True)
    return T if bool(xp.all(sums == 1)) else T / sums


def largest(xp: Any, A: Array) -> float:
    """Return the number from which on squares overflow."""
    return sqrt(float(xp.finfo(A.dtype).max))


def _check_numbers(xp: Any, A: Array, name: str) -> None:
    """Refuse what is not finite or overflows when squared, naming the first place."""
    fine = xp.abs(A) < largest(xp, A)
    if A.shape[0] and not bool(xp.all(fine)):
        i = int(xp.argmax(xp.astype(xp.reshape(~fine, (-1,)), xp.int8)))
        row, column = divmod(i, A.shape[1])
        value = float(A[row, column])
        what = "too large to square" if isfinite(value) else "not a finite number"
        place = f"{row}" if name == "sample_weight" else f"{row}, {column}"
        raise InputError(f"{name}[{place}] is {value:g}, {what}; remove or rescale it.")


def _check_targets(xp: Any, loss: Loss, T: Array) -> None:
    low, high = loss.targets
    smallest, largest = float(xp.min(T)), float(xp.max(T))
    if not low <= smallest <= largest <= high:
        raise InputError(
            f"The loss {loss} accepts targets from {low:g} to {high:g}; T goes from {smallest:g} to {largest:g}."
        )
    if loss.name == "cross_entropy" and bool(xp.any(xp.abs(xp.sum(T, axis=1) - 1) > NEARLY)):
        raise InputError("The loss cross_entropy needs targets that sum to 1 in every row, one column a class.")
