"""Predictions as columns and as CSV: what is read back is what the model said."""

import csv
import io

import numpy as np
import pytest

import deltarule as dr
from deltarule.predictions import columns, to_csv
from mixtures import flowers, homes, waves


@pytest.fixture(scope="module")
def kinds():
    return dr.fit(flowers(), "kind", max_steps=10, l2=0.01)


def read(text):
    header, *rows = csv.reader(io.StringIO(text))
    return dict(zip(header, zip(*rows, strict=True), strict=True))


def test_numbers_survive_csv_bit_for_bit():
    model = dr.fit(homes(), "price", max_steps=5, l2=0.01)
    found, notes = columns(model, homes(), None, proba=False)
    assert list(found) == ["price"] and notes == []
    assert np.array_equal(np.array(read(to_csv(found))["price"], dtype=float), model.predict(homes()))


def test_probabilities_stand_beside_the_classes(kinds):
    found, _ = columns(kinds, flowers(), None, proba=True)
    assert list(found) == ["kind", "p(kind=alba)", "p(kind=lutea)", "p(kind=rubra)"]
    P = np.column_stack([found[name] for name in list(found)[1:]])
    assert np.array_equal(P, kinds.predict_proba(flowers()))
    assert np.allclose(P.sum(axis=1), 1, atol=1e-12)
    assert [["alba", "lutea", "rubra"][i] for i in P.argmax(axis=1)] == found["kind"]


def test_two_classes_of_true_and_false():
    table = {"x": waves()["x"], "late": waves()["x"] > 0}
    found, _ = columns(dr.fit(table, "late", max_steps=5, l2=0.01), table, None, proba=True)
    assert list(found) == ["late", "p(late=False)", "p(late=True)"]
    assert found["late"] == [p > 0.5 for p in found["p(late=True)"]]
    assert set(read(to_csv(found))["late"]) == {"True", "False"}


def test_several_targets_have_a_column_each():
    x = np.linspace(-1, 1, 40)
    numbers = {"x": x, "up": 2 * x, "down": -x}
    found, _ = columns(dr.fit(numbers, ["down", "up"], max_steps=5, l2=0.0), numbers, None, proba=False)
    assert list(found) == ["down", "up"] and len(found["up"]) == 40
    labels = {"x": x, "late": x > 0, "near": abs(x) < 0.5}
    found, _ = columns(dr.fit(labels, ["late", "near"], max_steps=5, l2=0.0), labels, None, proba=True)
    assert list(found) == ["late", "near", "p(late)", "p(near)"]
    assert found["near"] == [p > 0.5 for p in found["p(near)"]]


def test_names_and_labels_that_csv_must_quote():
    table = {
        "x": np.arange(30.0),
        'a "name", quoted': np.array(["yes, it is", "two\nlines", 'a "quote"'])[np.arange(30) % 3],
    }
    target = 'a "name", quoted'
    model = dr.fit(table, target, max_steps=2, l2=0.1)
    assert list(read(to_csv(columns(model, table, None, proba=False)[0]))[target]) == model.predict(table).tolist()


def test_notes_tell_of_ignored_columns_and_unseen_cells():
    model = dr.fit(homes(), "price", max_steps=2, l2=0.1)
    few = homes(12)
    few["town"][0] = "Paris"
    _, notes = columns(model, {**few, "street": ["A"] * 12}, None, proba=False)
    assert "columns ignored: street" in notes
    assert any("town" in note and "'Paris'" in note for note in notes)


def test_a_regression_has_no_probabilities():
    with pytest.raises(dr.SettingError, match="regression"):
        columns(dr.fit(waves(), "y", max_steps=1, l2=0.1), waves(), None, proba=True)
