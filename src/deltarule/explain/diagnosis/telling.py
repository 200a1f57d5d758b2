"""A diagnosis as people read it: where training stands, each finding with its evidence, layers, neurons in trouble."""

from __future__ import annotations

from math import isfinite
from textwrap import fill
from typing import TYPE_CHECKING

from deltarule.explain import health
from deltarule.explain.grids import Grid, number, share
from deltarule.explain.health import MOSTLY, NeuronHealth

if TYPE_CHECKING:
    from deltarule.explain.diagnosis.finding import Diagnosis, Finding, Measurement, Standing

WIDTH = 100
PLACES, NEURONS = 6, 12
"""Places of a finding, and neurons in trouble, that are told of; `to_dict` has all of them."""


def grids(found: Diagnosis) -> list[Grid]:
    """Return the tables, the findings first."""
    told = [_about(found), *(_finding(i, one) for i, one in enumerate(found.findings, 1))]
    if not found.findings:
        told.append(Grid("No fault that is known here was found.", (), []))
    told += [health.layer_grid(found.health), *_neurons(found)]
    if found.notes:
        told.append(Grid("", (), [], "\n".join(_filled(f"note: {note}", "      ") for note in found.notes)))
    return told


def _about(found: Diagnosis) -> Grid:
    of_constant = ""
    if found.baseline > 0 and isfinite(found.loss):
        of_constant = f", {share(found.loss / found.baseline)} of what the best constant loses"
    words = [f"loss {number(found.loss)}{of_constant}, over {found.rows:,} rows", _standing(found.standing)]
    if found.standing.out:
        parts = ", ".join(f"{name} {part:+.2f}" for name, part in found.standing.out.items())
        words.append(f"the direction that bends down: {parts}")
    return Grid("\n".join(_filled(one, "  ") for one in words), (), [])


def _standing(stands: Standing) -> str:
    if stands.what == "undefined":
        return "stands nowhere: the loss is not finite"
    bends = f"gradient {number(stands.gradient)}, curvature from {number(stands.smallest)} to {number(stands.largest)}"
    if isfinite(stands.gauss_newton):
        bends += f" (Gauss-Newton up to {number(stands.gauss_newton)})"
    more = {
        "slope": f"; some more passes would take {share(stands.descent)} off",
        "saddle": f"; the way out alone takes {share(stands.drop)} off",
    }
    where = "in a minimum" if stands.what == "minimum" else f"on a {stands.what}"
    return f"stands {where}: {bends}{more.get(stands.what, '')}"


def _finding(place: int, found: Finding) -> Grid:
    title = [_filled(f"{place}. {found.says} [{found.kind}, {found.confidence}]", "   ")]
    if found.places:
        more = f" and {len(found.places) - PLACES} more" if len(found.places) > PLACES else ""
        title.append(_filled(f"   where: {', '.join(found.places[:PLACES])}{more}", "   "))
    note = [_filled(f"   advice: {found.advice}", "   ")]
    if found.trial is not None:
        note.append(_filled(f"   tried: {found.trial}", "   "))
    rows = [(f"   {one.what}", number(one.value), _threshold(one)) for one in found.evidence]
    return Grid("\n".join(title), ("   measured", "value", "a finding"), rows, "\n".join(note))


def _threshold(one: Measurement) -> str:
    return "" if one.threshold is None else f"{'from' if one.above else 'up to'} {number(one.threshold)}"


def _neurons(found: Diagnosis) -> list[Grid]:
    """Return the neurons that are dead, a twin, or flat on most of the wrong rows."""
    recorder = found.recorder
    since = {} if recorder is None else {one.last.name: one for one in recorder.courses}
    troubled = [one for one in found.health.neurons if is_troubled(one, found.health.wrong)]
    if not troubled:
        return []
    header = (
        "neuron in trouble",
        "what",
        "mean f′",
        "small f′",
        "on wrong rows",
        *(() if recorder is None else ("since",)),
    )
    rows: list[tuple[str, ...]] = []
    for one in troubled[:NEURONS]:
        trouble = "dead" if one.dead else f"twin of {one.twin}" if one.twin else "flat where it is wrong"
        course = since.get(one.name)
        begun: tuple[str, ...] = ()
        if course is not None:
            step = course.dead_since if one.dead else course.twin_since if one.twin else course.wrong_since
            begun = ("–" if step is None else f"step {step:,}",)
        rows.append((one.name, trouble, number(one.mean_slope), share(one.flat), share(one.flat_wrong), *begun))
    more = f"and {len(troubled) - NEURONS:,} more" if len(troubled) > NEURONS else ""
    return [Grid("", header, rows, more)]


def is_troubled(one: NeuronHealth, wrong: float) -> bool:
    """Return whether a neuron is dead, a twin, or flat on most of the rows that are wrong."""
    return one.dead or bool(one.twin) or (wrong > 0 and one.flat_wrong >= MOSTLY)


def _filled(words: str, indent: str) -> str:
    return fill(words, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
