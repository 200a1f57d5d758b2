"""Networks and weights in scikit-learn's shape: `coefs_` (n_in, n_out) and `intercepts_` (n_out,) for each layer."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import activations
from deltarule.activations import Activation
from deltarule.errors import InputError, SettingError
from deltarule.network import Network

Numbers = NDArray[Any]
Layers = tuple[list[Numbers], list[Numbers]]
"""`coefs_` and `intercepts_`."""

GLOROT, GLOROT_LOGISTIC = 6.0, 2.0
"""Initial weights are uniform up to √(this / (fan in + fan out)): Glorot and Bengio 2010, as scikit-learn reads it."""


def hidden_activations(activation: Any, depth: int) -> tuple[Activation, ...]:
    """Return the activation of each hidden layer from one for all, or a list with one for each.

    Raises
    ------
    SettingError
        If a name is unknown, a derivative is wrong, or their number does not fit.
    """
    if isinstance(activation, list) or (isinstance(activation, tuple) and not _is_pair(activation)):
        if len(activation) != depth:
            raise SettingError(
                f"{len(activation)} were given for {depth} hidden layer{'s' * (depth != 1)}; one for each is needed."
            )
        return tuple(_activation(one, f"own{i + 1}") for i, one in enumerate(activation))
    return (_activation(activation, "own"),) * depth


def _is_pair(activation: tuple[Any, ...]) -> bool:
    """Return whether this is a function and its derivative."""
    return len(activation) == 2 and all(callable(part) for part in activation)


def _activation(activation: Any, name: str) -> Activation:
    if isinstance(activation, tuple) and _is_pair(activation):
        return activations.own(name, *activation)
    return activations.get(activation)


def draw(network: Network, random: Any, number: Any) -> Numbers:
    """Return initial weights, the numbers that scikit-learn draws from the same RandomState."""
    w = np.empty(network.n_weights, dtype=number)
    for layer, (W, b) in enumerate(network.layers(w)):
        n_out, n_in = W.shape
        own = network.activations[min(layer, max(0, network.depth - 2))]  # the outputs are drawn as the layer before
        bound = np.sqrt((GLOROT_LOGISTIC if own.name == "logistic" else GLOROT) / (n_in + n_out))
        W[:] = random.uniform(-bound, bound, (n_in, n_out)).T
        b[:] = random.uniform(-bound, bound, n_out)
    return w


def layered(network: Network, w: Numbers) -> Layers:
    """Return copies of the weights as `coefs_` and `intercepts_`."""
    pairs = list(network.layers(w))
    return [W.T.copy() for W, _ in pairs], [b.copy() for _, b in pairs]


def flat(layers: Layers) -> Numbers:
    """Return the flat w that `coefs_` and `intercepts_` are."""
    return np.concatenate([part for W, b in zip(*layers, strict=True) for part in (np.ravel(W.T), b)])


def members(owner: Any) -> list[Layers]:
    """Return `coefs_` and `intercepts_` of each network of an estimator, with what was set by hand."""
    return [(owner.coefs_, owner.intercepts_), *getattr(owner, "members_", [])[1:]]


def network_of(layers: Layers, activations: Sequence[Activation | str]) -> Network:
    """Return the network that `coefs_` and `intercepts_` fit.

    Raises
    ------
    InputError
        If the shapes of layers do not follow each other, as they may not after weights were set by hand.
    """
    coefs, intercepts = layers
    shapes = [np.shape(W) for W in coefs]
    joined = all(first[1] == second[0] for first, second in pairwise(shapes))
    biases = [np.shape(b) for b in intercepts] == [shape[1:] for shape in shapes]
    if len(shapes) != len(activations) or not joined or not biases:
        raise InputError(
            f"coefs_ of shapes {shapes} and intercepts_ of shapes {[np.shape(b) for b in intercepts]} do not make "
            f"a network of {len(activations)} layers; each layer needs (n_in, n_out) and (n_out,)."
        )
    return Network([shapes[0][0], *(shape[1] for shape in shapes)], activations)
