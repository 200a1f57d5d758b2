"""The table of a lesson as numbers: what `why` compares rules on.

All networks of a lesson have logistic outputs and squared error, so that every rule can be tried on every table;
targets therefore lie from 0 to 1. Classes are 0 and 1, or one output each; a number is scaled so that its range is 0
to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.activations import Activation
from deltarule.encoding import Encoding
from deltarule.encoding.roles import choose_roles, missing_rows
from deltarule.errors import SettingError
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.tables import read

Floats = NDArray[np.float64]

MOST_ROWS = 500
"""So many rows, drawn at random, are enough to see the effects."""
NARROW, WIDE, FEW_INPUTS = (3,), (6,), 4
"""Hidden layers for tables of a few inputs, and of more."""
SIDE = 0.5
"""An output above this says yes."""


class Lesson(NamedTuple):
    """A table's numbers: X (n, n_in), T (n, n_out) from 0 to 1, the hidden layers, their activation, and words.

    `rows` are the numbers of the rows in the table, the first is 1.
    """

    table: str
    targets: tuple[str, ...]
    task: str
    X: Floats
    T: Floats
    hidden: tuple[int, ...]
    activation: str | Activation
    notes: tuple[str, ...]
    rows: tuple[int, ...]

    @property
    def loss(self) -> Loss:
        """Squared error, the same for all rules."""
        return losses.get("squared_error")

    @property
    def two(self) -> Floats:
        """Targets for at least two outputs: those of the table, or the one and its complement, (n, 2 or more)."""
        return self.T if self.T.shape[1] > 1 else np.column_stack([1 - self.T[:, 0], self.T[:, 0]])

    def network(
        self, hidden: Sequence[int] | None = None, n_out: int | None = None, output: str = "logistic"
    ) -> Network:
        """Return a network of this lesson, or one with other layers or outputs."""
        widths = tuple(self.hidden if hidden is None else hidden)
        sizes = (self.X.shape[1], *widths, self.T.shape[1] if n_out is None else n_out)
        return Network(sizes, [*[self.activation] * len(widths), output])

    def mistakes(self, outputs: Floats) -> Floats:
        """Return how wrong outputs (runs, n, n_out) are, (runs,): share of rows misjudged; for numbers mean squares."""
        if self.task == "regression":
            squares = ((outputs - self.T) ** 2).mean(axis=(1, 2))
            return np.where(np.isfinite(squares), squares, np.inf)
        if self.task == "multiclass":
            wrong = outputs.argmax(axis=2) != self.T.argmax(axis=1)
        else:
            wrong = np.any((outputs > SIDE) != (self.T > SIDE), axis=2)
        bad = ~np.isfinite(outputs).all(axis=2)
        return np.asarray((wrong | bad).mean(axis=1))

    @property
    def baseline(self) -> float:
        """How wrong the same answer for all rows is, the best one there is."""
        if self.task == "regression":
            return float(((self.T - self.T.mean(axis=0)) ** 2).mean())
        return float(1 - np.unique(self.T, axis=0, return_counts=True)[1].max() / len(self.T))


def of(
    source: Any, target: str | Sequence[str], *, query: str | None, inputs: str | Sequence[str] | None,
    exclude: str | Sequence[str], task: str | None, hidden: int | Sequence[int] | None, activation: str | Activation,
    seed: int,
) -> Lesson:  # fmt: skip
    """Return a table as numbers; see `deltarule.explain.why` for the parameters.

    Raises
    ------
    TableError, SettingError
        If the table, a column or a setting cannot be used.
    """
    table = read(source, query)
    named = [inputs] if isinstance(inputs, str) else inputs
    left_out = [exclude] if isinstance(exclude, str) else exclude
    roles = choose_roles(table, target, inputs=named, exclude=left_out, task=task)
    known = np.flatnonzero(~missing_rows(table.column(name) for name in roles.targets))
    notes = [*table.notes, *roles.notes]
    if len(known) > MOST_ROWS:
        drawn = np.random.Generator(np.random.PCG64(seed)).choice(known, MOST_ROWS, replace=False)
        notes.append(f"{MOST_ROWS:,} of {len(known):,} rows, drawn at random")
        known = np.sort(drawn)
    part = table.take(known)
    encoding = Encoding.fit(part, roles, np.arange(part.n_rows), "standard", "none")
    X, _ = encoding.inputs(part)
    T = encoding.targets(part)
    if roles.task == "regression":
        low, high = T.min(axis=0), T.max(axis=0)
        T = (T - low) / (high - low)
        notes.append("the target is scaled to the range from 0 to 1, for logistic outputs")
    widths = _widths(hidden, X.shape[1])
    numbers = tuple((known + 1).tolist())
    return Lesson(table.name, roles.targets, roles.task, X, T, widths, activation, tuple(notes), numbers)


def _widths(hidden: int | Sequence[int] | None, n_in: int) -> tuple[int, ...]:
    if hidden is None:
        return NARROW if n_in <= FEW_INPUTS else WIDE
    widths = (hidden,) if isinstance(hidden, int) else tuple(hidden)
    if not widths:
        raise SettingError("hidden was (); rules differ where there is a hidden layer: give at least one width.")
    return widths
