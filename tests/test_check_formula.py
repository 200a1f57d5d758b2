"""`check.formula`: is df the slope of f? Every formula of the table is; common mistakes are named."""

import json

import numpy as np
import pytest

from deltarule.activations import ACTIVATIONS
from deltarule.errors import SettingError
from deltarule.explain import check


def logistic(e):
    return 1 / (1 + np.exp(-e))


def slope(e):
    return logistic(e) * (1 - logistic(e))


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if not row.couples])
def test_every_activation_of_the_table_is_right(name):
    found = check.formula(ACTIVATIONS[name])
    assert found.right and found.mistake == ""
    kinks = {"relu": (0.0,), "leaky_relu": (0.0,), "hard_tanh": (-1.0, 1.0), "selu": (0.0,)}
    assert found.kinks == kinks.get(name, ())


@pytest.mark.parametrize(
    ("f", "df", "words"),
    [
        (np.tanh, lambda e: 1 - e**2, "give it y, not e"),
        (logistic, lambda e: e * (1 - e), "give it y, not e"),
        (logistic, lambda e: slope(logistic(e)), "f′(y): take it at what comes in"),
        (np.tanh, lambda e: np.ones_like(e), "1 everywhere"),
        (np.tanh, lambda e: -(1 - np.tanh(e) ** 2), "sign reversed"),
        (lambda e: np.tanh(2 * e), lambda e: 1 - np.tanh(2 * e) ** 2, "the slope times 0.5"),
        (logistic, lambda e: slope(e) + 0.1, ""),
        (np.tanh, lambda e: (1 - np.tanh(e) ** 2) * (1 + 1e-6), "the slope times 1"),
    ],
)
def test_a_mistake_is_found_and_named(f, df, words):
    found = check.formula(f, df)
    assert not found.right and words in found.mistake, found
    assert bool(found.mistake) == bool(words)
    worst = found.worst
    assert abs(worst.given - worst.left) > worst.bound and "df is not the slope of f at" in str(found)


def test_df_may_take_e_or_both():
    assert check.formula(np.tanh, lambda e, y: 1 - y * y).right
    assert check.formula(logistic, slope).right
    assert check.formula(np.sin, np.cos).right
    assert check.formula(lambda e: 3 * e, lambda e: 3.0).right


def test_a_kink_accepts_either_side_and_no_other():
    for at_zero, right in ((0.0, True), (1.0, True), (0.5, True), (1.5, False)):
        found = check.formula(lambda e: np.maximum(e, 0), lambda e, at=at_zero: np.where(e == 0, at, e > 0))
        assert found.right == right and found.kinks == (0.0,)


def test_a_slope_that_has_been_rounded_away_is_noted():
    found = check.formula(logistic, lambda e, y: y * (1 - y))
    assert found.right and "exactly 0 at e = 40" in found.notes[0] and "note:" in str(found)


def test_as_json():
    made = json.loads(json.dumps(check.formula(np.tanh, lambda e: 1 - e**2).to_dict(), allow_nan=False))
    assert list(made) == ["right", "mistake", "kinks", "notes", "worst", "places"]
    assert list(made["worst"]) == ["e", "given", "left", "right", "bound", "fits"] and not made["right"]


@pytest.mark.parametrize(
    ("f", "df", "words"),
    [
        (np.tanh, None, "two functions"),
        (ACTIVATIONS["softmax"], None, "slope is a matrix"),
        (lambda e: e[:3], lambda e: e, "must keep the shape"),
        (np.tanh, lambda e: e[:3], "must keep the shape"),
        (lambda e: e * np.nan, lambda e: e, "finite nowhere"),
    ],
)
def test_what_is_refused(f, df, words):
    with pytest.raises(SettingError, match=words):
        check.formula(f, df)
