"""The answer to "why multiply by the derivative?": numbered facts, each with the numbers of one table.

Facts 1 to 4 are here; `deltarule.explain.facts_further` has 5 to 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import ACTIVATIONS
from deltarule.explain import rules
from deltarule.explain.directions import DRAWS, LARGE, SMALL, Measured
from deltarule.explain.grids import number, share
from deltarule.explain.lesson import Lesson
from deltarule.explain.odds import Trained
from deltarule.objective import Objective

Floats = NDArray[np.float64]

EQUAL = 1e-7
"""Two gradients are equal if they differ by no more than this share of the larger one's largest component."""
MIDDLE = 0.5
"""The learning rate that facts are told at, if it is among those tried; otherwise the middle one."""
STEP = 1e-5
"""The step of the differences of directions."""
TWISTED = 1e-3
"""An asymmetric part above this share is more than the error of the differences."""
MOST_NUMBERS = 5_000_000
"""Numbers up to which the derivative of a direction is computed."""
MONOTONE = (
    "logistic", "tanh", "identity", "softsign", "hard_tanh", "relu", "leaky_relu", "elu", "selu", "softplus",
    "exponential",
)  # fmt: skip
"""Activations that never fall: their slopes are never negative."""


@dataclass(frozen=True)
class Fact:
    """A fact: its number, what it says, whether this table bears it out (None: no test of it here), the numbers.

    Parameters
    ----------
    number : int
        As in the answer.
    says : str
        The fact in general.
    here : str
        What this table shows.
    holds : bool or None
        Whether the numbers agree with the fact; None where there is nothing to agree with.
    numbers : dict
        The numbers, as JSON values.
    """

    number: int
    says: str
    here: str
    holds: bool | None
    numbers: dict[str, Any]


def never_reversed(lesson: Lesson, found: Sequence[Measured]) -> Fact:
    """Return fact 1: one row, one output, one hidden layer."""
    cases = _of(found, "1 row, 1 output", "omit")
    flipped, total = sum(one.cases_reversed for one in cases), sum(one.cases for one in cases)
    angle = max(one.largest_angle for one in cases)
    monotone = rules_keep_signs(lesson)
    return Fact(
        1,
        "One row, one output, one hidden layer, f that never falls: leaving f′ out never turns a weight round. It "
        "changes lengths alone, and that is why it seems to work.",
        f"{flipped:,} of {total:,} steps turned a weight round; the angle to the gradient was up to {number(angle)}°."
        + ("" if monotone else f" (The activation {_name(lesson)} falls somewhere, so the fact is not about it.)"),
        flipped == 0 if monotone else None,
        {"cases": total, "cases_reversed": flipped, "weights_reversed": max(one.reversed_weights for one in cases),
         "largest_angle": angle, "uphill": sum(one.uphill for one in cases)},
    )  # fmt: skip


def rules_keep_signs(lesson: Lesson) -> bool:
    """Return whether f′ is never negative."""
    return _name(lesson) in MONOTONE


def reversed_elsewhere(found: Sequence[Measured]) -> Fact:
    """Return fact 2: two outputs, two hidden layers, or rows summed."""
    rows: dict[str, dict[str, Any]] = {}
    for one in found:
        if one.rule == "omit" and one.situation != "1 row, 1 output":
            rows.setdefault(one.situation, {})[one.weights] = {
                "cases": one.cases, "weights_reversed": one.reversed_weights, "cases_reversed": one.cases_reversed,
                "uphill": one.uphill, "median_angle": one.median_angle,
            }  # fmt: skip
    told = [
        f"{name}: {share(one['large']['weights_reversed'])} of the weights the wrong way, "
        f"{one['large']['uphill']:,} of {one['large']['cases']:,} steps uphill"
        for name, one in rows.items()
    ]
    return Fact(
        2,
        "With two outputs, two hidden layers, or two rows summed it can turn weights round: terms that are each "
        "multiplied by another positive number no longer add up to the same sign.",
        f"With large weights (±{LARGE:g}), f′ left out everywhere: " + "; ".join(told) + ".",
        all(max(part["cases_reversed"] for part in one.values()) > 0 for one in rows.values()),
        {"situations": rows},
    )


def cross_entropy(lesson: Lesson, seed: int) -> Fact:
    """Return fact 3: at a logistic or softmax output."""
    differences = {
        "logistic": _difference(lesson, "logistic", "binary_cross_entropy", seed),
        "softmax": _difference(lesson, "softmax", "cross_entropy", seed),
    }
    return Fact(
        3,
        "At a logistic or softmax output, leaving f′ out is exactly gradient descent on cross-entropy instead of "
        "squared error.",
        "Largest difference of squared error without the last f′ from the gradient of cross-entropy, as a share of it: "
        + ", ".join(f"{number(value)} ({output} outputs)" for output, value in differences.items()) + ".",
        max(differences.values()) <= EQUAL,
        {"relative_difference": differences, "allowed": EQUAL},
    )  # fmt: skip


def _difference(lesson: Lesson, output: str, entropy: str, seed: int) -> float:
    """Return the largest relative difference over draws of weights, all rows summed; the gradient is the engine's."""
    T = lesson.two if output == "softmax" else lesson.T
    if output == "softmax":
        sums = T.sum(axis=1, keepdims=True)
        T = np.where(sums > 0, T / np.where(sums > 0, sums, 1.0), 1 / T.shape[1])  # shares of a whole, as it needs
    network = lesson.network(n_out=T.shape[1], output=output)
    rng = np.random.Generator(np.random.PCG64(seed))
    w = rng.uniform(-1, 1, (DRAWS, network.n_weights)) * rng.choice([SMALL, LARGE], (DRAWS, 1))
    X, many = (np.broadcast_to(A, (DRAWS, *A.shape)) for A in (lesson.X, T))
    without = rules.descent(network, lesson.loss, w, X, many, "omit_output")[1]
    objective = Objective(network, entropy, lesson.X, T)
    right = np.array([-objective.value_grad(one)[1] for one in w])
    return float((np.abs(without - right).max(axis=1) / np.abs(right).max(axis=1)).max())


def in_hidden_layers(lesson: Lesson, trained: Trained) -> Fact:
    """Return fact 4: without f′ in the hidden layers it is no gradient, and what training then comes to."""
    rules_told = ("gradient", "omit_hidden", "omit")
    solved = {
        rule: {number(rate): trained.of(rule, rate).solved for rate in trained.course.rates} for rule in rules_told
    }
    runs, rate = len(trained.course.starts), telling_rate(trained)
    true, careless = trained.of("gradient", rate), trained.of("omit_hidden", rate)
    told = "; ".join(
        f"η {one}: gradient {n}, without f′ in hidden layers {solved['omit_hidden'][one]}"
        for one, n in solved["gradient"].items()
    )
    turning = {rule: asymmetry(lesson, trained.course.starts[0], rule) for rule in rules_told}
    odds = (
        f"Of {runs} runs each succeeded at {told}."
        if trained.goal is not None
        else "No run beat one answer for all rows."
    )
    twist = turning["omit_hidden"]
    probed = (
        f" A gradient's own derivative is a symmetric matrix; here its asymmetric part is "
        f"{number(turning['gradient'])} of it with f′, and {number(twist)} without in the hidden layers."
        if twist is not None
        else ""
    )
    return Fact(
        4,
        "Left out in the hidden layers, what remains is the gradient of no function at all: of 20 XOR runs it solved "
        "none, where the gradient solved most. Where the outputs' weights alone can do the work, it costs less.",
        odds + probed,
        None if twist is None else twist > TWISTED and careless.solved <= true.solved,
        {"runs": runs, "rate": rate, "solved": solved, "asymmetry": turning,
         "median_loss": {"gradient": true.median_loss, "omit_hidden": careless.median_loss}},
    )  # fmt: skip


def asymmetry(lesson: Lesson, w: Floats, rule: str) -> float | None:
    """Return the asymmetric part of the derivative of a rule's direction at w, as a share of the symmetric one.

    It is 0 but for rounding where the rule is the gradient of anything. None for networks too large to try.
    """
    p, n = len(w), len(lesson.X)
    if p * n * max(lesson.network().sizes) > MOST_NUMBERS:
        return None
    both = np.concatenate([w + STEP * np.eye(p), w - STEP * np.eye(p)])
    X, T = (np.broadcast_to(A, (2 * p, *A.shape)) for A in (lesson.X, lesson.T))
    found = rules.descent(lesson.network(), lesson.loss, both, X, T, rule)[1]
    J = (found[:p] - found[p:]) / (2 * STEP)
    return float(np.linalg.norm(J - J.T) / np.linalg.norm(J + J.T))


def telling_rate(trained: Trained) -> float:
    """Return the learning rate that is told of where one must do."""
    rates = trained.course.rates
    return MIDDLE if MIDDLE in rates else sorted(rates)[len(rates) // 2]


def _of(found: Sequence[Measured], situation: str, rule: str) -> list[Measured]:
    return [one for one in found if one.situation == situation and one.rule == rule]


def _name(lesson: Lesson) -> str:
    given = lesson.activation
    return (
        ACTIVATIONS[given].name
        if isinstance(given, str) and given in ACTIVATIONS
        else getattr(given, "name", str(given))
    )
