"""From what is given to a case: a model and a table, an objective and a run, a fitted estimator and its rows."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import methods
from deltarule.errors import DeltaruleError, InputError, SettingError
from deltarule.explain import health_rows, subject
from deltarule.explain.diagnosis.case import Case, numbers
from deltarule.explain.health_recorder import HealthRecorder
from deltarule.explain.names import Names
from deltarule.history import Result
from deltarule.methods import Method, Online, rules, schedules
from deltarule.methods.line_search import StrongWolfe
from deltarule.model import Model
from deltarule.objective import Objective
from deltarule.preconditioning import without
from deltarule.stopping import MaxSteps, MinGrad, Reason
from deltarule.train import train

Floats = NDArray[np.float64]

MINI_BATCH, AUTO_ROWS = ("adam", "sgd"), 200
"""Solvers of scikit-learn's that learn from mini-batches, and the rows of one where ``batch_size="auto"``."""
AGAIN = 300
"""Steps of a run that is made again, where it is not known how many there were; and at most."""
MOST_AGAIN = 2000
LOOKS = 60
"""Looks at the neurons' health in such a run."""


@dataclass(frozen=True)
class Given:
    """What is known of what was given.

    Parameters
    ----------
    objective : Objective
        All the rows.
    w : array of shape (p,)
        Where training stands.
    names : Names
        Names of columns and neurons.
    method : Method or None
        How it was trained.
    losses : sequence of float
        The losses of the run.
    reason : Reason or None
        Why it ended.
    result : Result or None
        The run itself.
    recorder : HealthRecorder or None
        The health of the neurons in it.
    seed : int
        The seed that it began with, as far as that is known.
    steps : int or None
        Its steps.
    notes : tuple of str
        What is not known.
    """

    objective: Objective
    w: Floats
    names: Names
    method: Method | None
    losses: Sequence[float] = ()
    reason: Reason | None = None
    result: Result | None = None
    recorder: HealthRecorder | None = None
    seed: int = 0
    steps: int | None = None
    notes: tuple[str, ...] = ()

    def case(self) -> Case:
        """Return the case, on some of the rows where there are many."""
        taken = health_rows.sample(self.objective)
        return Case(taken, self.w, self.names, without(self.method), numbers(self.losses), self.reason, self.recorder)


def read(
    given: Any, rows: Any, targets: Any, w: Any, loss: Any, l2: float | None, method: Any, history: Sequence[Any],
    recorder: HealthRecorder | None, query: str | None, member: int,
) -> Given:  # fmt: skip
    """Return what is known; see `deltarule.explain.diagnose` for the parameters."""
    result = rows if isinstance(rows, Result) else None
    if result is not None:
        if not isinstance(given, Objective):
            raise InputError(
                f"A Result was given with a {type(given).__name__}; give it with the Objective of its run."
            )
        w, rows, history = result.w, None, history or result.history
    elif isinstance(given, Objective) and rows is not None:
        w, rows = (rows, None) if w is None else (w, rows)
    notes: list[str] = []
    reason, seed, steps = None if result is None else result.reason, 0, None
    made = None if method is None else methods.get(method)
    is_estimator = hasattr(given, "coefs_")
    if is_estimator and l2 is None and rows is not None:
        l2 = float(getattr(given, "alpha", 0.0)) / max(1, len(rows))
    found = subject.of(given, rows, targets, w, loss, l2, None, query, member)
    names = found.names
    if isinstance(given, Model):
        history = history or (given.history if member == 0 else ())
        made = _method_of(given, notes) if made is None else made
        kept = [run for run in given.training.runs if run.kept]
        seed, steps = given.training.seed, given.training.steps
        if member < len(kept):
            reason, seed, steps = Reason[kept[member].reason], kept[member].seed, kept[member].steps
    elif is_estimator:
        history = history or list(getattr(given, "loss_curve_", None) or ())
        reason = _reason_of(given)
        made = _solver_of(given, found.objective.n_rows, notes) if made is None else made
        known = getattr(given, "feature_names_in_", None)
        names = names if known is None else Names(names.network, tuple(map(str, known)))
        state = getattr(given, "random_state", None)
        seed, steps = state if isinstance(state, int) and state >= 0 else 0, getattr(given, "n_iter_", None)
    if not np.all(np.isfinite(np.asarray(found.w, dtype=float))):
        notes.append("some weights are not finite")
    losses = [float(getattr(one, "loss", one)) for one in history]
    return Given(
        found.objective, np.asarray(found.w, dtype=float), names, made, losses, reason, result, recorder, seed,
        steps or (len(losses) - 1 if losses else None), tuple(notes),
    )  # fmt: skip


def again(given: Given) -> Given:
    """Return a new run from fresh weights, in the place of the one that was given: with its history and health.

    Raises
    ------
    SettingError
        If the method is not known.
    """
    if given.method is None:
        raise SettingError("The method is not known, so it cannot be trained again; give method=….")
    objective = given.objective
    X = np.asarray(objective.rows.X, dtype=float)
    ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
    steps = min(MOST_AGAIN, max(20, AGAIN if given.steps is None else given.steps + 1))
    recorder = HealthRecorder(max(1, steps // LOOKS), given.names.inputs, given.names.outputs)
    start = objective.network.initial_weights(given.seed, input_ranges=ranges)
    result = train(objective, start, given.method, [MaxSteps(steps), MinGrad()], record=recorder)
    note = f"trained again from fresh weights (seed {given.seed}), {len(result.history) - 1:,} steps: {result.message}"
    return replace(
        given, w=np.asarray(result.w, dtype=float), losses=[one.loss for one in result.history], reason=result.reason,
        result=result, recorder=recorder, notes=(*given.notes, note),
    )  # fmt: skip


def _method_of(model: Model, notes: list[str]) -> Method | None:
    """Return the method that a model was trained by, as far as its file tells."""
    name, settings = model.training.method, model.training.settings
    made = methods.METHODS.get(name)
    if made is None:
        notes.append(f"the method {name!r} is not known here")
        return None
    accepted = {key: _value(value) for key, value in settings.items() if key in made.__dataclass_fields__}
    try:
        return methods.get(name, **accepted)
    except DeltaruleError:
        notes.append(f"not all settings of {name} can be read from the model; its defaults are taken")
        return methods.get(name)


def _value(value: Any) -> Any:
    """Return a setting from what a model file holds: rules and schedules are written as they are made."""
    if not isinstance(value, str) or not value.endswith(")"):
        return value
    kinds = {made.__name__: made for made in (*rules.RULES.values(), *schedules.SCHEDULES.values(), StrongWolfe)}
    try:
        call = ast.parse(value, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return value
        return kinds[call.func.id](**{str(key.arg): ast.literal_eval(key.value) for key in call.keywords})
    except (SyntaxError, ValueError, KeyError, TypeError, SettingError):
        return value


def _solver_of(estimator: Any, n_rows: int, notes: list[str]) -> Method | None:
    """Return the method of an estimator of scikit-learn's kind."""
    solver = getattr(estimator, "solver", None)
    if solver in MINI_BATCH:
        size = AUTO_ROWS if estimator.batch_size == "auto" else int(estimator.batch_size)
        rate = float(estimator.learning_rate_init)
        return Online(rate, min(size, n_rows), _rule_of(estimator), bool(estimator.shuffle))
    try:
        return methods.get(solver)
    except SettingError:
        notes.append(f"the solver {solver!r} is not known here")
        return None


def _rule_of(estimator: Any) -> Any:
    if estimator.solver == "adam":
        return rules.Adam(float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon))
    if not estimator.momentum:
        return rules.Plain()
    rule = rules.Nesterov if estimator.nesterovs_momentum else rules.Momentum
    return rule(float(min(estimator.momentum, 1 - 1e-9)))


def _reason_of(estimator: Any) -> Reason | None:
    """Return why an estimator's run ended, as far as it tells."""
    if getattr(estimator, "n_iter_", 0) >= getattr(estimator, "max_iter", np.inf):
        return Reason.MAX_STEPS
    return Reason.VALIDATION if getattr(estimator, "early_stopping", False) else Reason.STALLED
