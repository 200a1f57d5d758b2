"""Predictions as columns of a table, to print or to write as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

from deltarule.model import Model


def columns(model: Model, source: Any, query: str | None, proba: bool) -> tuple[dict[str, list[Any]], list[str]]:
    """Return predicted columns by name, as Python values, and notes on the table.

    Raises
    ------
    TableError
        If the table does not fit the model.
    SettingError
        If probabilities are asked of a regression.
    """
    Y, notes = model.outputs(source, query)
    answers = model.answers(Y)
    targets = model.encoding.target_names
    listed = [answers] if answers.ndim == 1 else list(answers.T)
    found = {name: values.tolist() for name, values in zip(targets, listed, strict=True)}
    if proba:
        probabilities = model.probabilities(Y)
        classes = model.encoding.classes
        names = targets if classes is None else [f"{targets[0]}={label}" for label in classes.tolist()]
        found |= {f"p({name})": column.tolist() for name, column in zip(names, probabilities.T, strict=True)}
    return found, notes


def to_csv(found: dict[str, list[Any]]) -> str:
    """Return columns as CSV text with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found)
    writer.writerows(zip(*found.values(), strict=True))
    return text.getvalue()
