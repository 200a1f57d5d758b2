"""OnlineRegressor and OnlineClassifier: what a row changes, what appears and disappears, and what is kept."""

import copy
import pickle
import statistics
import subprocess
import sys

import numpy as np
import pytest

import reference
from deltarule import Network, OnlineClassifier, OnlineRegressor, TrainingError, activations, losses
from deltarule.engines import Rows, Update
from deltarule.estimators import stream_network
from deltarule.estimators.stream_network import REACH
from deltarule.methods.rules import RULES

FROZEN = 1e-300
"""A learning rate that moves no weight."""


@pytest.fixture(autouse=True)
def either_engine(engine, monkeypatch):
    """Run every test on every engine."""
    monkeypatch.setattr(stream_network, "choose", lambda network, loss, X: engine(network, loss))


def rows(n, k=3, seed=0):
    """Return n dicts of k features, and a number for each."""
    X = np.random.default_rng(seed).standard_normal((n, k)) * [1, 100, 0.01][:k] + [0, 1e4, -5][:k]
    names = [f"x{j}" for j in range(k)]
    return [dict(zip(names, x, strict=True)) for x in X.tolist()], (50 * np.sin(X[:, 0]) + X[:, 1]).tolist()


def label(y):
    return ["low", "middle", "high"][(y > 9_950) + (y > 10_050)]


def standardised(values):
    """Return the last of some values in standard deviations from the mean of all: 0 where they are alike."""
    std = statistics.pstdev(values)
    return (values[-1] - statistics.fmean(values)) / std if std else 0.0


def trained(model, X, y):
    for x, t in zip(X, y, strict=True):
        assert model.learn_one(x, t) is None
    return model


@pytest.mark.parametrize("rule", RULES)
def test_a_row_is_one_update_by_the_delta_rule(rule):
    X, y = rows(25)
    model = trained(OnlineRegressor((4,), rule=rule, l2=0.01, learning_rate=0.05, seed=3), X, y)
    network = Network((3, 4, 1))
    net = reference.Net((3, 4, 1), ("tanh", "identity"), "squared_error")
    w = network.initial_weights(3, input_ranges=np.tile([-REACH, REACH], (3, 1))).tolist()
    memory = [[0.0, 0.0] for _ in w]
    for i in range(len(X)):
        x = [standardised([row[name] for row in X[: i + 1]]) for name in X[0]]
        G = reference.gradient(reference.REAL, net, w, x, [standardised(y[: i + 1])])
        for k, is_bias in enumerate(reference.biases(net)):
            g = G[k] + (0 if is_bias else 0.01 * w[k])
            w[k], memory[k] = reference.RULES[rule](w[k], g, memory[k], 0.05, i + 1)
    assert model.w == pytest.approx(w, rel=1e-8, abs=1e-10)
    x = [(X[5][name] - statistics.fmean(v)) / statistics.pstdev(v) for name in X[0] if (v := [r[name] for r in X])]
    out = reference.forward(reference.REAL, net, w, x)[1][-1][0]
    assert model.predict_one(X[5]) == pytest.approx(statistics.fmean(y) + statistics.pstdev(y) * out, rel=1e-8)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "squared_error"])
def test_a_class_is_one_update_too(loss):
    X = [{"a": 0.5, "b": -1.0}, {"a": 2.0, "b": 0.3}]
    model = OnlineClassifier((3,), standardize=False, loss=loss, learning_rate=0.1)
    model.learn_one(X[0], "yes")
    model.learn_one(X[1], "no")
    before = model.w.tolist()
    model.learn_one(X[0], "yes")
    output = "softmax" if loss == "cross_entropy" else "logistic"
    net = reference.Net((2, 3, 2), ("tanh", output), loss)
    G = reference.gradient(reference.REAL, net, before, [0.5, -1.0], [1.0, 0.0])
    assert model.w == pytest.approx([w - 0.1 * g for w, g in zip(before, G, strict=True)], abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_an_engine_in_place_is_its_epoch(engine, rule):
    network, rng = Network((3, 5, 2)), np.random.default_rng(0)
    made, rule = engine(network, losses.get("squared_error")), RULES[rule]()
    given = Rows(rng.standard_normal((20, 3)), rng.standard_normal((20, 2)))
    w, memory = network.initial_weights(0), np.zeros((rule.n_memory, network.n_weights))
    order, update = np.arange(20), Update(rule, 0.05, 1, 0.01)
    moved, remembered, *wanted = made.epoch(w, memory, 7, given, order, update)
    assert list(made.in_place(w, memory, rule, 0.01)(given.X, given.T, 7, 0.05)) == wanted
    assert np.array_equal(w, moved) and np.array_equal(memory, remembered)


def test_before_the_first_row():
    regressor, classifier = OnlineRegressor(), OnlineClassifier()
    assert regressor.predict_one({"a": 1.0}) == 0.0 and regressor.predict_many([[1.0], [2.0]]).tolist() == [0, 0]
    assert classifier.predict_one({"a": 1.0}) is None and classifier.predict_proba_one({"a": 1.0}) == {}
    assert classifier.predict_many([[1.0]]).tolist() == [None] and classifier.predict_proba_many([[1.0]]).shape == (
        1,
        0,
    )
    assert (regressor.n_rows, regressor.inputs, regressor.network, classifier.classes) == (0, [], None, [])
    assert repr(regressor) == "<OnlineRegressor before its first row>"


def test_the_first_row_is_learnt():
    model = OnlineRegressor()
    model.learn_one({"a": 3.0}, 7.0)
    assert model.predict_one({"a": 3.0}) == pytest.approx(7.0)
    classes = OnlineClassifier()
    classes.learn_one({"a": 3.0}, True)
    assert classes.predict_one({"a": 9.0}) is True and classes.predict_proba_one({}) == {True: 1.0}


def test_predicting_changes_nothing():
    X, y = rows(60)
    one = trained(OnlineRegressor(), X, y)
    two = OnlineRegressor()
    for x, t in zip(X, y, strict=True):
        two.predict_one({"x0": 1e3, "unknown": 4.0})
        two.predict_many([x, {"other": "text"}])
        two.learn_one(x, t)
    assert np.array_equal(one.w, two.w) and one.inputs == two.inputs


def test_the_order_of_a_dict_does_not_matter():
    X, y = rows(40)
    one = trained(OnlineRegressor(), X, y)
    two = trained(OnlineRegressor(), X[:1] + [dict(reversed(x.items())) for x in X[1:]], y)
    assert np.array_equal(one.w, two.w)


def test_an_array_is_a_dict_of_numbered_features():
    X, y = rows(40)
    by_dict = trained(OnlineRegressor(), X, y)
    for kind in (np.array, list, tuple):
        by_array = trained(OnlineRegressor(), [kind(list(x.values())) for x in X], y)
        assert np.array_equal(by_dict.w, by_array.w)
    assert by_array.inputs == ["0", "1", "2"]


# What appears.


def test_a_new_feature_changes_no_prediction():
    X, y = rows(200, 2)
    model = trained(OnlineRegressor(learning_rate=FROZEN, standardize=False, activation="softsign"), X, y)
    before = [model.predict_one(x) for x in X[:20]]
    model.learn_one({**X[0], "new": 3.0}, y[0])
    assert [model.predict_one({**x, "new": 5.0}) for x in X[:20]] == pytest.approx(before, abs=1e-12)
    assert model.inputs == ["x0", "x1", "new"] and model.network.sizes == (3, 32, 1)


@pytest.mark.parametrize("rule", ["plain", "adam"])
def test_the_weights_of_a_network_that_grows_are_kept(rule):
    model = trained(OnlineClassifier((4, 3), rule=rule, learning_rate=FROZEN), *[[{"a": 1.0}, {"a": 2.0}], ["x", "y"]])
    before = list(model.network.layers(model.w))
    model.learn_one({"a": 1.0, "b": 2.0, "c": "red"}, "z")
    after = list(model.network.layers(model.w))
    assert model.network.sizes == (3, 4, 3, 3)
    for (W, b), (V, c) in zip(before, after, strict=True):
        assert pytest.approx(W, abs=1e-290) == V[: len(W), : W.shape[1]]
        assert pytest.approx(b, abs=1e-290) == c[: len(b)]
    assert after[0][0][:, 1:] == pytest.approx(0, abs=1e-290) == after[-1][0][2]


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_a_new_class_begins_with_one_in_n_plus_one(loss):
    X, y = rows(50)
    model = trained(OnlineClassifier(loss=loss), X, [label(t) for t in y])
    model._network._rate = FROZEN
    before = model.predict_proba_one(X[0])
    model.learn_one(X[0], "new")
    after = model.predict_proba_one(X[0])
    assert list(after) == [*before, "new"] == model.classes
    if loss == "cross_entropy":
        assert after["new"] == pytest.approx(1 / 51, abs=0.005)
    for name, p in before.items():
        assert after[name] == pytest.approx(p, abs=0.05)


# What disappears.


@pytest.mark.parametrize("left_out", [{}, {"x1": None}])
def test_a_missing_number_counts_as_the_mean(left_out):
    X, y = rows(80)
    model = trained(OnlineRegressor(), X, y)
    mean = statistics.fmean(x["x1"] for x in X)
    short = {name: value for name, value in X[3].items() if name != "x1"} | left_out
    assert model.predict_one(short) == pytest.approx(model.predict_one({**X[3], "x1": mean}), rel=1e-9)
    other = copy.deepcopy(model)
    model.learn_one(short, y[3])
    other.learn_one({**short, "x1": mean}, y[3])
    assert model.w == pytest.approx(other.w, rel=1e-9)
    assert model.predict_one({}) is not None


def test_without_standardisation_a_missing_number_is_zero():
    X, y = rows(20, 2)
    model = trained(OnlineRegressor(standardize=False, learning_rate=1e-12), X, y)
    assert model.predict_one({"x0": 1.0}) == model.predict_one({"x0": 1.0, "x1": 0.0})


# What is kept.


@pytest.mark.parametrize("how", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("settings", [{"rule": "adam"}, {"learning_rate": "adaptive(0.05)"}, {"horizon": 30}])
@pytest.mark.parametrize("made", [OnlineRegressor, OnlineClassifier])
def test_a_copy_goes_on_bit_for_bit(how, settings, made):
    X, y = rows(1200)
    X = [x | ({"late": float(i % 5), "text": "ab"[i % 2]} if i > 700 else {}) for i, x in enumerate(X)]
    targets = y if made is OnlineRegressor else [label(t) for t in y]
    whole = trained(made((6,), **settings), X, targets)
    model = made((6,), **settings)
    for cut in (slice(0, 1), slice(1, 1050), slice(1050, None)):
        model = trained(how(model), X[cut], targets[cut])
    assert np.array_equal(whole.w, model.w)
    assert whole.predict_one(X[7]) == model.predict_one(X[7])
    trained(how(model), X[:5], targets[:5])
    assert np.array_equal(whole.w, model.w)


def test_a_pickle_goes_on_in_another_process(tmp_path):
    X, y = rows(60)
    (tmp_path / "model").write_bytes(pickle.dumps(trained(OnlineRegressor(), X[:30], y[:30])))
    code = (
        "import pickle, sys\nmodel, X, y = pickle.load(open(sys.argv[1], 'rb')), *eval(sys.stdin.read())\n"
        "for x, t in zip(X, y): model.learn_one(x, t)\nprint(model.w.tolist())\nassert 'sklearn' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        input=repr((X[30:], y[30:])), capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = trained(OnlineRegressor(), X, y).w
    assert eval(done.stdout) == pytest.approx(wanted.tolist(), rel=1e-9)


def test_layers_and_activations_of_ones_own():
    cube = activations.own("cube", lambda e: e**3, lambda e, y: 3 * e**2)
    X, y = rows(30, 2)
    assert trained(OnlineRegressor((3, 2), activation=["relu", "silu"]), X, y).network.sizes == (2, 3, 2, 1)
    assert trained(OnlineRegressor((), learning_rate=0.1), X, y).network.sizes == (2, 1)
    assert trained(OnlineRegressor(4), X, y).network.sizes == (2, 4, 1)
    assert np.isfinite(trained(OnlineRegressor((2,), activation=cube, learning_rate=1e-3), X, y).w).all()


def test_a_network_that_diverges_says_so():
    model = OnlineRegressor((), standardize=False, learning_rate=10.0)
    with pytest.raises(TrainingError, match=r"after \d+ rows: .* learning rate below 10"):
        for i in range(1000):
            model.learn_one({"x": 100.0 + i}, float(i))
    with pytest.raises(TrainingError, match="no finite numbers"):
        model.predict_one({"x": 5.0})
