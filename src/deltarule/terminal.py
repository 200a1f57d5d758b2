"""What people see in a terminal: the progress bar, the report after training, the list of methods.

Progress goes to stderr, results to stdout. Only cli.py uses this.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from deltarule.methods.table import Row
    from deltarule.model import Model
    from deltarule.selection import Progress

REFRESH_SECONDS = 0.1
LINE_SECONDS = 10.0
"""How often progress is told where stderr is no terminal, as in a log."""
WIDEST = 100
"""Running text is not wider, however wide the terminal is."""
WIDEST_CONFUSION = 12
"""A confusion table of more classes is not printed; `--json` has it."""
NAMES = {
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "exact": "every label right",
}
"""What scores are called."""
IN_UNITS = ("rmse", "mae")
"""Scores in the target's units, which can be large or small; the others have four decimals."""


def command() -> str:
    """Return how this program is typed here: by its name, or by its place where the shell does not find it."""
    if shutil.which("deltarule"):
        return "deltarule"
    place = Path(sys.executable).parent / "deltarule"
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Yield an observer that shows loss, validation loss and time left on stderr, or None."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _lines()
    else:
        with _bar() as draw:
            yield draw


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("reading", total=None, figures="")
        drawn = -REFRESH_SECONDS

        def draw(progress: Progress) -> None:
            nonlocal drawn
            now = perf_counter()
            if now - drawn >= REFRESH_SECONDS:
                drawn = now
                bar.update(
                    task,
                    description=_run(progress),
                    total=progress.max_steps * progress.runs,
                    completed=progress.run * progress.max_steps + progress.record.step,
                    figures=_figures(progress),
                )

        yield draw


def _lines() -> Callable[[Progress], None]:
    told = perf_counter()

    def tell(progress: Progress) -> None:
        nonlocal told
        now = perf_counter()
        if now - told >= LINE_SECONDS:
            told = now
            click.echo(f"{_run(progress)}  {_figures(progress)}", err=True)

    return tell


def _run(progress: Progress) -> str:
    return f"run {progress.run + 1}/{progress.runs}" if progress.runs > 1 else "training"


def _figures(progress: Progress) -> str:
    record = progress.record
    checked = "" if record.validation_loss is None else f"  validation {record.validation_loss:.4g}"
    return f"step {record.step}  loss {record.loss - record.penalty:.4g}{checked}"


def print_model(model: Model) -> None:
    """Print what a model is and how it came to be."""
    about = model.training
    names = [activation.name for activation in model.network.activations]
    shape = " - ".join(str(size) for size in model.network.sizes)
    n_columns = len(model.encoding.columns)
    facts = [
        ("target", ", ".join(model.encoding.target_names) + f" ({model.task})"),
        ("inputs", f"{n_columns} column{'s' if n_columns > 1 else ''} as {model.network.n_in} numbers"),
        ("network", f"{shape}, {' '.join(names)}, {model.network.n_weights:,} weights"),
        ("loss", f"{model.loss}, l2 {about.l2:g}"),
        ("method", f"{about.method}, step {about.steps:,} kept, {about.seconds:.2f} s, seed {about.seed}"),
        ("rows", ", ".join(f"{count:,} {part}" for part, count in about.rows.items())),
        ("ended", about.reason),
        *(("note", note) for note in about.notes),
    ]
    for name, value in facts:
        _print_wrapped(value, f"{name:9}", " " * 9)


def print_training(model: Model) -> None:
    """Print the scores on rows held out, on training rows, and of the baseline."""
    scores = model.training.scores
    held_out = next(part for part in scores if part != "training")
    columns = {
        f"{held_out} rows": scores[held_out],
        "training rows": scores["training"],
        "baseline": model.training.baseline,
    }
    print_scores(columns)
    guess = "the training mean" if model.task == "regression" else "the commonest class, with the classes' shares"
    click.echo(f"baseline: always {guess}, on the {held_out} rows")
    print_confusion(scores[held_out])


def print_scores(columns: dict[str, dict[str, Any]]) -> None:
    """Print scores side by side."""
    names = [name for name, value in next(iter(columns.values())).items() if not isinstance(value, list)]
    rows = [[NAMES[name], *(_score(name, column[name]) for column in columns.values())] for name in names]
    each = [column.get("each", []) for column in columns.values()]
    for scores in zip(*each, strict=True):
        about = scores[0]["target"]
        rows += [[f"{NAMES[name]} of {about}", *(_score(name, one[name]) for one in scores)] for name in names]
    _print_table(["score", *columns], rows)


def print_confusion(scores: dict[str, Any]) -> None:
    """Print observed against predicted classes, if there are few."""
    classes = [str(label) for label in scores.get("classes", [])]
    if not classes or len(classes) > WIDEST_CONFUSION:
        return
    click.echo("\nobserved \\ predicted")
    rows = zip(classes, scores["confusion"], strict=True)
    _print_table(["", *classes], [[label, *map(str, counts)] for label, counts in rows])


def print_methods(rows: Iterable[Row]) -> None:
    """Print each method with its settings and other names."""
    for row in rows:
        click.echo(row.name)
        _print_wrapped(row.summary, "  ")
        settings = ", ".join(f"{name}={_typed(value)}" for name, value in row.settings.items())
        _print_wrapped(f"settings: {settings}", "  ", " " * 12)
        _print_wrapped(f"also: {', '.join(row.aliases)}", "  ", " " * 8)
        click.echo()


def _typed(value: object) -> str:
    """Return a setting as one would type it after --set."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _score(name: str, value: float | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.4g}" if name in IN_UNITS else f"{round(value, 4) + 0.0:.4f}"  # + 0.0: no -0.0000


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print a table, the first column to the left, the others to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    out = Console(markup=False, emoji=False, highlight=False)
    with out.capture() as captured:
        out.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _print_wrapped(text: str, first: str = "", rest: str | None = None) -> None:
    width = min(WIDEST, Console().width)
    indent = first if rest is None else rest
    click.echo(textwrap.fill(text, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False))
