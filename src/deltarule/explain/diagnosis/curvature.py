"""Curvature without a matrix: products of the Hessian with vectors, its extreme eigenvalues, and a way out of a saddle.

H v is the central difference of two gradients, (∇φ(w + hv) − ∇φ(w − hv)) / 2h, whose error is of the order of ε^(2/3).
The extreme eigenvalues come from Lanczos's method with full orthogonalisation (Golub and Van Loan 2013, section 10.3);
for a few weights it runs to the end and is exact.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_PRODUCTS = 60
"""Steps of Lanczos's method at most."""
WALK = tuple(2.0**k for k in range(-12, 2))
"""How far one walks along a direction, times 1 + |w|."""


class Spectrum(NamedTuple):
    """The largest and the smallest eigenvalue of the Hessian, the direction of the smallest, and the error of both."""

    largest: float
    smallest: float
    direction: Floats
    error: float


class WayOut(NamedTuple):
    """The lowest place on a walk along a direction, both ways: how far, the weights, the objective there."""

    distance: float
    w: Floats
    value: float


def hessian_product(objective: Any, w: Floats, v: Floats) -> Floats:
    """Return H v, H being the Hessian of the objective at w."""
    length = float(np.linalg.norm(v))
    if length == 0:
        return np.zeros_like(v)
    h = np.cbrt(np.finfo(float).eps) * (1 + float(np.linalg.norm(w))) / length
    up, down = w + h * v, w - h * v
    with np.errstate(all="ignore"):
        return np.asarray((objective.value_grad(up)[1] - objective.value_grad(down)[1]) / (2 * h), dtype=float)


def spectrum(product: Callable[[Floats], Floats], p: int, most: int = MOST_PRODUCTS, seed: int = 0) -> Spectrum:
    """Return the extreme eigenvalues of a symmetric matrix of which products with vectors are known.

    Parameters
    ----------
    product : callable
        The matrix times a vector of shape (p,).
    p : int
        Its size.
    most : int
        Products at most.
    seed : int
        Seed of the first vector.

    Examples
    --------
    >>> found = spectrum(lambda v: np.array([3.0, -1.0, 0.5]) * v, 3)
    >>> round(found.largest, 9), round(found.smallest, 9)
    (3.0, -1.0)
    """
    first = np.random.default_rng(seed).normal(size=p)
    V, alphas, betas = [first / np.linalg.norm(first)], [], []
    for step in range(min(most, p)):
        u = product(V[-1])
        if not np.all(np.isfinite(u)):
            return Spectrum(float("nan"), float("nan"), np.zeros(p), float("inf"))
        alphas.append(float(u @ V[-1]))
        for _ in range(2):  # once is not enough (Parlett: "twice is")
            for v in V:
                u = u - (u @ v) * v
        beta = float(np.linalg.norm(u))
        if beta <= 1e-10 * max(map(abs, alphas)) or step == min(most, p) - 1:
            break
        betas.append(beta)
        V.append(u / beta)
    T = np.diag(alphas) + np.diag(betas, 1) + np.diag(betas, -1)
    values, vectors = np.linalg.eigh(T)
    direction = np.array(V).T @ vectors[:, 0]
    residual = float(np.linalg.norm(product(direction) - values[0] * direction))
    return Spectrum(float(values[-1]), float(values[0]), direction, residual)


def of_objective(objective: Any, w: Floats) -> Spectrum:
    """Return the extreme eigenvalues of the Hessian of an objective at w."""
    return spectrum(lambda v: hessian_product(objective, w, v), len(w))


def gauss_newton_along(objective: Any, w: Floats, direction: Floats) -> float:
    """Return the curvature d' G d / d' d that the Gauss-Newton matrix G sees along a direction; NaN if there is no G.

    It is what linear outputs would have, and never negative: where the Hessian's is, the network bends.
    """
    size = float(direction @ direction)
    if objective.loss.curvature is None or size == 0:
        return float("nan")
    with np.errstate(all="ignore"):
        return float(direction @ objective.gauss_newton_product(w, direction)) / size


def largest_gauss_newton(objective: Any, w: Floats, most: int = MOST_PRODUCTS // 2) -> float:
    """Return the largest eigenvalue of the Gauss-Newton matrix; NaN for a loss without second derivatives."""
    if objective.loss.curvature is None:
        return float("nan")
    with np.errstate(all="ignore"):
        return spectrum(lambda v: np.asarray(objective.gauss_newton_product(w, v)), len(w), most).largest


def walk(objective: Any, w: Floats, direction: Floats) -> WayOut:
    """Return the lowest place on a walk along a direction, forwards and backwards."""
    best = WayOut(0.0, w, float(objective.value(w)))
    length = float(np.linalg.norm(direction))
    if length == 0:
        return best
    reach = (1 + float(np.linalg.norm(w))) / length
    for share in WALK:
        for distance in (share * reach, -share * reach):
            at = w + distance * direction
            with np.errstate(all="ignore"):
                value = float(objective.value(at))
            if value < best.value:
                best = WayOut(distance, at, value)
    return best
