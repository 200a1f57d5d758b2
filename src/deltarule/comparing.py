"""Methods raced on one table: the same rows, network and starts, one run after the other.

Of each start all methods run in turn, so that a machine that slows down slows all of them, and a race that is broken
off has treated all of them alike. No run sees the validation rows: their loss is taken when it has ended, at its last
weights. No run stops at the goal: all of them have the same passes or seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import cholesky, fitting, interrupts, plan, preparation
from deltarule.activations import Activation
from deltarule.comparison import GOAL_GIVEN, GOAL_OF_RACE, UNFINISHED, Comparison, Curve, Run, summed_up
from deltarule.entrants import Entrant, entrants_of
from deltarule.errors import DeltaruleError, SettingError
from deltarule.history import Result
from deltarule.losses import Loss
from deltarule.methods import Method
from deltarule.network import Network
from deltarule.numeric import isfinite
from deltarule.objective import Objective
from deltarule.provenance import PARTS
from deltarule.record import Record
from deltarule.stopping import MaxPasses, MaxSeconds, MinGrad, Reason, StopRule
from deltarule.train import train

Floats = NDArray[np.float64]

MAX_PASSES = 1000
"""Passes of each run, where neither passes nor seconds are given."""


class Lap(NamedTuple):
    """What an observer of `compare` is told after each step: the record, whose it is, how much of the run is over."""

    record: Record
    label: str
    run: int
    runs: int
    share: float


class Limits(NamedTuple):
    """What each run has: passes, seconds, or both."""

    passes: float | None
    seconds: float | None

    @property
    def epochs(self) -> int:
        """About how many epochs that is, for schedules that go by it."""
        return plan.ADAM_EPOCHS if self.passes is None else max(1, round(self.passes))

    def rules(self) -> list[StopRule]:
        """Return the stop rules of a run."""
        rules: list[StopRule] = [MinGrad()]
        if self.passes is not None:
            rules.append(MaxPasses(self.passes))
        if self.seconds is not None:
            rules.append(MaxSeconds(self.seconds))
        return rules

    def share(self, record: Record) -> float:
        """Return how much of a run is over, from 0 to 1."""
        passes = 0.0 if self.passes is None else record.passes / self.passes
        seconds = 0.0 if self.seconds is None else record.seconds / self.seconds
        return min(1.0, max(passes, seconds))


class Track(NamedTuple):
    """What all runs have in common."""

    network: Network
    training: Objective
    validation: Objective
    input_ranges: Floats
    limits: Limits
    observe: Callable[[Lap], object] | None
    interrupt: str


def compare(
    source: Any,
    target: str | Sequence[str],
    methods: Sequence[str | Method] | Mapping[str, str | Method] | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    query: str | None = None,
    inputs: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    task: str | None = None,
    hidden: int | Sequence[int] | None = None,
    activation: str | Activation | Sequence[str | Activation] = "tanh",
    loss: str | Loss | None = None,
    l2: float = 0.0,
    scaling: str = "standard",
    split_by: str = "random",
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
    seeds: int = 3,
    max_passes: float | None = None,
    max_seconds: float | None = None,
    goal: float | None = None,
    observe: Callable[[Lap], object] | None = None,
    interrupt: str = "raise",
) -> Comparison:
    """Race methods on a table: the same split, encoding, network and initial weights, the same passes or seconds.

    Parameters
    ----------
    source : path, frame, dict or Table
        As for `fit`.
    target : str or sequence of str
        The column or columns to predict.
    methods : sequence of str or Method, or mapping of str to them, optional
        Names, aliases or objects of `deltarule.methods`; a mapping gives them labels of your own. All methods with
        their default settings unless given.
    settings : mapping of str to mapping, optional
        Settings of methods given by name: label to names and values.
    query, inputs, exclude, task : optional
        As for `fit`.
    hidden : int, sequence of int, optional
        Widths of the hidden layers, ``()`` for none; unless given, one layer by the number of rows.
    activation, loss : optional
        As for `fit`.
    l2 : float
        Penalty on the squared weights. It is part of the training loss.
    scaling, split_by, fractions : optional
        As for `fit`; the split is the same for the same seed. Test rows take no part.
    seed : int
        Seed of the split and of the first start: initial weights, and orders of online training.
    seeds : int
        How many starts; each has the next seed.
    max_passes : float, optional
        Evaluations over all training rows that each run has, whatever for; the step in which they run out is
        finished. 1,000 if neither this nor `max_seconds` is given.
    max_seconds : float, optional
        Seconds that each run has.
    goal : float, optional
        The training loss to reach. Unless given, about 1.05 times the median of the methods' final losses (of an
        even number the higher of the middle two), which most of them reach; those that have not come below the start
        do not count.
    observe : callable, optional
        Told a `Lap` after each step; returning True ends the race.
    interrupt : str
        What Ctrl-C does: ``raise`` KeyboardInterrupt, or ``keep``: end the race with what there is so far.

    Returns
    -------
    Comparison
        A row for each method; print it, or see `Comparison.plot`, `Comparison.frame` and `Comparison.to_dict`.

    Raises
    ------
    TableError, SettingError
        As `fit`; and if a method is unknown or named twice. A method that cannot run on this problem, or diverges, is
        a row with its reason.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-2, 2, 100)
    >>> race = compare({"x": x, "y": np.sin(2 * x)}, "y", ["gd", "cg"], seeds=1, max_passes=200)
    >>> race["cg"].loss.median < race["gd"].loss.median
    True
    """
    keep = interrupts.keeps(interrupt)
    limits = _limits(max_passes, max_seconds)
    entrants = entrants_of(methods, settings, limits.epochs)
    if not isinstance(seeds, Integral) or isinstance(seeds, bool) or seeds < 1:
        raise SettingError(f"seeds was {seeds!r}; it is the number of starts, a whole number from 1 up.")
    if goal is not None and (not isinstance(goal, Real) or isinstance(goal, bool) or not 0 <= goal < inf):
        raise SettingError(f"goal was {goal!r}; it is the training loss to reach, a number from 0 up.")
    prepared = preparation.prepare(
        source, target, query=query, inputs=inputs, exclude=exclude, task=task, loss=loss, scaling=scaling,
        split_by=split_by, fractions=fractions, seed=seed,
    )  # fmt: skip
    track = _track(prepared, hidden, activation, l2, limits, observe, interrupt)
    runs: dict[str, list[Run]] = {entrant.label: [] for entrant in entrants}
    try:
        for label, run in _race(track, entrants, seed, seeds):
            runs[label].append(run)
    except interrupts.INTERRUPTS:
        if not keep:
            raise
    raced = []
    for entrant in entrants:
        method = entrant.method(limits.epochs, seed)
        raced.append((entrant.label, method.name, fitting.settings_of(method), runs[entrant.label]))
    rows, found = summed_up(raced, None if goal is None else float(goal))
    finished = sum(run.reason not in UNFINISHED for row in rows for run in row.runs)
    return Comparison(
        about=_about(prepared, track, seed, seeds),
        rows=rows,
        goal=found,
        goal_from=GOAL_OF_RACE if goal is None else GOAL_GIVEN,
        interrupted=finished < len(entrants) * seeds,
        notes=tuple(prepared.notes),
    )


def _limits(max_passes: float | None, max_seconds: float | None) -> Limits:
    for name, value in (("max_passes", max_passes), ("max_seconds", max_seconds)):
        fine = value is None or (
            isinstance(value, Real) and not isinstance(value, bool) and isfinite(value) and value > 0
        )
        if not fine:
            raise SettingError(f"{name} was {value!r}; it is what each run has at most, a number above 0.")
    return Limits(MAX_PASSES if max_passes is None and max_seconds is None else max_passes, max_seconds)


def _track(
    prepared: preparation.Prepared, hidden: Any, activation: Any, l2: float, limits: Limits,
    observe: Callable[[Lap], object] | None, interrupt: str,
) -> Track:  # fmt: skip
    encoded, loss = prepared.encoded, prepared.loss
    network = preparation.make_network(prepared, plan.widths(len(encoded.parts.train), hidden), activation)
    X, T = encoded.part("training")
    return Track(
        network,
        Objective(network, loss, X, T, l2=l2),
        Objective(network, loss, *encoded.part("validation")),
        np.column_stack([X.min(axis=0), X.max(axis=0)]),
        limits,
        observe,
        interrupt,
    )


def _race(track: Track, entrants: Sequence[Entrant], seed: int, seeds: int) -> Iterator[tuple[str, Run]]:
    """Yield each run with its label, until the caller has seen enough."""
    runs = len(entrants) * seeds
    for number in range(runs):
        start, entrant = number // len(entrants), entrants[number % len(entrants)]
        w = track.network.initial_weights(seed + start, input_ranges=track.input_ranges)
        if number == 0:
            with np.errstate(all="ignore"):  # what is slow the first time is nobody's time
                track.training.value_grad(w)
                cholesky.factor(np.eye(1))  # SciPy loads
        run = _run(
            track, entrant.method(track.limits.epochs, seed, start), w, seed + start, (entrant.label, number, runs)
        )
        yield entrant.label, run
        if run.reason in UNFINISHED:
            return


def _run(track: Track, method: Method, w: Floats, seed: int, place: tuple[str, int, int]) -> Run:
    """Return a method's run from a start; of one that cannot run, the reason.

    `place` is what an observer is told of the run: its label, its number, the number of runs.
    """

    def tell(record: Record) -> bool:
        lap = Lap(record, *place, track.limits.share(record))
        return track.observe is not None and track.observe(lap) is True

    try:
        with np.errstate(all="ignore"):  # train finds and names what becomes non-finite
            result = train(
                track.training, w, method, track.limits.rules(), observe=tell,
                interrupt=track.interrupt,
            )  # fmt: skip
            return _ended(track, seed, result)
    except MemoryError:
        message = "The memory of this machine is not enough for this method on this table and network."
    except DeltaruleError as error:
        message = str(error)
    return Run(seed, inf, inf, 0, None, message, Curve(np.empty(0), np.empty(0), np.empty(0)))


def _ended(track: Track, seed: int, result: Result) -> Run:
    """Return the run that a result is the end of: its losses at the last weights by the same functions for all."""
    history, reason, message = result.arrays(), result.reason, result.message
    losses, loss, validation_loss = history["loss"], inf, inf
    if reason is not Reason.NON_FINITE:
        loss, validation_loss = (objective.value(result.w) for objective in (track.training, track.validation))
        losses[-1] = loss
        if not isfinite(loss):
            loss, reason, message = inf, Reason.NON_FINITE, "At the last weights the training loss is not finite."
    if not isfinite(validation_loss):
        validation_loss = inf
    curve = Curve(history["passes"], history["seconds"], losses)
    return Run(seed, loss, validation_loss, max(0, len(losses) - 1), reason, message, curve)


def _about(prepared: preparation.Prepared, track: Track, seed: int, seeds: int) -> dict[str, Any]:
    """Return what all runs had in common, as JSON values."""
    network, limits = track.network, track.limits
    return {
        "table": prepared.table.name,
        "targets": list(prepared.encoding.target_names),
        "task": prepared.task,
        "sizes": list(network.sizes),
        "activations": [activation.name for activation in network.activations],
        "loss": str(prepared.loss),
        "l2": track.training.l2,
        "rows": {part: len(prepared.encoded.rows(part)) for part in PARTS},
        "seed": int(seed),
        "starts": int(seeds),
        "max_passes": limits.passes,
        "max_seconds": limits.seconds,
    }
