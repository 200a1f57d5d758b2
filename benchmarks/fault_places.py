"""Places where training stands still, plateaus, saddles and poor minima, and runs that ended too early."""

import numpy as np
from fault_problems import LEAST, Patient, Problem, harms, mean_loss, problem, run, some_method, start

import deltarule as dr
from deltarule.explain import health_rows
from deltarule.explain.diagnosis import curvature
from deltarule.methods import ConjugateGradient, GradientDescent, LevenbergMarquardt, Online
from deltarule.stopping import MaxSteps

MOVED = 0.97
"""Share of the loss after a third of a run that is left at its end, at least, on a plateau."""


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
    is_poor = mean_loss(o, result.w) > LEAST * health_rows.baseline(o)
    return Patient(o, result, LevenbergMarquardt(projection=False)) if at_rest and is_poor and lower >= 0.5 else None


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
