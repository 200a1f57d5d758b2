"""A network that learns to predict numbers from a stream of rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.activations import Activation
from deltarule.errors import InputError
from deltarule.estimators.stream_features import Row, checked
from deltarule.estimators.stream_inputs import Inputs, checked_horizon
from deltarule.estimators.stream_many import listed
from deltarule.estimators.stream_network import StreamNetwork
from deltarule.estimators.stream_scaling import LARGEST, RunningTarget
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.tasks import check_loss, output_activation

Floats = NDArray[np.float64]


class OnlineRegressor:
    """A network that learns to predict a number, row by row.

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
        One for numbers, such as ``squared_error``, ``huber`` or ``quantile(0.9)``, in units of the target's standard
        deviation; ``poisson`` takes counts as they are.
    standardize : bool
        Whether numbers and target are standardised as they come.
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
    >>> model = OnlineRegressor(hidden=(8,))
    >>> model.predict_one({"x": 1.0})
    0.0
    >>> for i in range(2000):
    ...     x = (i % 100) / 50 - 1
    ...     model.learn_one({"x": x}, 5 * x * x)
    >>> round(model.predict_one({"x": 0.9}))
    4
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32,),
        activation: str | Activation | Sequence[str | Activation] = "tanh",
        learning_rate: Any = 0.01,
        rule: Any = "plain",
        l2: float = 0.0,
        loss: str | Loss = "squared_error",
        standardize: bool = True,
        horizon: float | None = None,
        seed: int = 0,
    ) -> None:
        self.loss = losses.get(loss)
        check_loss(self.loss, "regression")
        output, look_back = output_activation(self.loss, "regression"), checked_horizon(horizon)
        self._network = StreamNetwork(hidden, activation, output, self.loss, learning_rate, rule, l2, seed)
        self._inputs = Inputs(standardize, look_back)
        self._scale = RunningTarget(look_back) if standardize and output == "identity" else None
        self._low, self._high = max(self.loss.targets[0], -LARGEST), min(self.loss.targets[1], LARGEST)
        self._T = np.zeros((1, 1))

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

    def learn_one(self, x: Any, y: float) -> None:
        """Learn a row.

        Parameters
        ----------
        x : dict or array
            Features and their values: numbers, texts, or None where one is missing.
        y : float
            The target.

        Raises
        ------
        InputError
            If the row or the target cannot be used; the message names the feature, and nothing is learnt.
        TrainingError
            If the rows so far have driven the weights out of the numbers.
        """
        target = y if y.__class__ is float and self._low <= y <= self._high else self._target(y)
        self._learn(self._inputs.read(x), target)

    def learn_many(self, X: Any, y: Any) -> None:
        """Learn rows in their order, as `learn_one` would one after the other, but for rounding.

        Parameters
        ----------
        X : array of shape (n, features), data frame, or list of dicts
            The rows.
        y : array of shape (n,)
            The targets.

        Raises
        ------
        InputError
            If a row or a target cannot be used; the message names it, and nothing is learnt from any. Or if a row has
            more new features than there may be inputs; the rows before it are learnt.
        TrainingError
            As `learn_one`.
        """
        many = self._inputs.read_many(X)
        targets = [self._target(target) for target in listed(y, many.n_rows)]

        def learn_block(X: Floats, start: int, stop: int) -> None:
            scaled = [self._scaled(target) for target in targets[start:stop]]
            self._network.learn_rows(X, np.array(scaled)[:, None])

        self._inputs.learn_many(many, (), lambda row, i: self._learn(row, targets[i]), learn_block)

    def predict_one(self, x: Any) -> float:
        """Return the prediction for a row; 0.0 before the first is learnt.

        Features not met so far are passed over.

        Raises
        ------
        InputError
            If the row cannot be used; the message names the feature.
        """
        row = self._inputs.read(x)
        if self._network.network is None:
            return 0.0
        return float(self._unscaled(self._network.predict(self._inputs.look(row))[0, 0]))

    def predict_many(self, X: Any) -> Floats:
        """Return the predictions (n,) for rows as `learn_many` takes them; 0 before the first is learnt.

        Raises
        ------
        InputError
            As `predict_one`.
        """
        many = self._inputs.read_many(X)
        if self._network.network is None:
            return np.zeros(many.n_rows)
        predicted: Floats = self._unscaled(self._network.predict(self._inputs.look_many(many))[:, 0])
        return predicted

    def _learn(self, row: Row | None, target: float) -> None:
        X = self._inputs.learn(row)
        if row is not None:
            self._network.fit_sizes(self._inputs.n_inputs, 1)
        self._T[0, 0] = self._scaled(target)
        self._network.learn(X, self._T)

    def _target(self, y: Any) -> float:
        target, (low, high) = checked("The target", y, "leave the row out"), self.loss.targets
        if not low <= target <= high:
            raise InputError(f"The target is {y!r}; the loss {self.loss} accepts targets from {low:g} to {high:g}.")
        return target

    def _scaled(self, target: float) -> float:
        return target if self._scale is None else self._scale.learn(target)

    def _unscaled(self, outputs: Any) -> Any:
        return outputs if self._scale is None else self._scale.undo(outputs)

    def __repr__(self) -> str:
        return f"<OnlineRegressor {self._network}>"
