"""A fitted estimator of scikit-learn's kind as network, loss, weights and rows: deltarule's and scikit-learn's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import activations, losses
from deltarule.activations import Activation
from deltarule.errors import InputError
from deltarule.losses import Loss
from deltarule.network import Network

Numbers = NDArray[Any]
LOSS_OF_OUTPUT = {"softmax": "cross_entropy", "logistic": "binary_cross_entropy", "identity": "squared_error"}
"""The loss that goes with an output activation where the estimator names none that is known here."""


def unpacked(estimator: Any, X: Any, y: Any) -> tuple[Network, Loss, Numbers, Numbers, Numbers]:
    """Return the network, the loss, w (p,), and X and T as the network takes them.

    Raises
    ------
    InputError
        If its layers do not make a network that is known here.
    """
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    hidden = _hidden(estimator, len(coefs) - 1)
    network = Network([coefs[0].shape[0], *(W.shape[1] for W in coefs)], [*hidden, estimator.out_activation_])
    w = np.concatenate([part for W, b in zip(coefs, intercepts, strict=True) for part in (np.ravel(W.T), b)])
    X = np.asarray(X, dtype=w.dtype)
    X = X[None] if X.ndim == 1 else X
    scale = getattr(estimator, "input_scale_", None)
    return network, _loss(estimator), w, X if scale is None else scale.apply(X), _targets(estimator, y, network.n_out)


def _hidden(estimator: Any, depth: int) -> Sequence[str | Activation]:
    known = getattr(estimator, "_hidden", None)
    if known is not None:
        return list(known)
    if not isinstance(estimator.activation, str):
        raise InputError(
            f"The activation {estimator.activation!r} of this estimator is not known here; give a Network."
        )
    return [activations.get(estimator.activation)] * depth


def _loss(estimator: Any) -> Loss:
    named = getattr(estimator, "loss", None)
    output = estimator.out_activation_
    if isinstance(named, str | Loss) and (str(named) in losses.LOSSES or str(named).partition("(")[0] in losses.LOSSES):
        found = losses.get(named)
        if not found.accepts or output in found.accepts:
            return found
    return losses.get(LOSS_OF_OUTPUT[output])


def _targets(estimator: Any, y: Any, n_out: int) -> Numbers:
    """Return the targets as the outputs see them: scaled numbers, 0 and 1, or one column a class."""
    y = np.atleast_1d(np.asarray(y))
    classes = getattr(estimator, "classes_", None)
    if classes is None or y.ndim == 2:
        T = y.reshape(len(y), -1).astype(float)
        scale = getattr(estimator, "target_scale_", None)
        return T if scale is None else np.asarray(scale.apply(T))
    unknown = ~np.isin(y, classes)
    if unknown.any():
        raise InputError(f"y holds {y[unknown][0]!r}, none of the classes of this estimator: {list(classes)}.")
    codes = np.searchsorted(classes, y)
    return np.asarray(codes[:, None].astype(float) if n_out == 1 else np.eye(n_out)[codes])
