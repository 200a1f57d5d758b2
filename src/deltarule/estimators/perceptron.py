"""What MLPRegressor and MLPClassifier have in common: scikit-learn's calls, and outputs of the networks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator  # type: ignore[import-untyped]
from sklearn.utils import estimator_html_repr  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data  # type: ignore[import-untyped]

from deltarule import losses
from deltarule.engines import choose
from deltarule.errors import InputError, SettingError
from deltarule.estimators import display, fitting, parameters, rows, solvers, weights
from deltarule.estimators.callbacks import Nobody, Supported, Watch, in_context, watch
from deltarule.estimators.rows import Part, Split
from deltarule.estimators.tasks import Asked
from deltarule.losses import LOSSES, Loss
from deltarule.network import Network

Numbers = NDArray[Any]

SQUARED = LOSSES["squared_error"]
"""Engines are made for a loss; predictions need none, and this one suits all outputs."""


def goes_on(owner: Any) -> bool:
    """Return whether an estimator's solver can go on with other rows.

    Raises
    ------
    AttributeError
        If it cannot: `partial_fit` is then not there.
    """
    if not solvers.is_incremental(owner.solver):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {owner.solver} is not stochastic: it uses all "
            "rows in each step, where 'sgd', 'adam' and 'online' work row by row or in mini-batches."
        )
    return True


class Perceptron(Supported, BaseEstimator):  # type: ignore[misc]
    """Networks behind scikit-learn's calls; MLPRegressor and MLPClassifier say what targets are."""

    coefs_: list[Numbers]
    intercepts_: list[Numbers]
    members_: list[weights.Layers]
    out_activation_: str
    input_scale_: rows.Scale | None
    target_scale_: rows.Scale | None
    activation: Any
    loss: Any
    warm_start: bool
    max_iter: int
    restarts: int
    ensemble: int

    @in_context
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Any:
        """Train on rows.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_in)
            Inputs; a sparse matrix is made dense as a whole.
        y : array of shape (n,) or (n, n_out)
            Targets: numbers for a regressor, classes or labels for a classifier.
        sample_weight : array of shape (n,), optional
            Weights of the rows, from 0 up.
        validation_data : (X, y), (X, y, sample_weight) or splitter, optional
            Rows to validate on after each iteration; a splitter of `sklearn.model_selection` chooses them among the
            rows given. Without it, early_stopping sets validation_fraction of the rows aside.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is not accepted.
        ValueError
            If X, y or a weight is not finite or does not fit.
        DivergenceError
            If training leads to a number that is not finite.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=False)

    def _fit(self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool) -> Any:
        parameters.check(self)
        going_on = hasattr(self, "coefs_") and (self.warm_start or incremental)
        X, y = self._read(X, y, reset=not going_on)
        number = np.result_type(self.coefs_[0], np.float32) if going_on else X.dtype
        T, labels = self._encoded(y, going_on, incremental, number)
        s = rows.checked_weights(sample_weight, len(T), number)
        data = Part(rows.dense(X).astype(number, copy=False), T, self._weighted(y, s, number, incremental))
        held_out = self._validation(X, y, validation_data, number)
        watch = Nobody() if incremental else self._watch(X, y, sample_weight)
        fitting.fit(self, data, held_out, self._asked(T, labels), going_on, incremental, watch)
        return self

    def _watch(self, X: Any, y: Any, sample_weight: Any) -> Watch:
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        iterations = int(self.max_iter) * int(self.restarts) * int(self.ensemble)
        return watch(self, iterations, {"X": X, "y": y, "metadata": metadata})

    def _read(self, X: Any, y: Any, reset: bool, y_numeric: bool = False) -> tuple[Any, Any]:
        """Return X and y checked: a column of targets as one dimension."""
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32), reset=reset,
            y_numeric=y_numeric,
        )  # fmt: skip
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _weighted(self, y: Any, s: Numbers | None, number: Any, incremental: bool) -> Numbers | None:
        """Return the weights of rows, those of their classes included."""
        return s

    def _encoded(self, y: Any, going_on: bool, incremental: bool, number: Any) -> tuple[Numbers, Numbers | None]:
        """Return targets as numbers (n, n_out), and what a split is stratified by or None."""
        raise NotImplementedError

    def _asked(self, T: Numbers, labels: Numbers | None) -> Asked:
        """Return what is asked of the network."""
        raise NotImplementedError

    def _validation(self, X: Any, y: Any, given: Any, number: Any) -> Part | Split | None:
        """Return the rows to validate on that `fit` was given, if any."""
        if given is None:
            return None
        if callable(getattr(given, "split", None)):
            training, held_out = next(iter(given.split(X, y)))
            return np.asarray(training), np.asarray(held_out)
        if not isinstance(given, tuple) or len(given) not in (2, 3):
            raise InputError(f"validation_data was a {type(given).__name__}; give (X, y), or a splitter.")
        X, y = self._read(given[0], given[1], reset=False)
        T, _ = self._encoded(y, True, True, number)
        s = rows.checked_weights(given[2] if len(given) == 3 else None, len(T), number)
        return Part(rows.dense(X).astype(number, copy=False), T, s)

    def to_model(self, target: str = "target") -> Any:
        """Return the fitted estimator as a `deltarule.Model`: for tables, files, exports and explanations.

        Parameters
        ----------
        target : str
            What the predicted column is called; several are numbered.

        Returns
        -------
        Model
            The same networks; its columns have the names of the inputs, or x0, x1 and so on.

        Raises
        ------
        InputError
            If a classifier knows a single class.
        """
        from deltarule.estimators import conversion

        return conversion.to_model(self, target)

    def _networks(self) -> list[tuple[Network, Numbers]]:
        """Return each network with its weights, those that were set by hand since training included."""
        members = weights.members(self)
        hidden = vars(self).get("_hidden")  # not there where weights were set by hand instead of trained
        if hidden is None:
            hidden = weights.hidden_activations(self.activation, len(self.coefs_) - 1)
        activations = [*hidden, self.out_activation_]
        return [(weights.network_of(layers, activations), weights.flat(layers)) for layers in members]

    def _inputs(self, X: Any) -> Iterator[Numbers]:
        """Yield checked inputs in the units of training, of a sparse matrix some rows at a time."""
        check_is_fitted(self, "coefs_")
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        number = np.result_type(X.dtype, self.coefs_[0], np.float32)
        for block in rows.blocks(X):
            block = block.astype(number, copy=False)
            scale = vars(self).get("input_scale_")
            yield np.ascontiguousarray(block if scale is None else scale.apply(block))

    def _outputs(self, X: Any) -> Numbers:
        """Return what each network puts out, shape (networks, n, n_out), in the units of training."""
        blocks = []
        for block in self._inputs(X):
            each = [
                choose(network, SQUARED, block).predict(w.astype(block.dtype, copy=False), block)
                for network, w in self._networks()
            ]
            blocks.append(np.stack(each))
        return np.concatenate(blocks, axis=1)

    def _loss(self, accepted: str, fits: Any) -> Loss:
        """Return the loss that the parameter names, if it suits."""
        try:
            found = losses.get(self.loss)
        except SettingError as error:
            raise parameters.refused(self, "loss", accepted) from error
        if not fits(found):
            raise parameters.refused(self, "loss", accepted)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _repr_html_inner(self) -> str:
        return str(estimator_html_repr(self)) + display.section(self)

    def _repr_mimebundle_(self, **how: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**how)
        return bundle | {"text/html": self._repr_html_inner()} if "text/html" in bundle else bundle
