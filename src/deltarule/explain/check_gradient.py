"""Is the gradient the slope of the loss? Every weight against a numeric slope, to within a computed bound.

The numeric slope comes from a complex step where all formulas are built in, and from central differences otherwise. How
far it may lie from the gradient follows from rounding alone: an evaluation whose every operation is rounded gives the
exact result for inputs that differ from the given ones by a few roundings, so

    bound = unit roundoff · roundings on the longest way · what relative changes of w, X and T do to the result

The last factor is measured. For differences their own bound is added, see `deltarule.explain.check_differences`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import SATURATED
from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.errors import InputError, SettingError
from deltarule.explain import check_differences
from deltarule.explain.check_complex import ComplexStep, serves
from deltarule.explain.check_differences import Slope
from deltarule.explain.names import Names
from deltarule.objective import Objective

Floats = NDArray[np.float64]

CHANGE = 1e-9
"""Relative change of the inputs by which their effect is measured: far above rounding, below curvature."""
CHANGES = 8
"""Random changes of which the largest effect counts."""
MOST_WEIGHTS, MOST_ROWS = 400, 500
"""So many weights of each layer, and so many rows, are looked at unless told otherwise."""
MOST_SHOWN = 10
"""So many weights that are wrong are shown to people; `GradientCheck.to_dict` has all of them."""


class WeightCheck(NamedTuple):
    """A weight: its place in w, its name, the gradient, the numeric slope, its bound; ``right``, ``kink`` or ``wrong``.

    A `step` of 0 is a complex step, which has no truncation.
    """

    place: int
    name: str
    gradient: float
    numeric: float
    bound: float
    step: float
    verdict: str


class LayerCheck(NamedTuple):
    """A layer: how many weights were checked, how many sit at a kink, how many are wrong, and the worst of them."""

    name: str
    checked: int
    kinks: int
    wrong: int
    worst: WeightCheck

    @property
    def verdict(self) -> str:
        """``right`` or ``wrong``; at a kink each of the two slopes is right."""
        return "wrong" if self.wrong else "right"


@dataclass(frozen=True)
class GradientCheck:
    """What a gradient check found.

    Parameters
    ----------
    layers : tuple of LayerCheck
        From the first to the last; a function that is no network is one layer called ``w``.
    weights : tuple of WeightCheck
        All that was checked.
    way : str
        ``complex step`` or ``central differences``.
    rows : int
        Rows the loss was taken over; 0 for a function that is no network.
    notes : tuple of str
        What was left out, and where a fault seems to lie.
    """

    layers: tuple[LayerCheck, ...]
    weights: tuple[WeightCheck, ...]
    way: str
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether every gradient lies within its bound."""
        return all(layer.verdict == "right" for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: layers with their worst weight, and each weight that is wrong."""
        layers = [
            {**layer._asdict(), "worst": layer.worst._asdict(), "verdict": layer.verdict} for layer in self.layers
        ]
        wrong = [weight._asdict() for weight in self.weights if weight.verdict == "wrong"]
        return {
            "right": self.right, "way": self.way, "rows": self.rows, "weights": len(self.weights), "layers": layers,
            "wrong": wrong, "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        over = f" over {self.rows:,} rows" if self.rows else ""
        lines = [f"gradient of {len(self.weights):,} weights against {self.way}{over}"]
        for layer in self.layers:
            worst = layer.worst
            error = abs(worst.gradient - worst.numeric)
            kinks = f", {layer.kinks} at a kink" if layer.kinks else ""
            wrong = f"{layer.wrong} wrong" if layer.wrong else "all right"
            lines.append(
                f"  {layer.name:10} {layer.checked:5,} checked, {wrong}{kinks}; nearest its bound: {worst.name}, "
                f"off by {error:.1e}, allowed {worst.bound:.1e}"
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def gradient(
    objective: Any, w: Any, *, weights: int = MOST_WEIGHTS, rows: int = MOST_ROWS, seed: int = 0,
    names: Names | None = None,
) -> GradientCheck:  # fmt: skip
    """Check an objective's gradient at w, weight by weight.

    Parameters
    ----------
    objective : Objective
        Its engine computes the gradient. Any object with ``value_grad(w)`` will do: then differences are taken, and
        the noise in its values is measured.
    w : array of shape (p,)
        Where to check.
    weights : int
        Weights of each layer that are looked at, drawn by chance where there are more.
    rows : int
        Rows over which the loss is taken, drawn by chance where there are more.
    seed : int
        Seed of what is drawn.
    names : Names, optional
        What the weights are called; by number unless given.

    Returns
    -------
    GradientCheck
        A verdict for each layer, with the worst weight, its error and its bound.

    Raises
    ------
    InputError
        If w does not fit or is not finite.
    SettingError
        If a number is not a whole number from 1 up.

    Examples
    --------
    >>> import numpy as np
    >>> from deltarule import Network, Objective
    >>> net = Network((2, 3, 1), "tanh")
    >>> X = np.random.default_rng(0).normal(size=(20, 2))
    >>> found = gradient(Objective(net, "squared_error", X, X[:, 0]), net.initial_weights(0))
    >>> found.right, found.way
    (True, 'complex step')
    """
    for name, count in (("weights", weights), ("rows", rows)):
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise SettingError(f"{name} was {count!r}; it is a whole number from 1 up.")
    if not isinstance(objective, Objective):
        return _of_function(objective, np.asarray(w, dtype=float), weights, seed)
    rng = np.random.default_rng(seed)
    few, note = _fewer_rows(objective, rows, rng)
    notes = [note] if note else []
    given = few.weights(w)
    analytic = np.asarray(few.value_grad(given)[1], dtype=float)
    exact = np.asarray(given, dtype=float)
    sums = _Rounding(few, exact, float(np.finfo(np.asarray(given).dtype).eps) / 2)
    found = []
    network = few.network
    names = Names(network) if names is None else names
    complex_step = ComplexStep(network, few.loss, exact, sums.rows, few.l2) if serves(network, few.loss) else None
    kinks = _touched_by_kinks(complex_step, sums.relative) if complex_step is not None else None
    double = Objective(network, few.loss, *sums.rows, l2=few.l2, engine=ArrayEngine(network, few.loss))
    for i, _, k in network.spans:
        chosen = np.arange(i, k)
        if len(chosen) > weights:
            chosen = np.sort(rng.choice(chosen, weights, replace=False))
        for index in map(int, chosen):
            bound, kink = float(sums.gradient[index]), False
            if complex_step is not None:
                numeric = complex_step.slope(index)
                slope = Slope(numeric, 0.0, 0.0, numeric, numeric)
                kink = bool(kinks is not None and kinks[index])
            else:
                slope = check_differences.slope(double.value, exact, index, sums.value)
            found.append(_judged(names.weight(index), index, float(analytic[index]), slope, bound, kink))
    way = "complex step" if complex_step is not None else "central differences"
    layers = _layers(network, found)
    if sum(layer.checked for layer in layers) < network.n_weights:
        notes.append(f"{len(found):,} of {network.n_weights:,} weights were drawn; weights=… looks at more")
    return GradientCheck(tuple(layers), tuple(found), way, few.n_rows, (*notes, *_suspects(few, layers)))


class _Rounding:
    """How far sums over rows may err by rounding, for one objective at one w."""

    def __init__(self, objective: Objective, w: Floats, unit: float) -> None:
        X, T, s = (None if A is None else np.asarray(A, dtype=float) for A in objective.rows)
        self.rows = Rows(X, T, s)
        self.relative = unit * (2 / SATURATED + 4 * sum(objective.network.sizes) + objective.n_rows)
        engine, rng = ArrayEngine(objective.network, objective.loss), np.random.default_rng(0)

        def changed(A: Any) -> Any:
            return A * (1 + CHANGE * rng.choice([-1.0, 1.0], A.shape))

        n = objective.n_rows
        here, slopes = engine.value_grad(w, self.rows)
        effects = [engine.value_grad(changed(w), Rows(changed(X), changed(T), s)) for _ in range(CHANGES)]
        value = max(abs(effect[0] - here) for effect in effects) / CHANGE + abs(here)
        grad = np.max([np.abs(effect[1] - slopes) for effect in effects], axis=0) / CHANGE + np.abs(slopes)
        passed = engine.trace(w, X)
        largest = float(np.sum((1 + np.abs(passed.E[-1]) + np.abs(passed.Y[-1]) + np.abs(self.rows.T)) ** 2))
        self.value = self.relative * ((value + largest) / n + objective.penalty(w))
        self.gradient = self.relative * (grad / n + objective.l2 * np.abs(w))
        self.gradient += np.finfo(float).tiny  # where all is exactly 0


def _fewer_rows(objective: Objective, most: int, rng: "np.random.Generator") -> tuple[Objective, str]:
    n = objective.n_rows
    if n <= most:
        return objective, ""
    taken = np.sort(rng.choice(n, most, replace=False))
    X, T, s = (None if A is None else A[taken, ...] for A in objective.rows)
    if s is not None and float(s.sum()) <= 0:
        return objective, ""
    few = Objective(objective.network, objective.loss, X, T, s, objective.l2, objective.engine)
    return few, f"{most:,} of {n:,} rows were drawn; rows=… takes more"


def _judged(name: str, index: int, given: float, slope: Slope, bound: float, at_kink: bool) -> WeightCheck:
    right = slope.accepts(given, bound)
    verdict = "kink" if at_kink or slope.kink else "right"
    if not right and not at_kink:
        verdict = "wrong"
    return WeightCheck(index, name, given, slope.value, slope.bound + bound, slope.step, verdict)


def _touched_by_kinks(complex_step: ComplexStep, near: float) -> NDArray[np.bool_]:
    """Return for each weight whether a neuron at a kink lies above it, or is its own."""
    network = complex_step.network
    touched = np.zeros(network.n_weights, dtype=bool)
    above = False
    for layer, (W, b) in reversed(list(enumerate(network.layers(touched)))):
        hit = complex_step.at_kink(layer, near)
        W[:] = above | hit[:, None]
        b[:] = above | hit
        above = above or bool(hit.any())
    return touched


def _layers(network: Any, found: list[WeightCheck]) -> list[LayerCheck]:
    layers = []
    for layer, (i, _, k) in enumerate(network.spans):
        layers.append(_layer(network.layer_name(layer), [weight for weight in found if i <= weight.place < k]))
    return layers


def _layer(name: str, weights: list[WeightCheck]) -> LayerCheck:
    def severity(weight: WeightCheck) -> tuple[bool, float]:
        error = abs(weight.gradient - weight.numeric) / weight.bound
        return weight.verdict == "wrong", error if np.isfinite(error) else np.inf

    kinks, wrong = (sum(weight.verdict == verdict for weight in weights) for verdict in ("kink", "wrong"))
    return LayerCheck(name, len(weights), kinks, wrong, max(weights, key=severity))


def _suspects(objective: Objective, layers: list[LayerCheck]) -> list[str]:
    """Return where a fault lies: in the last layer that is wrong, for it spoils all below it."""
    wrong = [number for number, layer in enumerate(layers) if layer.verdict == "wrong"]
    if not wrong:
        return []
    name = objective.network.activations[wrong[-1]].name
    return [
        f"{layers[wrong[-1]].name} is the last wrong layer, and its δ · f′(e) reaches all before it: look at the slope "
        f"of its activation {name!r} with check.formula"
    ]


def _of_function(objective: Any, w: Floats, weights: int, seed: int) -> GradientCheck:
    """Check any function with a gradient by differences."""
    if not callable(getattr(objective, "value_grad", None)):
        raise SettingError(f"The objective was {objective!r}; give an Objective, or an object with value_grad(w).")
    if w.ndim != 1 or not np.all(np.isfinite(w)):
        raise InputError(f"w has shape {w.shape}; give finite numbers of shape (p,).")

    def value(at: Floats) -> float:
        return float(objective.value_grad(at)[0])

    analytic, error = np.asarray(objective.value_grad(w)[1], dtype=float), check_differences.noise(value, w)
    chosen = np.arange(len(w))
    if len(chosen) > weights:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, weights, replace=False))
    unit, found = float(np.finfo(float).eps), []
    for index in map(int, chosen):
        slope = check_differences.slope(value, w, index, error)
        found.append(_judged(f"w[{index}]", index, float(analytic[index]), slope, unit * abs(analytic[index]), False))
    return GradientCheck((_layer("w", found),), tuple(found), "central differences", 0)
