"""Networks with a fault put in on purpose, and healthy ones: what benchmarks/diagnosis.py diagnoses.

Whether a fault has been put in follows from how it was made, never from the classifier. A fault that does no harm is
none: what was made is drawn again until it loses at least a tenth of what a constant loses and half as much again as
the same problem without the fault. Nor is one that did not take effect: steps too long or too short are those that a
tenth or a thousand times their length serves better, on a plateau the loss of a run has hardly moved, and outputs at
the wrong end are still there when the run ends. A healthy network loses little more than the best of several fresh
starts of a strong method.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import deltarule as dr
from deltarule.explain import health_rows
from deltarule.explain.diagnosis import curvature
from deltarule.explain.diagnosis.case import with_rate
from deltarule.methods import ConjugateGradient, GradientDescent, LevenbergMarquardt, Online
from deltarule.stopping import MaxPasses, MaxSteps, Reason

HARM, LEAST = 1.5, 0.1
"""A fault loses so many times what the sound problem does, and this share of what a constant does, at least."""
HELPS = 0.7
"""Share of the loss that another learning rate leaves at most, from the same start, where the given one is at fault."""
MOVED = 0.97
"""Share of the loss after a third of a run that is left at its end, at least, on a plateau."""
WRONG_END = 0.9
"""Share of the outputs' range between output and target at the wrong end."""
NEAR_BEST = 1.5
"""A healthy network loses at most so many times what the best of `STARTS` fresh starts does."""
STARTS = 4
TRIES = 60


class Patient(NamedTuple):
    """What is diagnosed: the objective, weights or the result of a run, and the method."""

    objective: dr.Objective
    w: Any
    method: Any


@dataclass(frozen=True)
class Problem:
    """A table of numbers and a network that can learn it."""

    X: np.ndarray
    T: np.ndarray
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    l2: float = 0.0

    def objective(self, **changes):
        """Return the objective of this problem with some parts replaced."""
        p = replace(self, **changes)
        return dr.Objective(dr.Network(p.sizes, p.activations), p.loss, p.X, p.T, l2=p.l2)


def teacher(rng, X):
    """Return a smooth random function of the columns, mean 0 and deviation 1."""
    V, c = rng.normal(size=(4, X.shape[1])), rng.normal(size=4)
    y = np.tanh(1.5 * X @ V.T / np.sqrt(X.shape[1]) + c) @ rng.normal(size=4)
    y = y + 0.5 * X[:, 0] * X[:, 1]
    return (y - y.mean()) / y.std()


def problem(rng, task=None, activation=None):
    """Draw a problem: regression or classes, 80 to 200 rows, 2 to 5 columns, one hidden layer."""
    n, d, hidden = int(rng.integers(80, 201)), int(rng.integers(2, 6)), int(rng.integers(4, 9))
    X = rng.normal(size=(n, d)) if rng.random() < 0.5 else rng.uniform(-1.7, 1.7, (n, d))
    y = teacher(rng, X)
    task = task or rng.choice(["regression", "binary", "classes"], p=[0.5, 0.3, 0.2])
    activation = activation or str(rng.choice(["tanh", "logistic", "relu", "softsign"]))
    noise = rng.uniform(0.05, 0.3)
    if task == "regression":
        T = (y + noise * rng.normal(size=n))[:, None]
        return Problem(X, T, (d, hidden, 1), (activation, "identity"), "squared_error")
    y = y + noise * rng.normal(size=n)
    if task == "binary":
        return Problem(
            X, (y > 0).astype(float)[:, None], (d, hidden, 1), (activation, "logistic"), "binary_cross_entropy"
        )
    T = np.eye(3)[np.digitize(y, [-0.5, 0.5])]
    return Problem(X, T, (d, hidden, 3), (activation, "softmax"), "cross_entropy")


def mean_loss(objective, w):
    """Return the loss without the penalty."""
    with np.errstate(all="ignore"):
        return float(objective.value(w)) - objective.penalty(np.asarray(w))


def start(objective, seed=0):
    """Return fresh weights made for the inputs as they are."""
    return objective.network.initial_weights(int(seed))


def run(objective, w, method, steps):
    """Train, and return the result."""
    return dr.train(objective, w, method, [MaxSteps(steps)])


def best_of(objective, starts=STARTS, passes=300, first=1000):
    """Return the smallest loss that some fresh starts reach by conjugate gradients."""
    ends = []
    for seed in range(first, first + starts):
        result = dr.train(objective, start(objective, seed), ConjugateGradient(), [MaxPasses(passes)])
        ends.append(mean_loss(objective, result.w))
    return min(ends)


def harms(patient, sound):
    """Return whether a fault does harm, beside the sound problem's objective."""
    w = getattr(patient.w, "w", patient.w)
    loss = mean_loss(patient.objective, w)
    constant = health_rows.baseline(patient.objective)
    share, sound_share = loss / constant, best_of(sound, 2, 150) / health_rows.baseline(sound)
    return not np.isfinite(loss) or (share > LEAST and share > HARM * sound_share)


def some_method(rng, fast=False):
    """Draw a sound way to train, and how many steps of it."""
    ways = [
        (Online(0.02, seed=1), 60), (ConjugateGradient(), 60), (GradientDescent(0.1), 150),
        (dr.methods.get("adam", learning_rate=0.01, batch_size=16), 60), (dr.methods.get("rprop"), 60),
    ]  # fmt: skip
    return ways[int(rng.integers(len(ways)))]


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


def plateau_logistic(rng):
    """Many layers of logistic neurons, each of which lets a fraction of the error through."""
    p = problem(rng, activation="logistic")
    depth = int(rng.integers(4, 7))
    sizes = (p.sizes[0], *[p.sizes[1]] * depth, p.sizes[-1])
    o = p.objective(sizes=sizes, activations=("logistic",) * depth + p.activations[-1:])
    method, steps = some_method(rng)
    w = o.network.initial_weights(int(rng.integers(99)), "uniform")
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if stood_still(patient.w) and harms(patient, p.objective()) else None


def stood_still(result):
    """Return whether the loss hardly moved in the last two thirds of a run."""
    losses = [record.loss for record in result.history]
    return losses[-1] >= MOVED * losses[len(losses) // 3]


def plateau_small(rng):
    """Several layers of tanh with tiny weights, each of which makes the error smaller."""
    p = problem(rng, activation="tanh")
    depth = int(rng.integers(3, 5))
    sizes = (p.sizes[0], *[p.sizes[1]] * depth, p.sizes[-1])
    o = p.objective(sizes=sizes, activations=("tanh",) * depth + p.activations[-1:])
    method, steps = some_method(rng)
    w = rng.uniform(0.005, 0.05) * o.network.initial_weights(int(rng.integers(99)), "glorot")
    patient = Patient(o, run(o, w, method, steps), method)
    return patient if stood_still(patient.w) and harms(patient, p.objective()) else None


def hessian(objective, w):
    """Return the Hessian by differences of gradients, one weight at a time."""
    H = np.array([curvature.hessian_product(objective, w, e) for e in np.eye(len(w))])
    return 0.5 * (H + H.T)


def saddle(rng):
    """A place where the gradient vanishes and a direction is curved downwards, found by going for small gradients."""
    p = problem(rng, str(rng.choice(["regression", "binary"])), str(rng.choice(["tanh", "logistic", "softsign"])))
    o = p.objective(sizes=(p.sizes[0], 3, 1))
    w, mu = start(o, rng.integers(9999)), 1e-2
    g = o.value_grad(w)[1]
    for _ in range(150):
        H = hessian(o, w)
        d = np.linalg.solve(H @ H + mu * np.eye(len(w)), -H @ g)
        trial = o.value_grad(w + d)[1]
        if np.isfinite(trial).all() and trial @ trial < g @ g:
            w, g, mu = w + d, trial, max(mu / 3, 1e-14)
        else:
            mu *= 4
        if np.linalg.norm(g) < 1e-10:
            break
    values = np.linalg.eigvalsh(hessian(o, w))
    is_saddle = np.linalg.norm(g) < 1e-7 and values[0] < -1e-2 * values[-1] and np.abs(w).max() < 20
    patient = Patient(o, w, GradientDescent(0.1) if rng.random() < 0.5 else ConjugateGradient())
    return patient if is_saddle and harms(patient, o) else None


def poor_minimum(rng):
    """A minimum, by its curvatures, from which a half of the loss is less than what the best of ten starts ends at."""
    if rng.random() < 0.5:
        x = np.linspace(-1, 1, 60)[:, None]
        T = np.sin(rng.uniform(4, 8) * x + rng.uniform(0, 3)) + 0.05 * rng.normal(size=x.shape)
        p = Problem(x, T, (1, int(rng.integers(3, 5)), 1), ("tanh", "identity"), "squared_error")
    else:
        X = np.tile([[-1.0, -1], [-1, 1], [1, -1], [1, 1]], (15, 1)) + 0.05 * rng.normal(size=(60, 2))
        T = (X[:, :1] * X[:, 1:] < 0).astype(float)
        p = Problem(X, T, (2, 2, 1), (str(rng.choice(["tanh", "logistic"])), "logistic"), "squared_error")
    o = p.objective(l2=1e-4)
    result = dr.train(
        o,
        start(o, rng.integers(9999)),
        LevenbergMarquardt(projection=False),
        [MaxSteps(300), dr.stopping.MinGrad(1e-9)],
    )
    values = np.linalg.eigvalsh(hessian(o, result.w))
    at_rest = np.linalg.norm(o.value_grad(result.w)[1]) < 1e-6 and values[0] > -1e-6 * values[-1]
    ends = [
        dr.train(o, start(o, seed), LevenbergMarquardt(projection=False), [MaxSteps(150)]).loss
        for seed in range(1000, 1010)
    ]
    lower = np.mean(np.array(ends) < 0.5 * result.loss)
    return Patient(o, result, LevenbergMarquardt(projection=False)) if at_rest and lower >= 0.5 else None


def unfinished(rng):
    """A sound run that was ended after a few steps."""
    p = problem(rng)
    o = p.objective()
    ways = [
        (ConjugateGradient(), (3, 9)),
        (Online(0.02), (2, 5)),
        (GradientDescent(0.2), (5, 20)),
        (LevenbergMarquardt(), (2, 4)),
    ]
    method, (low, high) = ways[int(rng.integers(3 if p.loss != "squared_error" else 4))]
    patient = Patient(o, run(o, start(o, rng.integers(99)), method, int(rng.integers(low, high))), method)
    return patient if harms(patient, o) else None


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
