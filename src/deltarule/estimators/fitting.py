"""From arrays and parameters to runs, and from runs to the attributes of an estimator."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import inf
from threading import current_thread, main_thread
from typing import Any

import numpy as np
from joblib.parallel import get_active_backend  # type: ignore[import-untyped]
from numpy.typing import NDArray

from deltarule import activations
from deltarule.engines import native
from deltarule.errorbars import ErrorBars
from deltarule.errors import DivergenceError, InputError, SettingError
from deltarule.estimators import parameters, rows, solvers, tasks, weights
from deltarule.estimators.callbacks import Watch
from deltarule.estimators.orders import Orders, random_states
from deltarule.estimators.progress import Progress
from deltarule.estimators.rows import Part, Split
from deltarule.estimators.tasks import Asked
from deltarule.estimators.training import Limits, Run, train
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.posterior import laplace

Numbers = NDArray[Any]

NON_FINITE = (
    "(In scikit-learn's words: Solver produced non-finite parameter weights. The input data may contain large values "
    "and need to be preprocessed.)"
)


def fit(
    owner: Any, data: Part, held_out: Part | Split | None, asked: Asked, going_on: bool, incremental: bool, watch: Watch
) -> None:
    """Train an estimator's networks and set its attributes.

    Parameters
    ----------
    owner : estimator
        Its parameters, and where it goes on its attributes.
    data : Part
        The rows given.
    held_out : Part, Split or None
        Rows to validate on, or which of the rows given; otherwise early stopping sets some aside.
    asked : Asked
        What the estimator is for.
    going_on : bool
        Whether the weights there are trained further.
    incremental : bool
        Whether for one iteration only.
    watch : Watch
        Told of each iteration.

    Raises
    ------
    DivergenceError
        If training leads to a number that is not finite; the attributes then show the last finite weights.
    InputError
        If the rows, a parameter, or the weights there do not fit.
    """
    number = data.X.dtype
    network = _network(owner, data, asked)
    runs = _gone_on_with(owner, network) if going_on else _begun(owner, network, number, incremental)
    runs, training, validating = _parts(owner, data, held_out, asked, runs)
    if not (going_on and hasattr(owner, "_hidden")):  # weights that were set by hand before any fit tell nothing else
        _describe(owner, network, asked, training)
    training = scaled(owner, training)
    validating = None if validating is None else scaled(owner, validating)
    limits = tasks.limits(owner, incremental)
    finished = []
    with _threads():
        for run in runs:
            with _too_large_as_scikit_learn_says(training):
                task, run = tasks.make(owner, network, training, validating, asked, limits, run)
            finished.append(train(task, run, watch, going_on))
            if finished[-1].interrupted:
                break
    if finished[-1].interrupted:
        finished = [run for run in finished if run.progress.losses]
        if not finished:
            raise KeyboardInterrupt
    kept = _best(finished, 1 if going_on or incremental else int(owner.restarts), validating is not None, limits)
    failure = next((run.failure for run in kept if run.failure), "")
    if failure and not all(run.progress.losses for run in kept):
        raise DivergenceError(f"{failure}\n{NON_FINITE}")
    owner.error_bars_ = _error_bars(task.objective, kept) if asked.error_bars and not failure else None
    _show(owner, network, kept, len(training.X), validating is not None, incremental)
    if failure:
        raise DivergenceError(f"{failure}\n{NON_FINITE}")
    watch.close()


def scaled(owner: Any, part: Part) -> Part:
    """Return rows in the units in which an estimator trains."""
    X = part.X if owner.input_scale_ is None else owner.input_scale_.apply(part.X)
    T = part.T if owner.target_scale_ is None else owner.target_scale_.apply(part.T)
    return Part(X, T, part.s)


def _network(owner: Any, data: Part, asked: Asked) -> Network:
    widths = owner.hidden_layer_sizes
    widths = [int(width) for width in (widths if np.iterable(widths) else [widths])]
    if any(width <= 0 for width in widths):
        raise parameters.refused(owner, "hidden_layer_sizes", "made of ints > 0")
    try:
        hidden = weights.hidden_activations(owner.activation, len(widths))
    except SettingError as error:
        raise parameters.refused(owner, "activation", f"an activation, (f, df), or a list of these: {error}") from error
    output = activations.get(asked.output)
    return Network([data.X.shape[1], *widths, data.T.shape[1]], [*hidden, output])


@contextmanager
def _too_large_as_scikit_learn_says(part: Part) -> Iterator[None]:
    """Add scikit-learn's words to the error for numbers that are too large, for programs that look for them."""
    try:
        yield
    except InputError as error:
        with np.errstate(over="ignore"):
            overflows = not all(np.isfinite(np.square(A)).all() for A in (part.X, part.T))
        raise (type(error)(f"{error}\n{NON_FINITE}") if overflows else error) from None


def _begun(owner: Any, network: Network, number: Any, incremental: bool) -> list[Run]:
    """Return runs at their initial weights: member after member, each with its restarts."""
    count = int(owner.ensemble) * (1 if incremental else int(owner.restarts))
    runs = []
    for random in random_states(owner.random_state, count):
        w = weights.draw(network, random, number)
        runs.append(_run(owner, w, random))
    return runs


def _run(owner: Any, w: Numbers, random: Any) -> Run:
    seed = 0 if owner.solver in solvers.MINI_BATCH else int(random.randint(2**31 - 1))
    return Run(w, Orders(random), Progress(), seed)


def _gone_on_with(owner: Any, network: Network) -> list[Run]:
    """Return the runs where they stand: if weights were set by hand since, or before any fit, then there."""
    layers = weights.members(owner)
    there = weights.network_of(layers[0], network.activations)
    if there.sizes != network.sizes or len(layers) != owner.ensemble:
        raise InputError(
            f"{type(owner).__name__} was to go on with {len(layers)} of the networks {there.sizes}, but its parameters "
            f"and the rows now ask for {owner.ensemble} of {network.sizes}; make a new one, or set warm_start=False."
        )
    each = [weights.flat(shown) for shown in layers]
    if not hasattr(owner, "_runs"):
        randoms = random_states(owner.random_state, len(each))
        return [_run(owner, w, random) for w, random in zip(each, randoms, strict=True)]
    runs = []
    for run, w in zip(owner._runs, each, strict=True):
        by_hand = not np.array_equal(w, run.w)
        run = run._replace(failure="")
        runs.append(run._replace(w=w, about=b"") if by_hand else run)
    return runs


def _parts(
    owner: Any, data: Part, held_out: Part | Split | None, asked: Asked, runs: list[Run]
) -> tuple[list[Run], Part, Part | None]:
    """Return the runs with their split, the rows to train on, and those to validate on."""
    n = len(data.X)
    if isinstance(held_out, Part):
        return runs, data, held_out
    if held_out is None and not owner.early_stopping:
        return runs, data, None
    split = runs[0].split if held_out is None else held_out
    if split is None or len(split[0]) + len(split[1]) != n:
        split = rows.set_aside(n, asked.labels, float(owner.validation_fraction), runs[0].orders.random)
    return [run._replace(split=split) for run in runs], data.take(split[0]), data.take(split[1])


def _describe(owner: Any, network: Network, asked: Asked, training: Part) -> None:
    """Set the attributes that do not change in training."""
    owner.n_outputs_, owner.n_layers_ = network.n_out, len(network.sizes)
    owner.out_activation_ = asked.output
    owner.t_ = 0
    owner._hidden, owner._trained_with, owner._trained_on = network.activations[:-1], asked.loss, len(training.X)
    how = owner.scale
    owner.input_scale_ = None if how is None else rows.fit_scale(training.X, training.s, how)
    targets = how is not None and asked.scales_targets
    owner.target_scale_ = rows.fit_scale(training.T, training.s, how) if targets else None


def _threads() -> AbstractContextManager[object]:
    """Return a context in which a fit that joblib runs beside others in threads uses one thread itself."""
    backend, _ = get_active_backend()
    beside_others = getattr(backend, "nesting_level", 0) and current_thread() is not main_thread()
    return native.at_most(1) if beside_others else nullcontext()


def _best(runs: list[Run], restarts: int, validated: bool, limits: Limits) -> list[Run]:
    """Return the best run of each member: by what early stopping judges by, the validation loss, or the loss."""

    def badness(run: Run) -> float:
        progress = run.progress
        if run.failure:
            return inf
        if limits.early_stopping == "score":
            return -progress.best_score
        if limits.early_stopping == "loss":
            return progress.best_validation_loss
        return (progress.validation_losses if validated else progress.losses)[-1]

    members = [runs[i : i + restarts] for i in range(0, len(runs), restarts)]
    return [min(group, key=badness) for group in members]


def _show(owner: Any, network: Network, runs: list[Run], n_rows: int, validated: bool, incremental: bool) -> None:
    """Set the attributes that training changes; those of scikit-learn are of the first network."""
    first = runs[0].progress
    owner.members_ = [weights.layered(network, run.w) for run in runs]
    owner.coefs_, owner.intercepts_ = owner.members_[0]
    owner.n_iter_ = runs[0].iterations
    online = hasattr(runs[0].state, "memory")
    owner.t_ += n_rows * owner.n_iter_ if online else 0
    owner.loss_curve_ = first.losses
    owner.loss_ = first.losses[-1]
    owner.best_loss_ = None if owner.early_stopping else first.best_loss
    owner.validation_scores_ = first.scores if validated else None
    owner.validation_loss_curve_ = first.validation_losses if validated else None
    by_score = owner.early_stopping in (True, "score")
    owner.best_validation_score_ = first.best_score if by_score else None
    owner._runs = [_remembered(run, online, owner.warm_start or incremental) for run in runs]


def _error_bars(objective: Objective, runs: list[Run]) -> ErrorBars:
    """Return the spread of each network's weights; Bayesian regularisation has found their penalty on its way."""
    found = [
        laplace(objective, run.w, getattr(run.state, "alpha", 0.0), getattr(run.state, "beta", 1.0)) for run in runs
    ]
    return ErrorBars(np.stack([one.factor for one in found]), np.stack([one.noise for one in found]))


def _remembered(run: Run, online: bool, goes_on: bool) -> Run:
    """Return what of a run can be of use: nothing that only `warm_start` would go on with, unless it is set."""
    if goes_on:
        return run
    run.orders.forget()
    return run._replace(state=run.state if online else None, split=None)
