"""Model files of every version that was ever written: they load and predict what they predicted then."""

import json
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from deltarule import modelfile

pytestmark = pytest.mark.promise("P12")

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.deltarule"))
ROUNDING = 1e-12
"""The share by which sums in another order, on other processors, may differ from those recorded."""
KINDS = {
    "regression", "linear", "two_targets", "quantile", "poisson", "deep", "binary", "multiclass", "class_numbers",
    "squared_classes", "multilabel", "ensemble", "ensemble_of_classes",
}  # fmt: skip


def test_this_version_has_its_files():
    written = {path.stem for path in FILES if path.parent.name == str(modelfile.FORMAT.version)}
    assert written == KINDS
    assert sum(path.stat().st_size for path in GOLDEN.glob("*/*")) < 250_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_model_predicts_what_it_predicted_when_it_was_written(path):
    model = dr.load(path)
    recorded = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    table = recorded.pop("table")
    found = {"predict": model.predict(table)}
    if model.task != "regression":
        found["proba"] = model.predict_proba(table)
    if model.error_bars is not None:
        found["std"] = model.predict(table, return_std=True)[1]
    assert found.keys() == recorded.keys()
    for name, values in found.items():
        expected = np.array(recorded[name])
        if values.dtype.kind == "f":
            assert np.all(np.abs(values - expected) <= ROUNDING * (1 + np.abs(expected)))
        else:
            assert values.tolist() == recorded[name]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_file_of_this_version_is_written_again_to_the_byte(name):
    path = GOLDEN / str(modelfile.FORMAT.version) / f"{name}.deltarule"
    assert modelfile.to_bytes(dr.load(path)) == path.read_bytes()
