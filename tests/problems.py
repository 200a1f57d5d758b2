"""Problems whose minimum is known, as data: functions of w for the methods, tables for the networks."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Surface(NamedTuple):
    """A function of w with its gradient, a start, where its minimum lies, and how low it is there."""

    name: str
    value_grad: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
    start: NDArray[np.float64]
    minimum: NDArray[np.float64]
    lowest: float

    def value(self, w):
        """Return the function alone."""
        return self.value_grad(w)[0]


def rosenbrock(w):
    """A curved valley (Rosenbrock 1960; Moré, Garbow and Hillstrom 1981, number 1)."""
    x, y = w
    a, b = 1 - x, y - x * x
    return a * a + 100 * b * b, np.array([-2 * a - 400 * x * b, 200 * b])


def beale(w):
    """A steep-sided basin (Moré, Garbow and Hillstrom 1981, number 5)."""
    x, y = w
    powers = np.array([1, 2, 3])
    r = np.array([1.5, 2.25, 2.625]) - x * (1 - y**powers)
    J = np.stack([-(1 - y**powers), x * powers * y ** (powers - 1)])
    return float(r @ r), 2 * J @ r


def powell_singular(w):
    """A minimum where the Hessian is singular (Powell 1962; Moré, Garbow and Hillstrom 1981, number 13)."""
    a, b, c, d = w
    r = np.array([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])
    p, q = 2 * (b - 2 * c), 2 * 10**0.5 * (a - d)
    J = np.array([[1, 0, 0, q], [10, 0, p, 0], [0, 5**0.5, -2 * p, 0], [0, -(5**0.5), 0, -q]])
    return float(r @ r), 2 * J @ r


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
    Surface("rosenbrock", rosenbrock, np.array([-1.2, 1.0]), np.ones(2), 0.0),
    Surface("beale", beale, np.array([1.0, 1.0]), np.array([3.0, 0.5]), 0.0),
    Surface("powell_singular", powell_singular, np.array([3.0, -1.0, 0.0, 1.0]), np.zeros(4), 0.0),
    Surface("quadratic", quadratic, np.zeros(5), CENTRE, -7.0),
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
