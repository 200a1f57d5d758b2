"""The terms of one online or mini-batch update: the delta rule, and what momentum, RMSprop or Adam make of it.

With ``data`` the mean over the rows of δ · f′ · input, g = −data + l2 · W, and the rules of `deltarule.methods.rules`.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from deltarule.explain.terms.account import Account, Numbers, Taken, Term, summed
from deltarule.methods import rules

DELTA_RULE = "δ · f′ · input"


def rate_of(method: Any, state: Any, n: int) -> float:
    """Return the learning rate of the step from a state, on an objective of n rows."""
    return float(state.pace.factor * method.schedule.at(state.epoch + state.row / n))


def account(taken: Taken) -> Account:
    """Return the terms of one update; `taken.data` must be there."""
    method, before = taken.method, taken.before
    assert taken.data is not None
    rate = rate_of(method, before, taken.objective.n_rows)
    return of_rule(method.rule, rate, before.memory, before.updates + 1, taken.data, taken.pull)


def of_rule(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    """Return the terms of an update by a rule.

    Parameters
    ----------
    rule : rule
        One of `deltarule.methods.rules`.
    rate : float
        The learning rate.
    memory : array of shape (n_memory, p)
        What the rule remembers before the update.
    count : int
        The number of this update, 1 for the first.
    data, pull : arrays of shape (p,)
        Minus the gradients of the mean loss and of the penalty.
    """
    made = {
        rules.Plain: _plain, rules.Momentum: _momentum, rules.Nesterov: _nesterov,
        rules.RMSprop: _rmsprop, rules.Adam: _adam,
    }[type(rule)]  # fmt: skip
    return made(rule, rate, memory, count, data, pull)


def _plain(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    terms = [Term(DELTA_RULE, f"η · {DELTA_RULE}", rate * data), Term("penalty", "−η · l2 · w", rate * pull)]
    return Account(summed(terms), {"learning rate": rate}, rate)


def _momentum(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    terms = [
        Term(DELTA_RULE, f"η · {DELTA_RULE}", rate * data),
        Term("penalty", "−η · l2 · w", rate * pull),
        Term("momentum", "m · v, v the last step", rule.momentum * memory[0]),
    ]
    return Account(summed(terms), {"learning rate": rate, "momentum": rule.momentum}, rate)


def _nesterov(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    m, scale = rule.momentum, (1 + rule.momentum) * rate
    terms = [
        Term(DELTA_RULE, f"(1 + m) · η · {DELTA_RULE}", scale * data),
        Term("penalty", "−(1 + m) · η · l2 · w", scale * pull),
        Term("momentum", "m² · v, v the velocity before", m * m * memory[0]),
    ]
    return Account(summed(terms), {"learning rate": rate, "momentum": m}, scale)


def _rmsprop(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    g = data + pull
    square = rule.decay * memory[0] + (1 - rule.decay) * (g * g)
    scale = rate / (np.sqrt(square) + rule.epsilon)
    terms = [
        Term(DELTA_RULE, f"η / (√a + ε) · {DELTA_RULE}", scale * data),
        Term("penalty", "−η / (√a + ε) · l2 · w", scale * pull),
    ]
    return Account(summed(terms), {"learning rate": rate, "decay": rule.decay, "epsilon": rule.epsilon}, scale)


def _adam(rule: Any, rate: float, memory: Numbers, count: int, data: Numbers, pull: Numbers) -> Account:
    g = data + pull
    square = rule.beta2 * memory[1] + (1 - rule.beta2) * (g * g)
    corrected = rate * sqrt(1 - rule.beta2**count) / (1 - rule.beta1**count)
    whole = corrected / (np.sqrt(square) + rule.epsilon)
    scale = (1 - rule.beta1) * whole
    terms = [
        Term(DELTA_RULE, f"η′ (1 − β₁) / (√b + ε) · {DELTA_RULE}", scale * data),
        Term("penalty", "−η′ (1 − β₁) / (√b + ε) · l2 · w", scale * pull),
        Term("momentum", "−η′ β₁ / (√b + ε) · a, a the mean gradient before", -rule.beta1 * whole * memory[0]),
    ]
    settings: dict[str, float | int | str] = {
        "learning rate": rate, "corrected rate η′": corrected, "beta1": rule.beta1, "beta2": rule.beta2,
        "epsilon": rule.epsilon, "update": count,
    }  # fmt: skip
    return Account(summed(terms), settings, scale)
