"""From a table to numbers, before any training: read, give roles, split, encode; and a network that fits them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.activations import Activation
from deltarule.encoding import Encoding
from deltarule.encoding.roles import Roles, choose_roles, column_names, missing_rows
from deltarule.errors import SettingError, TableError, unknown, wrong
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.provenance import PARTS
from deltarule.splits import HOW, Split, split
from deltarule.tables import Table, read
from deltarule.tasks import LOSS_OF_TASK, check_loss, output_activation

Floats = NDArray[np.float64]

SPLIT = 0x73706C6974
"""Says what a seed is for, "split" in ASCII."""


class Encoded(NamedTuple):
    """A table as numbers: inputs and targets of its parts."""

    X: Floats
    T: Floats
    parts: Split

    def part(self, name: str) -> tuple[Floats, Floats]:
        """Return (X, T) of ``training``, ``validation`` or ``test``."""
        rows = self.rows(name)
        return self.X[rows], self.T[rows]

    def rows(self, name: str) -> NDArray[np.intp]:
        """Return the indices of the rows of a part."""
        return dict(zip(PARTS, (self.parts.train, self.parts.validation, self.parts.test), strict=True))[name]


class Prepared(NamedTuple):
    """A table before any training: as numbers, and what it is for."""

    table: Table
    task: str
    loss: Loss
    encoding: Encoding
    encoded: Encoded
    how: str
    notes: list[str]


def prepare(
    source: Any, target: str | Sequence[str], *, query: str | None, inputs: str | Sequence[str] | None,
    exclude: str | Sequence[str], task: str | None, loss: str | Loss | None, scaling: str, split_by: str,
    fractions: tuple[float, float, float], seed: int,
) -> Prepared:  # fmt: skip
    """Return a table as numbers in three parts, all that was asked of it checked; see `fit` for the parameters.

    Raises
    ------
    TableError, SettingError
        As `fit`.
    """
    _check_seed(seed)
    targets, wanted = column_names(target, "target"), None if inputs is None else column_names(inputs, "inputs")
    how, mark = _split_by(split_by, targets, wanted or ())
    table = read(source, query)
    roles = choose_roles(
        table, targets, inputs=wanted,
        exclude=[*column_names(exclude, "exclude"), *([mark] if mark else [])], task=task,
    )  # fmt: skip
    made_loss = losses.get(LOSS_OF_TASK[roles.task] if loss is None else loss)
    check_loss(made_loss, roles.task)
    _check_targets(made_loss, table, roles)
    encoding, encoded, notes = _encode(table, roles, made_loss, scaling, how, mark, fractions, seed)
    return Prepared(table, roles.task, made_loss, encoding, encoded, how, notes)


def _encode(
    table: Table, roles: Roles, loss: Loss, scaling: str, how: str, mark: str,
    fractions: tuple[float, float, float], seed: int,
) -> tuple[Encoding, Encoded, list[str]]:  # fmt: skip
    """Return the encoding, the rows with a target as numbers, and what was noted on the way."""
    rows = np.flatnonzero(~missing_rows(table.column(name) for name in roles.targets))
    known = table.take(rows)
    labels = known.column(roles.targets[0]).values if roles.task in ("binary", "multiclass") else None
    marks = known.column(mark).values if mark else None
    parts = split(known.n_rows, labels=labels, seed=_split_seed(seed), fractions=fractions, how=how, column=marks)
    target_scaling = "none" if loss.fused and roles.task == "regression" else scaling
    encoding = Encoding.fit(known, roles, parts.train, scaling, target_scaling)
    X, notes = encoding.inputs(table)  # all its rows, so that a message counts them as the user does
    notes = [*table.notes, *encoding.notes, *(note for note in notes if not note.startswith("columns ignored"))]
    return encoding, Encoded(X[rows], encoding.targets(known), parts), notes


def make_network(prepared: Prepared, hidden: tuple[int, ...], activation: Any) -> Network:
    """Return a network from inputs to targets whose outputs suit loss and task.

    Raises
    ------
    SettingError
        If activations and layers do not fit.
    """
    if not isinstance(activation, Iterable | Activation):
        raise wrong("activation", activation, "give a name such as 'tanh', or one for each hidden layer")
    activations = [activation] * len(hidden) if isinstance(activation, str | Activation) else list(activation)
    if len(activations) != len(hidden):
        given, needed = len(activations), len(hidden)
        raise SettingError(
            f"{given} activation{'s were' if given > 1 else ' was'} given for {needed} hidden "
            f"layer{'s' if needed != 1 else ''}; give one for all, or one for each layer."
        )
    X, T, _ = prepared.encoded
    last = output_activation(prepared.loss, prepared.task)
    return Network((X.shape[1], *hidden, T.shape[1]), [*activations, last])


def _split_seed(seed: int) -> int:
    """Return a seed of the split's own.

    Rows that somebody drew from ``default_rng(seed)`` would otherwise be split by the very numbers they hold, so that
    the test rows are those with the largest values of a column.
    """
    return int(np.random.SeedSequence([seed, SPLIT]).generate_state(1, np.uint64)[0])


def _split_by(split_by: str, targets: list[str], inputs: Sequence[str]) -> tuple[str, str]:
    """Return how to split, and the column that says so or an empty string."""
    how, _, mark = split_by.partition(":") if isinstance(split_by, str) else ("", "", "")
    if how not in HOW or (how == "column") != bool(mark):
        raise unknown("split", split_by, ["random", "order", "column:NAME"])
    if mark and mark in [*targets, *inputs]:
        raise SettingError(f"Column {mark!r} is to split the rows; it cannot be a target or an input too.")
    return how, mark


def _check_targets(loss: Loss, table: Table, roles: Roles) -> None:
    """Refuse numbers to predict that the loss has no value for."""
    if roles.task != "regression":
        return
    low, high = loss.targets
    for name in roles.targets:
        values = table.column(name).values
        bad = (values < low) | (values > high)
        if bad.any():
            row = int(np.argmax(bad))
            raise TableError(
                f"Target {name!r} of {table.name} holds {values[row]:g} in row {row + 1}; the loss {loss} accepts "
                f"numbers from {low:g} to {high:g}. Choose another loss."
            )


def _check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise SettingError(f"The seed was {seed!r}; it is a whole number from 0 up.")
