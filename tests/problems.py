"""Problems whose minimum is known, as data: functions of w for the methods, tables for the networks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Surface(NamedTuple):
    """A function of w with its gradient, a start, where its minimum lies, how low it is there, its curvature.

    The curvature of a sum of squares r'r is the Gauss-Newton matrix 2 J'J.
    """

    name: str
    value_grad: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
    start: NDArray[np.float64]
    minimum: NDArray[np.float64]
    lowest: float
    curvature: Callable[[NDArray[np.float64]], NDArray[np.float64]]

    def value(self, w):
        """Return the function alone."""
        return self.value_grad(w)[0]

    def gauss_newton(self, w):
        """Return the function, its gradient, and its curvature."""
        return *self.value_grad(w), self.curvature(w)

    def gauss_newton_product(self, w, v):
        """Return the curvature times a vector."""
        return self.curvature(w) @ v


def rosenbrock(w):
    """A curved valley (Rosenbrock 1960; Moré, Garbow and Hillstrom 1981, number 1)."""
    x, y = w
    a, b = 1 - x, y - x * x
    return a * a + 100 * b * b, np.array([-2 * a - 400 * x * b, 200 * b])


def rosenbrock_curvature(w):
    """Return 2 J'J."""
    J = np.array([[-1.0, 0.0], [-20 * w[0], 10.0]])
    return 2 * J.T @ J


def beale(w):
    """A steep-sided basin (Moré, Garbow and Hillstrom 1981, number 5)."""
    x, y = w
    r = np.array([1.5, 2.25, 2.625]) - x * (1 - y ** np.array([1, 2, 3]))
    return float(r @ r), 2 * beale_slopes(w) @ r


def beale_slopes(w):
    """Return J', a column for each residual."""
    x, y = w
    powers = np.array([1, 2, 3])
    return np.stack([-(1 - y**powers), x * powers * y ** (powers - 1)])


def beale_curvature(w):
    """Return 2 J'J."""
    return 2 * beale_slopes(w) @ beale_slopes(w).T


def powell_singular(w):
    """A minimum where the Hessian is singular (Powell 1962; Moré, Garbow and Hillstrom 1981, number 13)."""
    a, b, c, d = w
    r = np.array([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])
    return float(r @ r), 2 * powell_slopes(w) @ r


def powell_slopes(w):
    """Return J', a column for each residual."""
    a, b, c, d = w
    p, q = 2 * (b - 2 * c), 2 * 10**0.5 * (a - d)
    return np.array([[1, 0, 0, q], [10, 0, p, 0], [0, 5**0.5, -2 * p, 0], [0, -(5**0.5), 0, -q]])


def powell_curvature(w):
    """Return 2 J'J."""
    return 2 * powell_slopes(w) @ powell_slopes(w).T


CURVATURES = np.array([1.0, 3.0, 10.0, 30.0, 100.0])
"""Those of the quadratic, along axes turned so that no weight has a curvature of its own."""
CENTRE = np.array([1.0, -2.0, 0.5, 3.0, -1.0])


def turned(curvatures):
    """Return a symmetric matrix of these eigenvalues: Q diag Q with the mirror Q = 1 − 2 v v'."""
    v = np.ones((len(curvatures), 1)) / len(curvatures) ** 0.5
    Q = np.eye(len(curvatures)) - 2 * v @ v.T
    return Q @ np.diag(curvatures) @ Q


HESSIAN = turned(CURVATURES)


def quadratic(w):
    """An ill-conditioned bowl whose lowest value is −7, so that nothing may rely on losses being positive."""
    r = w - CENTRE
    return float(0.5 * r @ HESSIAN @ r) - 7.0, HESSIAN @ r


SURFACES = [
    Surface("rosenbrock", rosenbrock, np.array([-1.2, 1.0]), np.ones(2), 0.0, rosenbrock_curvature),
    Surface("beale", beale, np.array([1.0, 1.0]), np.array([3.0, 0.5]), 0.0, beale_curvature),
    Surface("powell_singular", powell_singular, np.array([3.0, -1.0, 0.0, 1.0]), np.zeros(4), 0.0, powell_curvature),
    Surface("quadratic", quadratic, np.zeros(5), CENTRE, -7.0, lambda w: HESSIAN),
]


class Table(NamedTuple):
    """Rows for a network: X, T, sizes and activations that can learn them, the loss."""

    name: str
    X: NDArray[np.float64]
    T: NDArray[np.float64]
    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str


def _line() -> Table:
    """Linear least squares: a network without hidden layer, whose minimum lstsq knows."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(40, 3))
    T = X @ np.array([[1.0, -1.0], [0.5, 2.0], [-2.0, 0.0]]) + np.array([0.3, -0.7])
    return Table("line", X, T + 0.1 * rng.normal(size=T.shape), (3, 2), ("identity",), "squared_error")


XOR = Table(
    "xor",
    np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]),
    np.array([[0.0], [1.0], [1.0], [0.0]]),
    (2, 3, 1),
    ("tanh", "tanh"),
    "squared_error",
)
LINE = _line()
SINE_X = np.linspace(-1.0, 1.0, 25)[:, None]
SINE = Table("sine", SINE_X, np.sin(np.pi * SINE_X), (1, 5, 1), ("tanh", "identity"), "squared_error")
TABLES = [XOR, LINE, SINE]


def least_squares(table: Table) -> NDArray[np.float64]:
    """Return the flat w of the best network without hidden layer: each output's weights and its bias."""
    A = np.hstack([table.X, np.ones((len(table.X), 1))])
    best = np.linalg.lstsq(A, table.T, rcond=None)[0]
    return np.concatenate([best[:-1].T.ravel(), best[-1]])
