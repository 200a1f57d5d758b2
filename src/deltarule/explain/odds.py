"""Networks trained by each rule from the same starts: their losses on the way, and how often they succeed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.explain.course import Course, Runs
from deltarule.explain.lesson import Lesson
from deltarule.explain.rules import RULES

Floats = NDArray[np.float64]

UPDATES = 8000
"""Updates of a run, where no number of epochs is given: 2,000 epochs of the four rows of XOR."""
FEWEST_EPOCHS, MOST_EPOCHS = 5, 2000
NEAR_BEST = 0.8
"""A run succeeds if it does away with this share of the mistakes that the best of all runs does away with."""


class Odds(NamedTuple):
    """How the runs of a rule at a learning rate ended: how many, how many succeeded, their losses and mistakes."""

    rule: str
    rate: float
    runs: int
    solved: int
    median_loss: float
    best_loss: float
    median_mistakes: float


class Trained(NamedTuple):
    """All runs: what they have in common, the runs of each rule, and the odds.

    `goal` is the largest share of mistakes, or mean square, with which a run counts as a success; None where no run
    was better than the same answer for all rows.
    """

    course: Course
    runs: dict[str, Runs]
    odds: tuple[Odds, ...]
    goal: float | None

    def of(self, rule: str, rate: float) -> Odds:
        """Return the odds of a rule at a learning rate."""
        return next(one for one in self.odds if one.rule == rule and one.rate == rate)

    def curves(self, rule: str, rate: float) -> Floats:
        """Return the losses of a rule's runs at a learning rate, (points, seeds)."""
        seeds, place = len(self.course.starts), self.course.rates.index(rate)
        return self.runs[rule].losses[:, place * seeds : (place + 1) * seeds]


def epochs_for(n: int) -> int:
    """Return how many epochs of n rows make about `UPDATES` updates."""
    return max(FEWEST_EPOCHS, min(MOST_EPOCHS, UPDATES // n))


def train(
    lesson: Lesson, *, rates: Sequence[float], seeds: int, seed: int, epochs: int | None, online: bool, how: str
) -> Trained:
    """Return networks trained by every rule, from the same starts, on rows in the same orders."""
    network = lesson.network()
    ranges = np.column_stack([lesson.X.min(axis=0), lesson.X.max(axis=0)])
    starts = np.array([network.initial_weights(seed + i, how, ranges) for i in range(seeds)])
    epochs = (epochs_for(len(lesson.X)) if online else MOST_EPOCHS) if epochs is None else epochs
    course = Course(network, lesson.loss, lesson.X, lesson.T, starts, tuple(map(float, rates)), epochs, online)
    runs = course.run(list(RULES))
    with np.errstate(all="ignore"):
        mistakes = {name: lesson.mistakes(course.outputs(found.w)) for name, found in runs.items()}
    best, baseline = min(float(one.min()) for one in mistakes.values()), lesson.baseline
    goal = baseline - NEAR_BEST * (baseline - best) if best < baseline else None
    odds = [
        _odds(name, rate, runs[name].losses[-1, at : at + seeds], mistakes[name][at : at + seeds], goal)
        for name in RULES
        for rate, at in zip(course.rates, range(0, seeds * len(course.rates), seeds), strict=True)
    ]
    return Trained(course, runs, tuple(odds), goal)


def _odds(rule: str, rate: float, losses: Floats, mistakes: Floats, goal: float | None) -> Odds:
    finite = np.where(np.isfinite(losses), losses, np.inf)
    solved = 0 if goal is None else int((np.isfinite(losses) & (mistakes <= goal)).sum())
    return Odds(
        rule, rate, len(losses), solved, float(np.median(finite)), float(finite.min()), float(np.median(mistakes))
    )
