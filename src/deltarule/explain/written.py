"""An update record as plain values: the JSON of ``deltarule explain --json``, and a frame.

The keys of the JSON:

    method, loss             what the step was by, and what was made small
    rows                     what the rows are called
    opened                   of how many rows, the first ones, single numbers are given; sums are over all of them
    settings                 the numbers that the method used: learning rate, momentum, step length, damping, …
    notes                    what else there is to know of this step
    neurons                  for each: name, layer, activation, kind; of each opened row e, y, delta (δ), signal, slope,
                             local (their product); paths: of each opened row how δ comes from the next layer, as a list
                             of {to, weight, delta, slope, share}, whose shares add up to δ; [] for outputs
    kind                     plain: local = δ · f′; fused: f′ has cancelled against the loss; softmax: see backward.py
    outputs                  for each output: name, and target of each opened row
    weights                  for each: name, neuron, source, old, new, change; input of each opened row; rate, which
                             multiplies delta · slope · input of a row (null where the step is no multiple of it);
                             gradient of the mean loss without penalty; cancellation; terms, name to what each adds
    error, bound             largest miss of old + terms = new, and what rounding allows there
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.explain import backward, frames
from deltarule.explain.names import ARROW

if TYPE_CHECKING:
    from deltarule.explain.step import Update, Wanted

KEPT = {"e": "E", "y": "Y", "delta": "delta", "signal": "signal", "slope": "slope", "local": "local"}
OPENED = 20
"""So many rows, the first ones, are given number by number."""


def to_dict(update: Update, weights: Wanted) -> dict[str, Any]:
    """Return the record as JSON values; the module says what the keys are."""
    opened = min(update.n_rows, OPENED)
    worst = int(np.argmax(update.error / np.maximum(update.bound, np.finfo(float).tiny)))
    return {
        "method": update.method,
        "loss": update.loss,
        "rows": list(update.rows),
        "opened": opened,
        "settings": update.account.settings,
        "notes": list(update.account.notes),
        "neurons": [neuron for layer in update.layers for neuron in _neurons(update, layer, opened)],
        "outputs": [
            {"name": name, "target": update.targets[:opened, k].tolist()}
            for k, name in enumerate(update.layers[-1].neurons)
        ],
        "weights": _weights(update, update.find(weights), opened),
        "error": float(update.error[worst]),
        "bound": float(update.bound[worst]),
    }


def _neurons(update: Update, layer: backward.Layer, opened: int) -> list[dict[str, Any]]:
    """Return the neurons of a layer."""
    kept = {name: getattr(layer, field)[:opened].T.tolist() for name, field in KEPT.items()}
    return [
        {
            "name": name, "layer": layer.name, "activation": layer.activation, "kind": layer.kind,
            **{key: values[k] for key, values in kept.items()},
            "paths": [_paths(update, layer.number, k, row) for row in range(opened)],
        }
        for k, name in enumerate(layer.neurons)
    ]  # fmt: skip


def _paths(update: Update, layer: int, neuron: int, row: int) -> list[dict[str, Any]]:
    return [
        {"to": to, "weight": weight, "delta": delta, "slope": slope, "share": share}
        for to, weight, delta, slope, share in backward.ways(update.layers, layer, neuron, row)
    ]


def _weights(update: Update, indices: list[int], opened: int) -> list[dict[str, Any]]:
    """Return the weights of these places in w."""
    cancelled = [value if isfinite(value) else None for value in update.cancellation[indices].tolist()]
    came_in = [np.column_stack([layer.X[:opened], np.ones(opened)]).T.tolist() for layer in update.layers]
    terms = {term.name: term.values[indices].tolist() for term in update.account.terms}
    each = zip(
        [update.names.places[index] for index in indices],
        update.before[indices].tolist(), update.after[indices].tolist(), update.step[indices].tolist(),
        update.rates(indices), (-update.data[indices]).tolist(), cancelled, zip(*terms.values(), strict=True),
        strict=True,
    )  # fmt: skip
    neurons, sources = update.names.neurons, update.names.sources
    return [
        {
            "name": f"{neurons[layer][neuron]} {ARROW} {sources[layer][source]}",
            "neuron": neurons[layer][neuron], "source": sources[layer][source],
            "old": old, "new": new, "change": change, "input": came_in[layer][source], "rate": rate,
            "gradient": gradient, "cancellation": cancellation, "terms": dict(zip(terms, values, strict=True)),
        }
        for (layer, neuron, source), old, new, change, rate, gradient, cancellation, values in each
    ]  # fmt: skip


def frame(update: Update, weights: Wanted) -> Any:
    """Return a pandas DataFrame: a row for each weight, with its factors where the step is of one row."""
    rows = []
    for index in update.find(weights):
        layer, neuron, source = update.names.place(index)
        row: dict[str, Any] = {
            "weight": update.names.weight(index), "layer": update.layers[layer].name,
            "neuron": update.names.neurons[layer][neuron], "source": update.names.sources[layer][source],
            "rate": update.rates([index])[0],
        }  # fmt: skip
        if update.n_rows == 1:
            factors = update.factors(index)
            row |= {"delta": factors.delta, "slope": factors.slope, "input": factors.input, "product": factors.product}
        row |= {"gradient": -update.data[index], "cancellation": update.cancellation[index]}
        row |= {term.name: term.values[index] for term in update.account.terms}
        row |= {"old": update.before[index], "change": update.step[index], "new": update.after[index]}
        rows.append(row)
    return frames.frame(rows)
