"""``deltarule explain``: why the weights of a model move, row by row."""

from __future__ import annotations

from typing import Any

import click

from deltarule import options
from deltarule.errors import SettingError


@click.command("explain")
@click.argument("model")
@click.argument("table")
@click.option(
    "-r", "--row", "rows", type=int, multiple=True, metavar="I",
    help="Row of the table, the first is 1; repeat for several. All rows if not given.",
)  # fmt: skip
@click.option(
    "-w", "--weight", "weights", multiple=True, metavar="NAME",
    help="Weight to tell of, as in 'hidden1[3] <- age'; repeat for several. A neuron stands for all weights into it, "
    "* for any: '* <- age'.",
)  # fmt: skip
@click.option("-m", "--method", default="online", show_default=True, help="See `deltarule methods`.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=options.read_as(options.settings),
    help="Setting of the method, as in learning_rate=0.05.",
)  # fmt: skip
@click.option("--member", type=int, default=0, show_default=True, help="Which network of an ensemble.")
@click.option("--picture", metavar="FILE", help="Picture of the first row and of δ flowing back (.png, .svg, .pdf).")
@click.option(
    "--surface", metavar="FILE",
    help="Picture of the loss over two weights given with -w; without them, over −g and a conjugate direction.",
)  # fmt: skip
@options.query
@options.as_json
def explain(
    model: str, table: str, rows: tuple[int, ...], weights: tuple[str, ...], method: str, settings: dict[str, Any],
    member: int, picture: str | None, surface: str | None, query: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show why each weight of a MODEL moves on rows of TABLE.

    For every weight its factors, learning rate, error signal δ, slope f′(e) and input, with what the method adds: the
    terms add up to the step. The MODEL file is not changed.
    """
    from deltarule import methods
    from deltarule.commands.showing import check_picture, print_grids, print_json, write_picture
    from deltarule.explain import telling
    from deltarule.explain.explaining import update
    from deltarule.model import load
    from deltarule.tables import read

    check_picture(picture, [model, table])
    check_picture(surface, [model, table, *([picture] if picture else [])], "--surface")
    loaded, read_table = load(model), read(table, query)
    for row in rows:
        if not 1 <= row <= read_table.n_rows:
            raise SettingError(f"--row was {row}; {read_table.name} has rows 1 to {read_table.n_rows:,}.")
    made = methods.get(method, **settings) if settings else method
    if settings and isinstance(made, methods.Online) and "batch_size" not in settings:
        made = methods.get(method, **{**settings, "batch_size": len(rows) or read_table.n_rows})
    take = [row - 1 for row in rows] or None
    found = update(loaded, read_table, method=made, take=take, member=member)
    wanted, ground = list(weights) or None, None
    if picture is not None:
        write_picture(picture, found.plot)
    if surface is not None:
        ground = _surface(loaded, read_table, found.find(wanted) if wanted else [], take, member)
        write_picture(surface, ground.plot)
    if as_json:
        drawn = {} if ground is None else {"surface": ground.to_dict()}
        print_json({"model": model, "table": table, **found.to_dict(wanted), **drawn})
    elif wanted is not None and len(found.find(wanted)) <= telling.ALONE:
        click.echo(found.text(wanted))
    else:
        print_grids(telling.grids(found, wanted))
    if ground is not None and not as_json:
        click.echo()
        print_grids(ground.grids())


def _surface(model: Any, table: Any, places: list[int], take: list[int] | None, member: int) -> Any:
    """Return the loss over the plane of two weights, or of −g and the conjugate direction that follows."""
    from deltarule.explain.survey import surface

    if places and len(places) != 2:
        raise SettingError(f"--surface needs two weights, or none; --weight names {len(places)}. Give -w twice.")
    through: Any = tuple(places) if places else "gradient"
    return surface(
        model, table, through=through, method=None if places else "conjugate_gradient", take=take, member=member
    )  # fmt: skip
