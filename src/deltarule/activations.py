"""Activation functions: what a neuron puts out, y = f(e), and the slope df/de at what it received.

Each activation is one row of a table: a name, a formula, its derivative. The derivative is given both what
came in, e, and what went out, y, and uses whichever keeps its accuracy: a logistic neuron at e = 40 puts out
exactly 1.0, where y (1 − y) is 0 but the slope is 4·10⁻¹⁸.

Formulas are written in the operations of the array API standard, so that one text serves every array library:
`xp` is the library's namespace. The slope at a kink is that of the left side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi, sqrt
from typing import Any

from deltarule.errors import SettingError, unknown
from deltarule.special import Array, normal_cdf

LEAK = 0.01
"""Slope of leaky_relu below 0 (Maas, Hannun and Ng 2013)."""
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017, equation 14: the pair that keeps mean 0 and variance 1."""
ROUNDING = 1e-12
"""Share of its largest value by which a user's own formula may be rounded."""
SATURATED = 0.02
"""Where 1 − y² or y (1 − y) is below this, the slope is computed from e: its rounding error would show."""


@dataclass(frozen=True)
class Activation:
    """A row of the table: y = f(e) and df/de.

    Parameters
    ----------
    name : str
        What messages and model files call it.
    f : callable
        ``f(xp, E)`` with the array library's namespace and an array of what arrives; returns an array of that shape.
    df : callable
        ``df(xp, E, Y)`` with Y = f(E): the slope at E, an array of that shape.
    couples : bool
        True where an output depends on the other neurons of its layer (softmax): `df` is then unused and
        the slope is a matrix, see `pull_back`.
    """

    name: str
    f: Callable[[Any, Array], Array]
    df: Callable[[Any, Array, Array], Array]
    couples: bool = False

    def pull_back(self, xp: Any, E: Array, Y: Array, D: Array) -> Array:
        """Return the local gradient δ · f′(e) from the error signals D, all of shape (n, width)."""
        if self.couples:
            return Y * (D - xp.sum(D * Y, axis=1, keepdims=True))
        return D * self.df(xp, E, Y)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a built-in row as its name, a user's own as its functions."""
        if ACTIVATIONS.get(self.name) is self:
            return get, (self.name,)
        return Activation, (self.name, self.f, self.df, self.couples)


def _logistic(xp: Any, e: Array) -> Array:
    q = xp.exp(-xp.abs(e))
    return xp.where(e < 0, q, xp.ones_like(q)) / (1 + q)


def _slope(xp: Any, e: Array, y: Array, quick: Callable[[Array], Array], exact: Callable[[Any, Array], Array]) -> Array:
    """Return the slope from y, and from e in those few places where rounding has spoiled it."""
    flat = quick(xp.reshape(y, (-1,)))
    (saturated,) = xp.nonzero(flat < SATURATED)
    if saturated.shape[0]:
        flat[saturated] = exact(xp, xp.reshape(e, (-1,))[saturated])
    return xp.reshape(flat, e.shape)


def _logistic_tail(xp: Any, e: Array) -> Array:
    q = xp.exp(-xp.abs(e))
    return q / ((1 + q) * (1 + q))


def _tanh_tail(xp: Any, e: Array) -> Array:
    q = xp.exp(-2 * xp.abs(e))
    return 4 * q / ((1 + q) * (1 + q))


def _logistic_slope(xp: Any, e: Array, y: Array) -> Array:
    return _slope(xp, e, y, lambda y: y * (1 - y), _logistic_tail)


def _tanh_slope(xp: Any, e: Array, y: Array) -> Array:
    return _slope(xp, e, y, lambda y: 1 - y * y, _tanh_tail)


def _soft_sign_slope(xp: Any, e: Array, y: Array) -> Array:
    share = 1 / (1 + xp.abs(e))
    return share * share


def _step(xp: Any, e: Array, low: float, high: float) -> Array:
    return xp.where(e > 0, xp.full_like(e, high), xp.full_like(e, low))


def _exp_below_zero(xp: Any, e: Array) -> Array:
    return xp.exp(xp.where(e > 0, xp.zeros_like(e), e))


def _elu(xp: Any, e: Array, scale: float, alpha: float) -> Array:
    below = scale * alpha * xp.expm1(xp.where(e > 0, xp.zeros_like(e), e))
    return xp.where(e > 0, scale * e, below)


def _elu_slope(xp: Any, e: Array, y: Array, scale: float, alpha: float) -> Array:
    return xp.where(e > 0, xp.full_like(e, scale), scale * alpha * _exp_below_zero(xp, e))


def softplus(xp: Any, e: Array) -> Array:
    """Return log(1 + exp(e)) without overflow."""
    return xp.where(e > 0, e, xp.zeros_like(e)) + xp.log1p(xp.exp(-xp.abs(e)))


def _normal_density(xp: Any, e: Array) -> Array:
    return xp.exp(-0.5 * e * e) / sqrt(2 * pi)


def _gelu_slope(xp: Any, e: Array, y: Array) -> Array:
    return normal_cdf(e, xp) + e * _normal_density(xp, e)


def _silu_slope(xp: Any, e: Array, y: Array) -> Array:
    return _logistic(xp, e) + e * _logistic_tail(xp, e)


def _tanh_of_softplus(xp: Any, e: Array) -> tuple[Array, Array]:
    """Return t = tanh(softplus(e)) and dt/de, from q = exp(−|e|) so that nothing overflows.

    With n = exp(e): t = (n² + 2n) / (n² + 2n + 2) and dt/de = 4n (n + 1) / (n² + 2n + 2)².
    """
    q = xp.exp(-xp.abs(e))
    up = e > 0
    numerator = xp.where(up, 1 + 2 * q, q * (q + 2))
    denominator = xp.where(up, 1 + 2 * q * (1 + q), q * (q + 2) + 2)
    slope = 4 * q * (1 + q) * xp.where(up, q, xp.ones_like(q)) / (denominator * denominator)
    return numerator / denominator, slope


def _mish_slope(xp: Any, e: Array, y: Array) -> Array:
    t, dt = _tanh_of_softplus(xp, e)
    return t + e * dt


def _softmax(xp: Any, e: Array) -> Array:
    q = xp.exp(e - xp.max(e, axis=1, keepdims=True))
    return q / xp.sum(q, axis=1, keepdims=True)


def _rows() -> list[Activation]:
    return [
        Activation("identity", lambda xp, e: e + 0, lambda xp, e, y: xp.ones_like(e)),
        Activation("logistic", _logistic, _logistic_slope),
        Activation("tanh", lambda xp, e: xp.tanh(e), _tanh_slope),
        Activation("softsign", lambda xp, e: e / (1 + xp.abs(e)), _soft_sign_slope),
        Activation(
            "hard_tanh",
            lambda xp, e: xp.clip(e, -1.0, 1.0),
            lambda xp, e, y: xp.where((e > -1) & (e <= 1), xp.ones_like(e), xp.zeros_like(e)),
        ),
        Activation(
            "relu",
            lambda xp, e: xp.where(e <= 0, xp.zeros_like(e), e),  # a NaN stays a NaN
            lambda xp, e, y: _step(xp, e, 0.0, 1.0),
        ),
        Activation(
            "leaky_relu",
            lambda xp, e: xp.where(e > 0, e, LEAK * e),
            lambda xp, e, y: _step(xp, e, LEAK, 1.0),
        ),
        Activation("elu", partial(_elu, scale=1.0, alpha=1.0), partial(_elu_slope, scale=1.0, alpha=1.0)),
        Activation(
            "selu",
            partial(_elu, scale=SELU_SCALE, alpha=SELU_ALPHA),
            partial(_elu_slope, scale=SELU_SCALE, alpha=SELU_ALPHA),
        ),
        Activation("softplus", softplus, lambda xp, e, y: _logistic(xp, e)),
        Activation("gelu", lambda xp, e: e * normal_cdf(e, xp), _gelu_slope),
        Activation("silu", lambda xp, e: e * _logistic(xp, e), _silu_slope),
        Activation("mish", lambda xp, e: e * _tanh_of_softplus(xp, e)[0], _mish_slope),
        Activation("sine", lambda xp, e: xp.sin(e), lambda xp, e, y: xp.cos(e)),
        Activation("gaussian", lambda xp, e: xp.exp(-e * e), lambda xp, e, y: -2 * (e * y)),
        Activation("exponential", lambda xp, e: xp.exp(e), lambda xp, e, y: y),
        Activation("softmax", _softmax, lambda xp, e, y: y * (1 - y), couples=True),
    ]


ACTIVATIONS: dict[str, Activation] = {row.name: row for row in _rows()}
"""All built-in activations by name. `softmax` serves the output layer only."""

ALIASES = {
    "linear": "identity", "purelin": "identity", "sigmoid": "logistic", "logsig": "logistic",
    "tansig": "tanh", "elliot": "softsign", "elliotsig": "softsign", "satlins": "hard_tanh",
    "poslin": "relu", "swish": "silu", "radbas": "gaussian", "sin": "sine", "exp": "exponential",
}  # fmt: skip
"""Other common names, MATLAB's among them."""


def get(name: str | Activation) -> Activation:
    """Return the activation of that name or alias; an `Activation` passes through.

    Raises
    ------
    SettingError
        If the name is unknown; the message lists the accepted ones.
    """
    if isinstance(name, Activation):
        return name
    found = ACTIVATIONS.get(ALIASES.get(name, name)) if isinstance(name, str) else None
    if found is None:
        raise unknown("activation", name, ACTIVATIONS)
    return found


def own(name: str, f: Callable[[Array], Array], df: Callable[[Array, Array], Array]) -> Activation:
    """Return a user's own activation from a pair of array functions, after checking the derivative.

    Parameters
    ----------
    name : str
        Its name, not one of the built-in ones.
    f : callable
        ``f(e)``: an array in, an array of the same shape out.
    df : callable
        ``df(e, y)`` with y = f(e): the slope df/de.

    Raises
    ------
    SettingError
        If the name is taken, or `df` differs from the central differences of `f` by more than their own
        error, estimated from three step sizes at 61 points in [−6, 6]. A kink is not held against it.

    Examples
    --------
    >>> import numpy as np
    >>> own("cube", lambda e: e**3, lambda e, y: 3 * e**2).name
    'cube'
    >>> own("wrong", lambda e: e**3, lambda e, y: 2 * e**2)
    Traceback (most recent call last):
        ...
    deltarule.errors.SettingError: The derivative of 'wrong' is wrong at e = -5.99: df gives 71.76, the slope is 107.6.
    """
    import numpy as np

    if name in ACTIVATIONS or name in ALIASES:
        raise SettingError(f"The name {name!r} belongs to a built-in activation; choose another one.")
    e = np.linspace(-6.0, 6.0, 61) + 0.01  # kinks lie at round numbers, where a symmetric difference is no slope
    y, steps = f(e), (1e-3, 5e-4, 2.5e-4)
    if np.shape(y) != e.shape:
        raise SettingError(f"f of {name!r} turns shape {e.shape} into {np.shape(y)}; it must keep the shape.")
    coarse, middle, fine = ((f(e + h) - f(e - h)) / (2 * h) for h in steps)
    slope = fine + (fine - middle) / 3
    noise = ROUNDING * np.max(np.abs(y), where=np.isfinite(y), initial=0.0) / steps[-1]
    spread = np.abs(fine - middle) + np.abs(middle - coarse)
    largest = np.max(np.abs(fine), where=np.isfinite(fine), initial=0.0)
    smooth = spread <= 1e-2 * largest  # a kink inside the step is no fault of df
    given = df(e, y) + 0 * e
    wrong = smooth & ~(np.abs(given - slope) <= spread + noise)
    if not np.any(smooth) or np.any(wrong):
        i = int(np.argmax(wrong))
        raise SettingError(
            f"The derivative of {name!r} is wrong at e = {e[i]:.4g}: "
            f"df gives {given[i]:.4g}, the slope is {slope[i]:.4g}."
        )
    return Activation(name, partial(_without_namespace, f), partial(_without_namespace, df))


def _without_namespace(function: Callable[..., Array], xp: Any, *arrays: Array) -> Array:
    return function(*arrays)
