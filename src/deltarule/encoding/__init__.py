"""Columns to the numbers a network takes, and its outputs back to values: what a model knows of tables.

All that is fitted comes from the training rows, so that held-out rows stay unseen; only the list of classes
is taken from all rows, since a network cannot put out a class it has no output for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.encoding.inputs import CategoryInput, NumberInput, read_input
from deltarule.encoding.roles import Roles, Task, missing_rows
from deltarule.encoding.scaling import SCALINGS
from deltarule.encoding.targets import ClassTarget, RegressionTarget, Target, fit_target, read_target
from deltarule.errors import SettingError, TableError, unknown
from deltarule.jsonfields import choice, damaged, listed, record, text
from deltarule.tables.columns import Table, shown, suggestion

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Encoding:
    """How columns become inputs and targets of a network.

    Parameters
    ----------
    scaling : str
        One of `deltarule.encoding.scaling.SCALINGS`.
    columns : tuple of NumberInput and CategoryInput
        The input columns, in the order of the network's inputs.
    target : Target
        What is predicted.
    notes : tuple of str
        What was left out when it was fitted, and why.
    """

    scaling: str
    columns: tuple[NumberInput | CategoryInput, ...]
    target: Target
    notes: tuple[str, ...] = ()

    @staticmethod
    def fit(
        table: Table,
        roles: Roles,
        rows: NDArray[np.intp],
        scaling: str = "standard",
        target_scaling: str | None = None,
    ) -> Encoding:
        """Return the encoding fitted on the training rows.

        Parameters
        ----------
        table : Table
            All rows.
        roles : Roles
            From `deltarule.encoding.roles.choose_roles`.
        rows : ndarray
            Indices of the training rows, none without a target.
        scaling : {"standard", "minmax", "robust", "none"}
            For numeric inputs; see `deltarule.encoding.scaling`.
        target_scaling : str, optional
            For the targets of a regression, if not the same.

        Raises
        ------
        TableError
            The training rows are all alike in every input, or in a number to predict.
        SettingError
            `scaling` is unknown.
        """
        of_targets = scaling if target_scaling is None else target_scaling
        for given in (scaling, of_targets):
            if not isinstance(given, str) or given not in SCALINGS:
                raise unknown("scaling", given, SCALINGS)
        target = fit_target(table, roles, rows, of_targets)
        columns: list[NumberInput | CategoryInput] = []
        alike = []
        for name, role in roles.inputs.items():
            part = table.column(name).take(rows)
            fitted = CategoryInput.fit(part) if role == "category" else NumberInput.fit(part, scaling)
            if fitted is None:
                alike.append(name)
            else:
                columns.append(fitted)
        if not columns:
            raise TableError(
                f"Every input of {table.name} has the same value in all {len(rows):,} training rows: nothing "
                "can be learnt from them. Give more rows or other columns."
            )
        note = [f"left out, the same value in all training rows: {shown(alike)}"] if alike else []
        return Encoding(scaling, tuple(columns), target, (*roles.notes, *note))

    @property
    def task(self) -> Task:
        """Return what is asked of the outputs: regression, binary, multiclass or multilabel."""
        return self.target.task

    @property
    def target_names(self) -> tuple[str, ...]:
        """Return the names of the target columns."""
        return self.target.columns

    @property
    def input_names(self) -> list[str]:
        """Return the names of the network's inputs: `age`, `age is missing`, `colour=red`."""
        return [name for column in self.columns for name in column.names]

    @property
    def output_names(self) -> list[str]:
        """Return the names of the network's outputs: `price`, `species=setosa`."""
        return list(self.target.names)

    @property
    def n_inputs(self) -> int:
        """Return how many inputs the network has."""
        return sum(len(column.names) for column in self.columns)

    @property
    def n_outputs(self) -> int:
        """Return how many outputs the network has."""
        return len(self.target.names)

    @property
    def classes(self) -> NDArray[Any] | None:
        """Return the classes in the user's own type, in the order of their codes; None without classes."""
        return self.target.labels if isinstance(self.target, ClassTarget) else None

    def inputs(self, table: Table) -> tuple[Floats, list[str]]:
        """Return the inputs of a table's rows.

        Parameters
        ----------
        table : Table
            Columns are found by name; their order does not matter, and others are ignored.

        Returns
        -------
        X : ndarray
            Shape (n, n_inputs), finite, C-contiguous.
        notes : list of str
            Columns ignored, and cells unlike any in the training rows.

        Raises
        ------
        TableError
            A column is lacking, or a cell cannot be read as what it was in training.
        """
        self._refuse_lacking(table)
        known = {column.name for column in self.columns} | set(self.target.columns)
        extra = [name for name in table.columns if name not in known]
        notes = [f"columns ignored: {shown(extra)}"] if extra else []
        X = np.zeros((table.n_rows, self.n_inputs))
        first = 0
        for column in self.columns:
            last = first + len(column.names)
            notes += column.encode(table.columns[column.name], table.name, X[:, first:last])
            first = last
        return X, notes

    def targets(self, table: Table) -> Floats:
        """Return the targets of a table's rows.

        Returns
        -------
        T : ndarray
            Shape (n, n_outputs): scaled numbers, 0 and 1 for two classes, one-hot for more, 0 and 1 for each
            label.

        Raises
        ------
        TableError
            A target is lacking or missing in a row, or holds what it did not in training.
        """
        return self.target.encode(table)

    def target_missing_rows(self, table: Table) -> NDArray[np.intp]:
        """Return the indices of the rows that lack a target."""
        missing = missing_rows(table.column(name) for name in self.target.columns)
        return np.flatnonzero(missing)

    def decode_regression(self, Y: Floats) -> Floats:
        """Return outputs (n, k) in the targets' own units: (n,) for one target, otherwise (n, k)."""
        if self.task != "regression":
            raise SettingError(f"The task is {self.task}, not regression: use decode_labels.")
        return self.target.decode(Y)

    def widths_in_units(self, S: Floats) -> Floats:
        """Return widths S (n, k), such as standard deviations of the outputs, in the targets' units: (n,) or (n, k)."""
        assert isinstance(self.target, RegressionTarget)
        widths = S * [scale.spread for scale in self.target.scales]
        return widths[:, 0] if len(self.target.columns) == 1 else widths

    def decode_labels(self, P: Floats) -> NDArray[Any]:
        """Return the labels that probabilities (n, n_outputs) speak for, in the user's own type.

        Shape (n,) for classes; (n, k) for k labels that can hold together.
        """
        if self.task == "regression":
            raise SettingError("The task is regression, which has no labels: use decode_regression.")
        return self.target.decode(P)

    def to_dict(self) -> dict[str, Any]:
        """Return the encoding as JSON values; floats survive exactly."""
        return {
            "scaling": self.scaling,
            "columns": [column.to_dict() for column in self.columns],
            "target": self.target.to_dict(),
            "notes": list(self.notes),
        }

    @staticmethod
    def from_dict(d: object) -> Encoding:
        """Return the encoding that `to_dict` wrote.

        Raises
        ------
        ModelFileError
            A key is unknown or lacking, a value has another type, is not finite, or contradicts another.
        """
        fields = record(d, "encoding", ("scaling", "columns", "target", "notes"))
        encoding = Encoding(
            choice(fields["scaling"], "encoding.scaling", tuple(SCALINGS)),
            listed(fields["columns"], "encoding.columns", read_input, least=1),
            read_target(fields["target"], "encoding.target"),
            listed(fields["notes"], "encoding.notes", text),
        )
        names = [column.name for column in encoding.columns] + list(encoding.target.columns)
        if len(set(names)) != len(names):
            raise damaged("encoding.columns", names, "a list of columns without repetitions")
        return encoding

    def _refuse_lacking(self, table: Table) -> None:
        lacking = [column.name for column in self.columns if column.name not in table.columns]
        if lacking:
            raise TableError(
                f"{table.name} lacks {shown(map(repr, lacking))}, which the model predicts from."
                f"{suggestion(lacking[0], table.columns)}"
            )
