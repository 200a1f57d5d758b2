"""Target columns to numbers, and a network's outputs back to values and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deltarule.encoding.inputs import read_scale
from deltarule.encoding.roles import Roles, Task
from deltarule.encoding.scaling import Scale, fit_scale
from deltarule.errors import TableError
from deltarule.jsonfields import choice, damaged, distinct, finite, listed, record, text
from deltarule.tables.cells import cell_text, convert, level_codes
from deltarule.tables.columns import Column, Table, cut, shown

Floats = NDArray[np.float64]
ClassKind = Literal["text", "boolean", "number"]

DECIDED = 0.5
"""A probability above this says yes."""


class Target(Protocol):
    """What is predicted: `encode` for training, `decode` for what the network puts out."""

    @property
    def task(self) -> Task:
        """What is asked of the outputs."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the target columns."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the outputs."""

    def encode(self, table: Table) -> Floats:
        """Return T, shape (n, len(names)); TableError where a cell is missing or cannot be one."""

    def decode(self, Y: Floats) -> NDArray[Any]:
        """Return what outputs of shape (n, len(names)) mean, in the user's units or labels."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""


@dataclass(frozen=True)
class RegressionTarget:
    """One or more columns of numbers, scaled like the inputs."""

    columns: tuple[str, ...]
    scales: tuple[Scale, ...]

    @property
    def task(self) -> Task:
        """Return "regression"."""
        return "regression"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs: those of the columns."""
        return self.columns

    def encode(self, table: Table) -> Floats:
        """Return the scaled targets, shape (n, k)."""
        T = np.empty((table.n_rows, len(self.columns)))
        for j, (name, scale) in enumerate(zip(self.columns, self.scales, strict=True)):
            column = _numbers(table, name, "number")
            column.refuse_too_large(table.name)
            T[:, j] = scale.apply(column.values)
            row = scale.too_far(T[:, j])
            if row is not None:
                raise TableError(
                    f"Column {name!r} of {table.name} holds {column.values[row]:g} in row {row + 1} of those with a "
                    f"target, {scale.advice}, or leave the row out."
                )
        return T

    def decode(self, Y: Floats) -> NDArray[Any]:
        """Return outputs in the targets' units, shape (n,), or (n, k) for k > 1 targets."""
        values = np.column_stack([scale.undo(Y[:, j]) for j, scale in enumerate(self.scales)])
        return values[:, 0] if len(self.columns) == 1 else values

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        scales = [[scale.center, scale.spread] for scale in self.scales]
        return {"task": self.task, "columns": list(self.columns), "scales": scales}


@dataclass(frozen=True)
class ClassTarget:
    """One column of classes: one output of 0 and 1 for two classes, otherwise one for each."""

    column: str
    kind: ClassKind
    classes: tuple[str, ...] | tuple[float, ...]

    @property
    def task(self) -> Task:
        """Return "binary" for two classes, otherwise "multiclass"."""
        return "binary" if len(self.classes) == 2 else "multiclass"

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the name of the column."""
        return (self.column,)

    @property
    def labels(self) -> NDArray[Any]:
        """Return the classes in the user's own type: str, bool, int or float."""
        if self.kind == "text":
            return np.array(self.classes, dtype=object)
        return _native(np.array(self.classes, dtype=np.float64), self.kind)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs, such as `species=setosa`."""
        shown_classes = [_class_text(label, self.kind) for label in self.classes]
        return tuple(f"{self.column}={label}" for label in shown_classes[-self.n_outputs :])

    @property
    def n_outputs(self) -> int:
        """Return 1 for two classes, otherwise one for each."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def encode(self, table: Table) -> Floats:
        """Return 0 and 1, shape (n, 1), where 1 is the second of two classes; otherwise one-hot (n, k)."""
        codes = self.codes(table)
        if self.n_outputs == 1:
            return codes[:, None].astype(np.float64)
        return np.eye(len(self.classes))[codes]

    def codes(self, table: Table) -> NDArray[np.intp]:
        """Return each row's place among the classes, shape (n,)."""
        column = table.column(self.column)
        if self.kind == "text":
            codes = level_codes(column, [str(label) for label in self.classes], table.name)
        else:
            column = convert(column, self.kind, table.name)
            places = {label: i for i, label in enumerate(self.classes)}
            codes = np.array([places.get(value, -1) for value in column.values.tolist()], dtype=np.intp)
        _refuse_missing(column, table.name)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0))
            known = shown(_class_text(label, self.kind) for label in self.classes)
            raise TableError(
                f"Column {self.column!r} of {table.name} holds {cut(cell_text(column.values[row]))!r} in row "
                f"{row + 1}, none of the classes the model knows: {known}. Correct it, or leave the row out."
            )
        return codes

    def decode(self, Y: Floats) -> NDArray[Any]:
        """Return the likeliest class of each row, shape (n,)."""
        chosen = (Y[:, 0] > DECIDED).astype(np.intp) if self.n_outputs == 1 else np.argmax(Y, axis=1)
        labels: NDArray[Any] = self.labels[chosen]
        return labels

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"task": self.task, "column": self.column, "kind": self.kind, "classes": list(self.classes)}


@dataclass(frozen=True)
class LabelTarget:
    """Several columns of true and false, or 0 and 1, that can hold together: one output for each."""

    columns: tuple[str, ...]
    kind: Literal["boolean", "number"]

    @property
    def task(self) -> Task:
        """Return "multilabel"."""
        return "multilabel"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the outputs: those of the columns."""
        return self.columns

    def encode(self, table: Table) -> Floats:
        """Return 0 and 1, shape (n, k)."""
        return np.column_stack([_numbers(table, name, "boolean").values for name in self.columns])

    def decode(self, Y: Floats) -> NDArray[Any]:
        """Return which labels hold, shape (n, k): booleans, or integers if a column held numbers."""
        return _native((Y > DECIDED).astype(np.float64), self.kind)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"task": self.task, "columns": list(self.columns), "kind": self.kind}


def fit_target(table: Table, roles: Roles, rows: NDArray[np.intp], scaling: str) -> Target:
    """Return the encoding of the targets: scales from the training rows, classes from all rows.

    Raises
    ------
    TableError
        A number to predict is constant in the training rows.
    """
    columns = [table.column(name) for name in roles.targets]
    if roles.task == "multilabel":
        kind: Literal["boolean", "number"] = "boolean"
        if any(column.kind != "boolean" for column in columns):
            kind = "number"
        return LabelTarget(roles.targets, kind)
    if roles.task != "regression":
        return _fit_classes(columns[0])
    scales = []
    for column in columns:
        scale = fit_scale(column.values[rows], scaling)
        if scale is None:
            raise TableError(
                f"Target {column.name!r} of {table.name} has the same value in all {len(rows):,} training "
                "rows: there is nothing to learn. Split the rows otherwise."
            )
        scales.append(scale)
    return RegressionTarget(roles.targets, tuple(scales))


def read_target(value: object, where: str) -> Target:
    """Return a target from JSON values; ModelFileError if they are none."""
    task = value.get("task") if isinstance(value, dict) else None
    choice(task, f"{where}.task", tuple(_READERS))
    return _READERS[str(task)](value, where)


def _fit_classes(column: Column) -> ClassTarget:
    present = column.values[~column.missing]
    if column.kind == "text":
        return ClassTarget(column.name, "text", tuple(sorted(set(present))))
    kind: ClassKind = "boolean" if column.kind == "boolean" else "number"
    return ClassTarget(column.name, kind, tuple(np.unique(present).tolist()))


def _read_regression(value: object, where: str) -> RegressionTarget:
    d = record(value, where, ("task", "columns", "scales"))
    columns = distinct(listed(d["columns"], f"{where}.columns", text, least=1), f"{where}.columns")
    scales = listed(d["scales"], f"{where}.scales", read_scale)
    if len(scales) != len(columns):
        raise damaged(f"{where}.scales", d["scales"], f"one scale for each of {len(columns)} columns")
    return RegressionTarget(columns, scales)


def _read_classes(value: object, where: str) -> ClassTarget:
    d = record(value, where, ("task", "column", "kind", "classes"))
    name = text(d["column"], f"{where}.column")
    kind = choice(d["kind"], f"{where}.kind", ("text", "boolean", "number"))
    at = f"{where}.classes"
    if kind == "text":
        target = ClassTarget(name, "text", distinct(listed(d["classes"], at, text, least=2), at))
    else:
        numbers = distinct(listed(d["classes"], at, finite, least=2), at)
        if kind == "boolean" and numbers != (0.0, 1.0):
            raise damaged(at, d["classes"], "0 and 1")
        target = ClassTarget(name, "boolean" if kind == "boolean" else "number", numbers)
    if target.task != d["task"]:
        raise damaged(f"{where}.task", d["task"], target.task)
    return target


def _read_labels(value: object, where: str) -> LabelTarget:
    d = record(value, where, ("task", "columns", "kind"))
    kind = choice(d["kind"], f"{where}.kind", ("boolean", "number"))
    columns = distinct(listed(d["columns"], f"{where}.columns", text, least=2), f"{where}.columns")
    return LabelTarget(columns, "boolean" if kind == "boolean" else "number")


def _numbers(table: Table, name: str, kind: Literal["number", "boolean"]) -> Column:
    column = convert(table.column(name), kind, table.name)
    _refuse_missing(column, table.name)
    return column


def _refuse_missing(column: Column, table: str) -> None:
    missing = column.missing
    if missing.any():
        raise TableError(
            f"Column {column.name!r} of {table} is empty in row {int(np.argmax(missing)) + 1}: rows without "
            "a target cannot be compared with a prediction. Leave them out."
        )


def _native(values: Floats, kind: str) -> NDArray[Any]:
    """Return numbers as bool, as int where all are whole, or as they are."""
    if kind == "boolean":
        return values.astype(np.bool_)
    return values.astype(np.int64) if np.all(values == np.round(values)) else values


def _class_text(label: str | float, kind: str) -> str:
    return cell_text(bool(label) if kind == "boolean" else label)


_READERS: dict[str, Callable[[object, str], Target]] = {
    "regression": _read_regression,
    "binary": _read_classes,
    "multiclass": _read_classes,
    "multilabel": _read_labels,
}
