"""Which columns are inputs, which are targets, and what task the targets ask for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TableError, unknown, wrong
from deltarule.tables.columns import Column, Table, check_text, shown, spelt

Role = Literal["number", "boolean", "date", "category"]
Task = Literal["regression", "binary", "multiclass", "multilabel"]

MAX_LEVELS = 50
"""A text column with more distinct texts is refused as an input: each would be an input of its own."""

MAX_CLASSES = 100
"""A target with more distinct values is refused for classification."""

FEW_CLASSES = 10
"""At most so many whole numbers, counting on from 0 or 1, are taken for class numbers."""

ID_WORDS = {"id", "ids", "index", "idx", "key", "no", "nr", "number", "row", "uid", "unnamed"}
"""Words in the names of columns that number the rows."""

WITH_UNITS = re.compile(r"\s*[^\w\s.+-]?\s*[+-]?\d[\d.,' ]*\s*\D{0,12}")
"""A number with something before or behind it, as in 12.5 kg or € 1,200."""

MOST = 0.8
"""Share of texts that look like numbers from which on a column is thought to be meant as numbers."""

_REQUESTS = ("regression", "classification")


@dataclass(frozen=True)
class Roles:
    """What each column is for.

    Parameters
    ----------
    task : {"regression", "binary", "multiclass", "multilabel"}
        What the targets ask for.
    targets : tuple of str
        Columns to predict.
    inputs : dict of str to {"number", "boolean", "date", "category"}
        Columns to predict from, in the table's order or the order they were named in.
    notes : tuple of str
        What was left out, and why.
    """

    task: Task
    targets: tuple[str, ...]
    inputs: dict[str, Role]
    notes: tuple[str, ...] = ()


def choose_roles(
    table: Table,
    targets: str | Sequence[str],
    *,
    inputs: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    task: str | None = None,
) -> Roles:
    """Return what each column is for.

    Parameters
    ----------
    table : Table
        All rows, training or not.
    targets : str or sequence of str
        The columns to predict.
    inputs : sequence of str, optional
        The columns to predict from; all that are neither targets nor excluded if not given.
    exclude : sequence of str
        Columns to leave out.
    task : {"regression", "classification"}, optional
        Found from the targets if not given: text, true or false, two distinct numbers, or at most ten whole
        numbers counting on from 0 or 1 are classes; other numbers are regression. Several targets of true or
        false, or of 0 and 1, are labels that can hold together.

    Returns
    -------
    Roles
        With at least one input.

    Raises
    ------
    TableError
        A column does not exist, is both input and target, cannot be encoded, or none is left.
    SettingError
        The task is unknown.
    """
    if task is not None and not (isinstance(task, str) and task in _REQUESTS):
        raise unknown("task", task, _REQUESTS)
    named = column_names(targets, "target")
    if not named:
        raise TableError(f"No target was given: name the column of {table.name} to predict.")
    columns = [table.column(name) for name in named]
    candidates = _candidates(table, named, inputs, column_names(exclude, "exclude"))
    for column in [*columns, *candidates]:
        column.refuse_too_large(table.name)
    missing = missing_rows(columns)
    if missing.all():
        raise TableError(
            f"No row of {table.name} has a {' and '.join(map(spelt, named))}: there is nothing to learn from."
        )
    found = find_task([column.take(~missing) for column in columns], task, table.name)
    roles, notes = _input_roles([column.take(~missing) for column in candidates], table.name)
    if missing.any():
        notes.insert(
            0, f"{missing.sum():,} of {table.n_rows:,} rows have no {' or '.join(map(spelt, named))}: left out"
        )
    if not roles:
        reason = f" ({'; '.join(notes)})" if notes else ""
        raise TableError(f"{table.name} has no column to predict {', '.join(map(spelt, named))} from{reason}: add one.")
    return Roles(found, tuple(named), roles, tuple(notes))


def column_names(names: str | Sequence[str], what: str) -> list[str]:
    """Return names of columns, each once.

    Raises
    ------
    SettingError
        If they are no texts; `what` says what they are for.
    """
    listed = list(names) if isinstance(names, Iterable) and not isinstance(names, str) else [names]
    if not all(isinstance(name, str) for name in listed):
        raise wrong(
            what,
            names,
            "give the name of a column as text, or a list of such names; arrays X and y are for "
            "MLPRegressor and MLPClassifier",
        )
    return list(dict.fromkeys(listed))


def missing_rows(columns: Iterable[Column]) -> NDArray[np.bool_]:
    """Return the rows in which any of the columns is missing, shape (n_rows,)."""
    return np.asarray(np.any([column.missing for column in columns], axis=0))


def find_task(columns: Sequence[Column], request: str | None, table: str) -> Task:
    """Return the task that target columns without missing cells ask for.

    Raises
    ------
    TableError
        A target is constant, a date, has too many classes, or the targets do not go together.
    """
    for column in columns:
        if column.kind == "date":
            raise TableError(
                f"Target {column.name!r} of {table} holds dates, which cannot be predicted: use a number, "
                "such as the days since some date."
            )
        if len(_distinct(column)) < 2:
            raise TableError(
                f"Target {column.name!r} of {table} has the same value in all its rows: there is nothing to "
                "learn. Give rows of another value, or name another target."
            )
    if len(columns) > 1:
        return _joint_task(columns, request, table)
    return _single_task(columns[0], request, table)


def _single_task(column: Column, request: str | None, table: str) -> Task:
    values = _distinct(column)
    _check_texts(column, table, "a class")
    if column.kind == "text" and request == "regression":
        raise TableError(
            f"Target {column.name!r} of {table} holds text; regression needs numbers. Use task='classification'."
            f"{_with_units(column)}"
        )
    if request == "regression" or (request is None and not _are_classes(column, values)):
        return "regression"
    if len(values) > MAX_CLASSES:
        raise TableError(
            f"Target {column.name!r} of {table} has {len(values):,} distinct values; classification accepts "
            f"at most {MAX_CLASSES} classes. Group them"
            + (", or use task='regression'." if column.kind != "text" else f".{_with_units(column)}")
        )
    return "binary" if len(values) == 2 else "multiclass"


def _are_classes(column: Column, values: list[str] | list[float]) -> bool:
    """Return whether distinct values look like classes rather than measurements."""
    if column.kind != "number" or len(values) == 2:
        return True
    return len(values) <= FEW_CLASSES and any(
        values == [float(i) for i in range(first, first + len(values))] for first in (0, 1)
    )


def _joint_task(columns: Sequence[Column], request: str | None, table: str) -> Task:
    """Return the task of several targets together."""
    names = ", ".join(repr(column.name) for column in columns)
    if any(column.kind == "text" for column in columns):
        raise TableError(f"Several targets must be numbers; of {names} in {table} some are text. Name one target.")
    if request == "regression":
        return "regression"
    labels = [column.kind == "boolean" or _distinct(column) == [0.0, 1.0] for column in columns]
    if all(labels):
        return "multilabel"
    if request == "classification" or any(column.kind == "boolean" for column in columns):
        raise TableError(
            f"Targets {names} of {table} mix labels with other numbers. Give only labels (true and false, or "
            "0 and 1), only numbers, or one target."
        )
    return "regression"


def _candidates(table: Table, targets: list[str], inputs: Sequence[str] | None, exclude: list[str]) -> list[Column]:
    """Return the columns that may be inputs."""
    for name in exclude:
        table.column(name)
    if inputs is None:
        wrong = [name for name in exclude if name in targets]
        if wrong:
            raise TableError(f"Column {wrong[0]!r} is a target and is also excluded: drop one of the two.")
        return [column for name, column in table.columns.items() if name not in {*targets, *exclude}]
    given = column_names(inputs, "inputs")
    both = [name for name in given if name in {*targets, *exclude}]
    if both:
        other = "a target" if both[0] in targets else "excluded"
        raise TableError(f"Column {both[0]!r} is named as an input and is also {other}: drop one of the two.")
    return [table.column(name) for name in given]


def _input_roles(columns: list[Column], table: str) -> tuple[dict[str, Role], list[str]]:
    """Return the role of each usable column, and notes on those left out."""
    roles: dict[str, Role] = {}
    empty, constant = [], []
    refused: list[tuple[Column, int]] = []
    for column in columns:
        missing = column.missing
        variety = _variety(column.take(~missing))
        if variety == 0:
            empty.append(column.name)
        elif variety == 1 and not missing.any():
            constant.append(column.name)
        elif column.kind == "text" and variety > min(MAX_LEVELS, len(missing) - 1):
            refused.append((column, variety))
        else:
            _check_texts(column, table, "a category")
            roles[column.name] = "category" if column.kind == "text" else column.kind
    if refused:
        raise _too_many_levels(refused, table)
    notes = [f"left out, all cells are missing: {shown(empty)}"] if empty else []
    notes += [f"left out, the same value in all rows: {shown(constant)}"] if constant else []
    counting = [column.name for column in columns if column.name in roles and _numbers_the_rows(column)]
    if counting:
        options = " ".join(f"--exclude {shlex.quote(name)}" for name in counting)
        notes.append(f"numbers the rows, and is an input all the same (or pass {options}): {shown(counting)}")
    return roles, notes


def _check_texts(column: Column, table: str, what: str) -> None:
    """Refuse texts of a column without missing cells that cannot be inputs or classes."""
    if column.kind == "text":
        for text in sorted(set(column.values) - {None}):
            check_text(text, f"{what} in column {column.name!r}", table)


def _numbers_the_rows(column: Column) -> bool:
    """Return whether a column has a name like an identifier's and counts up by one."""
    words = re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column.name).lower())
    if column.kind != "number" or column.missing.any() or not ID_WORDS.intersection(words):
        return False
    return bool(len(column.values) > 1 and (np.diff(np.sort(column.values)) == 1).all())


def _with_units(column: Column) -> str:
    """Return a hint if most texts of a column begin like numbers, with an example."""
    texts = [text for text in column.values if text is not None]
    like = [text for text in texts if WITH_UNITS.fullmatch(text)]
    if not like or len(like) < MOST * len(texts):
        return ""
    return f" {column.name!r} holds texts such as {like[0]!r}: write numbers alone for it to count as numbers."


def _too_many_levels(columns: list[tuple[Column, int]], table: str) -> TableError:
    refused = [(column.name, levels) for column, levels in columns]
    hint = next((hint for column, _ in columns if (hint := _with_units(column))), "")
    listed = shown(f"{name!r} ({levels:,})" for name, levels in refused)
    options = " ".join(f"--exclude {shlex.quote(name)}" for name, _ in refused)
    return TableError(
        f"{table} has text columns with too many distinct texts to be inputs: {listed}. At most {MAX_LEVELS} "
        f"are accepted, and fewer than there are rows. Pass {options} (in Python "
        f"exclude={[name for name, _ in refused]!r}), or group the texts.{hint}"
    )


def _variety(column: Column) -> int:
    """Return how many distinct values a column without missing cells has; for numbers, 2 means 2 or more."""
    if column.kind == "text":
        return len(set(column.values))
    return 0 if column.values.size == 0 else 1 + bool(column.values.min() < column.values.max())


def _distinct(column: Column) -> list[str] | list[float]:
    """Return the distinct values of a column without missing cells, sorted."""
    if column.kind == "text":
        return sorted(set(column.values))
    values: list[float] = np.unique(column.values).tolist()
    return values
