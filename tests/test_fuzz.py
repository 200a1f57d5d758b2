"""A few cases of each kind of fuzzing; `benchmarks/fuzz.py` runs many. The whole chain for random networks and data."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import deltarule as dr
import worst_calls
import worst_models
import worst_tables
from deltarule import modelfile
from deltarule.activations import ACTIVATIONS


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.promise("P8")
def test_damaged_models():
    draws = rng()
    accepted = sum(worst_models.check_model(worst_models.damaged_model(draws)) for _ in range(1_500))
    assert 20 < accepted < 750


@pytest.mark.promise("P9")
@pytest.mark.parametrize(("name", "generate"), worst_tables.KINDS.items(), ids=list(worst_tables.KINDS))
def test_hostile_tables(tmp_path, name, generate):
    draws = rng(1)
    for _ in range(12):
        (tmp_path / name).write_bytes(generate(draws))
        worst_tables.check_table(tmp_path / name)


@pytest.mark.promise("P9")
def test_hostile_commands(tmp_path, monkeypatch):
    worst_calls.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    draws = rng(2)
    assert any(worst_calls.check_command(worst_calls.hostile_command(draws)) for _ in range(60))


@pytest.mark.promise("P7")
def test_hostile_settings():
    draws = rng(3)
    assert any(worst_calls.check_fit(worst_calls.hostile_fit(draws)) for _ in range(150))
    assert any(worst_calls.check_estimator(*worst_calls.hostile_estimator(draws)) for _ in range(150))


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
HIDDEN = sorted(name for name, row in ACTIVATIONS.items() if not row.couples)


@st.composite
def chains(draw):
    """A table of random columns under random names, and settings of a network for it."""
    n = draw(st.integers(16, 40))
    draws = rng(draw(st.integers(0, 2**32)))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    columns = {}
    for name in names:
        scale, shift = 10.0 ** draws.integers(-9, 9), 10.0 ** draws.integers(-3, 6)
        kind = draw(st.sampled_from(["number", "flag", "category", "day"]))
        cells = {
            "number": (draws.normal(size=n) * scale + shift).tolist(),
            "flag": (draws.random(n) < 0.5).tolist(),
            "category": [["a", "b", "c"][i] for i in draws.integers(3, size=n)],
            "day": (draws.integers(0, 20_000, n)).astype("datetime64[D]").tolist(),
        }[kind]
        columns[name] = [None if gone else cell for cell, gone in zip(cells, draws.random(n) < 0.1, strict=True)]
    of_target = draw(st.sampled_from(["number", "classes", "flag"]))
    columns[names[-1]] = {
        "number": draws.normal(size=n).tolist(),
        "classes": [["x", "y", "z"][i % 3] for i in range(n)],
        "flag": [i % 2 == 0 for i in range(n)],
    }[of_target]
    widths = draw(st.lists(st.integers(1, 4), max_size=3))
    return columns, names[-1], {
        "hidden": tuple(widths),
        "activation": [draw(st.sampled_from(HIDDEN)) for _ in widths],
        "scaling": draw(st.sampled_from(["standard", "minmax", "robust"])),
        "method": draw(st.sampled_from(["gradient_descent", "online", "rprop", "conjugate_gradient"])),
        "ensemble": draw(st.integers(1, 2)),
        "seed": draw(st.integers(0, 2**31)),
    }  # fmt: skip


@pytest.mark.promise("P12")
@given(chains())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fit_save_load_predict_for_random_networks_and_data(chain):
    columns, target, given = chain
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = dr.fit(columns, target, max_steps=2, l2=0.1, **given)
    except dr.DeltaruleError as error:  # by chance columns are constant, or steps too long
        assert worst_calls.refused_on_purpose(error), error
        return
    again = modelfile.from_bytes(modelfile.to_bytes(model))
    expected, found = model.predict(columns), again.predict(columns)
    assert found.dtype == expected.dtype and found.tolist() == expected.tolist()
    assert again.encoding == model.encoding and again.training == model.training
    if model.error_bars is not None:
        assert np.array_equal(again.predict(columns, return_std=True)[1], model.predict(columns, return_std=True)[1])
    if model.task != "regression":
        P = again.predict_proba(columns)
        assert np.array_equal(P, model.predict_proba(columns)) and np.all((P >= 0) & (P <= 1))
