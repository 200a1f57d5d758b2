"""A walk over the error surface: where a method went, step by step, and where it looked on the way.

Loss and gradient of each point are those of the objective itself, computed again: states of online training hold the
running mean of an epoch, and those of a projected objective no gradient of the last layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import methods, preconditioning
from deltarule.errors import SettingError
from deltarule.train import steps as steps_of

Floats = NDArray[np.float64]

STEPS = 30
"""Steps of a walk unless told otherwise."""


class Sample(NamedTuple):
    """A point that a method looked at in a step: how far along the step it lies, 1 where the step ends.

    `slope` is that of the loss along the step per unit of length, None where only the loss was computed; `aside` is how
    far the point lies from the line of the step, 0 but for rounding in a line search.
    """

    along: float
    loss: float
    slope: float | None
    aside: float


@dataclass(frozen=True, eq=False)
class Walk:
    """The way of a method over the error surface.

    Parameters
    ----------
    method : str
        What it is called.
    w : array of shape (steps + 1, p)
        The weights: the start, then after each step.
    losses : array of shape (steps + 1,)
        The objective there.
    slopes : array of shape (steps + 1,)
        The length of its gradient: how steep the surface is there. 0 at a minimum, a saddle, a plateau.
    leaving, arriving : arrays of shape (steps,)
        The slope along each step where it begins and where it ends: after an exact line search the second is 0.
    samples : tuple of tuple of Sample
        What the method looked at in each step.
    validation : array of shape (steps + 1,), optional
        The loss on other rows.
    stuck : str
        Why it went no further, or an empty string.
    """

    method: str
    w: Floats
    losses: Floats
    slopes: Floats
    leaving: Floats
    arriving: Floats
    samples: tuple[tuple[Sample, ...], ...]
    validation: Floats | None = None
    stuck: str = ""

    @property
    def n_steps(self) -> int:
        """How many steps it took."""
        return len(self.w) - 1

    @property
    def best(self) -> int:
        """Which of its points is best: has the lowest loss on other rows where there are any, or on its own."""
        judged = self.losses if self.validation is None else self.validation
        return int(np.argmin(np.where(np.isfinite(judged), judged, np.inf)))

    @property
    def looks(self) -> int:
        """At how many points it looked on the way."""
        return sum(len(samples) for samples in self.samples)

    @property
    def turns(self) -> Floats:
        """By how many degrees it turned between steps, (steps − 1,): 90 is the zigzag of exact searches down −g."""
        moves = np.diff(self.w, axis=0)
        lengths = np.linalg.norm(moves, axis=1)
        with np.errstate(all="ignore"):
            cosines = np.einsum("ij,ij->i", moves[:-1], moves[1:]) / (lengths[:-1] * lengths[1:])
        return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


class Watched:
    """An objective that remembers at which points it was evaluated.

    Parameters
    ----------
    objective : Objective
        Anything with functions of w.
    """

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self.seen: list[tuple[Floats, float, Floats | None]] = []
        for name in ("value", "value_grad", "gauss_newton"):
            found = getattr(objective, name, None)
            if found is not None:
                setattr(self, name, self._watching(found))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    def _watching(self, found: Any) -> Any:
        settled = getattr(self.objective, "settled", None)  # the last layer as it is solved for

        def watched(w: Any) -> Any:
            returned = found(w)
            several = isinstance(returned, tuple)
            grad = np.array(returned[1], dtype=float) if several else None
            at = settled(w) if settled is not None else w
            self.seen.append((np.array(at, dtype=float), float(returned[0] if several else returned), grad))
            return returned

        return watched


def walk(
    objective: Any, w: Any, method: Any = "conjugate_gradient", steps: int = STEPS, *, name: str = "",
    validation: Any = None,
) -> Walk:  # fmt: skip
    """Take some steps of a method, and return where it went and looked.

    Parameters
    ----------
    objective : Objective
        What is made small; for methods that need no rows any object with ``value_grad(w)``.
    w : array of shape (p,)
        Where it starts.
    method : str or Method
        How the next weights are chosen. Steps of online training are epochs; ``Online(rows_per_step=1)`` shows rows.
        Without its preconditioner, which would begin with another last layer than that of w.
    steps : int
        At most so many.
    name : str
        What to call the walk, the method's name unless given.
    validation : Objective, optional
        The same network on other rows, to say which point is best.

    Returns
    -------
    Walk
        It ends early where the method is stuck or the next weights are not finite.

    Raises
    ------
    SettingError, InputError
        As `deltarule.steps`, and if `steps` is not a whole number from 1 up.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> line = dr.Objective(dr.Network((1, 1)), "squared_error", [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> found = walk(line, np.zeros(2))
    >>> bool(found.losses[-1] < 1e-12), bool(abs(found.arriving[0]) < 0.2 * abs(found.leaving[0]))
    (True, True)
    """
    if not isinstance(steps, Integral) or isinstance(steps, bool) or steps < 1:
        raise SettingError(f"steps was {steps!r}; it is a whole number from 1 up.")
    made = preconditioning.without(methods.get(method))
    watched = Watched(preconditioning.for_method(objective, made))
    points, stuck = [], ""
    samples: list[tuple[Sample, ...]] = []
    with _at_work(objective):
        for state in steps_of(watched, w, made):
            here = np.array(state.w, dtype=float)
            loss, grad = objective.value_grad(state.w) if np.all(np.isfinite(here)) else (np.nan, here)
            if not (np.isfinite(loss) and np.all(np.isfinite(grad))):
                stuck = "the next point is not finite" if points else "the start is not finite"
                break
            if points:
                samples.append(_samples(points[-1][0], here, watched.seen))
            other = float(validation.value(state.w)) if validation is not None else np.nan
            points.append((here, float(loss), np.array(grad, dtype=float), other))
            watched.seen.clear()
            if state.stuck or len(points) > steps:
                stuck = state.stuck
                break
    if not points:
        raise SettingError("The loss at the start is not finite; give smaller weights, or rescale the inputs.")
    if len(points) > 1 and np.array_equal(points[-1][0], points[-2][0]) and stuck:
        del points[-1], samples[-1]  # a step that was in vain
    return _walk(name or made.name, points, tuple(samples), validation is not None, stuck)


def _walk(
    name: str, points: list[tuple[Floats, float, Floats, float]], samples: tuple[tuple[Sample, ...], ...],
    validated: bool, stuck: str,
) -> Walk:  # fmt: skip
    W, grads = np.array([point[0] for point in points]), np.array([point[2] for point in points])
    moves = np.diff(W, axis=0)
    lengths = np.linalg.norm(moves, axis=1, keepdims=True)
    ways = moves / np.where(lengths > 0, lengths, 1.0)
    return Walk(
        name, W, np.array([point[1] for point in points]), np.linalg.norm(grads, axis=1),
        np.einsum("ij,ij->i", grads[:-1], ways), np.einsum("ij,ij->i", grads[1:], ways), samples,
        np.array([point[3] for point in points]) if validated else None, stuck,
    )  # fmt: skip


def _samples(before: Floats, after: Floats, seen: list[tuple[Floats, float, Floats | None]]) -> tuple[Sample, ...]:
    """Return what was looked at in a step, in the order in which it was."""
    step = after - before
    length = float(np.linalg.norm(step))
    if length == 0:
        return ()
    found = []
    for w, loss, grad in seen:
        along = float((w - before) @ step) / length**2
        slope = None if grad is None or not np.all(np.isfinite(grad)) else float(grad @ step) / length
        found.append(Sample(along, loss, slope, float(np.linalg.norm(w - before - along * step))))
    return tuple(found)


@contextmanager
def _at_work(objective: Any) -> Iterator[None]:
    """Surround what computes, between the steps too: no warnings of overflow, which ends a walk."""
    with getattr(objective, "working", nullcontext)(), np.errstate(all="ignore"):
        yield
