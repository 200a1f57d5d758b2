"""Estimators to models and back: the same networks, with scikit-learn's calls or with tables and files."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import LabelBinarizer  # type: ignore[import-untyped]
from sklearn.utils import check_random_state  # type: ignore[import-untyped]
from sklearn.utils.validation import check_is_fitted  # type: ignore[import-untyped]

from deltarule.encoding import Encoding
from deltarule.encoding.inputs import NumberInput
from deltarule.encoding.scaling import Scale as ColumnScale
from deltarule.encoding.targets import ClassTarget, LabelTarget, RegressionTarget, Target
from deltarule.errors import InputError
from deltarule.estimators import rows, weights
from deltarule.estimators.classifier import MLPClassifier
from deltarule.estimators.orders import Orders
from deltarule.estimators.progress import Progress
from deltarule.estimators.regressor import SHOWN, MLPRegressor
from deltarule.estimators.training import Run
from deltarule.model import Model
from deltarule.provenance import Outcome, Training

Numbers = NDArray[Any]

UNKNOWN = {
    "regression": ("r2", "rmse", "mae"),
    "multilabel": ("exact", "accuracy", "log_loss"),
    "classes": ("accuracy", "balanced_accuracy", "log_loss"),
}
"""The scores that a model tells, which an estimator has not measured."""
SCALES = {"standard": "standard", "minmax": "minmax", "robust": "standard", "none": None}
"""What an estimator from a model scales by when it is fitted anew."""


def to_model(owner: Any, target: str = "target") -> Model:
    """Return the model that a fitted estimator is: for tables with columns of the names it was fitted with.

    Parameters
    ----------
    owner : MLPRegressor or MLPClassifier
        A fitted estimator.
    target : str
        What the predicted column is called; several are numbered.

    Raises
    ------
    InputError
        If it knows a single class.
    """
    check_is_fitted(owner, "coefs_")
    networks = owner._networks()
    names = getattr(owner, "feature_names_in_", _unnamed(owner.n_features_in_))
    columns = tuple(
        NumberInput(str(name), "number", scale, scale.center, False)
        for name, scale in zip(names, _columns(owner.input_scale_, len(names)), strict=True)
    )
    found = _target(owner, target)
    encoding = Encoding(owner.scale or "none", columns, found)
    w, *others = [np.asarray(w, dtype=np.float64) for _, w in networks]
    training = _training(owner, found)
    return Model(networks[0][0], w, owner._trained_with, encoding, training, [], tuple(others), owner.error_bars_)


def to_estimator(model: Model) -> Any:
    """Return the estimator that a model is: MLPRegressor or MLPClassifier, fitted.

    Raises
    ------
    InputError
        If an input is not a plain number: an estimator has no categories, and no missing cells.
    """
    plain = [
        column
        for column in model.encoding.columns
        if isinstance(column, NumberInput) and column.scale is not None and not column.indicator
    ]
    if len(plain) < len(model.encoding.columns):
        other = next(column.name for column in model.encoding.columns if column not in plain)
        raise InputError(
            f"The input {other!r} is a category or may be missing, which an estimator does not know; predict with "
            "the model, or train one on numbers."
        )
    made = _estimator(model)
    made.n_features_in_ = len(plain)
    names = [column.name for column in plain]
    if names != _unnamed(len(plain)):
        made.feature_names_in_ = np.array(names, dtype=object)
    made.input_scale_ = _scale([column.scale for column in plain if column.scale is not None])
    made._hidden = model.network.activations[:-1]
    output = model.network.activations[-1].name
    made.out_activation_ = SHOWN.get(output, output)
    made.n_outputs_, made.n_layers_ = model.network.n_out, len(model.network.sizes)
    made.members_ = [weights.layered(model.network, w) for w in model.members]
    made.coefs_, made.intercepts_ = made.members_[0]
    made.loss_curve_ = [record.loss for record in model.history[1:]]
    made.loss_ = made.best_loss_ = made.loss_curve_[-1] if made.loss_curve_ else float("nan")
    made.validation_scores_ = made.validation_loss_curve_ = made.best_validation_score_ = None
    made.n_iter_, made.t_ = model.training.steps, 0
    made.error_bars_, made._trained_with = model.error_bars, model.loss
    made._trained_on = model.training.rows["training"]
    made._runs = [Run(w, Orders(check_random_state(None)), Progress()) for w in model.members]
    return made


def _unnamed(n: int) -> list[str]:
    """Return what the columns are called of an estimator that was fitted on an array."""
    return [f"x{j}" for j in range(n)]


def _columns(scale: rows.Scale | None, n: int) -> list[ColumnScale]:
    if scale is None:
        return [ColumnScale(0.0, 1.0)] * n
    return [ColumnScale(float(a), float(b)) for a, b in zip(scale.centre, scale.spread, strict=True)]


def _scale(columns: list[ColumnScale]) -> rows.Scale | None:
    if all(scale == ColumnScale(0.0, 1.0) for scale in columns):
        return None
    return rows.Scale(np.array([scale.center for scale in columns]), np.array([scale.spread for scale in columns]))


def _target(owner: Any, name: str) -> Target:
    """Return what an estimator predicts, as a model has it."""
    k = owner.n_outputs_
    names = (name,) if k == 1 else tuple(f"{name}{j}" for j in range(k))
    if isinstance(owner, MLPRegressor):
        return RegressionTarget(names, tuple(_columns(owner.target_scale_, k)))
    if owner._label_binarizer.y_type_.startswith("multilabel"):
        return LabelTarget(names, "number")
    if len(owner.classes_) < 2:
        raise InputError(f"The estimator knows the class {owner.classes_[0]!r} alone; a model needs two at least.")
    kind = {"b": "boolean", "i": "number", "u": "number", "f": "number"}.get(owner.classes_.dtype.kind, "text")
    of_kind = str if kind == "text" else float
    return ClassTarget(name, kind, tuple(of_kind(label) for label in owner.classes_))  # type: ignore[arg-type]


def _training(owner: Any, target: Target) -> Training:
    kind = "classes" if isinstance(target, ClassTarget) else target.task
    scores: dict[str, Any] = dict.fromkeys(UNKNOWN[kind])
    if isinstance(target, ClassTarget):
        labels = target.labels.tolist()
        scores |= {"classes": labels, "confusion": [[0] * len(labels)] * len(labels)}
    solver = owner.solver if isinstance(owner.solver, str) else owner.solver.name
    steps, loss = int(owner.n_iter_), float(np.nan_to_num(owner.loss_))
    seed = int(owner.random_state) if isinstance(owner.random_state, int | np.integer) else 0
    return Training(
        table=type(owner).__name__,
        rows={"training": int(owner._trained_on), "validation": 0, "test": 0},
        method=solver,
        settings={},
        l2=float(owner.alpha),
        seed=seed,
        steps=steps,
        seconds=0.0,
        reason=f"Trained as an estimator, {type(owner).__name__}.",
        scores={"validation": scores, "training": scores},
        baseline=scores,
        notes=("made from an estimator, which has measured no scores",),
        runs=tuple(Outcome(seed + i, loss, loss, None, steps, "CALLER", True) for i in range(len(owner.members_))),
    )


def _estimator(model: Model) -> Any:
    """Return an unfitted estimator with the model's settings, and what it knows of its targets."""
    settings: dict[str, Any] = {
        "hidden_layer_sizes": model.network.sizes[1:-1],
        "activation": [row.name for row in model.network.activations[:-1]],
        "scale": SCALES[model.encoding.scaling],
        "ensemble": len(model.members),
    }
    target = model.encoding.target
    if isinstance(target, RegressionTarget):
        made = MLPRegressor(str(model.loss), error_bars=model.error_bars is not None, **settings)
        made.target_scale_ = _scale(list(target.scales))
        return made
    loss = "squared_error" if model.loss.name == "squared_error" else "log_loss"
    made = MLPClassifier(loss=loss, **settings)
    made.target_scale_ = None
    known = np.eye(len(target.columns), dtype=int) if isinstance(target, LabelTarget) else _labels(target)
    made._label_binarizer = LabelBinarizer().fit(known)
    made.classes_ = made._label_binarizer.classes_
    return made


def _labels(target: Target) -> Numbers:
    """Return the classes; texts as texts, which scikit-learn tells from other objects."""
    labels = target.labels if isinstance(target, ClassTarget) else np.arange(0)
    return labels.astype(str) if labels.dtype == object else labels
