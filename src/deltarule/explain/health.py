"""The health of neurons: where f′ is small, since when, and whether that is on the rows that are wrong.

A small f′ lets nothing through: the row cannot move the weights into that neuron. On rows that are right it is success,
a neuron that has made up its mind; on wrong ones it is the disease.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation
from deltarule.engines.array import Pass
from deltarule.errors import SettingError
from deltarule.explain import health_rows
from deltarule.explain.health_rows import Sample
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.train import steps as training_steps

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
        layers = [_plain(layer._asdict()) for layer in self.layers]
        neurons = [_plain(neuron._asdict()) for neuron in self.neurons]
        whole = {"loss": self.loss, "baseline": self.baseline, "wrong": self.wrong, "rows": self.rows}
        return {**_plain(whole), "layers": layers, "neurons": neurons}

    def __str__(self) -> str:
        lines = [
            f"loss {self.loss:.4g}, of a constant {self.baseline:.4g}; {self.wrong:.0%} of {self.rows:,} rows wrong",
            "layer       activation    rms weight  gradient    update   small f′  on wrong rows  dead",
        ]
        for layer in self.layers:
            update = "-" if np.isnan(layer.update) else f"{layer.update:.1e}"
            lines.append(
                f"{layer.name:11} {layer.activation:12} {layer.weight:11.2e} {layer.gradient:9.1e} {update:>9} "
                f"{layer.flat:10.0%} {layer.flat_wrong:14.0%} {layer.dead:5}"
            )
        return "\n".join(lines)


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
    return of_sample(
        taken, np.asarray(objective.weights(w), dtype=float), before, health_rows.baseline(taken.objective)
    )


def of_sample(taken: Sample, w: Floats, before: Any, constant: float) -> Health:
    """Return the health on a sample of rows whose baseline is known."""
    network, passed = taken.network, taken.trace(w)
    losses = health_rows.losses_of(taken.loss, passed, taken.T)
    wrong = health_rows.wrong_rows(losses, constant)
    with np.errstate(all="ignore"):
        grad = np.asarray(taken.objective.value_grad(w)[1], dtype=float)
    change = np.full_like(w, np.nan) if before is None else w - np.asarray(before, dtype=float)
    small, slopes = flatness(taken, passed)
    layers, neurons = [], []
    twins = _twins(network, w)
    for i, (start, _, stop) in enumerate(network.spans):
        part = slice(start, stop)
        dead = (slopes[i] == 0).all(axis=0)
        for k in range(network.sizes[i + 1]):
            neurons.append(NeuronHealth(
                f"{network.layer_name(i)}[{k}]", i, k, float(slopes[i][:, k].mean()), float(small[i][:, k].mean()),
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


def _twins(network: Network, w: Floats) -> dict[tuple[int, int], str]:
    """Return for hidden neurons, from the second on, the first neuron with the same weights in and out."""
    found = {}
    layers = list(network.layers(w))
    for i in range(network.depth - 1):
        around = np.column_stack([layers[i][0], layers[i][1], layers[i + 1][0].T])
        scale = np.abs(around).max() if around.size else 0.0
        for k in range(1, len(around)):
            same = np.flatnonzero(np.abs(around[:k] - around[k]).max(axis=1) <= ALIKE * scale)
            if len(same):
                found[i, k] = f"{network.layer_name(i)}[{same[0]}]"
    return found


class Moment(NamedTuple):
    """A step of a run and the health there."""

    step: int
    health: Health


class Timeline:
    """The health over a run: add the states as they come, then ask since when.

    Parameters
    ----------
    objective : Objective
        What is trained on.
    every : int
        Steps from one look to the next.

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from deltarule import Network, steps
    >>> net = Network((1, 3, 1), "tanh")
    >>> objective = Objective(net, "squared_error", [[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0])
    >>> timeline = Timeline(objective)
    >>> for state in islice(steps(objective, net.initial_weights(0)), 5):
    ...     timeline.add(state)
    >>> [moment.step for moment in timeline.moments]
    [0, 1, 2, 3, 4]
    """

    def __init__(self, objective: Objective, every: int = 1) -> None:
        if not isinstance(every, int) or every < 1:
            raise SettingError(f"every was {every!r}; it is a whole number from 1 up.")
        self.every = every
        self.moments: list[Moment] = []
        self._sample = health_rows.sample(objective)
        self._constant = health_rows.baseline(self._sample.objective)
        self._steps = 0
        self._before: Any = None

    def add(self, state: Any) -> None:
        """Look at the next state of a run, the start first."""
        if self._steps % self.every == 0:
            w = np.asarray(state.w, dtype=float)
            self.moments.append(Moment(self._steps, of_sample(self._sample, w, self._before, self._constant)))
        self._before = np.asarray(state.w, dtype=float)
        self._steps += 1

    def flat_since(self, name: str, share: float = MOSTLY) -> int | None:
        """Return the step since which a neuron's slope has been small on so many rows to the end, or None."""
        return self._since(lambda health: _neuron(health, name).flat >= share)

    def wrong_since(self, name: str, share: float = MOSTLY) -> int | None:
        """Return the step since which a neuron's slope has been small on so many of the wrong rows."""
        return self._since(lambda health: health.wrong > 0 and _neuron(health, name).flat_wrong >= share)

    def _since(self, holds: Any) -> int | None:
        since = None
        for moment in self.moments:
            if not holds(moment.health):
                since = None
            elif since is None:
                since = moment.step
        return since

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return ``step``, ``loss``, ``wrong`` (moments,), and flat shares and sizes of layers and neurons.

        ``flat`` and ``flat_wrong`` have shape (moments, neurons) in the order of ``Health.neurons``; ``gradient``,
        ``update`` and ``weight`` (moments, layers).
        """
        healths = [moment.health for moment in self.moments]
        found: dict[str, NDArray[Any]] = {"step": np.array([moment.step for moment in self.moments])}
        found |= {key: np.array([getattr(health, key) for health in healths]) for key in ("loss", "wrong")}
        for key in ("flat", "flat_wrong"):
            found[key] = np.array([[getattr(neuron, key) for neuron in health.neurons] for health in healths])
        for key in ("weight", "gradient", "update"):
            found[key] = np.array([[getattr(layer, key) for layer in health.layers] for health in healths])
        return found


def follow(timeline: Timeline, objective: Objective, w: Any, method: Any = "conjugate_gradient") -> Iterator[Any]:
    """Yield the states of a run for ever, each added to a timeline: `deltarule.steps` under observation."""
    for state in training_steps(objective, w, method):
        timeline.add(state)
        yield state


def _neuron(health: Health, name: str) -> NeuronHealth:
    for neuron in health.neurons:
        if neuron.name == name:
            return neuron
    raise SettingError(f"There is no neuron {name!r}; there are {', '.join(one.name for one in health.neurons[:8])} ….")


def _share(A: NDArray[np.bool_]) -> float:
    return float(A.mean()) if A.size else 0.0


def _rms(A: Floats) -> float:
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(A * A)))


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Return numbers that are not finite as None."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in content.items()
    }
