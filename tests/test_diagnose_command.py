"""``deltarule diagnose``; models and estimators diagnosed: columns by name, JSON as documented, bad input refused."""

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
import patients
from commandline import done, refused
from deltarule.explain import diagnose
from deltarule.explain.diagnosis import given
from deltarule.stopping import Reason

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "command_line.md"


def table(scale=1.0):
    X, T = patients.rows(120)
    return {"age": X[:, 0], "income": scale * X[:, 1], "height": X[:, 2], "price": T[:, 0]}


def csv(path, columns):
    names = list(columns)
    lines = [",".join(names), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines))
    return path


PLAIN = dr.methods.ConjugateGradient(preconditioned=False)
"""Scales of the inputs would hardly hinder it with its preconditioner."""


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    """A table with a column of another scale, and a model trained on it without scaling."""
    folder = tmp_path_factory.mktemp("sick")
    rows = csv(folder / "rows.csv", table(500.0))
    model = dr.fit(str(rows), "price", scaling="none", hidden=5, method=PLAIN, l2=0.0, max_steps=60)
    model.save(folder / "sick.deltarule")
    return folder / "sick.deltarule", rows


@cache
def sound():
    return dr.fit(table(), "price", hidden=6, method="lm", l2=1e-4)


def test_a_model_and_its_table_are_diagnosed_with_columns_by_name(sick):
    out = done("diagnose", *sick).out
    assert "[input_scale, clear]" in out and "where: income" in out and "standard deviation" in out
    assert "hidden1" in out and "advice:" in out and "tried:" not in out


def test_the_advice_is_tried(sick):
    out = done("diagnose", *sick, "--try").out
    assert re.search(r"tried: inputs scaled, fresh weights: loss .* now, .* it\s+helps", out, re.DOTALL)


def keys(content, inside=""):
    """Return all keys of nested JSON; those of `out`, `evidence` and the like hang on what is around them."""
    if isinstance(content, list):
        return set().union(*(keys(one, inside) for one in content)) if content else set()
    if not isinstance(content, dict) or inside == "out":
        return set()
    return set(content).union(*(keys(one, key) for key, one in content.items()))


def test_json_has_the_documented_keys_and_no_others(sick):
    found = done("diagnose", *sick, "--try", "--again", "--json").json
    section = PAGE.read_text(encoding="utf-8").partition("## deltarule diagnose")[2].partition("What `--json`")[2]
    section = section.partition("\n## ")[0]
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", section))))
    assert keys(found) <= documented
    assert {"findings", "standing", "health", "since", "notes"} <= set(found)
    (first,) = [one for one in found["findings"] if one["kind"] == "input_scale"]
    assert first["places"] == ["income"] and first["trial"]["helped"] is True
    assert first["evidence"][0]["threshold"] == 8.0 and first["evidence"][0]["value"] > 100
    assert found["since"][0]["name"] == "hidden1[0]" and "trained again" in found["notes"][-1]
    assert done("diagnose", *sick, "--json").json["since"] is None


def test_a_sound_model_has_no_finding():
    found = diagnose(sound(), table())
    assert found.kinds == () and "No fault that is known here" in str(found)
    assert found.health.neurons[-1].name == "output[price]"
    assert "No fault" in found._repr_html_()


def test_the_method_and_its_settings_are_read_from_a_model(tmp_path):
    for method, settings in (
        ("adam", {"learning_rate": 0.02}), ("cg", {"beta": "dai_yuan"}), ("rprop", {}), ("lbfgs", {"memory": 7}),
        ("online", {"learning_rate": 0.1}),
    ):  # fmt: skip
        model = dr.fit(table(), "price", hidden=3, method=method, settings=settings, l2=0.0, max_steps=3)
        model.save(tmp_path / "m.deltarule")
        notes = []
        assert given._method_of(dr.load(tmp_path / "m.deltarule"), notes) == dr.methods.get(method, **settings)
        assert notes == []


def test_a_model_that_is_trained_again_tells_where_it_became_non_finite():
    found = diagnose(sound(), table(), method=dr.methods.Online(30.0), again=True)
    assert found.kinds[0] == "non_finite" and re.search(r"epoch \d+\b", found.findings[0].says)


def test_a_picture_of_the_run_is_written(sick, tmp_path):
    done("diagnose", *sick, "--again", "--picture", tmp_path / "health.png")
    assert (tmp_path / "health.png").read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_refused(sick, tmp_path):
    model, rows = sick
    no_target = csv(tmp_path / "no.csv", {"age": [1.0], "income": [2.0], "height": [3.0]})
    for arguments, words in (
        ((model,), "TABLE"),
        (("nothing.deltarule", rows), "nothing.deltarule"),
        ((rows, rows), "not a deltarule model"),
        ((model, "nothing.csv"), "nothing.csv"),
        ((model, no_target), "price"),
        ((model, rows, "--member", "4"), "member"),
        ((model, rows, "--method", "sgdx"), "Unknown method"),
        ((model, rows, "--set", "learning_rate=1"), "--method"),
        ((model, rows, "--picture", "a.png"), "--again"),
        ((model, rows, "--again", "--picture", "a.txt"), "a.txt"),
        ((model, rows, "--tries"), "--try"),
    ):
        assert words in refused("diagnose", *arguments)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:.*max_iter")
@pytest.mark.parametrize("package", ["deltarule", "sklearn"])
def test_fitted_estimators_are_diagnosed(package):
    module = dr if package == "deltarule" else pytest.importorskip("sklearn.neural_network")
    pandas = pytest.importorskip("pandas")
    columns = table(500.0)
    X, y = pandas.DataFrame({name: columns[name] for name in ("age", "income", "height")}), columns["price"]
    settings = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 8, "alpha": 0.5, "activation": "tanh"}
    made = module.MLPRegressor(**settings, solver="adam", learning_rate_init=0.01).fit(X, y)
    found = diagnose(made, X, y)
    assert found.kinds == ("input_scale",) and found.findings[0].places == ("income",)
    read = given.read(made, X, y, None, None, None, None, (), None, None, 0)
    assert read.objective.l2 == 0.5 / 120 and read.reason is Reason.MAX_STEPS
    assert read.method == dr.methods.get("adam", learning_rate=0.01, batch_size=120)
    assert np.allclose(read.losses, made.loss_curve_)


def test_json_of_a_diagnosis_is_json():
    found = diagnose(sound(), table(), test_advice=True)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["standing"]["what"] in ("minimum", "slope")
