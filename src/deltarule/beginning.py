"""A last layer to begin with, where it can be solved for: ridge regression around the one given.

With M and `left` as in `deltarule.projection`, and C the layer given, its weights made so small that no output varies
more than its targets,

    (M + l2 + ridge) (B − C) = left(C) − l2 C

so that the weights of neurons that do nearly the same stay small, and starts from different seeds differ even where all
hidden layers do the same, as with one input. How strong the ridge is, generalised cross-validation says (Golub, Heath
and Wahba 1979): next to nothing for a function without noise, much where few rows would fit anything. Both take the
eigenvalues of M without what the bias explains; the kernels reduce it to a tridiagonal matrix instead, which is enough
(Eldén 1984). The objective is never higher for it, but for rounding.
"""

from math import isfinite, sqrt
from typing import Any, NamedTuple

from array_api_compat import device

from deltarule import cholesky
from deltarule.projection import Projected
from deltarule.special import Array
from deltarule.vectors import namespace

COST = 1.4
"""What a degree of freedom counts for: with few rows a score where it counts 1 often takes hardly any ridge (Kim and
Gu 2004)."""
NONE_FREE = 1e-30
"""In place of what is left of the rows where a score takes more than all."""
SHARES = tuple(10.0 ** (power / 2) for power in range(-6, 2))
"""Ridges that are compared, as shares of M's mean diagonal. With smaller ones searches are no shorter, and rounding
tells more."""
WORTH = 50
"""It may take as long as so many passes over the rows; of wide layers it would take longer."""


class Modes(NamedTuple):
    """M (k, k), and without what the bias explains its eigenvalues and eigenvectors; the means that the bias sees."""

    M: Array
    mean: Array
    curvatures: Array
    vectors: Array

    def along(self, R: Array) -> Array:
        """Return R (n_out, k) along the eigenvectors, (n_out, k − 1)."""
        return (R[:, :-1] - R[:, -1:] * self.mean) @ self.vectors

    def solved(self, R: Array, added: float) -> Array:
        """Return X with X (M + added, but for the bias) = R, both (n_out, k)."""
        xp, W = namespace(R), (self.along(R) / (self.curvatures + added)) @ self.vectors.T
        return xp.concat([W, (R[:, -1:] - W @ self.M[:-1, -1:]) / self.M[-1, -1]], axis=1)


def is_worth(objective: Any) -> bool:
    """Return whether it takes no longer than `WORTH` passes, roughly counted in multiplications."""
    *_, width, _ = objective.network.sizes
    own = 2 * objective.n_rows * width**2 + 20 * width**3
    return bool(own <= WORTH * 6 * objective.n_rows * objective.n_weights)


def begun(objective: Any, w: Array, n_rows: float) -> Array:
    """Return w with another last layer, or w itself where none lowers the objective.

    Rows go forward once, or twice where they are not kept.

    Parameters
    ----------
    objective : Objective
        One whose last layer can be solved for.
    w : array of shape (p,)
        The weights given.
    n_rows : float
        How many rows there are, as far as noise is concerned: of one that weighs 2 there are two.
    """
    compiled = getattr(objective.engine, "begun", None)
    if compiled is not None:
        found, lower = compiled(w, objective.rows, objective.l2, n_rows, COST, SHARES)
        return found if lower else w
    with cholesky.one_thread():
        return _of_arrays(objective, w, n_rows)


def _of_arrays(objective: Any, w: Array, n_rows: float) -> Array:
    solver = Projected(objective)
    M, given = solver.products(w), solver.matrix(w)
    size = float(M.diagonal()[:-1].sum()) / (M.shape[0] - 1)
    if not (size > 0 and isfinite(size * size)):  # nothing comes out of the hidden neurons, or too much
        return w
    xp, mean = namespace(M), M[-1, :-1] / M[-1, -1]
    curvatures, vectors = xp.linalg.eigh(M[:-1, :-1] - M[:-1, -1:] * mean)
    modes = Modes(M, mean, xp.maximum(curvatures, 0 * curvatures), vectors)
    means, variances = _moments(objective.rows.T, objective.rows.s)
    centre = _scaled_to_targets(given, modes, means, variances)
    left, l2, not_bias = solver.left(w, centre), objective.l2, solver.not_bias
    ridge = _best_share(modes, left, centre, sum(variances), l2, size, n_rows) * size
    change = modes.solved(left - l2 * not_bias * centre, l2 + ridge)
    B = centre + change
    # of a quadratic, the mean of both slopes times the way is how much it falls
    slopes = 2 * left - (change + given - centre) @ M - l2 * not_bias * (given + B)
    return solver.with_last(w, B) if float((slopes * (B - given)).sum()) > 0 else w


def _scaled_to_targets(B: Array, modes: Modes, means: list[float], variances: list[float]) -> Array:
    """Return B with the weights of outputs that vary more than their targets made so small that they vary as much.

    Its biases are such that the means agree: what is left is then exact for targets far from 0.
    """
    made, along = 0 * B + B, B[:, :-1] @ modes.vectors
    there = (along * along) @ modes.curvatures
    for j, (mean, varies) in enumerate(zip(means, variances, strict=True)):
        if float(there[j]) > varies:
            made[j, :-1] *= sqrt(varies / float(there[j]))
        made[j, -1] = mean - float(made[j, :-1] @ modes.mean)
    return made


def _moments(T: Array, s: Array | None) -> tuple[list[float], list[float]]:
    """Return the weighted mean and variance of each column, one after the other: no copy of T is made."""
    means, variances = [], []
    for j in range(T.shape[1]):
        t = T[:, j]
        weight = t.shape[0] if s is None else float(s.sum())
        means.append((float(t.sum()) if s is None else float(s @ t)) / weight)
        away = t - means[j]
        variances.append((float(away @ away) if s is None else float(s @ (away * away))) / weight)
    return means, variances


def _best_share(modes: Modes, left: Array, centre: Array, squares: float, l2: float, size: float, n: float) -> float:
    """Return the share with the smallest mean square over (1 − 1.4 · degrees of freedom / n)²."""
    curvatures, z = modes.curvatures, modes.along(left)
    weights = centre[:, :-1] @ modes.vectors
    asked = z - l2 * weights
    wanted, lengths = (asked * z).sum(axis=0), (asked * asked).sum(axis=0)
    rest = squares - float((weights * (2 * z + curvatures * weights)).sum())
    xp = namespace(z)
    ridges = xp.asarray([[l2 + share * size] for share in SHARES], dtype=z.dtype, device=device(z))
    shrunk = 1 / (curvatures + ridges)
    fitted = shrunk * curvatures  # a share of each direction, at most 1
    lost = (rest - (shrunk * (2 * wanted - fitted * lengths)).sum(axis=1)).tolist()
    free = [1 - COST * (1 + degrees) / n for degrees in fitted.sum(axis=1).tolist()]
    scores = [max(a, 0.0) / max(b, NONE_FREE) ** 2 for a, b in zip(lost, free, strict=True)]
    best = min(scores)
    return float(SHARES[scores.index(best)] if free[-1] > 0 and isfinite(best) else SHARES[-1])
