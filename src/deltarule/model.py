"""A model: network, weights and encoding together, ready to predict from tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deltarule import report
from deltarule.encoding import Encoding
from deltarule.encoding.roles import missing_rows
from deltarule.engines import choose
from deltarule.errors import SettingError, TableError
from deltarule.losses import LOSSES, Loss
from deltarule.network import Network
from deltarule.tables import read

if TYPE_CHECKING:
    from deltarule.record import Record

Floats = NDArray[np.float64]

PARTS = ("training", "validation", "test")
"""What the rows of a table are divided into."""


@dataclass(frozen=True)
class Training:
    """How a model came to be: what was used, how it ended, how good it was on rows it had not seen.

    Parameters
    ----------
    table : str
        Name of the table.
    rows : dict of str to int
        Number of rows in the training, validation and test parts. Where a note says that the model was chosen by
        cross-validation, training and validation rows both took part in the choice and in the last run.
    method : str
        Name of the method.
    settings : dict
        Its settings, as texts and numbers.
    l2 : float
        The penalty chosen.
    seed : int
        Seed of split, weights and orders.
    steps : int
        Steps of the run that was kept, up to its best weights.
    seconds : float
        Time of all training.
    reason : str
        Why the run ended.
    scores : dict of str to dict
        Scores of the parts ``test`` (or ``validation`` where there is no test part) and ``training``.
    baseline : dict
        Scores on the same held-out part of always predicting the training mean or the commonest class.
    notes : tuple of str
        What was left out, filled in or decided on the way.
    """

    table: str
    rows: dict[str, int]
    method: str
    settings: dict[str, Any]
    l2: float
    seed: int
    steps: int
    seconds: float
    reason: str
    scores: dict[str, dict[str, Any]]
    baseline: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with all that turns a table's rows into its inputs and its outputs into answers.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    w : array of shape (p,)
        The weights.
    loss : Loss
        What was made small.
    encoding : Encoding
        Columns to numbers and back.
    training : Training
        How it came to be.
    history : list of Record
        The records of the run that was kept, without validation losses where validation rows took part in it; empty
        in a model that was loaded.
    """

    network: Network
    w: Floats
    loss: Loss
    encoding: Encoding
    training: Training
    history: list[Record] = field(default_factory=list, repr=False)

    @property
    def task(self) -> str:
        """``regression``, ``binary``, ``multiclass`` or ``multilabel``."""
        return self.encoding.task

    def outputs(self, source: Any, query: str | None = None) -> tuple[Floats, list[str]]:
        """Return what the network puts out (n, n_out), in its own scale, and notes on the table's columns."""
        table = read(source, query)
        X, notes = self.encoding.inputs(table)
        return self._outputs(X, f"row {{}} of {table.name}"), notes

    def predict(self, source: Any, query: str | None = None) -> NDArray[Any]:
        """Return a number or a class for each row of a table.

        Parameters
        ----------
        source : path, frame, dict or Table
            A table with the model's input columns; others are ignored, their order does not matter.
        query : str, optional
            The SQL to run where the source is a database file.

        Returns
        -------
        array
            Shape (n,): numbers in the target's units, or class labels of the target's own type. For several
            targets (n, k).

        Raises
        ------
        TableError
            If the table cannot be read, lacks a column, or a cell cannot be used; the message names it.
        """
        return self.answers(self.outputs(source, query)[0])

    def predict_proba(self, source: Any, query: str | None = None) -> Floats:
        """Return the probability of each class, shape (n, classes); of each label for several labels.

        Raises
        ------
        SettingError
            If the model is a regression.
        TableError
            As `predict`.
        """
        return self.probabilities(self.outputs(source, query)[0])

    def answers(self, Y: Floats) -> NDArray[Any]:
        """Return the numbers or classes that outputs Y (n, n_out) stand for."""
        return self.encoding.decode_regression(Y) if self.task == "regression" else self.encoding.decode_labels(Y)

    def probabilities(self, Y: Floats) -> Floats:
        """Return the probabilities (n, classes) that outputs Y (n, n_out) stand for."""
        if self.task == "regression":
            raise SettingError("This model is a regression: it predicts numbers, which have no probabilities.")
        if self.loss.name == "squared_error":  # outputs of a network trained on squared error need not sum to 1
            Y = np.clip(Y, 0.0, 1.0)
            if self.task == "multiclass":
                Y = (Y + 1e-12) / (Y + 1e-12).sum(axis=1, keepdims=True)
        return np.column_stack([1 - Y[:, 0], Y[:, 0]]) if self.task == "binary" else Y

    def evaluate(self, source: Any, query: str | None = None) -> report.Scores:
        """Return how good the predictions are on a table that holds the targets too.

        Raises
        ------
        TableError
            As `predict`, and if a target column is missing or has no value in any row.
        """
        X, T, _ = self.encoded(source, query)
        return self.score(X, T)

    def _outputs(self, X: Floats, place: str = "row {} of those with a target") -> Floats:
        """Return what the network puts out for inputs X, all of it finite in the target's units."""
        with np.errstate(all="ignore"):  # what overflows is found and named here
            Y: Floats = choose(self.network, self.loss, X).predict(self.w, X)
            known = np.isfinite(self.answers(Y) if self.task == "regression" else Y).reshape(len(X), -1).all(axis=1)
        if not known.all():
            raise TableError(
                f"The prediction for {place.format(int(np.argmin(known)) + 1)} is too large for a number: its inputs "
                "are too far from what the model was trained on. Correct or leave out the row."
            )
        return Y

    def encoded(self, source: Any, query: str | None = None) -> tuple[Floats, Floats, list[str]]:
        """Return X (n, n_in) and T (n, n_out) of the rows that have a target, and notes on the table.

        Raises
        ------
        TableError
            As `evaluate`.
        """
        table, names = read(source, query), " and ".join(self.encoding.target_names)
        missing = missing_rows(table.column(name) for name in self.encoding.target_names)
        if missing.all():
            raise TableError(f"No row of {table.name} has a {names} to compare with.")
        X, notes = self.encoding.inputs(table)  # all its rows, so that a message counts them as the user does
        left_out = [f"{missing.sum():,} of {table.n_rows:,} rows have no {names}: left out"] if missing.any() else []
        return X[~missing], self.encoding.targets(table.take(~missing)), [*left_out, *notes]

    def score(self, X: Floats, T: Floats) -> report.Scores:
        """Return scores on encoded rows X (n, n_in) and T (n, n_out)."""
        return self.score_outputs(self._outputs(X), T)

    def score_outputs(self, Y: Floats, T: Floats) -> report.Scores:
        """Return scores of outputs Y (n, n_out) against encoded targets T (n, n_out)."""
        if self.task == "regression":
            k = T.shape[1]
            observed, predicted = (self.encoding.decode_regression(A).reshape(-1, k) for A in (T, Y))
            return report.score_regression(observed, predicted, self.encoding.target_names)
        probabilities = self.probabilities(Y)
        if self.task == "multilabel":
            return report.score_labels(T, probabilities)
        codes = T[:, 0].astype(np.intp) if self.task == "binary" else T.argmax(axis=1)
        return report.score_classes(codes, probabilities, self._class_list())

    def save(self, path: str | Path) -> None:
        """Write the model to one file, wholly or not at all.

        Raises
        ------
        InputError
            If the place cannot be written to.
        SettingError
            If the network has a user's own activation, which is code and cannot be stored.
        """
        from deltarule import modelfile

        modelfile.save(self, path)

    def _class_list(self) -> list[Any]:
        classes = self.encoding.classes
        return [] if classes is None else list(classes.tolist())

    def __repr__(self) -> str:
        sizes = "-".join(str(size) for size in self.network.sizes)
        return (
            f"<Model {', '.join(self.encoding.target_names)} by {sizes} {self.loss}, {self.network.n_weights} weights>"
        )


def load(path: str | Path) -> Model:
    """Return the model in a file that `Model.save` wrote.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not a model, is damaged, or is of a newer format.
    """
    from deltarule import modelfile

    return modelfile.load(path)


def output_activation(loss: Loss, task: str) -> str:
    """Return what the outputs of a table's network do."""
    if loss.fused:
        return loss.fused[0]
    return "identity" if task == "regression" else "logistic"


def check_loss(loss: Loss, task: str) -> None:
    """Refuse a loss that does not suit the task.

    Raises
    ------
    SettingError
        The message names those that do.
    """
    suited = {
        "binary": ("binary_cross_entropy", "squared_error"),
        "multilabel": ("binary_cross_entropy", "squared_error"),
        "multiclass": ("cross_entropy", "binary_cross_entropy", "squared_error"),
        "regression": tuple(name for name in LOSSES if "cross_entropy" not in name),
    }[task]
    if loss.name not in suited:
        raise SettingError(f"The loss {loss} does not suit a {task} target; use {' or '.join(suited)}.")
