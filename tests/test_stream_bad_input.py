"""What a stream's rows may not hold: refused by name, and nothing is learnt."""

import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from deltarule import InputError, OnlineClassifier, OnlineRegressor, SettingError
from deltarule.estimators import stream_features

NAN, INF = float("nan"), float("inf")
GOOD = [({"a": 1.0, "b": -2.0}, 1.0), ({"a": 0.5, "b": 3.0}, 2.0), ({"a": -1.0, "b": 0.0}, 0.0)]


def trained(model=None):
    model = model or OnlineRegressor((4,))
    for x, y in GOOD:
        model.learn_one(x, y)
    return model


BAD_ROWS = [
    ({"a": NAN, "b": 1.0}, "The feature 'a' is nan; give a finite number .* leave the feature out"),
    ({"a": 1.0, "b": INF}, "The feature 'b' is inf"),
    ({"a": 1.0, "b": -1e200}, "The feature 'b' is -1e.200"),
    ({"a": 1.0, "b": 10**400}, "The feature 'b' is 1000"),
    ({"a": 1.0, "b": 1.0, "c": np.float64("nan")}, "The feature 'c' is .*nan"),
    ({"a": "x", "b": 1.0}, "The feature 'a' is 'x'; so far it was a number"),
    ({"a": [1.0], "b": 1.0}, r"The feature 'a' is \[1.0\], of type list"),
    ({"a": 1j, "b": 1.0}, "The feature 'a' is 1j, of type complex"),
    ([1.0, 2.0], "An array was given where all rows so far were dicts"),
    (np.array([1.0, 2.0]), "An array was given where all rows so far were dicts"),
    ("a=1", "A row was of type str; give a dict"),
    (None, "A row was of type NoneType; give a dict"),
    (np.ones((2, 2)), r"shape \(2, 2\); give numbers in one dimension"),
]


@pytest.mark.parametrize(("x", "says"), BAD_ROWS, ids=[says[:30] for _, says in BAD_ROWS])
def test_a_row_that_cannot_be_used_changes_nothing(x, says):
    model = trained()
    before = pickle.dumps(model)
    with pytest.raises(InputError, match=says):
        model.learn_one(x, 1.0)
    with pytest.raises(InputError, match=says):
        model.predict_one(x)
    assert pickle.dumps(model) == before
    model.learn_one(*GOOD[0])
    again = trained()
    again.learn_one(*GOOD[0])
    assert np.array_equal(model.w, again.w)


@pytest.mark.parametrize("y", [NAN, INF, -1e200, "seven", None, [1.0, 2.0], 1j])
def test_a_target_that_cannot_be_used_changes_nothing(y):
    model = trained()
    before = pickle.dumps(model)
    with pytest.raises(InputError, match="The target is"):
        model.learn_one({"a": 5.0, "b": 5.0, "new": 1.0}, y)
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("y", [None, NAN, np.float64("nan"), [1], {}])
def test_a_class_that_cannot_be_used_changes_nothing(y):
    model = trained(OnlineClassifier((4,)))
    before = pickle.dumps(model)
    with pytest.raises(InputError, match="The class is"):
        model.learn_one({"a": 5.0, "b": 5.0, "new": 1.0}, y)
    assert pickle.dumps(model) == before


def test_a_target_outside_the_losss_range():
    with pytest.raises(InputError, match="The target is -1; the loss poisson accepts targets from 0 to inf"):
        OnlineRegressor(loss="poisson").learn_one({"a": 1.0}, -1)


def test_a_row_without_any_value_cannot_be_the_first():
    for empty in ({}, {"a": None}, []):
        model = OnlineRegressor()
        with pytest.raises(InputError, match=r"no value at all|shape"):
            model.learn_one(empty, 1.0)
        assert model.n_rows == 0 and model.predict_one({"a": 1.0}) == 0.0


def test_a_text_stays_a_text():
    model = OnlineRegressor()
    model.learn_one({"zip": "10115"}, 1.0)
    with pytest.raises(InputError, match=r"'zip' is 10115; so far it was a text. Give '10115'"):
        model.learn_one({"zip": 10115}, 1.0)


def test_a_dict_where_rows_were_arrays():
    model = OnlineRegressor()
    model.learn_one([1.0, 2.0], 1.0)
    refused = [
        ({"a": 1.0}, "so far were arrays"),
        ({0: 1.0, 1: 2.0}, "so far were arrays"),
        (np.array([1.0, 2.0, 3.0]), "3 numbers; so far they had 2"),
        (np.array([1.0, NAN]), "feature 1 is nan"),
    ]
    for x, says in refused:
        with pytest.raises(InputError, match=says):
            model.predict_one(x)


def test_a_feature_that_never_repeats_is_refused(monkeypatch):
    monkeypatch.setattr(stream_features, "MOST", 10)
    model = OnlineRegressor((2,))
    with pytest.raises(InputError, match="more than 10 inputs, most of them from the feature 'id'"):
        for i in range(20):
            model.learn_one({"id": f"user {i}", "a": 1.0}, 1.0)
    assert model.n_rows == 9 and len(model.inputs) == 10
    assert np.isfinite(model.predict_one({"id": "user 3", "a": 2.0}))


@pytest.mark.parametrize(
    "value", [1, True, np.True_, np.float32(1), np.int8(1), Fraction(1), Decimal(1), np.array(1.0)]
)
def test_whatever_is_a_number_is_one(value):
    model, wanted = trained(), trained()
    for row in ({"a": value, "b": 2.0}, {"a": value}):
        model.learn_one(row, 1)
        wanted.learn_one(row | {"a": 1.0}, 1.0)
    assert np.array_equal(model.w, wanted.w)


@pytest.mark.parametrize("made", [OnlineRegressor, OnlineClassifier])
@pytest.mark.parametrize(("settings", "says"), [
    ({"hidden": (0,)}, "hidden was"), ({"hidden": "wide"}, "hidden was"), ({"hidden": (2.5,)}, "hidden was"),
    ({"activation": "tahn"}, "Unknown activation 'tahn'. Did you mean tanh"),
    ({"activation": 5}, "Unknown activation 5"),
    ({"activation": ["tanh", "relu"]}, "3 activations were given for 2 layers"),
    ({"learning_rate": 0}, "rate"), ({"learning_rate": "fast"}, "Unknown schedule"), ({"rule": "adm"}, "Unknown rule"),
    ({"l2": -1}, "l2 was -1"), ({"l2": NAN}, "l2 was nan"), ({"loss": "mse loss"}, "Unknown loss"),
    ({"horizon": 1}, "horizon was 1; it is a number of rows from 2 up"), ({"horizon": "long"}, "horizon was 'long'"),
    ({"seed": -1}, "seed was -1"),
], ids=str)  # fmt: skip
def test_settings_are_refused_when_the_model_is_made(made, settings, says):
    with pytest.raises(SettingError, match=says):
        made(**settings)


def test_a_loss_for_the_other_task_is_refused():
    with pytest.raises(SettingError, match="cross_entropy does not suit a regression target"):
        OnlineRegressor(loss="cross_entropy")
    with pytest.raises(SettingError, match=r"huber.* does not suit a multiclass target"):
        OnlineClassifier(loss="huber")
