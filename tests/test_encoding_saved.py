"""Encodings as JSON: an exact round trip, and nothing but what belongs there."""

import json
import math

import pytest

from deltarule.encoding import Encoding
from deltarule.encoding.scaling import SCALINGS
from deltarule.errors import ModelFileError
from tablecheck import HOUSES, fitted

SAVED = [
    (HOUSES, "price"),
    ({"x": [0.1, 1 / 3, 1e-300], "y": ["é", "b", "c"]}, "y"),
    ({"x": [1, 2, 3], "y": [True, False, True]}, "y"),
    ({"x": [1, 2, 3], "y": [0.5, 2.5, 2.5]}, "y"),
    ({"x": [5, None, 5], "a": [1, 0, 1], "b": [1, 1, 0]}, ["a", "b"]),
]


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize(("columns", "targets"), SAVED)
def test_json_round_trip_is_exact(columns, targets, scaling):
    table, encoding = fitted(columns, targets, scaling=scaling)
    again = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict(), allow_nan=False)))
    assert again == encoding
    assert again.inputs(table)[0].tobytes() == encoding.inputs(table)[0].tobytes()
    assert again.targets(table).tobytes() == encoding.targets(table).tobytes()


def changed(path, value, source=0):
    """An encoding's JSON with one place changed; a key that is new is added."""
    d = json.loads(json.dumps(fitted(*SAVED[source])[1].to_dict()))
    place = d
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return d


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["scaling"], "sqrt", "encoding.scaling is 'sqrt', where one of standard, minmax"),
        (["scaling"], ["standard"], "encoding.scaling is"),
        (["new"], 1, "an object with the keys scaling, columns, target, notes"),
        (["notes"], KeyError, "an object with the keys"),
        (["notes"], [1], r"encoding.notes\[0\] is 1, where a text belongs"),
        (["columns"], {}, "encoding.columns is {}, where a list of at least 1"),
        (["columns"], [], r"encoding.columns is \[\]"),
        (["columns", 0], None, r"encoding.columns\[0\] is None, where an object"),
        (["columns", 0, "kind"], "text", "one of number, boolean, date"),
        (["columns", 0, "name"], 3, r"encoding.columns\[0\].name is 3"),
        (["columns", 0, "name"], "price", "a list of columns without repetitions"),
        (["columns", 0, "fill"], math.nan, "fill is nan, where a finite number"),
        (["columns", 0, "fill"], True, "fill is True, where a number"),
        (["columns", 0, "fill"], 10**400, "where a finite number"),
        (["columns", 0, "indicator"], 1, "indicator is 1, where true or false"),
        (["columns", 0, "scale"], [0.0, math.inf], r"scale\[1\] is inf"),
        (["columns", 0, "scale"], [0.0, 0.0], "a centre and a spread above 0"),
        (["columns", 0, "scale"], [0.0, 1.0, 2.0], "a centre and a spread above 0"),
        (["columns", 2, "scale"], None, r"encoding.columns\[2\].scale is None"),
        (["columns", 1, "levels"], ["gas", "gas"], "a list without repetitions"),
        (["columns", 1, "levels"], ["gas", 1], r"levels\[1\] is 1, where a text"),
        (["columns", 1, "missing"], None, "missing is None, where true or false"),
        (["target"], None, "encoding.target.task is None, where one of regression, binary"),
        (["target", "task"], ["binary"], "encoding.target.task is"),
        (["target", "task"], "multilabel", "an object with the keys task, columns, kind"),
        (["target", "columns"], ["price", "b"], "one scale for each of 2 columns"),
        (["target", "scales"], [["0", 1]], r"encoding.target.scales\[0\]\[0\] is '0'"),
    ],
)
def test_refused_json(path, value, expected):
    with pytest.raises(ModelFileError, match="The model file is damaged: .*" + expected):
        Encoding.from_dict(changed(path, value))


@pytest.mark.parametrize(
    ("source", "path", "value", "expected"),
    [
        (1, ["target", "task"], "binary", "encoding.target.task is 'binary', where multiclass belongs"),
        (1, ["target", "classes"], ["a"], "where a list of at least 2"),
        (1, ["target", "kind"], "number", r"classes\[0\] is 'b', where a number"),
        (2, ["target", "classes"], [1.0, 0.0], "where 0 and 1 belongs"),
        (3, ["target", "classes"], [1.0, 1.0], "a list without repetitions"),
        (4, ["target", "columns"], ["a"], "where a list of at least 2"),
        (4, ["target", "kind"], "text", "where one of boolean, number"),
    ],
)
def test_refused_json_of_classes(source, path, value, expected):
    with pytest.raises(ModelFileError, match=expected):
        Encoding.from_dict(changed(path, value, source))


def test_damage_is_shown_briefly():
    with pytest.raises(ModelFileError) as caught:
        Encoding.from_dict("x" * 10_000)
    assert len(str(caught.value)) < 250
