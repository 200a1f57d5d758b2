"""The learning curve shows the history that was recorded."""

import matplotlib as mpl
import pytest

from commandline import done
from mixtures import waves, write

mpl.use("Agg")
import matplotlib.pyplot as plt

import deltarule as dr
from deltarule.plots import learning_curve


@pytest.fixture(scope="module")
def history():
    return dr.fit(waves(), "y", max_steps=12, l2=0.01).history


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("by", ["step", "passes", "seconds"])
def test_the_lines_are_the_losses(history, by):
    training, validation, kept = learning_curve(history, by=by).lines
    assert training.get_ydata().tolist() == [record.loss - record.penalty for record in history]
    assert all(0 < record.penalty < record.loss for record in history)
    assert validation.get_ydata().tolist() == [record.validation_loss for record in history]
    assert training.get_xdata().tolist() == [getattr(record, by) for record in history]
    best = min(history, key=lambda record: record.validation_loss)
    assert kept.get_ydata() == [best.validation_loss] and kept.get_xdata() == [getattr(best, by)]


def test_it_draws_where_it_is_told(history):
    _, (left, right) = plt.subplots(1, 2)
    assert learning_curve(history, ax=right) is right
    assert len(right.lines) == 3 and not left.lines
    assert right.get_xlabel() == "step" and right.get_ylabel() == "loss" and right.get_yscale() == "log"


def test_without_validation_and_below_zero():
    net = dr.Network((1, 1))
    objective = dr.Objective(net, "squared_error", [[0.0], [1.0]], [0.0, 1.0])
    history = dr.train(objective, [0.0, 0.0], stop=[dr.stopping.MaxSteps(3)]).history
    history[-1] = history[-1]._replace(loss=0.0)
    ax = learning_curve(history)
    assert len(ax.lines) == 1 and ax.get_yscale() == "linear"


@pytest.mark.promise("P9")
def test_a_dollar_in_a_name_begins_no_formula(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = waves()["x"]
    write(
        tmp_path / "t.csv",
        {"price ($)": x, "$\\frac{$": x**2, "y$\\x$": ["$a_{$" if value > 0 else "b" for value in x]},
    )
    done("train", "t.csv", "-t", "y$\\x$", "-o", "m", "--epochs", 2, "--l2", 0, "--curve", "curve.png")
    done("explain", "m", "t.csv", "--row", 1, "--picture", "update.png")
    done("compare", "t.csv", "-t", "y$\\x$", "-m", "$\\a{=gd", "--max-passes", 3, "--seeds", 1, "--picture", "race.png")
    assert {path.name for path in tmp_path.glob("*.png")} == {"curve.png", "update.png", "race.png"}
