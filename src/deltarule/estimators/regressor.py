"""The MLPRegressor of scikit-learn on deltarule's engines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin  # type: ignore[import-untyped]
from sklearn.utils.metaestimators import available_if  # type: ignore[import-untyped]

from deltarule import errorbars
from deltarule.errorbars import ErrorBars
from deltarule.errors import SettingError
from deltarule.estimators import parameters
from deltarule.estimators.perceptron import Perceptron, goes_on
from deltarule.estimators.progress import r_squared
from deltarule.estimators.tasks import Asked

Numbers = NDArray[Any]

SHOWN = {"exponential": "exp"}
"""What scikit-learn calls an output activation, where it has another name for it."""


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """Predict numbers by a network: scikit-learn's MLPRegressor, faster, and with more to ask for.

    {parameters}

    Attributes
    ----------
    coefs_, intercepts_ : list of array
        Weights (n_in, n_out) and biases (n_out,) of each layer; what is set by hand counts from the next call on.
    members_ : list of pairs of lists
        The networks of an ensemble, each as `coefs_` and `intercepts_`; the first is also these.
    loss_, best_loss_ : float
        The last and the smallest training loss, penalty included; `best_loss_` is None with early stopping.
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        Training loss, and loss and R² on validation rows after each iteration; the last two are None without such rows.
    best_validation_score_ : float or None
        The best R², where early stopping goes by it.
    n_iter_, t_ : int
        Iterations of the last call, and rows that were visited in all calls.
    n_features_in_, n_layers_, n_outputs_ : int
        Inputs, layers with inputs and outputs, and outputs.
    feature_names_in_ : array of str
        Names of the inputs, where X had any.
    out_activation_ : str
        Activation of the outputs.
    input_scale_, target_scale_ : Scale or None
        Centre and spread of each column, where `scale` is set.
    error_bars_ : ErrorBars or None
        What standard deviations are computed from, where `error_bars` is set.

    See Also
    --------
    MLPClassifier : The same for classes.
    deltarule.fit : From a table with categories and missing cells to a model.

    Examples
    --------
    >>> import numpy as np
    >>> from deltarule import MLPRegressor
    >>> X = np.linspace(-2, 2, 100)[:, None]
    >>> model = MLPRegressor(hidden_layer_sizes=(8,), activation="tanh", solver="levenberg_marquardt", random_state=0)
    >>> bool(model.fit(X, np.sin(2 * X[:, 0])).score(X, np.sin(2 * X[:, 0])) > 0.999)
    True
    """

    error_bars: bool
    error_bars_: ErrorBars | None

    def __init__(
        self, loss: Any = "squared_error", hidden_layer_sizes: Any = (100,), activation: Any = "relu", *,
        solver: Any = "adam", alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: Any = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, scale: str | None = None, restarts: int = 1,
        ensemble: int = 1, error_bars: bool = False, interrupt: str = "raise",
    ) -> None:  # fmt: skip
        parameters.keep(self, locals())

    @available_if(goes_on)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None) -> Any:
        """Train on rows for one iteration, going on from the last call.

        Parameters
        ----------
        X, y, sample_weight, validation_data
            As for `fit`.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            As for `fit`.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Return the predicted numbers.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_in)
            Inputs.
        return_std : bool
            Whether to return standard deviations too. With error_bars they are those of new observations, noise
            included; otherwise they say by how much the networks of an ensemble differ.

        Returns
        -------
        array of shape (n,) or (n, n_out), or two of them
            Predictions, and their standard deviations if asked for.

        Raises
        ------
        SettingError
            If the estimator has neither error bars nor an ensemble.
        """
        Y = self._outputs(X)
        mean = Y[0] if len(Y) == 1 else Y.mean(axis=0)
        scale = vars(self).get("target_scale_")  # not there where weights were set by hand instead of trained
        mean = mean if scale is None else scale.undo(mean)
        mean = mean[:, 0] if mean.shape[1] == 1 else mean
        return (mean, self._std(X, Y).reshape(mean.shape)) if return_std else mean

    def _std(self, X: Any, Y: Numbers) -> Numbers:
        """Return the standard deviations (n, n_out) that belong to outputs Y (networks, n, n_out)."""
        spread = 1.0 if self.target_scale_ is None else self.target_scale_.spread
        if self.error_bars_ is not None:
            networks = self._networks()
            inputs = np.concatenate(list(self._inputs(X)))
            return spread * errorbars.std(self.error_bars_, networks[0][0], [w for _, w in networks], inputs, Y)
        if len(Y) == 1:
            raise SettingError("return_std needs error_bars=True, or several networks to compare: ensemble=10.")
        return np.asarray(spread * Y.std(axis=0, ddof=1))

    def _read(self, X: Any, y: Any, reset: bool, y_numeric: bool = True) -> tuple[Any, Any]:
        return super()._read(X, y, reset, y_numeric)

    def _encoded(self, y: Any, going_on: bool, incremental: bool, number: Any) -> tuple[Numbers, Numbers | None]:
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinite
            return y.reshape(len(y), -1).astype(number), None

    def _asked(self, T: Numbers, labels: Numbers | None) -> Asked:
        loss = self._loss(
            "one of 'squared_error', 'poisson', 'absolute_error', 'huber', 'log_cosh', 'quantile', or a Loss",
            lambda found: "cross_entropy" not in found.name,
        )
        output = loss.fused[0] if loss.fused else "identity"
        if self.error_bars and loss.name != "squared_error":
            raise parameters.refused(self, "error_bars", "False, unless the loss is 'squared_error'")
        return Asked(loss, SHOWN.get(output, output), T.shape[1], r_squared, None, not loss.fused, self.error_bars)


MLPRegressor.__doc__ = parameters.documented(MLPRegressor)
