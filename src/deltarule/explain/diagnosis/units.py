"""Trouble in the neurons: alike from the start, dead, saturated on the rows that are wrong, deaf to the inputs."""

from __future__ import annotations

import numpy as np

from deltarule.activations import ACTIVATIONS
from deltarule.explain import health
from deltarule.explain.diagnosis import ground
from deltarule.explain.diagnosis.case import Case
from deltarule.explain.diagnosis.finding import Finding, Measurement

TWINS = 0.2
"""Share of a layer's neurons that are the twin of another."""
DEAD = 0.35
"""Share of a layer's neurons whose slope is 0 on every row."""
BLOCKED = 0.94
"""Share of (neuron, wrong row) pairs of a hidden layer whose slope is small."""
BLOCKED_OUTPUTS = 0.3
"""The same of outputs, of which each has errors of its own to correct."""
ENOUGH_WRONG = 0.05
"""Share of rows that are wrong before their slopes matter."""
CAN_DIE = ("relu", "hard_tanh")
"""Activations of the package with a slope of exactly 0; that of others is 0 by rounding only, which is saturation."""
HALF_FLAT = ("relu", "leaky_relu", "selu", "elu")
"""Activations that are flat on half of the rows when all is well."""
STANDS = 0.97
"""Share of the loss that more passes of the method leave at least where training stands still."""
NOTHING_LEARNT = 0.9
"""Share of the baseline from which a network has learnt nothing."""


def symmetric_units(case: Case) -> Finding | None:
    """Find neurons with the same weights in and out: the same gradient, so they stay the same for ever."""
    worst, share = 0, 0.0
    for layer, width in enumerate(case.network.sizes[1:-1]):
        count = sum(bool(neuron.twin) for neuron in case.health.neurons if neuron.layer == layer)
        if count / width > share:
            worst, share = layer, count / width
    if share < TWINS:
        return None
    twins = [neuron for neuron in case.health.neurons if neuron.layer == worst and neuron.twin]
    return Finding(
        "symmetric_units", f"{len(twins)} of {case.network.sizes[worst + 1]} neurons of "
        f"{case.network.layer_name(worst)} are the twin of another: equal weights have equal gradients.",
        tuple(f"{neuron.name} = {neuron.twin}" for neuron in twins),
        (Measurement("share of the layer that is a twin", share, TWINS),),
        "Begin with random weights: network.initial_weights(seed).",
    )  # fmt: skip


def dead_units(case: Case) -> Finding | None:
    """Find layers of which much is dead."""
    shares = [
        layer.dead / width if layer.activation in CAN_DIE or layer.activation not in ACTIVATIONS else 0.0
        for layer, width in zip(case.health.layers, case.network.sizes[1:], strict=True)
    ]
    worst = int(np.argmax(shares))
    if shares[worst] < DEAD:
        return None
    found = [neuron.name for neuron in case.health.neurons if neuron.layer == worst and neuron.dead]
    name = case.network.activations[worst].name
    return Finding(
        "dead_units", f"{len(found)} of {case.network.sizes[worst + 1]} neurons of {case.network.layer_name(worst)} "
        "are dead: their slope is 0 on every row, so no row can move them.", tuple(found),
        (Measurement("share of the layer that is dead", shares[worst], DEAD),),
        f"Draw their weights anew, with a smaller learning rate; leaky_relu or tanh instead of {name} cannot die.",
    )  # fmt: skip


def saturation(case: Case) -> Finding | None:
    """Find layers whose slopes are small on the wrong rows."""
    if case.health.wrong < ENOUGH_WRONG:
        return None
    blocked = _blocked(case)
    limits = [BLOCKED] * (case.network.depth - 1) + [BLOCKED_OUTPUTS]
    worst = int(np.argmax([share / limit for share, limit in zip(blocked, limits, strict=True)]))
    if blocked[worst] < limits[worst]:
        return None
    found = [neuron for neuron in case.health.neurons if neuron.layer == worst and neuron.flat_wrong >= limits[worst]]
    name, row = case.network.layer_name(worst), case.network.activations[worst]
    return Finding(
        "saturation", f"The neurons of {name} are saturated on the rows that are wrong: f′ is small there, and the "
        "error does not get through.", tuple(neuron.name for neuron in found) or (name,),
        (
            Measurement("share of (neuron, wrong row) pairs with a small f′", blocked[worst], limits[worst]),
            Measurement("share of rows that are wrong", case.health.wrong, ENOUGH_WRONG),
            Measurement("share of all pairs with a small f′", case.health.layers[worst].flat),
        ),
        _advice(worst == case.network.depth - 1, row.name),
    )  # fmt: skip


def _blocked(case: Case) -> list[float]:
    """Return for each layer the share of small slopes on the wrong rows; of outputs, on their own errors alone."""
    shares = [layer.flat_wrong for layer in case.health.layers]
    small, _ = health.flatness(case.taken, case.trace)
    with np.errstate(all="ignore"):
        each = case.taken.loss.value(
            np, case.trace.E[-1], case.trace.Y[-1], case.taken.T, case.taken.loss.parameter or 0
        )
    wrong = ~(each <= 0.25 * case.baseline)
    shares[-1] = float(small[-1][wrong].mean()) if wrong.any() else 0.0
    for i, row in enumerate(case.network.activations[:-1]):
        if row.name in HALF_FLAT:
            shares[i] = 0.0
    return shares


def _advice(is_output: bool, name: str) -> str:
    if is_output:
        return (
            f"Use a loss that fuses with {name} outputs, where f′ cancels: cross-entropy; or smaller initial weights."
        )
    return "Start again with smaller weights, network.initial_weights(seed), and inputs of standard deviation 1."


def plateau(case: Case) -> Finding | None:
    """Find outputs that are the same for every row, where the error hardly reaches the first layer."""
    if case.network.depth < 2 or case.excess < NOTHING_LEARNT:
        return None
    if case.stays < STANDS or not ground.is_deaf(case):
        return None
    sizes = [layer.gradient for layer in case.health.layers]
    ratio = sizes[0] / sizes[-1] if sizes[-1] > 0 else 0.0
    slopes = [
        np.mean([n.mean_slope for n in case.health.neurons if n.layer == i]) for i in range(case.network.depth - 1)
    ]
    weights = [layer.weight for layer in case.health.layers[1:]]
    told = case.learnable
    return Finding(
        "plateau", "The outputs are the same for every row, and the error hardly reaches the first layer.",
        tuple(f"{layer.name}: gradient {layer.gradient:.1e}" for layer in case.health.layers),
        (
            Measurement("variance of the outputs / of the targets", case.heard, ground.DEAF, above=False),
            Measurement("share of the baseline that a fresh network loses", told, ground.TELLING, above=False),
            Measurement("share of the loss left after more passes", case.stays, STANDS),
            Measurement("gradient of the first layer / of the outputs", ratio),
            Measurement("product of the layers' mean slopes", float(np.prod(slopes))),
            Measurement("product of the layers' rms weights", float(np.prod(weights))),
        ),
        "Take fewer layers, tanh or relu instead of logistic, and initial weights of the activation's own scale.",
    )  # fmt: skip
