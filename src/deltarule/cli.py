"""The command line: ``deltarule COMMAND``. Exit status 0 done, 1 failed while working, 2 wrong use or bad input."""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from deltarule import options
from deltarule.commands.compare import compare
from deltarule.errors import DeltaruleError, InputError, unknown
from deltarule.printing import plainly, write_exactly

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class Group(click.Group):
    """Commands in the order a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of definition."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return a command; of an unknown name the error offers the nearest."""
        if cmd_name not in self.commands:
            raise unknown("command", cmd_name, self.commands)
        return self.commands[cmd_name]


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deltarule", message="%(prog)s %(version)s")
def deltarule() -> None:
    """Train feed-forward neural networks on tables, and see why every weight moved."""


@deltarule.command()
@click.option("--folder", default="deltarule-demo", show_default=True, help="Where the table and the model go.")
@options.seed
@options.as_json
def demo(folder: str, seed: int, as_json: bool) -> None:
    """Train on a real table, score held-out rows, predict some."""
    from deltarule import demonstration

    demonstration.run(Path(folder), seed, as_json)


@deltarule.command()
@click.argument("table")
@options.TARGET
@click.option("-o", "--output", metavar="FILE", help="Model file to write.")
@click.option("-m", "--method", default="auto", show_default=True, help="See `deltarule methods`.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    callback=options.read_as(options.settings),
    help="Setting of the method, as in learning_rate=0.05.",
)
@click.option(
    "--l2",
    default="auto",
    show_default=True,
    callback=options.read_as(options.penalty),
    help="Penalty on the squared weights; auto trains several times to find one.",
)
@click.option(
    "--epochs", "--steps", "max_steps", type=int, metavar="N", help="Steps at most; online, a step is an epoch."
)
@options.max_seconds
@click.option(
    "--restarts", type=int, default=1, show_default=True, metavar="K", help="Runs from so many seeds; the best is kept."
)
@click.option(
    "--ensemble", type=int, default=1, show_default=True, metavar="K", help="Networks whose mean is the prediction."
)
@click.option(
    "--error-bars/--no-error-bars",
    default=None,
    help="Keep what `predict --std` needs; small networks for numbers do unless told not to.",
)
@click.option("--curve", metavar="FILE", help="Picture of the learning curve to write (.png, .svg, .pdf).")
@click.option("--run", metavar="DIR", help="Folder that keeps the run, for `deltarule resume DIR`.")
@options.every
@options.of_tables
@options.quiet
@options.seed
@options.as_json
def train(
    table: str, output: str | None, curve: str | None, run: str | None, every: float, quiet: bool, as_json: bool,
    **given: Any,
) -> None:  # fmt: skip
    """Train a network on a TABLE and save it.

    TABLE is a .csv, .tsv, .parquet or .jsonl file, or a database with --query. Rows are divided into training,
    validation and test rows; the report is on test rows, which the training has not seen.
    """
    from deltarule.checkpoint import Checkpoint
    from deltarule.commands.finishing import check_outputs, check_picture, finish
    from deltarule.fitting import fit
    from deltarule.interrupts import sigterm_raises
    from deltarule.terminal import progress_bar

    check_outputs([output, curve], [table])
    check_picture("--curve", curve)
    checkpoint = None if run is None else Checkpoint(run, every, about={"output": output, "curve": curve})
    with sigterm_raises() as terminator, progress_bar(quiet) as observe:
        model = fit(table, observe=observe, interrupt="keep", checkpoint=checkpoint, **given)
    finish(model, output, curve, as_json, terminator.status, run)


deltarule.add_command(compare)


@deltarule.command()
@click.argument("model")
@click.argument("table")
@click.option("-o", "--output", metavar="FILE", help="CSV file to write; stdout unless given.")
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@click.option("--std", is_flag=True, help="Add the standard deviation of observations around each number.")
@options.query
@options.as_json
def predict(
    model: str, table: str, output: str | None, proba: bool, std: bool, query: str | None, as_json: bool
) -> None:
    """Predict the rows of TABLE with a MODEL file."""
    from deltarule.commands.finishing import check_outputs
    from deltarule.files import write_atomically
    from deltarule.model import load
    from deltarule.predictions import columns, to_csv

    check_outputs([output], [model, table])
    found, notes = columns(load(model), table, query, proba, std)
    n_rows = len(next(iter(found.values())))
    _print_notes(notes)
    if output is not None:
        write_atomically(output, to_csv(found).encode())
    if as_json:
        _print_json(
            {"model": model, "table": table, "rows": n_rows, "output": output, "notes": notes, "predictions": found}
        )
    elif output is None:
        write_exactly(to_csv(found))
    else:
        click.echo(f"{n_rows:,} rows predicted, written to {output}")


@deltarule.command()
@click.argument("model")
@click.argument("table")
@options.query
@options.as_json
def evaluate(model: str, table: str, query: str | None, as_json: bool) -> None:
    """Score a MODEL file on a TABLE that holds the targets too."""
    from deltarule.model import load

    loaded = load(model)
    X, T, notes = loaded.encoded(table, query)
    scores = loaded.score(X, T).to_dict()
    _print_notes(notes)
    if as_json:
        about = {"model": model, "table": table, "task": loaded.task, "rows": len(X)}
        _print_json({**about, "scores": scores, "notes": notes})
        return
    from deltarule.terminal import print_confusion, print_scores

    print_scores({f"{len(X):,} rows": scores})
    print_confusion(scores)


@deltarule.command()
@click.argument("names", nargs=-1)
@options.as_json
def methods(names: tuple[str, ...], as_json: bool) -> None:
    """List the training methods, their settings and other names.

    With NAMES those alone, an alias such as traincgf with the settings that it stands for.
    """
    from deltarule.methods.table import rows

    listed = rows(names)
    if as_json:
        _print_json({"methods": [row._asdict() for row in listed]})
        return
    from deltarule.terminal import print_methods

    print_methods(listed)
    click.echo("Use one: deltarule train TABLE -t COLUMN -m METHOD --set NAME=VALUE")


@deltarule.command()
@click.argument("model", required=False)
@click.option("--engine", is_flag=True, help="Say what computes on this machine.")
@options.as_json
def info(model: str | None, engine: bool, as_json: bool) -> None:
    """Say what a MODEL file holds, or with --engine what computes."""
    if engine == (model is not None):
        raise click.UsageError("Give a MODEL file, or --engine.")
    if model is None:
        _print_engine(as_json)
        return
    from deltarule.commands.finishing import print_model
    from deltarule.model import load

    print_model(load(model), model, as_json)


def _add_explanations() -> None:
    from deltarule.commands.check import check
    from deltarule.commands.diagnose import diagnose
    from deltarule.commands.explain import explain
    from deltarule.commands.resume import resume
    from deltarule.commands.why import why

    deltarule.add_command(resume)
    deltarule.add_command(explain)
    deltarule.add_command(why)
    deltarule.add_command(check)
    deltarule.add_command(diagnose)


_add_explanations()


@plainly()
def main() -> None:
    """Run the command line and exit with its status."""
    warnings.showwarning = _print_warning  # type: ignore[assignment]  # the place says nothing to a user
    try:
        deltarule(prog_name="deltarule", standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        advice = f" See {context.command_path} --help." if context else ""
        said = error.format_message().rstrip(".")
        click.echo(f"Error: {said}{'' if said.endswith('?') else '.'}{advice}", err=True)
        sys.exit(EXIT_BAD_INPUT)
    except DeltaruleError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # a reader that has seen enough is no error
            click.echo(f"Error: The system reports: {error.strerror or error}.", err=True)
        with suppress(io.UnsupportedOperation):  # where stdout is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit would fail again
        sys.exit(EXIT_FAILED)
    except MemoryError:
        click.echo("Error: The memory of this machine is not enough for this table and network.", err=True)
        sys.exit(EXIT_FAILED)


def _print_notes(notes: list[str]) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)


def _print_engine(as_json: bool) -> None:
    from deltarule import engines
    from deltarule.compiled import kernels
    from deltarule.engines import native

    compiled = kernels()
    if not as_json:
        click.echo(engines.in_use())
        return
    found: dict[str, Any] = {"engine": "array", "library": "NumPy"}
    if compiled is not None:
        found = {"engine": "native", "instructions": compiled.isa(), "threads": native.n_threads()}
    _print_json(found)


def _print_warning(message: Warning | str, *place: object) -> None:
    click.echo(f"note: {message}", err=True)


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, allow_nan=False, ensure_ascii=False))
