"""Where the weights stand on the error surface: minimum, saddle, plateau or slope; and whether that is a poor place."""

from __future__ import annotations

from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.diagnosis import curvature
from deltarule.explain.diagnosis.case import Case, descend
from deltarule.explain.diagnosis.finding import Finding, Measurement, Standing
from deltarule.objective import Objective

Floats = NDArray[np.float64]

AT_REST = 0.05
"""Share of the objective that more passes take at most where training stands still."""
BENT = 1e-3
"""A negative curvature counts from this share of the largest one, and from `NOISE` times its own error."""
NOISE = 10.0
DROP = 0.1
"""Share of the objective that the way out and some passes must take away, more than the passes alone."""
FLAT = 1e-6
"""Curvatures up to this share of the loss make a place flat."""
LOWER = 1e-3
"""Share of the objective that the way out must take for a place to be called a saddle."""
DEAF = 0.02
"""Variance of the outputs over the rows, as a share of the targets' variance, up to which they are constant."""
TELLING = 0.7
"""Share of the baseline that a fresh network loses at most where the inputs tell something."""
POOR = 0.5
"""Share of the objective at which a fresh start ends that shows a minimum to be a poor one."""
ODDS = 0.25
"""Share of fresh starts that must end so low."""
FREED = 0.7
"""Share of the loss on rows held out that a hundredth of the penalty leaves at most."""
BARELY = 0.3
"""Share of the baseline from which a penalty may be to blame."""
PARTS = 5
"""Weights that a direction is told by."""


def standing(case: Case) -> Standing:
    """Return where the weights stand."""
    if not case.finite:
        return Standing("undefined", nan, 0.0, nan, nan, nan, {}, nan, 0.0)
    found = case.spectrum
    size = abs(case.value) or 1.0
    descent = max(0.0, (case.value - case.continued) / size)
    drop = max(0.0, (case.value - case.way_out.value) / size) if is_bent(case) else 0.0
    what = "minimum"
    if descent > AT_REST:
        what = "slope"
    elif is_bent(case) and drop >= LOWER:
        what = "saddle"
    elif found.largest <= FLAT * size or is_deaf(case):
        what = "plateau"
    gradient = float(np.linalg.norm(case.grad))
    out = _parts(case, found.direction) if is_bent(case) else {}
    along = curvature.gauss_newton_along(case.objective, case.w, found.direction) if out else nan
    return Standing(what, gradient, descent, found.largest, found.smallest, case.gauss_newton, out, along, drop)


def is_deaf(case: Case) -> bool:
    """Return whether the outputs are the same for all rows though the inputs tell something of the targets."""
    return case.network.depth > 1 and case.heard <= DEAF and case.learnable <= TELLING


def is_bent(case: Case) -> bool:
    """Return whether some direction is curved downwards beyond doubt."""
    found = case.spectrum
    if not isfinite(found.largest):
        return False
    return found.smallest < -max(BENT * abs(found.largest), NOISE * found.error)


def _parts(case: Case, direction: Floats) -> dict[str, float]:
    largest = np.argsort(-np.abs(direction))[:PARTS]
    return {case.names.weight(int(i)): float(direction[i]) for i in largest}


def saddle(case: Case) -> Finding | None:
    """Find a place without a slope from which a direction leads down."""
    if not is_bent(case) or case.value <= 0:
        return None
    alone, out = (case.value - case.continued) / case.value, (case.value - case.escaped) / case.value
    if alone > AT_REST or out - alone < DROP:
        return None
    found = case.spectrum
    return Finding(
        "saddle", "This is a saddle: the slope is next to nothing, but along one direction the surface bends down.",
        tuple(f"{name}: {part:+.2f}" for name, part in _parts(case, found.direction).items()),
        (
            Measurement("smallest curvature / largest", found.smallest / abs(found.largest), -BENT, above=False),
            Measurement("share of the loss that more passes take", alone, AT_REST, above=False),
            Measurement("share that they take from the end of the way out", out, alone + DROP),
            Measurement("length of the way out", abs(case.way_out.distance)),
        ),
        "Walk along the direction, then go on training; or start again from other weights.",
    )  # fmt: skip


def poor_minimum(case: Case) -> Finding | None:
    """Find a place without descent that most fresh starts leave far above them."""
    if case.value <= 0 or case.continued < (1 - AT_REST) * case.value or case.network.depth < 2:
        return None
    taken, best = 1 - case.continued / case.value, min(case.restarted) / case.value
    lower = [value <= POOR * case.value for value in case.restarted]
    odds = float(np.mean(lower))
    if odds < ODDS:
        return None
    return Finding(
        "poor_minimum", "Training stands still in a place that fresh starts leave far above them: a poor minimum.", (),
        (
            Measurement("share of the loss that more passes take", taken, AT_REST, above=False),
            Measurement("best of the fresh starts / the loss here", best, POOR, above=False),
            Measurement("share of fresh starts below half of the loss here", odds, ODDS),
        ),
        f"Start again from other seeds and keep the best: fit(..., restarts={int(np.ceil(3 / odds))}).",
    )  # fmt: skip


def penalty(case: Case) -> Finding | None:
    """Find a penalty that keeps the network from learning: rows held out are better off with a hundredth of it."""
    if not case.objective.l2 or case.excess < BARELY or case.objective.n_rows < 8:
        return None
    there, held_out = _halves(case, case.objective.l2), _halves(case, case.objective.l2 / 100)
    ratio = held_out / there if there > 0 else 1.0
    if not ratio <= FREED:
        return None
    return Finding(
        "penalty", "The penalty holds the weights so near to 0 that the network cannot learn.", (),
        (
            Measurement("l2", case.objective.l2),
            Measurement("loss on rows held out with a hundredth of l2 / with l2", ratio, FREED, above=False),
            Measurement("penalty / objective", case.objective.penalty(case.w) / case.value),
        ),
        f"Use a smaller penalty: l2={case.objective.l2 / 100:g}, or l2=\"auto\" in `deltarule.fit`.",
    )  # fmt: skip


def _halves(case: Case, l2: float) -> float:
    """Return the loss on every other row of a network trained on the rest, with a penalty, from fresh weights."""
    from deltarule.train import train

    X, T, s = case.objective.rows
    network = case.network
    first, second = (
        Objective(network, case.taken.loss, X[i::2], T[i::2], None if s is None else s[i::2], l2) for i in (0, 1)
    )
    w = network.initial_weights(0, input_ranges=case.ranges)
    result = train(first, w)
    value = float(second.value(result.w)) - second.penalty(result.w)
    return value if isfinite(descend(first, result.w, 1.0)) else float("inf")
