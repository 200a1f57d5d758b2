"""Rows to training, validation and test parts: by chance, in order, or as a column says.

Chance is the order of the raw numbers of a PCG64 generator. NumPy promises that these stay the same in every
version, which it does not for its shuffles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError, TableError, shown, unknown

Rows = NDArray[np.intp]

MIN_ROWS = 10
"""With fewer rows, the validation part would be a single row, which says nothing."""

HOW = ("random", "order", "column")

_PARTS = {
    "train": 0,
    "training": 0,
    "valid": 1,
    "val": 1,
    "validation": 1,
    "test": 2,
    "testing": 2,
}


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices of three parts, each sorted; together they are all rows, none twice."""

    train: Rows
    validation: Rows
    test: Rows


def split(
    n_rows: int,
    *,
    labels: NDArray[Any] | Sequence[Any] | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15),
    how: str = "random",
    column: NDArray[Any] | Sequence[Any] | None = None,
) -> Split:
    """Return which rows train, which decide when to stop, and which measure the end.

    Parameters
    ----------
    n_rows : int
        How many rows there are, at least `MIN_ROWS`.
    labels : array-like, optional
        Shape (n_rows,). A random split then has each class in about the same proportion in every part; a
        class of one or two rows goes to training, a larger one into every part.
    seed : int
        The same seed gives the same split, on every machine and with every version of NumPy.
    fractions : tuple of float
        Of training, validation and test rows, summing to 1. Only the test part may be 0.
    how : {"random", "order", "column"}
        By chance; the first rows train and the last test; or as `column` says.
    column : array-like, optional
        Shape (n_rows,), for how="column": train, validation (valid, val) or test, in any case.

    Returns
    -------
    Split
        With at least one training and one validation row.

    Raises
    ------
    TableError
        Too few rows, or a part that may not be empty is.
    SettingError
        `how`, `seed` or `fractions` cannot be used.
    """
    if how not in HOW:
        raise unknown("split", how, HOW)
    if n_rows < MIN_ROWS:
        raise TableError(
            f"{n_rows} rows with a target are too few to split into training, validation and test rows; at "
            f"least {MIN_ROWS} are needed. Give more rows."
        )
    if how == "column":
        return _by_column(column, n_rows)
    _refuse_fractions(fractions)
    if how == "order":
        return _cut(np.arange(n_rows), fractions)
    if seed < 0:
        raise SettingError(f"The seed is {seed}; it must be 0 or more.")
    order = np.argsort(np.random.PCG64(seed).random_raw(n_rows), kind="stable")
    return _cut(order, fractions) if labels is None else _stratified(order, labels, fractions)


def _cut(order: Rows, fractions: tuple[float, float, float]) -> Split:
    """Return a split of rows taken in this order."""
    _, n_validation, n_test = _sizes(len(order), fractions)
    n_train = len(order) - n_validation - n_test
    parts = np.split(order, [n_train, n_train + n_validation])
    return Split(*(np.sort(part) for part in parts))


def _sizes(n: int, fractions: tuple[float, float, float]) -> list[int]:
    """Return how many of n >= 3 rows go to each part: none of a fraction of 0, otherwise at least one."""
    sizes = [max(1, round(fraction * n)) if fraction else 0 for fraction in fractions]
    while sum(sizes) > n:
        sizes[int(np.argmax(sizes))] -= 1
    sizes[0] += n - sum(sizes)
    return sizes


def _stratified(order: Rows, labels: Any, fractions: tuple[float, float, float]) -> Split:
    """Return a split with each class in every part, in about the same proportion."""
    classes: dict[Any, list[int]] = {}
    values = np.asarray(labels).tolist()
    for row in order.tolist():
        classes.setdefault(values[row], []).append(row)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for rows in classes.values():
        n_train, n_validation, _ = _sizes(len(rows), fractions) if len(rows) > 2 else (len(rows), 0, 0)
        parts[0].extend(rows[:n_train])
        parts[1].extend(rows[n_train : n_train + n_validation])
        parts[2].extend(rows[n_train + n_validation :])
    if not parts[1]:
        raise TableError(
            "No class has three rows, so none can be trained and validated. Give more rows, or group some."
        )
    return Split(*(np.array(sorted(part), dtype=np.intp) for part in parts))


def _by_column(column: NDArray[Any] | Sequence[Any] | None, n_rows: int) -> Split:
    """Return the split that a column spells out."""
    if column is None:
        raise SettingError("A split by column needs the column: name one that holds train, validation or test.")
    words = np.asarray(column, dtype=object)
    if words.shape != (n_rows,):
        raise SettingError(f"The column of the split has shape {words.shape}; one value for each of {n_rows} rows.")
    codes = np.array([_PARTS.get(str(word).strip().casefold(), -1) for word in words])
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise TableError(
            f"The column of the split holds {words[row]!r} in row {row + 1}; train, validation (valid, val) "
            "and test are accepted."
        )
    for code, part in enumerate(("training", "validation")):
        if not (codes == code).any():
            raise TableError(f"The column of the split names no {part} row: mark some.")
    return Split(*(np.flatnonzero(codes == code) for code in range(3)))


def _refuse_fractions(fractions: tuple[float, float, float]) -> None:
    given = tuple(fractions) if isinstance(fractions, Iterable) else (fractions,)
    sound = len(given) == 3 and all(isinstance(f, Real) and 0 <= f <= 1 for f in given) and abs(sum(given) - 1) < 1e-6
    if not sound or given[0] == 0 or given[1] == 0:
        raise SettingError(
            f"The fractions of training, validation and test rows are {shown(given)}; three numbers that sum to 1 "
            "are accepted, of which only the last may be 0, such as (0.7, 0.15, 0.15)."
        )
