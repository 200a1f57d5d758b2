"""Update rules: how a gradient moves the weights in online and mini-batch training, elementwise.

    plain      w ← w − η g
    momentum   v ← m v − η g                        w ← w + v
    nesterov   v ← m v − η g                        w ← w + m v − η g       (Sutskever et al. 2013, Bengio's form)
    rmsprop    a ← ρ a + (1 − ρ) g²                 w ← w − η g / (√a + ε)  (Tieleman and Hinton 2012)
    adam       a ← β₁ a + (1 − β₁) g,  b ← β₂ b + (1 − β₂) g²
               w ← w − η √(1 − β₂ᵗ) / (1 − β₁ᵗ) · a / (√b + ε)              (Kingma and Ba 2015, end of section 2)

g is the gradient of the loss, so −g is the product δ · f′(e) · input of the delta rule.
"""

from dataclasses import dataclass, fields
from math import sqrt
from typing import Any

from deltarule.errors import SettingError, unknown
from deltarule.numeric import isfinite
from deltarule.special import Array


def _check(rule: Any, low: float = 0.0, high: float = 1.0) -> None:
    for setting in fields(rule):
        value = getattr(rule, setting.name)
        top = float("inf") if setting.name == "epsilon" else high
        if setting.name == "epsilon" and value == 0:
            raise SettingError(f"epsilon of {rule.name} was 0; it must be above 0, lest 0 be divided by 0.")
        if not (isinstance(value, int | float) and isfinite(value) and low <= value < top):
            raise SettingError(
                f"{setting.name} of {rule.name} was {value!r}; it is a number from {low:g} to below {top:g}."
            )


@dataclass(frozen=True)
class Plain:
    """The delta rule itself: w ← w − η g."""

    name = "plain"
    n_memory = 0

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w in place."""
        w -= rate * g


@dataclass(frozen=True)
class Momentum:
    """Heavy-ball momentum: v ← m v − η g, w ← w + v (Rumelhart, Hinton and Williams 1986)."""

    momentum: float = 0.9
    name = "momentum"
    n_memory = 1

    def __post_init__(self) -> None:
        _check(self)

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w and the velocity memory[0] in place."""
        v = memory[0]
        v *= self.momentum
        v -= rate * g
        w += v


@dataclass(frozen=True)
class Nesterov:
    """Nesterov momentum: v ← m v − η g, w ← w + m v − η g (Sutskever et al. 2013)."""

    momentum: float = 0.9
    name = "nesterov"
    n_memory = 1

    def __post_init__(self) -> None:
        _check(self)

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w and the velocity memory[0] in place."""
        v = memory[0]
        v *= self.momentum
        v -= rate * g
        w += self.momentum * v - rate * g


@dataclass(frozen=True)
class RMSprop:
    """Step divided by a running root mean square of the gradient (Tieleman and Hinton 2012)."""

    decay: float = 0.9
    epsilon: float = 1e-8
    name = "rmsprop"
    n_memory = 1

    def __post_init__(self) -> None:
        _check(self)

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w and the mean square memory[0] in place."""
        a = memory[0]
        a *= self.decay
        a += (1 - self.decay) * (g * g)
        w -= rate * g / (xp.sqrt(a) + self.epsilon)


@dataclass(frozen=True)
class Adam:
    """Running mean of the gradient over its running root mean square (Kingma and Ba 2015)."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    name = "adam"
    n_memory = 2

    def __post_init__(self) -> None:
        _check(self)

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w, the mean memory[0] and the mean square memory[1] in place."""
        a, b = memory[0], memory[1]
        a *= self.beta1
        a += (1 - self.beta1) * g
        b *= self.beta2
        b += (1 - self.beta2) * (g * g)
        corrected = rate * sqrt(1 - self.beta2**count) / (1 - self.beta1**count)
        w -= corrected * a / (xp.sqrt(b) + self.epsilon)


RULES: dict[str, type[Plain | Momentum | Nesterov | RMSprop | Adam]] = {
    rule.name: rule for rule in (Plain, Momentum, Nesterov, RMSprop, Adam)
}
"""All rules by name."""


def get(rule: Any) -> Any:
    """Return the rule of that name with its defaults; a rule object passes through.

    Raises
    ------
    SettingError
        If the name is unknown.
    """
    if isinstance(rule, tuple(RULES.values())):
        return rule
    if not isinstance(rule, str) or rule not in RULES:
        raise unknown("rule", rule, RULES)
    return RULES[rule]()
