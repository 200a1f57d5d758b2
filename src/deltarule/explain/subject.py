"""What can be explained: a model and a table, an objective, a network and arrays, a fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError, SettingError
from deltarule.explain.names import Names
from deltarule.model import Model
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.tables import read

Numbers = NDArray[Any]
ACCEPTED = (
    "Accepted: a Model and a table or row; an Objective with w=…; a Network with X, T and w=…; a fitted estimator with "
    "coefs_ and intercepts_, X and y."
)


ENCODED = "inputs and targets are as the network sees them: encoded and scaled by the model"


class Subject(NamedTuple):
    """What a step is explained of: an objective over the rows in question, the weights, names, and what to note."""

    objective: Objective
    w: Numbers
    names: Names
    rows: tuple[str, ...]
    notes: tuple[str, ...] = ()


def of(
    given: Any, rows: Any, targets: Any, w: Any, loss: Any, l2: float | None, take: int | Sequence[int] | None,
    query: str | None, member: int,
) -> Subject:  # fmt: skip
    """Return what is to be explained; see `deltarule.explain.update` for the parameters.

    Raises
    ------
    InputError
        If it is nothing that can be explained, or something is missing; the message says what.
    """
    if isinstance(given, Model):
        return _of_model(given, rows, w, l2, take, query, member)
    if isinstance(given, Objective):
        return _of_objective(given, w, take)
    if isinstance(given, Network):
        _need(targets, "targets", "A Network", "X and T")
        return _of_arrays(given, loss or "squared_error", rows, targets, _weights(w, "A Network"), l2 or 0.0, take)
    if hasattr(given, "coefs_") and hasattr(given, "intercepts_"):
        _need(targets, "targets", "An estimator", "X and y")
        from deltarule.explain import estimated

        network, found, layers, X, T = estimated.unpacked(given, rows, targets)
        return _of_arrays(network, loss or found, X, T, layers if w is None else w, l2 or 0.0, take)
    raise InputError(f"A {type(given).__name__} cannot be explained. {ACCEPTED}")


def _need(value: Any, what: str, given: str, needed: str) -> None:
    if value is None:
        raise InputError(f"{given} was given without {what}; give {needed} of the rows to explain.")


def _weights(w: Any, given: str) -> Any:
    if w is None:
        raise InputError(f"{given} has no weights of its own; give w=…, the weights before the step.")
    return w


def _of_model(model: Model, rows: Any, w: Any, l2: float | None, take: Any, query: str | None, member: int) -> Subject:
    _need(rows, "rows", "A Model", "a table, or a row as a dict")
    if not 0 <= member < len(model.members):
        raise SettingError(f"member was {member!r}; this model has {len(model.members)}, counted from 0.")
    table = _one_row(rows) if isinstance(rows, Mapping) else rows
    table = read(table, query)
    taken = _taken(take, table.n_rows, table.name)
    known = table if taken is None else table.take(taken)
    X, T, _ = model.encoded(known)
    if len(X) != known.n_rows:  # rows without a target were left out
        missing = set(model.encoding.target_missing_rows(known).tolist())
        kept = [i for i in range(known.n_rows) if i not in missing]
        taken = np.array(kept) if taken is None else taken[kept]
    labels = _labels(len(X), taken, f" of {table.name}")
    penalty = model.training.l2 if l2 is None else l2
    objective = Objective(model.network, model.loss, X, T, l2=penalty)
    names = Names(model.network, tuple(model.encoding.input_names), _outputs(model))
    w = objective.weights(model.members[member] if w is None else w)
    return Subject(objective, w, names, labels, (ENCODED,))


def _outputs(model: Model) -> tuple[str, ...]:
    """Return the names of the outputs, without the target's where there is one."""
    names, targets = model.encoding.output_names, model.encoding.target_names
    return tuple(name.removeprefix(f"{targets[0]}=") if len(targets) == 1 else name for name in names)


def _one_row(rows: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mapping of columns; single values become columns of one row."""
    single = [value is None or isinstance(value, str) or np.ndim(value) == 0 for value in rows.values()]
    return {name: [value] for name, value in rows.items()} if all(single) else rows


def _of_objective(objective: Objective, w: Any, take: Any) -> Subject:
    w = objective.weights(_weights(w, "An Objective"))
    taken = _taken(take, objective.n_rows, "the objective")
    X, T, s = objective.rows
    if not isinstance(X, np.ndarray):
        raise InputError(
            f"The rows are {type(X).__name__} values; explanations are made of NumPy arrays: convert them."
        )
    if taken is not None:
        X, T, s = X[taken], T[taken], None if s is None else s[taken]
        objective = Objective(objective.network, objective.loss, X, T, s, l2=objective.l2, engine=objective.engine)
    return Subject(objective, w, Names(objective.network), _labels(objective.n_rows, taken))


def _of_arrays(network: Network, loss: Any, X: Any, T: Any, w: Any, l2: float, take: Any) -> Subject:
    X, T = np.asarray(X), np.asarray(T)
    one = X.ndim == 1  # one row
    X, T = (X[None], T.reshape(1, -1)) if one else (X, T)
    taken = _taken(take, len(X), "X")
    if taken is not None:
        X, T = X[taken], T[taken]
    objective = Objective(network, loss, X, T, l2=l2)
    return Subject(objective, objective.weights(w), Names(network), _labels(len(X), taken))


def _taken(take: int | Sequence[int] | None, n: int, name: str) -> NDArray[np.intp] | None:
    """Return the rows asked for."""
    if take is None:
        return None
    asked = [take] if isinstance(take, int | np.integer) else list(take)
    for row in asked:
        if not isinstance(row, int | np.integer) or not 0 <= row < n:
            raise SettingError(f"Row {row!r} was asked for; {name} has {n:,} rows, counted from 0.")
    if not asked:
        raise SettingError("No row was asked for: give at least one.")
    return np.array(asked, dtype=np.intp)


def _labels(n: int, taken: NDArray[np.intp] | None, where: str = "") -> tuple[str, ...]:
    """Return what rows are called: they count from 1, as in messages about tables."""
    numbers = range(n) if taken is None else taken.tolist()
    return tuple(f"row {number + 1}{where}" for number in numbers)
