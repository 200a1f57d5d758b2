"""A network that learns to predict classes from a stream of rows."""

from collections.abc import Hashable, Sequence
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.activations import Activation
from deltarule.errors import InputError
from deltarule.estimators.stream_features import Row
from deltarule.estimators.stream_inputs import Inputs, checked_horizon
from deltarule.estimators.stream_many import listed
from deltarule.estimators.stream_network import StreamNetwork
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.tasks import check_loss, output_activation

Floats = NDArray[np.float64]

SMALLEST_OUTPUT = 1e-12
"""Added to outputs that need not sum to 1 before they are made to, since all of them may be 0."""


class OnlineClassifier:
    """A network that learns to predict a class, row by row; classes are added as they appear.

    Parameters
    ----------
    hidden : sequence of int
        Widths of the hidden layers; ``()`` for none.
    activation : str, Activation or a sequence of them
        For all hidden layers, or one for each.
    learning_rate : float, str or Schedule
        η, or a schedule of `deltarule.methods.schedules`, for which 1,000 rows count as an epoch.
    rule : str or rule
        ``plain``, ``momentum``, ``nesterov``, ``rmsprop``, ``adam``, or an object of `deltarule.methods.rules`.
    l2 : float
        Penalty on the squared weights, biases free.
    loss : str or Loss
        ``cross_entropy``; ``binary_cross_entropy`` or ``squared_error`` make each class a yes-or-no question of its
        own.
    standardize : bool
        Whether numbers are standardised as they come.
    horizon : float, optional
        About how many rows the means and standard deviations look back, for a stream that drifts; all unless given.
    seed : int
        Seed of the initial weights.

    Raises
    ------
    SettingError
        If a setting is unknown or out of range.

    Examples
    --------
    >>> model = OnlineClassifier(hidden=(8,), learning_rate=0.05)
    >>> model.predict_one({"x": 1.0}) is None
    True
    >>> for i in range(2000):
    ...     x = (i % 100) / 50 - 1
    ...     model.learn_one({"x": x}, "outside" if abs(x) > 0.5 else "inside")
    >>> model.predict_one({"x": 0.9}), model.predict_one({"x": 0.1})
    ('outside', 'inside')
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32,),
        activation: str | Activation | Sequence[str | Activation] = "tanh",
        learning_rate: Any = 0.01,
        rule: Any = "plain",
        l2: float = 0.0,
        loss: str | Loss = "cross_entropy",
        standardize: bool = True,
        horizon: float | None = None,
        seed: int = 0,
    ) -> None:
        self.loss = losses.get(loss)
        check_loss(self.loss, "multiclass")
        output = output_activation(self.loss, "multiclass")
        self._network = StreamNetwork(hidden, activation, output, self.loss, learning_rate, rule, l2, seed)
        self._inputs = Inputs(standardize, checked_horizon(horizon))
        self._couples = output == "softmax"
        self._places: dict[Any, int] = {}  # class -> output
        self._T, self._last = np.zeros((1, 1)), 0
        self._t = self._T[0]

    @property
    def n_rows(self) -> int:
        """How many rows have been learnt."""
        return self._network.rows

    @property
    def network(self) -> Network | None:
        """Sizes and activations; None before the first row."""
        return self._network.network

    @property
    def w(self) -> Floats:
        """A copy of the weights (p,)."""
        return self._network.w.copy()

    @property
    def inputs(self) -> list[str]:
        """What the network's inputs stand for: ``age``, ``colour=red``."""
        return self._inputs.features.names

    @property
    def classes(self) -> list[Any]:
        """The classes met so far, in the order of their appearance."""
        return list(self._places)

    def learn_one(self, x: Any, y: Hashable) -> None:
        """Learn a row.

        Parameters
        ----------
        x : dict or array
            Features and their values: numbers, texts, or None where one is missing.
        y : hashable
            The class: a text, a number, a truth value.

        Raises
        ------
        InputError
            If the row or the class cannot be used; the message names the feature, and nothing is learnt.
        TrainingError
            If the rows so far have driven the weights out of the numbers.
        """
        label = _label(y)
        self._learn(self._inputs.read(x), label)

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn rows in their order, as `learn_one` would one after the other, but for rounding.

        Parameters
        ----------
        X : array of shape (n, features), data frame, or list of dicts
            The rows.
        y : array of shape (n,)
            The classes.

        Raises
        ------
        InputError
            If a row or a class cannot be used; the message names it, and nothing is learnt from any. Or if a row has
            more new features than there may be inputs; the rows before it are learnt.
        TrainingError
            As `learn_one`.
        """
        many = self._inputs.read_many(X)
        labels = [_label(label) for label in listed(y, many.n_rows)]
        first = {label: i for i, label in reversed(list(enumerate(labels))) if label not in self._places}

        def learn_block(X: Floats, start: int, stop: int) -> None:
            places = [self._places[label] for label in labels[start:stop]]
            self._network.learn_rows(X, np.eye(len(self._places))[places])

        self._inputs.learn_many(many, first.values(), lambda row, i: self._learn(row, labels[i]), learn_block)

    def predict_one(self, x: Any) -> Any:
        """Return the likeliest class of a row; None before the first is learnt.

        Features not met so far are passed over.

        Raises
        ------
        InputError
            If the row cannot be used; the message names the feature.
        """
        row = self._inputs.read(x)
        if self._network.network is None:
            return None
        return self.classes[self._network.predict(self._inputs.look(row))[0].argmax()]

    def predict_proba_one(self, x: Any) -> dict[Any, float]:
        """Return the probability of each class for a row; no classes before the first row is learnt.

        Raises
        ------
        InputError
            As `predict_one`.
        """
        row = self._inputs.read(x)
        if self._network.network is None:
            return {}
        P = self._probabilities(self._network.predict(self._inputs.look(row)))
        return dict(zip(self._places, P[0].tolist(), strict=True))

    def predict_many(self, X: Any) -> NDArray[Any]:
        """Return the likeliest classes (n,) of rows as `learn_many` takes them; None before the first is learnt.

        Raises
        ------
        InputError
            As `predict_one`.
        """
        P = self.predict_proba_many(X)
        if not P.shape[1]:
            return np.full(len(P), None)
        labels = np.empty(len(self._places), dtype=object)
        labels[:] = self.classes
        chosen: NDArray[Any] = labels[P.argmax(axis=1)]
        return chosen

    def predict_proba_many(self, X: Any) -> Floats:
        """Return the probabilities (n, classes) for rows as `learn_many` takes them, in the order of `classes`.

        Raises
        ------
        InputError
            As `predict_one`.
        """
        many = self._inputs.read_many(X)
        if self._network.network is None:
            return np.zeros((many.n_rows, 0))
        return self._probabilities(self._network.predict(self._inputs.look_many(many)))

    def _learn(self, row: Row | None, label: Hashable) -> None:
        X = self._inputs.learn(row)
        place = self._places.get(label)
        if place is None or row is not None:
            place = self._make_room(X, label)
        self._t[self._last], self._t[place], self._last = 0.0, 1.0, place
        self._network.learn(X, self._T)

    def _make_room(self, X: Floats, label: Hashable) -> int:
        """Make the network fit its inputs and the class, and return the class's output.

        After n rows a new class gets the probability 1 / (n + 1) for the row X that brings it: its weights are 0, and
        its bias is as much below what the others get there. So no prediction jumps, and none is far from the class.
        """
        network, known = self._network, len(self._places)
        if label in self._places:
            network.fit_sizes(len(X[0]), known)
            return self._places[label]
        if known:
            network.fit_sizes(len(X[0]), known)
            arriving = network.arriving(X)[0]
            level = np.logaddexp.reduce(arriving) if self._couples else 0.0
        network.fit_sizes(len(X[0]), known + 1)
        if known:
            network.set_last_bias(float(level) - log(network.rows))
        self._places[label] = known
        self._T = np.zeros((1, known + 1))
        self._t = self._T[0]
        return known

    def _probabilities(self, Y: Floats) -> Floats:
        if self._couples:
            return Y
        Y = Y + SMALLEST_OUTPUT
        shares: Floats = Y / Y.sum(axis=1, keepdims=True)
        return shares

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_t"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._t = self._T[0]

    def __repr__(self) -> str:
        return f"<OnlineClassifier {self._network}>"


def _label(y: Any) -> Hashable:
    """Return a class as Python's own object."""
    label = y.item() if isinstance(y, np.generic) else y
    if label is None or label != label:
        raise InputError(f"The class is {label!r}; leave out rows whose class is not known.")
    if not isinstance(label, Hashable):
        raise InputError(f"The class is {label!r}, a {type(label).__name__}; give a text, a number or a truth value.")
    return label
