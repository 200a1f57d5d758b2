"""``deltarule why``: the seed question on the user's table."""

from __future__ import annotations

from typing import Any

import click

from deltarule import options
from deltarule.errors import SettingError


def learning_rates(text: str) -> list[float]:
    """Return learning rates that are separated by commas."""
    rates = [options.number(part) for part in text.split(",")]
    if not all(0 < rate < float("inf") for rate in rates):
        raise SettingError(f"--rates was {text!r}; give numbers above 0, as in 0.1,0.5,2.")
    return rates


@click.command("why")
@click.argument("table")
@options.TARGET
@click.option(
    "--hidden", metavar="WIDTHS", callback=options.read_as(options.widths), help="Widths of hidden layers, as in 6,6."
)
@click.option("--activation", default="logistic", show_default=True, help="What hidden neurons do.")
@click.option(
    "--rates", default="0.1,0.5,2", show_default=True, callback=options.read_as(learning_rates), help="Learning rates."
)
@click.option("--seeds", type=int, default=20, show_default=True, help="Starts that each rule is trained from.")
@click.option("--epochs", type=int, metavar="N", help="Passes over the rows; by default about 8,000 updates.")
@click.option("--batch", is_flag=True, help="One step an epoch instead of one a row.")
@click.option("--init", default="uniform", show_default=True, help="How initial weights are drawn: uniform is ±0.5.")
@click.option("--task", metavar="TASK", help="regression or classification; found from the target if not given.")
@click.option(
    "--inputs", metavar="COLUMNS", callback=options.read_as(options.names),
    help="Columns to predict from, separated by commas; default all others.",
)  # fmt: skip
@click.option("--exclude", metavar="COLUMN", multiple=True, help="Column not to use; repeat for several.")
@click.option("--picture", metavar="FILE", help="Picture of the losses to write (.png, .svg, .pdf).")
@options.query
@options.seed
@options.as_json
def why(table: str, batch: bool, picture: str | None, as_json: bool, **given: Any) -> None:
    """Show on a TABLE why to multiply by the derivative.

    Networks with logistic outputs are trained with the gradient and with rules that leave the derivative out, from the
    same starts. The answer is a list of facts, each with the numbers of this table.
    """
    from deltarule.commands.showing import check_picture, print_grids, print_json, write_picture
    from deltarule.explain import why_telling
    from deltarule.explain.whys import why as ask

    check_picture(picture, [table])
    found = ask(table, online=not batch, **given)
    if picture is not None:
        write_picture(picture, found.plot)
    if as_json:
        print_json(found.to_dict())
    else:
        print_grids(why_telling.grids(found))
