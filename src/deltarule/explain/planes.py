"""A plane in the space of the weights: an origin and two directions at right angles, each of length 1.

    w(a, b) = origin + a u + b v

What does not lie in the plane is shown where it is nearest to it; how far off it lies is `Plane.off`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError, SettingError
from deltarule.explain.names import Names
from deltarule.explain.walks import Walk, walk

Floats = NDArray[np.float64]

PARALLEL = 1e-7
"""Two directions are one if this share of the second, or less, stands across the first."""


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane through the space of the weights.

    Parameters
    ----------
    origin : array of shape (p,)
        Where a and b are 0.
    u, v : arrays of shape (p,)
        Its directions, of length 1 and at right angles.
    labels : tuple of str
        What the two directions are called.
    """

    origin: Floats
    u: Floats
    v: Floats
    labels: tuple[str, str]

    def at(self, a: float, b: float) -> Floats:
        """Return the weights at a point of the plane, (p,)."""
        return np.asarray(self.origin + a * self.u + b * self.v)

    def coordinates(self, w: Any) -> Floats:
        """Return (a, b) of the nearest points of the plane, (n, 2), for weights (n, p)."""
        away = np.atleast_2d(w) - self.origin
        return np.column_stack([away @ self.u, away @ self.v])

    def off(self, w: Any) -> Floats:
        """Return how far weights (n, p) lie from the plane, (n,)."""
        found = self.coordinates(w)
        away = np.atleast_2d(w) - self.origin - found[:, :1] * self.u - found[:, 1:] * self.v
        return np.asarray(np.linalg.norm(away, axis=1))


def of_weights(w: Any, first: int, second: int, names: Names) -> Plane:
    """Return the plane of two weights, the others as in w: its coordinates are the two weights' own values.

    Raises
    ------
    SettingError
        If they are the same weight.
    """
    if first == second:
        raise SettingError(f"{names.weight(first)!r} was given twice; a plane needs two weights.")
    origin, u, v = np.array(w, dtype=float), np.zeros(len(w)), np.zeros(len(w))
    u[first] = v[second] = 1.0
    origin[first] = origin[second] = 0.0
    return Plane(origin, u, v, (names.weight(first), names.weight(second)))


def of_directions(w: Any, first: Any, second: Any, labels: tuple[str, str] = ("direction 1", "direction 2")) -> Plane:
    """Return the plane through w that holds two directions (p,), the second made upright on the first.

    Raises
    ------
    InputError
        If a direction does not fit w or is not finite.
    SettingError
        If the two are parallel, or one of them has no length.
    """
    origin = np.array(w, dtype=float)
    ways = [np.array(way, dtype=float) for way in (first, second)]
    for way in ways:
        if way.shape != origin.shape or not np.all(np.isfinite(way)):
            raise InputError(f"A direction has shape {way.shape}; {origin.shape[0]:,} finite numbers are needed.")
    lengths = [float(np.linalg.norm(way)) for way in ways]
    if not min(lengths) > 0:
        raise SettingError("A direction has no length; give two that do.")
    u = ways[0] / lengths[0]
    across = ways[1] / lengths[1]
    for _ in range(2):  # once more, for what rounding has left
        across = across - float(across @ u) * u
    length = float(np.linalg.norm(across))
    if length < PARALLEL:
        raise SettingError("The two directions are parallel; a plane needs two that are not.")
    return Plane(origin, u, across / length, labels)


def of_ends(walks: Sequence[Walk]) -> Plane:
    """Return the plane through a start and the ends of two walks, or through start, end and best point of one.

    Where the best point is the end, the point farthest from the line between start and end stands in its place.

    Raises
    ------
    SettingError
        If the walks span no plane.
    """
    if not walks or walks[0].n_steps == 0:
        raise SettingError(
            "No step was taken, so there is no plane through start and end; name two weights, as in "
            "through=('output[0] <- bias', 'hidden1[0] <- bias'), or start from other weights."
        )
    first = walks[0]
    start, end = first.w[0], first.w[-1]
    for other in walks[1:]:
        if np.linalg.norm(other.w[-1] - end) > PARALLEL * np.linalg.norm(end - start):
            try:
                labels = (f"start to the end of {first.method}", f"across, to the end of {other.method}")
                return of_directions(start, end - start, other.w[-1] - start, labels)
            except SettingError:  # on one line: what follows may still span a plane
                continue
    third, label = first.w[first.best] - start, "across, to the best point"
    if first.best in (0, first.n_steps):
        third, label = _farthest(first) - start, "across, to the point farthest from that line"
    try:
        return of_directions(start, end - start, third, (f"start to the end of {first.method}", label))
    except SettingError:
        raise SettingError(
            "The walk is straight, so that it spans no plane; take more steps, or name two weights with through=…"
        ) from None


def of_gradient(objective: Any, w: Any) -> Plane:
    """Return the plane of −g at w and of the conjugate direction that follows: it holds both searches along them.

    Raises
    ------
    SettingError
        If the gradient is zero at w, or no conjugate direction follows.
    """
    found = walk(objective, w, "conjugate_gradient", 2)
    if found.n_steps < 2:
        raise SettingError(
            "Conjugate gradients took less than two steps from there, so there is no conjugate direction; start from "
            "other weights, or name two weights with through=…"
        )
    first, second = np.diff(found.w, axis=0)
    return of_directions(found.w[0], first, second, ("−g, downhill", "across, to the conjugate direction"))


def _farthest(one: Walk) -> Floats:
    """Return the point of a walk that lies farthest from the line between its ends."""
    way = one.w[-1] - one.w[0]
    away = one.w - one.w[0]
    across = away - np.outer(away @ way / float(way @ way), way)
    return np.asarray(one.w[int(np.argmax(np.linalg.norm(across, axis=1)))])
