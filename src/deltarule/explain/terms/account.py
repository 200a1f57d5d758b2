"""What a step is explained from, and the terms it is explained by."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]


class Term(NamedTuple):
    """A part of a step: its name, its formula, and what it adds to each weight, (p,)."""

    name: str
    formula: str
    values: Numbers


class Account(NamedTuple):
    """How a step adds up.

    `settings` are the numbers that the method used. `scale` is what multiplies ``data`` in the first term, one number
    for all weights or one for each (p,); None where the step is no multiple of it. `slack` is by how much, beyond the
    rounding of the sum, the terms may miss the step: what solving a system of equations leaves.
    """

    terms: tuple[Term, ...]
    settings: dict[str, float | int | str]
    scale: Numbers | float | None
    notes: tuple[str, ...] = ()
    slack: Numbers | float = 0.0


class Taken(NamedTuple):
    """A step that was taken: by what method, on what objective (its projection, where the method works on that).

    `earlier` is the state before the last but one step, where it is known; `data` is minus the gradient of the mean
    loss at ``before.w``, computed from the factors, for methods whose states hold none.
    """

    objective: Any
    method: Any
    before: Any
    after: Any
    earlier: Any = None
    data: Numbers | None = None

    @property
    def moved(self) -> bool:
        """Whether any weight did."""
        return not np.array_equal(self.before.w, self.after.w)

    @property
    def pull(self) -> Numbers:
        """Minus the gradient of the penalty at the weights before, (p,)."""
        return pull(self.objective, self.before.w)

    @property
    def down(self) -> Numbers:
        """Minus the gradient of the mean loss, (p,), as the state holds it."""
        return np.asarray(-self.before.grad - self.pull)


def pull(objective: Any, w: Numbers) -> Numbers:
    """Return minus the gradient of the penalty, (p,): −l2 · w, 0 for biases."""
    found, l2 = np.zeros_like(w), getattr(objective, "l2", 0.0)
    if l2:
        for (into, _), (W, _) in zip(objective.network.layers(found), objective.network.layers(w), strict=True):
            into -= l2 * W
    return found


def summed(parts: list[Term]) -> tuple[Term, ...]:
    """Return the terms without those that add nothing to any weight, the first one kept."""
    return tuple(part for i, part in enumerate(parts) if i == 0 or np.any(part.values))


def unmoved(taken: Taken, why: str) -> Account:
    """Return the account of a step that moved nothing."""
    stuck = f"; {taken.after.stuck}" if taken.after.stuck else ""
    return Account((Term("no step", "0", np.zeros_like(taken.before.w)),), {}, None, (why + stuck,))
