"""``deltarule compare``: methods raced on the same rows from the same weights."""

from __future__ import annotations

import sys
from typing import Any

import click

from deltarule import options


@click.command("compare")
@click.argument("table")
@options.TARGET
@click.option(
    "-m",
    "--methods",
    metavar="METHODS",
    multiple=True,
    callback=options.read_as(options.labelled_methods),
    help="Methods, separated by commas; LABEL=METHOD calls one otherwise. All of `deltarule methods` if not given.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="METHOD.NAME=VALUE",
    callback=options.read_as(options.labelled_settings),
    help="Setting of a method, as in online.learning_rate=0.05.",
)
@click.option("--max-passes", type=float, metavar="PASSES", help="Passes over the rows for each run; default 1000.")
@options.max_seconds
@click.option("--seeds", type=int, default=3, show_default=True, help="Starts: initial weights of their own each.")
@click.option("--goal", type=float, metavar="LOSS", help="Training loss to reach; by default one that most reach.")
@click.option("--l2", type=float, default=0.0, show_default=True, help="Penalty on the squared weights.")
@click.option("--picture", metavar="FILE", help="Picture of the losses to write (.png, .svg, .pdf).")
@options.of_tables
@options.quiet
@options.seed
@options.as_json
def compare(table: str, picture: str | None, quiet: bool, as_json: bool, **given: Any) -> None:
    """Race methods on a TABLE: same rows, network and initial weights.

    Each run has the same passes over the training rows, or the same seconds, whatever its loss. The table has the
    losses at the end, and what it took to reach a common training loss, the goal.
    """
    from deltarule.commands.finishing import check_outputs, check_picture, draw, print_json
    from deltarule.comparing import compare as race
    from deltarule.interrupts import sigterm_raises
    from deltarule.terminal import progress_bar, shown_race

    check_outputs([picture], [table])
    check_picture("--picture", picture)
    with sigterm_raises() as terminator, progress_bar(quiet, shown_race) as observe:
        found = race(table, observe=observe, interrupt="keep", **given)
    if picture is not None:
        draw(picture, lambda: found.plot()[0].figure)
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(str(found))
    if found.interrupted:
        click.echo("Interrupted: this is what was raced so far.", err=True)
        sys.exit(terminator.status)
