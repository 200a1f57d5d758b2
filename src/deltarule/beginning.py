"""A last layer to begin with, where it can be solved for: ridge regression around the one given.

With M and `left` as in `deltarule.projection`, and C the layer given, its weights made so small that no output varies
more than its targets,

    (M + l2 + ridge) (B − C) = left(C) − l2 C

so that the weights of neurons that do nearly the same stay small, and starts from different seeds differ even where all
hidden layers do the same, as with one input. How strong the ridge is, generalised cross-validation says (Golub, Heath
and Wahba 1979): next to nothing for a function without noise, much where few rows would fit anything. The objective is
never higher for it, but for rounding.
"""

from math import isfinite, sqrt
from typing import Any

import numpy as np

from deltarule import cholesky
from deltarule.projection import Projected
from deltarule.special import Array

COST = 1.4
"""What a degree of freedom counts for: with few rows a score where it counts 1 often takes hardly any ridge (Kim and
Gu 2004)."""
NONE_FREE = 1e-100
"""In place of what is left of the rows where a score takes more than all."""
SHARES = 10.0 ** np.arange(-4.0, 1.0, 0.5)
"""Ridges that are compared, as shares of M's mean diagonal."""


def begun(objective: Any, w: Array, n_rows: float) -> tuple[Array, float]:
    """Return w with another last layer, or w itself where none lowers the objective; and the passes that took.

    Parameters
    ----------
    objective : Objective
        One whose last layer can be solved for.
    w : array of shape (p,)
        The weights given.
    n_rows : float
        How many rows there are, as far as noise is concerned: of one that weighs 2 there are two.
    """
    solver = Projected(objective)
    M, given = solver.products(w), solver.matrix(w)
    size = float(M.diagonal()[:-1].sum()) / (M.shape[0] - 1)
    if not (size > 0 and isfinite(size * size)):  # nothing comes out of the hidden neurons, or too much
        return w, 1.0
    before = solver.left(w, given)
    centre = _scaled_to_targets(given, M, objective)
    at_centre, there = solver.left(w, centre), solver.with_last(w, centre)
    squares = 2 * (objective.value(there) - objective.penalty(there))
    l2, bias_free = objective.l2, solver.not_bias
    share = _best_share(M, at_centre, centre, squares, l2, n_rows)
    ridge = share * size * bias_free
    L = cholesky.raised_factor(M, l2 * bias_free + ridge)
    B = centre + cholesky.solve(L, (at_centre - l2 * bias_free * centre).T).T
    left = solver.left(w, B)
    change = cholesky.solve(L, (left - l2 * bias_free * B - ridge * (B - centre)).T).T  # what rounding has left
    B, after = B + change, left - change @ M
    # of a quadratic, the mean of both slopes times the way is how much it falls
    gain = (before + after - l2 * bias_free * (given + B)) * (B - given)
    return (solver.with_last(w, B) if float(gain.sum()) > 0 else w), 2.0


def _scaled_to_targets(B: Array, M: Array, objective: Any) -> Array:
    """Return B with the weights of outputs that vary more than their targets made so small that they vary as much."""
    _, T, s = objective.rows
    weight = s if s is not None else 1 + 0 * T[:, 0]
    away = T - (weight @ T) / weight.sum()
    varies = weight @ (away * away) / T.shape[0]
    made = 0 * B + B
    for j in range(B.shape[0]):
        W = B[j, :-1]
        there = float(W @ (M[:-1, :-1] @ W)) - float(W @ M[-1, :-1]) ** 2 / float(M[-1, -1])
        if there > float(varies[j]):
            made[j, :-1] = sqrt(float(varies[j]) / there) * W
    return made


def _best_share(M: Array, left: Array, centre: Array, squares: float, l2: float, n: float) -> float:
    """Return the share with the smallest mean square over (1 − 1.4 · degrees of freedom / n)²."""
    M, left, W = (np.asarray(A, dtype=float) for A in (M, left, centre[:, :-1]))
    mean = M[-1, :-1] / M[-1, -1]
    curvatures, Q = np.linalg.eigh(M[:-1, :-1] - M[:-1, -1:] * mean)
    curvatures = np.maximum(curvatures, 0.0)
    of_bias = left[:, -1]
    rest = squares - float(of_bias @ of_bias) / M[-1, -1]
    z = (left[:, :-1] - of_bias[:, None] * mean) @ Q
    asked = z - l2 * (W @ Q) if l2 else z
    shrunk = 1 / (curvatures + l2 + SHARES[:, None] * (M.diagonal()[:-1].sum() / len(mean)))
    fitted = shrunk * curvatures  # a share of each direction, at most 1
    gained = 2 * (shrunk @ (asked * z).sum(axis=0)) - (shrunk * fitted) @ (asked * asked).sum(axis=0)
    free = 1 - COST * (1 + fitted.sum(axis=1)) / n
    scores = np.maximum(rest - gained, 0.0) / np.maximum(free, NONE_FREE) ** 2
    return float(SHARES[np.argmin(scores)]) if free[-1] > 0 and isfinite(scores.min()) else float(SHARES[-1])
