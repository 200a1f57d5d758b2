"""The history as arrays and as a frame, the details a method tells of itself, and observers."""

import logging

import numpy as np
import pytest

import deltarule as dr
from deltarule import observers
from deltarule.errors import SettingError
from deltarule.record import Record
from deltarule.stopping import MaxSteps, Reason
from problems import SINE


@pytest.fixture
def run():
    """Return what trains the sine problem for a few steps, validated on its first rows."""
    network = dr.Network(SINE.sizes, SINE.activations)
    training = dr.Objective(network, SINE.loss, SINE.X, SINE.T)
    held_out = dr.Objective(network, SINE.loss, SINE.X[:5], SINE.T[:5])

    def go(method="cg", steps=6, **settings):
        return dr.train(
            training, network.initial_weights(0), method, [MaxSteps(steps)], **{"validation": held_out} | settings
        )

    return go


def test_arrays_hold_the_records_in_order(run):
    result = run()
    columns = result.arrays()
    assert list(columns)[: len(Record._fields) - 1] == [name for name in Record._fields if name != "details"]
    for name in ("step", "loss", "validation_loss", "gradient_size", "passes"):
        assert columns[name].tolist() == [getattr(record, name) for record in result.history]
    assert columns["restart"].tolist() == [record.details["restart"] for record in result.history]


def test_what_a_run_does_not_have_is_nan(run):
    columns = run("online", validation=None).arrays()
    assert np.isnan(columns["validation_loss"]).all()
    assert np.isnan(columns["gradient_size"]).all()


def test_a_frame_has_a_row_for_each_record(run):
    pytest.importorskip("pandas")
    result = run()
    frame = result.frame()
    assert len(frame) == len(result.history)
    assert frame["loss"].tolist() == [record.loss for record in result.history]


def test_a_frame_without_pandas_says_what_to_do(run, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(SettingError, match=r"pandas.*arrays\(\)"):
        run().frame()


def test_details_are_plain_and_neither_weights_nor_what_a_record_has_anyway(run):
    for name in dr.methods.METHODS:
        details = run(name).history[-1].details
        assert not {"w", "loss", "grad", "stuck"} & set(details)
        assert all(isinstance(value, bool | int | float | str) for value in details.values())


def test_all_observers_are_told_and_any_of_them_stops(run):
    first, second = [], []
    result = run(observe=[lambda record: first.append(record) or record.step == 3, second.append])
    assert result.reason is Reason.CALLER
    assert [record.step for record in first] == [record.step for record in second] == [0, 1, 2, 3]


def test_what_is_no_observer_is_refused(run):
    with pytest.raises(SettingError, match="function of a Record"):
        run(observe=[print, "print"])


def test_log_lines(run, caplog):
    with caplog.at_level(logging.INFO, "deltarule"):
        result = run(observe=observers.Log(every=2))
    assert [message.split(":")[0] for message in caplog.messages] == ["step 0", "step 2", "step 4", "step 6"]
    assert f"validation loss {result.history[0].validation_loss:.4g}" in caplog.messages[0]


def test_stop_below_a_validation_loss(run):
    goal = sorted(record.validation_loss for record in run("gd").history)[3]
    result = run("gd", observe=observers.StopBelow(goal))
    assert result.reason is Reason.CALLER
    assert result.history[-1].validation_loss <= goal < result.history[-2].validation_loss


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_log_refuses(every):
    with pytest.raises(SettingError, match="whole number from 1 up"):
        observers.Log(every=every)


@pytest.mark.parametrize("loss", [-1, float("nan"), "0.1"])
def test_stop_below_refuses(loss):
    with pytest.raises(SettingError, match="number from 0 up"):
        observers.StopBelow(loss)
