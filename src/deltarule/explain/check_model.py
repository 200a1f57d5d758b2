"""The gradient check of a model on a table, with the names of its columns, and how people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltarule.explain import check_gradient, subject
from deltarule.explain.check_gradient import MOST_ROWS, MOST_WEIGHTS, GradientCheck
from deltarule.explain.grids import Grid, number

if TYPE_CHECKING:
    from deltarule.model import Model


def model(
    model: Model,
    table: Any,
    *,
    weights: int = MOST_WEIGHTS,
    rows: int = MOST_ROWS,
    seed: int = 0,
    query: str | None = None,
    member: int = 0,
) -> GradientCheck:
    """Check the gradient of a model's loss over the rows of a table, at the model's weights.

    Parameters
    ----------
    model : Model
        What is checked; it does not change.
    table : table
        Rows that hold the targets too.
    weights, rows : int
        Weights of each layer and rows that are looked at, drawn by chance where there are more.
    seed : int
        Seed of what is drawn.
    query : str, optional
        The SQL to run where the table is a database file.
    member : int
        Which network of a model that is an ensemble.

    Returns
    -------
    GradientCheck
        A verdict for each layer, with the worst weight by name, its error and its bound.

    Raises
    ------
    InputError
        If the table does not fit the model.
    SettingError
        If a number is out of range.
    """
    found = subject.of(model, table, None, None, None, None, None, query, member)
    return check_gradient.gradient(
        found.objective, found.w, weights=weights, rows=rows, seed=seed, names=found.names
    )  # fmt: skip


def grids(check: GradientCheck) -> list[Grid]:
    """Return a check as tables: the verdict, a row for each layer, and the weights that are wrong."""
    over = f" over {check.rows:,} rows" if check.rows else ""
    verdict = "every gradient lies within its bound" if check.right else "NOT every gradient lies within its bound"
    title = f"Gradient of {len(check.weights):,} weights against {check.way}{over}: {verdict}"
    rows = [
        (
            layer.name, layer.verdict, f"{layer.checked:,}", f"{layer.kinks:,}", f"{layer.wrong:,}", layer.worst.name,
            number(abs(layer.worst.gradient - layer.worst.numeric)), number(layer.worst.bound),
        )
        for layer in check.layers
    ]  # fmt: skip
    header = ("layer", "verdict", "checked", "at a kink", "wrong", "nearest its bound", "off by", "allowed")
    wrong = [
        (one.name, number(one.gradient), number(one.numeric), number(one.bound))
        for one in check.weights
        if one.verdict == "wrong"
    ]
    shown = wrong[: check_gradient.MOST_SHOWN]
    left = f"and {len(wrong) - len(shown):,} more" if len(wrong) > len(shown) else ""
    tables = [Grid(title, header, rows, "\n".join(f"note: {note}" for note in check.notes))]
    if shown:
        tables.append(Grid("Wrong:", ("weight", "gradient", "numeric slope", "allowed"), shown, left))
    return tables
