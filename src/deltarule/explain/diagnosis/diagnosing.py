"""Why training stands still: the causes looked for in the order in which one explains the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from deltarule.explain.diagnosis import data, given, ground, overflow, remedies, steps, units
from deltarule.explain.diagnosis.case import Case
from deltarule.explain.diagnosis.finding import Diagnosis, Finding
from deltarule.explain.diagnosis.given import Given
from deltarule.explain.health_recorder import HealthRecorder
from deltarule.stopping import Reason

LEARNT = 0.05
"""Share of the baseline below which a network has learnt, and nothing is looked for."""

DETECTORS: tuple[tuple[str, Callable[[Case], Finding | None]], ...] = (
    ("input_scale", data.input_scale),
    ("input_outlier", data.input_outlier),
    ("input_offset", data.input_offset),
    ("target_range", data.target_range),
    ("opposing_rows", data.opposing_rows),
    ("penalty", ground.penalty),
    ("symmetric_units", units.symmetric_units),
    ("rate_large", steps.rate_large),
    ("dead_units", units.dead_units),
    ("poor_minimum", ground.stationary),
    ("saturation", units.saturation),
    ("saddle", ground.saddle),
    ("rate_small", steps.rate_small),
    ("plateau", units.plateau),
    ("poor_minimum", ground.poor_minimum),
    ("unfinished", steps.unfinished),
)
"""What looks for each kind, in the order in which it is looked for: a minimum where the gradient vanishes comes before
saturation, for there f′ holds nothing back, and one that is only nearly at rest after all else."""
KINDS = tuple(dict.fromkeys(["non_finite", *(kind for kind, _ in DETECTORS)]))
"""Every kind of finding."""

_STANDS_STILL = ("plateau", "saddle", "rate_small", "poor_minimum", "unfinished")
_OF_NEURONS = ("dead_units", "saturation", *_STANDS_STILL)
EXPLAINS: dict[str, Sequence[str]] = {
    "non_finite": ("penalty", *_OF_NEURONS),
    "input_scale": ("rate_large", "penalty", *_OF_NEURONS),
    "input_outlier": ("rate_large", "penalty", *_OF_NEURONS),
    "input_offset": ("rate_large", "penalty", *_OF_NEURONS),
    "target_range": ("rate_large", "penalty", *_OF_NEURONS),
    "opposing_rows": ("rate_large", "penalty", *_STANDS_STILL),
    "penalty": ("rate_large", "symmetric_units", *_OF_NEURONS),
    "symmetric_units": ("rate_large", *_OF_NEURONS),
    "rate_large": _OF_NEURONS,
    "dead_units": _STANDS_STILL,
    "saturation": _STANDS_STILL,
    "plateau": _STANDS_STILL,
    "saddle": _STANDS_STILL,
    "rate_small": _STANDS_STILL,
    "poor_minimum": ("saturation", *_STANDS_STILL),
}
"""What a finding brings about: that is not looked for any more, it would go away with its cause."""


def diagnose(
    what: Any,
    rows: Any = None,
    targets: Any = None,
    *,
    w: Any = None,
    loss: Any = None,
    l2: float | None = None,
    method: Any = None,
    history: Sequence[Any] = (),
    recorder: HealthRecorder | None = None,
    again: bool = False,
    test_advice: bool = False,
    query: str | None = None,
    member: int = 0,
) -> Diagnosis:
    """Say why training stands still, with evidence.

    Parameters
    ----------
    what : Model, Objective, Network or fitted estimator
        What was trained. A Model comes with a table, an Objective with its own rows, the others with X and y.
    rows : path, frame, dict, Table, array or Result
        The table, or X; for an Objective the weights, or the `Result` of a run, which brings its history.
    targets : array, optional
        T or y, where `rows` is X.
    w : array of shape (p,), optional
        The weights, where `what` has none of its own.
    loss : str or Loss, optional
        The loss of a Network, squared error unless given.
    l2 : float, optional
        The penalty of the training; that of a Model and of an estimator is known.
    method : str or Method, optional
        How it was trained; Models and estimators tell. Without it nothing can be said of learning rates.
    history : sequence of Record or of float
        The records or losses of the run; a Model that was just fitted, an estimator, and a Result bring theirs.
    recorder : HealthRecorder, optional
        The health that was recorded in the run: findings then say since when.
    again : bool
        Whether to train again from fresh weights, by the same method, and to diagnose that run: with its history, the
        health of its neurons since the start, and the first number that was not finite.
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
    known = given.read(what, rows, targets, w, loss, l2, method, history, recorder, query, member)
    with np.errstate(all="ignore"):  # what overflows is what is looked for
        return _looked_at(given.again(known) if again else known, test_advice)


def _looked_at(known: Given, test_advice: bool) -> Diagnosis:
    case, notes = known.case(), list(known.notes)
    if known.objective.n_rows > len(case.taken.places):
        notes.append(f"{len(case.taken.places):,} of {known.objective.n_rows:,} rows were looked at")
    if case.method is None:
        notes.append("the method is not known: nothing can be said of learning rates; give method=…")
    return _diagnosis(case, _first(case, known), test_advice, notes)


def _first(case: Case, known: Given) -> list[Finding]:
    """Return a finding if something became non-finite."""
    spilt = None
    if known.result is not None and known.result.reason is Reason.NON_FINITE and case.method is not None:
        spilt = overflow.of_result(known.objective, case.method, known.result)
    spilt = spilt or overflow.of_weights(known.objective, case.w)
    return [] if spilt is None else [overflow.finding(spilt)]


def _diagnosis(case: Case, findings: list[Finding], test_advice: bool, notes: Sequence[str]) -> Diagnosis:
    looked_for = case.finite and (bool(findings) or case.excess > LEARNT)
    explained = {kind for finding in findings for kind in EXPLAINS[finding.kind]}
    for kind, detect in DETECTORS if looked_for else ():
        found = None if kind in explained else detect(case)
        if found is not None:
            findings.append(found)
            explained |= set(EXPLAINS.get(kind, ()))
    if test_advice:
        findings = [replace(finding, trial=remedies.trial(case, finding)) for finding in findings]
    return Diagnosis(
        tuple(findings), ground.standing(case), case.health, case.loss, case.baseline, len(case.taken.places),
        tuple(notes), case.recorder,
    )  # fmt: skip
