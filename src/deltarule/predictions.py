"""Predictions as columns of a table, to print or to write as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.model import Model
from deltarule.tables.columns import cut

FORMULA = ("=", "+", "-", "@")
"""What a formula begins with in a spreadsheet."""


def columns(
    model: Model, source: Any, query: str | None, proba: bool, std: bool = False
) -> tuple[dict[str, list[Any]], list[str]]:
    """Return predicted columns by name, as Python values, and notes on the table.

    Raises
    ------
    TableError
        If the table does not fit the model.
    SettingError
        If probabilities are asked of a regression, or standard deviations of a model without error bars.
    """
    targets = model.encoding.target_names
    stds = [f"{name}_std" for name in targets]
    if std and set(stds) & set(targets):
        name = next(name for name in stds if name in targets)
        raise SettingError(f"The standard deviations would stand in {name!r}, which is a target: use model.predict.")
    if std:
        Y, deviations, notes = model.outputs_and_std(source, query)
        found = _by_name(targets, model.answers(Y)) | _by_name(stds, deviations)
    else:
        Y, notes = model.outputs(source, query)
        found = _by_name(targets, model.answers(Y))
    notes = [*notes, *_formulas(targets, model.encoding.classes)]
    if proba:
        probabilities = model.probabilities(Y)
        classes = model.encoding.classes
        names = targets if classes is None else [f"{targets[0]}={label}" for label in classes.tolist()]
        found |= {f"p({name})": column.tolist() for name, column in zip(names, probabilities.T, strict=True)}
    return found, notes


def _formulas(names: Sequence[str], classes: NDArray[Any] | None) -> list[str]:
    """Return a note on names and labels that a spreadsheet would compute."""
    labels = [] if classes is None else [label for label in classes.tolist() if isinstance(label, str)]
    found = [text for text in (*names, *labels) if text.startswith(FORMULA)]
    return [f"a spreadsheet would take this for a formula: {cut(found[0])!r}"] if found else []


def _by_name(names: Sequence[str], values: NDArray[Any]) -> dict[str, list[Any]]:
    """Return the columns of values (n,) or (n, k) by name."""
    return dict(zip(names, values.reshape(len(values), len(names)).T.tolist(), strict=True))


def to_csv(found: dict[str, list[Any]]) -> str:
    """Return columns as CSV text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found)
    writer.writerows(zip(*found.values(), strict=True))
    return text.getvalue()
