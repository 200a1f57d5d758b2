"""The error surface: the loss over a plane through the weights, with the way of a run upon it.

The JSON of `Surface.to_dict`:

    plane        labels of its two directions, origin, u and v (each p numbers)
    a, b         where the loss was computed along them
    loss         for each b a list of the losses at each a; null where it is not finite
    lowest       the lowest of them: a, b, loss
    walks        for each: method, steps, stuck; of each point a, b, off (how far it lies from the plane), loss, slope
                 (the length of the gradient), validation (null without other rows); best, the place of the best point;
                 of each step leaving and arriving, the slopes along it where it begins and ends, and samples: what was
                 looked at, each along (0 to 1 is the step), loss, slope (null where not computed), aside
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.explain.frames import plain
from deltarule.explain.grids import Grid, html, number, share, text
from deltarule.explain.planes import Plane
from deltarule.explain.walks import Walk

Floats = NDArray[np.float64]

POINTS = 41
"""Points along each direction, so many squared passes over the rows."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The loss over a plane through the space of the weights.

    Parameters
    ----------
    plane : Plane
        Where it was computed.
    a, b : arrays of shape (points,)
        The coordinates along its directions.
    loss : array of shape (points, points)
        The objective at ``plane.at(a[j], b[i])``; what is not finite is NaN.
    walks : tuple of Walk
        What walked over it.
    objective : Objective
        Whose loss it is.
    """

    plane: Plane
    a: Floats
    b: Floats
    loss: Floats
    walks: tuple[Walk, ...]
    objective: Any

    @property
    def lowest(self) -> tuple[float, float, float]:
        """The lowest point of the grid: a, b and the loss there."""
        i, j = np.unravel_index(int(np.argmin(np.where(np.isfinite(self.loss), self.loss, np.inf))), self.loss.shape)
        return float(self.a[j]), float(self.b[i]), float(self.loss[i, j])

    def line(self, step: int = 0, walk: int = 0, points: int = POINTS) -> tuple[Floats, Floats]:
        """Return the loss along the line of one step: how far along it, 1 where it ends, and the loss there.

        Raises
        ------
        SettingError
            If there is no such step.
        """
        one = self.walk(walk)
        if not 0 <= step < one.n_steps:
            raise SettingError(f"Step {step} was asked for; {one.method} took {one.n_steps}, counted from 0.")
        reach = max([1.0, *(sample.along for sample in one.samples[step])])
        along = np.linspace(min(0.0, *(s.along for s in one.samples[step]), 0.0), 1.1 * reach, points)
        start, move = one.w[step], one.w[step + 1] - one.w[step]
        return along, losses(self.objective, (start + share * move for share in along))

    def walk(self, number: int) -> Walk:
        """Return one of the walks, counted from 0.

        Raises
        ------
        SettingError
            If there is no such walk.
        """
        if not 0 <= number < len(self.walks):
            raise SettingError(f"Walk {number} was asked for; there are {len(self.walks)}, counted from 0.")
        return self.walks[number]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; the module says what the keys are."""
        a, b, loss = self.lowest
        plane = self.plane
        found: dict[str, Any] = plain({
            "plane": {"labels": list(plane.labels), "origin": plane.origin.tolist(), "u": plane.u.tolist(),
                      "v": plane.v.tolist()},
            "a": self.a.tolist(), "b": self.b.tolist(), "loss": self.loss.tolist(),
            "lowest": {"a": a, "b": b, "loss": loss}, "walks": [self._walk_as_dict(one) for one in self.walks],
        })  # fmt: skip
        return found

    def _walk_as_dict(self, one: Walk) -> dict[str, Any]:
        where = self.plane.coordinates(one.w)
        return {
            "method": one.method, "steps": one.n_steps, "stuck": one.stuck, "a": where[:, 0].tolist(),
            "b": where[:, 1].tolist(), "off": self.plane.off(one.w).tolist(), "loss": one.losses.tolist(),
            "slope": one.slopes.tolist(), "validation": None if one.validation is None else one.validation.tolist(),
            "best": one.best, "leaving": one.leaving.tolist(), "arriving": one.arriving.tolist(),
            "samples": [[sample._asdict() for sample in samples] for samples in one.samples],
        }  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw lines of equal loss, and the walks; return the matplotlib Axes."""
        from deltarule.explain import surface_picture

        return surface_picture.contour(self, ax)

    def plot_3d(self, ax: Any = None) -> Any:
        """Draw the surface in three dimensions, each walk at its own losses; return the matplotlib Axes."""
        from deltarule.explain import surface_picture

        return surface_picture.relief(self, ax)

    def plot_slopes(self, ax: Any = None) -> Any:
        """Draw how steep the surface is along the walks, step by step; return the matplotlib Axes."""
        from deltarule.explain import surface_picture

        return surface_picture.slopes(self, ax)

    def plot_line(self, step: int = 0, walk: int = 0, ax: Any = None) -> Any:
        """Draw the loss along the line of one step, with what was looked at and the slopes there; return the Axes."""
        from deltarule.explain import surface_picture

        return surface_picture.line(self, step, walk, ax)

    def grids(self) -> list[Grid]:
        """Return it as people read it: the plane, then each walk."""
        a, b, loss = self.lowest
        first, second = self.plane.labels
        about = (
            f"Loss over a plane of {len(self.plane.origin):,} weights\n"
            f"  a  {first}: {number(self.a[0])} to {number(self.a[-1])}\n"
            f"  b  {second}: {number(self.b[0])} to {number(self.b[-1])}\n"
            f"lowest on the grid {number(loss)} at a {number(a)}, b {number(b)}"
        )
        rows = [
            (
                one.method, f"{one.n_steps:,}", f"{one.looks:,}", number(one.losses[0]), number(one.losses[-1]),
                number(one.slopes[0]), number(one.slopes[-1]), self._turn(one), number(self.plane.off(one.w).max()),
                share(self._off(one)),
            )
            for one in self.walks
        ]  # fmt: skip
        header = (
            "walk", "steps", "looks", "first loss", "last", "first slope", "last", "median turn", "off the plane",
            "of its way",
        )  # fmt: skip
        note = "\n".join(f"{one.method} went no further: {one.stuck}" for one in self.walks if one.stuck)
        return [Grid(about, (), []), *([Grid("", header, rows, note)] if rows else [])]

    def _turn(self, one: Walk) -> str:
        turns = one.turns[np.isfinite(one.turns)]
        return f"{np.median(turns):.0f}°" if len(turns) else "–"

    def _off(self, one: Walk) -> float:
        """Return the farthest distance from the plane, as a share of the farthest from the start."""
        reach = float(np.linalg.norm(one.w - one.w[0], axis=1).max())
        return float(self.plane.off(one.w).max()) / reach if reach else 0.0

    def __str__(self) -> str:
        return text(self.grids())

    def __repr__(self) -> str:
        return f"<Surface over {self.plane.labels[0]} and {self.plane.labels[1]}, {len(self.walks)} walks>"

    def _repr_html_(self) -> str:
        return html(self.grids())


def losses(objective: Any, w: Any) -> Floats:
    """Return the objective at several weights, NaN where it is not finite."""
    with objective.working(), np.errstate(all="ignore"):
        found = np.array([_loss(objective, one) for one in w])
    return np.where(np.isfinite(found), found, np.nan)


def _loss(objective: Any, w: Floats) -> float:
    if not np.all(np.isfinite(w)):
        return float("nan")
    return float(objective.value(np.asarray(w, dtype=objective.rows.X.dtype)))
