"""The health of neurons over a run: since when f′ is small, since when neurons are dead, how large the updates are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.explain import frames, health, health_rows
from deltarule.explain.grids import Grid, number, share, text
from deltarule.explain.health import MOSTLY, Health, NeuronHealth
from deltarule.explain.health_rows import Sample
from deltarule.explain.names import Names
from deltarule.objective import Objective
from deltarule.train import steps as steps_of

Floats = NDArray[np.float64]

SHOWN = 12
"""Neurons that are told of in text; `to_dict`, `arrays` and `frame` have all of them."""


class Moment(NamedTuple):
    """A step of a run and the health after it; step 0 is the start."""

    step: int
    health: Health


class Course(NamedTuple):
    """What became of a neuron: its health at the last look, and the steps since which each trouble has lasted.

    `flat_since` counts from where f′ was small on nine tenths of the rows at every look to the end, `wrong_since` the
    same of the wrong rows, `dead_since` from where f′ was 0 on every row, `twin_since` from where the neuron had the
    weights of another. None where it is not so at the end.
    """

    last: NeuronHealth
    flat_since: int | None
    wrong_since: int | None
    dead_since: int | None
    twin_since: int | None

    @property
    def is_troubled(self) -> bool:
        """Whether any of the troubles lasts."""
        return any(since is not None for since in self[1:])


class HealthRecorder:
    """Records the health of neurons in a run: ``dr.train(..., record=HealthRecorder())``, or `steps`.

    Parameters
    ----------
    every : int
        Steps from one look to the next. A look costs about two passes over the rows, of at most 2,000.
    inputs, outputs : sequence of str
        The names of columns, for the names of neurons.

    Raises
    ------
    SettingError
        If `every` is not a whole number from 1 up; when the run begins, if what is trained is no network.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> net = dr.Network((1, 3, 1), "relu")
    >>> objective = dr.Objective(net, "squared_error", [[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0])
    >>> recorder = HealthRecorder()
    >>> w = np.array([1.0, 1.0, 1.0, 0.0, 0.5, -9.0, 0.1, 0.2, 0.3, 0.0])
    >>> result = dr.train(objective, w, "gd", [dr.stopping.MaxSteps(5)], record=recorder)
    >>> [moment.step for moment in recorder.moments]
    [0, 1, 2, 3, 4, 5]
    >>> [(one.last.name, one.dead_since) for one in recorder.courses if one.last.dead]
    [('hidden1[2]', 0)]
    """

    def __init__(self, every: int = 1, inputs: tuple[str, ...] = (), outputs: tuple[str, ...] = ()) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise SettingError(f"every was {every!r}; it is a whole number from 1 up.")
        self.every = every
        self.inputs, self.outputs = tuple(inputs), tuple(outputs)
        self.moments: list[Moment] = []
        self._names: Names | None = None
        self._sample: Sample | None = None
        self._constant = 0.0
        self._count = 0

    def __call__(self, objective: Any, method: Any, before: Any, after: Any) -> None:
        """Look at the weights after a step of a run, if it is its turn; the start has no state before it."""
        if before is None:
            self._begin(objective)
        else:
            self._count += 1
        if self._count % self.every == 0:
            assert self._sample is not None and self._names is not None
            w = np.asarray(after.w, dtype=float)
            change = None if before is None else w - np.asarray(before.w, dtype=float)
            found = health.of_sample(self._sample, w, change, self._constant, self._names)
            self.moments.append(Moment(self._count, found))

    def steps(self, objective: Any, w: Any, method: Any = "online", state: Any = None) -> Iterator[Any]:
        """Yield the states that `deltarule.steps` yields, recording on the way."""
        before = None
        for after in steps_of(objective, w, method, state):
            self(objective, method, before, after)
            before = after
            yield after

    def _begin(self, objective: Any) -> None:
        objective = objective if isinstance(objective, Objective) else getattr(objective, "objective", objective)
        if not isinstance(objective, Objective):
            raise SettingError(
                f"A {type(objective).__name__} is trained; the health of neurons is recorded of an Objective, with "
                "a network and rows."
            )
        self._names = Names(objective.network, self.inputs, self.outputs)
        self._sample = health_rows.sample(objective)
        self._constant = health_rows.baseline(self._sample.objective)
        self.moments.clear()
        self._count = 0

    @property
    def courses(self) -> list[Course]:
        """What became of each neuron, layer by layer; empty where nothing was recorded."""
        if not self.moments:
            return []
        flat, wrong, dead, twin = (
            self._since(holds)
            for holds in (
                lambda found, one: one.flat >= MOSTLY,
                lambda found, one: found.wrong > 0 and one.flat_wrong >= MOSTLY,
                lambda found, one: one.dead,
                lambda found, one: bool(one.twin),
            )
        )
        last = self.moments[-1].health.neurons
        return [Course(one, flat[i], wrong[i], dead[i], twin[i]) for i, one in enumerate(last)]

    def course(self, name: str) -> Course:
        """Return what became of a neuron.

        Raises
        ------
        SettingError
            If there is no such neuron, or nothing was recorded.
        """
        if not self.moments:
            raise SettingError("Nothing was recorded yet: give this to deltarule.train as record=, or use steps.")
        self.moments[-1].health.neuron(name)  # refuses what is not there
        return next(one for one in self.courses if one.last.name == name)

    def _since(self, holds: Callable[[Health, NeuronHealth], bool]) -> list[int | None]:
        """Return for each neuron the step since which something has held at every look, or None."""
        since: list[int | None] = [None] * len(self.moments[-1].health.neurons)
        for step, found in self.moments:
            for i, one in enumerate(found.neurons):
                if not holds(found, one):
                    since[i] = None
                elif since[i] is None:
                    since[i] = step
        return since

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was recorded as arrays.

        Returns
        -------
        dict
            ``step``, ``loss`` and ``wrong`` (moments,); ``flat``, ``flat_wrong``, ``mean_slope`` and ``dead``
            (moments, neurons), in the order of ``Health.neurons``; ``weight``, ``gradient`` and ``update``
            (moments, layers), root mean squares.
        """
        healths = [moment.health for moment in self.moments]
        found: dict[str, NDArray[Any]] = {"step": np.array([moment.step for moment in self.moments])}
        found |= {key: np.array([getattr(one, key) for one in healths]) for key in ("loss", "wrong")}
        for key in ("flat", "flat_wrong", "mean_slope", "dead"):
            found[key] = np.array([[getattr(neuron, key) for neuron in one.neurons] for one in healths])
        for key in ("weight", "gradient", "update"):
            found[key] = np.array([[getattr(layer, key) for layer in one.layers] for one in healths])
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return what was recorded as JSON values: the looks, and since when each neuron is in trouble."""
        looks = [{"step": step, **found.to_dict()} for step, found in self.moments]
        return {"every": self.every, "looks": looks, "neurons": self.sinces()}

    def sinces(self) -> list[dict[str, Any]]:
        """Return for each neuron the steps since which its troubles have lasted, as JSON values."""
        return [{"name": one.last.name, **dict(zip(Course._fields[1:], one[1:], strict=True))} for one in self.courses]

    def frame(self) -> Any:
        """Return a pandas DataFrame with a row for each look and neuron.

        Raises
        ------
        SettingError
            If pandas is not installed.
        """
        return frames.frame([
            {"step": step, "loss": found.loss, **neuron._asdict()} for step, found in self.moments
            for neuron in found.neurons
        ])  # fmt: skip

    def plot(self, axes: Any = None) -> Any:
        """Draw the loss, the flat shares of the neurons and the sizes of the updates; see `health_picture.draw`."""
        from deltarule.explain import health_picture

        return health_picture.draw(self, axes)

    def grids(self) -> list[Grid]:
        """Return what was recorded as tables: sizes per layer at the last look, and the neurons in trouble."""
        if not self.moments:
            return [Grid("nothing recorded yet", (), [])]
        first, last = self.moments[0], self.moments[-1]
        title = (
            f"{len(self.moments):,} looks, steps {first.step:,} to {last.step:,}: loss {number(first.health.loss)} to "
        )
        title += number(last.health.loss)
        troubled = [one for one in self.courses if one.is_troubled]
        rows = [
            (one.last.name, share(one.last.flat), share(one.last.flat_wrong), *map(_step, one[1:]))
            for one in troubled[:SHOWN]
        ]
        header = ("neuron", "small f′", "on wrong rows", "small since", "on wrong since", "dead since", "twin since")
        more = f"and {len(troubled) - SHOWN:,} more neurons" if len(troubled) > SHOWN else ""
        well = Grid("no neuron is flat on nine tenths of the rows, dead, or the twin of another", (), [])
        return [health.layer_grid(last.health, title), Grid("", header, rows, more) if rows else well]

    def __str__(self) -> str:
        return text(self.grids())


def _step(since: int | None) -> str:
    return "–" if since is None else f"step {since:,}"
