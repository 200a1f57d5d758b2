"""What people see in a terminal: the progress bar, the report after training, tables of predictions.

Progress goes to stderr, results to stdout. Only cli.py uses this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from deltarule.fitting import Progress
    from deltarule.model import Model

REFRESH_SECONDS = 0.1
WIDEST_CONFUSION = 12
"""A confusion table of more classes is not printed; `--json` has it."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """Yield an observer that draws a bar with loss, validation loss and time left on stderr, or None."""
    if quiet:
        yield None
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=err, transient=not sys.stderr.isatty(), refresh_per_second=5) as bar:
        task = bar.add_task("training", total=None, figures="")
        drawn = 0.0

        def draw(progress: Progress) -> None:
            nonlocal drawn
            record = progress.record
            if record.seconds - drawn < REFRESH_SECONDS and record.step:
                return
            drawn = record.seconds
            checked = "" if record.validation_loss is None else f"  validation {record.validation_loss:.4g}"
            bar.update(
                task,
                description=f"run {progress.run + 1}/{progress.runs}" if progress.runs > 1 else "training",
                total=progress.max_steps * progress.runs,
                completed=progress.run * progress.max_steps + record.step,
                figures=f"step {record.step}  loss {record.loss:.4g}{checked}",
            )

        yield draw
        bar.update(task, completed=1, total=1)


def print_model(model: Model) -> None:
    """Print what a model is and how it came to be."""
    about = model.training
    names = [activation.name for activation in model.network.activations]
    shape = " - ".join(str(size) for size in model.network.sizes)
    rows = ", ".join(f"{count:,} {part}" for part, count in about.rows.items())
    facts = [
        ("target", ", ".join(model.encoding.target_names) + f" ({model.task})"),
        ("inputs", f"{len(model.encoding.columns)} columns as {model.network.n_in} numbers"),
        ("network", f"{shape}, {' '.join(names)}, {model.network.n_weights:,} weights"),
        ("loss", f"{model.loss}, l2 {about.l2:g}"),
        ("method", f"{about.method}, {about.steps:,} steps, {about.seconds:.2f} s, seed {about.seed}"),
        ("rows", rows),
        ("ended", about.reason),
    ]
    grid = Table.grid(padding=(0, 2))
    for name, value in facts:
        grid.add_row(name, escape(value))
    out.print(grid)
    for note in about.notes:
        out.print(f"note  {escape(note)}")


def print_training(model: Model) -> None:
    """Print the scores on rows held out, on training rows, and of the baseline."""
    held_out = next(iter(model.training.scores))
    scores = {
        f"{held_out} rows": model.training.scores[held_out],
        "training rows": model.training.scores["training"],
        "baseline": model.training.baseline,
    }
    print_scores(scores)
    guess = "the training mean" if model.task == "regression" else "the commonest class, with the classes' shares"
    out.print(f"baseline: always {guess}, on the {held_out} rows")
    print_confusion(model.training.scores[held_out])


def print_scores(columns: dict[str, dict[str, Any]]) -> None:
    """Print scores side by side."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("score")
    for title in columns:
        table.add_column(title, justify="right")
    names = [name for name, value in next(iter(columns.values())).items() if not isinstance(value, list)]
    for name in names:
        values = [column[name] for column in columns.values()]
        table.add_row(name.replace("_", " "), *("undefined" if value is None else f"{value:.4g}" for value in values))
    out.print(table)


def print_confusion(scores: dict[str, Any]) -> None:
    """Print observed against predicted classes, if there are few."""
    classes = scores.get("classes")
    if not classes or len(classes) > WIDEST_CONFUSION:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title="observed \\ predicted", title_justify="left")
    table.add_column("")
    for label in classes:
        table.add_column(escape(str(label)), justify="right")
    for label, row in zip(classes, scores["confusion"], strict=True):
        table.add_row(escape(str(label)), *(str(count) for count in row))
    out.print(table)


def print_rows(header: list[str], rows: list[list[str]]) -> None:
    """Print a plain table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(escape(name))
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)
