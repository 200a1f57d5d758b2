"""Why training stands still: the causes looked for in the order in which one explains the next."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import methods
from deltarule.errors import DeltaruleError, SettingError
from deltarule.explain import health_rows, subject
from deltarule.explain.diagnosis import data, ground, overflow, remedies, steps, units
from deltarule.explain.diagnosis.case import Case, numbers
from deltarule.explain.diagnosis.finding import Diagnosis, Finding
from deltarule.history import Result
from deltarule.methods import Method, rules, schedules
from deltarule.model import Model
from deltarule.stopping import Reason

Floats = NDArray[np.float64]

LEARNT = 0.05
"""Share of the baseline below which a network has learnt, and nothing is looked for."""

DETECTORS: dict[str, Callable[[Case], Finding | None]] = {
    "input_scale": data.input_scale,
    "input_outlier": data.input_outlier,
    "input_offset": data.input_offset,
    "target_range": data.target_range,
    "opposing_rows": data.opposing_rows,
    "symmetric_units": units.symmetric_units,
    "rate_large": steps.rate_large,
    "dead_units": units.dead_units,
    "saturation": units.saturation,
    "penalty": ground.penalty,
    "plateau": units.plateau,
    "saddle": ground.saddle,
    "rate_small": steps.rate_small,
    "poor_minimum": ground.poor_minimum,
    "unfinished": steps.unfinished,
}
"""What looks for each kind, in the order in which it is looked for."""
KINDS = ("non_finite", *DETECTORS)
"""Every kind of finding."""

_STANDS_STILL = ("plateau", "saddle", "rate_small", "poor_minimum", "unfinished")
_OF_NEURONS = ("dead_units", "saturation", "penalty", *_STANDS_STILL)
EXPLAINS: dict[str, Sequence[str]] = {
    "non_finite": _OF_NEURONS,
    "input_scale": ("rate_large", *_OF_NEURONS),
    "input_outlier": ("rate_large", *_OF_NEURONS),
    "input_offset": ("rate_large", *_OF_NEURONS),
    "target_range": ("rate_large", *_OF_NEURONS),
    "opposing_rows": ("rate_large", "penalty", *_STANDS_STILL),
    "symmetric_units": ("rate_large", "saturation", "penalty", *_STANDS_STILL),
    "rate_large": _OF_NEURONS,
    "dead_units": ("penalty", *_STANDS_STILL),
    "saturation": ("penalty", *_STANDS_STILL),
    "penalty": _STANDS_STILL,
    "plateau": _STANDS_STILL,
    "saddle": _STANDS_STILL,
    "rate_small": _STANDS_STILL,
    "poor_minimum": ("unfinished",),
}
"""What a finding brings about: that is not looked for any more, it would go away with its cause."""


def diagnose(
    given: Any,
    rows: Any = None,
    targets: Any = None,
    *,
    w: Any = None,
    method: Any = None,
    history: Sequence[Any] = (),
    test_advice: bool = False,
    query: str | None = None,
    member: int = 0,
) -> Diagnosis:
    """Say why training stands still, with evidence.

    Parameters
    ----------
    given : Model, Objective, Network or fitted estimator
        What was trained. A Model comes with a table, an Objective with its own rows, the others with X and y.
    rows : path, frame, dict, Table, array or Result
        The table, or X; for an Objective the weights, or the `Result` of a run, which brings its history.
    targets : array, optional
        T or y, where `rows` is X.
    w : array of shape (p,), optional
        The weights, where `given` has none of its own.
    method : str or Method, optional
        How it was trained; a Model remembers. Without it nothing can be said of learning rates.
    history : sequence of Record or of float
        The records or losses of the run; a Model that was just fitted, and a Result, bring theirs.
    test_advice : bool
        Whether each advice is tested on a clone, which takes some hundreds of passes.
    query : str, optional
        The SQL to run where `rows` is a database file.
    member : int
        Which network of an ensemble.

    Returns
    -------
    Diagnosis
        Findings, each with its measurements, thresholds and an advice; where the weights stand; the neurons' health.

    Raises
    ------
    InputError
        If something is missing or does not fit; the message says what is accepted.

    Examples
    --------
    >>> import numpy as np
    >>> from deltarule import Network, Objective
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> net = Network((2, 4, 1), "tanh")
    >>> objective = Objective(net, "squared_error", X, X[:, 0] * X[:, 1])
    >>> diagnose(objective, np.full(net.n_weights, 0.5)).kinds
    ('symmetric_units',)
    """
    result = rows if isinstance(rows, Result) else None
    if result is not None:
        w, rows, history = result.w, None, history or result.history
    elif w is None and rows is not None and np.ndim(rows) == 1 and hasattr(given, "value_grad"):
        w, rows = rows, None
    found = subject.of(given, rows, targets, w, None, None, None, query, member)
    notes: list[str] = []
    reason = None if result is None else result.reason
    if isinstance(given, Model):
        history = history or (given.history if member == 0 else ())
        reason = next((one for one in Reason if one.value == given.training.reason), None)
        method = _method_of(given, notes) if method is None else method
    made = None if method is None else methods.get(method)
    taken = health_rows.sample(found.objective)
    if taken.n_rows > len(taken.places):
        notes.append(f"{len(taken.places):,} of {taken.n_rows:,} rows were looked at")
    if made is None:
        notes.append("the method is not known: nothing can be said of learning rates")
    case = Case(taken, np.asarray(found.w, dtype=float), found.names, made, numbers(history), reason)
    first = _first(case, found.objective, result)
    return _diagnosis(case, first, test_advice, notes)


def _first(case: Case, objective: Any, result: Result | None) -> list[Finding]:
    """Return a finding if something became non-finite."""
    spilt = None
    if result is not None and result.reason is Reason.NON_FINITE and case.method is not None:
        spilt = overflow.of_result(objective, case.method, result)
    spilt = spilt or overflow.of_weights(objective, case.w)
    return [] if spilt is None else [overflow.finding(spilt)]


def _diagnosis(case: Case, findings: list[Finding], test_advice: bool, notes: Sequence[str]) -> Diagnosis:
    looked_for = case.finite and (bool(findings) or case.excess > LEARNT)
    explained = {kind for finding in findings for kind in EXPLAINS[finding.kind]}
    for kind, detect in DETECTORS.items() if looked_for else ():
        found = None if kind in explained else detect(case)
        if found is not None:
            findings.append(found)
            explained |= set(EXPLAINS.get(kind, ()))
    if test_advice:
        findings = [replace(finding, trial=remedies.trial(case, finding)) for finding in findings]
    return Diagnosis(
        tuple(findings), ground.standing(case), case.health, case.loss, case.baseline, len(case.taken.places),
        tuple(notes),
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
    kinds = {made.__name__: made for made in (*rules.RULES.values(), *schedules.SCHEDULES.values())}
    try:
        call = ast.parse(value, mode="eval").body
        assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        return kinds[call.func.id](**{str(key.arg): ast.literal_eval(key.value) for key in call.keywords})
    except (SyntaxError, ValueError, AssertionError, KeyError, TypeError, SettingError):
        return value
