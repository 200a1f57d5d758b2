"""Backpropagation with mistakes: every wrong rule that `check.rule` knows, as settings of one short backward pass.

A `Rule` is a choice for each place where people go wrong. The true gradient is the choice of all defaults; the number
of other choices is how many mistakes a rule holds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.losses import Loss
from deltarule.network import Network

Floats = NDArray[np.float64]

OFFSET = 0.1
"""What is added to f′ so that it never vanishes (Fahlman 1988)."""

SLOPES = {
    "right": "",
    "omit_hidden": "f′ left out in the hidden layers",
    "omit_output": "f′ left out at the outputs",
    "omit": "f′ left out in every layer",
    "at_y": "f′ taken at what goes out, f′(y), instead of at what comes in, f′(e)",
    "agh": "the AGH rule: δ passed back through the weights without f′, which multiplies only the update",
    "offset": f"f′ + {OFFSET:g} for f′, so that it never vanishes",
    "twice": "f′ multiplied twice: once in the local gradient and once more in the update",
}
"""Where f′ goes, with the words for it."""
INPUTS = {
    "right": "",
    "own": "the wrong layer's input: what the layer itself puts out, not what came in to it",
    "below": "the wrong layer's input: one layer too low",
    "received": "the input before its activation: what the layer before received, e, not what it put out, y",
}
BACK = {
    "right": "",
    "transposed": "δ passed back through the weights transposed: outgoing weights are a column of W, not a row",
    "own": "δ passed back through the layer's own weights instead of the next layer's",
    "unweighted": "δ passed back without the weights",
}
BIASES = {
    "right": "",
    "forgotten": "biases forgotten: their gradient is 0",
    "without_slope": "biases moved by δ without f′",
}
ROWS = {"right": "", "last": "the last row only, not the sum over the rows", "first": "the first row only"}
PENALTY = {
    "right": "",
    "on_biases": "penalty on biases too",
    "forgotten": "penalty forgotten",
    "double": "penalty counted twice: l2 · W is the slope of ½ · l2 · W²",
    "reversed": "penalty with its sign reversed",
}
ERROR = {
    "right": "",
    "sign": "the sign of the error for the error itself",
    "unsigned": "the size of the error without its sign",
}


@dataclass(frozen=True)
class Rule:
    """A way to compute a gradient: for each place where people go wrong what is done there.

    Parameters
    ----------
    slopes, inputs, back, biases, rows, penalty, error : str
        A key of the table of that name.
    """

    slopes: str = "right"
    inputs: str = "right"
    back: str = "right"
    biases: str = "right"
    rows: str = "right"
    penalty: str = "right"
    error: str = "right"

    @property
    def mistakes(self) -> tuple[str, ...]:
        """What differs from the gradient, in words."""
        chosen = ((row.name, getattr(self, row.name)) for row in fields(self))
        return tuple(TABLES[name][choice] for name, choice in chosen if choice != "right")

    @property
    def names(self) -> tuple[str, ...]:
        """What differs from the gradient, as ``place:choice``, for programs."""
        chosen = ((row.name, getattr(self, row.name)) for row in fields(self))
        return tuple(f"{name}:{choice}" for name, choice in chosen if choice != "right")


TABLES = {
    "slopes": SLOPES, "inputs": INPUTS, "back": BACK, "biases": BIASES, "rows": ROWS, "penalty": PENALTY,
    "error": ERROR,
}  # fmt: skip


def rules(most: int = 2) -> Iterator[Rule]:
    """Yield the gradient, then every rule with one mistake, then with two, up to `most`."""
    for count in range(most + 1):
        for places in combinations(TABLES, count):
            wrong = [[choice for choice in TABLES[place] if choice != "right"] for place in places]
            yield from (Rule(**dict(zip(places, choices, strict=True))) for choices in product(*wrong))


class Setting(NamedTuple):
    """What a gradient is computed for: network, loss, penalty, weights and rows."""

    network: Network
    loss: Loss
    l2: float
    w: Floats
    X: Floats
    T: Floats

    def gradient(self, rule: Rule) -> tuple[Floats, Floats] | None:
        """Return the rows' part of a rule's gradient, a mean, and the penalty's; None if shapes forbid it."""
        X, T = {"last": (self.X[-1:], self.T[-1:]), "first": (self.X[:1], self.T[:1])}.get(rule.rows, (self.X, self.T))
        layers = list(self.network.layers(self.w))
        E, Y = [], [X]
        for (W, b), row in zip(layers, self.network.activations, strict=True):
            E.append(Y[-1] @ W.T + b)
            Y.append(row.f(np, E[-1]))
        total, penalty = np.zeros_like(self.w), np.zeros_like(self.w)
        into = list(self.network.layers(total))
        delta = self._error(rule, E[-1], Y[-1], T)
        for i in reversed(range(len(layers))):
            update, passed = self._slopes(rule, i, E[i], Y[i + 1])
            local, back = delta * update, delta * passed
            came = _input(rule, i, E, Y)
            if came is None or came.shape[1] != layers[i][0].shape[1]:
                return None
            into[i][0][:] = -local.T @ came
            if rule.biases != "forgotten":
                into[i][1][:] = -(delta if rule.biases == "without_slope" else local).sum(axis=0)
            if i:
                through = _through(rule, i, layers, back)
                if through is None or through.shape[1] != self.network.sizes[i]:
                    return None
                delta = through
        for (P, p), (W, b) in zip(self.network.layers(penalty), layers, strict=True):
            factor = {"forgotten": 0.0, "double": 2.0, "reversed": -1.0}.get(rule.penalty, 1.0) * self.l2
            P[:] = factor * W
            p[:] = self.l2 * b if rule.penalty == "on_biases" else 0.0
        return total / len(X), penalty

    def _error(self, rule: Rule, E: Floats, Y: Floats, T: Floats) -> Floats:
        signal = self.loss.signal(np, E, Y, T, self.loss.parameter or 0.0)
        if rule.error == "sign":
            return np.asarray(np.sign(signal))
        return np.asarray(np.abs(signal)) if rule.error == "unsigned" else signal

    def _slopes(self, rule: Rule, i: int, E: Floats, Y: Floats) -> tuple[Floats, Floats]:
        """Return what multiplies δ in the update of layer i, and what multiplies it on its way back."""
        row, output = self.network.activations[i], i == self.network.depth - 1
        one = np.ones_like(E)
        fused = output and self.loss.fuses(row)
        if fused or rule.slopes == "omit" or rule.slopes == ("omit_output" if output else "omit_hidden"):
            return one, one
        at = row.df(np, E, Y)
        if rule.slopes == "at_y":
            at = row.df(np, Y, row.f(np, Y))
        elif rule.slopes == "offset":
            at = at + OFFSET
        elif rule.slopes == "twice":
            return at * at, at
        return (at, one) if rule.slopes == "agh" else (at, at)


def _input(rule: Rule, i: int, E: list[Floats], Y: list[Floats]) -> Floats | None:
    """Return what the weights of layer i are multiplied with."""
    if rule.inputs == "own":
        return Y[i + 1]
    if rule.inputs == "below":
        return Y[max(0, i - 1)]
    if rule.inputs == "received":
        return E[i - 1] if i else Y[0]
    return Y[i]


def _through(rule: Rule, i: int, layers: list[tuple[Floats, Floats]], back: Floats) -> Floats | None:
    """Return the error signals of the layer below layer i."""
    W = layers[i][0]
    if rule.back == "unweighted":
        return np.asarray(np.tile(back.sum(axis=1, keepdims=True), (1, W.shape[1])))
    if rule.back == "transposed":
        W = W.T
    elif rule.back == "own":
        W = layers[i - 1][0]
    return back @ W if W.shape[0] == back.shape[1] else None
