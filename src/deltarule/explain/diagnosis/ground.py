"""Where the weights stand on the error surface: minimum, saddle, plateau or slope; and whether that is a poor place."""

from __future__ import annotations

from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.diagnosis import curvature
from deltarule.explain.diagnosis.case import Case
from deltarule.explain.diagnosis.finding import Finding, Measurement, Standing

Floats = NDArray[np.float64]

AT_REST = 0.05
"""Share of the objective that more passes take at most where training stands still."""
BENT = 1e-3
"""A negative curvature counts from this share of the largest one, and from `NOISE` times its own error."""
SADDLE = 0.012
"""The same from which a place without a slope is a saddle that training has to be helped out of."""
NO_SLOPE, STATIONARY = 1e-3, 1e-9
"""Share of the objective that the slope promises, |g|² / 2λ, without a slope to speak of, and where there is none."""
NOISE = 10.0
DROP = 0.1
"""Share of the objective that the walk along the way out must take away for a finding."""
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
"""Share of the loss on rows held out that a smaller penalty leaves at most."""
FREED_SILENT, NOTHING_LEARNT = 0.95, 0.9
"""The same where the outputs are constant and a fresh start ends at this share of the baseline too."""
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
    if case.stays < 1 - AT_REST:
        what = "slope"
    elif is_bent(case) and drop >= LOWER and case.promise <= NO_SLOPE:
        what = "saddle"
    elif found.largest <= FLAT * size or is_deaf(case):
        what = "plateau"
    elif descent > AT_REST:
        what = "slope"
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
    found = case.spectrum
    ratio, drop = found.smallest / abs(found.largest), (case.value - case.way_out.value) / case.value
    if case.promise > NO_SLOPE or ratio > -SADDLE:
        return None
    lower = (case.continued - case.escaped) / case.value
    if max(drop, lower) < DROP:
        return None
    gains = Measurement("share of the loss that the way out takes", drop, DROP)
    if drop < DROP:
        gains = Measurement("share that more passes take after the way out, beyond what they take here", lower, DROP)
    return Finding(
        "saddle", "This is a saddle: the slope is next to nothing, but along one direction the surface bends down.",
        tuple(f"{name}: {part:+.2f}" for name, part in _parts(case, found.direction).items()),
        (
            Measurement("share of the loss that the slope promises, |g|² / 2λ", case.promise, NO_SLOPE, above=False),
            Measurement("smallest curvature / largest", ratio, -SADDLE, above=False),
            gains,
            Measurement("curvature that Gauss-Newton sees along it", _gauss_newton_out(case)),
            Measurement("length of the way out", abs(case.way_out.distance)),
        ),
        "Walk along the direction, then go on training; or start again from other weights.",
    )  # fmt: skip


def _gauss_newton_out(case: Case) -> float:
    return curvature.gauss_newton_along(case.objective, case.w, case.spectrum.direction)


def stationary(case: Case) -> Finding | None:
    """Find a place where the gradient vanishes, and that fresh starts leave far above them."""
    is_flat = case.spectrum.largest <= FLAT * abs(case.value)
    return None if case.promise > STATIONARY or is_bent(case) or is_flat else poor_minimum(case)


def poor_minimum(case: Case) -> Finding | None:
    """Find a place without descent that many fresh starts leave far above them."""
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
            Measurement("smallest curvature / largest", case.spectrum.smallest / abs(case.spectrum.largest)),
        ),
        f"Start again from other seeds and keep the best: fit(..., restarts={int(np.ceil(3 / odds))}).",
    )  # fmt: skip


def penalty(case: Case) -> Finding | None:
    """Find a penalty that keeps the network from learning: rows held out are better off with less of it."""
    if not case.objective.l2 or case.excess < BARELY or case.objective.n_rows < 8:
        return None
    fresh = min(case.restarted) / case.baseline if case.baseline > 0 else 0.0
    if fresh < BARELY:
        return None
    there, share = case.held_out[1.0], case.best_penalty
    ratio = case.held_out[share] / there if there > 0 else 1.0
    is_silent = case.heard <= DEAF and fresh >= NOTHING_LEARNT
    limit = FREED_SILENT if is_silent else FREED
    if not ratio <= limit:
        return None
    return Finding(
        "penalty", "The penalty holds the weights so near to 0 that the network cannot learn.", (),
        (
            Measurement("l2", case.objective.l2),
            Measurement("objective of the best fresh start / the baseline", fresh, BARELY),
            Measurement(f"loss on rows held out with l2 = {share * case.objective.l2:g} / with l2", ratio, limit,
                        above=False),
            Measurement("penalty / objective", case.objective.penalty(case.w) / case.value),
        ),
        f"Use a smaller penalty, such as l2={share * case.objective.l2:g}, or l2=\"auto\" in `deltarule.fit`.",
    )  # fmt: skip
