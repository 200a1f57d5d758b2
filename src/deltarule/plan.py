"""What to do with a table when the user has not said: hidden layer, method, penalties, limits.

docs/explain/architecture.md gives the reasons, and a way to compare other choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

from deltarule import methods
from deltarule.errors import SettingError, wrong
from deltarule.methods import Method, schedules
from deltarule.stopping import MaxFail, MaxSeconds, MaxSteps, MinGrad, Stalled, StopRule

WIDTHS = ((200, 8), (1_000, 16), (10_000, 32))
"""(rows, neurons): the hidden layer for tables with up to so many training rows."""
WIDEST = 64
FOLDS = ((70, 10), (700, 5), (2_000, 3))
"""(rows, parts): the cross-validation for tables with up to so many training rows; beyond, the validation rows."""
LINEAR_PENALTIES = (1000.0, 30.0, 3.0, 1.0, 0.3, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 2e-4)
"""Values of l2 tried by cross-validation without hidden layer; the first leaves hardly more than the targets' mean."""
HIDDEN_PENALTIES = (0.1, 0.03, 1e-2, 3e-3, 1e-3, 3e-4, 3e-5)
"""Values of l2 tried by cross-validation with hidden layers."""
STRONGEST = 1.0
"""Tried first where the user wants hidden layers: it too leaves hardly more than the targets' mean."""
BATCH_ROWS = 20_000
"""Up to so many training rows a method that uses all of them at each step; beyond it Adam on mini-batches."""
MATRIX_WEIGHTS = 300
"""Up to so many weights Levenberg-Marquardt, whose steps cost their square and cube, where it can solve for the last
layer: with squared error and linear outputs."""
COMPARING = methods.LBFGS()
"""What candidates are compared by. With the last layer solved for it comes to the same scores in half as much time
again."""
LARGEST_PENALTY = 1e150
"""Beyond it the penalty of a weight overflows."""
PENALTIES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 1.0)
"""Values of l2 tried where a run is cheap and the validation rows decide."""
LINEAR_TOO = (1e-2, 1e-4)
"""Values of l2 that the validation rows compare without hidden layer as well, if the user has not named one."""
SINGLE_PENALTY = 1e-5
SEARCH_STEPS, SEARCH_FAILS = 300, 20
MATRIX_STEPS, MATRIX_FAILS = 100, 6
CROSS_STEPS = 100
CROSS_STALLED, STALLED = (1e-5, 10), (1e-7, 20)
"""(share, steps) within which the loss must change for a run to go on: to compare candidates, or for the validation."""
ADAM_EPOCHS, ADAM_FAILS, ADAM_RATE, ADAM_ROWS = 100, 10, 3e-3, 128
FIRST_ORDER_STEPS, FIRST_ORDER_FAILS = 500, 25
LARGEST_LAYERS = 10_000_000


class Candidate(NamedTuple):
    """One of the models that a table's rows choose among."""

    hidden: tuple[int, ...]
    l2: float


@dataclass(frozen=True)
class Plan:
    """How a table is trained on.

    Parameters
    ----------
    candidates : tuple of Candidate
        Hidden layers and penalties to try; of each hidden layer the simplest first.
    folds : int
        Parts of the cross-validation that chooses among them; 0 where the validation rows choose.
    method : Method
        How weights are chosen.
    stop : tuple of stop rules
        When each run ends.
    max_steps : int
        The step limit among the stop rules.
    comparing : Plan, optional
        How candidates are trained for the cross-validation, where that is not how the chosen one is.
    """

    candidates: tuple[Candidate, ...]
    folds: int
    method: Method
    stop: tuple[StopRule, ...]
    max_steps: int
    comparing: Plan | None = None


def make(
    n_rows: int,
    *,
    n_weights: int = 0,
    projects: bool = False,
    hidden: Any = None,
    method: Any = "auto",
    settings: dict[str, Any] | None = None,
    l2: Any = "auto",
    max_steps: int | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Plan:
    """Return the plan for a number of training rows and what the user has said.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_weights : int
        Weights of the largest network that may be trained; see `method_for`.
    projects : bool
        Whether its last layer can be solved for: squared error, linear outputs.
    hidden : int, sequence of int or None
        Widths of the hidden layers; ``()`` for none; chosen by the rows unless given.
    method : str or Method
        ``auto``, or a method.
    settings : dict, optional
        Settings of the method, when it is given by name.
    l2 : "auto" or float
        The penalty; ``auto`` stands for several values, of which the rows choose one, or for 0 where the method finds
        its penalty itself.
    max_steps : int, optional
        Steps at most (epochs for online training).
    max_seconds : float, optional
        Seconds at most for each run.
    seed : int
        Seed of the orders of online training.

    Raises
    ------
    SettingError
        If a value is unknown or out of range.
    """
    if settings is not None and not (isinstance(settings, Mapping) and all(isinstance(name, str) for name in settings)):
        raise wrong("settings", settings, "give names and values, such as {'learning_rate': 0.05}")
    open_choice = isinstance(method, str) and method == "auto" and _is_auto(l2)
    folds = next((parts for rows, parts in FOLDS if n_rows <= rows), 0) if open_choice else 0
    if isinstance(method, str) and method == "auto":
        method, preset = method_for(n_rows, n_weights, projects)
        settings = preset | (settings or {})
    chosen, steps, fails = _method(method, dict(settings or {}), seed, max_steps)
    if isinstance(chosen, methods.BayesianRegularization) and _is_auto(l2):
        l2 = 0.0  # it finds its penalty itself
    candidates = _candidates(n_rows, hidden, l2, folds, open_choice)
    limits: list[StopRule] = [MinGrad(1e-6)] if max_seconds is None else [MinGrad(1e-6), MaxSeconds(max_seconds)]
    many = CROSS_STEPS if max_steps is None else max_steps
    quick = Plan(candidates, folds, COMPARING, (MaxSteps(many), *limits, Stalled(*CROSS_STALLED)), many)
    if folds and chosen == quick.method:
        return quick
    steps = steps if max_steps is None else max_steps
    stop: list[StopRule] = [MaxSteps(steps), *limits]
    if not folds:
        stop.append(MaxFail(fails))
    if not isinstance(chosen, methods.Online):
        stop.append(Stalled(*STALLED))
    return Plan(candidates, folds, chosen, tuple(stop), steps, quick if folds else None)


def width(n_rows: int) -> int:
    """Return the neurons of the hidden layer for a number of training rows."""
    return next((neurons for rows, neurons in WIDTHS if n_rows <= rows), WIDEST)


def widths(n_rows: int, hidden: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers: those the user gave, or unless given one by the number of rows.

    Raises
    ------
    SettingError
        If `hidden` is neither None nor one or more widths.
    """
    return (width(n_rows),) if hidden is None else _widths(hidden)


def named(method: str, settings: dict[str, Any], seed: int, epochs: int) -> Method:
    """Return a method from its name or alias and settings.

    Online training gets the seed for its orders, and a schedule given by its name the number of epochs, unless the
    settings say otherwise.

    Raises
    ------
    SettingError
        If a name is unknown or a value is out of range.
    """
    if methods.ALIASES.get(method, (method, {}))[0] == "online":
        settings = {"seed": int(seed)} | settings
        if isinstance(settings.get("learning_rate"), str):
            settings["learning_rate"] = schedules.get(settings["learning_rate"], epochs)
    return methods.get(method, **settings)


def _candidates(n_rows: int, hidden: Any, l2: Any, folds: int, open_choice: bool) -> tuple[Candidate, ...]:
    layers = widths(n_rows, hidden)
    if folds:
        linear = tuple(Candidate((), value) for value in LINEAR_PENALTIES)
        deep = tuple(Candidate(layers, value) for value in HIDDEN_PENALTIES)
        if hidden is None:
            return linear + deep
        return (Candidate(layers, STRONGEST), *deep) if layers else linear
    made = tuple(Candidate(layers, value) for value in _penalties(n_rows, l2))
    if open_choice and hidden is None and n_rows <= BATCH_ROWS:
        made = (*(Candidate((), value) for value in LINEAR_TOO), *made)
    return made


def method_for(n_rows: int, n_weights: int, projects: bool) -> tuple[str, dict[str, Any]]:
    """Return the name and settings of the method for a table, as docs/explain/architecture.md has measured.

    Parameters
    ----------
    n_rows : int
        Training rows.
    n_weights : int
        Weights of the network.
    projects : bool
        Whether the last layer can be solved for: squared error, linear outputs.
    """
    if n_rows > BATCH_ROWS:
        return "adam", {"learning_rate": ADAM_RATE, "batch_size": ADAM_ROWS}
    if projects and n_weights <= MATRIX_WEIGHTS:
        return "levenberg_marquardt", {}
    return "lbfgs", {}


def _method(method: Any, settings: dict[str, Any], seed: int, max_steps: int | None) -> tuple[Method, int, int]:
    if settings and not isinstance(method, str):
        given = ", ".join(settings)
        raise SettingError(f"The settings {given} are for a method given by name; set them in the object.")
    epochs = max_steps or ADAM_EPOCHS
    made = named(method, settings, seed, epochs) if isinstance(method, str) else methods.get(method)
    if isinstance(made, methods.Online):
        return made, ADAM_EPOCHS, ADAM_FAILS
    if isinstance(made, methods.LevenbergMarquardt):
        return made, MATRIX_STEPS, MATRIX_FAILS
    if isinstance(made, methods.ConjugateGradient | methods.LBFGS):
        return made, SEARCH_STEPS, SEARCH_FAILS
    return made, FIRST_ORDER_STEPS, FIRST_ORDER_FAILS


def _widths(hidden: Any) -> tuple[int, ...]:
    try:
        widths = (hidden,) if isinstance(hidden, Integral) else tuple(hidden)
        fine = all(isinstance(width, Integral) and 1 <= int(width) <= LARGEST_LAYERS for width in widths)
    except TypeError:
        fine = False
    if not fine or isinstance(hidden, str | bool):
        raise wrong("hidden", hidden, "give widths of hidden layers such as (32, 16), or () for none")
    return tuple(int(width) for width in widths)


def _is_auto(l2: Any) -> bool:
    return isinstance(l2, str) and l2 == "auto"


def _penalties(n_rows: int, l2: Any) -> tuple[float, ...]:
    if _is_auto(l2):
        return PENALTIES if n_rows <= BATCH_ROWS else (SINGLE_PENALTY,)
    number: Any = l2 if isinstance(l2, Real) and not isinstance(l2, bool) else -1
    if 0 <= number <= LARGEST_PENALTY:
        return (float(number),)
    raise wrong("l2", l2, "it is 'auto' or a number from 0 up")
