"""Trouble with the steps: too long, too short, or too few of them."""

from __future__ import annotations

from math import inf, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.diagnosis import curvature
from deltarule.explain.diagnosis.case import PASSES, Case, rate_of, with_rate
from deltarule.explain.diagnosis.finding import Finding, Measurement
from deltarule.stopping import Reason

Floats = NDArray[np.float64]

RACE = 30.0
"""Passes for which learning rates are raced."""
SHORTER, LONGER = (0.1, 0.01), (10.0, 100.0, 1000.0, 10_000.0)
"""Factors on the learning rate that are tried."""
UPHILL = 0.25
"""Share of the steps of a run that went uphill by more than `RISE`."""
RISE = 0.02
FRESH, FRESH_FAILS = 2, 0.5
"""Fresh starts whose mean loss is compared, and the share of it that shorter steps leave at most."""
BETTER = 0.9
"""Share of the loss that a shorter step must leave at most, where the run went uphill."""
FAILS = 0.8
"""Share of the loss that a shorter step must leave at most, where the given one leaves more."""
TOO_SHORT = 100.0
"""How many times longer the step could be before the curvature along it turns it uphill."""
GAINS = 0.1
"""Share of the loss that a longer step must take away."""
FASTER = 4.0
"""How many times more a longer step takes away."""
UNFINISHED, TAKEN = 0.3, 0.55
"""Share of the loss that as many steps again would take away, or some passes of conjugate gradients."""
MOST_STEPS = 200
ALONG = "minimum along the next step by the curvature there, in steps"


class Along(NamedTuple):
    """A step: its length, the slope of the objective along it, its curvature, and where along it the minimum lies.

    `best` is in units of the step: below ½ the step leads higher than it began.
    """

    length: float
    slope: float
    bend: float
    best: float


def along(case: Case) -> Along | None:
    """Measure the curvature along the next step of the method; None where it makes none."""
    step = case.step
    if step is None:
        return None
    slope, bend = float(case.grad @ step), float(step @ curvature.hessian_product(case.objective, case.w, step))
    best = -slope / bend if bend > 0 else inf
    return Along(float(np.linalg.norm(step)), slope, bend, best if slope < 0 else 0.0)


def rate_large(case: Case) -> Finding | None:
    """Find steps that overshoot: the run went uphill again and again, or a shorter step gets on where this does not."""
    rate = rate_of(case.method)
    if not isfinite(rate) or with_rate(case.method, 1.0) is None:
        return None
    evidence, factor = _from_here(case)
    if not evidence:
        evidence, factor = _from_fresh_weights(case)
    if not evidence:
        return None
    share = uphill(case.losses)
    if share >= UPHILL:
        evidence = [Measurement("share of steps that went uphill", share, UPHILL), *evidence]
    step = along(case)
    if step is not None and all(one.what != ALONG for one in evidence):
        evidence.append(Measurement(ALONG, step.best))
    return Finding(
        "rate_large", "The steps are too long: they lead across the valley and up the other side.", (),
        (Measurement("learning rate", rate), *evidence),
        f"Start again with a learning rate of {factor * rate:.3g}, or use a method with a line search.",
    )  # fmt: skip


def _from_here(case: Case) -> tuple[list[Measurement], float]:
    """Return what speaks for shorter steps from where training stands, and by how much shorter."""
    step = along(case)
    here, shorter = case.trained(case.method, RACE), [_raced(case, factor) for factor in SHORTER]
    reached, factor = min(shorter), SHORTER[int(np.argmin(shorter))]
    gains = reached < FAILS * min(here, case.value)
    overshoots = step is not None and 0 < step.best < 0.5
    climbs = uphill(case.losses) >= UPHILL and reached < BETTER * case.value
    if not (climbs or (gains and (overshoots or not here < case.value))):
        return [], factor
    evidence = []
    if gains:
        left = reached / min(here, case.value)
        evidence.append(Measurement(f"loss with {factor:g} of the rate / without", left, FAILS, above=False))
    elif climbs:
        left = reached / case.value
        evidence.append(Measurement(f"loss with {factor:g} of the rate / the loss here", left, BETTER, above=False))
    if overshoots and step is not None:
        evidence.append(Measurement(ALONG, step.best, 0.5, above=False))
    return evidence, factor


def _from_fresh_weights(case: Case) -> tuple[list[Measurement], float]:
    """Return what speaks for shorter steps from fresh weights: where these have led, none may lead away from."""
    ends = {}
    for factor in (1.0, *SHORTER):
        method = with_rate(case.method, factor)
        ends[factor] = float(np.mean([
            case.trained(method, PASSES, case.network.initial_weights(seed, input_ranges=case.ranges))
            for seed in range(FRESH)
        ]))  # fmt: skip
    factor = min(SHORTER, key=lambda one: ends[one])
    left = ends[factor] / ends[1.0] if ends[1.0] > 0 else 1.0
    if not left <= FRESH_FAILS:
        return [], factor
    what = f"from fresh weights, loss with {factor:g} of the rate / without"
    return [Measurement(what, left, FRESH_FAILS, above=False)], factor


def uphill(losses: Floats) -> float:
    """Return the share of steps that went uphill by more than a small share, of a run of five steps at least."""
    if len(losses) < 6:
        return 0.0
    before, after = losses[:-1], losses[1:]
    return float(np.mean(~(after <= before + RISE * np.abs(before))))


def rate_small(case: Case) -> Finding | None:
    """Find steps that could be ten times longer, and get on much faster then."""
    rate, step = rate_of(case.method), along(case)
    if not isfinite(rate) or step is None or step.best < TOO_SHORT:
        return None
    here = case.value - case.trained(case.method, RACE)
    raced = {factor: case.value - _raced(case, factor) for factor in LONGER}
    factor = max(raced, key=lambda key: raced[key])
    gain = raced[factor] / case.value if case.value > 0 else 0.0
    if gain < GAINS or raced[factor] < FASTER * max(here, 0.0):
        return None
    evidence = (
        Measurement("learning rate", rate),
        Measurement(ALONG, step.best, TOO_SHORT),
        Measurement(f"share of the loss that {RACE:g} passes at {factor:g} times the rate take", gain, GAINS),
        Measurement(f"share that {RACE:g} passes take as it is", max(here, 0.0) / case.value),
    )
    return Finding(
        "rate_small", "The steps are too short for the surface.", (), evidence,
        f"Use a learning rate of about {factor * rate:g}, or a method that finds its own, such as conjugate_gradient.",
    )  # fmt: skip


def _raced(case: Case, factor: float) -> float:
    method = with_rate(case.method, factor)
    return inf if method is None else case.trained(method, RACE)


def unfinished(case: Case) -> Finding | None:
    """Find runs that ended while the loss was still falling fast."""
    if case.reason in (Reason.VALIDATION, Reason.GOAL):
        return None
    count = float(min(MOST_STEPS, max(20, len(case.losses))))
    left = case.trained(case.method, count) / case.value if case.value > 0 else 1.0
    taken = 1 - case.continued / case.value if case.value > 0 else 0.0
    same = Measurement(f"share of the loss that {count:g} more passes take", 1 - left, UNFINISHED)
    other = Measurement(f"share that {PASSES:g} passes of conjugate gradients take", taken, TAKEN)
    evidence = tuple(one for one in (same, other) if one.margin >= 1)
    if not evidence:
        return None
    return Finding(
        "unfinished", "The loss is still falling: training ended too early.", (),
        (*evidence, Measurement("length of the gradient", float(np.linalg.norm(case.grad)))),
        "Train on: more steps, or conjugate_gradient or levenberg_marquardt, which need fewer.",
    )  # fmt: skip
