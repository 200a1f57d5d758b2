"""A network's loss in complex arithmetic, for slopes without a subtraction.

The imaginary part of φ(w + ih) / h is φ′(w) up to a term in h², and h may be 10⁻³⁰, so that nothing but rounding is
left (Squire and Trapp 1998). The formulas are written here a second time, on purpose: a check that called the package's
own would share their mistakes. Where a formula has two branches the real part chooses, as it does at a kink.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import ACTIVATIONS, LEAK, SELU_ALPHA, SELU_SCALE
from deltarule.engines import Rows
from deltarule.losses import LOSSES, Loss
from deltarule.network import Network

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

STEP = 1e-30
"""h: its square vanishes beside 1, and h itself is far from the smallest number."""


def _logistic(e: Complexes) -> Complexes:
    return np.where(e.real < 0, np.exp(e) / (1 + np.exp(e)), 1 / (1 + np.exp(-e)))


def _log1p(z: Complexes) -> Complexes:
    """Return log(1 + z); NumPy's own keeps no digits of a small real part."""
    x, y = z.real, z.imag
    return np.asarray(0.5 * np.log1p(x * (2 + x) + y * y) + 1j * np.arctan2(y, 1 + x), dtype=np.complex128)


def _softplus(e: Complexes) -> Complexes:
    return np.where(e.real > 0, e + _log1p(np.exp(-e)), _log1p(np.exp(e)))


def _size(e: Complexes) -> Complexes:
    return np.asarray(np.where(e.real < 0, -e, e))


def _elu(e: Complexes, scale: float, alpha: float) -> Complexes:
    return np.asarray(scale * np.where(e.real > 0, e, alpha * np.expm1(e)), dtype=np.complex128)


def _gelu(e: Complexes) -> Complexes:
    from scipy.special import erfc  # type: ignore[import-untyped]

    return 0.5 * e * erfc(-e / sqrt(2.0))  # type: ignore[no-any-return]


def _softmax(e: Complexes) -> Complexes:
    q = np.exp(e - e.real.max(axis=1, keepdims=True))
    return np.asarray(q / q.sum(axis=1, keepdims=True))


FORMULAS: dict[str, Callable[[Complexes], Complexes]] = {
    "identity": lambda e: e,
    "logistic": _logistic,
    "tanh": np.tanh,
    "softsign": lambda e: e / (1 + _size(e)),
    "hard_tanh": lambda e: np.where(e.real > 1, 1, np.where(e.real > -1, e, -1)),
    "relu": lambda e: np.where(e.real > 0, e, 0),
    "leaky_relu": lambda e: np.where(e.real > 0, e, LEAK * e),
    "elu": lambda e: _elu(e, 1.0, 1.0),
    "selu": lambda e: _elu(e, SELU_SCALE, SELU_ALPHA),
    "softplus": _softplus,
    "gelu": _gelu,
    "silu": lambda e: e * _logistic(e),
    "mish": lambda e: e * np.tanh(_softplus(e)),
    "sine": np.sin,
    "gaussian": lambda e: np.exp(-e * e),
    "exponential": np.exp,
    "softmax": _softmax,
}
"""The built-in activations."""
KINKS: dict[str, tuple[float, ...]] = {
    "hard_tanh": (-1.0, 1.0), "relu": (0.0,), "leaky_relu": (0.0,), "selu": (0.0,),
}  # fmt: skip
"""Where their slopes jump."""


def _entropy(t: Floats) -> Floats:
    return np.where(t > 0, t * np.log(np.where(t > 0, t, 1.0)), 0.0)


def _cross_entropy(e: Complexes, y: Complexes, t: Floats, q: float) -> Complexes:
    shifted = e - e.real.max(axis=1, keepdims=True)
    log_y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.asarray(_entropy(t) - np.where(t > 0, t * log_y, 0), dtype=np.complex128)


def _huber(e: Complexes, y: Complexes, t: Floats, delta: float) -> Complexes:
    r = _size(y - t)
    return np.where(r.real <= delta, 0.5 * r * r, delta * (r - 0.5 * delta))


def _log_cosh(e: Complexes, y: Complexes, t: Floats, q: float) -> Complexes:
    r = _size(y - t)
    half = np.sinh(0.5 * np.where(r.real < 1, r, 0))  # cosh r − 1 = 2 sinh²(r/2): a small r keeps its digits
    far = r + _log1p(np.exp(-2 * r)) - np.log(2)
    return np.asarray(np.where(r.real < 1, _log1p(2 * half * half), far), dtype=np.complex128)


def _quantile(e: Complexes, y: Complexes, t: Floats, q: float) -> Complexes:
    r = t - y
    return np.where(r.real >= 0, q * r, (q - 1) * r)


LOSS_FORMULAS: dict[str, Callable[[Complexes, Complexes, Floats, float], Complexes]] = {
    "squared_error": lambda e, y, t, q: 0.5 * (y - t) * (y - t),
    "absolute_error": lambda e, y, t, q: _size(y - t),
    "huber": _huber,
    "log_cosh": _log_cosh,
    "quantile": _quantile,
    "binary_cross_entropy": lambda e, y, t, q: (
        t * _softplus(-e) + (1 - t) * _softplus(e) + _entropy(t) + _entropy(1 - t)
    ),
    "cross_entropy": _cross_entropy,
    "poisson": lambda e, y, t, q: y - t * e + _entropy(t) - t,
}
"""The built-in losses of each output."""
KINKED_LOSSES = ("absolute_error", "quantile")
"""Those whose slope jumps where an output meets its target."""


def serves(network: Network, loss: Loss) -> bool:
    """Return whether a formula for complex numbers is known for every activation and the loss."""
    known = all(ACTIVATIONS.get(row.name) is row and row.name in FORMULAS for row in network.activations)
    return known and loss.name in LOSS_FORMULAS and LOSSES[loss.name].value is loss.value


class ComplexStep:
    """The mean loss over rows and its slope along any weight.

    Parameters
    ----------
    network : Network
        One that `serves` accepts.
    loss : Loss
        The loss.
    w : array of shape (p,)
        Where the slopes are taken.
    rows : Rows
        float64 arrays.
    l2 : float
        The objective's penalty.
    """

    def __init__(self, network: Network, loss: Loss, w: Floats, rows: Rows, l2: float = 0.0) -> None:
        self.network, self.loss, self.w, self.rows, self.l2 = network, loss, w, rows, l2
        self._layers = list(network.layers(w))
        self._biases = network.is_bias()
        self.E: list[Complexes] = []
        self.Y: list[Complexes] = [np.asarray(rows.X, dtype=np.complex128)]
        with np.errstate(all="ignore"):  # a branch that is not taken may overflow
            for (W, b), row in zip(self._layers, network.activations, strict=True):
                self.E.append(self.Y[-1] @ W.T + b)
                self.Y.append(FORMULAS[row.name](self.E[-1]))

    def slope(self, index: int) -> float:
        """Return ∂objective/∂w[index]: only what lies above the weight is computed anew."""
        layer, neuron, source = _place(self.network, index)
        E = self.E[layer].copy()
        E[:, neuron] += 1j * STEP * (1.0 if source is None else self.Y[layer][:, source])
        with np.errstate(all="ignore"):
            for above in range(layer, self.network.depth):
                Y = FORMULAS[self.network.activations[above].name](E)
                if above + 1 < self.network.depth:
                    W, b = self._layers[above + 1]
                    E = Y @ W.T + b
            q = 0.0 if self.loss.parameter is None else self.loss.parameter
            values: Any = LOSS_FORMULAS[self.loss.name](E, Y, self.rows.T, q).imag / STEP
        each = values.sum(axis=1)
        mean = float(each.mean() if self.rows.s is None else (each * self.rows.s).mean())
        return mean if self._biases[index] else mean + self.l2 * float(self.w[index])

    def at_kink(self, layer: int, near: float) -> NDArray[np.bool_]:
        """Return for each neuron of a layer whether it receives a kink for some row, to within a relative `near`."""
        name, E, T = self.network.activations[layer].name, self.E[layer].real, self.rows.T
        scale = np.abs(self.Y[layer].real) @ np.abs(self._layers[layer][0]).T + np.abs(self._layers[layer][1])
        hit = np.zeros(E.shape, dtype=bool)
        for kink in KINKS.get(name, ()):
            hit |= np.abs(E - kink) <= near * (scale + abs(kink))
        if layer == self.network.depth - 1 and self.loss.name in KINKED_LOSSES:
            hit |= np.abs(self.Y[-1].real - T) <= near * (scale + np.abs(T))
        return np.asarray(hit.any(axis=0))


def _place(network: Network, index: int) -> tuple[int, int, int | None]:
    """Return layer, neuron and input (None for the bias) of w[index]."""
    for layer, (i, j, k) in enumerate(network.spans):
        if i <= index < j:
            neuron, source = divmod(index - i, network.sizes[layer])
            return layer, neuron, source
        if j <= index < k:
            return layer, index - j, None
    raise IndexError(f"weight {index} of {network.n_weights}")
