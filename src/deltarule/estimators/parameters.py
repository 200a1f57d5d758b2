"""The parameters of the estimators, one row each: what is accepted, and what it does.

Names, meaning and defaults are scikit-learn's for those that scikit-learn has. The classes' docstrings are made from
these rows, and so are the messages that refuse a value.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import signature
from math import inf
from numbers import Integral, Real
from textwrap import fill, indent
from typing import Any, NamedTuple

import numpy as np

from deltarule.errors import InvalidParameterError, shown


class Row(NamedTuple):
    """A parameter: whether a value is accepted, what is, as words, and what it does."""

    accepts: Callable[[Any], bool]
    accepted: str
    meaning: str


def _number(low: float, high: float = inf, *, ends: str = "[)") -> tuple[Callable[[Any], bool], str]:
    """Return a check for numbers between two ends, each part of the range ([ ]) or not ( )."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, Real):
            return False
        try:
            x = float(value)
        except OverflowError:  # a whole number beyond 1.8e308
            return False
        above = low <= x if ends[0] == "[" else low < x
        return above and (x <= high if ends[1] == "]" else x < high)

    return accepts, f"a float in the range {ends[0]}{float(low)}, {float(high)}{ends[1]}"


def _whole(low: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: isinstance(value, Integral) and int(value) >= low, f"an int in the range [{low}, inf)"


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in names


def _either(first: Callable[[Any], bool], *others: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: any(accepts(value) for accepts in (first, *others))


def _is_widths(value: Any) -> bool:
    sequence = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return _whole(1)[0](value) or (sequence and all(isinstance(width, Integral) for width in value))


def _is_random_state(value: Any) -> bool:
    if value is None or isinstance(value, np.random.RandomState):
        return True
    return isinstance(value, Integral) and 0 <= int(value) < 2**32


_FLAG = (_is_flag, "an instance of 'bool'")


def _checked_later(kinds: str) -> tuple[Callable[[Any], bool], str]:
    """Return a check that accepts everything, of what is looked up where it is used."""
    return lambda value: True, kinds


PARAMETERS: dict[str, Row] = {
    "loss": Row(
        *_checked_later("str or Loss"),
        "What is made small. For a regressor ``squared_error`` (half of it), ``poisson`` (half the deviance, with "
        "exponential outputs), ``absolute_error``, ``huber``, ``log_cosh``, ``quantile``, each also with its parameter "
        "as in ``huber(0.5)``; for a classifier ``log_loss`` or ``squared_error``.",
    ),
    "hidden_layer_sizes": Row(
        _is_widths,
        "an array-like of int or an int in the range [1, inf)",
        "Neurons of each hidden layer; ``()`` for none.",
    ),
    "activation": Row(
        *_checked_later("str, Activation, pair of functions, or a list of these"),
        "Activation of the hidden layers: a name such as ``relu``, ``tanh``, ``logistic`` or ``identity``, an "
        "`Activation`, your own as a pair of functions ``(f(e), df(e, y))`` whose derivative is checked, or a list "
        "with one of these for each hidden layer.",
    ),
    "solver": Row(
        lambda value: isinstance(value, str) or callable(getattr(value, "step", None)), "a str or a Method",
        "How weights are chosen. ``adam``, ``sgd`` and ``lbfgs`` are scikit-learn's. Every method of "
        "`deltarule.methods` serves by its name or alias, with its own settings, or as an object.",
    ),
    "alpha": Row(
        *_number(0), "Penalty on the squared weights: alpha / 2 · Σ W², divided by the rows of a mini-batch or of all."
    ),
    "batch_size": Row(
        _either(_one_of("auto"), _whole(1)[0]),
        "'auto' or an int in the range [1, inf)",
        "Rows of a mini-batch of ``sgd`` and ``adam``; ``auto`` is 200, or all rows where there are fewer.",
    ),
    "learning_rate": Row(
        _one_of("constant", "invscaling", "adaptive"),
        "one of 'constant', 'invscaling', 'adaptive'",
        "Plan of the learning rate of ``sgd``: constant; divided by (rows seen so far + 1) to the power of power_t; or "
        "divided by 5 whenever n_iter_no_change epochs in a row have not improved by tol.",
    ),
    "learning_rate_init": Row(*_number(0, ends="()"), "The learning rate at first, of ``sgd`` and ``adam``."),
    "power_t": Row(*_number(0), "Exponent of ``invscaling``."),
    "max_iter": Row(
        *_whole(1), "Iterations at most: epochs of solvers that work row by row or in mini-batches, otherwise steps."
    ),
    "shuffle": Row(*_FLAG, "Whether each epoch of ``sgd`` and ``adam`` visits the rows in another order."),
    "random_state": Row(
        _is_random_state,
        "None, an instance of RandomState or an int in the range [0, 4294967295]",
        "Source of the initial weights, of the validation rows and of the orders. The same int gives the same initial "
        "weights, validation rows and orders as in scikit-learn.",
    ),
    "tol": Row(
        *_number(0),
        "By how much loss or score must improve. ``lbfgs`` and other methods that use all rows in each step stop when "
        "no component of the gradient is larger.",
    ),
    "verbose": Row(
        _either(_is_flag, _whole(0)[0]), "an instance of 'bool' or an int", "Whether to print each iteration."
    ),
    "warm_start": Row(
        *_FLAG, "Whether `fit` goes on where the last call ended, the method's state and the order of rows included."
    ),
    "momentum": Row(*_number(0, 1, ends="[]"), "Momentum of ``sgd``."),
    "nesterovs_momentum": Row(*_FLAG, "Whether the momentum of ``sgd`` is Nesterov's."),
    "early_stopping": Row(
        _either(_is_flag, _one_of("score", "loss")),
        "an instance of 'bool', 'score' or 'loss'",
        "Whether to stop when validation rows say so, and to keep the weights that were best on them. True and "
        "``score`` judge by R² or accuracy, ``loss`` by the loss.",
    ),
    "validation_fraction": Row(*_number(0, 1), "Share of the rows set aside for validation by early_stopping."),
    "beta_1": Row(*_number(0, 1), "Decay of the first moment of ``adam``."),
    "beta_2": Row(*_number(0, 1), "Decay of the second moment of ``adam``."),
    "epsilon": Row(*_number(0, ends="()"), "Keeps ``adam`` from dividing by 0."),
    "n_iter_no_change": Row(
        _either(_whole(1)[0], lambda value: isinstance(value, Real) and value == inf),
        "an int in the range [1, inf) or inf",
        "Iterations in a row that may fail to improve by tol.",
    ),
    "max_fun": Row(*_whole(1), "Evaluations of the loss at most, of ``lbfgs``."),
    "class_weight": Row(
        _either(_one_of("balanced"), lambda value: value is None or isinstance(value, Mapping)),
        "None, 'balanced' or a dict",
        "Weight of each class, multiplied with sample_weight; ``balanced`` makes all classes weigh the same.",
    ),
    "scale": Row(
        _either(_one_of("standard", "minmax"), lambda value: value is None),
        "None, 'standard' or 'minmax'",
        "Scaling of the inputs, and of the targets of a regressor, inside the estimator: to mean 0 and deviation 1, or "
        "to the range from −1 to 1. Predictions are in the targets' own units, losses and weights in the scaled ones.",
    ),
    "restarts": Row(
        *_whole(1), "Runs of `fit` from different initial weights, of which the best by validation rows, or without "
        "them by the loss, is kept.",
    ),
    "ensemble": Row(*_whole(1), "Networks, from different initial weights, whose outputs are averaged."),
    "error_bars": Row(
        *_FLAG, "Whether `fit` computes what ``predict(return_std=True)`` needs to tell the standard deviation of new "
        "observations; for squared error, and matrices of the size of the weights squared.",
    ),
    "interrupt": Row(
        _one_of("raise", "keep"), "one of 'raise', 'keep'",
        "What Ctrl-C does: it is raised, or with ``keep`` ends `fit` with the weights so far, as in scikit-learn.",
    ),
}  # fmt: skip
"""All parameters by name, in the order of the signature."""


def refused(owner: object, name: str, accepted: str) -> InvalidParameterError:
    """Return the error for a parameter's value, in the form of scikit-learn's."""
    given = getattr(owner, name)
    return InvalidParameterError(
        f"The {name!r} parameter of {type(owner).__name__} must be {accepted}. Got {shown(given)} instead."
    )


@cache
def names(estimator: Any) -> tuple[str, ...]:
    """Return the names of an estimator's parameters."""
    return tuple(signature(estimator).parameters)


def check(owner: Any) -> None:
    """Refuse a parameter whose value is not accepted.

    Raises
    ------
    InvalidParameterError
        The message says what is accepted and what was given.
    """
    kind: Any = type(owner)
    for name in names(kind):
        row = PARAMETERS[name]
        if not row.accepts(getattr(owner, name)):
            raise refused(owner, name, row.accepted)


def keep(owner: object, given: Mapping[str, Any]) -> None:
    """Set the parameters of an estimator as they were given: `given` holds the variables of its __init__."""
    for name in given.keys() & PARAMETERS.keys():
        setattr(owner, name, given[name])


def documented(estimator: type) -> str:
    """Return the docstring of an estimator with its parameters described."""
    lines = ["Parameters", "----------"]
    for name, parameter in list(signature(estimator.__init__).parameters.items())[1:]:  # type: ignore[misc]
        row = PARAMETERS[name]
        lines += [f"{name} : {row.accepted}, default={parameter.default!r}", indent(fill(row.meaning, 108), "    ")]
    return str(estimator.__doc__).replace("{parameters}", indent("\n".join(lines), "    ").lstrip())
