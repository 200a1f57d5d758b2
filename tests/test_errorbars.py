"""Error bars through the whole chain: new observations lie inside them as often as they should, in any unit."""

from dataclasses import replace

import numpy as np
import pytest

import deltarule as dr
from deltarule import errorbars, posterior
from deltarule.errors import InputError, SettingError
from deltarule.predictions import columns
from mixtures import flowers, homes, waves

QUICK = {"l2": 0.01, "max_steps": 5}
SCATTER = 0.3
SEEDS = range(3)
WITHIN = 1.96
"""So many standard deviations hold 95 % of a normal distribution."""


def measured(n, seed, unit=1.0, offset=0.0):
    """A curve measured with a known scatter."""
    rng = np.random.default_rng(seed)
    x, z = rng.uniform(-3, 3, n), rng.uniform(-1, 1, n)
    return {"x": x, "z": z, "y": offset + unit * (np.sin(x) + 0.5 * z + SCATTER * rng.normal(size=n))}


WAYS = {
    "the default": {},
    "restarts": {"restarts": 3},
    "an ensemble": {"ensemble": 3},
    "stopped on validation rows": {"method": "cg", "l2": 1e-3},
    "Bayesian regularisation": {"method": "bayesian_regularization", "l2": 0.0, "hidden": 8},
    "no hidden layer": {"hidden": (), "l2": 0.0},
}


@pytest.mark.parametrize("way", WAYS)
def test_error_bars_hold_as_many_new_observations_as_they_should(way):
    """95 % of them, give or take: 3,000 for each seed leave a sampling error of 0.2 %."""
    inside, widths = [], []
    for seed in SEEDS:
        model = dr.fit(measured(250, seed), "y", seed=seed, **WAYS[way])
        new = measured(3_000, seed + 100)
        y, std = model.predict(new, return_std=True)
        assert np.array_equal(y, model.predict(new)) and std.shape == y.shape
        inside.append(np.mean(np.abs(new["y"] - y) < WITHIN * std))
        widths.append(np.median(std))
    assert 0.90 < np.mean(inside) < 0.98
    assert way == "no hidden layer" or SCATTER < np.mean(widths) < 1.25 * SCATTER


def test_error_bars_are_in_the_targets_units():
    """A target in other units: the same bits of the network, so the same error bars but for the unit."""
    unit, offset = 2.0**20, 2.0**30
    plain, scaled = (dr.fit(measured(120, 0, *units), "y", hidden=4, **QUICK) for units in ((1.0, 0.0), (unit, offset)))
    new = measured(50, 1)
    std = plain.predict(new, return_std=True)[1]
    assert np.allclose(scaled.predict(new, return_std=True)[1], unit * std, rtol=1e-6)
    inside = np.abs(measured(50, 1, unit, offset)["y"] - scaled.predict(new)) < 3 * unit * std
    assert inside.mean() > 0.9


def test_several_targets_have_error_bars_of_their_own():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 400)
    scatter = {"near": 0.1, "far": 50.0}
    table = {"x": x} | {name: width * (x + rng.normal(size=400)) for name, width in scatter.items()}
    model = dr.fit(table, list(scatter))
    y, std = model.predict({"x": np.linspace(-2, 2, 9)}, return_std=True)
    assert y.shape == std.shape == (9, 2)
    assert np.allclose(std.mean(axis=0), list(scatter.values()), rtol=0.15)
    found, _ = columns(model, table, None, proba=False, std=True)
    assert list(found) == ["near", "far", "near_std", "far_std"]
    assert np.array_equal(np.column_stack([found["near_std"], found["far_std"]]),
                          model.predict(table, return_std=True)[1])  # fmt: skip


def test_error_bars_are_wider_where_there_were_no_rows():
    model = dr.fit(measured(300, 0), "y")
    _, std = model.predict({"x": [0.0, 8.0], "z": [0.0, 3.0]}, return_std=True)
    assert std[1] > 1.1 * std[0]


@pytest.mark.parametrize(("rows", "asked"), [("training", {"l2": 0.01, "hidden": 4}), ("both", {"hidden": 4})])
def test_error_bars_come_from_the_rows_that_were_trained_on(rows, asked):
    """Where cross-validation has chosen, these are training and validation rows together."""
    table = measured(100, 3)
    model = dr.fit(table, "y", split_by="order", max_steps=100, **asked)
    X, T, _ = model.encoded(table)
    n = 70 if rows == "training" else 85
    objective = dr.Objective(model.network, "squared_error", X[:n], T[:n], l2=model.training.l2)
    expected = posterior.laplace(objective, model.w)
    assert np.allclose(model.error_bars.noise[0], expected.noise, rtol=1e-9)
    assert np.allclose(model.error_bars.factors[0], expected.factor, rtol=1e-6, atol=1e-12)


def test_an_ensembles_variance_is_the_mean_of_its_members_and_the_variance_of_their_means():
    model = dr.fit(homes(), "price", ensemble=3, hidden=4, **QUICK)
    each = []
    for i, w in enumerate(model.members):
        bars = errorbars.ErrorBars(*(part[i : i + 1] for part in model.error_bars))
        each.append(replace(model, w=w, others=(), error_bars=bars).predict(homes(20, seed=1), return_std=True))
    means, stds = (np.array(column) for column in zip(*each, strict=True))
    y, std = model.predict(homes(20, seed=1), return_std=True)
    assert np.allclose(y, means.mean(axis=0), rtol=1e-12)
    assert np.allclose(std**2, (stds**2).mean(axis=0) + means.var(axis=0), rtol=1e-9)


def test_which_models_have_error_bars_unasked():
    def has(target="price", table=None, **asked):
        return dr.fit(homes() if table is None else table, target, **{**QUICK, **asked}).error_bars is not None

    assert has() and has(error_bars=True) and not has(error_bars=False)
    assert not has(loss="huber") and not has("kind", flowers())
    limit = errorbars.MOST_WEIGHTS  # 10 inputs, h hidden neurons, 1 output: 12 h + 1 weights
    small, large = (limit - 1) // 12, (limit - 1) // 12 + 1
    assert has(hidden=small) and not has(hidden=large) and has(hidden=large, error_bars=True)


def test_a_model_without_error_bars_says_what_to_do():
    with pytest.raises(SettingError, match=r"no error bars: train it again with error_bars=True"):
        dr.fit(waves(), "y", error_bars=False, **QUICK).predict(waves(), return_std=True)
    with pytest.raises(SettingError, match=r"no error bars: the loss huber.* train with the loss squared_error"):
        dr.fit(waves(), "y", loss="huber", **QUICK).predict(waves(), return_std=True)
    with pytest.raises(SettingError, match=r"no error bars: a model of classes has none: predict_proba says"):
        dr.fit(flowers(), "kind", **QUICK).predict(flowers(), return_std=True)


REFUSED = {
    "neither yes nor no": ({"error_bars": "yes"}, "error_bars was 'yes'; it is True, False, or None"),
    "a number": ({"error_bars": 1}, "error_bars was 1; it is True, False, or None"),
    "another loss": ({"error_bars": True, "loss": "huber"}, "error_bars was True, but the loss huber.*squared_error"),
    "a large network": ({"error_bars": True, "hidden": (200, 100)}, "network of 20,601 weights; it may have 10,000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_before_any_work(case):
    asked, words = REFUSED[case]
    told = []
    with pytest.raises(SettingError, match=words):
        dr.fit(waves(), "y", observe=told.append, **asked)
    with pytest.raises(SettingError, match="error_bars was True, but a model of classes has none: predict_proba"):
        dr.fit(flowers(), "kind", error_bars=True, observe=told.append)
    assert told == []


def test_rows_too_few_to_tell_the_noise_are_noted_or_refused():
    table = {"x": np.arange(10.0), "y": np.arange(10.0) ** 2}
    asked = {"l2": 0.0, "hidden": 12, "method": "lm", "task": "regression", "max_steps": 300}
    model = dr.fit(table, "y", **asked)
    assert model.error_bars is None
    assert any(note.startswith("no error bars: ") and "to tell the noise" in note for note in model.training.notes)
    with pytest.raises(InputError, match="to tell the noise"):
        dr.fit(table, "y", error_bars=True, **asked)


def test_a_column_that_would_stand_twice_is_refused():
    x = np.linspace(-1, 1, 60)
    model = dr.fit({"x": x, "y": 2 * x, "y_std": -x}, ["y", "y_std"], **QUICK)
    with pytest.raises(SettingError, match="would stand in 'y_std', which is a target"):
        columns(model, {"x": x}, None, proba=False, std=True)
