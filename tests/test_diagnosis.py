"""Each kind of finding on a network with that fault and on the same without it; the numbers measured a second time."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import deltarule as dr
import patients
from deltarule.errors import InputError, SettingError
from deltarule.explain import diagnose
from deltarule.explain.diagnosis import EXPLAINS, KINDS
from deltarule.explain.diagnosis.finding import Finding, Measurement, Trial
from deltarule.methods import ConjugateGradient, GradientDescent, Online
from deltarule.stopping import MaxPasses


@cache
def patient(kind, bad=True):
    return patients.KINDS[kind](bad)


@cache
def diagnosed(kind, bad=True):
    made = patient(kind, bad)
    return diagnose(made.objective, made.run, method=made.method, test_advice=bad)


def finding(kind):
    return next(one for one in diagnosed(kind).findings if one.kind == kind)


def measured(kind, begins):
    """Return the one measurement of a finding whose name begins so."""
    (found,) = [one for one in finding(kind).evidence if one.what.startswith(begins)]
    return found


def test_there_is_a_patient_for_each_kind():
    assert set(KINDS) == set(patients.KINDS) and set(EXPLAINS) <= set(KINDS)


@pytest.mark.promise("P16")
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_found_and_nothing_that_it_brings_about(kind):
    found = diagnosed(kind)
    assert set(found.kinds) - {kind} <= ({"rate_large"} if kind == "non_finite" else set())
    assert found.findings[0].kind == kind
    judged = [one for one in found.findings[0].evidence if one.threshold is not None]
    assert all(one.margin >= 1 for one in judged)
    assert judged or kind == "non_finite"


@pytest.mark.promise("P16")
@pytest.mark.parametrize("kind", KINDS)
def test_without_the_fault_nothing_is_found(kind):
    assert diagnosed(kind, False).kinds == ()


@pytest.mark.promise("P16")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "input_outlier"])
def test_the_advice_helps_on_a_clone_and_nothing_of_the_users_moves(kind):
    made = patient(kind)
    before = made.w.copy(), made.objective.rows.X.copy(), made.objective.rows.T.copy()
    trial = finding(kind).trial
    assert trial.helped and np.isfinite(trial.with_advice)
    assert trial.without == np.inf or trial.with_advice <= 0.9 * trial.without
    after = made.w, made.objective.rows.X, made.objective.rows.T
    assert all((a == b).all() for a, b in zip(before, after, strict=True))


def test_the_trial_is_what_one_would_do_by_hand():
    made, trial = patient("rate_small"), finding("rate_small").trial
    rate = float(trial.changed.removeprefix("learning rate "))
    for method, loss, passes in (
        (made.method, trial.without, trial.passes_without),
        (GradientDescent(rate), trial.with_advice, trial.passes_with),
    ):
        w = dr.train(made.objective, made.w, method, [MaxPasses(passes)]).w
        assert made.objective.value(w) == pytest.approx(loss, rel=1e-12)


def test_columns_and_rows_are_named():
    assert finding("input_scale").places == ("input[1]",)
    assert finding("input_offset").places == ("input[2]",)
    assert finding("input_outlier").places == ("input[1]", "row 18")
    assert finding("target_range").places == ("output[0]",)
    assert finding("opposing_rows").places[:2] == ("row 1", "row 2")
    assert finding("dead_units").places == tuple(f"hidden1[{k}]" for k in range(4))
    assert finding("symmetric_units").places == tuple(f"hidden1[{k}] = hidden1[0]" for k in range(1, 6))


def test_what_is_measured_of_inputs_and_targets():
    X, _ = patient("input_scale").objective.rows[:2]
    assert measured("input_scale", "standard deviation").value == pytest.approx(X[:, 1].std())
    X, _ = patient("input_offset").objective.rows[:2]
    assert measured("input_offset", "|mean|").value == pytest.approx(abs(X[:, 2].mean()) / X[:, 2].std())
    x = patient("input_outlier").objective.rows.X[:, 1]
    away = (np.median(x) + 2000) / np.subtract(*np.quantile(x, [0.75, 0.25]))
    assert measured("input_outlier", "interquartile").value == pytest.approx(away)
    made = patient("target_range")
    Y, T = dr.predict(made.objective.network, made.w, made.objective.rows.X), made.objective.rows.T
    beyond = (np.maximum(0, np.abs(T) - 1) ** 2).sum() / ((Y - T) ** 2).sum()
    assert measured("target_range", "share of the loss").value == pytest.approx(beyond)


def test_what_is_measured_of_opposing_rows():
    made = patient("opposing_rows")
    X, T = made.objective.rows[:2]
    pairs = [np.flatnonzero((x == X).all(axis=1)) for x in X]
    inside = np.mean([T[rows].var() for rows in pairs]) / T.var()
    assert measured("opposing_rows", "share of the targets' variance").value == pytest.approx(inside)
    network = made.objective.network
    grads = [
        dr.Objective(network, "squared_error", X[i : i + 1], T[i : i + 1]).value_grad(made.w)[1]
        for i, rows in enumerate(pairs)
        if len(rows) > 1
    ]
    left = np.linalg.norm(sum(grads)) / sum(map(np.linalg.norm, grads))
    assert measured("opposing_rows", "what is left").value == pytest.approx(left)


def test_what_is_measured_of_neurons():
    made = patient("dead_units")
    (W, b), *_ = made.objective.network.layers(made.w)
    dead = [all(x @ w + c <= 0 for x in made.objective.rows.X) for w, c in zip(W, b, strict=True)]
    assert measured("dead_units", "share").value == np.mean(dead)
    made = patient("saturation")
    (W, b), *_ = made.objective.network.layers(made.w)
    X, T = made.objective.rows[:2]
    losses = 0.5 * (dr.predict(made.objective.network, made.w, X) - T).ravel() ** 2
    wrong = X[losses > 0.1 * 0.5 * T.var()]
    flat = np.mean([1 - np.tanh(w @ x + c) ** 2 < 0.05 for x in wrong for w, c in zip(W, b, strict=True)])
    assert measured("saturation", "share of (neuron").value == pytest.approx(flat)
    assert measured("saturation", "share of rows").value == pytest.approx(len(wrong) / len(X))


def hessian(made):
    """Return the Hessian by differences of gradients of its own."""
    h, p = 1e-5, made.objective.n_weights
    rows = [
        (made.objective.value_grad(made.w + h * e)[1] - made.objective.value_grad(made.w - h * e)[1]) / (2 * h)
        for e in np.eye(p)
    ]
    return 0.5 * (np.array(rows) + np.array(rows).T)


def test_the_saddle_its_curvatures_and_the_way_out():
    made, stands = patient("saddle"), diagnosed("saddle").standing
    values, vectors = np.linalg.eigh(hessian(made))
    assert stands.what == "saddle"
    assert (stands.smallest, stands.largest) == pytest.approx((values[0], values[-1]), abs=1e-5)
    H = made.objective.gauss_newton(made.w)[2]
    assert stands.gauss_newton == pytest.approx(np.linalg.eigvalsh(H)[-1])
    names = dr.explain.Names(made.objective.network)
    out = vectors[:, 0] * np.sign(vectors[names.find(next(iter(stands.out)))[0], 0] * next(iter(stands.out.values())))
    for name, part in stands.out.items():
        assert part == pytest.approx(out[names.find(name)[0]], abs=1e-3)
    assert stands.gauss_newton_out == pytest.approx(out @ H @ out, abs=1e-5)
    assert stands.gauss_newton_out >= 0 > stands.smallest


def test_minimum_and_plateau_and_slope_are_told_apart():
    assert diagnosed("poor_minimum").standing.what == "minimum"
    assert diagnosed("plateau").standing.what == "plateau"
    assert diagnosed("unfinished").standing.what == "slope"
    assert np.linalg.eigvalsh(hessian(patient("poor_minimum")))[0] > -1e-8


def test_the_curvature_along_a_step():
    made = patient("rate_small")
    step = -made.method.learning_rate * made.objective.value_grad(made.w)[1]
    far = 1000.0 * np.array([0.0, 0.5, 1.0])
    values = [made.objective.value(made.w + t * step) for t in far]
    bend, slope, _ = np.polyfit(far, values, 2)
    best = measured("rate_small", "minimum along").value
    assert best == pytest.approx(-slope / (2 * bend), rel=0.3)  # the surface is no parabola that far
    assert measured("rate_small", "learning rate").value == made.method.learning_rate


def test_uphill_steps_are_counted():
    losses = [record.loss for record in patient("rate_large").run.history]
    climbs = [after > 1.02 * before for before, after in pairwise(losses)]
    assert measured("rate_large", "share of steps").value == np.mean(climbs)


def test_the_first_non_finite_number_is_named_with_what_led_to_it():
    made, found = patient("non_finite"), finding("non_finite")
    overflow = dr.explain.first_non_finite(made.objective, made.objective.network.initial_weights(3), made.method)
    row, X, T = overflow.origin.row, *made.objective.rows[:2]
    before, after = overflow.origin.before, overflow.origin.after
    assert found.places == (f"row {row + 1}",) and f"row {row + 1}" in found.says and "epoch 1" in found.says
    one = dr.Objective(made.objective.network, "squared_error", X[row : row + 1], T[row : row + 1])
    with np.errstate(all="ignore"):
        assert np.isfinite(before).all() and not np.isfinite(one.value(before)) and not np.isfinite(after).all()
    led = {m.what: m.value for m in found.evidence}
    assert led[f"largest input of row {row + 1}"] == np.abs(X[row]).max()
    assert (
        max(abs(value) for name, value in led.items() if name.startswith("largest weight before"))
        == np.abs(before).max()
    )
    assert overflow.to_dict()["row"] == row and "inf" in str(overflow)


def test_a_loss_that_is_not_finite_is_told_and_nothing_else_is_looked_for():
    made = patient("unfinished")
    w = made.w.copy()
    *_, (V, _) = made.objective.network.layers(w)
    V[:] = 1.3e154
    found = diagnose(made.objective, w, method=made.method, test_advice=True)
    assert found.kinds == ("non_finite",) and found.standing.what == "undefined"
    assert "The loss became inf at row" in str(found) and found.to_dict()["loss"] is None
    assert finding("non_finite").trial.helped


def test_confidence_follows_from_how_far_past_its_threshold_each_measurement_lies():
    def confidence(*evidence):
        return Finding("saddle", "", (), evidence, "").confidence

    assert confidence(Measurement("a", 2.0, 1.0)) == "clear"
    assert confidence(Measurement("a", 1.9, 1.0)) == "likely"
    assert confidence(Measurement("a", 0.4, 1.0, above=False), Measurement("b", 7.0)) == "clear"
    assert confidence(Measurement("a", -0.3, -0.1, above=False)) == "clear"
    assert confidence(Measurement("a", -0.15, -0.1, above=False)) == "likely"
    assert confidence(Measurement("share", 0.95, 0.85)) == "clear"
    assert not Trial("", 1.0, np.inf, 1.0, np.inf, 1.0).helped and Trial("", 1.0, np.inf, 1.0, 5.0, 1.0).helped


def test_a_recorder_says_since_when():
    made = patient("dead_units")
    recorder, start = dr.explain.HealthRecorder(), made.objective.network.initial_weights(6)
    (_, b), *_ = made.objective.network.layers(start)
    b[:4] = -30.0
    result = dr.train(made.objective, start, made.method, [dr.stopping.MaxSteps(10)], record=recorder)
    found = diagnose(made.objective, result, method=made.method, recorder=recorder)
    assert found.kinds[0] == "dead_units"
    assert {one["name"]: one["dead_since"] for one in found.to_dict()["since"]}["hidden1[2]"] == 0
    assert "step 0" in str(found)


def test_training_again_finds_where_it_became_non_finite():
    made = patient("non_finite")
    net = made.objective.network
    found = diagnose(net, *made.objective.rows[:2], w=net.initial_weights(6), method=Online(20.0), again=True)
    assert found.kinds[0] == "non_finite" and "trained again" in found.notes[-1] and found.recorder is not None


def test_what_cannot_be_diagnosed_is_refused():
    made = patient("unfinished")
    for given, error, word in (
        (([1.0],), InputError, "cannot be explained"),
        ((made.objective,), InputError, "w="),
        ((made.objective, [1.0, 2.0]), InputError, "shape"),
        ((made.objective, made.w * np.nan), InputError, "The weight hidden1\\[0\\] <- input\\[0\\] is not finite"),
        ((made.objective.network, made.run), InputError, "Objective"),
        ((made.objective.network, made.objective.rows.X), InputError, "targets"),
    ):
        with pytest.raises(error, match=word):
            diagnose(*given)
    with pytest.raises(SettingError, match="method"):
        diagnose(made.objective, made.w, again=True)
    with pytest.raises(SettingError, match="Unknown method"):
        diagnose(made.objective, made.w, method="sgdx")


def test_losses_without_second_derivatives_and_few_rows_are_no_obstacle():
    X, T = patients.rows(6)
    for loss in ("absolute_error", "squared_error"):
        made = patients.trained(X, T, ConjugateGradient(), 3, loss=loss)
        found = diagnose(made.objective, made.run)
        assert "No network" not in str(found) and np.isfinite(found.loss)
        assert "learning rates" in found.notes[-1]
    one = dr.Objective(made.objective.network, "squared_error", X[:1], T[:1])
    assert diagnose(one, made.w, method="online").rows == 1
