"""Why f must not be a straight line: with identity activations, layers are one matrix, however many there are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.lesson import Lesson
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.stopping import MaxSteps, MinGrad
from deltarule.train import train

Floats = NDArray[np.float64]

STEPS = 300


class Collapse(NamedTuple):
    """A network of identity layers beside one matrix, and what that costs on this table.

    `largest_difference` is between what the layers and the one matrix put out, over all rows, and `rounding` what sums
    of so many products may differ by. Losses are mean squared errors over 2: of the best straight line, of the identity
    layers after training by conjugate gradients, of the same layers with an activation; mistakes as in `Lesson`.
    """

    sizes: tuple[int, ...]
    largest_difference: float
    rounding: float
    line_loss: float
    layers_loss: float
    bent_loss: float
    line_mistakes: float
    bent_mistakes: float
    baseline: float


def one_matrix(network: Network, w: Floats) -> tuple[Floats, Floats]:
    """Return the W (n_out, n_in) and b (n_out,) that identity layers come to: W₂ W₁, and W₂ b₁ + b₂, and so on."""
    whole, shift = np.eye(network.n_in), np.zeros(network.n_in)
    for W, b in network.layers(w):
        whole, shift = W @ whole, W @ shift + b
    return whole, shift


def measured(lesson: Lesson, bent_loss: float, bent_mistakes: float, seed: int) -> Collapse:
    """Return the comparison; `bent_…` are those of the best network with an activation."""
    deep = (*lesson.hidden, *lesson.hidden)
    network = Network((lesson.X.shape[1], *deep, lesson.T.shape[1]), ["identity"] * (len(deep) + 1))
    objective = Objective(network, lesson.loss, lesson.X, lesson.T)
    start = network.initial_weights(seed)
    trained = train(objective, start, "conjugate_gradient", [MaxSteps(STEPS), MinGrad()])
    W, b = one_matrix(network, trained.w)
    layered, direct = objective.engine.predict(trained.w, objective.rows.X), lesson.X @ W.T + b
    size = np.abs(lesson.X)
    for part, shift in network.layers(trained.w):
        size = size @ np.abs(part).T + np.abs(shift)
    line = _best_line(lesson)
    return Collapse(
        network.sizes, float(np.abs(layered - direct).max()),
        float(2 * sum(network.sizes) * np.finfo(float).eps * size.max()),
        float(0.5 * ((line - lesson.T) ** 2).sum(axis=1).mean()), float(trained.loss), bent_loss,
        float(lesson.mistakes(line[None])[0]), bent_mistakes, lesson.baseline,
    )  # fmt: skip


def _best_line(lesson: Lesson) -> Floats:
    """Return what the best straight line puts out, by least squares."""
    A = np.column_stack([lesson.X, np.ones(len(lesson.X))])
    return np.asarray(A @ np.linalg.lstsq(A, lesson.T, rcond=None)[0])
