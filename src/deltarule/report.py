"""How good a model is on some rows, beside a baseline that knows the targets' distribution and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.encoding.targets import DECIDED

Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-15
"""Probabilities are kept this far from 0 in the log loss."""


@dataclass(frozen=True)
class Regression:
    """Scores of predicted numbers, in the target's own units; of several targets, the mean over them.

    Parameters
    ----------
    r2 : float
        1 − squared error / variance; the mean of these rows scores 0. NaN where the targets are all equal.
    rmse : float
        Root mean squared error.
    mae : float
        Mean absolute error.
    each : list of dict
        Of several targets, the same of each with its name as ``target``; empty for one.
    """

    r2: float
    rmse: float
    mae: float
    each: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON, None for what is undefined."""
        found: dict[str, Any] = {"r2": _plain(self.r2), "rmse": _plain(self.rmse), "mae": _plain(self.mae)}
        return {**found, "each": self.each} if self.each else found


@dataclass(frozen=True)
class Classification:
    """Scores of predicted classes.

    Parameters
    ----------
    accuracy : float
        Share of rows predicted rightly.
    balanced_accuracy : float
        Mean over the classes present of the share of their rows predicted rightly.
    log_loss : float
        Mean of −log(probability given to the class observed), in nats.
    classes : list
        The class labels.
    confusion : list of list of int
        Rows counted by observed class (outer) and predicted class (inner), in the order of `classes`.
    """

    accuracy: float
    balanced_accuracy: float
    log_loss: float
    classes: list[Any]
    confusion: list[list[int]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists for JSON."""
        return {name: _plain(value) if isinstance(value, float) else value for name, value in vars(self).items()}


@dataclass(frozen=True)
class MultiLabel:
    """Scores of several yes-or-no targets predicted together.

    Parameters
    ----------
    exact : float
        Share of rows with every label right.
    accuracy : float
        Share of labels right.
    log_loss : float
        Mean over rows and labels of −log(probability given to what was observed), in nats.
    """

    exact: float
    accuracy: float
    log_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON."""
        return {name: _plain(value) for name, value in vars(self).items()}


Scores = Regression | Classification | MultiLabel


def score_regression(observed: Floats, predicted: Floats, targets: Sequence[str] = ()) -> Regression:
    """Score predictions (n, k) against observations (n, k), of k named targets each by itself too."""
    # A power of two takes the largest number of a target near 1, so that squares neither overflow nor vanish.
    exponent = np.frexp(np.maximum(np.abs(observed), np.abs(predicted)).max(axis=0))[1]
    observed, predicted = np.ldexp(observed, -exponent), np.ldexp(predicted, -exponent)
    error = predicted - observed
    square = np.mean(error**2, axis=0)
    variance = np.var(observed, axis=0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r2 = np.where(variance > 0, 1 - square / variance, np.nan)
        rmse, mae = (np.ldexp(score, exponent) for score in (np.sqrt(square), np.mean(np.abs(error), axis=0)))
    each = [
        {"target": name, "r2": _plain(r2[j]), "rmse": _plain(rmse[j]), "mae": _plain(mae[j])}
        for j, name in enumerate(targets if len(targets) > 1 else ())
    ]
    return Regression(float(np.mean(r2)), float(np.mean(rmse)), float(np.mean(mae)), each)


def score_classes(observed: NDArray[np.intp], probabilities: Floats, classes: list[Any]) -> Classification:
    """Score class probabilities (n, k) against observed class numbers (n,)."""
    k = len(classes)
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(observed * k + predicted, minlength=k * k).reshape(k, k)
    present = confusion.sum(axis=1) > 0
    recall = np.diag(confusion)[present] / confusion.sum(axis=1)[present]
    given = np.clip(probabilities[np.arange(len(observed)), observed], SMALLEST_PROBABILITY, 1.0)
    return Classification(
        float(np.mean(predicted == observed)),
        float(np.mean(recall)),
        float(-np.mean(np.log(given))),
        list(classes),
        confusion.tolist(),
    )


def score_labels(observed: Floats, probabilities: Floats) -> MultiLabel:
    """Score label probabilities (n, k) against observed labels (n, k) of 0 and 1."""
    right = (probabilities > DECIDED) == (observed > DECIDED)
    given = np.clip(np.where(observed > DECIDED, probabilities, 1 - probabilities), SMALLEST_PROBABILITY, 1.0)
    return MultiLabel(float(np.mean(right.all(axis=1))), float(np.mean(right)), float(-np.mean(np.log(given))))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
