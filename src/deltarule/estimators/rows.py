"""Rows as an estimator trains on them: dense, weighted, scaled, some of them set aside for validation."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse  # type: ignore[import-untyped]
from sklearn.model_selection import train_test_split  # type: ignore[import-untyped]
from sklearn.utils.validation import check_array  # type: ignore[import-untyped]

from deltarule.errors import InputError

Numbers = NDArray[Any]
Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Indices of the rows to train on and of those to validate on."""

BLOCK_NUMBERS = 2**22
"""About how many numbers of a sparse matrix are made dense at once for predictions: 32 MiB in float64."""
FEWEST = 2
"""Validation rows at least: of a single one there is no R²."""


class Part(NamedTuple):
    """Some rows: inputs (n, n_in), targets (n, n_out), and weights (n,) or None."""

    X: Numbers
    T: Numbers
    s: Numbers | None

    def take(self, rows: NDArray[np.intp]) -> "Part":
        """Return some of the rows."""
        return Part(self.X[rows], self.T[rows], None if self.s is None else self.s[rows])


class Scale(NamedTuple):
    """The map x -> (x - centre) / spread of columns, each array of shape (columns,)."""

    centre: Numbers
    spread: Numbers

    def apply(self, A: Numbers) -> Numbers:
        """Return columns in scaled units."""
        return ((A - self.centre) / self.spread).astype(A.dtype, copy=False)

    def undo(self, A: Numbers) -> Numbers:
        """Return columns in their own units."""
        return (A * self.spread + self.centre).astype(A.dtype, copy=False)


def fit_scale(A: Numbers, s: Numbers | None, how: str) -> Scale:
    """Return the scale of weighted rows; a column that does not vary is only shifted."""
    A = A.astype(np.float64) if s is None else A[s > 0].astype(np.float64)
    if how == "minmax":
        low, high = A.min(axis=0), A.max(axis=0)
        centre, spread = (low + high) / 2, (high - low) / 2
    else:
        weights = None if s is None else s[s > 0]
        centre = np.average(A, axis=0, weights=weights)
        spread = np.sqrt(np.average((A - centre) ** 2, axis=0, weights=weights))
    return Scale(centre, np.where(spread > 0, spread, 1.0))


def dense(X: Any) -> Numbers:
    """Return inputs as a contiguous array; a sparse matrix is made dense as a whole."""
    made: Numbers = X.toarray(order="C") if sparse.issparse(X) else np.ascontiguousarray(X)
    return made


def blocks(X: Any) -> Any:
    """Yield inputs as dense arrays: of a sparse matrix some rows at a time."""
    if not sparse.issparse(X):
        yield X
        return
    X = X.tocsr()
    size = max(1, BLOCK_NUMBERS // X.shape[1])
    for start in range(0, X.shape[0], size):
        yield dense(X[start : start + size])


def checked_weights(sample_weight: Any, n_rows: int, number: Any) -> Numbers | None:
    """Return the weights of rows as an array, None where there are none.

    Raises
    ------
    ValueError
        If they do not fit, are negative or not finite, or are all zero.
    """
    if sample_weight is None:
        return None
    if np.isscalar(sample_weight):
        sample_weight = np.full(n_rows, sample_weight)
    s = check_array(sample_weight, ensure_2d=False, dtype=number, input_name="sample_weight")
    if s.shape != (n_rows,):
        raise InputError(f"sample_weight has shape {s.shape}; a 1D array of {n_rows} numbers is needed.")
    if np.any(s < 0) or not np.any(s > 0):
        raise InputError("Sample weights must not be negative, and not all of them zero.")
    return s  # type: ignore[no-any-return]


def set_aside(n_rows: int, labels: Any, fraction: float, random: Any) -> Split:
    """Return the training and validation rows that scikit-learn would choose with the same RandomState.

    Raises
    ------
    ValueError
        If they are too few, or a class is too small to be in both parts.
    """
    rows, held_out = train_test_split(np.arange(n_rows), random_state=random, test_size=fraction, stratify=labels)
    if len(held_out) < FEWEST:
        raise InputError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your dataset: "
            f"{fraction:g} of {n_rows} rows sets {len(held_out)} aside, and {FEWEST} are needed."
        )
    return rows, held_out
