"""Facts 5 to 7: the two slopes, a rule that is copied widely, and what online and batch mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log, nan

import numpy as np
from numpy.typing import NDArray

from deltarule.explain import rules
from deltarule.explain.directions import Measured
from deltarule.explain.facts import Fact, telling_rate
from deltarule.explain.grids import number, share
from deltarule.explain.lesson import Lesson
from deltarule.explain.odds import Trained
from deltarule.methods.schedules import StartLarge, StartSmall
from deltarule.network import Network
from deltarule.objective import Objective

Floats = NDArray[np.float64]

MOST_PROBED = 600
"""Weights up to which all curvatures are computed."""
STEP = 1e-5
"""The step of the differences of gradients."""
FLAT = 1e-6
"""A curvature below this share of the largest counts as none."""
LEVEL, FLATTER = 1e-9, 0.25
"""A gradient as good as zero; a slope much smaller than another."""
SATURATING = 100.0
"""The weights of the best run are multiplied by this to see neurons whose slopes have vanished."""
LITTLE = 1e-3
"""The share of a learning rate at which online and batch are compared as if it were infinitely small."""


def two_slopes(lesson: Lesson, trained: Trained) -> Fact:
    """Return fact 5: a flat f and a flat error surface are two things."""
    network = lesson.network()
    objective = Objective(network, lesson.loss, lesson.X, lesson.T)
    w = level_point(network, lesson.T)
    loss, gradient = objective.value_grad(w)
    kind, lowest, highest = curvature(objective, w)
    far = _wrong_and_flat(lesson, trained, objective)
    probed = f"it is a {kind} (curvatures from {number(lowest)} to {number(highest)})" if kind else "not probed"
    return Fact(
        5,
        "f′(e) is not how far the minimum is. It is the rate of exchange from what a neuron receives to what it puts "
        "out. Where the slope of the error surface is zero there is a minimum, a maximum, a saddle, a plateau or a "
        "dead neuron: curvature tells which.",
        f"Steep neurons, level surface: hidden weights 0, outputs at the mean: f′ {number(far['slope_at_level'])} in "
        f"the hidden layer, as large as it gets at 0; gradient {number(_length(gradient))}, loss {number(loss)}; "
        f"{probed}. "
        f"Flat neurons, far from any minimum: the best run's weights turned round and times {SATURATING:g}: mean f′ of "
        f"the outputs {number(far['slope'])}, gradient {number(far['gradient'])}, loss {number(far['loss'])}.",
        _length(gradient) < LEVEL and far["slope"] < FLATTER * far["slope_at_level"] and far["loss"] > loss
        if far["slope_at_level"] > 0 else None,
        {"level": {"loss": loss, "gradient": _length(gradient), "hidden_slope": far["slope_at_level"], "kind": kind,
                   "lowest_curvature": lowest, "highest_curvature": highest}, "saturated": far},
    )  # fmt: skip


def level_point(network: Network, T: Floats) -> Floats:
    """Return weights where the gradient is zero: all 0, but for the last biases, which give the mean targets."""
    w = np.zeros(network.n_weights)
    *_, (_, b) = network.layers(w)
    b[:] = [log(mean / (1 - mean)) for mean in T.mean(axis=0)]
    return w


def curvature(objective: Objective, w: Floats) -> tuple[str, float, float]:
    """Return what kind of level point w is, and the lowest and the highest curvature there; "" if not computed."""
    p = len(w)
    if p > MOST_PROBED:
        return "", float("nan"), float("nan")
    H = np.empty((p, p))
    for i in range(p):
        up, down = w.copy(), w.copy()
        up[i] += STEP
        down[i] -= STEP
        H[i] = (objective.value_grad(up)[1] - objective.value_grad(down)[1]) / (2 * STEP)
    curvatures = np.linalg.eigvalsh((H + H.T) / 2)
    lowest, highest = float(curvatures[0]), float(curvatures[-1])
    level = FLAT * max(abs(lowest), abs(highest))
    if lowest < -level:
        return ("saddle" if highest > level else "maximum"), lowest, highest
    return ("plateau" if lowest < level else "minimum"), lowest, highest


def _wrong_and_flat(lesson: Lesson, trained: Trained, objective: Objective) -> dict[str, float]:
    """Return what neurons and surface look like where all answers are wrong and certain."""
    ended = trained.runs["gradient"]
    last = np.where(np.isfinite(ended.losses[-1]), ended.losses[-1], np.inf)
    w = ended.w[int(np.argmin(last))].copy()
    network = objective.network
    *_, (W, b) = network.layers(w)
    W *= -SATURATING
    b *= -SATURATING
    loss, gradient = objective.value_grad(w)
    Y = objective.engine.predict(w, objective.rows.X)
    first, at_zero = network.activations[0], np.zeros((1, 1))
    slope = float(np.mean(first.df(np, at_zero, first.f(np, at_zero))))
    return {
        "loss": float(loss), "gradient": _length(gradient),
        "slope": float((Y * (1 - Y)).mean()), "slope_at_level": slope
    }  # fmt: skip


def copied_rule(lesson: Lesson, found: Sequence[Measured], trained: Trained, seed: int) -> Fact:
    """Return fact 6: δ passed back without f′, and the two plans for the learning rate."""
    agh = [one for one in found if one.rule == "agh"]
    alike = [one for one in agh if one.situation == "1 row, 1 output"]
    other = [one for one in agh if one.situation != "1 row, 1 output" and one.weights == "large"]
    spread = ratio_spread(lesson, seed)
    plans = _plans(lesson, trained)
    return Fact(
        6,
        "A widely copied page (Bernacki and Włodarczyk, AGH 2004) passes δ back without f′ and multiplies by f′ only "
        "in the update. For one row, what it gives the hidden layer of a one-output network with no other is the "
        "gradient divided by a positive number; elsewhere it is not the gradient. Its plans for the "
        "learning rate are still good: start large and decrease; or start small, grow, decrease at the end.",
        f"One row, one output, one hidden layer: gradient / rule is one number for all hidden weights, to within "
        f"{number(spread)} of it; {sum(one.cases_reversed for one in alike):,} of {sum(one.cases for one in alike):,} "
        "steps turned a weight round. Elsewhere, large weights: "
        + "; ".join(f"{one.situation}: {share(one.reversed_weights)} the wrong way" for one in other)
        + ". Median loss with "
        + ", ".join(f"{name.replace('_', ' ')} {number(loss)}" for name, loss in plans.items()) + ".",
        spread < LEVEL and not any(one.cases_reversed for one in alike) and any(one.cases_reversed for one in other),
        {"ratio_spread": spread, "median_loss": plans,
         "reversed": {f"{one.situation}, {one.weights} weights": one.reversed_weights for one in agh}},
    )  # fmt: skip


def ratio_spread(lesson: Lesson, seed: int) -> float:
    """Return by how much gradient / rule varies over the hidden weights of a row, as a share of it; the most found."""
    network = lesson.network(lesson.hidden[:1], 1)
    rng = np.random.Generator(np.random.PCG64(seed))
    w = rng.uniform(-1, 1, (50, network.n_weights))
    rows = rng.integers(len(lesson.X), size=50)
    X, T = lesson.X[rows][:, None], lesson.T[rows][:, None, :1]
    first = slice(0, network.spans[0][2])
    true, found = (rules.descent(network, lesson.loss, w, X, T, rule)[1][:, first] for rule in ("gradient", "agh"))
    ratio = np.where(found != 0, true / np.where(found != 0, found, 1.0), np.nan)
    ratio = ratio[np.isfinite(ratio).any(axis=1)]
    if not len(ratio):
        return nan
    smallest, largest = np.nanmin(ratio, axis=1), np.nanmax(ratio, axis=1)
    return float(np.max((largest - smallest) / np.nanmax(np.abs(ratio), axis=1)))


def _plans(lesson: Lesson, trained: Trained) -> dict[str, float]:
    """Return the median loss after training by the gradient with each plan for the learning rate."""
    course, rate = trained.course, telling_rate(trained)
    plans = (StartLarge(2 * rate, course.epochs), StartSmall(2 * rate, course.epochs))
    last = replace(course, rates=(rate, rate), schedules=plans, points=1).run(["gradient"])["gradient"].losses[-1]
    large, small = np.split(last, 2)
    ended = {"constant": trained.curves("gradient", rate)[-1], "start_large": large, "start_small": small}
    return {name: float(np.median(np.where(np.isfinite(one), one, np.inf))) for name, one in ended.items()}


def online_and_batch(lesson: Lesson, trained: Trained) -> Fact:
    """Return fact 7: online, the weights move after each row; batch is one step on the sum."""
    n, rate = len(lesson.X), telling_rate(trained)
    apart = {name: _apart(trained, eta) for name, eta in (("as it is", rate), ("a thousandth", LITTLE * rate))}
    return Fact(
        7,
        "Online, the weights move after each row. Batch means one step on the sum over all rows, not a step after many "
        "iterations; the mean instead of the sum is the same step with a learning rate n times as large.",
        f"An epoch is {n:,} updates online and one in batch. After an epoch at η {number(rate)} the weights lie apart "
        f"by {share(apart['as it is'])} of the batch step on the sum; at a thousandth of that η by "
        f"{share(apart['a thousandth'])}: for small steps the two are the same.",
        apart["a thousandth"] < 0.1 * max(apart["as it is"], 1e-12) or apart["a thousandth"] < 1e-3,
        {"updates_online": n, "updates_batch": 1, "rate": rate, "apart": apart},
    )


def _apart(trained: Trained, rate: float) -> float:
    """Return how far an epoch online ends from a batch step on the sum, as a share of that step: the median."""
    course = replace(trained.course, rates=(rate,), epochs=1, online=True)
    moved = course.run(["gradient"])["gradient"].w - course.starts
    batch = replace(course, rates=(rate * len(course.X),), online=False)
    summed = batch.run(["gradient"])["gradient"].w - course.starts
    apart = np.linalg.norm(moved - summed, axis=1) / np.linalg.norm(summed, axis=1)
    return float(np.median(np.where(np.isfinite(apart), apart, np.inf)))


def _length(v: Floats) -> float:
    return float(np.linalg.norm(v))
