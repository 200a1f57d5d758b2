"""Small tables of text, for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

DIGITS = 4
"""Significant digits of a number that people read; `to_dict` and `frame` have all of them."""


class Grid(NamedTuple):
    """A table: what stands above it, its header, its cells, what stands below it; the first column is a name."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def number(value: float | None) -> str:
    """Return a number as people read it, with a minus as wide as a plus."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.{DIGITS}g}".replace("-", "−").replace("e−0", "e−").replace("e+0", "e+")


def share(value: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if value is None or np.isnan(value) else f"{100 * value:.3g} %"


def text(grids: Sequence[Grid], width: int | None = None) -> str:
    """Return tables as lines of text; where one is wider than `width`, its names stand on lines of their own."""
    return "\n\n".join("\n".join(lines(grid, width)) for grid in grids)


def lines(grid: Grid, width: int | None = None) -> list[str]:
    """Return a table as lines of text; see `text`."""
    written = [grid.title] if grid.title else []
    if grid.rows and width is not None and natural_width(grid) > width:
        short = [("", *grid.header[1:]), *(("", *row[1:]) for row in grid.rows)]
        head, *rest = _aligned(short, any(grid.header))
        written += [f"{grid.header[0]}", head]
        written += [line for row, numbers in zip(grid.rows, rest, strict=True) for line in (row[0], numbers)]
    elif grid.rows:
        written += _aligned([grid.header, *grid.rows] if any(grid.header) else list(grid.rows), any(grid.header))
    return written + ([grid.note] if grid.note else [])


def natural_width(grid: Grid) -> int:
    """Return how wide a table is if nothing is folded."""
    rows = [grid.header, *grid.rows] if any(grid.header) else grid.rows
    return sum(max(len(row[j]) for row in rows) + 2 for j in range(len(rows[0]))) - 2


def _aligned(rows: list[tuple[str, ...]], numbers: bool) -> list[str]:
    """Return rows as lines: names to the left, numbers to the right."""
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    written = []
    for row in rows:
        others = zip(row[1:], widths[1:], strict=True)
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) if numbers else cell for cell, width in others)]
        written.append("  ".join(cells).rstrip())
    return written


def html(grids: Sequence[Grid]) -> str:
    """Return tables as HTML; nothing in a cell is markup."""
    parts = []
    for grid in grids:
        parts.append(f"<p><b>{_escaped(grid.title)}</b></p>" if grid.title else "")
        if grid.rows:
            head = "".join(f"<th>{escape(cell)}</th>" for cell in grid.header)
            body = "".join(_html_row(row) for row in grid.rows)
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
        parts.append(f"<p>{_escaped(grid.note)}</p>" if grid.note else "")
    return f"<div class='deltarule'>{''.join(parts)}</div>"


def _html_row(row: tuple[str, ...]) -> str:
    first, *rest = row
    cells = "".join(f"<td style='text-align:right'>{escape(cell)}</td>" for cell in rest)
    return f"<tr><td style='text-align:left'>{escape(first)}</td>{cells}</tr>"


def _escaped(words: str) -> str:
    return escape(words).replace("\n", "<br>")
