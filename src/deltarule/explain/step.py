"""The update record: every factor of a step of the weights, and the terms that add up to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from deltarule.errors import SettingError
from deltarule.explain import backward
from deltarule.explain.backward import Layer, Numbers, Path
from deltarule.explain.names import Names
from deltarule.explain.terms import Account

Wanted = str | int | Iterable[str | int] | None
"""Weights by name, by index, or several of them; None for all."""


class Factors(NamedTuple):
    """Why one weight moved as far as one row asks: new = old + rate · delta · slope · input, for a plain online step.

    `rate` is what multiplies the row's product: the learning rate and whatever else the method multiplies by, over the
    number of rows in the step. None where the step is no multiple of the product. For softmax outputs under another
    loss than cross-entropy `delta` is δ − Σ δ y, and `slope` y.
    """

    weight: str
    row: str
    rate: float | None
    delta: float
    slope: float
    input: float
    product: float
    e: float
    y: float


@dataclass(frozen=True, eq=False)
class Update:
    """One step of the weights, and why each of them moved.

    Parameters
    ----------
    method, loss : str
        The names of the method and of the loss.
    names : Names
        What neurons and weights are called.
    before, after : arrays of shape (p,)
        The weights before and after the step.
    account : Account
        The terms that add up to the step.
    layers : tuple of Layer
        What went forward and came back, row by row, at the weights before.
    rows : tuple of str
        What the rows are called.
    targets : array of shape (n, n_out)
        Their targets.
    data_bound : array of shape (p,)
        How far `data` may lie from the gradient that an engine computes; see `deltarule.explain.rounding`.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> from deltarule import explain
    >>> net = dr.Network((2, 1), ("tanh",))
    >>> objective = dr.Objective(net, "squared_error", [[1.0, 2.0]], [1.0])
    >>> found = explain.update(objective, w=np.array([0.1, -0.2, 0.3]), method=dr.methods.Online(0.5))
    >>> factors = found.factors("output[0] <- input[1]")
    >>> new = -0.2 + factors.rate * (factors.delta * factors.slope * factors.input)
    >>> bool(new == found.after[1])
    True
    """

    method: str
    loss: str
    names: Names
    before: Numbers
    after: Numbers
    account: Account
    layers: tuple[Layer, ...]
    rows: tuple[str, ...]
    targets: Numbers
    data_bound: Numbers

    @property
    def n_rows(self) -> int:
        """Over how many rows the step was."""
        return len(self.rows)

    @property
    def step(self) -> Numbers:
        """What was added to each weight, (p,)."""
        return np.asarray(self.after - self.before)

    @cached_property
    def data(self) -> Numbers:
        """The mean over the rows of δ · f′ · input, (p,): minus the gradient of the mean loss."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(backward.descent(self.names.network, self.layers) / self.n_rows)

    @cached_property
    def cancellation(self) -> Numbers:
        """For each weight the size of the rows' sum, as a share of the sum of their sizes, (p,).

        1 where all rows agree, near 0 where they oppose each other, NaN where none contributes anything.
        """
        with np.errstate(all="ignore"):
            whole = backward.sizes(self.names.network, self.layers)
            return np.minimum(1.0, np.abs(self.data) * self.n_rows / np.where(whole > 0, whole, np.nan))

    @property
    def explained(self) -> Numbers:
        """The sum of the terms, (p,)."""
        return np.asarray(sum(term.values for term in self.account.terms))

    @property
    def error(self) -> Numbers:
        """By how much old + terms misses new, (p,): rounding, within `bound`."""
        return np.asarray(np.abs(self.before + self.explained - self.after))

    @property
    def bound(self) -> Numbers:
        """By how much the terms may miss the step, (p,): the rounding of each number in the sum, and solved systems."""
        sizes = sum((np.abs(term.values) for term in self.account.terms), np.abs(self.before) + np.abs(self.after))
        eps = np.finfo(self.before.dtype).eps
        return np.asarray((len(self.account.terms) + 3) * eps * sizes + self.account.slack)

    def find(self, weights: Wanted) -> list[int]:
        """Return the indices of weights; see `deltarule.explain.names.Names.find`."""
        return list(range(self.names.network.n_weights)) if weights is None else self.names.find(weights)

    def factors(self, weight: str | int, row: int = 0) -> Factors:
        """Return the factors of one weight for one row of the step.

        Raises
        ------
        SettingError
            If the name is not that of one weight, or there is no such row.
        """
        index, place = self._one(weight, row)
        layer = self.layers[place.layer]
        delta, slope = layer.signal[row, place.neuron], layer.slope[row, place.neuron]
        came_in = layer.inputs(row)[place.source]
        (rate,) = self.rates([index])
        return Factors(
            self.names.weight(index), self.rows[row], rate, float(delta), float(slope), float(came_in),
            float((delta * slope) * came_in), float(layer.E[row, place.neuron]), float(layer.Y[row, place.neuron]),
        )  # fmt: skip

    def rates(self, indices: list[int]) -> list[float | None]:
        """Return what multiplies each row's δ · f′ · input in the steps of these weights, None where nothing does."""
        if self.account.scale is None:
            return [None] * len(indices)
        scale = np.broadcast_to(np.asarray(self.account.scale), self.before.shape)
        return list((scale[indices] / self.n_rows).tolist())

    def contributions(self, weight: str | int) -> Numbers:
        """Return what each row adds to minus the gradient of the summed loss of one weight, (n,)."""
        _, place = self._one(weight, 0)
        layer: Layer = self.layers[place.layer]
        return layer.contributions(place.neuron, place.source)

    def paths(self, neuron: str, row: int = 0) -> list[Path]:
        """Return how the error signal of a hidden neuron comes back from the next layer, the largest share first.

        Raises
        ------
        SettingError
            If there is no such neuron, or no such row.
        """
        _, place = self._one(f"{neuron} <- bias", row)
        found = backward.opened(self.layers, place.layer, place.neuron, row)
        return sorted(found, key=lambda path: -abs(path.share))

    def _one(self, weight: str | int, row: int) -> tuple[int, Any]:
        found = self.names.find(weight)
        if len(found) != 1:
            raise SettingError(
                f"{weight!r} names {len(found)} weights; name one, as in {self.names.weight(found[0])!r}."
            )
        if not 0 <= row < self.n_rows:
            raise SettingError(f"Row {row} was asked for; the step has {self.n_rows:,}, counted from 0.")
        return found[0], self.names.place(found[0])

    def to_dict(self, weights: Wanted = None) -> dict[str, Any]:
        """Return the record as JSON values; see `deltarule.explain.written` for the keys.

        Raises
        ------
        SettingError
            If a weight does not exist.
        """
        from deltarule.explain import written

        return written.to_dict(self, weights)

    def frame(self, weights: Wanted = None) -> Any:
        """Return a pandas DataFrame with a row for each weight.

        Raises
        ------
        SettingError
            If a weight does not exist, or pandas is not installed.
        """
        from deltarule.explain import written

        return written.frame(self, weights)

    def text(self, weights: Wanted = None) -> str:
        """Return the record as people read it: the weights asked for, or those that moved furthest."""
        from deltarule.explain import telling

        return telling.text(self, weights)

    def plot(self, ax: Any = None, row: int = 0) -> Any:
        """Draw the network with a row flowing forward and δ flowing back; return the matplotlib Axes."""
        from deltarule.explain import picture

        return picture.draw(self, ax, row)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.names.network.sizes))
        return f"<Update of {self.names.network.n_weights} weights of {sizes} by {self.method}, {self.n_rows} rows>"

    def _repr_html_(self) -> str:
        from deltarule.explain import grids, telling

        return grids.html(telling.grids(self, None))
