"""From rows of a stream to a network's inputs: features to columns, columns to standardised numbers."""

from bisect import bisect
from collections.abc import Callable, Hashable, Iterable
from math import inf
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError, SettingError
from deltarule.estimators.stream_features import Features, Row
from deltarule.estimators.stream_many import Many, as_rows
from deltarule.estimators.stream_scaling import LARGEST, RunningScale

Floats = NDArray[np.float64]


class Inputs:
    """What is known of the features, and how they are scaled.

    Parameters
    ----------
    standardize : bool
        Whether numbers are standardised.
    horizon : float
        How many rows their means look back at most.
    """

    def __init__(self, standardize: bool, horizon: float) -> None:
        self.features = Features()
        self.scale = RunningScale(horizon) if standardize else None
        self._place(0)

    @property
    def n_inputs(self) -> int:
        """How many inputs the network has to have."""
        return self.features.n_inputs

    def read(self, row: Any) -> Row | None:
        """Return what a row says; None if it is kept for the next `learn` or `look`, having nothing new.

        Raises
        ------
        InputError
            If it cannot be used; nothing has changed then.
        """
        return None if self.features.quick(row, self._x) else self.features.read(row)

    def learn(self, row: Row | None) -> Floats:
        """Take a row in and return it as inputs (1, n_in), in an array that is used again.

        Raises
        ------
        InputError
            If it has more new features than there may be; nothing has changed then.
        """
        seen = None
        if row is not None:
            if self.features.is_new(row) or self.features.arrays is None:
                self._admit(row)
            seen = self.features.write(row, self._x, self._missing)
        if self.scale is not None:
            self.scale.learn(self._x, self._z, seen)
        return self._Z

    def look(self, row: Row | None) -> Floats:
        """Return a row as inputs (1, n_in) without learning from it, in an array that is used again."""
        if row is not None:
            self.features.write(row, self._x, self._missing)
        if self.scale is not None:
            self.scale.apply(self._x, self._z)
        return self._Z

    def read_many(self, X: Any) -> Many:
        """Return several rows, checked: an array (n, n_in), a frame, or a list of dicts.

        Raises
        ------
        InputError
            If they cannot be used; nothing has changed then.
        """
        names, matrix, rows = as_rows(X)
        if matrix is None:
            kinds: dict[Hashable, bool | None] = {}
            return Many([], None, [self.features.read(row, kinds) for row in rows])
        bad = ~(np.abs(matrix) < LARGEST)
        if bad.any():
            i, j = divmod(int(np.argmax(bad)), matrix.shape[1])
            raise InputError(
                f"X[{i}, {names[j]!r}] is {matrix[i, j]:g}; give finite numbers between ±{LARGEST:g}, or dicts without "
                "the feature where it is missing."
            )
        array = isinstance(X, np.ndarray | list | tuple)
        self.features.read(np.zeros(len(names)) if array else dict.fromkeys(names, 0.0))  # are they as those before?
        return Many(names, matrix, [], array)

    def learn_many(
        self,
        many: Many,
        news: Iterable[int],
        learn_row: Callable[[Row, int], None],
        learn_block: Callable[[Floats, int, int], None],
    ) -> None:
        """Take rows in and hand them on: in blocks as far as nothing appears, is missing or is a text, or by row.

        Parameters
        ----------
        many : Many
            The rows.
        news : iterable of int
            Rows that bring something new other than features.
        learn_row : callable
            ``learn_row(row, i)`` learns row i, which it has to take in.
        learn_block : callable
            ``learn_block(X, start, stop)`` learns the rows start to stop as inputs X.
        """
        start, borders = 0, sorted({*news, many.n_rows})
        while start < many.n_rows:
            stop = start if start in borders else borders[bisect(borders, start)]
            X = self._in_order(many, start, stop) if stop > start else None
            if X is None:
                learn_row(many.row(start), start)
                start += 1
            else:
                learn_block(self._learn_block(X), start, stop)
                start = stop

    def _learn_block(self, X: Floats) -> Floats:
        """Take rows in and return them standardised, each by all rows up to it."""
        if self.scale is None:
            return X
        Z = np.empty_like(X)
        for x, z in zip(X, Z, strict=True):
            self.scale.learn(x, z)
        return Z

    def look_many(self, many: Many) -> Floats:
        """Return rows as inputs (n, n_in) without learning from them."""
        X = self._in_order(many, 0, many.n_rows)
        if X is None:
            X = np.empty((many.n_rows, self.n_inputs))
            for i, x in enumerate(X):
                self.features.write(many.row(i), x, self._missing)
        if self.scale is None:
            return X
        Z = np.empty_like(X)
        self.scale.apply(X, Z)
        return Z

    def _in_order(self, many: Many, start: int, stop: int) -> Floats | None:
        """Return rows of a matrix with their columns as the network takes them; None if there are others or texts."""
        places = self.features.numbers
        if many.matrix is None or self.features.texts or places.keys() != set(many.names):
            return None
        X = np.empty((stop - start, self.n_inputs))
        X[:, [places[name] for name in many.names]] = many.matrix[start:stop]
        return X

    @property
    def _missing(self) -> Floats:
        """What stands for missing numbers (n_inputs,): the means so far, which become 0, or 0 if nothing is scaled."""
        return np.zeros(self.n_inputs) if self.scale is None else self.scale.mean

    def _admit(self, row: Row) -> None:
        values, moves = self.features.admit(row)
        if self.scale is not None and len(values):
            self.scale.grow(values, moves)
        self._place(self.n_inputs)

    def _place(self, n: int) -> None:
        """Make room for a row of n inputs; without scaling it is written where the network reads it."""
        self._Z = np.zeros((1, n))
        self._z = self._Z[0]
        self._x = self._z if self.scale is None else np.empty(n)

    def __getstate__(self) -> dict[str, Any]:
        return {"features": self.features, "scale": self.scale}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._place(self.n_inputs)


def checked_horizon(horizon: Any) -> float:
    """Return how many rows to look back.

    Raises
    ------
    SettingError
        If it is neither None nor a number from 2 up.
    """
    if horizon is None:
        return inf
    if not isinstance(horizon, Real) or not float(horizon) >= 2:
        raise SettingError(f"horizon was {horizon!r}; it is a number of rows from 2 up, or None for all rows.")
    return float(horizon)
