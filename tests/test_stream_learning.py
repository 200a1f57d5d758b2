"""How well streams are learnt: what drifts, what comes late, losses and schedules."""

import copy

import numpy as np
import pytest

from deltarule import OnlineClassifier, OnlineRegressor
from deltarule.methods.schedules import StepDecay


def test_a_feature_that_comes_late_is_learnt():
    rng = np.random.default_rng(1)
    learner, errors = OnlineRegressor((8,), learning_rate=0.05), []
    for i in range(3000):
        new = rng.standard_normal()
        x = {"a": rng.standard_normal()} | ({"new": new} if i >= 1000 else {})
        errors.append(abs(learner.predict_one(x) - new))
        learner.learn_one(x, new)
    assert np.mean(errors[-500:]) < 0.3 * np.mean(errors[500:1000])


def test_classes_that_come_late_are_learnt():
    rng = np.random.default_rng(0)
    model, right = OnlineClassifier((16,), learning_rate=0.05), []
    for i in range(6000):
        x = rng.uniform(-1, 1, 2)
        y = int(x[0] > 0) if i < 2000 else int(x[0] > 0) + 2 * int(x[1] > 0)
        right.append(model.predict_one({"a": x[0], "b": x[1]}) == y)
        model.learn_one({"a": x[0], "b": x[1]}, y)
    assert np.mean(right[1500:2000]) > 0.9 and np.mean(right[-1000:]) > 0.85
    assert sum(model.predict_proba_one({"a": 0.1, "b": 0.2}).values()) == pytest.approx(1)


def test_texts_become_inputs_of_zero_and_one():
    model = OnlineRegressor((), learning_rate=0.1)
    levels = {"red": 1.0, "green": 5.0, "blue": -3.0}
    for i in range(900):
        colour = list(levels)[i % 3]
        model.learn_one({"colour": colour, "size": float(i % 7)}, levels[colour])
    assert sorted(model.inputs) == ["colour=blue", "colour=green", "colour=red", "size"]
    for colour, y in levels.items():
        assert model.predict_one({"colour": colour, "size": 2}) == pytest.approx(y, abs=0.3)
    between = [model.predict_one({"colour": colour, "size": 2}) for colour in levels]
    assert min(between) < model.predict_one({"size": 2, "colour": "never seen"}) < max(between)


def test_a_stream_that_changes_is_followed():
    rng = np.random.default_rng(0)
    model, errors, frozen = OnlineRegressor((8,), learning_rate=0.05), [], []
    for i in range(6000):
        x = {"a": rng.uniform(-1, 1), "b": rng.uniform(-1, 1)}
        y = x["a"] * x["b"] * (1 if i < 3000 else -1)
        if i == 3000:
            old = copy.deepcopy(model)
        errors.append((model.predict_one(x) - y) ** 2)
        frozen.append((old.predict_one(x) - y) ** 2 if i >= 3000 else 0.0)
        model.learn_one(x, y)
    variance = 1 / 9
    assert np.mean(errors[2500:3000]) < 0.2 * variance
    assert np.mean(errors[-500:]) < 0.2 * variance < 2 * variance < np.mean(frozen[-500:])


def test_a_horizon_follows_a_level_that_moves():
    rng = np.random.default_rng(0)
    errors = {}
    for horizon in (None, 100):
        model, found = OnlineRegressor((8,), horizon=horizon), []
        for i in range(4000):
            x = rng.standard_normal()
            y = x + (0 if i < 2000 else 1000)
            found.append(abs(model.predict_one({"x": x}) - y))
            model.learn_one({"x": x}, y)
        errors[horizon] = np.mean(found[-1000:])
    assert errors[100] < 0.5 < 10 < errors[None]


def test_a_schedule_lowers_the_rate():
    model, rng = OnlineRegressor((4,), learning_rate=StepDecay(0.1, factor=1e-300, every=1)), np.random.default_rng(0)
    for i in range(1050):
        w = model.w
        model.learn_one({"a": rng.standard_normal()}, rng.standard_normal())
        assert i == 0 or np.array_equal(w, model.w) == (i >= 1000)


@pytest.mark.parametrize("loss", ["huber", "quantile(0.9)", "absolute_error", "log_cosh", "poisson"])
def test_losses(loss):
    rng = np.random.default_rng(0)
    model = OnlineRegressor((8,), loss=loss, learning_rate=0.02)
    for _ in range(4000):
        x = rng.uniform(-1, 1)
        model.learn_one({"x": x}, float(rng.poisson(np.exp(1 + x))))
    low, high = model.predict_one({"x": -0.8}), model.predict_one({"x": 0.8})
    assert 0 <= low < high and (high > 6) >= (loss == "quantile(0.9)")
