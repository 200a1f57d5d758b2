"""Where a rule would move the weights, beside where the gradient would: angles, weights turned round, uphill steps."""

from __future__ import annotations

from collections.abc import Iterator
from math import nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.explain import rules
from deltarule.explain.lesson import Lesson
from deltarule.network import Network

Floats = NDArray[np.float64]

ROWS, DRAWS = 25, 20
"""So many rows, each with so many draws of weights."""
SMALL, LARGE = 0.5, 4.0
"""Half the widths of the ranges that weights are drawn from: as training begins, and as it may become."""
DEEP = (8, 8)
"""Hidden layers of the deep network."""


class Situation(NamedTuple):
    """Cases of one kind: a network, weights (cases, p), and the rows of each case, (cases, n, …)."""

    name: str
    says: str
    weights: str
    network: Network
    w: Floats
    X: Floats
    T: Floats


class Measured(NamedTuple):
    """How the directions of a rule compare with minus the gradient, over the cases of a situation.

    `reversed_weights` is the share of weights that move the other way, `cases_reversed` in how many cases any does;
    `uphill` in how many cases even the smallest step raises the loss; angles are in degrees.
    """

    situation: str
    weights: str
    rule: str
    cases: int
    reversed_weights: float
    cases_reversed: int
    uphill: int
    median_angle: float
    largest_angle: float


def situations(lesson: Lesson, seed: int) -> Iterator[Situation]:
    """Yield the kinds of case in which the facts differ, with small weights and with large ones."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n = len(lesson.X)
    chosen = rng.choice(n, min(n, ROWS), replace=False)
    one = (lesson.X[chosen][:, None], lesson.T[chosen][:, None])
    two = lesson.two
    width = (lesson.hidden[0],)
    kinds = [
        ("1 row, 1 output", "one row, one output, one hidden layer", lesson.network(width, 1), one[0], one[1][..., :1]),
        (f"1 row, {two.shape[1]} outputs", "one row, several outputs, one hidden layer",
         lesson.network(width, two.shape[1]), one[0], two[chosen][:, None]),
        ("1 row, 2 layers", "one row, one output, two hidden layers", lesson.network(DEEP, 1), one[0], one[1][..., :1]),
        (f"1 row, 2 layers, {two.shape[1]} outputs", "one row, several outputs, two hidden layers",
         lesson.network(DEEP, two.shape[1]), one[0], two[chosen][:, None]),
        ("all rows", f"all {n:,} rows summed, the table's own network", lesson.network(),
         lesson.X[None], lesson.T[None]),
    ]  # fmt: skip
    for name, says, network, X, T in kinds:
        for weights, half in (("small", SMALL), ("large", LARGE)):
            w = rng.uniform(-half, half, (DRAWS, network.n_weights))
            cases = DRAWS * len(X)
            yield Situation(
                name, says, weights, network, np.repeat(w, len(X), axis=0),
                np.broadcast_to(X[None], (DRAWS, *X.shape)).reshape(cases, *X.shape[1:]),
                np.broadcast_to(T[None], (DRAWS, *T.shape)).reshape(cases, *T.shape[1:]),
            )  # fmt: skip


def measured(lesson: Lesson, situation: Situation, rule: str) -> Measured:
    """Return how the directions of a rule compare with minus the gradient."""
    network, _, X, T = situation.network, *situation[4:]
    true = rules.descent(network, lesson.loss, situation.w, X, T)[1]
    found = rules.descent(network, lesson.loss, situation.w, X, T, rule)[1]
    return compared(situation, rule, true, found)


def compared(situation: Situation, rule: str, true: Floats, found: Floats) -> Measured:
    """Return how directions (cases, p) compare with minus the gradients; cases that overflow do not count."""
    usable = np.isfinite(true).all(axis=1) & np.isfinite(found).all(axis=1)
    true, found = true[usable], found[usable]
    if not len(true):
        return Measured(situation.name, situation.weights, rule, 0, nan, 0, 0, nan, nan)
    against = np.sign(true) * np.sign(found) < 0
    angles = angle(true, found)
    return Measured(
        situation.name, situation.weights, rule, len(true),
        float(against.mean()), int(against.any(axis=1).sum()), int((np.einsum("ij,ij->i", true, found) < 0).sum()),
        float(np.median(angles)), float(angles.max()),
    )  # fmt: skip


def angle(a: Floats, b: Floats) -> Floats:
    """Return the angles in degrees between the rows of two arrays (cases, p), accurate for small ones too."""
    a = a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), np.finfo(float).tiny)
    b = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), np.finfo(float).tiny)
    apart, together = np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)
    return np.asarray(np.degrees(2 * np.arctan2(apart, together)))
