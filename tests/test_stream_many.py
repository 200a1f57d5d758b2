"""Many rows at once: the same as one after the other, whatever they come as."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from deltarule import InputError, OnlineClassifier, OnlineRegressor
from deltarule.methods import rules

NAMES = ["a", "b", "c"]
NEAR = 1e-12
"""A call for many rows computes what arrives in a neuron from the rows before, so it rounds otherwise than one a row;
training does not magnify that on these streams."""


def data(n=300, seed=0):
    X = np.random.default_rng(seed).standard_normal((n, 3)) * [1, 50, 0.1] + [0, 1e3, 7]
    return X, np.sin(X[:, 0]) + 0.01 * X[:, 1]


def one_by_one(model, X, y):
    for x, t in zip(X, y, strict=True):
        model.learn_one(x, t)
    return model


def dicts(X):
    return [dict(zip(NAMES, x, strict=True)) for x in X.tolist()]


@pytest.mark.parametrize("settings", [
    {}, {"rule": "adam"}, {"learning_rate": "cosine(0.02)"}, {"learning_rate": "adaptive(0.05)"},
    {"standardize": False, "learning_rate": 1e-7}, {"horizon": 25}, {"hidden": ()}, {"hidden": (5, 4)}, {"l2": 0.01},
    {"rule": rules.RMSprop(0.8)},
], ids=str)  # fmt: skip
def test_an_array_is_learnt_as_its_rows(settings):
    X, y = data(1300)
    many = OnlineRegressor(**settings)
    for cut in (slice(0, 1), slice(1, 950), slice(950, None)):
        many.learn_many(X[cut], y[cut])
    one = one_by_one(OnlineRegressor(**settings), X, y)
    assert np.max(np.abs(many.w - one.w)) < NEAR * np.max(np.abs(one.w))
    assert many.n_rows == one.n_rows == 1300


def test_a_list_of_dicts_is_learnt_bit_for_bit():
    X, y = data()
    many = OnlineRegressor()
    many.learn_many(dicts(X), y.tolist())
    assert np.array_equal(many.w, one_by_one(OnlineRegressor(), dicts(X), y).w)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame, lambda d: pl.DataFrame(d), lambda d: d], ids=["pandas", "polars", "dict"]
)
def test_a_frame_is_learnt_by_its_columns_names(frame):
    X, y = data()
    columns = dict(zip(NAMES, X.T, strict=True))
    one = one_by_one(OnlineRegressor(), dicts(X), y)
    many = OnlineRegressor()
    many.learn_many(frame({name: column[:9] for name, column in columns.items()}), y[:9])
    many.learn_many(frame({name: columns[name][9:] for name in "cab"}), pd.Series(y[9:]))
    assert many.w == pytest.approx(one.w, rel=1e-9)
    assert many.predict_many(frame(columns)) == pytest.approx([many.predict_one(x) for x in dicts(X)])


def test_texts_and_missing_cells_of_a_frame():
    frame = pd.DataFrame({"a": [1.0, None, 3.0, 5.0], "colour": ["red", "blue", None, "red"]})
    rows = [{"a": 1.0, "colour": "red"}, {"colour": "blue"}, {"a": 3.0}, {"a": 5.0, "colour": "red"}]
    many, y = OnlineRegressor(), [1.0, 2.0, 3.0, 1.5]
    many.learn_many(frame, y)
    one = one_by_one(OnlineRegressor(), rows, y)
    assert many.inputs == one.inputs == ["a", "colour=red", "colour=blue"]
    assert np.array_equal(many.w, one.w)
    assert many.predict_many(frame) == pytest.approx([one.predict_one(row) for row in rows])


def test_columns_that_come_and_go():
    X, y = data(30)
    model = OnlineRegressor()
    model.learn_many(pd.DataFrame({"a": X[:, 0]}), y)
    model.learn_many(pd.DataFrame({"a": X[:, 0], "b": X[:, 1]}), y)
    model.learn_many(pd.DataFrame({"b": X[:, 1]}), y)
    one = one_by_one(OnlineRegressor(), [{"a": x[0]} for x in X], y)
    one_by_one(one, [{"a": x[0], "b": x[1]} for x in X], y)
    one_by_one(one, [{"b": x[1]} for x in X], y)
    assert model.w == pytest.approx(one.w, rel=1e-9)


@pytest.mark.parametrize("dtype", [object, str])
def test_classes_are_learnt_as_they_come(dtype):
    X, y = data()
    labels = np.where(y > 10, "high", np.where(y > 9.5, "middle", "low")).astype(dtype)
    labels[250:270] = "late"
    many = OnlineClassifier((6,), learning_rate=0.05)
    many.learn_many(X, labels)
    one = one_by_one(OnlineClassifier((6,), learning_rate=0.05), X, labels.tolist())
    assert many.classes == one.classes and many.w == pytest.approx(one.w, rel=1e-9, abs=1e-12)
    P = many.predict_proba_many(X)
    assert P.shape == (300, 4) and P.sum(axis=1) == pytest.approx(1)
    assert P[7] == pytest.approx(list(one.predict_proba_one(X[7]).values()))
    assert many.predict_many(X).tolist() == [one.predict_one(x) for x in X]


def test_numbers_and_truth_values_are_classes():
    X, _ = data(50)
    model = OnlineClassifier()
    model.learn_many(X, X[:, 0] > 0)
    assert set(model.classes) == {True, False} and {type(label) for label in model.classes} == {bool}
    model = OnlineClassifier()
    model.learn_many(X, np.sign(X[:, 0]).astype(int))
    assert model.predict_one(X[0]) in (-1, 1) and type(model.predict_one(X[0])) is int


def test_no_rows():
    model = OnlineRegressor()
    model.learn_many(np.empty((0, 3)), [])
    assert model.n_rows == 0 and model.predict_many([]).shape == (0,)


@pytest.mark.parametrize(("X", "y", "says"), [
    (np.array([[1.0, 2.0], [np.nan, 3.0]]), [1.0, 2.0], r"X\[1, 0\] is nan"),
    (pd.DataFrame({"a": [1.0, np.inf], "b": 1.0}), [1.0, 2.0], r"'a'.* inf"),
    (np.ones((2, 2)), [1.0, np.nan], "The target is nan"),
    (np.ones((2, 2)), [1.0], r"y has shape \(1,\); one target for each of the 2 rows"),
    (np.ones((2, 2)), [[1.0], [2.0]], "The target is"),
    (np.ones((2, 2)), np.ones((2, 1)), r"y has shape \(2, 1\)"),
    (np.ones(2), [1.0, 2.0], r"shape \(2,\); give numbers of shape \(rows, features\)"),
    (np.array([["a", "b"]]), [1.0], "data frame, or a list of dicts"),
    ([{"a": 1.0}, {"a": "x"}], [1.0, 2.0], "'a' is 'x'; so far it was a number"),
    ([{"a": 1.0}, {"a": float("nan")}], [1.0, 2.0], "'a' is nan"),
    (5, [1.0], "A int is no table"),
], ids=range(11))  # fmt: skip
def test_what_cannot_be_learnt_is_refused_as_a_whole(X, y, says):
    model = OnlineRegressor()
    with pytest.raises(InputError, match=says):
        model.learn_many(X, y)
    assert model.n_rows == 0 and model.inputs == []


def test_arrays_of_another_width_are_refused():
    model = OnlineRegressor()
    model.learn_many(np.ones((2, 2)), [1.0, 2.0])
    for refused in (model.learn_many, lambda X, _: model.predict_many(X)):
        with pytest.raises(InputError, match="3 numbers; so far they had 2"):
            refused(np.ones((2, 3)), [1.0, 2.0])
    with pytest.raises(InputError, match="so far were arrays"):
        model.predict_many(pd.DataFrame({"a": [1.0]}))
