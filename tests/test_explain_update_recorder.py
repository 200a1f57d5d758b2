"""Recording a run: the terms of every step add up, an epoch's too; the run itself is not changed."""

from itertools import islice

import numpy as np
import pytest

import deltarule as dr
from deltarule.errors import SettingError
from deltarule.explain import Recorder
from deltarule.methods import METHODS, Online
from deltarule.methods.rules import RULES
from deltarule.stopping import MaxSteps


@pytest.fixture(scope="module")
def objective():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    T = np.column_stack([X.sum(axis=1), X[:, 0] ** 2])
    return dr.Objective(dr.Network((3, 5, 2)), "squared_error", X, T, rng.uniform(0.5, 2, 30), l2=0.01)


@pytest.mark.promise("P2")
@pytest.mark.parametrize(
    "method",
    [
        *(Online(0.05, rule=rule) for rule in RULES),
        Online(0.05, batch_size=7),
        Online("start_large(0.1)", rows_per_step=10, rule="momentum"),
        *(made() for name, made in METHODS.items() if name not in ("online", "bayesian_regularization")),
    ],
    ids=lambda method: f"{method.name}-{getattr(method, 'batch_size', '')}",
)
def test_recorded_terms_add_up(objective, method):
    recorder = Recorder()
    states = list(islice(recorder.steps(objective, objective.network.initial_weights(0), method), 6))
    assert len(recorder.recorded) == 5
    for one, state in zip(recorder.recorded, states[1:], strict=True):
        assert np.array_equal(one.after, state.w)
        assert np.all(one.error <= one.bound)
        assert one.updates == _updates(method)


def _updates(method):
    if not isinstance(method, Online):
        return 1
    return -(-(method.rows_per_step or 30) // method.batch_size)


@pytest.mark.promise("P2")
def test_train_records_and_is_not_changed_by_it(objective):
    w = objective.network.initial_weights(0)
    recorder = Recorder("output[0] <- bias", every=3)
    watched = dr.train(objective, w, "lm", [MaxSteps(10)], record=recorder)
    alone = dr.train(objective, w, "lm", [MaxSteps(10)])
    assert watched.w.tobytes() == alone.w.tobytes()
    assert [one.step for one in recorder.recorded] == [1, 4, 7, 10]
    assert recorder.weights == ("output[0] <- bias",)
    assert "solved for" in str(recorder)


def test_names_frames_and_json(objective):
    recorder = Recorder("* <- b", inputs=("a", "b", "c"), outputs=("sum", "square"))
    assert str(recorder) == "nothing recorded yet"
    list(islice(recorder.steps(objective, objective.network.initial_weights(0), Online(0.1)), 3))
    assert recorder.weights == tuple(f"hidden1[{k}] <- b" for k in range(5))
    frame = recorder.frame()
    assert len(frame) == 10
    assert np.allclose(frame["before"] + frame["δ · f′ · input"] + frame["penalty"], frame["after"], atol=1e-12)
    found = recorder.to_dict()
    assert found["weights"] == list(recorder.weights) and len(found["steps"]) == 2
    assert all("δ · f′ · input" in one["terms"] for one in found["steps"])


def test_what_is_refused(objective):
    with pytest.raises(SettingError, match="every was 0"):
        Recorder(every=0)
    with pytest.raises(SettingError, match="There is no neuron"):
        next(Recorder("hidden7[0]").steps(objective, objective.network.initial_weights(0)))
