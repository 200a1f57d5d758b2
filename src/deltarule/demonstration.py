"""The main job, once, on a real table: what `deltarule demo` runs.

The table is a classic: the Wisconsin breast cancer data that scikit-learn bundles, 569 tumours with 30
measurements each, written out as CSV with its column names. Six rows are kept out of it to predict in the end.
Everything after that is what a user types.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

from deltarule.errors import InputError
from deltarule.files import write_atomically

TABLE, MODEL, TARGET = "breast_cancer.csv", "breast_cancer.deltarule", "diagnosis"
HIDDEN = "16"
"""The default might find that no hidden layer does as well; a demonstration of a network has one."""
KEPT_OUT = (46, 140, 222, 297, 385, 480)
"""Rows that no training sees: four benign tumours and two malignant ones, not all of them easy."""
DIGITS = 4
"""Significant digits of the probabilities shown; files have them all."""


def run(folder: Path, seed: int, as_json: bool) -> None:
    """Write the table, train on it, and predict some of its rows.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    from deltarule import terminal
    from deltarule.cli import train
    from deltarule.model import load
    from deltarule.predictions import columns, to_csv

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} cannot be made: {error.strerror}.") from None
    table, model, few = folder / TABLE, folder / MODEL, folder / "some_rows.csv"
    header, *rows = _rows()
    write_atomically(table, _csv([header, *(row for i, row in enumerate(rows) if i not in KEPT_OUT)]))
    write_atomically(few, _csv([header, *(rows[i] for i in KEPT_OUT)]))
    deltarule = terminal.command()
    command = f"{deltarule} train {table} --target {TARGET} --hidden {HIDDEN} --seed {seed} -o {model}"
    if not as_json:
        click.echo(f"$ {command}\n")
    arguments = [str(table), "--target", TARGET, "--hidden", HIDDEN, "--seed", str(seed), "-o", str(model)]
    train.main([*arguments, *(["--json"] if as_json else [])], standalone_mode=False)
    if as_json:
        return
    click.echo(f"\n$ {deltarule} predict {model} {few} --proba\n")
    found, _ = columns(load(model), few, None, proba=True)
    click.echo(to_csv({name: [_short(cell) for cell in cells] for name, cells in found.items()}), nl=False)
    observed = ", ".join(rows[i][-1] for i in KEPT_OUT)
    click.echo(f"\nThese rows were kept out of the table; observed: {observed}. (Rounded here.)")
    click.echo(
        "\nWhat to type next:\n"
        f"  {deltarule} info {model}\n      what the model is\n"
        f"  {deltarule} train {table} -t {TARGET} -m online\n      the same by online backpropagation\n"
        f"  {deltarule} methods\n      all methods\n"
        f"  {deltarule} train YOUR.csv --target COLUMN -o YOUR.deltarule\n      your own table"
    )


def _short(cell: Any) -> Any:
    return f"{cell:.{DIGITS}g}" if isinstance(cell, float) else cell


def _rows() -> list[list[str]]:
    """Return the table as text, header first."""
    from sklearn.datasets import load_breast_cancer  # type: ignore[import-untyped]

    data = load_breast_cancer()
    header = [name.replace(" ", "_") for name in data.feature_names] + [TARGET]
    labels = [str(data.target_names[code]) for code in data.target]
    rows = [[repr(float(x)) for x in row] + [label] for row, label in zip(data.data, labels, strict=True)]
    return [header, *rows]


def _csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
