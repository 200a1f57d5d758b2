"""The MLPClassifier of scikit-learn on deltarule's engines."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin  # type: ignore[import-untyped]
from sklearn.preprocessing import LabelBinarizer  # type: ignore[import-untyped]
from sklearn.utils.metaestimators import available_if  # type: ignore[import-untyped]
from sklearn.utils.multiclass import type_of_target, unique_labels  # type: ignore[import-untyped]

from deltarule.errors import InputError
from deltarule.estimators import parameters
from deltarule.estimators.perceptron import Perceptron, goes_on
from deltarule.estimators.progress import accuracy
from deltarule.estimators.tasks import Asked
from deltarule.losses import LOSSES

Numbers = NDArray[Any]


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """Predict classes or labels by a network: scikit-learn's MLPClassifier, faster, and with more to ask for.

    {parameters}

    Attributes
    ----------
    classes_ : array of shape (classes,)
        The classes, sorted; for labels their numbers.
    coefs_, intercepts_ : list of array
        Weights (n_in, n_out) and biases (n_out,) of each layer; what is set by hand counts from the next call on.
    members_ : list of pairs of lists
        The networks of an ensemble, each as `coefs_` and `intercepts_`; the first is also these.
    loss_, best_loss_ : float
        The last and the smallest training loss, penalty included; `best_loss_` is None with early stopping.
    loss_curve_, validation_loss_curve_, validation_scores_ : list of float
        Training loss, and loss and accuracy on validation rows after each iteration; the last two are None without
        such rows.
    best_validation_score_ : float or None
        The best accuracy, where early stopping goes by it.
    n_iter_, t_ : int
        Iterations of the last call, and rows that were visited in all calls.
    n_features_in_, n_layers_, n_outputs_ : int
        Inputs, layers with inputs and outputs, and outputs.
    feature_names_in_ : array of str
        Names of the inputs, where X had any.
    out_activation_ : str
        ``softmax`` for three or more classes, otherwise ``logistic``.
    input_scale_ : Scale or None
        Centre and spread of each input, where `scale` is set.

    See Also
    --------
    MLPRegressor : The same for numbers.
    deltarule.fit : From a table with categories and missing cells to a model.

    Examples
    --------
    >>> import numpy as np
    >>> from deltarule import MLPClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> model = MLPClassifier((8,), "tanh", solver="scg", random_state=0, tol=0.01).fit(X, X[:, 0] * X[:, 1] > 0)
    >>> bool(model.score(X, X[:, 0] * X[:, 1] > 0) > 0.9)
    True
    """

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, solver: Any = "adam",
        alpha: float = 0.0001, batch_size: Any = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200, shuffle: bool = True,
        random_state: Any = None, tol: float = 1e-4, verbose: Any = False, warm_start: bool = False,
        momentum: float = 0.9, nesterovs_momentum: bool = True, early_stopping: Any = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8,
        n_iter_no_change: float = 10, max_fun: int = 15000, loss: Any = "log_loss", class_weight: Any = None,
        scale: str | None = None, restarts: int = 1, ensemble: int = 1, interrupt: str = "raise",
    ) -> None:  # fmt: skip
        parameters.keep(self, locals())

    @available_if(goes_on)  # type: ignore[untyped-decorator]
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None, *, validation_data: Any = None
    ) -> Any:
        """Train on rows for one iteration, going on from the last call.

        Parameters
        ----------
        X, y, sample_weight, validation_data
            As for `fit`.
        classes : array of shape (classes,), optional
            All classes there will ever be; asked for at the first call, unless y holds labels.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            As for `fit`, and if classes are missing at the first call or contradict it later.
        """
        first = not hasattr(self, "classes_")
        labels = type_of_target(y).startswith("multilabel")
        if first and classes is None and not labels:
            raise InputError("The first call of partial_fit needs all classes there will be: classes=[...].")
        if first:
            self._know(y if labels else unique_labels(classes))
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise InputError(f"classes={classes!r} are not those of the calls before: {self.classes_}.")
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X: Any) -> Any:
        """Return the likeliest class of each row, or which labels hold.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_in)
            Inputs.

        Returns
        -------
        array of shape (n,) or (n, labels)
            Classes, or 0 and 1 for each label.
        """
        Y = self._outputs(X).mean(axis=0)
        return self._label_binarizer.inverse_transform(Y.ravel() if Y.shape[1] == 1 else Y)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_in)
            Inputs.

        Returns
        -------
        array of shape (n, classes)
            In the order of `classes_`.
        """
        Y = self._outputs(X).mean(axis=0)
        return np.column_stack([1 - Y, Y]) if Y.shape[1] == 1 else Y

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array or sparse matrix of shape (n, n_in)
            Inputs.

        Returns
        -------
        array of shape (n, classes)
            In the order of `classes_`; −inf where a probability is 0.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def _know(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _encoded(self, y: Any, going_on: bool, incremental: bool, number: Any) -> tuple[Numbers, Numbers | None]:
        if not hasattr(self, "classes_") or not (going_on or incremental):
            self._know(y)
        else:
            self._refuse_others(unique_labels(y), self.warm_start and not incremental)
        T = self._binarized(y)
        return T.astype(number), T.astype(bool) if T.shape[1] == 1 else None

    def _binarized(self, y: Any) -> Numbers:
        """Return what the label binariser makes of known classes, which for a class a row takes it many checks."""
        if self._label_binarizer.y_type_ not in ("binary", "multiclass"):
            return np.asarray(self._label_binarizer.transform(y))
        places = np.arange(len(self.classes_)) if len(self.classes_) > 2 else np.ones(1, dtype=int)
        return np.asarray(np.searchsorted(self.classes_, y)[:, None] == places)

    def _refuse_others(self, classes: Any, all_of_them: bool) -> None:
        """Refuse classes that are not known, in scikit-learn's words."""
        if all_of_them and not np.array_equal(classes, self.classes_):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes_}, `y` has {classes}. partial_fit accepts some of them."
            )
        unknown = np.setdiff1d(classes, self.classes_)
        if len(unknown):
            raise InputError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}; "
                f"{unknown} are new."
            )

    def _weighted(self, y: Any, s: Numbers | None, number: Any, incremental: bool) -> Numbers | None:
        if self.class_weight is None:
            return s
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise InputError("class_weight serves one class a row, not labels; use sample_weight.")
        codes = np.searchsorted(self.classes_, y)
        if self.class_weight != "balanced":
            of_class = np.array([self.class_weight.get(label, 1.0) for label in self.classes_.tolist()])
        elif incremental:
            raise InputError("class_weight='balanced' needs all rows, not some; give partial_fit's weights as a dict.")
        else:
            total = np.bincount(codes, s, len(self.classes_))
            of_class = total.sum() / (len(total) * np.where(total > 0, total, 1))
        weights: Numbers = of_class[codes].astype(number)
        return weights if s is None else weights * s

    def _asked(self, T: Numbers, labels: Numbers | None) -> Asked:
        exclusive = T.shape[1] > 1 and self._label_binarizer.y_type_ == "multiclass"
        loss = self._loss("'log_loss' or 'squared_error'", lambda found: found.name in ACCEPTED)
        if loss.name != "squared_error":
            loss = LOSSES["cross_entropy" if exclusive else "binary_cross_entropy"]
        score = partial(accuracy, exclusive=exclusive)
        return Asked(loss, "softmax" if exclusive else "logistic", 1, score, labels)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


ACCEPTED = ("cross_entropy", "binary_cross_entropy", "squared_error")
MLPClassifier.__doc__ = parameters.documented(MLPClassifier)
