"""Surveying the error surface: choosing a plane, walking over it, computing the loss on a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import methods
from deltarule.errors import SettingError
from deltarule.explain import planes, subject
from deltarule.explain.names import Names
from deltarule.explain.planes import Plane
from deltarule.explain.surfaces import POINTS, Surface, losses
from deltarule.explain.walks import STEPS, Walk, walk

Floats = NDArray[np.float64]

MARGIN = 0.2
"""What is shown around the walks, as a share of their extent."""
SLIM = 0.35
"""The shorter side is at least this share of the longer one."""
AROUND = 1.0
"""What is shown around weights from which nothing walks away."""


def surface(
    given: Any,
    rows: Any = None,
    targets: Any = None,
    *,
    w: Any = None,
    seed: int | None = None,
    method: Any = "conjugate_gradient",
    steps: int = STEPS,
    through: Any = "ends",
    points: int = POINTS,
    reach: float | None = None,
    validation: Any = None,
    loss: Any = None,
    l2: float | None = None,
    take: int | Sequence[int] | None = None,
    query: str | None = None,
    member: int = 0,
) -> Surface:
    """Compute the loss over a plane through the weights, and walk over it.

    Parameters
    ----------
    given : Model, Objective, Network or estimator
        What learns. Its weights do not change.
    rows : table or array
        The rows whose loss it is; see `deltarule.explain.update`.
    targets : array, optional
        For a Network T, (n, n_out); for an estimator y.
    w : array of shape (p,), optional
        Where walks start, needed for an Objective and a Network unless `seed` is given.
    seed : int, optional
        Start from the initial weights of this seed instead.
    method : str, Method, or several of them
        What walks: one method, a list, a dict of names and methods, or None for no walk.
    steps : int
        Steps of each walk at most.
    through : str, tuple or Plane
        ``ends``: start and end of the walk and its best point, or the ends of two walks. ``gradient``: −g at the start
        and the conjugate direction after one search. Two weights, as in ``("hidden1[0] <- age", "output[0] <- bias")``.
        Two directions, arrays (p,). A `deltarule.explain.planes.Plane`.
    points : int
        Points along each direction; the loss is computed at so many squared.
    reach : float, optional
        How far the plane is shown around the start, each way, instead of around the walks.
    validation : Objective, optional
        The same network on other rows, to say which point of a walk is best.
    loss, l2, take, query, member : optional
        As for `deltarule.explain.update`.

    Returns
    -------
    Surface
        Print it, or see its methods.

    Raises
    ------
    InputError, SettingError
        If rows, weights or names do not fit, or the plane is none; the message says what is needed.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> x = np.linspace(-1, 1, 9)
    >>> line = dr.Objective(dr.Network((1, 1)), "squared_error", x[:, None], 2 * x + 1)
    >>> found = surface(line, w=np.zeros(2), through=("output[0] <- input[0]", "output[0] <- bias"))
    >>> found.walks[0].w[-1].round(6)
    array([2., 1.])
    >>> float(found.plane.off(found.walks[0].w).max())
    0.0
    """
    for name, value, least in (("points", points, 2), ("steps", steps, 1)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise SettingError(f"{name} was {value!r}; it is a whole number from {least} up.")
    if reach is not None and not (isinstance(reach, int | float) and 0 < reach < float("inf")):
        raise SettingError(f"reach was {reach!r}; it is a number above 0.")
    network = getattr(given, "network", given)
    start = network.initial_weights(seed) if seed is not None and hasattr(network, "initial_weights") else w
    found = subject.of(given, rows, targets, start, loss, l2, take, query, member)
    objective, at = found.objective, np.asarray(found.w, dtype=float)
    walks = tuple(
        walk(objective, found.w, one, steps, name=name, validation=validation) for name, one in _named(method)
    )
    plane = _plane(through, objective, at, found.names, walks)
    seen = np.concatenate([plane.coordinates(at), *(plane.coordinates(one.w) for one in walks)])
    a, b = _extent(seen, points, reach)
    grid = (plane.at(x, y) for y in b for x in a)
    return Surface(plane, a, b, losses(objective, grid).reshape(points, points), walks, objective)


def _named(method: Any) -> list[tuple[str, Any]]:
    """Return the methods that walk, and what each is called."""
    if method is None:
        return []
    if isinstance(method, Mapping):
        return [(str(name), one) for name, one in method.items()]
    several = isinstance(method, Sequence) and not isinstance(method, str)
    asked = list(method) if several else [method]
    return [(one if isinstance(one, str) else methods.get(one).name, one) for one in asked]


def _plane(through: Any, objective: Any, w: Floats, names: Names, walks: tuple[Walk, ...]) -> Plane:
    """Return the plane that was asked for."""
    if isinstance(through, Plane):
        return through
    if isinstance(through, str) and through in ("ends", "gradient"):
        return planes.of_ends(walks) if through == "ends" else planes.of_gradient(objective, objective.weights(w))
    two = tuple(through) if isinstance(through, tuple | list) else ()
    if len(two) == 2 and all(isinstance(one, str | int | np.integer) for one in two):
        indices = [_one(one, names) for one in two]
        return planes.of_weights(w, indices[0], indices[1], names)
    if len(two) == 2:
        return planes.of_directions(w, *two)
    raise SettingError(
        f"through was {through!r}; give 'ends', 'gradient', two weights as in ('hidden1[0] <- bias', "
        "'output[0] <- bias'), two directions of shape (p,), or a Plane."
    )


def _one(weight: str | int, names: Names) -> int:
    """Return the place of one weight in w."""
    found = names.find(weight)
    if len(found) != 1:
        raise SettingError(f"{weight!r} names {len(found)} weights; name one, as in {names.weight(found[0])!r}.")
    return found[0]


def _extent(seen: Floats, points: int, reach: float | None) -> tuple[Floats, Floats]:
    """Return the coordinates of the grid: around what was seen, and not too slim."""
    low, high = seen.min(axis=0), seen.max(axis=0)
    if reach is not None:
        low, high = seen[0] - reach, seen[0] + reach
    elif np.all(high == low):
        low, high = low - AROUND, high + AROUND
    else:
        span = np.maximum(high - low, SLIM * (high - low).max())
        middle = 0.5 * (low + high)
        low, high = middle - (0.5 + MARGIN) * span, middle + (0.5 + MARGIN) * span
    return np.linspace(low[0], high[0], points), np.linspace(low[1], high[1], points)
