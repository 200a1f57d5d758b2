"""Running means and standard deviations of numbers that come row by row: one pass, no cancellation, no overflow.

A row x that counts for the share a = 1 / rows so far, itself included:

    d = x − mean        mean ← mean + a d        std ← √(1 − a) · √(std² + a d²)

and the row itself, standardised, is z = (x − mean) / std = √(1 − a) d / √(std² + a d²). (Welford 1962 and West 1979,
for the standard deviation instead of its square.) A horizon of m rows holds a at 1/m from row m on, so that older
rows are forgotten exponentially.
"""

from math import hypot, inf, sqrt
from typing import Any

import numpy as np
from numpy import add, divide, maximum, multiply, subtract, vdot
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST = 1e150
"""A number beyond this cannot be squared and summed; `deltarule.tables.columns` draws the same line."""
SMALLEST = 1e-150
"""The standard deviation of what has not varied yet: small enough to vanish beside any other, large enough to divide
a number up to LARGEST by."""
FAR = 10.0
"""How many standard deviations off an input may lie at most: one beyond counts as there. After a million rows of 0, a
first 1 lies 1,000 off, and a step in proportion to its square would wreck the weights."""


class RunningScale:
    """Means and standard deviations of a list of columns to which columns can be added.

    Parameters
    ----------
    horizon : float
        How many rows the means look back at most; infinite for all of them.
    """

    def __init__(self, horizon: float = inf) -> None:
        self.horizon = horizon
        self.mean: Floats = np.empty(0)
        self.std: Floats = np.empty(0)
        self._count: Floats = np.empty(0)  # rows that each column has seen
        self._moves: Floats = np.empty(0)  # 1 for a column that is standardised, 0 for one that stays as it is
        self._alike: int | None = 0  # what _count would say, while all columns have seen the same rows
        self._work: tuple[Floats, ...] = ()  # room for a, √a, √(1 − a) and d of each column

    def grow(self, values: Floats, moves: Floats) -> None:
        """Add columns (k,): their first values, and 1 or 0 for whether they are standardised or stay as they are."""
        if self._alike is not None:
            self._count = np.full(len(self.mean), float(self._alike))
        still = moves == 0
        self._alike = 0 if not len(self.mean) and not still.any() else None
        self.mean = np.append(self.mean, np.where(still, 0.0, values))
        self.std = np.append(self.std, np.where(still, 1.0, SMALLEST))
        self._count = np.append(self._count, np.where(still, 1.0, 0.0))
        self._moves = np.append(self._moves, moves)
        self._work = tuple(np.empty((4, len(self.mean))))

    def learn(self, x: Floats, z: Floats, seen: Floats | None = None) -> None:
        """Take a row x (n,) in and write it, standardised by all rows so far, to z (n,).

        Parameters
        ----------
        x : ndarray
            The row, with the column's mean where the row has no number.
        z : ndarray
            Where the standardised row goes.
        seen : ndarray, optional
            1 where the row has a number, 0 where it has none; all 1 unless given.
        """
        share, root, rest, d = self._work
        if seen is None and self._alike is not None:
            self._alike = rows = self._alike + 1
            a = 1 / rows if rows < self.horizon else 1 / self.horizon
            share.fill(a)
            root.fill(sqrt(a))
            rest.fill(sqrt(1 - a))
            may_vanish = rows == 1 or rows >= self.horizon
        else:
            self._weigh(seen)
            may_vanish = True
        mean, std = self.mean, self.std
        subtract(x, mean, d)
        multiply(share, d, share)
        add(mean, share, mean)
        multiply(root, d, root)
        np.hypot(std, root, root)
        multiply(rest, root, std)
        multiply(rest, d, z)
        divide(z, root, z)
        if may_vanish:
            maximum(std, SMALLEST, out=std)
        if not z.dot(z) <= FAR * FAR:
            np.clip(z, -FAR, FAR, z)

    def apply(self, X: Floats, Z: Floats) -> None:
        """Write rows X (..., n), standardised by the rows learnt so far, to Z; what never varied becomes 0."""
        subtract(X, self.mean, Z)
        divide(Z, self.std, Z)
        flat = Z.reshape(-1)
        if not vdot(flat, flat) <= FAR * FAR:  # dot would warn of overflow
            Z[..., self.never_varied()] = 0.0
            np.clip(Z, -FAR, FAR, Z)

    def never_varied(self) -> NDArray[np.bool_]:
        """Return which columns have had one value only."""
        return self.std <= SMALLEST

    def _weigh(self, seen: Floats | None) -> None:
        """Write a, √a and √(1 − a) of each column where they differ, a being 0 for one without a number."""
        if self._alike is not None:
            self._count.fill(self._alike)
            self._alike = None
        share, root, rest, _ = self._work
        counts = self._moves if seen is None else self._moves * seen
        add(self._count, counts, self._count)
        divide(counts, np.minimum(self._count, self.horizon), share)
        np.sqrt(share, root)
        subtract(1.0, share, rest)
        np.sqrt(rest, rest)


class RunningTarget:
    """The same for one number a row, the target of a regression, which is not held within bounds.

    Parameters
    ----------
    horizon : float
        How many rows the mean looks back at most; infinite for all of them.
    """

    def __init__(self, horizon: float = inf) -> None:
        self.horizon = horizon
        self.rows = 0
        self.mean = 0.0
        self.std = SMALLEST

    def learn(self, y: float) -> float:
        """Take a target in and return it, standardised by all targets so far."""
        self.rows += 1
        if self.rows == 1:
            self.mean = y
            return 0.0
        a = 1 / self.rows if self.rows < self.horizon else 1 / self.horizon
        d, rest = y - self.mean, sqrt(1 - a)
        root = hypot(self.std, sqrt(a) * d)
        self.mean += a * d
        self.std = max(rest * root, SMALLEST)
        return rest * d / root

    def undo(self, t: Any) -> Any:
        """Return standardised numbers in the target's units."""
        return self.mean + self.std * t
