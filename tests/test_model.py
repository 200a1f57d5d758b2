"""A model predicts and scores from tables by column name, in the target's own units, or says which cell is wrong."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import deltarule as dr
from deltarule.errors import SettingError, TableError
from mixtures import flowers, homes


@pytest.fixture(scope="module")
def prices():
    return dr.fit(homes(), "price", max_steps=25, l2=0.01)


@pytest.fixture(scope="module")
def kinds():
    return dr.fit(flowers(), "kind", max_steps=15, l2=0.01)


def test_order_and_extra_columns_do_not_matter(prices):
    table = homes(20, seed=1)
    expected = prices.predict(table)
    assert expected.shape == (20,) and np.all(np.isfinite(expected))
    turned = dict(reversed(table.items()))
    assert np.array_equal(prices.predict({"id": list(range(20)), **turned}), expected)
    assert np.array_equal(prices.predict({name: cells for name, cells in table.items() if name != "price"}), expected)
    assert np.array_equal(prices.predict(pd.DataFrame(table)), expected)


def test_each_row_is_predicted_for_itself(prices):
    table = homes(12, seed=2)
    each = [prices.predict({name: cells[i : i + 1] for name, cells in table.items()})[0] for i in range(12)]
    assert np.allclose(each, prices.predict(table), rtol=1e-12)


@pytest.mark.parametrize("name", ["area", "rooms", "town", "garden", "built"])
def test_a_lacking_column_is_named(prices, name):
    table = {other: cells for other, cells in homes(5).items() if other != name}
    with pytest.raises(TableError, match=f"lacks '{name}', which the model predicts from"):
        prices.predict(table)


RETYPED = {
    "numbers as text": ("rooms", lambda cells: [str(cell) for cell in cells]),
    "numbers as floats": ("rooms", lambda cells: [float(cell) for cell in cells]),
    "booleans as numbers": ("garden", lambda cells: [None if cell is None else int(cell) for cell in cells]),
    "booleans as text": ("garden", lambda cells: [None if cell is None else str(cell) for cell in cells]),
    "dates as text": ("built", lambda cells: [cell.isoformat() for cell in cells]),
    "dates as time stamps": ("built", lambda cells: np.array(cells, dtype="datetime64[ns]")),
}


@pytest.mark.parametrize("case", RETYPED)
def test_retyped_columns_mean_the_same(prices, case):
    name, retype = RETYPED[case]
    table = homes(15, seed=3)
    assert np.array_equal(prices.predict({**table, name: retype(table[name])}), prices.predict(table))


WRONG = {
    "text among numbers": ("rooms", 2, "many", "'rooms' .* 'many' in row 3"),
    "a number for a date": ("built", 0, 7, "'built'"),
    "infinity": ("area", 4, np.inf, "'area' .* inf in row 5"),
    "a huge number": ("area", 1, 1e308, r"'area' .* 1e\+308 in row 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_cells_are_named(prices, case):
    name, row, value, words = WRONG[case]
    table = homes(8, seed=4)
    table[name] = list(table[name])
    table[name][row] = value
    with pytest.raises(TableError, match=words):
        prices.predict(table)


def test_unseen_categories_and_missing_cells_are_predicted_and_noted(prices):
    table = homes(6, seed=5)
    table["town"][1] = "Paris"
    table["rooms"] = [None, *table["rooms"][1:]]
    Y, notes = prices.outputs(table)
    assert Y.shape == (6, 1) and np.all(np.isfinite(Y))
    assert any(note.startswith("town: 1 cells") and "'Paris'" in note for note in notes)
    assert any(note.startswith("rooms: 1 missing cells") for note in notes)


def test_an_overflowing_prediction_is_refused_with_its_row():
    counts = {"x": np.arange(40.0), "y": (np.arange(40) // 10) * 1.0 + 0.5}
    model = dr.fit(counts, "y", loss="poisson", hidden=(), max_steps=20, l2=0.0)
    with pytest.raises(TableError, match="row 2 of the dictionary is too large for a number"):
        model.predict({"x": [1.0, 1e6, 2.0]})
    with pytest.raises(TableError, match="row 1 of those with a target is too large"):
        model.evaluate({"x": [1.0, 1e6], "y": [None, 3.0]})


def test_labels_have_the_targets_own_type(kinds):
    assert set(kinds.predict(flowers(9)).tolist()) <= {"alba", "lutea", "rubra"}
    for labels, kind in (([2, 7], int), ([0.5, 1.5], float), ([False, True], bool)):
        table = {"x": np.arange(40.0), "k": np.array(labels)[np.arange(40) // 20]}
        found = dr.fit(table, "k", max_steps=10, l2=0.01).predict(table).tolist()
        assert {type(label) for label in found} == {kind} and set(found) == set(labels)


@pytest.mark.parametrize("loss", [None, "squared_error"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_sum_to_1_and_agree_with_the_answers(n_classes, loss):
    table = flowers()
    keep = np.flatnonzero(table["kind"] <= ["", "", "lutea", "rubra"][n_classes])
    table = {name: cells[keep] for name, cells in table.items()}
    model = dr.fit(table, "kind", loss=loss, max_steps=10, l2=0.01)
    P = model.predict_proba(table)
    assert P.shape == (len(keep), n_classes) and P.min() >= 0
    assert np.allclose(P.sum(axis=1), 1, atol=1e-12)
    assert np.array_equal(model.encoding.classes[P.argmax(axis=1)], model.predict(table))


def test_regression_has_no_probabilities(prices):
    with pytest.raises(SettingError, match="it predicts numbers, which have no probabilities"):
        prices.predict_proba(homes(5))


def test_evaluate_is_scikit_learns_judgement_of_predict(prices, kinds):
    table = homes(50, seed=7)
    scores = prices.evaluate(table)
    assert scores.r2 == pytest.approx(metrics.r2_score(table["price"], prices.predict(table)), rel=1e-9)
    assert scores.mae == pytest.approx(metrics.mean_absolute_error(table["price"], prices.predict(table)), rel=1e-9)
    table = flowers(60, seed=7)
    scores = kinds.evaluate(table)
    assert scores.accuracy == pytest.approx(np.mean(kinds.predict(table) == table["kind"]))
    assert scores.log_loss == pytest.approx(metrics.log_loss(table["kind"], kinds.predict_proba(table)), rel=1e-9)
    assert scores.classes == ["alba", "lutea", "rubra"]


def test_evaluate_leaves_out_rows_without_a_target_and_says_so(prices):
    table = homes(30, seed=8)
    short = {name: cells[5:] for name, cells in table.items()}
    gaps = {**table, "price": [None] * 5 + table["price"][5:]}
    assert prices.evaluate(gaps) == prices.evaluate(short)
    assert "5 of 30 rows have no price: left out" in prices.encoded(gaps)[2]


def test_evaluate_refuses(prices, kinds):
    table = homes(5)
    with pytest.raises(TableError, match="no column 'price'"):
        prices.evaluate({name: cells for name, cells in table.items() if name != "price"})
    with pytest.raises(TableError, match="No row of the dictionary has a price to compare with"):
        prices.evaluate({**table, "price": [None] * 5})
    with pytest.raises(TableError, match="'nigra' in row 2, none of the classes the model knows"):
        kinds.evaluate({**flowers(3), "kind": ["alba", "nigra", "rubra"]})


def test_repr_is_one_line(prices):
    assert repr(prices) == "<Model price by 10-8-1 squared_error, 97 weights>"
