"""``deltarule diagnose``: why a model does not learn, with evidence."""

from __future__ import annotations

from typing import Any

import click

from deltarule import options

JSON = {
    "model, table": "what was given",
    "loss, baseline, rows": "the mean loss, that of the best constant outputs, and how many rows were looked at",
    "findings": "the causes, those that explain others first; empty where nothing known here is wrong; of each",
    "findings[].kind": "its name, as on the page *Why does my network not learn?*",
    "findings[].says, advice": "a sentence, and what to do",
    "findings[].places": "the columns, neurons, layers, weights or rows that are concerned",
    "findings[].confidence": "`clear` if every measurement is twice past its threshold, otherwise `likely`",
    "findings[].evidence[]": "`what` was measured, its `value`, the `threshold` or null, and whether the finding lies "
    "`above` it",
    "findings[].trial": "null without `--try`, and where no training can test the advice; otherwise what was `changed` "
    "on a clone, the loss `now`, `without` and `with_advice`, after how many passes, `passes_without` and "
    "`passes_with`, and whether it `helped`",
    "standing.what": "`minimum`, `saddle`, `plateau`, `slope`, or `undefined` where the loss is not finite",
    "standing.gradient, descent": "the length of the gradient; the share of the objective that some more passes take",
    "standing.largest, smallest, gauss_newton": "extreme curvatures of the Hessian; the largest of the Gauss-Newton "
    "matrix",
    "standing.out, gauss_newton_out, drop": "by the names of weights the largest parts of a direction that bends down, "
    "the Gauss-Newton curvature along it, and the share of the objective that a walk along it takes; empty, null and 0 "
    "where none does",
    "health.layers[]": "`name`, `activation`; root mean squares `weight`, `gradient`, `update` of the next step; the "
    "shares of (neuron, row) pairs with a small f′, `flat`, and of the wrong rows, `flat_wrong`; how many are `dead`",
    "health.neurons[]": "`name`, `layer`, `neuron`, `mean_slope`, `flat`, `flat_wrong`, whether `dead`, and the `twin` "
    "that has the same weights, or empty",
    "health.loss, baseline, rows, wrong": "as above, and the share of rows that lose more than a tenth of the baseline",
    "since": "null without `--again`; otherwise for each neuron, by `name`, the steps `flat_since`, `wrong_since`, "
    "`dead_since` and `twin_since` which a trouble has lasted, or null",
    "notes": "what could not be looked at, and why",
}
"""What the JSON holds; numbers that are not finite are null."""


@click.command("diagnose")
@click.argument("model")
@click.argument("table")
@click.option("--try", "tried", is_flag=True, help="Test each advice on a clone: the loss without it and with it.")
@click.option(
    "--again", is_flag=True,
    help="Train again from fresh weights and diagnose that run: since when neurons are in trouble, the first number "
    "that was not finite.",
)  # fmt: skip
@click.option("-m", "--method", help="How it was trained, if not as the model says; see `deltarule methods`.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=options.read_as(options.settings),
    help="Setting of that method, as in learning_rate=0.05.",
)  # fmt: skip
@click.option("--member", type=int, default=0, show_default=True, help="Which network of an ensemble.")
@click.option("--picture", metavar="FILE", help="With --again, a picture of the neurons' health (.png, .svg, .pdf).")
@options.query
@options.as_json
def diagnose(
    model: str, table: str, tried: bool, again: bool, method: str | None, settings: dict[str, Any], member: int,
    picture: str | None, query: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Say why the training of a MODEL stands still on TABLE.

    Looks for trouble in columns and targets, neurons, steps and the error surface. Each finding comes with its
    measurements, their thresholds and an advice. The MODEL file is not changed.
    """
    from deltarule import methods
    from deltarule.commands.showing import check_picture, print_grids, print_json, write_picture
    from deltarule.explain.diagnosis import diagnose as ask
    from deltarule.model import load

    if settings and method is None:
        raise click.UsageError("--set belongs to --method; give both.")
    if picture is not None and not again:
        raise click.UsageError("--picture shows a run: give --again too.")
    check_picture(picture, [model, table])
    made = None if method is None else methods.get(method, **settings)
    found = ask(load(model), table, method=made, again=again, test_advice=tried, query=query, member=member)
    if picture is not None and found.recorder is not None:
        recorder = found.recorder
        write_picture(picture, recorder.plot)
    if as_json:
        print_json({"model": model, "table": table, **found.to_dict()})
    else:
        print_grids(found.grids())
