"""Which of several candidates becomes the model: chosen by cross-validation, or by the validation rows.

By cross-validation: the rows are cut into k parts. Each candidate is trained k times, on all parts but one, to where
its penalty holds it, and its loss is taken on the part left out. The one chosen is then trained on all the rows.

By the validation rows: each candidate is trained once, to the smallest validation loss; the smallest of all is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TrainingError
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.plan import Candidate, Plan
from deltarule.record import Record
from deltarule.stopping import Reason
from deltarule.train import Result, train

Floats = NDArray[np.float64]
Part = tuple[Floats, Floats]
"""Inputs X (n, n_in) and targets T (n, n_out) of some rows."""

LAYER_ERRORS, PENALTY_ERRORS = 1.0, 0.5
"""A hidden layer, a weaker penalty must be better by more than so many standard errors of the difference."""
HOPELESS_PARTS, HOPELESS = 2, 1.5
"""A candidate is given up if on each of so many parts its loss is over so many times that of the best so far."""
NOTHING_ERRORS = 1.0
"""What is better than the strongest penalty by less is said to have learnt next to nothing."""
PATIENCE = 2
"""After so many weaker penalties in a row that make it worse, still weaker ones are not tried."""
NEARLY = 1.01
"""A run that ended by itself is preferred to one cut off at the step limit, if its loss is at most so many times it."""
BY_THEMSELVES = (Reason.GOAL, Reason.MIN_GRAD, Reason.VALIDATION, Reason.STALLED, Reason.NO_DESCENT)


class Progress(NamedTuple):
    """What an observer of `fit` is told after each step."""

    record: Record
    run: int
    runs: int
    max_steps: int


class Setting(NamedTuple):
    """What all runs have in common."""

    network: Callable[[tuple[int, ...]], Network]
    loss: Loss
    plan: Plan
    seed: int
    observe: Callable[[Progress], object] | None
    keep_on_interrupt: bool


class Chosen(NamedTuple):
    """The candidate that was chosen and its run, with a note on how."""

    candidate: Candidate
    network: Network
    result: Result
    notes: tuple[str, ...] = ()


class Tried(NamedTuple):
    """A candidate with its last run, and its losses on the parts left out: on the first few, if it was given up."""

    chosen: Chosen
    losses: Floats

    @property
    def mean(self) -> float:
        """The mean loss; infinite where a run came to nothing."""
        mean = float(np.mean(self.losses))
        return mean if isfinite(mean) else float("inf")

    def better_than(self, other: Tried) -> bool:
        """Return whether the mean loss is smaller on the parts that both have seen."""
        common = min(len(self.losses), len(other.losses))
        return bool(np.mean(self.losses[:common]) < np.mean(other.losses[:common]))


def by_validation(setting: Setting, training: Part, validation: Part) -> Chosen:
    """Return the run with the smallest validation loss, one for each candidate.

    Raises
    ------
    TrainingError
        If no run made a step with a finite loss.
    """
    runs = _Runs(setting, len(setting.plan.candidates))
    tried: list[tuple[float, Chosen]] = []
    failure = ""
    for i, candidate in enumerate(setting.plan.candidates):
        run = runs.run(i, candidate, training, validation)
        checked = run.result.history[run.result.step].validation_loss if run.result.history else None
        if checked is None or _came_to_nothing(run.result):
            failure = run.result.message
        else:
            tried.append((checked, run))
        if runs.ended and tried:
            break
    if not tried:
        raise TrainingError(f"Nothing was learnt: {failure}")
    best = _smallest(tried)
    return best if runs.interrupted is None else _interrupted(best, runs.interrupted)


def _smallest(tried: list[tuple[float, Chosen]]) -> Chosen:
    """Return the run with the smallest loss, or one that ended by itself with nearly that."""
    smallest = min(loss for loss, _ in tried)
    limit = smallest * (NEARLY if smallest > 0 else 1.0)
    near = [(loss, run) for loss, run in tried if loss <= limit]
    ended = [(loss, run) for loss, run in near if run.result.reason in BY_THEMSELVES]
    return min(ended or near, key=lambda found: found[0])[1]


def by_cross_validation(setting: Setting, rows: Part, labels: NDArray[Any] | None, in_order: bool) -> Chosen:
    """Return the candidate with the smallest loss on parts left out, trained on all rows.

    Parameters
    ----------
    setting : Setting
        What all runs have in common.
    rows : Part
        The rows to choose with and to train on.
    labels : array of shape (n,) or None
        Classes, so that each part has them in about the same shares.
    in_order : bool
        Whether the parts are stretches of rows, as for time series, or drawn by chance.

    Raises
    ------
    TrainingError
        If no run made a step with a finite loss.
    """
    plan = setting.plan
    k = min(plan.folds, len(rows[0]))
    runs = _Runs(setting, len(plan.candidates) * k + 1)
    part = parts(len(rows[0]), k, labels, setting.seed, in_order)
    tried: list[Tried] = []
    best: Tried | None = None
    for _, group in groupby(enumerate(plan.candidates), key=lambda numbered: numbered[1].hidden):
        best_of_group: Tried | None = None
        worse = 0
        for i, candidate in group:
            found = _losses(runs, i * k, candidate, rows, part, best)
            if runs.ended:
                return _so_far(tried, found.chosen, runs)
            tried.append(found)
            worse = 0 if best_of_group is None or found.better_than(best_of_group) else worse + 1
            best_of_group = found if worse == 0 else best_of_group
            best = found if best is None or found.better_than(best) else best
            if worse == PATIENCE:
                break
    found = preferred(tried, k)
    final = runs.run(runs.count - 1, found.chosen.candidate, rows)
    if _came_to_nothing(final.result):
        raise TrainingError(f"Nothing was learnt: {final.result.message}")
    return final._replace(notes=_how(found, tried, k, len(rows[0])))


def parts(n: int, k: int, labels: NDArray[Any] | None, seed: int, in_order: bool) -> NDArray[np.intp]:
    """Return the number of the part, 0 to k − 1, for each of n rows."""
    if in_order:
        return np.arange(n) * k // n
    order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
    if labels is not None:
        order = order[np.argsort(np.unique(labels, return_inverse=True)[1][order], kind="stable")]
    part = np.empty(n, dtype=np.intp)
    part[order] = np.arange(n) % k
    return part


def preferred(tried: list[Tried], k: int) -> Tried:
    """Return the simplest of those that are as good as the one with the smallest mean loss, but for chance.

    Of models with the same layers the one with the strongest penalty; then one without hidden layer, if there is one.
    """
    whole = [one for one in tried if len(one.losses) == k]
    by_hidden = groupby(whole, key=lambda one: one.chosen.candidate.hidden)
    finalists = [_simplest(list(group), PENALTY_ERRORS) for _, group in by_hidden]
    return _simplest(finalists, LAYER_ERRORS)


def _simplest(tried: list[Tried], errors: float) -> Tried:
    """Return the first of some that is nearly as good as the best of them."""
    best = min(tried, key=lambda one: one.mean)
    for one in tried:
        difference = one.losses - best.losses
        if np.mean(difference) <= errors * float(np.std(difference, ddof=1)) / len(difference) ** 0.5:
            return one
    return best


def _losses(
    runs: _Runs, first: int, candidate: Candidate, rows: Part, part: NDArray[np.intp], best: Tried | None
) -> Tried:
    """Return a candidate's losses on each part, trained on the others, or on the first few if it is hopeless."""
    X, T = rows
    losses: list[float] = []
    for fold in range(int(part.max()) + 1):
        inside, outside = part != fold, part == fold
        run = runs.run(first + fold, candidate, (X[inside], T[inside]))
        if runs.ended:
            break
        objective = Objective(run.network, runs.setting.loss, X[outside], T[outside])
        with np.errstate(all="ignore"):  # a loss that is not finite loses
            loss = objective.value(run.result.w)
        losses.append(loss if isfinite(loss) and not _came_to_nothing(run.result) else float("inf"))
        if best is not None and len(losses) == HOPELESS_PARTS and _hopeless(losses, best.losses):
            break
    return Tried(run, np.array(losses))


def _hopeless(losses: list[float], best: Floats) -> bool:
    return all(loss > HOPELESS * other > 0 for loss, other in zip(losses, best, strict=False))


def _so_far(tried: list[Tried], last: Chosen, runs: _Runs) -> Chosen:
    """Return the best model there is when the caller has seen enough: trained without the part left out last."""
    best = min(tried, key=lambda one: one.mean).chosen if tried else last
    if _came_to_nothing(best.result):
        raise TrainingError(f"Nothing was learnt: {best.result.message}")
    best = best._replace(notes=("ended before the choice was made: the best candidate so far, on part of the rows",))
    return _interrupted(best, last.result if runs.interrupted is None else runs.interrupted)


def _how(found: Tried, tried: list[Tried], k: int, n_rows: int) -> tuple[str, ...]:
    """Return notes on what was chosen, and whether it beats the first candidate, which learns next to nothing."""
    candidate = found.chosen.candidate
    widths = " and ".join(str(width) for width in candidate.hidden)
    layers = f"{widths} hidden neurons" if widths else "no hidden layer"
    how = (
        f"{layers} and l2 {candidate.l2:g}: chosen from {len(tried)} candidates by {k}-fold cross-validation, then "
        f"trained on all {n_rows:,} rows of it together"
    )
    if found is tried[0] or _simplest([tried[0], found], NOTHING_ERRORS) is tried[0]:
        return how, "next to nothing was learnt: by cross-validation, no better than the baseline but for chance"
    return (how,)


def _came_to_nothing(result: Result) -> bool:
    return not result.history or (result.reason is Reason.NON_FINITE and result.step == 0)


def _interrupted(best: Chosen, last: Result) -> Chosen:
    return best._replace(result=replace(best.result, reason=last.reason, message=last.message))


class _Runs:
    """Runs from the same start, each told to the observer with its number."""

    def __init__(self, setting: Setting, count: int) -> None:
        self.setting, self.count = setting, count
        self.ended = False
        self.interrupted: Result | None = None

    def run(self, number: int, candidate: Candidate, training: Part, validation: Part | None = None) -> Chosen:
        """Train a candidate; the validation rows, if any, say which weights are kept."""
        setting, (X, T) = self.setting, training
        network = setting.network(candidate.hidden)
        ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
        start = network.initial_weights(setting.seed, input_ranges=ranges)
        objective = Objective(network, setting.loss, X, T, l2=candidate.l2)
        held_out = None if validation is None else Objective(network, setting.loss, *validation)

        def tell(record: Record) -> bool:
            if setting.observe is None:
                return False
            progress = Progress(record, number, self.count, setting.plan.max_steps)
            self.ended = self.ended or setting.observe(progress) is True
            return self.ended

        with np.errstate(all="ignore"):  # train finds and names what becomes non-finite
            result = train(
                objective, start, setting.plan.method, setting.plan.stop, held_out, tell,
                keep_on_interrupt=setting.keep_on_interrupt,
            )  # fmt: skip
        if result.reason is Reason.INTERRUPTED:
            self.ended, self.interrupted = True, result
        return Chosen(candidate, network, result)
