"""The learning curve shows the history that was recorded."""

import matplotlib as mpl
import pytest

from mixtures import waves

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
