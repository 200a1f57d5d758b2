"""The table of a race as text: the losses at the end, and the way to the goal."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltarule.comparison import Comparison, Row, Spread

WIDTH = 79
DIGITS = 4
"""Significant digits of a number."""
BEST, NONE = "*", "–"
EXPLAINED = (
    f"{BEST} is the best of its column. Losses are medians over the starts; a spread is the largest minus the "
    "smallest. Passes and seconds are medians of the runs that reached the goal; the best is among the methods that "
    "reached it most often."
)


def text(comparison: Comparison) -> str:
    """Return the whole of it as lines of at most 79 characters, unless labels are long."""
    rows, goal = comparison.rows, comparison.goal
    labels = [row.label for row in rows]
    aim = "There is no goal: no method came below the loss of the start."
    if goal is not None:
        aim = f"Goal: training loss {_number(goal)}, {comparison.goal_from}."
    losses = [
        _numbers("training loss", [row.loss.median for row in rows]),
        _spreads([row.loss for row in rows]),
        _numbers("validation loss", [row.validation_loss.median for row in rows]),
        _spreads([row.validation_loss for row in rows]),
    ]
    parts = [
        *_about(comparison),
        "",
        *_table("at the end", labels, losses),
        "",
        _wrapped(aim),
        *_table("to the goal", labels, _way(rows), ["ended", *(counted(row.ended) for row in rows)]),
        "",
        _wrapped(EXPLAINED),
        *(_wrapped(f"{row.label}: {_trouble(row)}") for row in rows if _trouble(row)),
        *(_wrapped(f"note: {note}") for note in comparison.notes),
    ]
    if comparison.interrupted:
        parts.append("The race was ended early: this is what there is so far.")
    return "\n".join(parts)


def counted(ended: dict[str, int]) -> str:
    """Return why runs ended, each reason with its number."""
    return ", ".join(f"{why} ({n})" for why, n in ended.items()) or "not begun"


def _about(comparison: Comparison) -> list[str]:
    """Return what all runs had in common."""
    about = comparison.about
    rows, starts, seed = about["rows"], about["starts"], about["seed"]
    seeds = f"{starts} starts, seeds {seed} to {seed + starts - 1}" if starts > 1 else f"1 start, seed {seed}"
    limits = [
        f"{limit:,g} {unit}"
        for limit, unit in ((about["max_passes"], "passes"), (about["max_seconds"], "seconds"))
        if limit is not None
    ]
    shape, names = "-".join(map(str, about["sizes"])), " ".join(about["activations"])
    return [
        _wrapped(f"{', '.join(about['targets'])} of {about['table']}: {rows['training']:,} training rows, "
                 f"{rows['validation']:,} validation rows"),
        _wrapped(f"network {shape}, {names}; {about['loss']}, l2 {about['l2']:g}"),
        _wrapped(f"{seeds}; each run up to {' or '.join(limits)}"),
    ]  # fmt: skip


def _way(rows: Sequence[Row]) -> list[list[str]]:
    """Return the columns of the way to the goal, the best marked among those that reached it most often."""
    shares = [row.share for row in rows]
    columns = [_numbers("reached", [-share for share in shares], [f"{row.reached}/{len(row.runs)}" for row in rows])]
    for name in ("passes", "seconds"):
        values = [getattr(row, name) for row in rows]
        eligible = [value if share == max(shares) else None for value, share in zip(values, shares, strict=True)]
        columns.append(_numbers(name, eligible, [_number(value) for value in values]))
    return columns


def _trouble(row: Row) -> str:
    """Return the message of the first run that came to nothing, if any."""
    return next((run.message for run in row.runs if not isfinite(run.loss)), "")


def _numbers(header: str, values: Sequence[float | None], shown: Sequence[str] | None = None) -> list[str]:
    """Return a column: its header, then the values, the smallest marked unless all are the same.

    What is not a finite number is a dash. `shown` says how to write the values, if not as numbers.
    """
    numbers = [_number(value) for value in values]
    known = {number: float(number) for number in numbers if number != NONE}  # alike if they look alike
    best = min(known, key=lambda number: known[number]) if len(set(numbers)) > 1 else ""
    cells = [f"{cell}{BEST if number == best else ' '}" for cell, number in zip(shown or numbers, numbers, strict=True)]
    return [f"{header} ", *cells]


def _spreads(losses: Sequence[Spread]) -> list[str]:
    """Return a column of how far losses lie apart, with two digits; none is the best."""
    apart = [loss.high - loss.low if isfinite(loss.low) else inf for loss in losses]
    return ["spread", *(f"{value:.2g}" if isfinite(value) else NONE for value in apart)]


def _number(value: float | None) -> str:
    return NONE if value is None or not isfinite(value) else f"{value:.{DIGITS}g}"


def _table(title: str, labels: Sequence[str], columns: Sequence[Sequence[str]], last: Sequence[str] = ()) -> list[str]:
    """Return lines: labels to the left, columns to the right, and a last one to the left."""
    first = [title, *labels]
    widths = [max(map(len, column)) for column in (first, *columns)]
    lines = []
    for i, label in enumerate(first):
        cells = [f"{column[i]:>{width}}" for column, width in zip(columns, widths[1:], strict=True)]
        lines.append("  ".join([f"{label:{widths[0]}}", *cells, *last[i : i + 1]]).rstrip())
    return lines


def _wrapped(line: str) -> str:
    return fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
