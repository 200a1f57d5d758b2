"""A line search for the strong Wolfe conditions.

Along φ(a) = objective(w + a d) it looks for a step a with

    φ(a) ≤ φ(0) + c₁ a φ′(0)          enough descent
    |φ′(a)| ≤ c₂ |φ′(0)|              flat enough

by bracketing and safeguarded cubic interpolation (Nocedal and Wright 2006, algorithms 3.5 and 3.6). Where the
descent asked for is less than a millionth of φ, so that rounding may hide it, the first condition is replaced by
Hager and Zhang's (2005, equation 4.1) slope form, for points that do not lie higher than the start. A trial at
which anything is non-finite only ever shortens the step: it is never returned.
"""

from dataclasses import dataclass
from math import isfinite, sqrt
from numbers import Integral
from typing import Any, NamedTuple

from deltarule.errors import SettingError
from deltarule.special import Array
from deltarule.vectors import dot

EXPAND = 10.0
"""At most how many times longer the next trial is while no bracket is known."""
HIDDEN = 1e-6
"""Share of φ below which rounding may hide a descent (Hager and Zhang 2005, ε in section 4)."""
ROUNDING = 1e-15
"""Share of φ that is rounding: two values no further apart are ordered by their slopes alone."""
INSIDE = 0.03
"""How far from the ends of a bracket a trial stays, as a share of its width, and by what share of the last stretch it
goes further at least. A tenth, the usual choice, spoils the minimum that the cubic has found: a third more passes."""


class Point(NamedTuple):
    """A trial: the step, where it leads, and the slope φ′ there."""

    step: float
    w: Array
    loss: float
    grad: Array
    slope: float


class Found(NamedTuple):
    """What a search ends with: a point below the start, or None; whether it fulfils the Wolfe conditions."""

    point: Point | None
    wolfe: bool


@dataclass(frozen=True)
class StrongWolfe:
    """Find a step that fulfils the strong Wolfe conditions.

    Parameters
    ----------
    c1, c2 : float
        0 < c1 < c2 < 1; a small c2 asks for a nearly exact search, as conjugate gradients need.
    max_trials : int
        Evaluations after which the lowest point found is taken.

    Raises
    ------
    SettingError
        If a value is out of range.
    """

    c1: float = 1e-4
    c2: float = 0.1
    max_trials: int = 30

    def __post_init__(self) -> None:
        if not 0 < self.c1 < self.c2 < 1:
            raise SettingError(f"c1 and c2 were {self.c1!r} and {self.c2!r}; 0 < c1 < c2 < 1 is needed.")
        if not isinstance(self.max_trials, Integral) or self.max_trials < 1:
            raise SettingError(f"max_trials was {self.max_trials!r}; it is a whole number from 1 up.")

    def __call__(self, objective: Any, w: Array, loss: float, slope: float, direction: Array, first: float) -> Found:
        """Search from w along a direction of slope φ′(0) < 0, trying the step `first` first."""
        start = low = Point(0.0, w, loss, None, slope)
        high: Point | None = None
        barrier, step = float("inf"), first
        for _ in range(self.max_trials):
            if not (isfinite(step) and step > 0) or step == low.step:
                break
            trial = _evaluate(objective, start, direction, step)
            if trial is None:
                barrier, step = step, low.step + INSIDE * (step - low.step)
                continue
            descends, before = self._descends(start, trial), low
            if descends and abs(trial.slope) <= -self.c2 * start.slope:
                return Found(trial, True)
            if not descends or trial.loss > low.loss + ROUNDING * abs(low.loss):
                high = trial
            else:
                low, high = trial, _other_end(low, high, trial)
            step = _further(before, low, barrier) if high is None else _inside(low, high)
        moved = low.loss < start.loss or low.slope != start.slope  # or else the step is below the rounding of w
        return Found(low if moved else None, False)

    def _descends(self, start: Point, trial: Point) -> bool:
        asked = -self.c1 * trial.step * start.slope
        if trial.loss <= start.loss - asked:
            return True
        hidden = asked <= HIDDEN * abs(start.loss) and trial.loss <= start.loss
        return hidden and trial.slope <= (2 * self.c1 - 1) * start.slope


def _evaluate(objective: Any, start: Point, direction: Array, step: float) -> Point | None:
    """Return the point at a step, or None if anything there is not finite: a gradient that is not has no slope."""
    w = start.w + step * direction
    loss, grad = objective.value_grad(w)
    slope = dot(grad, direction)
    if not isfinite(loss + slope + dot(w, w)):
        return None
    return Point(step, w, float(loss), grad, slope)


def _other_end(low: Point, high: Point | None, trial: Point) -> Point | None:
    """Return the end of the bracket opposite to `trial`, the new low end: the side to which φ descends from it."""
    if high is None:
        return low if trial.slope >= 0 else None
    return low if trial.slope * (high.step - low.step) >= 0 else high


def _further(before: Point, low: Point, barrier: float) -> float:
    """Return where the secant of the last two slopes reaches 0, further than `low` but not too far."""
    length, bend = low.step - before.step, low.slope - before.slope
    reach = low.step - length * low.slope / bend if bend > 0 else float("inf")
    farthest = min(EXPAND * low.step, low.step + 0.5 * (barrier - low.step))
    return min(max(reach, low.step + INSIDE * length), farthest)


def _inside(low: Point, high: Point) -> float:
    """Return the minimum of the cubic through both ends of the bracket, kept off them."""
    width = high.step - low.step
    if width == 0:
        return low.step
    a = low.step + width * _cubic_minimum(low, high)
    near, far = low.step + INSIDE * width, high.step - INSIDE * width
    return min(max(a, min(near, far)), max(near, far))


def _cubic_minimum(low: Point, high: Point) -> float:
    """Return where, as a share of the bracket, the cubic with both values and slopes is smallest; ½ if nowhere."""
    width = high.step - low.step
    d1 = low.slope + high.slope - 3 * (low.loss - high.loss) / (low.step - high.step)
    square = d1 * d1 - low.slope * high.slope
    if not square >= 0:
        return 0.5
    d2 = sqrt(square) * (1.0 if width > 0 else -1.0)
    below = high.slope - low.slope + 2 * d2
    share = 1 - (high.slope + d2 - d1) / below if below else 0.5
    return share if isfinite(share) else 0.5
