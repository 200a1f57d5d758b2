"""What the commands that explain have in common: tables in the terminal, JSON, pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from deltarule.errors import InputError, SettingError
from deltarule.explain.grids import Grid, lines, natural_width
from deltarule.files import check_writable, write_atomically

PICTURES = (".png", ".svg", ".pdf")
DOTS = 150
"""Dots per inch of a picture."""


def print_grids(grids: Iterable[Grid]) -> None:
    """Print tables; where one is wider than the terminal, its names stand on lines of their own."""
    out = Console(markup=False, emoji=False, highlight=False)
    for number, grid in enumerate(grids):
        if number:
            click.echo()
        fits = any(grid.header) and natural_width(grid) <= out.width
        click.echo(_drawn(grid, out) if fits else "\n".join(lines(grid, out.width)))


def _drawn(grid: Grid, out: Console) -> str:
    """Return a table with a bold header, by rich."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(grid.header):
        table.add_column(name, justify="right" if i else "left")
    for row in grid.rows:
        table.add_row(*row)
    with out.capture() as captured:
        out.print(table)
    drawn = [line.rstrip() for line in captured.get().splitlines()]
    return "\n".join([*([grid.title] if grid.title else []), *drawn, *([grid.note] if grid.note else [])])


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on a line."""
    click.echo(json.dumps(content, allow_nan=False, ensure_ascii=False))


def check_picture(path: str | None, inputs: Iterable[str], option: str = "--picture") -> None:
    """Refuse, before any work, a picture that cannot be written, or that would be written over what is read."""
    if path is None:
        return
    if Path(path).suffix.lower() not in PICTURES:
        raise SettingError(f"{option} was {path!r}; give a name ending in {', '.join(PICTURES)}.")
    check_writable(path)
    if Path(path).resolve() in {Path(one).resolve() for one in inputs}:
        raise InputError(f"Cannot write {path!r}: it is another file of this command; give another name.")


def write_picture(path: str, draw: Callable[[], Any]) -> None:
    """Write the figure of the axes that `draw` returns, of the kind that the name says."""
    import matplotlib

    from deltarule.plots import literal

    matplotlib.use("Agg")
    picture = io.BytesIO()
    axes = draw()
    figure = axes.figure if hasattr(axes, "figure") else axes[0].figure
    literal(figure)
    figure.savefig(picture, dpi=DOTS, format=Path(path).suffix[1:].lower())
    write_atomically(path, picture.getvalue())
