"""Error bars: how far new observations lie around a prediction, as a standard deviation.

A prediction is wrong for two reasons. The target scatters around its mean, by the noise; and the weights are what some
rows say, other rows would have said others. `deltarule.posterior` has both from the curvature of the objective:

    variance of a new observation = variance of the noise + variance of the output over the weights

The members of an ensemble each have these, and they differ among themselves; by the law of total variance

    variance = mean over members of their variances + variance over members of their outputs .

Everything here is in the outputs' own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import posterior
from deltarule.errors import InputError, SettingError
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.objective import Objective

if TYPE_CHECKING:
    from deltarule.runs import Run

Floats = NDArray[np.float64]

MOST_WEIGHTS = 512
"""A regression with up to so many weights has error bars unless told otherwise: 2 MiB a member in the model file."""
MOST_ASKED = 10_000
"""So many may have them if asked: 800 MB a member."""


class ErrorBars(NamedTuple):
    """What the error bars of a model are computed from.

    `factors` (members, p, p) holds a factor of the weights' covariance for each member, `noise` (members, n_out) the
    variance of the noise at each output.
    """

    factors: Floats
    noise: Floats


def check_asked(asked: bool | None) -> None:
    """Refuse what is neither yes, no, nor left open.

    Raises
    ------
    SettingError
        The message says what is accepted.
    """
    if asked is not None and not isinstance(asked, bool):
        raise SettingError(f"error_bars was {asked!r}; it is True, False, or None for where they cost little.")


def check_possible(asked: bool | None, task: str, loss: Loss, network: Network) -> None:
    """Refuse, before any training, error bars that were asked for where there are none.

    Raises
    ------
    SettingError
        The message says why there are none and what to do.
    """
    if not asked:
        return
    reason = impossible(task, loss)
    if reason:
        raise SettingError(f"error_bars was True, but {reason}")
    if network.n_weights > MOST_ASKED:
        raise SettingError(
            f"error_bars was True for a network of {network.n_weights:,} weights; it may have {MOST_ASKED:,}, since a "
            "model file holds their covariance. Use fewer hidden neurons."
        )


def impossible(task: str, loss: Loss) -> str:
    """Return why there are no error bars for a task and a loss and what to do, or an empty text."""
    if task != "regression":
        return "a model of classes has none: predict_proba says how sure it is of each class."
    if loss.name != "squared_error":
        return f"the loss {loss} tells nothing of the noise: train with the loss squared_error."
    return ""


def of(asked: bool | None, task: str, loss: Loss, members: Sequence[Run]) -> tuple[ErrorBars | None, tuple[str, ...]]:
    """Return the error bars of trained members, each from the rows it was trained on, and notes.

    Unless they were asked for, there are none for a large network, and none, with a note, where the rows cannot tell
    the noise.

    Raises
    ------
    InputError
        If they were asked for and the rows cannot tell the noise.
    """
    if asked is False or impossible(task, loss) or (asked is None and members[0].network.n_weights > MOST_WEIGHTS):
        return None, ()
    try:
        found = [_posterior(run, loss) for run in members]
    except InputError as error:
        if asked:
            raise
        return None, (f"no error bars: {error}",)
    factors, noise = np.array([one.factor for one in found], order="C"), np.array([one.noise for one in found])
    return ErrorBars(factors, noise), ()


def std(bars: ErrorBars, network: Network, members: Sequence[Floats], X: Floats, each: Floats) -> Floats:
    """Return the standard deviations (n, n_out) of new observations at X.

    Parameters
    ----------
    bars : ErrorBars
        What they are computed from.
    network : Network
        The network of all members.
    members : sequence of arrays of shape (p,)
        Their weights.
    X : array of shape (n, n_in)
        Inputs.
    each : array of shape (members, n, n_out)
        What each member puts out.
    """
    known = zip(members, bars.factors, bars.noise, strict=True)
    variances = np.square([posterior.std(network, w, factor, noise, X) for w, factor, noise in known])
    found: Floats = np.sqrt(variances.mean(axis=0) + each.var(axis=0))
    return found


def _posterior(run: Run, loss: Loss) -> posterior.Posterior:
    """Return the posterior of a run's weights; Bayesian regularisation has found their penalty on its way."""
    details = run.result.history[run.result.step].details
    objective = Objective(run.network, loss, *run.rows, l2=run.candidate.l2)
    return posterior.laplace(objective, run.result.w, details.get("alpha", 0.0), details.get("beta", 1.0))
