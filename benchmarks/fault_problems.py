"""Problems that a small network can learn, sound ways to train it, and what harm is; `faults` spoils them."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

import deltarule as dr
from deltarule.explain import health_rows
from deltarule.methods import ConjugateGradient, GradientDescent, Online
from deltarule.stopping import MaxPasses, MaxSteps

HARM, LEAST = 1.5, 0.1
"""A fault loses so many times what the sound problem does, and this share of what a constant does, at least."""
STARTS = 4
"""Fresh starts that are compared with."""


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


def some_method(rng):
    """Draw a sound way to train, and how many steps of it."""
    ways = [
        (Online(0.02, seed=1), 60), (ConjugateGradient(), 60), (GradientDescent(0.1), 150),
        (dr.methods.get("adam", learning_rate=0.01, batch_size=16), 60), (dr.methods.get("rprop"), 60),
    ]  # fmt: skip
    return ways[int(rng.integers(len(ways)))]
