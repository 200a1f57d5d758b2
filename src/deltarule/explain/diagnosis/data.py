"""Trouble in the rows: inputs of another scale, far from 0 or with a wild cell, targets out of reach, opposing rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Rows
from deltarule.explain.diagnosis.case import Case
from deltarule.explain.diagnosis.finding import Finding, Measurement

Floats = NDArray[np.float64]

WIDE, NARROW = 8.0, 0.02
"""Standard deviations of a network's input between which initial weights suit it."""
OFFSET = 5.0
"""A mean so many standard deviations from 0 makes a column a second bias."""
WILD = 30.0
"""A cell so many interquartile ranges from the median decides about its neurons alone."""
FEW = 0.02
"""Share of rows with a wild cell up to which the cells, and not the column, are odd."""
OUT_OF_REACH = 0.3
"""Share of the loss that outputs cannot get rid of because targets lie outside their range."""
HUGE, OFF_SCALE = 20.0, 10.0
"""Standard deviation of a target, and its mean in standard deviations, from which outputs have far to go."""
CONTRADICTION = 0.3
"""Share of the loss of a constant, and of the loss, that rows with equal inputs and other targets hold."""
MOST_PULLS = 200
"""Rows whose gradients are summed, at most."""
NEAR = 1e-6
"""Inputs are equal to within this share of their column's spread."""
RANGES = {
    "logistic": (0.0, 1.0), "tanh": (-1.0, 1.0), "softsign": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0),
    "sine": (-1.0, 1.0), "gaussian": (0.0, 1.0), "relu": (0.0, np.inf), "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
}  # fmt: skip
"""What outputs can put out."""


def input_scale(case: Case) -> Finding | None:
    """Find columns that are far wider or narrower than what initial weights are made for."""
    spread, half = case.taken.X.std(axis=0), np.ptp(case.taken.X, axis=0) / 2
    wide = (spread > WIDE) & ~_wild(case.taken.X).any(axis=0)
    narrow = (half > 0) & (half < NARROW)
    found = np.flatnonzero(wide | narrow)
    if not len(found):
        return None
    widest = Measurement("standard deviation", float(spread[wide].max()), WIDE) if wide.any() else None
    least = Measurement("half the range", float(half[narrow].min()), NARROW, above=False) if narrow.any() else None
    evidence = tuple(number for number in (widest, least) if number is not None)
    return Finding(
        "input_scale", f"{_count(found, case)} of another scale than weights are made for.",
        columns(case, found), evidence, "Scale the inputs to mean 0 and standard deviation 1 and start again; "
        "`deltarule.fit` does.",
    )  # fmt: skip


def input_offset(case: Case) -> Finding | None:
    """Find columns whose mean is far from zero beside their spread."""
    X = case.taken.X
    spread = X.std(axis=0)
    away = np.abs(X.mean(axis=0)) / np.where(spread > 0, spread, np.inf)
    found = np.flatnonzero((away > OFFSET) & (np.abs(X.mean(axis=0)) > 1))
    if not len(found):
        return None
    return Finding(
        "input_offset", f"{_count(found, case)} far from 0 beside the spread.",
        columns(case, found), (Measurement("|mean| / standard deviation", float(away[found].max()), OFFSET),),
        "Subtract the mean of each input and start again; `deltarule.fit` does.",
    )  # fmt: skip


def input_outlier(case: Case) -> Finding | None:
    """Find cells that lie so far out that one row decides."""
    wild = _wild(case.taken.X)
    found = np.flatnonzero(wild.any(axis=0))
    if not len(found):
        return None
    low, middle, high = np.quantile(case.taken.X, (0.25, 0.5, 0.75), axis=0)
    away = np.abs(case.taken.X - middle)[:, found] / (high - low)[found]
    rows = np.flatnonzero(wild.any(axis=1))
    shown = tuple(f"row {case.taken.places[row] + 1}" for row in rows[:3])
    return Finding(
        "input_outlier", f"{len(rows)} of {len(wild):,} rows hold cells far outside their column.",
        (*columns(case, found), *shown),
        (Measurement("interquartile ranges from the median", float(away.max()), WILD),),
        "Correct or leave out the cells, or cut the column off; `deltarule.fit(scaling=\"robust\")` helps.",
    )  # fmt: skip


def _wild(X: Floats) -> NDArray[np.bool_]:
    """Return which cells are wild, none in columns of which many are or that have no interquartile range."""
    low, middle, high = np.quantile(X, (0.25, 0.5, 0.75), axis=0)
    iqr = high - low
    wild = (np.abs(X - middle) > WILD * iqr) & (iqr > 0)
    return np.asarray(wild & (wild.mean(axis=0) <= FEW))


def target_range(case: Case) -> Finding | None:
    """Find targets that the outputs cannot put out, or that lie far from where they begin."""
    output, T = case.network.activations[-1], case.taken.T
    if case.taken.loss.fuses(output):
        return None
    if output.name == "identity":
        return _target_scale(case)
    low, high = RANGES.get(output.name, (-np.inf, np.inf))
    outside = (low > T) | (high < T)
    if not outside.any():
        return None
    Y = np.clip(T, low, high)
    floor = case.taken.loss.value(np, Y, Y, T, case.taken.loss.parameter or 0.0).sum(axis=1).mean()
    share = float(floor / case.loss) if case.loss > 0 else 0.0
    if not share > OUT_OF_REACH:
        return None
    return Finding(
        "target_range", f"{outside.mean():.0%} of the targets lie outside what {output.name} outputs can put out, "
        f"{low:g} to {high:g}.", outputs(case, np.flatnonzero(outside.any(axis=0))),
        (Measurement("share of the loss that cannot go away", share, OUT_OF_REACH),),
        "Use identity outputs, or scale the targets into the range.",
    )  # fmt: skip


def _target_scale(case: Case) -> Finding | None:
    T = case.taken.T
    spread, mean = T.std(axis=0), np.abs(T.mean(axis=0))
    away = mean / np.where(spread > 0, spread, np.inf)
    found = np.flatnonzero((spread > HUGE) | ((away > OFF_SCALE) & (mean > 1)))
    if not len(found):
        return None
    k = found[np.argmax(np.maximum(spread / HUGE, away / OFF_SCALE)[found])]
    number = (
        Measurement("standard deviation of the target", float(spread[k]), HUGE)
        if spread[k] / HUGE >= away[k] / OFF_SCALE
        else Measurement("|mean| / standard deviation of the target", float(away[k]), OFF_SCALE)
    )
    return Finding(
        "target_range", "The targets are of another scale than what outputs begin with.", outputs(case, found),
        (number,), "Scale the targets to mean 0 and standard deviation 1; `deltarule.fit` does.",
    )  # fmt: skip


def opposing_rows(case: Case) -> Finding | None:
    """Find rows with equal inputs whose targets differ: what they hold of the loss no network can take away."""
    X, T = case.taken.X, case.taken.T
    group, count = _groups(case)
    if count.max() == 1 or case.baseline <= 0:
        return None
    means = np.stack([np.bincount(group, T[:, k]) / count for k in range(T.shape[1])], axis=1)
    within, around = ((T - means[group]) ** 2).sum(), ((T - T.mean(axis=0)) ** 2).sum()
    of_all = float(within / around) if around > 0 else 0.0
    of_loss = min(1.0, of_all / case.excess) if case.excess > 0 else 0.0
    if of_all <= CONTRADICTION or of_loss <= CONTRADICTION:
        return None
    split = np.abs(T - means[group]).max(axis=1) > 0
    pulls = _pulls(case, np.flatnonzero(split))
    rows = tuple(f"row {case.taken.places[row] + 1}" for row in np.flatnonzero(split)[:4])
    return Finding(
        "opposing_rows", f"{int(split.sum()):,} of {len(X):,} rows have the inputs of another row and another target: "
        "their pulls on the weights cancel.", rows,
        (
            Measurement("share of the targets' variance inside groups of equal inputs", of_all, CONTRADICTION),
            Measurement("share of the loss that this explains", of_loss, CONTRADICTION),
            Measurement("what is left of their pulls when summed, |Σg| / Σ|g|", pulls),
        ),
        "No network can tell these rows apart: add a column that does, or correct the targets.",
    )  # fmt: skip


def _pulls(case: Case, rows: NDArray[np.intp]) -> float:
    """Return the length of the summed gradient of some rows, as a share of the sum of their lengths."""
    X, T, s = case.objective.rows
    engine, grads = case.objective.engine, []
    for row in rows[:MOST_PULLS]:
        one = slice(row, row + 1)
        grads.append(np.asarray(engine.value_grad(case.w, Rows(X[one], T[one], None if s is None else s[one]))[1]))
    lengths = sum(float(np.linalg.norm(grad)) for grad in grads)
    return float(np.linalg.norm(np.sum(grads, axis=0))) / lengths if lengths > 0 else 0.0


def tell_apart(case: Case) -> Floats:
    """Return a column that numbers the rows within each group of equal inputs by their targets, 0 in the middle."""
    group = _groups(case)[0]
    order = np.lexsort((*case.taken.T.T, group))
    column = np.zeros(len(group))
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        column[members] = np.linspace(-1.0, 1.0, len(members)) if len(members) > 1 else 0.0
    return column


def _groups(case: Case) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return for each row the number of its group of equal inputs, and the sizes of the groups."""
    X = case.taken.X
    spread = np.ptp(X, axis=0)
    keys = np.round((X - X.min(axis=0)) / np.where(spread > 0, spread, 1.0) / NEAR)
    _, group, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(group).reshape(-1), count


def _count(found: NDArray[np.intp], case: Case) -> str:
    return f"{len(found)} of {case.network.n_in} inputs {'is' if len(found) == 1 else 'are'}"


def columns(case: Case, found: NDArray[np.intp]) -> tuple[str, ...]:
    """Return the names of inputs."""
    names = case.names.sources[0]
    return tuple(names[int(j)] for j in found)


def outputs(case: Case, found: NDArray[np.intp]) -> tuple[str, ...]:
    """Return the names of outputs."""
    names = case.names.neurons[-1]
    return tuple(names[int(k)] for k in found)
