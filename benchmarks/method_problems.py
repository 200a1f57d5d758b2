"""The problems on which methods are raced: rows, a network, the mean squared errors to reach."""

from typing import NamedTuple

import numpy as np

import deltarule as dr


class Problem(NamedTuple):
    """Rows, a network, the errors to reach."""

    title: str
    about: str
    X: np.ndarray
    T: np.ndarray
    network: dr.Network
    goals: tuple[float, ...]


def sinc() -> Problem:
    """Return torch-levenberg-marquardt's curve: 20,000 points of sinc(10x)."""
    x = np.linspace(-1, 1, 20_000)[:, None]
    about = "20,000 points of sinc(10x) on [−1, 1], 1-20-1 tanh."
    goals = (1e-3, 1e-4, 1e-5, 3.3e-7, 1e-8, 1e-10)
    return Problem("Sinc race", about, x, np.sinc(10 * x), dr.Network((1, 20, 1)), goals)


def friedman() -> Problem:
    """Return Friedman's first surface in five inputs, without noise, scaled to variance 1."""
    X = np.random.default_rng(1).uniform(size=(10_000, 5))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    about = "10,000 points of Friedman's first surface without noise, 5-20-1 tanh, error over variance."
    goals = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    return Problem("Friedman 1", about, 2 * X - 1, _standard(y), dr.Network((5, 20, 1)), goals)


def product() -> Problem:
    """Return a product of two sincs, scaled to variance 1."""
    X = np.random.default_rng(2).uniform(-1, 1, size=(10_000, 2))
    about = "10,000 points of sinc(4a) sinc(4b), 2-30-1 tanh, error over variance."
    goals = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    return Problem("Product of sincs", about, X, _standard(np.sinc(4 * X).prod(axis=1)), dr.Network((2, 30, 1)), goals)


def sin() -> Problem:
    """Return MATLAB's SIN: one period of the sine."""
    x = np.linspace(-1, 1, 41)[:, None]
    return Problem("SIN", "41 points of a sine, 1-5-1.", x, np.sin(np.pi * x), dr.Network((1, 5, 1)), (2e-3, 1e-6))


def parity() -> Problem:
    """Return MATLAB's PARITY of three bits."""
    X = np.array([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    network = dr.Network((3, 10, 10, 1), ("tanh", "tanh", "tanh"))
    return Problem("PARITY", "Three bits, 3-10-10-1 tanh.", X, X.prod(axis=1, keepdims=True), network, (1e-3, 1e-6))


def start(problem: Problem, seed: int) -> np.ndarray:
    """Return the default initial weights."""
    ranges = np.column_stack([problem.X.min(axis=0), problem.X.max(axis=0)])
    return problem.network.initial_weights(seed, input_ranges=ranges)


def _standard(y: np.ndarray) -> np.ndarray:
    return ((y - y.mean()) / y.std())[:, None]
