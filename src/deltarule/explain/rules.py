"""Teaching rules: what becomes of backpropagation when the slope f′ is left out, or put in the wrong place.

None of these is for production: `deltarule.train` knows the gradient alone. They are here so that one can see what
f′ is for, on the same rows, from the same starts, in the same order; `deltarule.explain.course` trains with them.

::

    gradient         δ · f′(e) in every layer, and passed back as that
    agh              δ is passed back through the weights without f′; f′ multiplies only the update
                     (Bernacki and Włodarczyk, AGH 2004, a page that is copied widely)
    omit             f′ nowhere
    omit_hidden      f′ at the outputs only
    omit_output      f′ in the hidden layers only
    offset           f′ + 0.1 in every layer (Fahlman 1988, the "sigmoid-prime" function)

Many runs are trained side by side, as the first axis of all arrays: w has shape (runs, p).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation
from deltarule.errors import unknown
from deltarule.losses import Loss
from deltarule.network import Network

Floats = NDArray[np.float64]

OFFSET = 0.1
"""What `offset` adds to every slope (Fahlman 1988)."""


@dataclass(frozen=True)
class TeachingRule:
    """What stands in the place of f′.

    Parameters
    ----------
    name : str
        What it is called.
    says : str
        What it does, in a few words.
    hidden, output : bool
        Whether f′ multiplies the error signal in hidden layers, and at the outputs.
    passes_slope : bool
        Whether δ · f′ is passed back, rather than δ alone.
    offset : float
        What is added to f′.
    """

    name: str
    says: str
    hidden: bool = True
    output: bool = True
    passes_slope: bool = True
    offset: float = 0.0


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Several teaching rules at once, one for each run: the settings of `TeachingRule` as arrays (runs, 1, 1)."""

    hidden: NDArray[np.bool_]
    output: NDArray[np.bool_]
    passes_slope: NDArray[np.bool_]
    offset: Floats


def side_by_side(rules: Sequence[TeachingRule], runs: int) -> SideBySide:
    """Return rules for so many runs of the first, then as many of the next, and so on."""

    def each(values: list[bool] | list[float]) -> NDArray[Any]:
        return np.repeat(values, runs)[:, None, None]

    return SideBySide(
        each([rule.hidden for rule in rules]), each([rule.output for rule in rules]),
        each([rule.passes_slope for rule in rules]), each([rule.offset for rule in rules]),
    )  # fmt: skip


RULES: dict[str, TeachingRule] = {
    rule.name: rule
    for rule in (
        TeachingRule("gradient", "δ · f′ · input: the gradient itself"),
        TeachingRule("agh", "δ passed back without f′, f′ only in the update", passes_slope=False),
        TeachingRule("omit", "f′ left out everywhere", hidden=False, output=False),
        TeachingRule("omit_hidden", "f′ left out in the hidden layers", hidden=False),
        TeachingRule("omit_output", "f′ left out at the outputs", output=False),
        TeachingRule("offset", f"f′ + {OFFSET:g} instead of f′", offset=OFFSET),
    )
}
"""All teaching rules by name."""


def get(rule: str | TeachingRule) -> TeachingRule:
    """Return the teaching rule of that name; a rule passes through.

    Raises
    ------
    SettingError
        If the name is unknown.
    """
    if isinstance(rule, TeachingRule):
        return rule
    if rule not in RULES:
        raise unknown("teaching rule", rule, RULES)
    return RULES[rule]


def descent(
    network: Network, loss: Loss, w: Floats, X: Floats, T: Floats, rule: str | TeachingRule | SideBySide = "gradient"
) -> tuple[Floats, Floats]:
    """Return the mean loss and the direction in which a rule moves the weights, for several runs at once.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    loss : Loss
        A loss that accepts the network's outputs.
    w : array of shape (runs, p)
        The weights of each run.
    X, T : arrays of shape (runs, n, n_in) and (runs, n, n_out)
        The rows of each run.
    rule : str, TeachingRule or SideBySide
        What stands in the place of f′. With ``gradient`` the direction is minus the gradient.

    Returns
    -------
    losses : array of shape (runs,)
        The mean loss over the rows.
    direction : array of shape (runs, p)
        The mean over the rows of what multiplies the learning rate.
    """
    rules = rule if isinstance(rule, SideBySide) else side_by_side([get(rule)], 1)
    n = X.shape[1]
    layers = [
        (w[:, i:j].reshape(len(w), m, -1), w[:, j:k])
        for (i, j, k), m in zip(network.spans, network.sizes[1:], strict=True)
    ]
    E, Y = forward(network, layers, X)
    parameter = 0.0 if loss.parameter is None else loss.parameter
    last = (_rows(E[-1]), _rows(Y[-1]), _rows(T), parameter)
    losses = loss.value(np, *last).reshape(len(w), -1).sum(axis=1) / n
    D = loss.signal(np, *last).reshape(Y[-1].shape)
    direction = np.empty_like(w)
    for layer in reversed(range(network.depth)):
        activation, at_output = network.activations[layer], layer == network.depth - 1
        fused = at_output and loss.fuses(activation)
        local = D if fused else applied(rules, activation, at_output, E[layer], Y[layer + 1], D)
        i, j, k = network.spans[layer]
        direction[:, i:j] = (local.transpose(0, 2, 1) @ Y[layer]).reshape(len(w), -1)
        direction[:, j:k] = local.sum(axis=1)
        if layer:
            D = _chosen(rules.passes_slope, local, D) @ layers[layer][0]
    direction /= n
    return losses, direction


def forward(network: Network, layers: Sequence[tuple[Floats, Floats]], X: Floats) -> tuple[list[Floats], list[Floats]]:
    """Return what arrives at each layer's neurons and what they put out, X first, each (runs, n, width)."""
    E, Y = [], [X]
    for (W, b), activation in zip(layers, network.activations, strict=True):
        arrived = Y[-1] @ W.transpose(0, 2, 1)
        arrived += b[:, None, :]
        E.append(arrived)
        Y.append(activation.f(np, _rows(arrived)).reshape(arrived.shape))
    return E, Y


def applied(rules: SideBySide, activation: Activation, at_output: bool, E: Floats, Y: Floats, D: Floats) -> Floats:
    """Return what rules make of the error signals D of a layer, all of shape (runs, n, width)."""
    used = rules.output if at_output else rules.hidden
    if not used.any():
        return D
    pulled = activation.pull_back(np, _rows(E), _rows(Y), _rows(D)).reshape(D.shape)
    if rules.offset.any():
        pulled = np.where(rules.offset > 0, pulled + rules.offset * D, pulled)
    return _chosen(used, pulled, D)


def _chosen(which: NDArray[np.bool_], A: Floats, B: Floats) -> Floats:
    """Return A for the runs that say so, B for the others."""
    if which.all():
        return A
    return np.where(which, A, B) if which.any() else B


def _rows(A: Floats) -> Floats:
    """Return an array (runs, n, width) as rows, as the formulas take them."""
    return A.reshape(-1, A.shape[-1])
