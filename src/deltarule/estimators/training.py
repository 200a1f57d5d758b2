"""The training loop of the estimators: iterations of a method until scikit-learn's conditions say stop.

A solver that works row by row or in mini-batches stops when `n_iter_no_change` epochs in a row did not improve by
`tol`; with the learning rate ``adaptive`` the rate is divided by 5 instead, as long as it is above 1e-6. One that uses
all rows in each step stops where no component of the gradient is larger than `tol`, where its steps hardly change the
loss any more, or where it finds no further descent. Early stopping ends both.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning  # type: ignore[import-untyped]

from deltarule import preconditioning
from deltarule.counting import Counted
from deltarule.divergence import is_finite, locate, watcher
from deltarule.estimators.callbacks import Watch
from deltarule.estimators.orders import Orders
from deltarule.estimators.progress import Progress, Validation
from deltarule.estimators.rows import Split
from deltarule.methods import BayesianRegularization, Method, Online
from deltarule.objective import Objective
from deltarule.train import steps

Numbers = NDArray[Any]

NO_USE = 2.220446049250313e-09
"""A step that lowers the loss by less than this share of it (or of 1) is of no use: SciPy's ftol for ``lbfgs``."""
SLOWEST, SLOWER = 1e-6, 5.0
"""``adaptive`` divides the learning rate by SLOWER unless it is SLOWEST or less, as scikit-learn does."""


class Limits(NamedTuple):
    """When a run ends, and what it tells.

    `early_stopping` is ``score``, ``loss`` or empty; `useless` is how many steps of no use in a row end a batch method;
    `adaptive` divides the learning rate instead of stopping; `warns` says whether to warn of a run cut short,
    `keeps` whether Ctrl-C ends it instead of being raised.
    """

    max_iter: int
    tol: float
    patience: float
    early_stopping: str
    max_fun: float
    useless: int
    adaptive: bool
    verbose: bool
    warns: bool
    keeps: bool = False


class Task(NamedTuple):
    """What one call trains on.

    `outputs_averaged` divides the loss that is shown: scikit-learn shows the mean over a regressor's outputs, and makes
    their sum small. `fitted` turns weights into attributes of an estimator, for callbacks. `batches` is the number of
    mini-batches of an epoch, 0 for batch methods, and `penalty_share` their mean penalty over that of a full one:
    scikit-learn shows the mean. `n_rows` is what Bayesian regularisation and the last layer to begin with take for the
    number of rows: one that weighs 2 counts twice.
    """

    name: str
    objective: Objective
    method: Method
    validation: Validation | None
    limits: Limits
    outputs_averaged: int
    fitted: Callable[[Numbers], dict[str, Any]]
    batches: int
    penalty_share: float
    n_rows: float


class Run(NamedTuple):
    """Where a run stands: all that is needed to go on with it.

    `w` are the weights that the estimator shows: the best ones where early stopping keeps them. `seed` is for methods
    that want one. `state` is the method's own, None where it starts anew from w; it belongs to what `about` tells: the
    rule of online training, or a digest of a batch method's rows and settings. `split` are the rows that train and
    those that were set aside for validation. `failure` says where a number became non-finite, `interrupted`
    whether Ctrl-C ended it.
    """

    w: Numbers
    orders: Orders
    progress: Progress
    seed: int = 0
    state: Any = None
    about: bytes = b""
    split: Split | None = None
    iterations: int = 0
    failure: str = ""
    interrupted: bool = False


class End(NamedTuple):
    """Why a run ended, and whether that is before it has converged."""

    why: str
    early: bool = False


def train(task: Task, run: Run, watch: Watch, going_on: bool) -> Run:
    """Return where a run stands after more iterations: at the last finite weights, if a number becomes non-finite."""
    objective = preconditioning.for_method(task.objective, task.method, not going_on, task.n_rows)
    counted: Any = Counted(objective)
    progress, limits = run.progress, task.limits
    if isinstance(task.method, BayesianRegularization):
        counted.n_rows = task.n_rows
    state = run.state
    if state is None and isinstance(task.method, Online):
        state = task.method.begin(counted, counted.weights(run.w))
    following = steps(counted, run.w, task.method, state)
    state, iterations, useless = next(following), 0, 0
    looked_at = watcher(state)
    penalty, end = _penalty(task, state.w), End("", early=True)
    try:
        for iterations in range(1, limits.max_iter + 1):
            watch.begin()
            before, state = state, next(following)
            with np.errstate(over="ignore", invalid="ignore"):
                fine, square = looked_at(state)
                finite = fine or is_finite(state)
            if not finite:
                failure = _divergence(task, before, state, iterations)
                if not limits.early_stopping or progress.best_w is None:
                    return run._replace(w=before.w, state=before, iterations=iterations - 1, failure=failure)
                progress.diverge(float(state.loss))
                watch.end(partial(task.fitted, before.w))
                message = f"{failure} Of the weights before, those that were best on the validation rows are kept."
                warnings.warn(message, ConvergenceWarning, stacklevel=5)
                return run._replace(w=progress.best_w, state=before, iterations=iterations)
            penalty, last = _penalty(task, state.w), penalty
            loss = _shown_loss(task, state, last, penalty)
            progress.note(loss, state.w, task.validation, limits.early_stopping, limits.tol)
            if limits.verbose:
                _print(iterations, progress)
            useless = useless + 1 if before.loss - state.loss <= _of_no_use(before, state) else 0
            end = _end(limits, progress, state, square, useless, counted.passes)
            if limits.adaptive and end.why and _rate(task.method, state) > SLOWEST:
                state = state._replace(pace=state.pace._replace(factor=state.pace.factor / SLOWER))
                following = steps(counted, state.w, task.method, state)
                next(following)
                progress.stalled, end = 0, End("", early=True)
                if limits.verbose:
                    print(f"The learning rate is now {_rate(task.method, state):g}.")
            if watch.end(partial(task.fitted, state.w)):
                end = End("A callback stopped it.")
            if end.why:
                break
    except KeyboardInterrupt:
        if not limits.keeps:
            raise
        run = run._replace(interrupted=True)
        warnings.warn("Training interrupted by user.", stacklevel=5)
        end = End("Interrupted.")
    if limits.verbose and end.why:
        print(end.why, "Stopping.")
    if limits.warns and end.early:
        _warn(task, iterations, end)
    best = progress.best_w if limits.early_stopping else None
    return run._replace(w=state.w if best is None else best, state=state, iterations=iterations)


def _end(limits: Limits, progress: Progress, state: Any, square: float | None, useless: int, passes: float) -> End:
    """Return why to stop, with no reason if there is none; `square` is that of the gradient, if there is one."""
    grad = getattr(state, "grad", None)
    if (grad is None or limits.early_stopping) and progress.stalled > limits.patience:
        what = {"score": "Validation score", "loss": "Validation loss", "": "Training loss"}[limits.early_stopping]
        return End(f"{what} did not improve more than tol={limits.tol:f} for {limits.patience} consecutive epochs.")
    if grad is None:
        return End("", early=True)
    may_be = square is None or square <= 1.001 * len(grad) * limits.tol**2  # otherwise some component is larger
    if may_be and max(float(grad.max()), -float(grad.min())) <= limits.tol:
        return End(f"No component of the gradient is larger than tol={limits.tol:f}.")
    if state.stuck:
        return End(f"{state.stuck.capitalize()}.", early=True)
    if useless >= limits.useless:
        return End("The steps hardly change the loss any more.")
    if passes > limits.max_fun:  # as SciPy counts
        return End(f"The loss was evaluated max_fun={limits.max_fun} times.", early=True)
    return End("", early=True)


def _of_no_use(before: Any, state: Any) -> float:
    return float(NO_USE * max(abs(before.loss), abs(state.loss), 1.0))


def _rate(method: Any, state: Any) -> float:
    """Return the learning rate of online training."""
    return float(state.pace.factor * method.schedule.at(state.epoch))


def _penalty(task: Task, w: Numbers) -> float:
    """Return the penalty at w, where the loss that is shown has another share of it than the objective."""
    return task.objective.penalty(w) if task.batches or task.outputs_averaged > 1 else 0.0


def _shown_loss(task: Task, state: Any, before: float, after: float) -> float:
    """Return the loss as scikit-learn shows it, from the penalties before and after the iteration."""
    if task.batches:  # each mini-batch counts the penalty before its update
        after_share = (task.batches - 1) / (2 * task.batches)
        penalty = task.penalty_share * ((1 - after_share) * before + after_share * after)
    else:
        penalty = after
    return float((state.loss - after) / task.outputs_averaged + penalty)


def _print(iteration: int, progress: Progress) -> None:
    """Print an iteration as scikit-learn does."""
    print(f"Iteration {iteration}, loss = {progress.losses[-1]:.8f}")
    if progress.scores:
        print(f"Validation score: {progress.scores[-1]:f}")


def _warn(task: Task, iterations: int, end: End) -> None:
    """Warn of a run cut short, in words that begin as scikit-learn's do."""
    cure = "Raise max_iter, or scale the inputs: scale='standard' does it here."
    why = end.why or f"Maximum iterations ({task.limits.max_iter}) reached"
    if task.batches:
        message = f"Stochastic Optimizer: {why} and the optimization hasn't converged yet. {cure}"
    else:
        message = f"{task.name} failed to converge after {iterations} iteration(s): {why.rstrip('.')}. {cure}"
    warnings.warn(message, ConvergenceWarning, stacklevel=6)


def _divergence(task: Task, before: Any, state: Any, iteration: int) -> str:
    with np.errstate(all="ignore"):  # the step is made again
        what = locate(task.objective, task.method, before, state)
    return f"Training with {task.name} diverged in iteration {iteration}. {what}"
