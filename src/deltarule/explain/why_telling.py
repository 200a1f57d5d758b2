"""What `why` found, as people read it."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from deltarule.explain import each_row
from deltarule.explain.directions import LARGE, SMALL
from deltarule.explain.each_row import CARELESS
from deltarule.explain.facts import Fact, telling_rate
from deltarule.explain.grids import Grid, number, share
from deltarule.explain.rules import RULES

if TYPE_CHECKING:
    from deltarule.explain.whys import Why

WIDTH = 100
MOMENTS = (0.0, 0.25, 0.5, 1.0)
"""At these shares of a run its loss is told."""
VERDICT = {True: "as stated", False: "NOT as stated", None: "not tested by this table"}
WRONG_WAY = (
    "Wrong way: weights that the gradient would move in the other direction. Uphill: steps at which the loss rises, "
    "however small the learning rate."
)
MOST_ROWS = 5
"""So many rows are named; `Why.to_dict` has all."""


def grids(why: Why) -> list[Grid]:
    """Return the tables, and at the end the facts."""
    return [
        _about(why), *_directions(why), _rows(why), _odds(why), _losses(why), _collapse(why),
        Grid("Why multiply by the derivative?", (), []), *(_fact(one) for one in why.facts),
    ]  # fmt: skip


def _about(why: Why) -> Grid:
    about = why.about
    how = "online" if about["online"] else "in batch"
    words = (
        f"{', '.join(about['targets'])} of {about['table']}: {about['rows']:,} rows, network "
        f"{'-'.join(map(str, about['sizes']))}, {about['activation']}, outputs logistic, squared error. Each rule is "
        f"trained {how} for {about['epochs']:,} epochs from the same {about['seeds']} starts ({about['init']} initial "
        "weights). These rules are for teaching; only the gradient is used elsewhere in deltarule."
    )
    named = [(f"  {name}", rule.says) for name, rule in RULES.items()]
    return Grid(_filled(words), (), named, "\n".join(why.notes))


def _directions(why: Why) -> list[Grid]:
    """Return how η · δ · input lies beside the gradient, and then the same in short for the other rules."""
    careless = [
        (
            one.situation, one.weights, share(one.reversed_weights), f"{one.uphill:,} of {one.cases:,}",
            f"{one.median_angle:.1f}°", f"{one.largest_angle:.1f}°",
        )
        for one in why.directions
        if one.rule == CARELESS
    ]  # fmt: skip
    header = ("η · δ · input", "weights", "wrong way", "uphill", "median angle", "largest")
    rules = [name for name in RULES if name not in ("gradient", CARELESS)]
    large = {(one.situation, one.rule): one for one in why.directions if one.weights == "large"}
    others = [
        (situation, *(share(large[situation, rule].reversed_weights) for rule in rules))
        for situation in dict.fromkeys(one.situation for one in why.directions)
    ]
    drawn = f"Directions without f′, beside the gradient's. Weights are drawn up to ±{SMALL:g} or ±{LARGE:g}."
    return [
        Grid(_filled(f"{drawn} {WRONG_WAY}"), header, careless),
        Grid("Weights the wrong way by the other rules, large weights", ("", *rules), others),
    ]


def _rows(why: Why) -> Grid:
    """Return the rows whose steps without f′ lie farthest from the gradient."""
    rows = [
        (
            f"row {one.row}", f"{one.angle_start:.1f}°", f"{one.angle_trained:.1f}°", share(one.reversed_trained),
            "yes" if one.uphill_trained else "no",
        )
        for one in each_row.farthest(why.rows, MOST_ROWS)
    ]  # fmt: skip
    words = (
        "Row by row, the table's own network: the angle between η · δ · input and the gradient, at the first start and "
        f"where the best run by the gradient ended. Median over {len(why.rows):,} rows: "
        f"{_median([one.angle_start for one in why.rows])} and {_median([one.angle_trained for one in why.rows])}."
    )
    header = ("farthest", "at the start", "trained", "wrong way", "uphill")
    return Grid(_filled(words), header, rows)


def _median(angles: list[float]) -> str:
    known = [angle for angle in angles if np.isfinite(angle)]
    return f"{np.median(known):.1f}°" if known else "–"


def _odds(why: Why) -> Grid:
    trained = why.trained
    if trained.goal is None:
        return Grid("No run was better than one answer for all rows: there are no odds to compare.", (), [])
    rates = trained.course.rates
    rows = [
        (rule, *(f"{trained.of(rule, rate).solved} of {trained.of(rule, rate).runs}" for rate in rates))
        for rule in RULES
    ]
    measure = "a mean square" if why.about["task"] == "regression" else "a share of mistakes"
    title = f"Runs that succeeded: {measure} of at most {number(trained.goal)}, four fifths of the way to the best run"
    return Grid(title, ("rule", *(f"η {number(rate)}" for rate in rates)), rows)


def _losses(why: Why) -> Grid:
    course, rate = why.trained.course, telling_rate(why.trained)
    places = [round(moment * (len(course.recorded) - 1)) for moment in MOMENTS]
    rows = []
    for rule in RULES:
        curve = np.median(why.trained.curves(rule, rate), axis=1)
        rows.append((rule, *(number(float(curve[place])) for place in places)))
    header = ("rule", *(f"epoch {int(course.recorded[place]):,}" for place in places))
    return Grid(f"Median loss on the way, η {number(rate)}", header, rows)


def _collapse(why: Why) -> Grid:
    found, regression = why.collapse, why.about["task"] == "regression"
    scored = number if regression else share
    words = (
        f"And why f must bend: a network {'-'.join(map(str, found.sizes))} of identity layers is one matrix and one "
        f"bias. What both put out differs by {number(found.largest_difference)} at most "
        f"(rounding: {number(found.rounding)})."
    )
    kind = "mean square" if regression else "mistakes"
    rows = [
        ("best straight line", number(found.line_loss), scored(found.line_mistakes)),
        ("identity layers, trained", number(found.layers_loss), "–"),
        (f"best network with {why.about['activation']}", number(found.bent_loss), scored(found.bent_mistakes)),
        ("the same answer for all rows", "–", scored(found.baseline)),
    ]
    return Grid(_filled(words), ("", "loss", kind), rows)


def _fact(fact: Fact) -> Grid:
    title = fill(f"{fact.number}. {fact.says}", WIDTH, subsequent_indent="   ", break_on_hyphens=False)
    here = fill(
        f"Here ({VERDICT[fact.holds]}): {fact.here}", WIDTH, initial_indent="   ", subsequent_indent="   ",
        break_on_hyphens=False,
    )  # fmt: skip
    return Grid(title, (), [], here)


def _filled(words: str) -> str:
    return fill(words, WIDTH, break_on_hyphens=False)
