"""Losses: how wrong the outputs of a row are, and the slope of that at each output.

Each loss is one row of a table. All formulas are per row and output; a row's loss is their sum over outputs,
the loss of a run is the weighted mean over rows. The error signal is δ = −∂loss/∂y, so that for squared error

    loss = ½ Σ (y − t)²        δ = t − y

Some pairs of loss and output activation fuse: the product δ · f′(e) has a closed form in which f′ cancels,
so nothing is divided by a vanishing slope and no logarithm of 0 is taken. A fused loss is a function of what
*arrives* at the outputs, e, and its signal −∂loss/∂e is the local gradient itself, with no f′ left to multiply.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import log
from typing import Any

from deltarule.activations import ACTIVATIONS, Activation, softplus
from deltarule.errors import SettingError, shown, unknown
from deltarule.numeric import isfinite
from deltarule.special import Array

Formula = Callable[[Any, Array, Array, Array, float], Array]
"""``formula(xp, E, Y, T, parameter)`` with arrays of shape (n, n_out); returns that shape."""


@dataclass(frozen=True)
class Loss:
    """A row of the table: a loss, its signal, its curvature, and the outputs it accepts.

    Parameters
    ----------
    name : str
        What messages and model files call it.
    value : callable
        The loss of each output; summed over outputs it is the loss of a row.
    signal : callable
        −∂loss/∂y where the loss is a function of the outputs, −∂loss/∂e where it is fused.
    curvature : callable or None
        ∂²loss/∂y² (fused: ∂²loss/∂e²), never negative; None where there is none to use (absolute, quantile).
    accepts : tuple of str
        Names of the output activations it works with; empty means all, a user's own among them.
    fused : tuple of str
        The output activations with which it fuses.
    targets : tuple of float
        Smallest and largest target accepted.
    parameter : float or None
        The δ of `huber`, the q of `quantile`.
    bounds : tuple of float
        The open interval in which the parameter lies.
    """

    name: str
    value: Formula
    signal: Formula
    curvature: Formula | None
    accepts: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    targets: tuple[float, float] = (float("-inf"), float("inf"))
    parameter: float | None = None
    bounds: tuple[float, float] = field(default=(0.0, float("inf")), repr=False)

    def __call__(self, parameter: float) -> "Loss":
        """Return this loss with another parameter, as in ``get("quantile")(0.9)``."""
        low, high = self.bounds
        if self.parameter is None:
            raise SettingError(f"The loss {self.name!r} has no parameter, but {parameter!r} was given.")
        if not (isfinite(parameter) and low < parameter < high):
            raise SettingError(
                f"The parameter of {self.name!r} was {parameter!r}; it lies between {low:g} and {high:g}."
            )
        return replace(self, parameter=float(parameter))

    def fuses(self, output: Activation) -> bool:
        """Return whether f′ of these outputs cancels."""
        return output.name in self.fused and ACTIVATIONS.get(output.name) is output

    def check_pair(self, output: Activation) -> None:
        """Refuse an output activation that this loss does not accept, naming those it does."""
        if self.accepts and output.name not in self.accepts:
            raise SettingError(
                f"The loss {self.name!r} does not work with {output.name!r} outputs; it accepts "
                f"{', '.join(self.accepts)}. (squared_error accepts every activation.)"
            )

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}({self.parameter!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a loss as its name and parameter."""
        return get, (str(self),)


def _log_softmax(xp: Any, e: Array) -> Array:
    shifted = e - xp.max(e, axis=1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True))


def _entropy(xp: Any, t: Array) -> Array:
    """Return t log t, 0 at t = 0: what makes the cross-entropy of soft targets 0 where y = t."""
    inside = t > 0
    return xp.where(inside, t * xp.log(xp.where(inside, t, xp.ones_like(t))), xp.zeros_like(t))


def _cross_entropy(xp: Any, e: Array, y: Array, t: Array, _: float) -> Array:
    here = t > 0  # 0 · log 0 counts as 0, also where a class has become impossible
    surprise = xp.where(here, -_log_softmax(xp, e), xp.zeros_like(e))
    return t * surprise + _entropy(xp, t)


def _binary_cross_entropy(xp: Any, e: Array, y: Array, t: Array, _: float) -> Array:
    return t * softplus(xp, -e) + (1 - t) * softplus(xp, e) + _entropy(xp, t) + _entropy(xp, 1 - t)


def _huber(xp: Any, e: Array, y: Array, t: Array, delta: float) -> Array:
    a = xp.abs(y - t)
    near = xp.where(a <= delta, a, xp.full_like(a, delta))
    return near * (a - 0.5 * near)


def _log_cosh(xp: Any, e: Array, y: Array, t: Array, _: float) -> Array:
    a = xp.abs(y - t)
    far = a + xp.log1p(xp.exp(-2 * a)) - log(2)
    s = xp.where(a < 1, a, xp.ones_like(a))
    half = xp.tanh(0.5 * s)  # cosh a − 1 = 2 sinh²(a/2): log1p of it keeps the accuracy of a small a
    return xp.where(a < 1, xp.log1p(2 * half * half / (1 - half * half)), far)


def _sech_squared(xp: Any, e: Array, y: Array, t: Array, _: float) -> Array:
    q = xp.exp(-2 * xp.abs(y - t))
    return 4 * q / ((1 + q) * (1 + q))


def _quantile(xp: Any, e: Array, y: Array, t: Array, q: float) -> Array:
    r = t - y
    return xp.where(r >= 0, q * r, (q - 1) * r)


def _quantile_signal(xp: Any, e: Array, y: Array, t: Array, q: float) -> Array:
    r = t - y
    return xp.where(r > 0, xp.full_like(r, q), xp.where(r < 0, xp.full_like(r, q - 1), xp.zeros_like(r)))


def _poisson(xp: Any, e: Array, y: Array, t: Array, _: float) -> Array:
    return y - t * e + _entropy(xp, t) - t


LOSSES: dict[str, Loss] = {
    row.name: row
    for row in [
        Loss(
            "squared_error",
            value=lambda xp, e, y, t, _: 0.5 * (y - t) * (y - t),
            signal=lambda xp, e, y, t, _: t - y,
            curvature=lambda xp, e, y, t, _: xp.ones_like(y),
        ),
        Loss(
            "absolute_error",
            value=lambda xp, e, y, t, _: xp.abs(y - t),
            signal=lambda xp, e, y, t, _: xp.sign(t - y),
            curvature=None,
        ),
        Loss(
            "huber",
            value=_huber,
            signal=lambda xp, e, y, t, delta: xp.clip(t - y, -delta, delta),
            curvature=lambda xp, e, y, t, delta: xp.where(xp.abs(y - t) <= delta, xp.ones_like(y), xp.zeros_like(y)),
            parameter=1.0,
        ),
        Loss(
            "log_cosh",
            value=_log_cosh,
            signal=lambda xp, e, y, t, _: xp.tanh(t - y),
            curvature=_sech_squared,
        ),
        Loss(
            "quantile",
            value=_quantile,
            signal=_quantile_signal,
            curvature=None,
            parameter=0.5,
            bounds=(0.0, 1.0),
        ),
        Loss(
            "binary_cross_entropy",
            value=_binary_cross_entropy,
            signal=lambda xp, e, y, t, _: t - y,
            curvature=lambda xp, e, y, t, _: ACTIVATIONS["logistic"].df(xp, e, y),  # y (1 − y), but accurate
            accepts=("logistic",),
            fused=("logistic",),
            targets=(0.0, 1.0),
        ),
        Loss(
            "cross_entropy",
            value=_cross_entropy,
            signal=lambda xp, e, y, t, _: t - y,
            curvature=lambda xp, e, y, t, _: y,
            accepts=("softmax",),
            fused=("softmax",),
            targets=(0.0, 1.0),
        ),
        Loss(
            "poisson",
            value=_poisson,
            signal=lambda xp, e, y, t, _: t - y,
            curvature=lambda xp, e, y, t, _: y,
            accepts=("exponential",),
            fused=("exponential",),
            targets=(0.0, float("inf")),
        ),
    ]
}
"""All losses by name. `binary_cross_entropy` with several outputs is the multi-label loss."""

ALIASES = {
    "mse": "squared_error", "sse": "squared_error", "mae": "absolute_error", "l1": "absolute_error",
    "absolute": "absolute_error", "pinball": "quantile", "log_loss": "cross_entropy",
    "crossentropy": "cross_entropy", "multilabel_cross_entropy": "binary_cross_entropy",
}  # fmt: skip
"""Other common names, MATLAB's among them."""


def get(name: str | Loss) -> Loss:
    """Return the loss of that name or alias; ``"huber(0.5)"`` and ``"quantile(0.9)"`` set the parameter.

    Raises
    ------
    SettingError
        If the name is unknown or the parameter is out of range; the message says what is accepted.
    """
    if isinstance(name, Loss):
        return name
    if not isinstance(name, str):
        raise unknown("loss", name, LOSSES)
    bare, bracket, rest = name.partition("(")
    found = LOSSES.get(ALIASES.get(bare, bare))
    if found is None:
        raise unknown("loss", name, LOSSES)
    if not bracket:
        return found
    try:
        parameter = float(rest.removesuffix(")") if rest.endswith(")") else "")
    except ValueError:
        raise SettingError(f"The loss {shown(name)} is not a name with a number, as in 'huber(0.5)'.") from None
    return found(parameter)


def need_curvature(loss: Loss) -> None:
    """Refuse a loss without curvature where Gauss-Newton quantities are asked for.

    Raises
    ------
    SettingError
        The message names losses and methods that would work.
    """
    if loss.curvature is None:
        raise SettingError(
            f"The loss {loss} has no curvature, which Gauss-Newton methods need; "
            "use huber or log_cosh, or a method that needs the gradient alone."
        )
