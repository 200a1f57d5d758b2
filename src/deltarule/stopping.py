"""When to stop: the closed list of reasons, and rules that find one in the history of a run.

A rule is a function ``history -> Reason or None``. It sees records only: neither states, nor networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from numbers import Integral

from deltarule.errors import SettingError
from deltarule.numeric import isfinite
from deltarule.record import Record


class Reason(Enum):
    """Why a run ended, each with its sentence."""

    GOAL = "The loss reached the goal."
    MIN_GRAD = "The gradient fell below min_grad: the surface is flat here."
    VALIDATION = "The validation loss has not improved for as many steps as max_fail says."
    MAX_STEPS = "The step limit was reached."
    MAX_SECONDS = "The time limit was reached."
    STALLED = "The loss stalled: the last steps hardly changed it."
    NO_DESCENT = "No further descent was found."
    NON_FINITE = "A value became non-finite."
    INTERRUPTED = "The run was interrupted."
    CALLER = "The caller stopped the run."


StopRule = Callable[[Sequence[Record]], Reason | None]


def _check(name: str, value: float, low: float, *, above: bool = False) -> None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not fine or value < low or (above and value == low):
        accepted = f"above {low:g}" if above else f"from {low:g} up"
        raise SettingError(f"{name} was {value!r}; it is a number {accepted}.")


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise SettingError(f"{name} was {value!r}; it is a whole number from 1 up.")


@dataclass(frozen=True)
class MaxSteps:
    """Stop after so many steps."""

    steps: int

    def __post_init__(self) -> None:
        _check_count("steps", self.steps)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        return Reason.MAX_STEPS if history[-1].step >= self.steps else None


@dataclass(frozen=True)
class MaxPasses:
    """Stop after so many evaluations over all rows, the fair unit between methods."""

    passes: float

    def __post_init__(self) -> None:
        _check("passes", self.passes, 0, above=True)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        return Reason.MAX_STEPS if history[-1].passes >= self.passes else None


@dataclass(frozen=True)
class MaxSeconds:
    """Stop after so many seconds of training."""

    seconds: float

    def __post_init__(self) -> None:
        _check("seconds", self.seconds, 0, above=True)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        return Reason.MAX_SECONDS if history[-1].seconds >= self.seconds else None


@dataclass(frozen=True)
class Goal:
    """Stop when the training loss is at most `loss`."""

    loss: float

    def __post_init__(self) -> None:
        _check("loss", self.loss, 0)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        return Reason.GOAL if history[-1].loss <= self.loss else None


@dataclass(frozen=True)
class MinGrad:
    """Stop when the Euclidean length of the gradient is below `size`; online training has none."""

    size: float = 1e-7

    def __post_init__(self) -> None:
        _check("size", self.size, 0)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        size = history[-1].gradient_size
        return Reason.MIN_GRAD if size is not None and size < self.size else None


@dataclass(frozen=True)
class MaxFail:
    """Stop when the validation loss has not improved for so many checks in a row."""

    checks: int = 6

    def __post_init__(self) -> None:
        _check_count("checks", self.checks)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        return Reason.VALIDATION if history[-1].fails >= self.checks else None


@dataclass(frozen=True)
class Stalled:
    """Stop when the last `steps` steps changed the loss by at most `share` of it."""

    share: float = 1e-6
    steps: int = 10

    def __post_init__(self) -> None:
        _check("share", self.share, 0)
        _check_count("steps", self.steps)

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        if len(history) <= self.steps:
            return None
        before, now = history[-1 - self.steps].loss, history[-1].loss
        return Reason.STALLED if abs(before - now) <= self.share * abs(now) else None
