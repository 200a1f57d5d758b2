"""The damped equations of Levenberg-Marquardt, (H + μ D) d = −g, in the form that is the smaller.

By the matrix: H (p, p), factored for each μ. By the rows, where these are fewer than the weights: with H = J'J + R, J
(m, p) and R the penalty's diagonal, g = J'r + R w and E = D + R / μ,

    (μ + J E⁻¹ J') y = r − J z          z = (μ E)⁻¹ R w          d = −E⁻¹ J' y − z

a system of m equations (Golub and Van Loan 2013, section 2.1.4). It costs m² p instead of p³, and as no difference of
large numbers is taken, it gives the step of H + μ D however small μ is: where H, of rank m, could not be factored.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from deltarule import cholesky
from deltarule.special import Array


class Equations(Protocol):
    """What is solved for a step."""

    @property
    def diagonal(self) -> Array:
        """The diagonal of H, (p,)."""
        ...

    def solve(self, mu: float, D: Array) -> Array | None:
        """Return d, or None where it cannot be had with so little damping."""
        ...


class ByMatrix:
    """The equations of H (p, p) and g (p,)."""

    def __init__(self, H: Array, g: Array) -> None:
        self.H, self.g = H, g

    @property
    def diagonal(self) -> Array:
        """The diagonal of H, (p,)."""
        return self.H.diagonal()

    def solve(self, mu: float, D: Array) -> Array | None:
        """Return d, or None where H is singular and μ too small."""
        return cholesky.shifted_solve(self.H, mu * D, -self.g)


class ByRows:
    """The equations of J (m, p), r (m,), w (p,) and R (p,), None where there is no penalty; all with one D."""

    def __init__(self, J: Array, r: Array, w: Array, R: Array | None) -> None:
        self.J, self.r, self.w, self.R = J, r, w, R
        self._kept: tuple[Array, Array] | None = None

    @property
    def diagonal(self) -> Array:
        """The diagonal of H, (p,)."""
        squares = (self.J * self.J).sum(0)
        return squares if self.R is None else squares + self.R

    def solve(self, mu: float, D: Array) -> Array | None:
        """Return d, or None where rows tell the same and μ is too small."""
        if self.R is None:
            self._kept = self._kept or self._scaled(D)
            scaled, sums = self._kept
            y = cholesky.shifted_solve(sums, mu, self.r)
            return None if y is None else -(y @ scaled)
        scaled, sums = self._scaled(D + self.R / mu)
        z = self.R * self.w / (mu * D + self.R)
        y = cholesky.shifted_solve(sums, mu, self.r - self.J @ z)
        return None if y is None else -(y @ scaled) - z

    def _scaled(self, E: Array) -> tuple[Array, Array]:
        """Return J E⁻¹ and J E⁻¹ J'."""
        scaled = self.J / E
        return scaled, scaled @ self.J.T


class Curvature(NamedTuple):
    """H by what it does: its diagonal (p,), H v, and at least |H| v for a v without negative numbers."""

    diagonal: Array
    times: Callable[[Array], Array]
    sizes_times: Callable[[Array], Array]


def curvature(H: Array, R: Array | None) -> Curvature:
    """Return H, given that (p, p) or J (m, p) with m < p, of which no matrix (p, p) is made then."""
    if H.shape[0] == H.shape[1]:
        return Curvature(H.diagonal(), lambda v: H @ v, lambda v: abs(H) @ v)
    ridge: Any = 0.0 if R is None else R
    return Curvature(
        (H * H).sum(0) + ridge, lambda v: H.T @ (H @ v) + ridge * v, lambda v: abs(H.T) @ (abs(H) @ v) + ridge * v
    )
