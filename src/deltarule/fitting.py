"""From a table to a model: read, give roles, split, encode, train, keep the best on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from numbers import Integral
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import losses, plan, selection
from deltarule.activations import Activation
from deltarule.encoding import Encoding
from deltarule.encoding.roles import Roles, choose_roles, missing_rows
from deltarule.errors import SettingError, TableError, unknown
from deltarule.losses import Loss
from deltarule.methods import Method
from deltarule.model import PARTS, Model, Training, check_loss, output_activation
from deltarule.network import Network
from deltarule.selection import Chosen, Progress, Setting
from deltarule.splits import HOW, Split, split
from deltarule.tables import Table, read

Floats = NDArray[np.float64]

SPLIT = 0x73706C6974
"""Says what a seed is for, "split" in ASCII."""

LOSS_OF_TASK = {
    "regression": "squared_error",
    "binary": "binary_cross_entropy",
    "multilabel": "binary_cross_entropy",
    "multiclass": "cross_entropy",
}


PLAIN_LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy")
"""Losses for which the baseline, the training mean, is the best that can be known without inputs."""


class Encoded(NamedTuple):
    """A table as numbers: inputs and targets of its parts."""

    X: Floats
    T: Floats
    parts: Split

    def part(self, name: str) -> tuple[Floats, Floats]:
        """Return (X, T) of ``training``, ``validation`` or ``test``."""
        rows = self.rows(name)
        return self.X[rows], self.T[rows]

    def rows(self, name: str) -> NDArray[np.intp]:
        """Return the indices of the rows of a part."""
        return dict(zip(PARTS, (self.parts.train, self.parts.validation, self.parts.test), strict=True))[name]


def fit(
    source: Any,
    target: str | Sequence[str],
    *,
    query: str | None = None,
    inputs: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    task: str | None = None,
    hidden: int | Sequence[int] | None = None,
    activation: str | Activation | Sequence[str | Activation] = "tanh",
    loss: str | Loss | None = None,
    method: str | Method = "auto",
    settings: dict[str, Any] | None = None,
    l2: str | float = "auto",
    scaling: str = "standard",
    split_by: str = "random",
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
    max_steps: int | None = None,
    max_seconds: float | None = None,
    observe: Callable[[Progress], object] | None = None,
    keep_on_interrupt: bool = False,
) -> Model:
    """Train a network on a table.

    Parameters
    ----------
    source : path, frame, dict or Table
        A file (CSV, TSV, Parquet, JSON lines), a database file with `query`, or a frame of pandas, polars or Arrow.
    target : str or sequence of str
        The column or columns to predict.
    query : str, optional
        The SQL to run where the source is a database file.
    inputs : str or sequence of str, optional
        The columns to predict from; all others unless given.
    exclude : str or sequence of str
        Columns not to use.
    task : str, optional
        ``regression`` or ``classification``; found from the target unless given.
    hidden : int, sequence of int, optional
        Widths of the hidden layers, ``()`` for none; unless given, one layer by the number of rows, or none where
        that does as well.
    activation : str, Activation or one for each hidden layer
        What the hidden neurons do.
    loss : str or Loss, optional
        What is made small; squared error for regression, cross-entropy for classes unless given.
    method : str or Method
        How weights are chosen: ``auto``, a name, an alias, or an object of `deltarule.methods`.
    settings : dict, optional
        Settings of a method given by name, such as ``{"learning_rate": 0.05}``.
    l2 : "auto" or float
        Penalty on the squared weights; ``auto`` tries several. With method ``auto`` and up to 2,000 training rows,
        cross-validation over training and validation rows chooses one, and the model is then trained on both parts;
        otherwise the validation rows choose.
    scaling : str
        Preparation of number columns: ``standard``, ``minmax``, ``robust`` or ``none``.
    split_by : str
        ``random``, ``order``, or ``column:NAME`` for a column that holds train, validation and test.
    fractions : three floats
        Shares of training, validation and test rows.
    seed : int
        Seed of the split, the initial weights and the orders of online training.
    max_steps, max_seconds : optional
        Limits of each run.
    observe : callable, optional
        Told the `Progress` after each step; returning True ends the run.
    keep_on_interrupt : bool
        Whether Ctrl-C ends training with the best model so far instead of raising KeyboardInterrupt.

    Returns
    -------
    Model
        The trained model; ``model.training`` says how it went.

    Raises
    ------
    TableError
        If the table, a column or a cell cannot be used.
    SettingError
        If a name is unknown or a value is out of range.
    TrainingError
        If no run made a step with a finite loss.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-2, 2, 200)
    >>> model = fit({"x": x, "y": np.sin(2 * x)}, "y", seed=1)
    >>> bool(model.training.scores["test"]["r2"] > 0.99)
    True
    """
    _check_seed(seed)
    how, mark = _split_by(split_by, _names(target), () if inputs is None else _names(inputs))
    table = read(source, query)
    roles = choose_roles(
        table, target, inputs=None if inputs is None else _names(inputs),
        exclude=[*_names(exclude), *([mark] if mark else [])], task=task,
    )  # fmt: skip
    made_loss = losses.get(LOSS_OF_TASK[roles.task] if loss is None else loss)
    check_loss(made_loss, roles.task)
    _check_targets(made_loss, table, roles)
    encoding, encoded, notes = _encode(table, roles, made_loss, scaling, how, mark, fractions, seed)
    planned = plan.make(
        len(encoded.parts.train), hidden=hidden, method=method, settings=settings, l2=l2,
        max_steps=max_steps, max_seconds=max_seconds, seed=seed,
    )  # fmt: skip

    def network(widths: tuple[int, ...]) -> Network:
        given = () if hidden is None and not widths else activation
        return _network(encoded.X, encoded.T, widths, given, made_loss, roles.task)

    network(planned.candidates[-1].hidden)  # refuses before any work what does not fit
    started = perf_counter()
    setting = Setting(network, made_loss, planned, seed, observe, keep_on_interrupt)
    chosen = _choose(setting, encoded, roles.task, how)
    result = chosen.result
    training = Training(
        table=table.name,
        rows={part: len(encoded.rows(part)) for part in PARTS},
        method=planned.method.name,
        settings=_settings(planned.method),
        l2=chosen.candidate.l2,
        seed=seed,
        steps=result.step,
        seconds=perf_counter() - started,
        reason=result.message,
        scores={},
        baseline={},
        notes=(*notes, *chosen.notes),
    )
    return _scored(Model(chosen.network, result.w, made_loss, encoding, training, result.history), encoded)


def _encode(
    table: Table, roles: Roles, loss: Loss, scaling: str, how: str, mark: str,
    fractions: tuple[float, float, float], seed: int,
) -> tuple[Encoding, Encoded, list[str]]:  # fmt: skip
    """Return the encoding, the rows with a target as numbers, and what was noted on the way."""
    rows = np.flatnonzero(~missing_rows(table.column(name) for name in roles.targets))
    known = table.take(rows)
    labels = known.column(roles.targets[0]).values if roles.task in ("binary", "multiclass") else None
    marks = known.column(mark).values if mark else None
    parts = split(known.n_rows, labels=labels, seed=_split_seed(seed), fractions=fractions, how=how, column=marks)
    target_scaling = "none" if loss.fused and roles.task == "regression" else scaling
    encoding = Encoding.fit(known, roles, parts.train, scaling, target_scaling)
    X, notes = encoding.inputs(table)  # all its rows, so that a message counts them as the user does
    notes = [*table.notes, *encoding.notes, *(note for note in notes if not note.startswith("columns ignored"))]
    return encoding, Encoded(X[rows], encoding.targets(known), parts), notes


def _network(X: Floats, T: Floats, hidden: tuple[int, ...], activation: Any, loss: Loss, task: str) -> Network:
    """Return a network from inputs to targets whose outputs suit loss and task."""
    activations = [activation] * len(hidden) if isinstance(activation, str | Activation) else list(activation)
    if len(activations) != len(hidden):
        given, needed = len(activations), len(hidden)
        raise SettingError(
            f"{given} activation{'s were' if given > 1 else ' was'} given for {needed} hidden "
            f"layer{'s' if needed != 1 else ''}; give one for all, or one for each layer."
        )
    return Network((X.shape[1], *hidden, T.shape[1]), [*activations, output_activation(loss, task)])


def _choose(setting: Setting, encoded: Encoded, task: str, how: str) -> Chosen:
    """Return the candidate that the rows choose, trained: test rows have no part in it."""
    training, validation = encoded.part("training"), encoded.part("validation")
    if not setting.plan.folds:
        return selection.by_validation(setting, training, validation)
    rows = encoded.parts.train
    if len(encoded.parts.test):  # without test rows, the validation rows are the ones to report on
        rows = np.sort(np.concatenate([rows, encoded.parts.validation]))
    X, T = encoded.X[rows], encoded.T[rows]
    labels = {"binary": T[:, 0], "multiclass": T.argmax(axis=1)}.get(task)
    return selection.by_cross_validation(setting, (X, T), labels, how == "order")


def _scored(model: Model, encoded: Encoded) -> Model:
    """Return the model with its scores on training and held-out rows, and those of the baseline."""
    held_out = "test" if len(encoded.parts.test) else "validation"
    X, T = encoded.part(held_out)
    train_X, train_T = encoded.part("training")
    scores = {held_out: model.score(X, T).to_dict(), "training": model.score(train_X, train_T).to_dict()}
    baseline = model.score_outputs(_baseline(train_T, len(T)), T)
    notes = (*model.training.notes, *_disappointments(model, encoded))
    return replace(model, training=replace(model.training, scores=scores, baseline=baseline.to_dict(), notes=notes))


def _disappointments(model: Model, encoded: Encoded) -> list[str]:
    """Return a note if the run learnt nothing, or less than the baseline knows, as the validation rows say."""
    if model.training.steps == 0:
        return ["nothing was learnt: no step made the loss smaller, so the initial weights were kept"]
    X, T = encoded.part("validation")
    found, baseline = model.score(X, T), model.score_outputs(_baseline(encoded.part("training")[1], len(T)), T)
    score = "rmse" if model.task == "regression" else "log_loss"
    if getattr(found, score) <= getattr(baseline, score) or model.loss.name not in PLAIN_LOSSES:
        return []
    return ["next to nothing was learnt: on the validation rows the model is worse than the baseline"]


def _baseline(T: Floats, n: int) -> Floats:
    """Return the outputs (n, k) of knowing the training rows' mean and nothing else: for classes, their shares."""
    return np.tile(T.mean(axis=0), (n, 1))


def _settings(method: Method) -> dict[str, Any]:
    """Return a method's settings as JSON values; a user's own method may keep its settings to itself."""
    if not is_dataclass(method):
        return {}
    given = ((row.name, getattr(method, row.name)) for row in fields(method) if row.init)
    return {name: value if _is_plain(value) else repr(value) for name, value in given}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _split_seed(seed: int) -> int:
    """Return a seed of the split's own.

    Rows that somebody drew from ``default_rng(seed)`` would otherwise be split by the very numbers they hold, so that
    the test rows are those with the largest values of a column.
    """
    return int(np.random.SeedSequence([seed, SPLIT]).generate_state(1, np.uint64)[0])


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _split_by(split_by: str, targets: list[str], inputs: Sequence[str]) -> tuple[str, str]:
    """Return how to split, and the column that says so or an empty string."""
    how, _, mark = split_by.partition(":")
    if how not in HOW or (how == "column") != bool(mark):
        raise unknown("split", split_by, ["random", "order", "column:NAME"])
    if mark and mark in [*targets, *inputs]:
        raise SettingError(f"Column {mark!r} is to split the rows; it cannot be a target or an input too.")
    return how, mark


def _check_targets(loss: Loss, table: Table, roles: Roles) -> None:
    """Refuse numbers to predict that the loss has no value for."""
    if roles.task != "regression":
        return
    low, high = loss.targets
    for name in roles.targets:
        values = table.column(name).values
        bad = (values < low) | (values > high)
        if bad.any():
            row = int(np.argmax(bad))
            raise TableError(
                f"Target {name!r} of {table.name} holds {values[row]:g} in row {row + 1}; the loss {loss} accepts "
                f"numbers from {low:g} to {high:g}. Choose another loss."
            )


def _check_seed(seed: int) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise SettingError(f"The seed was {seed!r}; it is a whole number from 0 up.")
