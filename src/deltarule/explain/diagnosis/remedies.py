"""Tests of advice on clones: as many passes without the advice and with it, nothing of the user's being touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.explain.diagnosis import data, steps, units
from deltarule.explain.diagnosis.case import PASSES, PLAIN, RESTARTS, Case, descend, rate_of, standardised, with_rate
from deltarule.explain.diagnosis.finding import Finding, Trial
from deltarule.methods import Method
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.stopping import MaxPasses, MaxSteps, Reason
from deltarule.train import train

Floats = NDArray[np.float64]

SEED = 1
"""Of fresh weights: not that of the run, which most people leave at 0."""
MOST_PASSES = 500
TAMER = (0.1, 0.01, 1e-3, 1e-4)
"""Factors on the learning rate of a run that became non-finite: the first that stays finite is taken."""


@dataclass(frozen=True)
class Changed:
    """A clone with an advice taken: what is trained, from where, how, and how its weights are read by the first one.

    `back` turns the weights into ones of the objective that was given, where the clone has another; None where the
    clone itself says what it loses. `fresh` says whether it begins with fresh weights.
    """

    words: str
    objective: Objective
    w: Floats
    method: Method | None
    back: Callable[[Floats], Floats] | None = None
    fresh: bool = True


def trial(case: Case, finding: Finding) -> Trial | None:
    """Return the test of a finding's advice, or None where no training can test it."""
    make = REMEDIES.get(finding.kind)
    changed = None if make is None else make(case, finding)
    if changed is None:
        return None
    passes = float(min(MOST_PASSES, max(PASSES, len(case.losses))))
    spent = float(min(MOST_PASSES, max(0, len(case.losses) - 1))) if changed.fresh else 0.0
    keep = _judged_rows(case, finding)
    now = _mean_loss(case.objective, case.w, keep)
    method = changed.method if finding.kind == "saddle" else case.method  # both by the same strong one
    without = _loss_after(case.objective, case.w, passes, method, keep, None, case.objective)
    advised = _loss_after(
        changed.objective, changed.w, passes + spent, changed.method, keep, changed.back, case.objective
    )
    if finding.kind == "unfinished":
        return Trial(changed.words, now, now, 0.0, advised, passes)  # the advice is to go on at all
    if finding.kind == "poor_minimum":
        advised = _best_start(case, passes, keep)
        return Trial(changed.words, now, without, passes, advised, passes * RESTARTS)
    return Trial(changed.words, now, without, passes, advised, passes + spent)


def _judged_rows(case: Case, finding: Finding) -> NDArray[np.bool_]:
    """Return the rows whose loss is compared: not those with wild cells, which the advice changes."""
    if finding.kind != "input_outlier":
        return np.ones(len(case.taken.X), dtype=bool)
    X = case.taken.X
    return np.asarray((np.abs(X - np.median(X, axis=0)) <= 10 * np.maximum(_spread(X), 1e-300)).all(axis=1))


def _spread(X: Floats) -> Floats:
    low, high = np.quantile(X, (0.05, 0.95), axis=0)
    return np.asarray(np.where(high > low, high - low, X.std(axis=0)))


def _loss_after(
    objective: Objective, w: Floats, passes: float, method: Method | None, keep: NDArray[np.bool_],
    back: Callable[[Floats], Floats] | None, given: Objective,
) -> float:  # fmt: skip
    result = train(objective, w, method or PLAIN, [MaxPasses(passes), MaxSteps(5000)])
    if result.reason is Reason.NON_FINITE:
        return inf
    return _mean_loss(objective, result.w, keep) if back is None else _mean_loss(given, back(result.w), keep)


def _mean_loss(objective: Objective, w: Floats, keep: NDArray[np.bool_]) -> float:
    """Return the mean loss without penalty over some rows."""
    X, T, s = (None if A is None else A[keep] for A in objective.rows)
    with np.errstate(all="ignore"):
        value = float(Objective(objective.network, objective.loss, X, T, s).value(w))
    return value if isfinite(value) else inf


def _best_start(case: Case, passes: float, keep: NDArray[np.bool_]) -> float:
    ends = []
    for seed in range(RESTARTS):
        result = train(case.objective, _fresh(case, case.network, seed), PLAIN, [MaxPasses(passes)])
        ends.append((float(result.loss), _mean_loss(case.objective, result.w, keep)))
    return min(ends)[1]


def _fresh(case: Case, network: Network, seed: int = SEED, X: Floats | None = None) -> Floats:
    X = case.taken.X if X is None else X
    return network.initial_weights(seed, input_ranges=np.column_stack([X.min(axis=0), X.max(axis=0)]))


def _cloned(case: Case, **changes: Any) -> Objective:
    """Return the objective with another network, loss, X, T or penalty."""
    X, T, s = case.objective.rows
    parts = {"network": case.network, "loss": case.taken.loss, "X": X, "T": T, "l2": case.objective.l2} | changes
    return Objective(parts["network"], parts["loss"], parts["X"], parts["T"], s, parts["l2"])


def _scaled_inputs(case: Case, finding: Finding) -> Changed:
    X = case.taken.X
    spread = X.std(axis=0)
    made = (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return Changed(
        "inputs scaled, fresh weights", _cloned(case, X=made), _fresh(case, case.network, X=made), case.method
    )


def _cut_inputs(case: Case, finding: Finding) -> Changed:
    made = standardised(case.taken.X)
    return Changed(
        "columns scaled and cut off, fresh weights", _cloned(case, X=made), _fresh(case, case.network, X=made),
        case.method,
    )  # fmt: skip


def _other_targets(case: Case, finding: Finding) -> Changed:
    if case.network.activations[-1].name != "identity":
        network = Network(case.network.sizes, [*case.network.activations[:-1], "identity"])
        return Changed(
            "identity outputs, fresh weights", _cloned(case, network=network), _fresh(case, network), case.method
        )
    T = case.taken.T
    mean, spread = T.mean(axis=0), np.where(T.std(axis=0) > 0, T.std(axis=0), 1.0)

    def in_units(w: Floats) -> Floats:
        w = w.copy()
        *_, (W, b) = case.network.layers(w)
        W *= spread[:, None]
        b[:] = b * spread + mean
        return w

    clone = _cloned(case, T=(T - mean) / spread)
    return Changed("targets scaled, fresh weights", clone, _fresh(case, case.network), case.method, in_units)


def _told_apart(case: Case, finding: Finding) -> Changed:
    X = np.column_stack([case.taken.X, data.tell_apart(case)])
    network = Network((X.shape[1], *case.network.sizes[1:]), case.network.activations)
    words = "a column that tells the rows apart, made from the targets as the best column would, fresh weights"
    return Changed(words, _cloned(case, X=X, network=network), _fresh(case, network, X=X), case.method)


def _fresh_weights(case: Case, finding: Finding) -> Changed:
    return Changed("fresh weights", case.objective, _fresh(case, case.network), case.method)


def _revived(case: Case, finding: Finding) -> Changed:
    w, fresh = case.w.copy(), _fresh(case, case.network)
    for neuron in case.health.neurons:
        if neuron.dead:
            (W, b), (V, c) = (list(case.network.layers(part))[neuron.layer] for part in (w, fresh))
            W[neuron.neuron], b[neuron.neuron] = V[neuron.neuron], c[neuron.neuron]
    return Changed("weights of the dead neurons drawn anew", case.objective, w, case.method, fresh=False)


def _unsaturated(case: Case, finding: Finding) -> Changed:
    output = case.network.activations[-1]
    is_output = finding.evidence[0].threshold == units.BLOCKED_OUTPUTS
    loss = {"logistic": "binary_cross_entropy", "softmax": "cross_entropy"}.get(output.name)
    T = case.taken.T
    if is_output and loss is not None and T.min() >= 0 and T.max() <= 1 and not output.couples:
        clone = _cloned(case, loss=losses.get(loss))
        return Changed(f"trained on {loss}, from here", clone, case.w, case.method, lambda w: w, fresh=False)
    return _fresh_weights(case, finding)


def _clearer(case: Case, finding: Finding) -> Changed:
    network = Network(case.network.sizes, ["tanh"] * (case.network.depth - 1) + [case.network.activations[-1]])
    w = network.initial_weights(SEED, "glorot")
    return Changed("tanh and fresh weights of its scale", _cloned(case, network=network), w, case.method)


def _shorter(case: Case, finding: Finding) -> Changed:
    rates = [with_rate(case.method, factor) for factor in steps.SHORTER]
    w = _fresh(case, case.network)
    method = min(rates, key=lambda rate: descend(case.objective, w, PASSES / 2, rate))
    return Changed(f"fresh weights, learning rate {rate_of(method):.4g}", case.objective, w, method)


def _longer(case: Case, finding: Finding) -> Changed:
    rates = [with_rate(case.method, factor) for factor in steps.LONGER]
    method = min(rates, key=lambda rate: case.trained(rate, PASSES / 2))
    return Changed(f"learning rate {rate_of(method):.4g}", case.objective, case.w, method, fresh=False)


def _freed(case: Case, finding: Finding) -> Changed:
    l2 = case.best_penalty * case.objective.l2
    return Changed(f"l2 = {l2:g}, fresh weights", _cloned(case, l2=l2), _fresh(case, case.network), case.method)


def _out(case: Case, finding: Finding) -> Changed:
    return Changed(
        "a walk along the way out, then conjugate gradients", case.objective, case.way_out.w, None, fresh=False
    )


def _restarted(case: Case, finding: Finding) -> Changed:
    return replace(_fresh_weights(case, finding), words=f"the best of {RESTARTS} fresh starts", method=None)


def _faster(case: Case, finding: Finding) -> Changed:
    return Changed("conjugate gradients from here", case.objective, case.w, None, fresh=False)


def _tamed(case: Case, finding: Finding) -> Changed:
    made = standardised(case.taken.X)
    objective, w = _cloned(case, X=made), _fresh(case, case.network, X=made)
    for factor in TAMER:
        method = with_rate(case.method, factor)
        if method is not None and isfinite(descend(objective, w, PASSES, method)):
            return Changed(f"inputs scaled, learning rate {rate_of(method):.4g}, fresh weights", objective, w, method)
    return Changed("inputs scaled, conjugate gradients, fresh weights", objective, w, None)


REMEDIES: dict[str, Callable[[Case, Finding], Changed]] = {
    "non_finite": _tamed, "input_scale": _scaled_inputs, "input_offset": _scaled_inputs, "input_outlier": _cut_inputs,
    "target_range": _other_targets, "opposing_rows": _told_apart, "symmetric_units": _fresh_weights,
    "dead_units": _revived, "saturation": _unsaturated, "plateau": _clearer, "rate_large": _shorter,
    "rate_small": _longer, "penalty": _freed, "saddle": _out, "poor_minimum": _restarted, "unfinished": _faster,
}  # fmt: skip
"""What tests the advice of each kind."""
