"""Teaching rules: each is what it says, beside plain loops; the one called gradient is the gradient."""

from itertools import islice

import numpy as np
import pytest

import deltarule as dr
from deltarule import losses
from deltarule.activations import ACTIVATIONS
from deltarule.errors import SettingError
from deltarule.explain import rules
from deltarule.explain.course import Course, teach
from deltarule.explain.rules import OFFSET, RULES
from deltarule.methods import GradientDescent, Online
from deltarule.methods.schedules import StartLarge

SIZES, HIDDEN, OUTPUT = (3, 4, 3, 2), ("logistic", "tanh"), "logistic"


def case(seed=0, runs=2, rows=3):
    rng = np.random.default_rng(seed)
    network = dr.Network(SIZES, (*HIDDEN, OUTPUT))
    w = rng.normal(size=(runs, network.n_weights))
    return network, w, rng.normal(size=(runs, rows, 3)), rng.random((runs, rows, 2))


def by_loops(network, w, X, T, rule):
    """The mean over rows of what multiplies η, from what each rule says it does, neuron by neuron."""
    total = np.zeros(network.n_weights)
    layers, into = list(network.layers(w)), list(network.layers(total))
    for x, t in zip(X, T, strict=True):
        E, Y = [], [x]
        for (W, b), activation in zip(layers, network.activations, strict=True):
            E.append(W @ Y[-1] + b)
            Y.append(activation.f(np, E[-1]))
        delta = t - Y[-1]
        for i in reversed(range(len(layers))):
            at_output = i == len(layers) - 1
            slope = network.activations[i].df(np, E[i], Y[i + 1])
            used = {
                "gradient": slope, "agh": slope, "omit": 1.0, "omit_hidden": slope if at_output else 1.0,
                "omit_output": 1.0 if at_output else slope, "offset": slope + OFFSET,
            }[rule]  # fmt: skip
            into[i][0][:] += np.outer(delta * used, Y[i])
            into[i][1][:] += delta * used
            delta = layers[i][0].T @ (delta if rule == "agh" else delta * used)
    return total / len(X)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_what_it_says(rule):
    network, w, X, T = case()
    found = rules.descent(network, losses.get("squared_error"), w, X, T, rule)[1]
    for k in range(len(w)):
        assert np.allclose(found[k], by_loops(network, w[k], X[k], T[k], rule), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("output", "loss"), [("logistic", "squared_error"), ("softmax", "squared_error"),
                                              ("softmax", "cross_entropy"), ("identity", "huber")])  # fmt: skip
def test_the_gradient_is_the_engines(output, loss):
    network = dr.Network(SIZES, (*HIDDEN, output))
    _, w, X, T = case()
    T = T / T.sum(axis=2, keepdims=True)
    losses_found, direction = rules.descent(network, losses.get(loss), w, X, T)
    for k in range(len(w)):
        value, grad = dr.Objective(network, loss, X[k], T[k]).value_grad(w[k])
        assert np.allclose(direction[k], -grad, rtol=1e-11, atol=1e-14)
        assert losses_found[k] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("output", ["logistic", "softmax"])
def test_leaving_out_the_slope_of_coupled_or_single_outputs(output):
    network = dr.Network((2, 3), (output,))
    rng = np.random.default_rng(0)
    w, X, T = rng.normal(size=(1, 9)), rng.normal(size=(1, 5, 2)), np.eye(3)[[0, 1, 2, 0, 1]][None]
    omitted = rules.descent(network, losses.get("squared_error"), w, X, T, "omit")[1]
    entropy = {"logistic": "binary_cross_entropy", "softmax": "cross_entropy"}[output]
    grad = dr.Objective(network, entropy, X[0], T[0]).value_grad(w[0])[1]
    assert np.allclose(omitted[0], -grad, rtol=1e-12)


def test_runs_by_the_gradient_are_those_of_train():
    network, w, X, T = case(rows=8)
    for online, method in ((True, lambda seed: Online(0.3, seed=seed)), (False, lambda seed: GradientDescent(0.3))):
        course = Course(network, losses.get("squared_error"), X[0], T[0], w, (0.3,), 5, online)
        found = course.run(["gradient"])["gradient"]
        objective = dr.Objective(network, "squared_error", X[0], T[0])
        for seed in range(2):
            *_, last = islice(dr.steps(objective, w[seed], method(seed)), 6)
            assert np.allclose(found.w[seed], last.w, rtol=1e-9)
            assert found.losses[-1, seed] == pytest.approx(objective.value(last.w), rel=1e-9)
    assert found.epochs.tolist() == [0, 1, 2, 3, 4, 5]


def test_rates_and_schedules_are_applied():
    network, w, X, T = case(rows=4)
    both = Course(network, losses.get("squared_error"), X[0], T[0], w, (0.1, 0.4), 3).run(["agh"])["agh"].w
    alone = Course(network, losses.get("squared_error"), X[0], T[0], w, (0.4,), 3).run(["agh"])["agh"].w
    assert np.allclose(both[2:], alone, rtol=1e-13) and not np.allclose(both[:2], alone)
    plan = Course(network, losses.get("squared_error"), X[0], T[0], w, (1.0,), 2, schedules=(StartLarge(0.4, 2, 0.5),))
    *_, last = islice(dr.steps(
        dr.Objective(network, "squared_error", X[0], T[0]), w[0], Online(StartLarge(0.4, 2, 0.5), seed=0)
    ), 3)  # fmt: skip
    assert np.allclose(plan.run(["gradient"])["gradient"].w[0], last.w, rtol=1e-10)


def test_what_is_refused():
    network, w, X, T = case()
    with pytest.raises(SettingError, match="teaching rule"):
        rules.get("omitt")
    for wrong in ({"rates": ()}, {"rates": (0.0,)}, {"epochs": 0}):
        with pytest.raises(SettingError):
            Course(**{
                "network": network, "loss": losses.get("squared_error"), "X": X[0], "T": T[0], "starts": w,
                "rates": (0.1,), "epochs": 1, **wrong,
            })  # fmt: skip


def test_every_built_in_activation_can_be_taught():
    for name, row in ACTIVATIONS.items():
        if not row.couples:
            network = dr.Network((2, 3, 1), (name, "logistic"))
            X, T = np.ones((4, 5, 2)) * np.arange(5)[:, None] / 5, np.ones((4, 5, 1)) / 3
            for rule in RULES:
                found = rules.descent(network, losses.get("squared_error"), np.ones((4, 13)) / 7, X, T, rule)[1]
                assert found.shape == (4, 13) and np.all(np.isfinite(found))


def test_teach_is_one_call():
    network, w, X, T = case(rows=5)
    objective = dr.Objective(network, "squared_error", X[0], T[0])
    one = teach(objective, w[0], "agh", learning_rate=0.2, epochs=3)
    assert one.w.shape == (1, network.n_weights) and np.array_equal(one.epochs, [0, 1, 2, 3])
    batch = teach(objective, w[0], learning_rate=0.2, epochs=3, online=False)
    *_, last = islice(dr.steps(objective, w[0], GradientDescent(0.2)), 4)
    assert np.allclose(batch.w[0], last.w, rtol=1e-11)
    with pytest.raises(SettingError, match="no penalty"):
        teach(dr.Objective(network, "squared_error", X[0], T[0], l2=0.1), w[0])
    with pytest.raises(SettingError, match="teaching rule"):
        teach(objective, w[0], "omitt")
