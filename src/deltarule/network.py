"""A network: how many neurons each layer has, what they do, and where each weight lies in the flat `w`.

All weights and biases of a network are one vector `w` of shape (p,). Layer after layer, it holds W in rows,
shape (n_out, n_in), then b, shape (n_out,). A gradient has the same shape and is seen through the same views.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from deltarule import activations as table
from deltarule.activations import Activation
from deltarule.errors import SettingError, shown, unknown
from deltarule.special import Array

INITIALIZATIONS = ("auto", "uniform", "glorot", "he", "lecun", "nguyen_widrow")
"""Ways to draw initial weights, see `Network.initial_weights`."""
SQUASHING = ("tanh", "logistic", "softsign", "hard_tanh")
"""Hidden activations with two flat ends, for which `auto` is Nguyen-Widrow."""
ACTIVE = {"logistic": 4.0, "hard_tanh": 1.0}
"""Half the width of the region where an activation is not flat, 2 unless named (MATLAB's active input range)."""
UNIFORM_RANGE = 0.5
"""Half the width of `uniform` initial weights (Prechelt 1994)."""
MAX_WEIGHTS = 2**31 - 1
MAX_LAYERS = 1_000
"""Layers at most, inputs not counted; gradients through so many say nothing, and a file could ask for any number."""


@dataclass(frozen=True)
class Network:
    """A chain of dense layers, frozen: sizes and activations, no weights and no data.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, then the width of each layer up to the outputs; ``(10, 1)`` has no hidden layer.
    activations : sequence of str or Activation, or one of them
        One for each layer after the inputs. A single one is for the hidden layers; the outputs are then identity.

    Raises
    ------
    SettingError
        If a size is not a positive whole number, an activation is unknown, or their number does not fit.

    Examples
    --------
    >>> net = Network((2, 3, 1), ("tanh", "logistic"))
    >>> net
    Network((2, 3, 1), ('tanh', 'logistic'))
    >>> net.n_weights
    13
    >>> w = net.initial_weights(seed=0)
    >>> [(W.shape, b.shape) for W, b in net.layers(w)]
    [((3, 2), (3,)), ((1, 3), (1,))]
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...] = field(default=())

    def __init__(self, sizes: Sequence[int], activations: str | Activation | Sequence[str | Activation] = "tanh"):
        object.__setattr__(self, "sizes", _checked_sizes(sizes))
        object.__setattr__(self, "activations", _checked_activations(activations, len(self.sizes) - 1))
        if self.depth > MAX_LAYERS:
            raise SettingError(f"A network of {self.depth:,} layers was asked for; at most {MAX_LAYERS:,}.")
        if self.n_weights > MAX_WEIGHTS:
            raise SettingError(f"A network of {self.n_weights:,} weights was asked for; at most {MAX_WEIGHTS:,}.")

    def __repr__(self) -> str:
        names = tuple(activation.name for activation in self.activations)
        return f"Network({self.sizes}, {names})"

    @cached_property
    def spans(self) -> tuple[tuple[int, int, int], ...]:
        """For each layer (i, j, k): W is ``w[i:j]``, b is ``w[j:k]``."""
        spans, i = [], 0
        for n_in, n_out in pairwise(self.sizes):
            j = i + n_in * n_out
            spans.append((i, j, j + n_out))
            i = j + n_out
        return tuple(spans)

    @property
    def n_weights(self) -> int:
        """Number of weights and biases, p."""
        return self.spans[-1][2]

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.sizes[0]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.sizes[-1]

    @property
    def depth(self) -> int:
        """Number of layers after the inputs."""
        return len(self.sizes) - 1

    def layers(self, w: Array) -> Iterator[tuple[Array, Array]]:
        """Yield the views (W, b) of w for each layer, no copies: W has shape (n_out, n_in), b (n_out,)."""
        for (i, j, k), n_in, n_out in zip(self.spans, self.sizes, self.sizes[1:], strict=False):
            yield w[i:j].reshape(n_out, n_in), w[j:k]

    def is_bias(self) -> NDArray[np.bool_]:
        """Return a mask of shape (p,): True where a weight is a bias, which the penalty leaves free."""
        mask = np.zeros(self.n_weights, dtype=bool)
        for _, b in self.layers(mask):
            b[:] = True
        return mask

    def layer_name(self, layer: int) -> str:
        """Return ``hidden1``, ``hidden2``, … or ``output`` for a layer counted from 0."""
        return "output" if layer == self.depth - 1 else f"hidden{layer + 1}"

    def weight_name(self, index: int) -> str:
        """Return what w[index] connects, counted from 0, as in ``hidden1[3] <- input[0]`` or ``output[0] <- bias``."""
        for layer, (i, j, k) in enumerate(self.spans):
            if i <= index < k:
                before = "input" if layer == 0 else self.layer_name(layer - 1)
                neuron, source = divmod(index - i, self.sizes[layer]) if index < j else (index - j, None)
                origin = "bias" if source is None else f"{before}[{source}]"
                return f"{self.layer_name(layer)}[{neuron}] <- {origin}"
        raise IndexError(f"weight {index} of {self.n_weights}")

    def initial_weights(
        self, seed: int = 0, how: str = "auto", input_ranges: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return random weights of shape (p,), the same for the same seed.

        Parameters
        ----------
        seed : int
            Seed of NumPy's PCG64.
        how : str
            ``uniform`` (±0.5, biases too), ``glorot`` (Glorot and Bengio 2010), ``he`` (He et al. 2015), ``lecun``
            (LeCun et al. 1998), all three uniform with biases 0; ``nguyen_widrow`` (Nguyen and Widrow 1990) for
            hidden layers and Glorot for the outputs; ``auto``: for each layer the one that suits its activation.
        input_ranges : array of shape (n_in, 2), optional
            Smallest and largest value of each input, for Nguyen-Widrow; −1 and 1 unless given.

        Raises
        ------
        SettingError
            If `how` is unknown, the seed is no whole number from 0 up, or the ranges do not fit.
        """
        if how not in INITIALIZATIONS:
            raise unknown("initialization", how, INITIALIZATIONS)
        if not isinstance(seed, Integral) or seed < 0:
            raise SettingError(f"seed was {seed!r}; it is a whole number from 0 up.")
        ranges = _checked_ranges(input_ranges, self.n_in)
        rng = np.random.Generator(np.random.PCG64(seed))
        w = np.zeros(self.n_weights)
        for layer, (W, b) in enumerate(self.layers(w)):
            kind, activation = how, self.activations[layer]
            if how == "auto" or (how == "nguyen_widrow" and layer == self.depth - 1):
                kind = _suited(activation.name, layer == self.depth - 1)
            if kind == "nguyen_widrow":
                _nguyen_widrow(rng, W, b, ranges, activation.name)
            else:
                _uniform(rng, W, b, kind)
            ranges = _output_ranges(activation.name, self.sizes[layer + 1])
        return w


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    try:
        given = tuple(sizes)
        whole = tuple(int(n) for n in given)
    except (TypeError, ValueError, OverflowError):
        raise SettingError(f"The sizes were {shown(sizes)}; give whole numbers, as in (10, 32, 1).") from None
    if len(whole) < 2 or any(n < 1 or n != g for n, g in zip(whole, given, strict=True)):
        raise SettingError(
            f"The sizes were {shown(given)}; give two or more positive whole numbers, as in (10, 32, 1)."
        )
    return whole


def _checked_activations(given: str | Activation | Sequence[str | Activation], depth: int) -> tuple[Activation, ...]:
    if isinstance(given, str | Activation):
        given = [given] * (depth - 1) + ["identity"]
    if not isinstance(given, Sequence):
        raise unknown("activation", given, table.ACTIVATIONS)
    found = tuple(table.get(name) for name in given)
    if len(found) != depth:
        raise SettingError(f"{len(found)} activations were given for {depth} layers; give one for each layer.")
    if any(activation.couples for activation in found[:-1]):
        raise SettingError("softmax serves the output layer only; choose another activation for hidden layers.")
    return found


def _checked_ranges(ranges: NDArray[np.float64] | None, n_in: int) -> NDArray[np.float64]:
    if ranges is None:
        return np.tile([-1.0, 1.0], (n_in, 1))
    ranges = np.asarray(ranges, dtype=float)
    if ranges.shape != (n_in, 2) or not np.all(np.isfinite(ranges)) or np.any(ranges[:, 0] > ranges[:, 1]):
        raise SettingError(f"input_ranges must hold a finite (smallest, largest) for each of the {n_in} inputs.")
    return ranges


def _suited(activation: str, is_output: bool) -> str:
    if is_output:
        return "glorot"
    if activation in SQUASHING:
        return "nguyen_widrow"
    return {"selu": "lecun", "identity": "glorot"}.get(activation, "he")


def _uniform(rng: "np.random.Generator", W: NDArray[np.float64], b: NDArray[np.float64], kind: str) -> None:
    n_out, n_in = W.shape
    fans = {"uniform": 12 / (4 * UNIFORM_RANGE**2), "glorot": (n_in + n_out) / 2, "he": n_in / 2, "lecun": n_in}
    half_width = np.sqrt(3 / fans[kind])  # a uniform variable on ±h has variance h²/3
    W[:] = rng.uniform(-half_width, half_width, W.shape)
    if kind == "uniform":
        W[:] = rng.uniform(-UNIFORM_RANGE, UNIFORM_RANGE, W.shape)
        b[:] = rng.uniform(-UNIFORM_RANGE, UNIFORM_RANGE, b.shape)


def _nguyen_widrow(
    rng: "np.random.Generator",
    W: NDArray[np.float64],
    b: NDArray[np.float64],
    ranges: NDArray[np.float64],
    activation: str,
) -> None:
    """Spread the neurons' active regions evenly over the inputs' ranges, biases evenly spaced as in MATLAB's initnw."""
    n_out, n_in = W.shape
    magnitude = 0.7 * n_out ** (1 / n_in)
    directions = rng.uniform(-1, 1, W.shape)
    directions *= magnitude / np.linalg.norm(directions, axis=1, keepdims=True)
    offsets = magnitude * np.linspace(-1, 1, n_out) if n_out > 1 else np.zeros(1)
    offsets = offsets * np.where(directions[:, 0] < 0, -1.0, 1.0)
    active = ACTIVE.get(activation, 2.0)
    centre, half = ranges.mean(axis=1), np.diff(ranges)[:, 0] / 2
    half = np.where(half > 0, half, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):  # of inputs that hardly vary; the objective refuses such weights
        W[:] = active * directions / half
        b[:] = active * offsets - W @ centre


def _output_ranges(activation: str, width: int) -> NDArray[np.float64]:
    low = 0.0 if activation in ("logistic", "gaussian") else -1.0
    return np.tile([low, 1.0], (width, 1))
