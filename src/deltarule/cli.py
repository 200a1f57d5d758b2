"""The command line: ``deltarule COMMAND``. Exit status 0 done, 1 failed while working, 2 wrong use or bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from deltarule.errors import DeltaruleError, InputError, SettingError

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class Group(click.Group):
    """Commands in the order a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of definition."""
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deltarule", message="%(prog)s %(version)s")
def deltarule() -> None:
    """Train feed-forward neural networks on tables, and see why every weight moved."""


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout and nothing else.")
seed_option = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Split, initial weights, row orders."
)
query_option = click.option("--query", help="SQL to run where TABLE is a database file.")


@deltarule.command()
@click.option("--folder", default="deltarule-demo", show_default=True, help="Where the table and the model go.")
@seed_option
@as_json
def demo(folder: str, seed: int, as_json: bool) -> None:
    """Train on a real table, score held-out rows, predict some."""
    from deltarule import demonstration

    demonstration.run(Path(folder), seed, as_json)


@deltarule.command()
@click.argument("table")
@click.option("-t", "--target", "targets", multiple=True, required=True, help="Column to predict; repeat for several.")
@click.option("-o", "--output", default=None, help="Model file to write.")
@click.option("-m", "--method", default="auto", show_default=True, help="See `deltarule methods`.")
@click.option("--hidden", default=None, help="Widths of hidden layers, as in 32,16; 0 for none.")
@click.option("--activation", default="tanh", show_default=True, help="Hidden activation, or one a layer: tanh,relu.")
@click.option("--loss", default=None, help="What is made small; by default squared error or cross-entropy.")
@click.option("--task", type=click.Choice(["regression", "classification"]), help="Found from the target if not given.")
@click.option("--inputs", default=None, help="Columns to predict from, separated by commas; default all others.")
@click.option("--exclude", multiple=True, help="Column not to use; repeat for several.")
@click.option("--l2", default="auto", show_default=True, help="Penalty on the squared weights, or auto.")
@click.option("--scaling", default="standard", show_default=True, help="standard, minmax, robust or none.")
@click.option("--split", "split_by", default="random", show_default=True, help="random, order or column:NAME.")
@click.option("--fractions", default="70,15,15", show_default=True, help="Shares of training, validation, test rows.")
@click.option("--epochs", "--steps", "max_steps", type=int, default=None, help="Steps at most; online, a step is an epoch.")
@click.option("--max-seconds", type=float, default=None, help="Seconds at most for each run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting of the method, as in learning_rate=0.05.")
@click.option("--curve", default=None, help="Picture of the learning curve to write (.png, .svg, .pdf).")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@query_option
@seed_option
@as_json
def train(
    table: str, targets: tuple[str, ...], output: str | None, hidden: str | None, activation: str, inputs: str | None,
    l2: str, fractions: str, settings: tuple[str, ...], curve: str | None, quiet: bool, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Train a network on TABLE (.csv .tsv .parquet .jsonl, or a database with --query)."""
    from deltarule.files import check_writable
    from deltarule.fitting import fit
    from deltarule.terminal import progress_bar

    for path in (output, curve):
        if path is not None:
            check_writable(path)
    activations = activation.split(",")
    with progress_bar(quiet) as observe:
        model = fit(
            table,
            list(targets),
            hidden=None if hidden is None else _widths(hidden),
            activation=activations[0] if len(activations) == 1 else activations,
            inputs=None if inputs is None else [name.strip() for name in inputs.split(",")],
            l2=l2 if l2 == "auto" else _number("--l2", l2),
            fractions=_fractions(fractions),
            settings=dict(_setting(text) for text in settings),
            observe=observe,
            **given,
        )
    if output is not None:
        model.save(output)
    if curve is not None:
        _draw_curve(model, curve)
    _report_training(model, output, as_json)


@deltarule.command()
@click.argument("model")
@click.argument("table")
@click.option("-o", "--output", default=None, help="CSV file to write; stdout unless given.")
@click.option("--proba", is_flag=True, help="Add the probability of each class.")
@query_option
@as_json
def predict(model: str, table: str, output: str | None, proba: bool, query: str | None, as_json: bool) -> None:
    """Predict the rows of TABLE with a MODEL file."""
    from deltarule.files import check_writable, write_atomically
    from deltarule.model import load
    from deltarule.predictions import columns, to_csv

    if output is not None:
        check_writable(output)
    loaded = load(model)
    found, notes = columns(loaded, table, query, proba)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if output is not None:
        write_atomically(output, to_csv(found).encode())
    if as_json:
        _print_json({"rows": len(next(iter(found.values()))), "output": output, "notes": notes, "predictions": found})
    elif output is None:
        click.echo(to_csv(found), nl=False)
    else:
        click.echo(f"{len(next(iter(found.values()))):,} rows predicted, written to {output}")


@deltarule.command()
@click.argument("model")
@click.argument("table")
@query_option
@as_json
def evaluate(model: str, table: str, query: str | None, as_json: bool) -> None:
    """Score a MODEL file on a TABLE that holds the targets too."""
    from deltarule.model import load

    scores = load(model).evaluate(table, query).to_dict()
    if as_json:
        _print_json(scores)
        return
    from deltarule.terminal import print_confusion, print_scores

    print_scores({Path(table).name: scores})
    print_confusion(scores)


@deltarule.command()
@as_json
def methods(as_json: bool) -> None:
    """List the training methods, their settings and other names."""
    from deltarule.methods.table import rows

    if as_json:
        _print_json({"methods": [row._asdict() for row in rows()]})
        return
    from deltarule.terminal import print_rows

    listed = [[row.name, row.summary, ", ".join(row.aliases)] for row in rows()]
    print_rows(["method", "what it does", "also known as"], listed)
    click.echo("\nSettings: deltarule methods --json; set one with `deltarule train --set NAME=VALUE`.")


@deltarule.command()
@click.argument("model")
@as_json
def info(model: str, as_json: bool) -> None:
    """Say what a MODEL file holds."""
    from dataclasses import asdict

    from deltarule.model import load

    loaded = load(model)
    if as_json:
        _print_json(
            {
                "sizes": loaded.network.sizes,
                "activations": [activation.name for activation in loaded.network.activations],
                "loss": str(loaded.loss),
                "task": loaded.task,
                "targets": loaded.encoding.target_names,
                "inputs": loaded.encoding.input_names,
                "training": asdict(loaded.training),
            }
        )
        return
    from deltarule.terminal import print_model, print_training

    print_model(loaded)
    print_training(loaded)


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        deltarule(standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_BAD_INPUT)
    except DeltaruleError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BAD_INPUT if isinstance(error, InputError) else EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(EXIT_FAILED)
    except MemoryError:
        click.echo("Error: The memory of this machine is not enough for this table and network.", err=True)
        sys.exit(EXIT_FAILED)


def _report_training(model: Any, output: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        _print_json({"model": output, "sizes": model.network.sizes, "task": model.task, **asdict(model.training)})
        return
    from deltarule.terminal import print_model, print_training

    print_model(model)
    click.echo()
    print_training(model)
    if output is not None:
        click.echo(f"\nsaved to {output}; next: deltarule predict {output} TABLE")


def _draw_curve(model: Any, path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from deltarule.plots import learning_curve

    try:
        learning_curve(model.history).figure.savefig(path, dpi=150)
    except ValueError as error:
        raise SettingError(f"The picture {path!r} was not drawn: {error}") from None


def _widths(text: str) -> tuple[int, ...]:
    if text.strip() in ("0", "none", ""):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"--hidden was {text!r}; give widths such as 32,16, or 0 for none.") from None


def _fractions(text: str) -> tuple[float, float, float]:
    parts = [_number("--fractions", part) for part in text.replace("/", ",").split(",")]
    total = sum(parts)
    if len(parts) != 3 or total <= 0:
        raise SettingError(f"--fractions was {text!r}; give three shares such as 70,15,15.")
    return parts[0] / total, parts[1] / total, parts[2] / total


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SettingError(f"{option} was {text!r}; a number is needed.") from None


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set was {text!r}; give NAME=VALUE, as in learning_rate=0.05.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _print_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps(content, allow_nan=False, ensure_ascii=False))
