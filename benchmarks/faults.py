"""Networks with a fault put in on purpose, and healthy ones: what benchmarks/diagnosis.py diagnoses.

Whether a fault has been put in follows from how it was made, never from the classifier. A fault that does no harm is
none: what was made is drawn again until it loses at least a tenth of what a constant loses and half as much again as
the same problem without the fault. Nor is one that did not take effect: steps too long or too short are those that a
tenth or a thousand times their length serves better, on a plateau the loss of a run has hardly moved, and outputs at
the wrong end are still there when the run ends. A healthy network loses little more than the best of several fresh
starts of a strong method.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from fault_places import plateau_logistic, plateau_small, poor_minimum, saddle, unfinished
from fault_problems import Patient, best_of, harms, mean_loss, problem, run, some_method, start

import deltarule as dr
from deltarule.explain import health_rows
from deltarule.explain.diagnosis.case import with_rate
from deltarule.methods import ConjugateGradient, GradientDescent, LevenbergMarquardt, Online
from deltarule.stopping import Reason

HELPS = 0.7
"""Share of the loss that another learning rate leaves at most, from the same start, where the given one is at fault."""
WRONG_END = 0.9
"""Share of the outputs' range between output and target at the wrong end."""
NEAR_BEST = 1.5
"""A healthy network loses at most so many times what the best of some fresh starts does."""
TRIES = 60


def non_finite(rng):
    """Steps a thousand times too long, on neurons without an upper limit."""
    p = problem(rng, "regression", str(rng.choice(["relu", "leaky_relu", "softplus"])))
    o = p.objective()
    method = Online(10 ** rng.uniform(0.5, 2)) if rng.random() < 0.5 else GradientDescent(10 ** rng.uniform(1, 3))
    result = run(o, start(o, rng.integers(99)), method, 200)
    return Patient(o, result, method) if result.reason is Reason.NON_FINITE else None


def _on(rng, p, **changes):
    """Train on a problem with something changed, in a sound way otherwise."""
    o = p.objective(**changes)
    method, steps = some_method(rng)
    result = run(o, start(o, rng.integers(99)), method, steps)
    patient = Patient(o, result, method)
    if result.reason is Reason.NON_FINITE:
        return None
    return patient if harms(patient, p.objective()) else None


def input_scale(rng):
    """One column or all of them far wider, or the telling ones far narrower."""
    p = problem(rng)
    X, d = p.X.copy(), p.X.shape[1]
    which = slice(None) if rng.random() < 0.4 else int(rng.integers(d))
    X[:, which] *= 10 ** (rng.uniform(1.4, 3) if rng.random() < 0.6 else -rng.uniform(2.2, 3.5))
    return _on(rng, p, X=X)


def input_offset(rng):
    """Columns whose mean lies far from 0."""
    p = problem(rng)
    X = p.X.copy()
    which = slice(None) if rng.random() < 0.5 else int(rng.integers(p.X.shape[1]))
    X[:, which] += rng.choice([-1, 1]) * rng.uniform(10, 200)
    return _on(rng, p, X=X)


def input_outlier(rng):
    """One or two cells hundreds of deviations out."""
    p = problem(rng)
    X = p.X.copy()
    for _ in range(int(rng.integers(1, 3))):
        X[rng.integers(len(X)), rng.integers(X.shape[1])] = rng.choice([-1, 1]) * 10 ** rng.uniform(2, 3.5)
    return _on(rng, p, X=X)


def target_range(rng):
    """Targets that squashing outputs cannot reach, or far from where identity outputs begin."""
    p = problem(rng, "regression")
    if rng.random() < 0.6:
        output = str(rng.choice(["logistic", "tanh"]))
        T = p.T * rng.uniform(2, 6) + rng.uniform(-3, 3)
        return _on(rng, p, T=T, activations=(p.activations[0], output))
    return _on(rng, p, T=p.T * 10 ** rng.uniform(1.6, 3) + rng.uniform(-500, 500))


def symmetric_units(rng):
    """All weights begin alike."""
    p = problem(rng)
    o = p.objective()
    method, steps = some_method(rng)
    w = np.full(o.n_weights, float(rng.choice([0.0, 0.1, 0.5, 1.0])))
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if harms(patient, o) else None


def dead_units(rng):
    """Most hidden neurons begin where a relu is flat on every row."""
    p = problem(rng, activation="relu")
    o = p.objective()
    method, steps = some_method(rng)
    w = start(o, rng.integers(99))
    (W, b), *_ = o.network.layers(w)
    count = int(np.ceil(rng.uniform(0.5, 1.0) * len(b)))
    b[:count] = -np.abs(p.X @ W[:count].T).max(axis=0) - rng.uniform(0.5, 5)
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if harms(patient, o) else None


def saturated_hidden(rng):
    """Hidden weights begin far too large."""
    p = problem(rng, activation=str(rng.choice(["tanh", "logistic"])))
    o = p.objective()
    method, steps = some_method(rng)
    w = start(o, rng.integers(99))
    (W, b), *_ = o.network.layers(w)
    W *= 10 ** rng.uniform(1.3, 2.3)
    b *= 10 ** rng.uniform(1, 2)
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if harms(patient, o) else None


def saturated_output(rng):
    """Squashing outputs with squared error begin at the wrong end."""
    p = problem(rng, "binary")
    output = str(rng.choice(["logistic", "tanh"]))
    T = p.T if output == "logistic" else 2 * p.T - 1
    p = replace(p, T=T, activations=(p.activations[0], output), loss="squared_error")
    o = p.objective()
    method, steps = some_method(rng)
    w = start(o, rng.integers(99))
    *_, (_, b) = o.network.layers(w)
    b[:] = rng.choice([-1, 1]) * rng.uniform(8, 15)
    patient = Patient(o, run(o, w, method, steps), method)
    off = np.abs(dr.predict(o.network, patient.w.w, p.X) - p.T)
    wrong_end = off > WRONG_END * (1 if output == "logistic" else 2)
    stays = wrong_end.mean() > 0.05 and (off[wrong_end] ** 2).sum() > 0.5 * (off**2).sum()
    return patient if stays and harms(patient, o) else None


def rate_small(rng):
    """Steps a thousand times too short."""
    p = problem(rng)
    o = p.objective()
    rate = 10 ** rng.uniform(-6.5, -4.5)
    ways = [Online(rate), GradientDescent(100 * rate), dr.methods.get("adam", learning_rate=rate, batch_size=16)]
    method = ways[int(rng.integers(3))]
    w, steps = start(o, rng.integers(99)), int(rng.integers(30, 100))
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if harms(patient, o) and other_rate_helps(patient, w, steps, (1e2, 1e3, 1e4)) else None


def other_rate_helps(patient, w, steps, factors):
    """Return whether the same run with another learning rate ends far lower."""
    o, ends = patient.objective, []
    for factor in factors:
        result = run(o, w, with_rate(patient.method, factor), steps)
        if result.reason is not Reason.NON_FINITE:
            ends.append(mean_loss(o, result.w))
    return bool(ends) and min(ends) <= HELPS * mean_loss(o, patient.w.w)


def rate_large(rng):
    """Steps that overshoot, without leading to infinity."""
    p = problem(rng)
    o = p.objective()
    ways = [
        Online(10 ** rng.uniform(-0.3, 0.7)), GradientDescent(10 ** rng.uniform(0.5, 1.5)),
        dr.methods.get("adam", learning_rate=10 ** rng.uniform(-0.3, 0.7), batch_size=16),
    ]  # fmt: skip
    method = ways[int(rng.integers(3))]
    w, steps = start(o, rng.integers(99)), int(rng.integers(30, 100))
    patient = Patient(o, run(o, w, method, steps), method)
    if patient.w.reason is Reason.NON_FINITE or not harms(patient, o):
        return None
    return patient if other_rate_helps(patient, w, steps, (0.1, 0.01)) else None


def penalty(rng):
    """A penalty that holds all weights near 0."""
    return _on(rng, problem(rng), l2=10 ** rng.uniform(-0.3, 1))


def opposing_rows(rng):
    """Most rows stand in the table twice, with another target."""
    p = problem(rng)
    n = len(p.X)
    again = rng.permutation(n)[: int(rng.uniform(0.7, 1.0) * n)]
    other = -p.T[again] if p.loss == "squared_error" else 1 - p.T[again]
    if p.loss == "cross_entropy":
        other = np.roll(p.T[again], 1, axis=1)
    return _on(rng, p, X=np.vstack([p.X, p.X[again]]), T=np.vstack([p.T, other]))


def healthy(rng):
    """A network trained as one should: by any method, to the end, and as good as fresh starts of a strong method."""
    p = problem(rng)
    o = p.objective(l2=float(rng.choice([0.0, 1e-5, 1e-4, 1e-3])))
    ways = [
        (ConjugateGradient(), 250), (dr.methods.get("lbfgs"), 250), (dr.methods.get("rprop"), 400),
        (dr.methods.get("scg"), 250), (Online(0.02), 400),
        (dr.methods.get("adam", learning_rate=0.01, batch_size=16), 300),
        (dr.methods.get("traingdx"), 1500), (Online(dr.methods.schedules.InverseScaling(0.1)), 300),
        (GradientDescent(0.3, momentum=0.9), 2000),
    ]  # fmt: skip
    if p.loss == "squared_error":
        ways.append((LevenbergMarquardt(), 60))
    method, steps = ways[int(rng.integers(len(ways)))]
    result = run(o, start(o, rng.integers(99)), method, steps)
    loss, constant = mean_loss(o, result.w), health_rows.baseline(o)
    return Patient(o, result, method) if loss <= max(NEAR_BEST * best_of(o), 0.05 * constant) else None


class Kind(NamedTuple):
    """A fault: how it is made, what a diagnosis has to call it, and what else is a right thing to say of it."""

    make: Callable[[np.random.Generator], Patient | None]
    name: str
    also: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "steps to infinity": Kind(non_finite, "non_finite", ("rate_large",)),
    "column of another scale": Kind(input_scale, "input_scale"),
    "column far from 0": Kind(input_offset, "input_offset", ("input_scale",)),
    "wild cells": Kind(input_outlier, "input_outlier"),
    "targets out of reach": Kind(target_range, "target_range"),
    "all weights alike": Kind(symmetric_units, "symmetric_units"),
    "dead relus": Kind(dead_units, "dead_units"),
    "hidden weights too large": Kind(saturated_hidden, "saturation"),
    "outputs at the wrong end": Kind(saturated_output, "saturation"),
    "steps too short": Kind(rate_small, "rate_small"),
    "steps too long": Kind(rate_large, "rate_large"),
    "penalty too strong": Kind(penalty, "penalty"),
    "rows that contradict": Kind(opposing_rows, "opposing_rows"),
    "many logistic layers": Kind(plateau_logistic, "plateau"),
    "many layers of tiny weights": Kind(plateau_small, "plateau"),
    "saddle": Kind(saddle, "saddle"),
    "poor minimum": Kind(poor_minimum, "poor_minimum"),
    "ended too early": Kind(unfinished, "unfinished"),
}
"""The faults. `also` is said of what has the same cause: too long a step leads to infinity, and a column far from 0 may
be wide as well."""


def draw(make, seed):
    """Return the first patient that is what it should be, from seeds of its own."""
    for attempt in range(TRIES):
        with np.errstate(all="ignore"):
            found = make(np.random.default_rng([seed, attempt]))
        if found is not None:
            return found
    return None
