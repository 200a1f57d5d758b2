"""``deltarule check``: the gradient of a model against numeric slopes."""

from __future__ import annotations

import sys

import click

from deltarule import options

WRONG = 1
"""The exit status where a gradient lies outside its bound."""


@click.command("check")
@click.argument("model")
@click.argument("table")
@click.option("--weights", type=int, default=400, show_default=True, help="Weights of each layer to look at, at most.")
@click.option("--rows", type=int, default=500, show_default=True, help="Rows to take the loss over, at most.")
@click.option("--member", type=int, default=0, show_default=True, help="Which network of an ensemble.")
@options.query
@options.seed
@options.as_json
def check(
    model: str, table: str, weights: int, rows: int, member: int, query: str | None, seed: int, as_json: bool
) -> None:
    """Check the gradient of a MODEL on TABLE against numeric slopes.

    Each weight has a computed bound: what truncation and rounding may come to. The exit status is 1 if a gradient lies
    outside.
    """
    from deltarule.commands.showing import print_grids, print_json
    from deltarule.explain import check_model
    from deltarule.model import load

    found = check_model.model(load(model), table, weights=weights, rows=rows, seed=seed, query=query, member=member)
    if as_json:
        print_json({"model": model, "table": table, **found.to_dict()})
    else:
        print_grids(check_model.grids(found))
    if not found.right:
        sys.exit(WRONG)
