"""What one call of an estimator trains on: rows, parameters and runs put together for the training loop."""

import warnings
from collections.abc import Callable
from hashlib import blake2b
from math import ceil, inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.engines import choose
from deltarule.estimators import solvers, weights
from deltarule.estimators.orders import PenaltyByRows
from deltarule.estimators.progress import Validation
from deltarule.estimators.rows import Part
from deltarule.estimators.training import Limits, Run, Task
from deltarule.losses import Loss
from deltarule.methods import Method, Online
from deltarule.methods.bayesian_regularization import BayesianRegularization
from deltarule.network import Network
from deltarule.objective import Objective

Numbers = NDArray[Any]


class Asked(NamedTuple):
    """What an estimator asks of its network.

    `output` is the activation of the outputs as scikit-learn calls it, `averaged` the number by which the loss shown is
    divided, `score` makes the function that judges outputs on validation rows, `labels` are what they are stratified
    by, `scales_targets` says whether targets may be scaled, and `error_bars` whether the weights' spread is wanted.
    """

    loss: Loss
    output: str
    averaged: int
    score: Callable[[Numbers, Numbers | None], Callable[[Numbers], float]]
    labels: Numbers | None = None
    scales_targets: bool = False
    error_bars: bool = False


def limits(owner: Any, incremental: bool) -> Limits:
    """Return when a run of an estimator ends."""
    lbfgs = owner.solver == "lbfgs"
    stopping = owner.early_stopping
    return Limits(
        max_iter=1 if incremental else int(owner.max_iter),
        tol=float(owner.tol),
        patience=owner.n_iter_no_change,
        early_stopping=stopping if isinstance(stopping, str) else "score" if stopping else "",
        max_fun=owner.max_fun if lbfgs else inf,
        useless=1 if lbfgs else owner.n_iter_no_change,
        adaptive=owner.solver == "sgd" and owner.learning_rate == "adaptive",
        verbose=bool(owner.verbose),
        warns=not incremental,
        keeps=owner.interrupt == "keep",
    )


def make(
    owner: Any, network: Network, training: Part, validating: Part | None, asked: Asked, limits: Limits, run: Run
) -> tuple[Task, Run]:
    """Return the task of a run, and the run with a state that fits it or none."""
    X, T, s = training
    n, total = len(X), float(len(X) if s is None else s.sum(dtype=np.float64))
    epochs = 0 if run.state is None else getattr(run.state, "epoch", 0)
    method = solvers.method(owner, n, owner.t_, epochs, run.seed)
    rows_at_once = min(method.batch_size, n) if isinstance(method, Online) else n
    if owner.solver in solvers.MINI_BATCH and owner.batch_size != "auto" and owner.batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
            f"{owner.batch_size} is larger than the {n} rows.",
            stacklevel=6,
        )
    own_penalty = isinstance(method, BayesianRegularization)
    l2 = 0.0 if own_penalty else float(owner.alpha) / total * n / rows_at_once
    orders = run.orders.of(n) if owner.solver in solvers.MINI_BATCH else None
    engine = choose(network, asked.loss, X)
    engine = PenaltyByRows(engine) if l2 and n % rows_at_once else engine
    objective = Objective(network, asked.loss, X, T, s, l2, engine, orders)
    validation = None
    if validating is not None:
        validation = Validation(Objective(network, asked.loss, *validating), asked.score(validating.T, validating.s))
    about = _about(owner, method, objective)

    def fitted(w: Numbers) -> dict[str, Any]:
        coefs, intercepts = weights.layered(network, w)
        return {"coefs_": coefs, "intercepts_": intercepts, "members_": [(coefs, intercepts)]}

    name = owner.solver if isinstance(owner.solver, str) else method.name
    batches = ceil(n / rows_at_once) if isinstance(method, Online) else 0
    task = Task(
        name, objective, method, validation, limits, asked.averaged, fitted, batches, batches * rows_at_once / n,
        total,
    )  # fmt: skip
    return task, run._replace(state=_state(run, about, isinstance(method, Online)), about=about)


def _about(owner: Any, method: Method, objective: Objective) -> bytes:
    """Return what a state must agree in to be gone on with: the rule, or for batch methods rows and objective."""
    if isinstance(method, Online):
        return str(method.rule.name).encode()
    if not owner.warm_start:
        return b""
    digest = blake2b(repr((method, objective.loss, objective.l2)).encode(), digest_size=16)
    for part in objective.rows:
        if part is not None:
            digest.update(part)
    return digest.digest()


def _state(run: Run, about: bytes, online: bool) -> Any:
    """Return the state to go on from; one of online training also serves other weights and other rows."""
    if run.state is None or not about:
        return None
    if run.about == about:
        return run.state
    by_hand = not run.about
    return run.state._replace(w=run.w) if online and by_hand and hasattr(run.state, "memory") else None
