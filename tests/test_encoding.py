"""Encoding: columns to inputs, targets and back; what a file may hold; what another table may bring."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.encoding import Encoding
from deltarule.encoding.roles import choose_roles
from deltarule.encoding.scaling import SCALINGS, fit_scale
from deltarule.errors import SettingError, TableError
from deltarule.tables import read
from tablecheck import HOUSES, fitted


def test_inputs_have_names_and_values():
    table, encoding = fitted(HOUSES, "price")
    X, notes = encoding.inputs(table)
    assert encoding.input_names == [
        "age",
        "age is missing",
        "heating=gas",
        "heating=oil",
        "heating is missing",
        "garage",
        "sold",
    ]
    assert X.shape == (4, 7) == (table.n_rows, encoding.n_inputs) and X.flags.c_contiguous and notes == []
    assert X[:, 1].tolist() == [0, 1, 0, 0]
    assert X[:, 2:5].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert X[1, 0] == 0  # a missing number is the mean
    present = X[[0, 2, 3], 0]
    assert np.allclose([present.mean(), present.std()], [0, 1])
    assert np.allclose(X[:, 5:].mean(axis=0), 0) and np.allclose(X[:, 5:].std(axis=0), 1)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (
            "standard",
            [-1.5 / math.sqrt(1.25), -0.5 / math.sqrt(1.25), 0.5 / math.sqrt(1.25), 1.5 / math.sqrt(1.25)],
        ),
        ("minmax", [-1, -1 / 3, 1 / 3, 1]),
        ("robust", [-1, -1 / 3, 1 / 3, 1]),
        ("none", [1, 2, 3, 4]),
    ],
)
def test_scalings(scaling, expected):
    table, encoding = fitted({"x": [1, 2, 3, 4], "y": [2.0, 4.0, 6.0, 8.5]}, scaling=scaling)
    assert np.allclose(encoding.inputs(table)[0][:, 0], expected, rtol=1e-15)


def test_robust_scaling_of_mostly_equal_values_uses_their_deviation():
    assert fit_scale(np.array([0.0, 0, 0, 0, 5]), "robust").spread == 2.0
    assert fit_scale(np.array([0.0, 0, 1e-300, 1e-300, 5]), "robust").spread == 2.0


def test_only_training_rows_are_looked_at():
    columns = {"x": [1, 3, 1e6], "c": ["a", "b", "z"], "k": [1, 1, 2], "y": [1.0, 3.5, 9.0]}
    table, encoding = fitted({**columns, "c": ["a", "b", "b"]}, rows=[0, 1])
    assert encoding.input_names == ["x", "c=a", "c=b"]
    assert "left out, the same value in all training rows: k" in encoding.notes
    X, _ = encoding.inputs(table)
    assert X[:2, 0].tolist() == [-1, 1]
    assert np.allclose(encoding.targets(table)[:2, 0], [-1, 1])


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("factor", [1e300, 1e150, 1e-150, 5e-324, 1e-310, 1.0])
def test_scales_of_extreme_columns_are_finite(scaling, factor):
    values = np.array([-1.0, 0.25, 1.0, 0.5, 1.0]) * factor
    scale = fit_scale(values, scaling)
    if scale is not None:
        assert np.isfinite(scale.apply(values)).all() and scale.spread > 0


def test_nothing_is_learnt_from_rows_that_are_alike():
    with pytest.raises(TableError, match="Every input of the dictionary has the same value in all 2 training rows"):
        fitted({"x": [1, 1, 2], "y": [1.0, 2.5, 3.0]}, rows=[0, 1])
    with pytest.raises(TableError, match="Target 'y' of the dictionary has the same value in all 2 training rows"):
        fitted({"x": [1, 2, 2, 3], "y": [1.5, 1.5, 3.0, 4.0]}, rows=[0, 1])
    with pytest.raises(SettingError, match=r"Unknown scaling 'standart'\. Did you mean standard"):
        fitted(HOUSES, "price", scaling="standart")


def test_columns_are_found_by_name_and_others_ignored():
    table, encoding = fitted(HOUSES, "price")
    other = read({"id": [7, 8, 9, 4], **{name: HOUSES[name] for name in reversed(HOUSES) if name != "price"}})
    X, notes = encoding.inputs(other)
    assert np.array_equal(X, encoding.inputs(table)[0]) and notes == ["columns ignored: id"]


def test_a_lacking_column_is_named_with_the_nearest():
    _, encoding = fitted(HOUSES, "price")
    other = read({"aged": [1], "heating": ["gas"], "garage": [True], "sold": HOUSES["sold"][:1]})
    with pytest.raises(
        TableError, match=r"lacks 'age', which the model predicts from. Did you mean 'aged' or 'garage'\?"
    ):
        encoding.inputs(other)


def test_cells_unlike_training_are_counted():
    _, encoding = fitted({"x": [1, 2, 3], "c": ["a", "b", "b"], "y": [1.0, 2.0, 9.5]})
    X, notes = encoding.inputs(read({"x": [None, 1, None], "c": ["z", None, "b"]}))
    assert X[[0, 2], 0].tolist() == [0, 0] and X[:, 1:].tolist() == [[0, 0], [0, 0], [0, 1]]
    assert notes == [
        "x: 2 missing cells, of which training had none, count as 2",
        "c: 1 cells hold texts that training had none of, such as 'z'",
        "c: 1 missing cells, of which training had none",
    ]


def test_a_column_missing_altogether_at_prediction():
    _, encoding = fitted(HOUSES, "price")
    other = read({name: [None, None] for name in HOUSES if name != "price"})
    X, notes = encoding.inputs(other)
    assert X[:, 1].tolist() == [1, 1] and X[:, 4].tolist() == [1, 1] and len(notes) == 2


@pytest.mark.parametrize(
    ("trained", "given", "same_as"),
    [
        ([1.0, 2.5, 3.0], ["1", " 2.5", "NA"], [1.0, 2.5, None]),
        ([1.0, 2.5, 3.0], [True, False, None], [1.0, 0.0, None]),
        ([True, False, True], ["true", "False", "0"], [True, False, False]),
        ([True, False, True], [1, 0, None], [True, False, None]),
        (["3", "x", "3"], [3.0, 3, None], ["3", "3", None]),
        (["3.0", "x", "3.0"], [3, 4, 3], ["3.0", "?", "3.0"]),
        (["True", "False", "True"], [True, False, None], ["True", "False", None]),
        (
            np.array(["2024-01-01", "2024-01-03", "2024-01-02"], "M8[D]"),
            ["2024-01-02", "NA", "2024-01-05"],
            None,
        ),
    ],
)
def test_other_spellings_of_a_column(trained, given, same_as):
    _, encoding = fitted({"x": trained, "z": [1, 2, 4], "y": [1.0, 2.0, 9.5]})
    X, _ = encoding.inputs(read({"x": given, "z": [1, 2, 4]}))
    if same_as is None:
        same_as = np.array(["2024-01-02", "NaT", "2024-01-05"], "M8[D]")
    assert np.array_equal(X, encoding.inputs(read({"x": same_as, "z": [1, 2, 4]}))[0])


@pytest.mark.parametrize(
    ("trained", "given", "expected"),
    [
        (
            [1.0, 2.5, 3.0],
            ["1", "two", "3"],
            "holds the text 'two' in row 2, but the model was trained on numbers",
        ),
        (
            [1.0, 2.5, 3.0],
            HOUSES["sold"][:3],
            "holds the date in row 1, but the model was trained on numbers",
        ),
        (
            [True, False, True],
            [0, 1, 2],
            "holds the number '2' in row 3, but the model was trained on true or false",
        ),
        ([True, False, True], ["yes", "no", "no"], "holds the text 'yes' in row 1"),
        (["a", "b", "b"], HOUSES["sold"][:3], "holds the date in row 1, but the model was trained on text"),
        (
            HOUSES["sold"][:3],
            [None, 1, 2],
            "holds the number '1' in row 2, but the model was trained on dates",
        ),
        (
            [1.0, 2.5, 3.0],
            [1, 2, np.inf],
            r"holds inf in row 3. Numbers must lie between -1e\+300 and 1e\+300",
        ),
        ([1.0, 2.5, 3.0], [1, -1e151, 0], "holds -1e\\+151 in row 2"),
        ([0, 1e-300, 2e-300], [0, 1, 0], "holds 1 in row 2, too far from what the model was trained on"),
    ],
)
def test_cells_that_cannot_be_read(trained, given, expected):
    _, encoding = fitted({"x": trained, "z": [1, 2, 4], "y": [1.0, 2.0, 9.5]})
    with pytest.raises(TableError, match=f"Column 'x' of the dictionary {expected}"):
        encoding.inputs(read({"x": given, "z": [1, 2, 4]}))


def test_regression_returns_to_the_units_of_the_target():
    table, encoding = fitted(HOUSES, "price")
    T = encoding.targets(table)
    assert T.shape == (4, 1) and encoding.output_names == ["price"] and encoding.classes is None
    assert np.allclose(encoding.decode_regression(T), HOUSES["price"], rtol=1e-15)
    two, encoding = fitted({"x": [1, 2, 3], "y": [1.5, 2.0, 9.0], "z": [5, 6.5, 0]}, ["y", "z"])
    assert encoding.task == "regression" and encoding.n_outputs == 2
    assert np.allclose(encoding.decode_regression(encoding.targets(two)), [[1.5, 5], [2, 6.5], [9, 0]])
    with pytest.raises(SettingError, match="use decode_regression"):
        encoding.decode_labels(T)


@pytest.mark.parametrize(
    ("labels", "dtype", "outputs"),
    [
        (["b", "a", "b", "a"], object, ["y=b"]),
        (["b", "a", "c", "a"], object, ["y=a", "y=b", "y=c"]),
        ([True, False, True, True], np.bool_, ["y=true"]),
        ([0, 1, 1, 0], np.int64, ["y=1"]),
        ([-1.5, 2.5, 2.5, -1.5], np.float64, ["y=2.5"]),
        ([3, 1, 2, 2], np.int64, ["y=1", "y=2", "y=3"]),
    ],
)
def test_labels_come_back_in_their_own_type(labels, dtype, outputs):
    table, encoding = fitted({"x": [1, 2, 3, 5], "y": labels})
    T = encoding.targets(table)
    assert encoding.output_names == outputs and T.shape == (4, len(outputs)) and set(np.unique(T)) == {0, 1}
    decoded = encoding.decode_labels(0.1 + 0.8 * T)
    assert decoded.tolist() == labels and decoded.dtype == dtype and encoding.classes.dtype == dtype
    assert encoding.classes.tolist() == sorted(set(labels))
    with pytest.raises(SettingError, match="use decode_labels"):
        encoding.decode_regression(T)


def test_labels_that_hold_together():
    columns = {"x": [1, 2, 3], "a": [True, False, True], "b": [False, False, True]}
    table, encoding = fitted(columns, ["a", "b"])
    assert encoding.task == "multilabel" and encoding.output_names == ["a", "b"]
    decoded = encoding.decode_labels(encoding.targets(table))
    assert decoded.tolist() == [[True, False], [False, False], [True, True]]
    _, encoding = fitted({**columns, "b": [0, 0, 1]}, ["a", "b"])
    assert encoding.decode_labels(np.array([[0.9, 0.1]])).tolist() == [[1, 0]]


def test_classes_of_held_out_rows_are_known_and_new_ones_refused():
    table, encoding = fitted({"x": [1, 2, 3, 4], "y": ["a", "b", "a", "c"]}, rows=[0, 1, 2])
    assert encoding.targets(table)[3].tolist() == [0, 0, 1]
    with pytest.raises(TableError, match=r"'y' of the dictionary holds 'd' in row 2, none of the classes .*: a, b, c"):
        encoding.targets(read({"y": ["a", "d"]}))
    with pytest.raises(TableError, match="'y' of the dictionary is empty in row 2: rows without a target"):
        encoding.targets(read({"y": ["a", None]}))
    with pytest.raises(TableError, match=r"has no column 'y'\. There are: 'x'"):
        encoding.targets(read({"x": [1]}))


def test_class_labels_spelled_otherwise():
    _, encoding = fitted({"x": [1, 2, 3], "y": [0, 1, 1]})
    assert encoding.targets(read({"y": ["1", "0"]})).tolist() == [[1], [0]]
    _, encoding = fitted({"x": [1, 2, 3], "y": ["1", "a", "1"]})
    assert encoding.targets(read({"y": [1.0, 1.0]})).tolist() == [[0], [0]]


def test_rows_without_a_target():
    table, encoding = fitted(
        {"x": [1, 2, 3, 4], "y": [1.5, None, 2.0, 3.0], "z": [1.0, 2.5, None, 0]}, ["y", "z"], rows=[0, 3]
    )
    assert encoding.target_missing_rows(table).tolist() == [1, 2]
    with pytest.raises(TableError, match="'y' of the dictionary is empty in row 2"):
        encoding.targets(table)


NUMBERS = st.floats(-1e300, 1e300) | st.floats(-1e-300, 1e-300) | st.integers(-3, 3).map(float)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(NUMBERS | st.none(), st.sampled_from(["a", "b", "", None]), st.booleans() | st.none(), NUMBERS),
        min_size=3,
        max_size=20,
    ),
    st.sampled_from(sorted(SCALINGS)),
    st.data(),
)
def test_encoded_training_rows_are_finite_and_targets_return(rows, scaling, data):
    """Whatever the numbers, inputs are finite, and decoding the targets gives them back."""
    table = read(dict(zip(["x", "c", "b", "y"], map(list, zip(*rows, strict=True)), strict=True)))
    train = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=2, unique=True)))
    try:
        encoding = Encoding.fit(table, choose_roles(table, "y", task="regression"), train, scaling)
        part = table.take(train)
        X, _ = encoding.inputs(part)
        T = encoding.targets(part)
    except TableError:  # nothing to learn, or not scaled and too large to square
        return
    assert np.isfinite(X).all() and X.shape == (len(train), len(encoding.input_names))
    assert len(set(encoding.input_names)) == encoding.n_inputs
    y = part.column("y").values
    back = encoding.decode_regression(T)
    assert np.allclose(back, y, rtol=1e-12, atol=4e-16 * np.abs(y).max() + 1e-320)
    assert Encoding.from_dict(json.loads(json.dumps(encoding.to_dict()))) == encoding
