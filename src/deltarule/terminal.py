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
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table

from deltarule.printing import unwrapped

if TYPE_CHECKING:
    from deltarule.comparing import Lap
    from deltarule.methods.table import Row
    from deltarule.model import Model
    from deltarule.provenance import Training
    from deltarule.record import Record
    from deltarule.runs import Progress

Observer = Callable[[Any], None]
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
MOST_RUNS = 20
"""So many runs are printed; `--json` has all."""
IN_UNITS = ("rmse", "mae")
"""Scores in the target's units, which can be large or small; the others have four decimals."""


def command() -> str:
    """Return how this program is typed here: by its name, or by its place where the shell does not find it."""
    if shutil.which("deltarule"):
        return "deltarule"
    place = Path(sys.executable).parent / "deltarule"
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


class Shown(NamedTuple):
    """What a progress bar shows: what is going on, how far it is, from 0 to 1, and figures."""

    what: str
    share: float
    figures: str


def shown_training(progress: Progress) -> Shown:
    """Return what is shown of `fit`."""
    what = f"run {progress.run + 1}/{progress.runs}" if progress.runs > 1 else "training"
    share = min(1.0, progress.record.step / progress.max_steps)
    return Shown(what, (progress.run + share) / progress.runs, _figures(progress.record))


def shown_race(lap: Lap) -> Shown:
    """Return what is shown of `compare`."""
    what = f"run {lap.run + 1}/{lap.runs} {lap.label}"
    return Shown(what, (lap.run + lap.share) / lap.runs, _figures(lap.record))


@contextmanager
def progress_bar(quiet: bool, shown: Callable[[Any], Shown] = shown_training) -> Iterator[Observer | None]:
    """Yield an observer that shows loss, validation loss and time left on stderr, or None."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _lines(shown)
    else:
        with _bar(shown) as draw:
            yield draw


@contextmanager
def _bar(shown: Callable[[Any], Shown]) -> Iterator[Observer]:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=30),
        TextColumn("{task.fields[figures]}", markup=False), TimeRemainingColumn(),
    )  # fmt: skip
    with Bar(*columns, console=Console(file=unwrapped(sys.stderr)), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task("reading", total=None, figures="")
        drawn = -REFRESH_SECONDS

        def draw(progress: Any) -> None:
            nonlocal drawn
            now = perf_counter()
            if now - drawn >= REFRESH_SECONDS:
                drawn = now
                what, share, figures = shown(progress)
                furthest = max(share, bar.tasks[0].completed)  # of runs that are side by side
                bar.update(task, description=what, total=1.0, completed=furthest, figures=figures)

        yield draw


def _lines(shown: Callable[[Any], Shown]) -> Observer:
    told = perf_counter()

    def tell(progress: Any) -> None:
        nonlocal told
        now = perf_counter()
        if now - told >= LINE_SECONDS:
            told = now
            what, _, figures = shown(progress)
            click.echo(f"{what}  {figures}", err=True)

    return tell


def _figures(record: Record) -> str:
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
        ("network", f"{shape}, {' '.join(names)}, {model.network.n_weights:,} weights{_members(model)}"),
        ("loss", f"{model.loss}, l2 {about.l2:g}"),
        ("method", f"{about.method}, step {about.steps:,} kept, seed {about.seed}"),
        ("weights", f"sha256 {model.fingerprint}"),
        ("rows", ", ".join(f"{count:,} {part}" for part, count in about.rows.items())),
        ("ended", about.reason),
        *(("note", note) for note in about.notes),
        *([] if about.seconds is None else [("time", f"{about.seconds:.2f} s")]),
    ]
    for name, value in facts:
        _print_wrapped(value, f"{name:9}", " " * 9)
    if len(about.runs) > 1:
        click.echo()
        print_runs(about)


def print_runs(about: Training) -> None:
    """Print how each of several runs ended, and the odds of a good one."""
    from deltarule.provenance import GOOD

    columns = {"loss": "training loss", "objective": "with penalty", "validation_loss": "validation"}
    if not about.l2:
        del columns["objective"]
    shown = [name for name in columns if any(getattr(run, name) is not None for run in about.runs)]
    rows = [
        [
            str(run.seed),
            *(_loss(getattr(run, name)) for name in shown),
            f"{run.steps:,}",
            run.reason.lower().replace("_", " "),
            "kept" if run.kept else "",
        ]
        for run in about.runs[:MOST_RUNS]
    ]
    _print_table(["seed", *(columns[name] for name in shown), "steps", "ended", ""], rows)
    if len(about.runs) > MOST_RUNS:
        click.echo(f"and {len(about.runs) - MOST_RUNS:,} more runs, which --json has")
    of_what = "a validation loss" if "validation_loss" in shown else "an objective"
    if about.odds is not None:
        words = f"odds of a good run {about.odds:.0%}: so many have {of_what} at most {GOOD - 1:.0%} above the best"
        _print_wrapped(words)


def _members(model: Model) -> str:
    return f" in each of {len(model.members)} networks" if model.others else ""


def _loss(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


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
