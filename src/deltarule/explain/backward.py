"""The factors of a gradient, kept: what arrived, what went out, the error signal, the slope, for each neuron and row.

The formulas and their order are those of `deltarule.engines.array`, so that the products are its numbers to the bit.
Whatever the outputs are, a neuron's local gradient is a product of two:

    plain      δ · f′(e)                              δ = −∂loss/∂y, in a hidden layer Σ weight · local gradient
    fused      −∂loss/∂e · 1                          loss and output are one formula in which f′ has cancelled
    softmax    (δ − Σ δ y over the outputs) · y       an output can only rise at the cost of the others
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.explain.names import Names
from deltarule.losses import Loss
from deltarule.network import Network

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as it was when some rows went through it and their errors came back, before any weight moved.

    Parameters
    ----------
    number : int
        Its place, from 0.
    name, activation : str
        ``hidden1``, …, ``output``; what its neurons do.
    kind : str
        ``plain``, ``fused`` or ``softmax``: what the local gradient is a product of.
    neurons, sources : tuple of str
        The names of its neurons, and of what they receive, the bias last.
    W, b : arrays of shape (n_out, n_in) and (n_out,)
        The weights before the update.
    X : array of shape (n, n_in)
        What came in.
    E, Y : arrays of shape (n, n_out)
        What arrived at each neuron, and what it put out.
    delta : array of shape (n, n_out)
        The error signal δ = −∂loss/∂y, times the weight of the row if rows have weights; fused: −∂loss/∂e.
    signal, slope : arrays of shape (n, n_out)
        The two factors of the local gradient.
    local : array of shape (n, n_out)
        Their product, −∂loss/∂e.
    """

    number: int
    name: str
    activation: str
    kind: str
    neurons: tuple[str, ...]
    sources: tuple[str, ...]
    W: Numbers
    b: Numbers
    X: Numbers
    E: Numbers
    Y: Numbers
    delta: Numbers
    signal: Numbers
    slope: Numbers
    local: Numbers

    def inputs(self, row: int) -> Numbers:
        """Return what a row brought to each weight of a neuron of this layer, (n_in + 1,): 1 for the bias."""
        return np.append(self.X[row], np.ones(1, dtype=self.X.dtype))

    def contributions(self, neuron: int, source: int) -> Numbers:
        """Return each row's contribution (n,) to minus the gradient of one weight: local gradient times input."""
        bias = source == self.X.shape[1]
        return self.local[:, neuron].copy() if bias else self.local[:, neuron] * self.X[:, source]


class Path(NamedTuple):
    """One way from a neuron down to the loss: a weight, and the two factors of the local gradient at its other end."""

    neuron: str
    weight: float
    delta: float
    slope: float
    share: float


def trace(network: Network, loss: Loss, w: Numbers, rows: Rows, names: Names) -> tuple[Layer, ...]:
    """Return the layers of a network as rows go through them and their errors come back.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    loss : Loss
        A loss that accepts the network's outputs.
    w : array of shape (p,)
        The weights.
    rows : Rows
        NumPy arrays X (n, n_in), T (n, n_out) and sample weights or None.
    names : Names
        What neurons and inputs are called.
    """
    passed = ArrayEngine(network, loss).trace(w, rows.X)
    parameter = 0.0 if loss.parameter is None else loss.parameter
    D = loss.signal(np, passed.E[-1], passed.Y[-1], rows.T, parameter)
    if rows.s is not None:
        D = D * rows.s[:, None]
    found: list[Layer] = []
    for i, (W, b) in reversed(list(enumerate(network.layers(w)))):
        activation, E, Y = network.activations[i], passed.E[i], passed.Y[i + 1]
        kind, signal, slope = "plain", D, np.ones_like(D)
        if i == network.depth - 1 and loss.fuses(activation):
            kind = "fused"
        elif activation.couples:
            kind, signal, slope = "softmax", D - np.sum(D * Y, axis=1, keepdims=True), Y
        else:
            slope = slope * activation.df(np, E, Y)
        local = signal * slope
        layer = Layer(
            i, network.layer_name(i), activation.name, kind, names.neurons[i], names.sources[i],
            W.copy(), b.copy(), passed.Y[i], E, Y, D, signal, slope, local,
        )  # fmt: skip
        found.append(layer)
        D = local * W if W.shape[0] == 1 else local @ W
    return tuple(reversed(found))


def descent(network: Network, layers: tuple[Layer, ...]) -> Numbers:
    """Return Σ local gradient · input over the rows, (p,): minus the gradient of the summed loss."""
    total = np.zeros(network.n_weights, dtype=layers[0].W.dtype)
    for (into_W, into_b), layer in zip(network.layers(total), layers, strict=True):
        into_W += layer.local.T @ layer.X
        into_b += (np.ones((1, len(layer.local)), dtype=layer.local.dtype) @ layer.local)[0]
    return total


def sizes(network: Network, layers: tuple[Layer, ...]) -> Numbers:
    """Return Σ |local gradient · input| over the rows, (p,): what the rows would come to if none opposed another."""
    total = np.zeros(network.n_weights, dtype=layers[0].W.dtype)
    for (into_W, into_b), layer in zip(network.layers(total), layers, strict=True):
        into_W += np.abs(layer.local).T @ np.abs(layer.X)
        into_b += np.abs(layer.local).sum(axis=0)
    return total


def opened(layers: tuple[Layer, ...], layer: int, neuron: int, row: int) -> list[Path]:
    """Return the ways from a hidden neuron's output to the next layer; their shares add up to its error signal.

    Empty for an output neuron: its error signal comes from the loss itself.
    """
    return [Path(*way) for way in ways(layers, layer, neuron, row)]


def ways(
    layers: tuple[Layer, ...], layer: int, neuron: int, row: int
) -> Iterable[tuple[str, float, float, float, float]]:
    """Return the fields of each `Path` from a neuron, as plain tuples."""
    if layer == len(layers) - 1:
        return ()
    after = layers[layer + 1]
    weights, local = after.W[:, neuron], after.local[row]
    numbers = (weights, after.signal[row], after.slope[row], weights * local)
    return zip(after.neurons, *(A.tolist() for A in numbers), strict=True)
