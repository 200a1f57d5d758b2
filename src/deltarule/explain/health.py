"""The health of neurons: where f′ is small, since when, and whether that is on the rows that are wrong.

A small f′ lets nothing through: the row cannot move the weights into that neuron. On rows that are right it is success,
a neuron that has made up its mind; on wrong ones it is the disease.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation
from deltarule.engines.array import Pass
from deltarule.errors import SettingError
from deltarule.explain import health_rows
from deltarule.explain.frames import plain
from deltarule.explain.grids import Grid, number, share, text
from deltarule.explain.health_rows import Sample
from deltarule.explain.names import LISTED, Names
from deltarule.network import Network
from deltarule.objective import Objective

Floats = NDArray[np.float64]

SMALL = 0.05
"""A slope is small below this share of the activation's largest: for logistic neurons 0.0125, for tanh 0.05."""
MOSTLY = 0.9
"""A neuron is flat when this share of the rows has a small slope."""
ALIKE = 1e-6
"""Two neurons are alike if their weights, in and out, differ by no more than this share."""
UNBOUNDED = ("identity", "exponential", "softmax")
"""Activations without a largest slope, or without flat places: none of their slopes counts as small."""


class NeuronHealth(NamedTuple):
    """A neuron: its mean slope, and on which shares of all rows and of the wrong rows its slope is small.

    `dead` says that its slope is exactly 0 on every row; `twin` names another neuron of the layer with equal weights.
    """

    name: str
    layer: int
    neuron: int
    mean_slope: float
    flat: float
    flat_wrong: float
    dead: bool
    twin: str


class LayerHealth(NamedTuple):
    """A layer: root mean squares over its weights of the weights, the gradient and the last update.

    `flat_wrong` is the share of (neuron, wrong row) pairs with a small slope; `update` is NaN where none is known.
    """

    name: str
    activation: str
    weight: float
    gradient: float
    update: float
    flat: float
    flat_wrong: float
    dead: int


@dataclass(frozen=True)
class Health:
    """The health of a network at one w.

    Parameters
    ----------
    loss : float
        The mean loss over the rows, without penalty.
    baseline : float
        That of the best constant outputs.
    wrong : float
        Share of rows that are wrong: that lose more than a tenth of the baseline.
    rows : int
        Rows that were looked at.
    layers : tuple of LayerHealth
        First to last.
    neurons : tuple of NeuronHealth
        Layer by layer.
    """

    loss: float
    baseline: float
    wrong: float
    rows: int
    layers: tuple[LayerHealth, ...]
    neurons: tuple[NeuronHealth, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; what is not known is null."""
        layers, neurons = ([one._asdict() for one in part] for part in (self.layers, self.neurons))
        whole = {"loss": self.loss, "baseline": self.baseline, "wrong": self.wrong, "rows": self.rows}
        return dict(plain({**whole, "layers": layers, "neurons": neurons}))

    def neuron(self, name: str) -> NeuronHealth:
        """Return a neuron by its name.

        Raises
        ------
        SettingError
            If there is none of this name; the message says which there are.
        """
        for one in self.neurons:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.neurons[:LISTED])
        raise SettingError(
            f"There is no neuron {name!r}; the {len(self.neurons):,} of this network begin with {known}."
        )

    def __str__(self) -> str:
        return text([layer_grid(self)])


def layer_grid(health: Health, title: str = "") -> Grid:
    """Return the sizes and shares of the layers as a table."""
    about = (
        f"{health.wrong:.0%} of {health.rows:,} rows wrong (each loses over a tenth of a constant's loss); "
        f"loss {number(health.loss)}, of a constant "
    )
    header = ("layer", "activation", "rms weight", "gradient", "update", "small f′", "on wrong", "dead")
    rows = [
        (
            one.name, one.activation, *map(number, (one.weight, one.gradient, one.update)),
            share(one.flat), share(one.flat_wrong), str(one.dead),
        )
        for one in health.layers
    ]  # fmt: skip
    return Grid(title or about + number(health.baseline), header, rows)


def measure(objective: Objective, w: Any, before: Any = None) -> Health:
    """Measure the health of each neuron at w.

    Parameters
    ----------
    objective : Objective
        Network, loss and rows; at most 2,000 rows are looked at.
    w : array of shape (p,)
        The weights.
    before : array of shape (p,), optional
        The weights before the last step, for the size of the updates.

    Returns
    -------
    Health
        Slopes per neuron; sizes of weights, gradient and updates per layer.

    Examples
    --------
    >>> import numpy as np
    >>> from deltarule import Network
    >>> net = Network((1, 2, 1), "relu")
    >>> objective = Objective(net, "squared_error", [[0.0], [1.0]], [0.0, 1.0])
    >>> w = np.array([1.0, 1.0, 0.0, -5.0, 1.0, 1.0, 0.0])
    >>> [neuron.name for neuron in measure(objective, w).neurons if neuron.dead]
    ['hidden1[1]']
    """
    taken = health_rows.sample(objective)
    w = np.asarray(objective.weights(w), dtype=float)
    change = None if before is None else w - np.asarray(objective.weights(before), dtype=float)
    return of_sample(taken, w, change, health_rows.baseline(taken.objective))


def of_sample(taken: Sample, w: Floats, change: Floats | None, constant: float, names: Names | None = None) -> Health:
    """Return the health on a sample of rows whose baseline is known, with the sizes of a change of w."""
    network, passed = taken.network, taken.trace(w)
    names = names or Names(network)
    losses = health_rows.losses_of(taken.loss, passed, taken.T)
    wrong = health_rows.wrong_rows(losses, constant)
    with np.errstate(all="ignore"):
        grad = np.asarray(taken.objective.value_grad(w)[1], dtype=float)
    change = np.full_like(w, np.nan) if change is None else change
    small, slopes = flatness(taken, passed)
    layers, neurons = [], []
    twins = _twins(network, w, names)
    for i, (start, _, stop) in enumerate(network.spans):
        part = slice(start, stop)
        dead = (slopes[i] == 0).all(axis=0)
        for k in range(network.sizes[i + 1]):
            neurons.append(NeuronHealth(
                names.neurons[i][k], i, k, float(slopes[i][:, k].mean()), float(small[i][:, k].mean()),
                _share(small[i][wrong, k]), bool(dead[k]), twins.get((i, k), ""),
            ))  # fmt: skip
        layers.append(LayerHealth(
            network.layer_name(i), network.activations[i].name, _rms(w[part]), _rms(grad[part]), _rms(change[part]),
            float(small[i].mean()), _share(small[i][wrong]), int(dead.sum()),
        ))  # fmt: skip
    return Health(float(losses.mean()), constant, float(wrong.mean()), len(losses), tuple(layers), tuple(neurons))


def flatness(taken: Sample, passed: Pass) -> tuple[list[NDArray[np.bool_]], list[Floats]]:
    """Return for each layer where the slope is small, and the slopes, both (n, width).

    Where the loss fuses with the outputs f′ cancels: there it counts as 1.
    """
    small, slopes = [], []
    for i, row in enumerate(taken.network.activations):
        E, Y = passed.E[i], passed.Y[i + 1]
        cancels = i == taken.network.depth - 1 and taken.loss.fuses(row)
        with np.errstate(all="ignore"):
            slope = np.ones_like(E) if cancels else np.asarray(row.df(np, E, Y))
        slopes.append(slope)
        limit = 0.0 if cancels or row.name in UNBOUNDED else SMALL * _steepest(row)
        small.append(np.abs(slope) < limit)
    return small, slopes


def _steepest(row: Activation) -> float:
    """Return the largest slope of an activation between −6 and 6."""
    e = np.linspace(-6.0, 6.0, 241)
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.abs(row.df(np, e, row.f(np, e)))))


def _twins(network: Network, w: Floats, names: Names) -> dict[tuple[int, int], str]:
    """Return for hidden neurons, from the second on, the first neuron with the same weights in and out."""
    found = {}
    layers = list(network.layers(w))
    for i in range(network.depth - 1):
        around = np.column_stack([layers[i][0], layers[i][1], layers[i + 1][0].T])
        for k in range(1, len(around)):
            scale = np.maximum(np.abs(around[:k]).max(axis=1), np.abs(around[k]).max())
            same = np.flatnonzero(np.abs(around[:k] - around[k]).max(axis=1) <= ALIKE * scale)
            if len(same):
                found[i, k] = names.neurons[i][same[0]]
    return found


def _share(A: NDArray[np.bool_]) -> float:
    return float(A.mean()) if A.size else 0.0


def _rms(A: Floats) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(A * A)))
