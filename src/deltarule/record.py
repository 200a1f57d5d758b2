"""One line of the history of a run."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Record(NamedTuple):
    """What a run looked like after a step.

    Parameters
    ----------
    step : int
        Number of steps taken; 0 is the start.
    passes : float
        Evaluations over all rows so far, whatever for.
    seconds : float
        Time spent in training and validation so far.
    loss : float
        The objective, penalty included; for online training its running mean over the epoch.
    validation_loss : float or None
        The loss on the validation rows, without penalty, where there are any.
    gradient_size : float or None
        Euclidean length of the gradient; None for online training, which never has the whole of it.
    best_step : int
        The step with the smallest validation loss so far (without validation rows, the smallest loss).
    fails : int
        Validation checks since then.
    penalty : float
        The part of `loss` that is the penalty; what is left compares with the validation loss.
    details : mapping of str to number or str
        What the method tells of itself: conjugate gradients why a direction starts afresh, Levenberg-Marquardt its
        damping, Bayesian regularisation its effective number of weights.
    """

    step: int
    passes: float
    seconds: float
    loss: float
    validation_loss: float | None
    gradient_size: float | None
    best_step: int
    fails: int
    penalty: float = 0.0
    details: Mapping[str, Any] = MappingProxyType({})
