"""How far two evaluations of the same gradient may lie apart: engines sum in different orders and have their own exp.

A running error bound to first order, beside backpropagation: what arrives at a neuron is off by the rounding of a sum
of products and by what came in already off; f and f′ pass that on, f′ by its own slope; so does the way back. The
rounding of f and f′ themselves is `OF_FORMULAS`. A kink that lies within the error of e is not provided for.
"""

from __future__ import annotations

import numpy as np

from deltarule.activations import SATURATED
from deltarule.explain.backward import Layer, Numbers
from deltarule.losses import Loss
from deltarule.network import Network

OF_FORMULAS = 8.0
"""Roundings in f, f′ and the loss: the compiled ones are within a few units in the last place."""
OF_SLOPES = 2 / SATURATED
"""Roundings in a slope that is computed from y, where 1 − y² or y (1 − y) has cancelled."""
NUDGE = 1e-4
"""Over so much of e the slope's own slope is measured."""


def of_gradient(network: Network, loss: Loss, layers: tuple[Layer, ...], targets: Numbers) -> Numbers:
    """Return, for each weight, how far Σ δ · f′ · input over the rows may differ between engines, (p,)."""
    eps = float(np.finfo(layers[0].W.dtype).eps)
    arrived, put_out = _forward(layers, eps)
    parameter = 0.0 if loss.parameter is None else loss.parameter
    last, total = layers[-1], np.zeros(network.n_weights, dtype=layers[0].W.dtype)
    bend = np.ones_like(last.Y)
    if loss.curvature is not None:
        bend = np.abs(loss.curvature(np, last.E, last.Y, targets, parameter))
    if last.kind == "fused":
        bend = np.maximum(bend, 1.0)  # the signal is t − y, whatever stands in y's place
    wrong = bend * put_out[-1] + OF_FORMULAS * eps * (np.abs(last.Y) + np.abs(targets) + np.abs(last.signal))
    for layer, (into_W, into_b) in reversed(list(zip(layers, network.layers(total), strict=True))):
        i = layer.number
        if layer.kind == "softmax":
            share = np.abs(layer.Y)
            wrong = wrong + np.sum(wrong * share + np.abs(layer.delta) * put_out[i], axis=1, keepdims=True)
            wrong = wrong + OF_FORMULAS * eps * np.sum(np.abs(layer.delta) * share, axis=1, keepdims=True)
        steep = put_out[i] if layer.kind == "softmax" else _bend(network, layer) * arrived[i]
        slope_off = steep + (OF_SLOPES + OF_FORMULAS) * eps * np.abs(layer.slope)
        local_off = np.abs(layer.slope) * wrong
        if layer.kind != "fused":
            local_off = local_off + np.abs(layer.signal) * slope_off
        came_in = put_out[i - 1] if i else np.zeros_like(layer.X)
        many = (len(layer.X) + 2) * eps
        into_W += local_off.T @ np.abs(layer.X) + np.abs(layer.local).T @ (came_in + many * np.abs(layer.X))
        into_b += np.sum(local_off + many * np.abs(layer.local), axis=0)
        wrong = local_off @ np.abs(layer.W) + (layer.W.shape[0] + 2) * eps * (np.abs(layer.local) @ np.abs(layer.W))
    return total


def _forward(layers: tuple[Layer, ...], eps: float) -> tuple[list[Numbers], list[Numbers]]:
    """Return by how much what arrives at each layer, and what it puts out, may be off."""
    arrived: list[Numbers] = []
    put_out: list[Numbers] = []
    for layer in layers:
        size = np.abs(layer.X) @ np.abs(layer.W).T + np.abs(layer.b)
        off = (layer.W.shape[1] + 2) * eps * size
        if put_out:
            off = off + put_out[-1] @ np.abs(layer.W).T
        arrived.append(off)
        spread = np.abs(layer.slope) * off
        if layer.kind != "plain":  # logistic, softmax and the exponential: |∂y/∂e| is at most |y| for each e
            spread = np.abs(layer.Y) * (off + (np.max(off, axis=1, keepdims=True) if layer.Y.shape[1] > 1 else 0.0))
        put_out.append(spread + OF_FORMULAS * eps * (np.abs(layer.Y) + np.abs(layer.slope * layer.E)))
    return arrived, put_out


def _bend(network: Network, layer: Layer) -> Numbers:
    """Return |f″(e)|, measured."""
    activation = network.activations[layer.number]
    if layer.kind != "plain":
        return np.zeros_like(layer.E)
    up, down = layer.E + NUDGE, layer.E - NUDGE
    rise = activation.df(np, up, activation.f(np, up)) - activation.df(np, down, activation.f(np, down))
    return np.asarray(np.abs(rise) / (2 * NUDGE) + np.zeros_like(layer.E))
