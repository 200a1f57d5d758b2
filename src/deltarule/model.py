"""A model: network, weights and encoding together, ready to predict from tables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from deltarule import errorbars, report
from deltarule.encoding import Encoding
from deltarule.encoding.roles import missing_rows
from deltarule.engines import choose
from deltarule.errorbars import ErrorBars
from deltarule.errors import SettingError, TableError
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.provenance import Training
from deltarule.tables import read
from deltarule.tables.columns import spelt

if TYPE_CHECKING:
    from deltarule.record import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network, or an ensemble of them, with all that turns rows into its inputs and its outputs into answers.

    Parameters
    ----------
    network : Network
        Sizes and activations, the same for all members of an ensemble.
    w : array of shape (p,)
        The weights; in an ensemble, those of its first member.
    loss : Loss
        What was made small.
    encoding : Encoding
        Columns to numbers and back.
    training : Training
        How it came to be.
    history : list of Record
        The records of the run that was kept, without validation losses where validation rows took part in it; empty
        in a model that was loaded.
    others : tuple of arrays of shape (p,)
        The weights of the other members of an ensemble.
    error_bars : ErrorBars, optional
        What error bars are computed from, where the model has them.
    """

    network: Network
    w: Floats
    loss: Loss
    encoding: Encoding
    training: Training
    history: list[Record] = field(default_factory=list, repr=False)
    others: tuple[Floats, ...] = ()
    error_bars: ErrorBars | None = None

    @property
    def members(self) -> tuple[Floats, ...]:
        """The weights (p,) of each network of an ensemble, `w` first; `w` alone where there is one network."""
        return (self.w, *self.others)

    @property
    def fingerprint(self) -> str:
        """A digest of all weights, 64 hexadecimal digits: the same for the same bits, SHA-256 of their bytes."""
        return hashlib.sha256(b"".join(w.astype("<f8").tobytes() for w in self.members)).hexdigest()

    @property
    def task(self) -> str:
        """``regression``, ``binary``, ``multiclass`` or ``multilabel``."""
        return self.encoding.task

    def outputs(self, source: Any, query: str | None = None) -> tuple[Floats, list[str]]:
        """Return what the network puts out (n, n_out), in its own scale, and notes on the table's columns.

        Of an ensemble it is the mean over its members.
        """
        X, place, notes = self._inputs(source, query)
        return self._outputs(X, place).mean(axis=0), notes

    def outputs_and_std(self, source: Any, query: str | None = None) -> tuple[Floats, Floats, list[str]]:
        """Return `outputs` with, before the notes, the std of new observations in the target's units, (n,) or (n, k).

        Raises
        ------
        SettingError, TableError
            As `predict`.
        """
        if self.error_bars is None:
            reason = errorbars.impossible(self.task, self.loss)
            raise SettingError(f"This model has no error bars: {reason or 'train it again with error_bars=True.'}")
        X, place, notes = self._inputs(source, query)
        each = self._outputs(X, place)
        with np.errstate(all="ignore"):  # what overflows is found and named here
            std = self.encoding.widths_in_units(errorbars.std(self.error_bars, self.network, self.members, X, each))
        _refuse_infinite(std, "The error bar", place)
        return each.mean(axis=0), std, notes

    @overload
    def predict(self, source: Any, query: str | None = None, *, return_std: Literal[False] = False) -> NDArray[Any]: ...

    @overload
    def predict(self, source: Any, query: str | None = None, *, return_std: Literal[True]) -> tuple[Floats, Floats]: ...

    def predict(
        self, source: Any, query: str | None = None, *, return_std: bool = False
    ) -> NDArray[Any] | tuple[Floats, Floats]:
        """Return a number or a class for each row of a table.

        Parameters
        ----------
        source : path, frame, dict or Table
            A table with the model's input columns; others are ignored, their order does not matter.
        query : str, optional
            The SQL to run where the source is a database file.
        return_std : bool
            Whether to return the standard deviation of a new observation around each prediction too.

        Returns
        -------
        array, or a tuple of two
            Shape (n,): numbers in the target's units, or class labels of the target's own type. For several
            targets (n, k). With `return_std` that and the standard deviations, of the same shape and in the same
            units, noise included: see `deltarule.errorbars`.

        Raises
        ------
        TableError
            If the table cannot be read, lacks a column, or a cell cannot be used; the message names it.
        SettingError
            If `return_std` is asked of a model without error bars.
        """
        if not return_std:
            return self.answers(self.outputs(source, query)[0])
        Y, std, _ = self.outputs_and_std(source, query)
        return self.answers(Y), std

    def spread(self, source: Any, query: str | None = None) -> Floats:
        """Return how far the members of an ensemble differ: the standard deviation over what each of them predicts.

        Returns
        -------
        array
            For numbers in the target's units, (n,) or (n, k). For classes that of each probability, shaped as
            `predict_proba` returns them.

        Raises
        ------
        SettingError
            If the model is a single network.
        TableError
            As `predict`.
        """
        if not self.others:
            raise SettingError("This model is a single network; train an ensemble, fit(..., ensemble=5), for a spread.")
        X, place, _ = self._inputs(source, query)
        each = self._outputs(X, place)
        if self.task == "regression":
            return self.encoding.widths_in_units(each.std(axis=0))
        spread: Floats = np.stack([self.probabilities(Y) for Y in each]).std(axis=0)
        return spread

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

    def _inputs(self, source: Any, query: str | None) -> tuple[Floats, str, list[str]]:
        """Return a table's inputs (n, n_in), what its rows are called, and notes on its columns."""
        table = read(source, query)
        X, notes = self.encoding.inputs(table)
        return X, f"row {{}} of {table.name}", notes

    def _outputs(self, X: Floats, place: str = "row {} of those with a target") -> Floats:
        """Return what each member puts out, (members, n, n_out); their means are finite in the target's units."""
        with np.errstate(all="ignore"):  # what overflows is found and named here
            engine = choose(self.network, self.loss, X)
            each = np.stack([engine.predict(w, X) for w in self.members])
            Y = each.mean(axis=0)
            _refuse_infinite(self.answers(Y) if self.task == "regression" else Y, "The prediction", place)
        return each

    def encoded(self, source: Any, query: str | None = None) -> tuple[Floats, Floats, list[str]]:
        """Return X (n, n_in) and T (n, n_out) of the rows that have a target, and notes on the table.

        Raises
        ------
        TableError
            As `evaluate`.
        """
        table, names = read(source, query), " and ".join(map(spelt, self.encoding.target_names))
        missing = missing_rows(table.column(name) for name in self.encoding.target_names)
        if missing.all():
            raise TableError(f"No row of {table.name} has a {names} to compare with.")
        X, notes = self.encoding.inputs(table)  # all its rows, so that a message counts them as the user does
        left_out = [f"{missing.sum():,} of {table.n_rows:,} rows have no {names}: left out"] if missing.any() else []
        return X[~missing], self.encoding.targets(table.take(~missing)), [*left_out, *notes]

    def score(self, X: Floats, T: Floats) -> report.Scores:
        """Return scores on encoded rows X (n, n_in) and T (n, n_out)."""
        return self.score_outputs(self._outputs(X).mean(axis=0), T)

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

    def to_estimator(self) -> Any:
        """Return the model as an estimator of scikit-learn's kind, fitted: MLPRegressor or MLPClassifier.

        Raises
        ------
        InputError
            If an input is a category or may be missing: estimators know numbers alone.
        """
        from deltarule.estimators import conversion

        return conversion.to_estimator(self)

    def _class_list(self) -> list[Any]:
        classes = self.encoding.classes
        return [] if classes is None else list(classes.tolist())

    def __repr__(self) -> str:
        sizes = "-".join(str(size) for size in self.network.sizes)
        times = f"{len(self.members)} x " if self.others else ""
        names = ", ".join(self.encoding.target_names)
        return f"<Model {names} by {times}{sizes} {self.loss}, {times}{self.network.n_weights} weights>"


def load(path: str | Path) -> Model:
    """Return the model in a file that `Model.save` wrote.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not a model, is damaged, or is of a newer format.
    """
    from deltarule import modelfile

    return modelfile.load(path)


def _refuse_infinite(values: Floats, what: str, place: str) -> None:
    """Refuse a row of values (n,) or (n, k) that is not finite."""
    known = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not known.all():
        raise TableError(
            f"{what} for {place.format(int(np.argmin(known)) + 1)} is too large for a number: its inputs are too far "
            "from what the model was trained on. Correct or leave out the row."
        )
