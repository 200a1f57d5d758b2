"""How sure a trained network is: Laplace's approximation of the weights' distribution, and what follows for outputs.

At the minimum of ½ Σ (y − t)² + ½ Σ λ w² the weights are about normally distributed around the trained w, with
covariance σ² A⁻¹, where

    A = Σ J'J + λ          σ² = Σ (y − t)² / (n − γ/n_out)          γ = p − trace λ A⁻¹

J is the outputs' derivative by the weights, the Gauss-Newton matrix stands in for the Hessian, and γ counts the weights
that the data determine (MacKay 1992). An output then has the variance σ² (1 + J A⁻¹ J'): the noise, and what the
weights leave open. σ² is estimated for each output; γ is shared among them evenly.
"""

from math import inf, sqrt
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from deltarule import cholesky
from deltarule.engines.array import JACOBIAN_NUMBERS, ArrayEngine
from deltarule.errors import InputError, SettingError
from deltarule.losses import LOSSES
from deltarule.memory import check_matrices
from deltarule.network import Network
from deltarule.objective import predict
from deltarule.special import Array

MATRICES = 3
"""Matrices that exist at once: A as it was summed, as it is factored, and the inverse of its factor."""


class Posterior(NamedTuple):
    """What is known about the weights after training.

    Parameters
    ----------
    factor : array of shape (p, p)
        L⁻¹, lower triangular, with L L' = A: the weights' covariance is σ² · factor' factor.
    noise : array of shape (n_out,)
        σ², the variance of the noise in each output, in the units of the targets squared.
    determined : float
        γ, the number of weights that the data determine.
    """

    factor: Array
    noise: Array
    determined: float


def laplace(objective: Any, w: Array, alpha: float = 0.0, beta: float = 1.0, memory: float | None = None) -> Posterior:
    """Return the posterior of the weights around w, where an objective has its minimum.

    Parameters
    ----------
    objective : Objective
        What was trained on: squared error, with or without l2.
    w : array of shape (p,)
        The trained weights.
    alpha, beta : float
        The precisions of the weights and of the noise that Bayesian regularisation found. Only their ratio counts: a
        penalty λ = α/β on all weights, besides the objective's l2. The noise is estimated from the errors.
    memory : float, optional
        Bytes that the matrices may take; half of the machine's memory unless given.

    Raises
    ------
    SettingError
        If the loss is not squared error, a precision is out of range, or the matrices do not fit.
    InputError
        If the rows are no more than the weights that they determine, so that the noise cannot be told.
    """
    if objective.loss != LOSSES["squared_error"]:
        raise SettingError(f"The loss was {objective.loss}; the spread of predictions is known for squared_error only.")
    if not 0 <= alpha < inf or not 0 < beta < inf:
        raise SettingError(f"alpha and beta were {alpha!r} and {beta!r}; they are a number from 0 up and one above 0.")
    check_matrices("The posterior", w, MATRICES, memory, "a smaller network")
    network, n = objective.network, objective.n_rows
    xp, ratio = array_namespace(objective.rows.X), alpha / (beta * n)
    with cholesky.one_thread():
        H = objective.gauss_newton(w)[2]  # of the mean loss, l2 included
        factor = cholesky.inverse(cholesky.raised_factor(H, ratio))
    penalty = xp.asarray([ratio + (0.0 if bias else objective.l2) for bias in network.is_bias()], dtype=factor.dtype)
    determined = network.n_weights - float(xp.sum(penalty * xp.sum(factor * factor, axis=0)))
    return Posterior(factor / sqrt(n), _noise(objective, w, determined), determined)


def std(network: Network, w: Array, factor: Array, noise: Array, X: Array) -> Array:
    """Return the standard deviations (n, n_out) of new observations at X, noise included.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    w : array of shape (p,)
        The trained weights.
    factor, noise : array
        As `laplace` returned them.
    X : array of shape (n, n_in)
        Inputs.

    Notes
    -----
    The spread of the mean alone is the square root of std² − noise.
    """
    xp, engine = array_namespace(w), ArrayEngine(network, LOSSES["squared_error"])
    size = max(1, JACOBIAN_NUMBERS // (network.n_weights * network.n_out))
    made = [xp.zeros((0, network.n_out), dtype=w.dtype)]
    for start in range(0, X.shape[0], size):
        J = engine.jacobian(w, xp.asarray(X[start : start + size, ...], dtype=w.dtype))
        spread = xp.reshape(J, (-1, network.n_weights)) @ factor.T
        made.append(xp.reshape(xp.sum(spread * spread, axis=1), (-1, network.n_out)))
    return xp.sqrt(noise * (1 + xp.concat(made)))


def _noise(objective: Any, w: Array, determined: float) -> Array:
    """Return the variance of the errors of each output, as they would be in new rows."""
    xp, (X, T, s) = array_namespace(w), objective.rows
    squares = (predict(objective.network, w, X) - T) ** 2
    free = objective.n_rows - determined / objective.network.n_out
    if free <= 0:
        raise InputError(
            f"{objective.n_rows} rows determine all {determined:.1f} weights, which leaves none to tell the noise; "
            "give more rows or a penalty l2."
        )
    return xp.sum(squares if s is None else squares * s[:, None], axis=0) / free
