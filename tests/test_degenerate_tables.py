"""Tables with little or nothing in them: each gets a model that predicts, or a sentence that says what is missing."""

import numpy as np
import pytest

import deltarule as dr

N = 24
X = np.random.default_rng(0).normal(size=N)
Y = X**2
FRAME = pytest.importorskip("pandas").DataFrame

pytestmark = pytest.mark.promise("P7")

FITTED = {
    "a constant column": ({"x": X, "c": [1] * N, "y": Y}, {}, "left out, the same value in all rows: c"),
    "a column without cells": ({"x": X, "m": [None] * N, "y": Y}, {}, "left out, all cells are missing: m"),
    "fewer rows than columns": ({f"x{i}": np.roll(X, i)[:12] for i in range(40)} | {"y": Y[:12]}, {}, ""),
    "as many rows as are needed": ({"x": X[:10], "y": Y[:10]}, {}, ""),
    "all but one cell missing": ({"x": X, "m": [None] * (N - 1) + [1.0], "y": Y}, {}, ""),
    "a target missing but in ten rows": ({"x": X, "y": [*Y[:10], *[None] * (N - 10)]}, {}, "14 of 24 rows have no y"),
    "a class in one row": ({"x": X, "y": ["a", "b"] * 11 + ["a", "c"]}, {}, ""),
    "the target under another name": ({"x": X, "copy": Y, "y": Y}, {}, ""),
    "columns that are alike": ({"x": X, "again": X, "y": Y}, {}, ""),
    "a column that hardly differs": ({"x": X, "c": [1.0] * (N - 1) + [np.nextafter(1, 2)], "y": Y}, {}, ""),
    "subnormal numbers": ({"x": X * 1e-310, "y": Y}, {}, ""),
    "the largest numbers": ({"x": X * 1e149, "y": Y}, {}, ""),
    "the smallest spread of a target": ({"x": X, "y": 1 + 1e-12 * Y}, {}, ""),
    "attoseconds": ({"x": np.arange(N).astype("datetime64[as]"), "y": Y}, {}, ""),
    "before Christ": ({"x": (np.arange(N) - 5_000).astype("datetime64[Y]"), "y": Y}, {}, ""),
    "whole numbers of a hundred digits": ({"x": [i * 10**100 for i in range(N)], "y": Y}, {}, ""),
    "a boolean target": ({"x": X, "y": X > 0}, {}, ""),
    "a target named twice": ({"x": X, "y": Y}, {"target": ["y", "y"]}, ""),
    "cells of all types": ({"x": X, "m": [1, "a", None, 2.5, True, False] * 4, "y": Y}, {}, ""),
    "names that are numbers": (FRAME({0: X, 1: Y}), {"target": "1"}, ""),
}


@pytest.mark.parametrize("case", FITTED)
def test_tables_that_are_enough(case):
    table, settings, note = FITTED[case]
    model = dr.fit(table, **{"target": "y", "max_steps": 3, "hidden": 2, "l2": 0.1, **settings})
    said = (*model.encoding.notes, *model.training.notes)
    assert note in " ".join(said), said
    predicted = model.predict(table)
    assert len(predicted) == len(next(iter(table.values())) if isinstance(table, dict) else table)
    assert predicted.dtype.kind != "f" or np.isfinite(predicted).all()


REFUSED = {
    "no columns": ({}, {}, "the dictionary has no columns"),
    "an empty frame": (FRAME(), {}, "the DataFrame has no columns"),
    "no rows": ({"x": [], "y": []}, {}, "column names but no rows"),
    "one row": ({"x": [1.0], "y": [2.0]}, {}, "has the same value in all its rows"),
    "two rows": ({"x": [1.0, 2.0], "y": ["a", "b"]}, {}, "2 rows with a target are too few"),
    "nine rows": ({"x": X[:9], "y": Y[:9]}, {}, "9 rows with a target are too few"),
    "one class": ({"x": X, "y": ["only"] * N}, {}, "has the same value in all its rows: there is nothing to learn"),
    "a constant target": ({"x": X, "y": [0.5] * N}, {}, "has the same value in all its rows"),
    "every cell missing": ({"x": [None] * N, "y": [None] * N}, {}, "No row of the dictionary has a y"),
    "inputs all missing": ({"x": [None] * N, "y": Y}, {}, "no column to predict y from (left out, all cells are"),
    "inputs all constant": ({"x": [1] * N, "y": Y}, {}, "no column to predict y from (left out, the same value"),
    "nothing but the target": ({"y": Y}, {}, "no column to predict y from: add one"),
    "two columns of a name": (FRAME(np.c_[X, X, Y], columns=["x", "x", "y"]), {}, "more than one column named 'x'"),
    "the target among the inputs": ({"x": X, "y": Y}, {"inputs": ["x", "y"]}, "named as an input and is also a target"),
    "the target excluded": ({"x": X, "y": Y}, {"exclude": ["y"]}, "is a target and is also excluded"),
    "no target": ({"x": X, "y": Y}, {"target": []}, "No target was given"),
    "a target that is not there": ({"x": X, "y": Y}, {"target": "z"}, "has no column 'z'"),
    "a target that is no name": ({"x": X, "y": Y}, {"target": 1}, "target was 1; give the name of a column as text"),
    "inputs that are no names": ({"x": X, "y": Y}, {"inputs": 1}, "inputs was 1; give the name of a column"),
    "a target of dates": ({"x": X, "y": np.arange(N).astype("datetime64[D]")}, {}, "cannot be predicted"),
    "columns of unequal length": ({"x": X, "y": Y[:-1]}, {}, "has 24 rows, 'y' has 23"),
    "an empty name": ({"x": X, " ": X, "y": Y}, {}, "column 2 has an empty name"),
    "a number too large": ({"x": [*X[:-1], 1e308], "y": Y}, {}, "holds 1e+308 in row 24"),
    "a whole number of 400 digits": ({"x": [*X[:-1], -(10**400)], "y": Y}, {}, "holds -inf in row 24"),
    "a date of no calendar": ({"x": np.array([10**16] * N, "datetime64[Y]"), "y": Y}, {}, "holds inf in row 1"),
    "two dimensions": ({"x": np.c_[X, X], "y": Y}, {}, "has shape (24, 2); a column has one dimension"),
    "objects": ({"x": [object()] * N, "y": Y}, {}, "holds values of type object"),
    "complex numbers": ({"x": X + 1j, "y": Y}, {}, "holds values of type complex128"),
    "a class a row": (
        {"x": X, "y": [f"class {i}" for i in range(N)]},
        {},
        "No class has three rows, so none can be trained and validated",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_are_refused_with_a_reason(case):
    table, settings, words = REFUSED[case]
    with pytest.raises(dr.InputError) as caught:
        dr.fit(table, **{"target": "y", "max_steps": 3, "hidden": 2, "l2": 0.1, **settings})
    message = str(caught.value)
    assert words in message and len(message) < 400 and "\n" not in message, message


def test_what_training_had_none_of_is_told():
    """Unseen categories, missing cells and numbers far away, in a table to predict from."""
    columns = {"x": X, "kind": ["a", "b"] * (N // 2), "y": Y}
    model = dr.fit(columns, "y", max_steps=3, hidden=2, l2=0.1)
    outputs, notes = model.outputs({"x": [0.0, None, 1e9], "kind": ["z", "a", None]})
    assert np.isfinite(outputs).all()
    said = " ".join(notes)
    assert "1 cells hold texts that training had none of, such as 'z'" in said
    assert "1 missing cells, of which training had none" in said
    with pytest.raises(dr.TableError, match=r"holds 1e\+200 in row 1"):
        model.predict({"x": [1e200], "kind": ["a"]})
    with pytest.raises(dr.TableError, match="lacks 'kind'"):
        model.predict({"x": [1.0]})
