"""Explaining a step: taken for the purpose, or in a run."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import methods, preconditioning
from deltarule.engines.array import ArrayEngine
from deltarule.engines.native import NativeEngine
from deltarule.errors import InputError, SettingError
from deltarule.explain import backward, rounding, subject
from deltarule.explain.names import Names
from deltarule.explain.step import Update
from deltarule.explain.terms import Taken, account
from deltarule.methods import Online
from deltarule.objective import Objective

Numbers = NDArray[Any]


def update(
    given: Any,
    rows: Any = None,
    targets: Any = None,
    *,
    method: Any = "online",
    take: int | Sequence[int] | None = None,
    w: Any = None,
    loss: Any = None,
    l2: float | None = None,
    state: Any = None,
    query: str | None = None,
    member: int = 0,
) -> Update:
    """Take one step of a method on some rows, and return why each weight moved.

    The step is from the weights given: a method with a preconditioner takes it without, for it would begin with another
    last layer.

    Parameters
    ----------
    given : Model, Objective, Network or estimator
        What learns. Its weights do not change.
    rows : table, row or array
        The rows of the step. For a Model a table that holds the targets too, or one row as a dict; for a Network and
        an estimator X, (n, n_in) or (n_in,).
    targets : array, optional
        For a Network T, (n, n_out); for an estimator y.
    method : str or Method
        What chooses the step. ``online`` makes one update: of one row, or of one mini-batch of all the rows. It is
        made by the array engine, so that the shown factors are its numbers to the bit; compiled kernels round
        otherwise, by no more than `Update.data_bound` times the rate.
    take : int or sequence of int, optional
        Which of the rows to use, counted from 0; all of them unless given.
    w : array of shape (p,), optional
        The weights before the step, needed for an Objective and a Network.
    loss : str or Loss, optional
        The loss of a Network, squared error unless given.
    l2 : float, optional
        Penalty on the squared weights; that of the training of a Model, otherwise 0.
    state : State, optional
        A state of the method to go on from, as `deltarule.steps` yields them: with its momentum, its direction.
    query : str, optional
        The SQL to run where the rows are a database file.
    member : int
        Which network of a Model that is an ensemble.

    Returns
    -------
    Update
        Print it, or see its methods.

    Raises
    ------
    InputError
        If rows, weights or names do not fit; the message says what is needed.

    Examples
    --------
    >>> import numpy as np, deltarule as dr
    >>> net = dr.Network((2, 2, 1), ("logistic", "logistic"))
    >>> w = np.array([0.2, -0.4, 0.7, 0.1, 0.1, -0.3, 0.6, -0.9, 0.2])
    >>> found = update(net, [1.0, 0.5], [1.0], w=w, method=dr.methods.Online(0.5))
    >>> print(found.text("hidden1[0] <- input[0]").splitlines()[-6])
      hidden1[0]: e 0.1, y 0.525; δ 0.07627 = Σ weight · δ · f′ over what it feeds
    """
    found = subject.of(given, rows, targets, w, loss, l2, take, query, member)
    chosen = preconditioning.without(methods.get(method))
    if isinstance(chosen, Online):
        chosen = _one_update(chosen, found.objective.n_rows, isinstance(method, str))
        found = found._replace(objective=_kept(found.objective))
    methods.check_needs(chosen, found.objective)
    objective = preconditioning.for_method(found.objective, chosen)
    settled = getattr(objective, "settled", None)
    with objective.working(), np.errstate(over="ignore", invalid="ignore"):
        if state is None:
            state = chosen.start(objective, found.w)
            state = state if settled is None else state._replace(w=settled(state.w))
        if not isfinite(state.loss):
            raise InputError(
                f"The loss before the step is {float(state.loss):g}: there is no step to explain. Give smaller "
                "weights, or rescale the inputs."
            )
        after = chosen.step(objective, state)
        after = after if settled is None else after._replace(w=settled(after.w))
        made = explained(Taken(objective, chosen, state, after), found.names, found.rows)
    return replace(made, account=made.account._replace(notes=(*made.account.notes, *found.notes)))


def explained(taken: Taken, names: Names, labels: tuple[str, ...]) -> Update:
    """Return why the weights moved in a step: of an online method one update, of others any step.

    Parameters
    ----------
    taken : Taken
        The step.
    names : Names
        What neurons and weights are called.
    labels : tuple of str
        What the rows of the objective are called.
    """
    objective, w = taken.objective, taken.before.w
    network, loss, rows = objective.network, objective.loss, objective.rows
    layers = backward.trace(network, loss, w, rows, names)
    off = rounding.of_gradient(network, loss, layers, rows.T) / objective.n_rows
    if not isinstance(taken.method, Online):
        return Update(
            taken.method.name, str(loss), names, w, taken.after.w, account(taken), layers, labels, rows.T, off
        )
    found = account(taken._replace(data=backward.descent(network, layers) / objective.n_rows))
    found = found._replace(
        slack=np.abs(np.asarray(found.scale)) * off
    )  # no state holds the gradient: it is computed again here
    return Update(taken.method.name, str(loss), names, w, taken.after.w, found, layers, labels, rows.T, off)


def _kept(objective: Objective) -> Objective:
    """Return the objective with an engine whose every number is kept, instead of compiled kernels."""
    if not isinstance(objective.engine, NativeEngine):
        return objective
    kept = copy(objective)
    kept.engine = ArrayEngine(objective.network, objective.loss)
    return kept


def _one_update(method: Online, n: int, by_name: bool) -> Online:
    """Return the method such that its step is one update of all the rows."""
    if by_name:
        return replace(method, batch_size=n, rows_per_step=None, shuffle=False)
    if n != 1 and method.batch_size < n:
        raise SettingError(
            f"{n:,} rows were given, and Online with batch_size {method.batch_size}, which makes several updates of "
            f"them. Give one row, or Online(batch_size={n}), or use explain.Recorder for a run."
        )
    return replace(method, rows_per_step=None, shuffle=False)
