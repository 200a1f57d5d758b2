"""Which of several candidates becomes the model: chosen by cross-validation, or by the validation rows.

By cross-validation: the rows are cut into k parts. Each candidate is trained k times, on all parts but one, to where
its penalty holds it, and its loss is taken on the part left out. The one chosen is then trained on all the rows.

By the validation rows: each candidate is trained once, to the smallest validation loss; the smallest of all is kept.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import restarts
from deltarule.errors import TrainingError
from deltarule.objective import Objective
from deltarule.plan import Candidate
from deltarule.restarts import Kept
from deltarule.runs import Floats, Part, Run, Runs, Setting
from deltarule.stopping import Reason

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


class Tried(NamedTuple):
    """A candidate's last run, and its losses on the parts left out: on the first few, if it was given up."""

    run: Run
    losses: Floats

    @property
    def mean(self) -> float:
        """The mean loss; infinite where a run came to nothing."""
        mean = float(np.mean(self.losses))
        return mean if isfinite(mean) else inf

    def better_than(self, other: Tried) -> bool:
        """Return whether the mean loss is smaller on the parts that both have seen."""
        common = min(len(self.losses), len(other.losses))
        return bool(np.mean(self.losses[:common]) < np.mean(other.losses[:common]))


def by_validation(setting: Setting, training: Part, validation: Part) -> Kept:
    """Return the candidate with the smallest validation loss, one run for each, and of it the best of its restarts.

    Raises
    ------
    TrainingError
        If no run made a step with a finite loss.
    """
    candidates, seeds = setting.plan.candidates, setting.seeds
    runs = Runs(setting, len(candidates) + len(seeds) - 1)
    tried: list[tuple[float, Run]] = []
    failure = ""
    for i, candidate in enumerate(candidates):
        run = runs.run(i, candidate, training, validation)
        if run.came_to_nothing:
            failure = run.result.message
        else:
            tried.append((run.score, run))
        if runs.ended and tried:
            break
    if not tried:
        raise TrainingError(f"Nothing was learnt: {failure}")
    best = _smallest(tried)
    further = runs.side_by_side(len(candidates), seeds[1:], best.candidate, training, validation)
    return restarts.keep(setting, [best, *further], runs.interrupted)


def _smallest(tried: list[tuple[float, Run]]) -> Run:
    """Return the run with the smallest loss, or one that ended by itself with nearly that."""
    smallest = min(loss for loss, _ in tried)
    limit = smallest * (NEARLY if smallest > 0 else 1.0)
    near = [(loss, run) for loss, run in tried if loss <= limit]
    ended = [(loss, run) for loss, run in near if run.result.reason in BY_THEMSELVES]
    return min(ended or near, key=lambda found: found[0])[1]


def by_cross_validation(setting: Setting, rows: Part, labels: NDArray[Any] | None, in_order: bool) -> Kept:
    """Return the candidate with the smallest loss on parts left out, trained on all rows from each seed.

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
    count = len(plan.candidates) * k + len(setting.seeds)
    runs = Runs(setting._replace(plan=plan.comparing or plan), count)
    part = parts(len(rows[0]), k, labels, setting.seed, in_order)
    tried: list[Tried] = []
    best: Tried | None = None
    for _, group in groupby(enumerate(plan.candidates), key=lambda numbered: numbered[1].hidden):
        best_of_group: Tried | None = None
        worse = 0
        for i, candidate in group:
            found = _losses(runs, i * k, candidate, rows, part, best)
            if runs.ended:
                return _so_far(tried, found.run, runs)
            tried.append(found)
            worse = 0 if best_of_group is None or found.better_than(best_of_group) else worse + 1
            best_of_group = found if worse == 0 else best_of_group
            best = found if best is None or found.better_than(best) else best
            if worse == PATIENCE:
                break
    found = preferred(tried, k)
    finals = Runs(setting, count)
    last = finals.side_by_side(len(plan.candidates) * k, setting.seeds, found.run.candidate, rows)
    if not last:  # interrupted before the first of them had begun
        return _so_far(tried, found.run, finals)
    kept = restarts.keep(setting, last, finals.interrupted)
    return kept._replace(notes=(*_how(found, tried, k, len(rows[0])), *kept.notes))


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
    by_hidden = groupby(whole, key=lambda one: one.run.candidate.hidden)
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
    runs: Runs, first: int, candidate: Candidate, rows: Part, part: NDArray[np.intp], best: Tried | None
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
        losses.append(loss if isfinite(loss) and not run.came_to_nothing else inf)
        if best is not None and len(losses) == HOPELESS_PARTS and _hopeless(losses, best.losses):
            break
    return Tried(run, np.array(losses))


def _hopeless(losses: list[float], best: Floats) -> bool:
    return all(loss > HOPELESS * other > 0 for loss, other in zip(losses, best, strict=False))


def _so_far(tried: list[Tried], last: Run, runs: Runs) -> Kept:
    """Return the best model there is when the caller has seen enough: trained without the part left out last."""
    best = min(tried, key=lambda one: one.mean).run if tried else last
    if best.came_to_nothing:
        raise TrainingError(f"Nothing was learnt: {best.result.message}")
    reason = Reason.INTERRUPTED if runs.interrupted else Reason.CALLER
    best = best._replace(result=replace(best.result, reason=reason, message=reason.value))
    return Kept((best,), (best,), ("ended before the choice was made: the best candidate so far, on part of the rows",))


def _how(found: Tried, tried: list[Tried], k: int, n_rows: int) -> tuple[str, ...]:
    """Return notes on what was chosen, and whether it beats the first candidate, which learns next to nothing."""
    candidate = found.run.candidate
    widths = " and ".join(str(width) for width in candidate.hidden)
    layers = f"{widths} hidden neurons" if widths else "no hidden layer"
    how = (
        f"{layers} and l2 {candidate.l2:g}: the best of {len(tried)} candidates by {k}-fold cross-validation, then "
        f"trained on all {n_rows:,} rows of it together"
    )
    if found is tried[0] or _simplest([tried[0], found], NOTHING_ERRORS) is tried[0]:
        return how, "next to nothing was learnt: by cross-validation, no better than the baseline but for chance"
    return (how,)
