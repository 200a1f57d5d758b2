"""From a table to a model: what is split, tried, kept and refused."""

import sqlite3

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import deltarule as dr
from deltarule import methods
from deltarule.errors import SettingError, TableError, TrainingError
from deltarule.fitting import Progress
from mixtures import flowers, homes, waves, write

QUICK = {"max_steps": 3, "l2": 0.01}


def same(a, b):
    return a.w.tobytes() == b.w.tobytes() and a.training.scores == b.training.scores


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    first, second, third = (dr.fit(homes(), "price", seed=seed, max_steps=5) for seed in (3, 3, 4))
    assert same(first, second) and first.encoding == second.encoding
    assert not np.array_equal(first.w, third.w)
    assert first.training.seed == 3 and third.encoding != first.encoding


def test_rows_drawn_with_the_same_seed_are_still_split_by_chance():
    """Whoever draws a table with default_rng(0) and trains with seed 0 gets test rows like the others."""
    x = np.random.default_rng(0).random(1_000)
    model = dr.fit({"x": x, "y": 2 * x}, "y", seed=0, **QUICK)
    # 700 training rows of a uniform variable: their mean is 0.5 ± 0.011, so 0.44 to 0.56 is five times that
    assert 0.44 < model.encoding.columns[0].scale.center < 0.56


@pytest.mark.parametrize(
    "source", [pd.DataFrame, pl.DataFrame, pa.table, lambda columns: columns], ids=["pandas", "polars", "arrow", "dict"]
)
def test_every_source_gives_the_same_model(source, tmp_path):
    columns = {name: list(cells) for name, cells in waves().items()}
    from_file = dr.fit(write(tmp_path / "t.csv", columns), "y", **QUICK)
    assert same(from_file, dr.fit(source(columns), "y", **QUICK))


@pytest.fixture
def databases(tmp_path):
    frame = pd.DataFrame(waves())
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE waves AS SELECT * FROM frame")
    connection = sqlite3.connect(tmp_path / "t.sqlite")
    frame.to_sql("waves", connection, index=False)
    connection.close()
    return {"duckdb": tmp_path / "t.duckdb", "sqlite": tmp_path / "t.sqlite"}


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_query_is_a_table(databases, kind):
    query = "SELECT x, y FROM waves WHERE x > -1"
    table = {name: cells[waves()["x"] > -1] for name, cells in waves().items()}
    model = dr.fit(databases[kind], "y", query=query, **QUICK)
    assert same(model, dr.fit(table, "y", **QUICK))
    assert np.array_equal(model.predict(databases[kind], query), model.predict(table))
    assert model.evaluate(databases[kind], query) == model.evaluate(table)
    with pytest.raises(TableError, match=r"is a database\. Its tables: waves"):
        dr.fit(databases[kind], "y")


LOSSES = ["squared_error", "absolute_error", "huber", "huber(0.5)", "log_cosh", "quantile(0.3)"]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_a_line(loss):
    x = np.linspace(-1, 1, 80)
    model = dr.fit({"x": x, "y": 300 + 50 * x}, "y", loss=loss, hidden=(), l2=0.0)
    assert str(model.loss) == str(dr.losses.get(loss))
    assert model.training.scores["test"]["r2"] > 0.99


def test_a_quantile_lies_above_its_share_of_rows():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 2_000)
    table = {"x": x, "y": x + rng.normal(0, 1, 2_000)}
    for share in (0.1, 0.9):
        below = table["y"] < dr.fit(table, "y", loss=f"quantile({share})", hidden=(), l2=0.0).predict(table)
        # 4 standard deviations of a share of 1,400 training rows, twice, for an optimum not reached to the last digit
        assert abs(below.mean() - share) < 8 * (share * (1 - share) / 1_400) ** 0.5


def test_poisson_finds_rates_and_refuses_negative_counts():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, 1_000)
    counts = rng.poisson(np.exp(1 + x))
    table = {"x": x, "n": counts.astype(float)}
    model = dr.fit(table, "n", loss="poisson", task="regression", hidden=(), l2=0.0)
    assert np.allclose(np.log(model.predict({"x": [-0.5, 0.0, 0.5]})), [0.5, 1.0, 1.5], atol=0.15)
    with pytest.raises(TableError, match=r"Target 'n' .* holds -1 in row 4; the loss poisson accepts numbers from 0"):
        dr.fit({**table, "n": [0, 1, 2, -1, *counts[4:]]}, "n", loss="poisson", task="regression")


def test_without_hidden_layer_it_is_least_squares():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(120, 3))
    y = X @ [1.0, -2.0, 0.5] + 4 + rng.normal(0, 0.1, 120)
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "y": y}
    marks = np.array(["train", "validation", "test"])[(np.arange(120) % 6 > 3) * (1 + np.arange(120) % 2)]
    model = dr.fit({**table, "part": marks}, "y", split_by="column:part", hidden=(), l2=0.0, max_steps=500)
    trained = marks == "train"
    A = np.column_stack([X, np.ones(120)])
    best = np.linalg.lstsq(A[trained], y[trained], rcond=None)[0]
    # training stops at the smallest validation loss, so only near the minimum on the training rows
    assert model.network.sizes == (3, 1) and np.allclose(model.predict(table), A @ best, atol=0.05)


def test_a_split_in_order_and_by_a_column_see_the_rows_they_should():
    x = np.arange(100.0)
    table = {"x": x, "y": np.sin(x)}
    scale = dr.fit(table, "y", split_by="order", scaling="minmax", **QUICK).encoding.columns[0].scale
    assert (scale.center - scale.spread, scale.center + scale.spread) == (0, 69)
    marks = np.where(x < 20, "test", np.where(x < 50, "valid", "Train"))
    model = dr.fit({**table, "part": marks}, "y", split_by="column:part", scaling="minmax", **QUICK)
    scale = model.encoding.columns[0].scale
    assert (scale.center - scale.spread, scale.center + scale.spread) == (50, 99)
    assert model.training.rows == {"training": 50, "validation": 30, "test": 20}
    assert model.encoding.input_names == ["x"]


def test_without_test_rows_the_validation_rows_are_reported():
    training = dr.fit(waves(), "y", fractions=(0.8, 0.2, 0.0), **QUICK).training
    assert training.rows == {"training": 48, "validation": 12, "test": 0}
    assert set(training.scores) == {"validation", "training"}


def test_several_targets_and_labels():
    x = np.linspace(-1, 1, 90)
    model = dr.fit({"x": x, "up": 2 * x + 5, "down": -30 * x}, ["down", "up"], hidden=(), l2=0.0)
    found = model.predict({"x": [0.0, 0.5]})
    assert np.allclose(found, [[0, 5], [-15, 6]], atol=0.01)
    labels = {"x": x, "late": x > 0, "near": np.abs(x) < 0.5}
    model = dr.fit(labels, ["late", "near"])
    assert model.task == "multilabel" and model.predict_proba(labels).shape == (90, 2)
    assert model.training.scores["test"]["accuracy"] > 0.85 > model.training.baseline["accuracy"]


def test_the_baseline_is_the_training_mean_and_the_training_shares():
    table = {"x": np.arange(100.0), "y": np.arange(100.0) ** 2}
    training = dr.fit(table, "y", split_by="order", **QUICK).training
    mean = table["y"][:70].mean()
    assert training.baseline["mae"] == pytest.approx(np.abs(table["y"][85:] - mean).mean())
    assert training.baseline["r2"] < 0
    training = dr.fit({**table, "k": ["a"] * 35 + ["b"] * 50 + ["a"] * 15}, "k", split_by="order", **QUICK).training
    assert training.baseline["accuracy"] in (0, 1) and training.baseline["log_loss"] == pytest.approx(np.log(2))


def test_the_penalty_with_the_smallest_validation_loss_is_kept():
    seen = []
    model = dr.fit(homes(), "price", method="cg", max_steps=5, observe=seen.append)
    assert all(isinstance(progress, Progress) for progress in seen)
    assert {progress.runs for progress in seen} == {len(dr.fitting.plan.PENALTIES)}
    best = min(seen, key=lambda progress: progress.record.validation_loss)
    assert model.training.l2 == dr.fitting.plan.PENALTIES[best.run]
    assert min(record.validation_loss for record in model.history) == best.record.validation_loss
    assert model.training.steps == best.record.step


def test_an_observer_that_returns_true_ends_everything():
    seen = []

    def observe(progress):
        seen.append(progress)
        return progress.run == 1 and progress.record.step == 2

    model = dr.fit(homes(), "price", max_steps=5, observe=observe)
    assert (seen[-1].run, seen[-1].record.step) == (1, 2)
    assert np.all(np.isfinite(model.w))


def test_limits_end_a_run():
    assert dr.fit(waves(), "y", max_steps=2, l2=0.0).training.reason == dr.stopping.Reason.MAX_STEPS.value
    slow = {"learning_rate": 1e-9}
    quick = dr.fit(homes(500), "price", method="online", settings=slow, max_steps=10**6, max_seconds=0.05, l2=0.0)
    assert quick.training.reason == dr.stopping.Reason.MAX_SECONDS.value and quick.history[-1].step < 10**6


def test_method_objects():
    settings = {"learning_rate": 0.05, "batch_size": 4, "rule": "momentum", "seed": 9}
    model = dr.fit(waves(), "y", method=methods.Online(**settings), **QUICK)
    assert model.training.method == "online" and model.training.settings["batch_size"] == 4
    assert same(model, dr.fit(waves(), "y", method="online", settings=settings, **QUICK))
    model = dr.fit(waves(), "y", method=methods.ConjugateGradient(beta="dai_yuan"), **QUICK)
    assert model.training.settings["beta"] == "dai_yuan"


class SmallSteps:
    """A user's own method, no dataclass: gradient descent with a fixed rate."""

    name = "small_steps"
    needs = ("value_grad",)

    def start(self, objective, w):
        return methods.gradient_descent.GradientDescentState(w, *objective.value_grad(w), "", 0 * w, 0.1)

    def step(self, objective, s):
        w = s.w - 0.1 * s.grad
        return s._replace(w=w, **dict(zip(("loss", "grad"), objective.value_grad(w), strict=True)))


def test_a_users_own_method_and_its_file(tmp_path):
    model = dr.fit(waves(), "y", method=SmallSteps(), max_steps=20, l2=0.0)
    assert model.training.method == "small_steps" and model.training.settings == {}
    assert model.history[-1].loss < model.history[0].loss
    model.save(tmp_path / "m.deltarule")
    assert dr.load(tmp_path / "m.deltarule").training == model.training


@pytest.mark.parametrize("method", [methods.Online(learning_rate=1e200), methods.GradientDescent(learning_rate=1e300)])
def test_a_run_that_diverges_at_once_is_no_model(method):
    with pytest.raises(TrainingError, match=r"^Nothing was learnt: .*(inf|nan)"):
        dr.fit(waves(), "y", method=method, l2=0.0)


def test_a_run_that_diverges_later_keeps_the_best_weights():
    class Wild(SmallSteps):
        def step(self, objective, s):
            return s._replace(w=s.w * np.inf) if s.loss < 0.15 else super().step(objective, s)

    model = dr.fit(waves(), "y", method=Wild(), max_steps=2_000, l2=0.0)
    assert np.all(np.isfinite(model.w)) and model.training.steps > 0
    assert "kept" in model.training.reason and model.history[-1].loss < 0.15


def test_text_for_one_name_is_one_name():
    table = {**waves(), "ab": np.arange(60.0), "a": np.arange(60.0) % 7, "b": np.arange(60.0) % 5}
    assert dr.fit(table, "y", exclude="ab", **QUICK).encoding.input_names == ["x", "a", "b"]
    assert dr.fit(table, "y", inputs="ab", **QUICK).encoding.input_names == ["ab"]
    assert dr.fit(table, ["y"], inputs=("b", "x"), **QUICK).encoding.input_names == ["b", "x"]


def test_rows_without_a_target_are_left_out_and_noted():
    table = homes(100)
    table["price"][:10] = [None] * 10
    model = dr.fit(table, "price", **QUICK)
    assert sum(model.training.rows.values()) == 90
    assert any("10 of 100 rows have no price" in note for note in model.training.notes)


def test_activations_for_each_layer():
    model = dr.fit(waves(), "y", hidden=(4, 3), activation=["relu", "sine"], **QUICK)
    assert [activation.name for activation in model.network.activations] == ["relu", "sine", "identity"]


REFUSED = {
    "seed": ({"seed": -1}, "seed was -1"),
    "seed of another type": ({"seed": 1.5}, "seed was 1.5"),
    "loss of another task": ({"loss": "cross_entropy"}, "cross_entropy does not suit a regression target; use squared"),
    "unknown split": ({"split_by": "chance"}, "Unknown split 'chance'.*column:NAME"),
    "split by no column": ({"split_by": "column"}, "Unknown split 'column'.*column:NAME"),
    "order of a column": ({"split_by": "order:x"}, "Unknown split 'order:x'"),
    "split by the target": ({"split_by": "column:y"}, "'y' is to split the rows; it cannot be a target"),
    "split by an input": ({"split_by": "column:x", "inputs": ["x"]}, "'x' is to split the rows"),
    "split by what is not there": ({"split_by": "column:z"}, "no column 'z'"),
    "too many activations": (
        {"hidden": 3, "activation": ["tanh", "relu"]},
        "2 activations were given for 1 hidden ",
    ),
    "too few activations": ({"hidden": (3, 3), "activation": ["tanh"]}, "1 activation was given for 2 hidden layers;"),
    "softmax inside": ({"activation": "softmax"}, "softmax serves the output layer only"),
    "settings of an object": (
        {"method": methods.ConjugateGradient(), "settings": {"beta": "dai_yuan"}},
        "beta are for",
    ),
    "scaling": ({"scaling": "normal"}, "Unknown scaling"),
    "fractions": ({"fractions": (0.5, 0.5, 0.5)}, "sum to 1"),
    "time": ({"max_seconds": -1}, "seconds was -1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_before_any_work(case):
    options, words = REFUSED[case]
    steps = []
    with pytest.raises((SettingError, TableError), match=words):
        dr.fit(waves(), "y", observe=steps.append, **options)
    assert steps == []


def test_a_loss_of_numbers_does_not_suit_classes():
    with pytest.raises(SettingError, match=r"huber.* does not suit a multiclass target; use cross_entropy"):
        dr.fit(flowers(), "kind", loss="huber")


def test_validation_rows_fewer_than_the_classes_are_refused_where_they_choose():
    table = {"x": np.arange(40.0), "y": np.array(list("abcdefgh"))[np.arange(40) % 8]}
    table["part"] = np.repeat(["train", "validation", "test"], [33, 3, 4])
    for said in ({"method": "cg"}, {"l2": 0.1}):
        with pytest.raises(
            TableError, match=r"validation part has 3 rows for 8 classes, too few .*leave method and l2 on"
        ):
            dr.fit(table, "y", split_by="column:part", **said)
    assert dr.fit(table, "y", split_by="column:part", max_steps=2).training.rows["validation"] == 3
