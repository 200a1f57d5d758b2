"""The health of neurons: slopes, dead and twin neurons, sizes per layer, counted in plain loops; health over a run."""

import json

import numpy as np
import pytest

import deltarule as dr
import patients
from deltarule.errors import SettingError
from deltarule.explain import HealthRecorder, health_at
from deltarule.explain.health_picture import draw
from reference import ACTIVATIONS, REAL

NET = dr.Network((3, 4, 3, 1), ("tanh", "relu", "identity"))


def objective():
    X, T = patients.rows(40)
    return dr.Objective(NET, "squared_error", X, T)


def weights():
    """Return weights with two twins, a dead neuron, and a saturated one."""
    w = NET.initial_weights(2)
    (W, b), (V, c), _ = NET.layers(w)
    W[2], b[2], V[:, 2] = W[0], b[0], V[:, 0]
    W[1] *= 40
    V[1], c[1] = 0.0, -1.0
    return w


def slopes(X, w):
    """Return for each layer f′ of each neuron on each row, from the reference formulas."""
    found = []
    for x in X:
        y, row = x, []
        for (W, b), activation in zip(NET.layers(w), NET.activations, strict=True):
            f, df = ACTIVATIONS[activation.name]
            e = [float(v @ y + c) for v, c in zip(W, b, strict=True)]
            row.append([df(REAL, one) for one in e])
            y = np.array([f(REAL, one) for one in e])
        found.append(row)
    return [np.array([row[layer] for row in found], dtype=float) for layer in range(NET.depth)]


def test_slopes_are_counted_per_neuron_and_on_the_wrong_rows():
    made, w = objective(), weights()
    X, T = made.rows[:2]
    losses = 0.5 * (dr.predict(NET, w, X) - T).ravel() ** 2
    baseline = 0.5 * T.var()
    wrong = losses > 0.1 * baseline
    found = health_at(made, w)
    assert found.loss == pytest.approx(losses.mean()) and found.baseline == pytest.approx(baseline)
    assert found.wrong == wrong.mean() and 0 < found.wrong < 1
    for one in found.neurons:
        f = slopes(X, w)[one.layer][:, one.neuron]
        small = f < 0.05 if one.layer < 2 else np.zeros(len(f), dtype=bool)
        assert one.mean_slope == pytest.approx(f.mean())
        assert (one.flat, one.flat_wrong) == pytest.approx((small.mean(), small[wrong].mean()))
        assert one.dead == (f == 0).all()
    assert [one.name for one in found.neurons if one.dead] == ["hidden2[1]"]
    assert {one.name: one.twin for one in found.neurons if one.twin} == {"hidden1[2]": "hidden1[0]"}


def test_sizes_per_layer_are_root_mean_squares():
    made, w = objective(), weights()
    after = dr.train(made, w, "gd", [dr.stopping.MaxSteps(1)]).w
    found, grad = health_at(made, after, before=w), made.value_grad(after)[1]
    for layer, (i, _, k) in zip(found.layers, NET.spans, strict=True):
        sizes = [float(np.sqrt(np.mean(part[i:k] ** 2))) for part in (after, grad, after - w)]
        assert (layer.weight, layer.gradient, layer.update) == pytest.approx(tuple(sizes))
    assert np.isnan(health_at(made, w).layers[0].update)


def test_where_the_loss_fuses_no_slope_of_an_output_is_small():
    X, T = patients.rows(30)
    made = dr.Objective(dr.Network((3, 2, 1), ("tanh", "logistic")), "binary_cross_entropy", X, (T > 0).astype(float))
    w = 300 * made.network.initial_weights(0)
    assert health_at(made, w).layers[-1].flat == 0.0
    squared = dr.Objective(made.network, "squared_error", X, (T > 0).astype(float))
    assert health_at(squared, w).layers[-1].flat > 0.5


def run(recorder, steps=12):
    """Train with a neuron that is dead from the start, and one that is killed at step 5."""
    made = objective()
    w = weights()

    def states():
        state = None
        for step, after in enumerate(recorder.steps(made, w, dr.methods.GradientDescent(0.05))):
            state = after
            if step == 4:
                _, (V, c), _ = NET.layers(state.w)
                V[2], c[2] = 0.0, -50.0
            if step == steps:
                return

    states()
    return made


def test_a_recorder_says_since_when():
    recorder = HealthRecorder(every=2)
    run(recorder)
    assert [moment.step for moment in recorder.moments] == [0, 2, 4, 6, 8, 10, 12]
    assert recorder.course("hidden2[1]").dead_since == 0
    assert recorder.course("hidden2[2]").dead_since == 6
    assert recorder.course("hidden1[2]").twin_since == 0 and recorder.course("hidden1[0]").twin_since is None
    assert recorder.course("hidden2[2]").wrong_since == 6 and recorder.course("hidden2[0]").dead_since is None
    arrays = recorder.arrays()
    assert arrays["flat"].shape == (7, 8) and arrays["update"].shape == (7, 3)
    assert arrays["loss"][-1] == recorder.moments[-1].health.loss
    assert len(recorder.frame()) == 7 * 8
    told = json.loads(json.dumps(recorder.to_dict(), allow_nan=False))
    assert [one["dead_since"] for one in told["neurons"]][5:7] == [0, 6]
    assert "step 6" in str(recorder) and "hidden2[2]" in str(recorder)


def test_train_records_the_same_health_as_is_measured_afterwards():
    made, recorder = objective(), HealthRecorder(inputs=("a", "b", "c"), outputs=("y",))
    result = dr.train(made, weights(), "rprop", [dr.stopping.MaxSteps(3)], record=recorder)
    last = recorder.moments[-1].health
    assert last.neurons[-1].name == "output[y]"
    assert last.loss == health_at(made, result.w).loss
    assert [one[1:] for one in last.neurons[:-1]] == [one[1:] for one in health_at(made, result.w).neurons[:-1]]


def test_recording_does_not_change_a_run():
    stop = [dr.stopping.MaxSteps(4)]
    plain, recorded = (dr.train(objective(), weights(), "cg", stop, record=one) for one in (None, HealthRecorder()))
    assert (plain.w == recorded.w).all()


def test_a_picture_shows_the_run():
    recorder = HealthRecorder()
    run(recorder, 6)
    axes = recorder.plot()
    assert len(axes) == 3 and axes[2].get_yscale() == "log"
    assert [text.get_text() for text in axes[1].get_yticklabels()][:2] == ["hidden1[0]", "hidden1[1]"]


def test_bad_input_is_refused():
    for every in (0, 1.5, True):
        with pytest.raises(SettingError, match="every"):
            HealthRecorder(every=every)
    with pytest.raises(SettingError, match="Nothing was recorded"):
        HealthRecorder().course("hidden1[0]")
    with pytest.raises(SettingError, match="Nothing was recorded"):
        draw(HealthRecorder())
    recorder = HealthRecorder()
    assert str(recorder) == "nothing recorded yet" and recorder.to_dict()["looks"] == []
    run(recorder, 2)
    with pytest.raises(SettingError, match=r"no neuron 'hidden9\[0\]'"):
        recorder.course("hidden9[0]")

    class Bowl:
        def value_grad(self, w):
            return float(w @ w), 2 * w

    with pytest.raises(SettingError, match="Bowl"):
        dr.train(Bowl(), np.ones(2), "cg", record=HealthRecorder())
