"""From a table to a model: read, give roles, split, encode, train, keep the best on validation rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from numbers import Integral
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import errorbars, interrupts, plan, sameness, selection
from deltarule.activations import Activation
from deltarule.checkpoint import Checkpoint, Keeper, opened
from deltarule.errors import SettingError, TableError
from deltarule.losses import Loss
from deltarule.methods import Method
from deltarule.model import Model
from deltarule.network import Network
from deltarule.plan import Plan
from deltarule.preparation import Encoded, Prepared, make_network, prepare
from deltarule.provenance import PARTS, Outcome, Training
from deltarule.restarts import Kept
from deltarule.runs import Progress, Run, Setting

__all__ = ["Progress", "fit"]

Floats = NDArray[np.float64]

PLAIN_LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy")
"""Losses for which the baseline, the training mean, is the best that can be known without inputs."""
NOT_KEPT = ("observe", "interrupt", "checkpoint")
"""Arguments that have nothing to do with what comes out."""
MOST_RUNS = 10_000
"""Restarts times members at most: the report on them has to fit into the header of a model file."""


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
    interrupt: str = "raise",
    restarts: int = 1,
    ensemble: int = 1,
    error_bars: bool | None = None,
    checkpoint: str | Path | Checkpoint | None = None,
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
        Seed of the split, the initial weights and the orders of online training. Further runs have the seeds after it.
    max_steps, max_seconds : optional
        Limits of each run.
    observe : callable, optional
        Told the `Progress` after each step; returning True ends the run. Where runs are side by side, the threads that
        train call it, one at a time.
    interrupt : str
        What Ctrl-C does: ``raise`` KeyboardInterrupt, or ``keep``: end training with the best model so far.
    restarts : int
        How many times the chosen network is trained, each time from a seed of its own; the best run is kept. See
        `deltarule.restarts` for what is the best, and ``model.training.odds`` for how often a run is a good one.
    ensemble : int
        How many networks the model is made of, each from a seed of its own and each the best of its restarts. What it
        predicts is the mean of what they put out.
    error_bars : bool, optional
        Whether the model can say how far observations lie around its predictions,
        ``model.predict(table, return_std=True)``. Unless given it can, if the target is a number, the loss
        squared_error, and the network small enough for a small file; see `deltarule.errorbars`.
    checkpoint : str, Path or Checkpoint, optional
        A folder of its own that keeps all runs, saved every 30 seconds, at the end and when they are interrupted, for
        which SIGTERM is as good as Ctrl-C. The same call with ``Checkpoint(folder, resume=True)`` goes on with them and
        gives the same model, to the bit, as if they had never been interrupted.

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
    given = {name: value for name, value in locals().items() if name not in NOT_KEPT}
    keep = interrupts.keeps(interrupt)
    restarts, ensemble = _checked_count("restarts", restarts), _checked_count("ensemble", ensemble)
    if restarts * ensemble > MOST_RUNS:
        raise SettingError(
            f"{restarts:,} restarts of {ensemble:,} networks were asked for; at most {MOST_RUNS:,} runs."
        )
    errorbars.check_asked(error_bars)
    prepared = prepare(
        source, target, query=query, inputs=inputs, exclude=exclude, task=task, loss=loss, scaling=scaling,
        split_by=split_by, fractions=fractions, seed=seed,
    )  # fmt: skip
    encoded = prepared.encoded

    def network(widths: tuple[int, ...]) -> Network:
        given = () if hidden is None and not widths else activation
        return make_network(prepared, widths, given)

    n_rows = len(encoded.parts.train)
    largest = network(plan.widths(n_rows, hidden))  # refuses before any work what does not fit
    projects = prepared.loss.name == "squared_error" and largest.activations[-1].name == "identity"
    planned = plan.make(
        n_rows, n_weights=largest.n_weights, projects=projects, hidden=hidden, method=method, settings=settings, l2=l2,
        max_steps=max_steps, max_seconds=max_seconds, seed=seed,
    )  # fmt: skip
    _check_validation(prepared, planned)
    errorbars.check_possible(error_bars, prepared.task, prepared.loss, largest)
    started = perf_counter()
    runs = {"seed": int(seed), "restarts": restarts, "ensemble": ensemble}
    table = {"X": encoded.X, "T": encoded.T, **{name: encoded.rows(name) for name in PARTS}}
    about = sameness.of_fit(given, largest, prepared.loss, planned, runs, table) if checkpoint is not None else {}
    with nullcontext() if checkpoint is None else _keeping(checkpoint, about) as keeper:
        setting = Setting(
            network, prepared.loss, planned, int(seed), observe, keep, restarts, ensemble, keeper
        )  # fmt: skip
        kept = _choose(setting, encoded, prepared.task, prepared.how)
    found = errorbars.of(error_bars, prepared.task, prepared.loss, kept.members)
    return _scored(_model(prepared, planned, kept, int(seed), started, found), encoded)


def _model(
    prepared: Prepared, planned: Plan, kept: Kept, seed: int, started: float, error_bars: tuple[Any, tuple[str, ...]]
) -> Model:
    """Return the networks that are kept as a model, with what it says of its training but for the scores."""
    (first, *others), (found, notes) = kept.members, error_bars
    training = Training(
        table=prepared.table.name,
        rows={part: len(prepared.encoded.rows(part)) for part in PARTS},
        method=planned.method.name,
        settings=settings_of(planned.method),
        l2=first.candidate.l2,
        seed=seed,
        steps=first.result.step,
        seconds=perf_counter() - started,
        reason=first.result.message,
        scores={},
        baseline={},
        notes=(*prepared.notes, *kept.notes, *notes),
        runs=tuple(_outcome(run, run.seed in {member.seed for member in kept.members}) for run in kept.runs),
    )
    return Model(
        first.network, first.result.w, prepared.loss, prepared.encoding, training, first.result.history,
        tuple(member.result.w for member in others), found,
    )  # fmt: skip


def _check_validation(prepared: Prepared, planned: Plan) -> None:
    """Refuse validation rows that are to choose, but are fewer than the classes."""
    n, T = len(prepared.encoded.parts.validation), prepared.encoded.T
    classes = {"binary": 2, "multiclass": T.shape[1]}.get(prepared.task, 0)
    if n < classes and not planned.folds:
        raise TableError(
            f"The validation part has {n} row{'s' if n != 1 else ''} for {classes} classes, too few to say when to "
            "stop; give it more (fractions, split), or leave method and l2 on auto, which compares by cross-validation."
        )


@contextmanager
def _keeping(asked: str | Path | Checkpoint, about: dict[str, Any]) -> Iterator[Keeper]:
    """Give the keeper of all runs, SIGTERM being as good as Ctrl-C meanwhile."""
    with interrupts.sigterm_raises(), opened(asked, about) as keeper:
        yield keeper


def _choose(setting: Setting, encoded: Encoded, task: str, how: str) -> Kept:
    """Return the candidate that the rows choose, trained from each seed: test rows have no part in it."""
    training, validation = encoded.part("training"), encoded.part("validation")
    if not setting.plan.folds:
        return selection.by_validation(setting, training, validation)
    rows = encoded.parts.train
    if len(encoded.parts.test):  # without test rows, the validation rows are the ones to report on
        rows = np.sort(np.concatenate([rows, encoded.parts.validation]))
    X, T = encoded.X[rows], encoded.T[rows]
    labels = {"binary": T[:, 0], "multiclass": T.argmax(axis=1)}.get(task)
    return selection.by_cross_validation(setting, (X, T), labels, how == "order")


def _outcome(run: Run, kept: bool) -> Outcome:
    """Return what a report says of a run."""
    result, wasted = run.result, run.came_to_nothing or not (kept or isfinite(run.score))
    objective = None if wasted else _finite(result.loss)
    loss = None if wasted else _finite(result.loss - result.history[result.step].penalty)
    return Outcome(
        seed=run.seed,
        loss=loss,
        objective=objective,
        validation_loss=None if wasted else _finite(run.validation_loss),
        steps=result.step,
        reason=result.reason.name,
        kept=kept,
    )


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


def settings_of(method: Method) -> dict[str, Any]:
    """Return a method's settings as JSON values; a user's own method may keep its settings to itself."""
    if not is_dataclass(method):
        return {}
    given = ((row.name, getattr(method, row.name)) for row in fields(method) if row.init)
    return {name: value if _is_plain(value) else repr(value) for name, value in given}


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and isfinite(value))


def _finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _checked_count(name: str, value: int) -> int:
    """Return a number of runs as an int."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise SettingError(f"{name} was {value!r}; it is a whole number from 1 up.")
    return int(value)
