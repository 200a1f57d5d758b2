"""How a run is getting on: losses, scores on validation rows, the best weights, and iterations without improvement."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.objective import Objective

Numbers = NDArray[Any]


class Validation(NamedTuple):
    """Rows that are not trained on: their objective, without penalty, and the score of a network's outputs on them."""

    objective: Objective
    score: Callable[[Numbers], float]

    def judge(self, w: Numbers) -> tuple[float, float]:
        """Return loss and score at w; infinite or NaN where outputs are too large."""
        Y = self.objective.engine.predict(w, self.objective.rows.X)
        with np.errstate(over="ignore", invalid="ignore"):
            return self.objective.value(w), self.score(Y)


@dataclass
class Progress:
    """What a run has come to; scikit-learn's attributes are read from it.

    `stalled` counts the iterations that did not improve by tol on the best so far, `best_w` are the weights that were
    best on the validation rows.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    best_loss: float = inf
    best_score: float = -inf
    best_validation_loss: float = inf
    best_w: Numbers | None = None
    stalled: int = 0

    def note(self, loss: float, w: Numbers, validation: Validation | None, early_stopping: str, tol: float) -> None:
        """Take note of an iteration that ended at w.

        Parameters
        ----------
        loss : float
            The training loss.
        w : array of shape (p,)
            The weights.
        validation : Validation or None
            Rows to judge by, if any.
        early_stopping : str
            By what of them: ``score``, ``loss``, or not at all where empty.
        tol : float
            What an improvement is at least.
        """
        self.losses.append(loss)
        if validation is not None:
            held_out, score = validation.judge(w)
            self.validation_losses.append(held_out)
            self.scores.append(score)
        if early_stopping == "score":
            improved, best = score >= self.best_score + tol, score > self.best_score
            self.best_score = score if best else self.best_score
        elif early_stopping == "loss":
            improved = held_out <= self.best_validation_loss - tol
            best = held_out < self.best_validation_loss
            self.best_validation_loss = held_out if best else self.best_validation_loss
        else:
            improved, best = loss <= self.best_loss - tol, False
        self.best_loss = min(loss, self.best_loss)
        self.stalled = 0 if improved else self.stalled + 1
        if best:
            self.best_w = w

    def diverge(self, loss: float) -> None:
        """Take note of an iteration that ended at weights or a loss that are not finite: there is nothing to judge."""
        self.losses.append(loss)
        self.scores.append(nan)
        self.validation_losses.append(nan)


def r_squared(T: Numbers, s: Numbers | None) -> Callable[[Numbers], float]:
    """Return the function from outputs to the mean over targets of R², as scikit-learn's r2_score has it.

    A target that does not vary counts 1 where it is met exactly, otherwise 0.
    """
    centre = np.average(T, axis=0, weights=s)
    total = np.average((T - centre) ** 2, axis=0, weights=s)

    def score(Y: Numbers) -> float:
        left = np.average((T - Y) ** 2, axis=0, weights=s)
        varies = total > 0
        shares = np.where(varies, 1 - left / np.where(varies, total, 1), np.where(left > 0, 0.0, 1.0))
        return float(shares.mean())

    return score


def accuracy(T: Numbers, s: Numbers | None, exclusive: bool) -> Callable[[Numbers], float]:
    """Return the function from outputs to the share of rows that are right; several labels must all be right."""
    truth = T.argmax(axis=1) if exclusive else T > 0.5

    def score(Y: Numbers) -> float:
        right = Y.argmax(axis=1) == truth if exclusive else ((Y > 0.5) == truth).all(axis=1)
        return float(np.average(right, weights=s))

    return score
