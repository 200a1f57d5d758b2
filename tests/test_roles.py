"""Roles: what each column is for, found or asked for, and every reason to refuse one."""

import numpy as np
import pytest

from deltarule.encoding.roles import MAX_CLASSES, MAX_LEVELS, choose_roles
from deltarule.errors import SettingError, TableError
from deltarule.tables import read

N = 120
REAL = np.linspace(0, 1, N)


def table_of(**columns):
    return read({"x": REAL, **columns})


def cycle(*values):
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("target", "request_", "task"),
    [
        (REAL, None, "regression"),
        (cycle("a", "b"), None, "binary"),
        (cycle("a", "b", "c"), None, "multiclass"),
        (cycle(True, False), None, "binary"),
        (cycle(-1, 7.5), None, "binary"),
        (cycle(0, 1, 2), None, "multiclass"),
        (cycle(*range(1, 11)), None, "multiclass"),
        (cycle(*range(11)), None, "regression"),
        (cycle(2, 3, 4), None, "regression"),
        (cycle(0, 1, 3), None, "regression"),
        (cycle(0, 1, 1.5), None, "regression"),
        (cycle(0, 1, 2), "regression", "regression"),
        (cycle(True, False), "regression", "regression"),
        (cycle(2.5, 3, 4), "classification", "multiclass"),
    ],
)
def test_task_of_one_target(target, request_, task):
    assert choose_roles(table_of(y=target), "y", task=request_).task == task


@pytest.mark.parametrize(
    ("first", "second", "request_", "task"),
    [
        (REAL, REAL**2, None, "regression"),
        (REAL, cycle(0, 1), None, "regression"),
        (cycle(True, False), cycle(0, 0, 1), None, "multilabel"),
        (cycle(0, 1), cycle(0, 0, 1), "classification", "multilabel"),
        (cycle(0, 1), cycle(0, 0, 1), "regression", "regression"),
    ],
)
def test_task_of_two_targets(first, second, request_, task):
    assert choose_roles(table_of(y=first, z=second), ["y", "z"], task=request_).task == task


def test_roles_and_what_is_left_out():
    table = table_of(
        c=cycle("a", "b", None),
        b=cycle(True, False),
        d=np.datetime64("2024-01-01") + np.arange(N),
        same=[3] * N,
        word=["x"] * N,
        empty=[None] * N,
        half=cycle(1, None),
        y=[None, None, *REAL[2:]],
    )
    roles = choose_roles(table, "y", exclude=["d"])
    assert roles.inputs == {"x": "number", "c": "category", "b": "boolean", "half": "number"}
    assert roles.targets == ("y",)
    assert roles.notes == (
        "2 of 120 rows have no y: left out",
        "left out, all cells are missing: empty",
        "left out, the same value in all rows: same, word",
    )
    assert choose_roles(table, ["y"], inputs=["d", "x", "d"]).inputs == {"d": "date", "x": "number"}


NAMES = [f"name {i}" for i in range(N)]


@pytest.mark.parametrize(
    ("columns", "arguments", "expected"),
    [
        ({"price": REAL}, {"targets": "prise"}, r"no column 'prise'\. Did you mean 'price'\?"),
        ({"y": REAL}, {"targets": []}, "No target was given: name the column of the dictionary to predict"),
        ({"y": REAL}, {"inputs": ["xx"]}, r"no column 'xx'\. Did you mean 'x'\?"),
        ({"y": REAL}, {"exclude": ["xx"]}, r"no column 'xx'\. Did you mean 'x'\?"),
        ({"y": REAL}, {"inputs": ["x", "y"]}, "'y' is named as an input and is also a target"),
        ({"y": REAL}, {"inputs": ["x"], "exclude": ["x"]}, "'x' is named as an input and is also excluded"),
        ({"y": REAL}, {"exclude": ["y"]}, "'y' is a target and is also excluded"),
        ({"y": [1.0] * N}, {}, "Target 'y' of the dictionary has the same value in all its rows"),
        ({"y": cycle("a", None)}, {}, "Target 'y' of the dictionary has the same value in all its rows"),
        ({"y": [None] * N}, {}, "No row of the dictionary has a y"),
        ({"y": np.datetime64("2024-01-01") + np.arange(N)}, {}, "holds dates, which cannot be predicted"),
        ({"y": cycle("a", "b")}, {"task": "regression"}, "holds text; regression needs numbers"),
        (
            {"y": REAL},
            {"task": "classification"},
            f"has 120 distinct values; .* at most {MAX_CLASSES} classes",
        ),
        ({"y": NAMES}, {}, "has 120 distinct values; .*Group them.$"),
        ({"y": REAL, "z": cycle("a", "b")}, {"targets": ["y", "z"]}, "Several targets must be numbers"),
        ({"y": REAL, "z": cycle(True, False)}, {"targets": ["y", "z"]}, "mix labels with other numbers"),
        ({"y": REAL, "z": REAL**2}, {"targets": ["y", "z"], "task": "classification"}, "mix labels with"),
        ({"y": REAL}, {"exclude": ["x"]}, "has no column to predict y from: add one"),
        ({"y": REAL, "k": [1] * N}, {"exclude": ["x"]}, r"predict y from \(left out, the same value .*: k\)"),
        ({"y": REAL}, {"inputs": []}, "has no column to predict y from"),
        (
            {"y": [np.inf, *REAL[1:]]},
            {},
            r"'y' of the dictionary holds inf in row 1. Numbers must lie between",
        ),
        ({"y": REAL, "z": [*REAL[1:], -2e300]}, {}, r"'z' of the dictionary holds -2e\+300 in row 120"),
        (
            {"y": REAL, "id no": NAMES, "who": NAMES[: MAX_LEVELS + 1] + ["n"] * (N - MAX_LEVELS - 1)},
            {},
            r"'id no' \(120\), 'who' \(52\)\. .* --exclude 'id no' --exclude who \(in .*\['id no', 'who'\]",
        ),
        ({"y": REAL, "id": NAMES}, {"inputs": ["x", "id"]}, r"'id' \(120\)\. .* Pass --exclude id "),
    ],
)
def test_refusals(columns, arguments, expected):
    with pytest.raises(TableError, match=expected) as caught:
        choose_roles(table_of(**columns), **{"targets": "y", **arguments})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_as_many_texts_as_rows_are_refused_in_small_tables_too():
    with pytest.raises(TableError, match="and fewer than there are rows"):
        choose_roles(read({"c": ["a", "b", "c"], "y": [1.0, 2.5, 3.0]}), "y")


def test_an_unknown_task_is_refused():
    with pytest.raises(SettingError, match=r"Unknown task 'regresion'\. Did you mean regression"):
        choose_roles(table_of(y=REAL), "y", task="regresion")


def test_numbers_with_units_are_quoted_where_text_is_refused():
    weights = [f"{i / 4} kg" for i in range(N)]
    with pytest.raises(TableError, match=r"'weight' holds texts such as '0\.0 kg': write numbers alone"):
        choose_roles(table_of(weight=weights, y=REAL), "y")
    with pytest.raises(TableError, match=r"'weight' holds texts such as '0\.0 kg'"):
        choose_roles(table_of(weight=weights), "weight")


def test_a_column_that_numbers_the_rows_is_noted():
    counting = list(range(100, 100 + N))
    (note,) = choose_roles(table_of(PatientId=counting, year=counting, y=REAL), "y").notes
    assert note.startswith("numbers the rows") and "PatientId" in note and "year" not in note
