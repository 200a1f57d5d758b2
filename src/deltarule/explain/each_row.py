"""Row by row: the angle between η · δ · input and the gradient, at the start and after training."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.explain import rules
from deltarule.explain.directions import angle
from deltarule.explain.lesson import Lesson
from deltarule.explain.odds import Trained

Floats = NDArray[np.float64]

CARELESS = "omit"
"""The rule in question: η · δ · input."""


class Aside(NamedTuple):
    """How far one row's step without f′ lies from the gradient's.

    Angles are in degrees, NaN where one of the two steps has no length or is not finite; `reversed_…` are shares of
    weights that move the other way; `uphill_…` says whether even the smallest step raises the row's loss.
    """

    row: int
    angle_start: float
    angle_trained: float
    reversed_start: float
    reversed_trained: float
    uphill_start: bool
    uphill_trained: bool


def measured(lesson: Lesson, trained: Trained) -> tuple[Aside, ...]:
    """Return it for each row of a lesson: at the first start, and where the best run by the gradient ended."""
    ended = trained.runs["gradient"]
    last = np.where(np.isfinite(ended.losses[-1]), ended.losses[-1], np.inf)
    start, end = (_at(lesson, w) for w in (trained.course.starts[0], ended.w[int(np.argmin(last))]))
    return tuple(
        Aside(row, a[0], b[0], a[1], b[1], a[2], b[2]) for row, a, b in zip(lesson.rows, start, end, strict=True)
    )


def _at(lesson: Lesson, w: Floats) -> list[tuple[float, float, bool]]:
    """Return angle, share of weights reversed, and whether it is uphill, for each row at w."""
    n = len(lesson.X)
    many, X, T = np.broadcast_to(w, (n, len(w))), lesson.X[:, None], lesson.T[:, None]
    true, found = (rules.descent(lesson.network(), lesson.loss, many, X, T, rule)[1] for rule in ("gradient", CARELESS))
    angles, against = angle(true, found), (np.sign(true) * np.sign(found) < 0).mean(axis=1)
    uphill = np.einsum("ij,ij->i", true, found) < 0
    usable = np.any(true, axis=1) & np.any(found, axis=1) & np.isfinite(angles)
    angles = np.where(usable, angles, np.nan)
    return list(zip(angles.tolist(), against.tolist(), uphill.tolist(), strict=True))


def farthest(found: tuple[Aside, ...], most: int) -> list[Aside]:
    """Return the rows whose steps lie farthest from the gradient after training."""
    known = [one for one in found if isfinite(one.angle_trained)]
    return sorted(known, key=lambda one: (-one.angle_trained, one.row))[:most]
