"""Several rows of a stream at once: arrays, data frames, lists of dicts."""

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError
from deltarule.estimators.stream_features import Row

Floats = NDArray[np.float64]


class Many(NamedTuple):
    """Several rows, checked: as a matrix with a name for each column, or one by one."""

    names: list[Hashable]
    matrix: Floats | None
    rows: list[Row]
    array: bool = False

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.rows) if self.matrix is None else len(self.matrix)

    def row(self, i: int) -> Row:
        """Return one of them."""
        if self.matrix is None:
            return self.rows[i]
        return Row(dict(zip(self.names, self.matrix[i].tolist(), strict=True)), {}, self.array)


def as_rows(X: Any) -> tuple[list[Hashable], Floats | None, list[Any]]:
    """Return names and matrix, or where there are texts or missing cells, rows."""
    if isinstance(X, list | tuple) and all(isinstance(row, Mapping) for row in X):
        return [], None, list(X)
    if isinstance(X, np.ndarray | list | tuple):
        matrix = np.asarray(X)
        if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
            raise InputError(
                f"X is an array of {matrix.dtype} of shape {matrix.shape}; give numbers of shape (rows, features), a "
                "data frame, or a list of dicts."
            )
        return list(range(matrix.shape[1])), matrix.astype(np.float64), []
    from deltarule.tables import read  # DuckDB and narwhals are slow to load

    table = read(X)
    columns = table.columns.values()
    if not any(column.kind == "text" or column.missing.any() for column in columns):
        return list(table.columns), np.column_stack([column.values for column in columns]), []
    cells = [np.where(column.missing, np.array(None), column.values.astype(object)) for column in columns]
    return [], None, [dict(zip(table.columns, row, strict=True)) for row in zip(*cells, strict=True)]


def listed(y: Any, n: int) -> list[Any]:
    """Return n targets as a list.

    Raises
    ------
    InputError
        If there are more or fewer, or they have more than one dimension.
    """
    found = y if isinstance(y, list) else np.asarray(y)
    if (isinstance(found, np.ndarray) and found.ndim != 1) or len(found) != n:
        raise InputError(f"y has shape {np.shape(y)}; one target for each of the {n:,} rows is needed.")
    return found if isinstance(found, list) else found.tolist()
