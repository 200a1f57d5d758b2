"""Learning-rate schedules: the rate η as a function of how many epochs have passed.

A schedule is asked for its rate `at` an epoch (a fraction inside one), and told the loss after each epoch. Only
`Adaptive` listens; what it remembers is its `Pace`, part of the method's state.
"""

from dataclasses import dataclass, fields
from math import cos, inf, pi
from typing import NamedTuple, Protocol

from deltarule.errors import SettingError, unknown
from deltarule.numeric import isfinite


class Pace(NamedTuple):
    """What a schedule remembers: a factor on its rate, the best loss so far, epochs without a better one."""

    factor: float = 1.0
    best: float = inf
    stalled: int = 0


class Schedule(Protocol):
    """The rate at each epoch."""

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        ...

    def observe(self, pace: Pace, loss: float) -> Pace:
        """Return what to remember after an epoch that ended with this loss."""
        return pace


def _check(schedule: Schedule, **bounds: tuple[float, float]) -> None:
    """Refuse settings that are not numbers inside their bounds (the lower one excluded)."""
    for setting in fields(schedule):  # type: ignore[arg-type]  # all implementations are dataclasses
        low, high = bounds.get(setting.name, (0.0, inf))
        value = getattr(schedule, setting.name)
        if not (isinstance(value, int | float) and isfinite(value) and low < value <= high):
            raise SettingError(
                f"{setting.name} of {type(schedule).__name__} was {value!r}; it is a number above {low:g}"
                + (f" and at most {high:g}." if isfinite(high) else ".")
            )


@dataclass(frozen=True)
class Constant(Schedule):
    """The rate η, always."""

    rate: float = 0.01

    def __post_init__(self) -> None:
        _check(self)

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        return self.rate


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """The rate η / (1 + epoch)^power (Robbins and Monro 1951 for power in (½, 1])."""

    rate: float = 0.01
    power: float = 0.5

    def __post_init__(self) -> None:
        _check(self)

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        return float(self.rate / (1 + epoch) ** self.power)


@dataclass(frozen=True)
class StepDecay(Schedule):
    """The rate η · factor^⌊epoch / every⌋."""

    rate: float = 0.01
    factor: float = 0.5
    every: int = 50

    def __post_init__(self) -> None:
        _check(self, factor=(0.0, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        return float(self.rate * self.factor ** (epoch // self.every))


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """The rate η · factor^epoch."""

    rate: float = 0.01
    factor: float = 0.99

    def __post_init__(self) -> None:
        _check(self, factor=(0.0, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        return float(self.rate * self.factor**epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from η to lowest · η over `epochs`, then lowest · η (Loshchilov and Hutter 2017)."""

    rate: float = 0.01
    epochs: float = 200
    lowest: float = 0.01

    def __post_init__(self) -> None:
        _check(self, lowest=(-1e-300, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        return _glide(self.rate, self.lowest * self.rate, epoch / self.epochs)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from η/25 to η over the first 30 % of `epochs`, down to η/10,000 (Smith and Topin 2018)."""

    rate: float = 0.01
    epochs: float = 200
    rise: float = 0.3
    start: float = 0.04
    end: float = 1e-4

    def __post_init__(self) -> None:
        _check(self, rise=(0.0, 0.99), start=(0.0, 1.0), end=(0.0, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        share = epoch / self.epochs
        if share < self.rise:
            return _glide(self.start * self.rate, self.rate, share / self.rise)
        return _glide(self.rate, self.end * self.rate, (share - self.rise) / (1 - self.rise))


@dataclass(frozen=True)
class StartLarge(Schedule):
    """Start large and decrease: η at first, falling in a line to end · η over `epochs` (AGH 2004, first plan)."""

    rate: float = 0.1
    epochs: float = 200
    end: float = 0.01

    def __post_init__(self) -> None:
        _check(self, end=(0.0, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        share = min(1.0, epoch / self.epochs)
        return self.rate * (1 - share * (1 - self.end))


@dataclass(frozen=True)
class StartSmall(Schedule):
    """Start small, grow, decrease at the end: from start · η in a line to η halfway, held to 80 %, down to end · η.

    The second plan of the AGH page (2004), which gives the shape and no numbers.
    """

    rate: float = 0.1
    epochs: float = 200
    start: float = 0.05
    end: float = 0.01

    def __post_init__(self) -> None:
        _check(self, start=(0.0, 1.0), end=(0.0, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        share = min(1.0, epoch / self.epochs)
        if share < 0.5:
            return self.rate * (self.start + (1 - self.start) * share / 0.5)
        return self.rate * (1 - (1 - self.end) * max(0.0, share - 0.8) / 0.2)


@dataclass(frozen=True)
class Adaptive(Schedule):
    """The rate η, times `factor` after `patience` epochs without a loss lower by the share `tolerance`."""

    rate: float = 0.01
    factor: float = 0.2
    patience: int = 2
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        _check(self, factor=(0.0, 1.0), tolerance=(-1e-300, 1.0))

    def at(self, epoch: float) -> float:
        """Return the rate before any slowing down."""
        return self.rate

    def observe(self, pace: Pace, loss: float) -> Pace:
        """Return what to remember after an epoch that ended with this loss."""
        if loss < pace.best - self.tolerance * abs(pace.best) or pace.best == inf:
            return Pace(pace.factor, loss, 0)
        if pace.stalled + 1 < self.patience:
            return pace._replace(best=min(pace.best, loss), stalled=pace.stalled + 1)
        return Pace(pace.factor * self.factor, min(pace.best, loss), 0)


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "inverse_scaling": InverseScaling,
    "step_decay": StepDecay,
    "exponential_decay": ExponentialDecay,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "start_large": StartLarge,
    "start_small": StartSmall,
    "adaptive": Adaptive,
}
"""All schedules by name."""


def get(schedule: str | Schedule | float, epochs: float | None = None) -> Schedule:
    """Return a schedule from its name, from a number (constant), or as it is.

    Parameters
    ----------
    schedule : str, Schedule or float
        A name may carry the rate, as in ``"cosine(0.05)"``.
    epochs : float, optional
        How long the run is, for a schedule by name that has a length.

    Raises
    ------
    SettingError
        If the name is unknown or the number is not a rate.
    """
    if isinstance(schedule, int | float):
        if not isfinite(schedule):
            raise SettingError(f"The learning rate was {schedule!r}; it is a number above 0.")
        return Constant(float(schedule))
    if isinstance(schedule, str):
        return _named(schedule, epochs)
    if isinstance(schedule, type) or not callable(getattr(schedule, "at", None)):
        raise unknown("schedule", schedule, SCHEDULES)
    return schedule


def _named(text: str, epochs: float | None) -> Schedule:
    name, bracket, rest = text.partition("(")
    if name not in SCHEDULES:
        raise unknown("schedule", text, SCHEDULES)
    made, settings = SCHEDULES[name], {}
    if bracket:
        try:
            settings["rate"] = float(rest.removesuffix(")"))
        except ValueError:
            raise SettingError(f"The schedule {text!r} is not a name with a rate, as in 'cosine(0.05)'.") from None
    if epochs is not None and any(row.name == "epochs" for row in fields(made)):  # type: ignore[arg-type]
        settings["epochs"] = epochs
    return made(**settings)


def _glide(start: float, end: float, share: float) -> float:
    share = min(1.0, max(0.0, share))
    return end + (start - end) * 0.5 * (1 + cos(pi * share))
