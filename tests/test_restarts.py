"""Restarts and ensembles: the same bits side by side as alone, what is kept, what is said of it, and how runs end."""

import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import deltarule as dr
from deltarule import provenance
from deltarule.errors import SettingError, TrainingError
from deltarule.methods import METHODS
from deltarule.provenance import Outcome
from deltarule.runs import Runs
from deltarule.stopping import Reason
from mixtures import flowers, homes, waves

FIXED = {"l2": 0.001, "max_steps": 8, "hidden": 4}
"""One candidate, chosen by nobody: the validation rows say which of its runs is kept."""


def one_after_the_other(monkeypatch):
    """Make all runs that would be side by side follow each other in this thread."""

    def in_turn(self, first, seeds, *parts):
        return [self.run(first + i, *parts, seed=seed) for i, seed in enumerate(seeds) if not self.ended]

    monkeypatch.setattr(Runs, "side_by_side", in_turn)


def bits(model):
    return [w.tobytes() for w in model.members], model.training.runs


@pytest.mark.promise("P5")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_gives_the_same_bits_side_by_side_as_alone(name, monkeypatch):
    l2 = 0.0 if name == "bayesian_regularization" else FIXED["l2"]  # which finds its own
    asked = {**FIXED, "l2": l2, "method": name, "restarts": 3, "ensemble": 2}
    together = dr.fit(homes(90), "price", **asked)
    one_after_the_other(monkeypatch)
    assert bits(dr.fit(homes(90), "price", **asked)) == bits(together)


@pytest.mark.promise("P5")
@pytest.mark.parametrize("engine", ["native", "array"])
def test_cross_validated_runs_give_the_same_bits_side_by_side_as_alone(engine, monkeypatch):
    monkeypatch.setenv(dr.compiled.ENGINE, engine)
    dr.compiled.kernels.cache_clear()
    together = dr.fit(flowers(60), "kind", hidden=3, max_steps=5, restarts=4)
    one_after_the_other(monkeypatch)
    assert bits(dr.fit(flowers(60), "kind", hidden=3, max_steps=5, restarts=4)) == bits(together)
    monkeypatch.undo()
    dr.compiled.kernels.cache_clear()


def test_each_run_is_the_one_that_its_seed_gives_alone():
    """The rows are split by hand, since a seed is the split's too."""
    table = {**waves(), "part": np.array(["train", "train", "validation", "test"])[np.arange(60) % 4]}
    for method in ("cg", "online"):
        asked = {**FIXED, "split_by": "column:part", "method": method}
        model = dr.fit(table, "y", seed=5, ensemble=3, **asked)
        alone = [dr.fit(table, "y", seed=seed, **asked) for seed in (5, 6, 7)]
        assert [w.tobytes() for w in model.members] == [one.w.tobytes() for one in alone]
        said = [replace(one.training.runs[0], kept=True) for one in alone]
        assert list(model.training.runs) == said and [run.seed for run in said] == [5, 6, 7]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**40), restarts=st.integers(2, 4))
def test_the_best_of_several_is_never_worse_on_the_validation_rows(seed, restarts):
    one, best = (dr.fit(waves(), "y", seed=seed, restarts=k, **FIXED) for k in (1, restarts))
    assert best.training.runs[0] == replace(one.training.runs[0], kept=best.training.runs[0].kept)
    losses = [run.validation_loss for run in best.training.runs]
    (kept,) = (run for run in best.training.runs if run.kept)
    assert kept.validation_loss == min(losses) <= one.training.runs[0].validation_loss
    assert min(record.validation_loss for record in best.history) == kept.validation_loss


def test_where_cross_validation_has_used_all_rows_the_objective_decides():
    table = {**waves(), "z": waves(seed=1)["x"]}  # of one input, the default start is alike for all seeds but for signs
    model = dr.fit(table, "y", hidden=6, max_steps=12, restarts=4)
    runs = model.training.runs
    assert [run.validation_loss for run in runs] == [None] * 4
    (kept,) = (run for run in runs if run.kept)
    assert kept.objective == min(run.objective for run in runs) and all(run.loss < run.objective for run in runs)
    assert len({run.objective for run in runs}) == 4
    assert any("best of 4 runs by the objective" in note for note in model.training.notes)
    assert any("trained on all 51 rows" in note for note in model.training.notes)


def test_what_a_run_says_is_what_its_weights_give():
    model = dr.fit(homes(), "price", ensemble=2, split_by="order", **FIXED)
    X, T, _ = model.encoded(homes())
    training, validation = slice(0, 112), slice(112, 136)
    for w, run in zip(model.members, model.training.runs, strict=True):
        plain, penalised = (dr.Objective(model.network, "squared_error", X[training], T[training], l2=l2).value(w)
                            for l2 in (0.0, FIXED["l2"]))  # fmt: skip
        assert (run.loss, run.objective) == pytest.approx((plain, penalised), rel=1e-12)
        checked = dr.Objective(model.network, "squared_error", X[validation], T[validation]).value(w)
        assert run.validation_loss == pytest.approx(checked, rel=1e-12)


def test_members_with_restarts_are_the_best_of_their_own():
    model = dr.fit(waves(), "y", restarts=3, ensemble=2, **FIXED)
    runs = model.training.runs
    assert [run.seed for run in runs] == list(range(6))
    for group in (runs[:3], runs[3:]):
        assert [run.kept for run in group].count(True) == 1
        assert min(group, key=lambda run: run.validation_loss).kept
    assert any("an ensemble of 2 networks, each the best of 3 runs" in note for note in model.training.notes)


def outcome(score, validated=True):
    losses = (None, None, None) if score is None else (score, score, score if validated else None)
    return Outcome(0, *losses, 1, "STALLED", False)


@pytest.mark.parametrize("validated", [True, False])
def test_the_odds_are_the_share_of_runs_nearly_as_good_as_the_best(validated):
    training = dr.fit(waves(), "y", **FIXED).training
    assert training.odds is None
    scores = [1.0, 1.04, provenance.GOOD, 1.06, 2.0, None]
    assert replace(training, runs=tuple(outcome(score, validated) for score in scores)).odds == 0.5
    negative = [-1.0, -0.96, -0.94, 3.0]  # as the Poisson loss can be
    assert replace(training, runs=tuple(outcome(score, validated) for score in negative)).odds == 0.5


def test_an_ensemble_predicts_the_mean_of_its_members():
    model = dr.fit(homes(), "price", ensemble=3, **FIXED)
    table = homes(20, seed=1)
    each = [replace(model, w=w, others=()).predict(table) for w in model.members]
    assert np.allclose(model.predict(table), np.mean(each, axis=0), rtol=1e-12)
    assert np.allclose(model.spread(table), np.std(each, axis=0), rtol=1e-9) and model.spread(table).min() > 0
    assert model.evaluate(table).rmse == pytest.approx(np.sqrt(np.mean((model.predict(table) - table["price"]) ** 2)))
    assert repr(model) == "<Model price by 3 x 10-4-1 squared_error, 3 x 49 weights>"


@pytest.mark.parametrize("loss", [None, "squared_error"])
def test_an_ensemble_of_classes_predicts_mean_probabilities(loss):
    model = dr.fit(flowers(), "kind", ensemble=3, loss=loss, **FIXED)
    each = [replace(model, w=w, others=()).predict_proba(flowers()) for w in model.members]
    P = model.predict_proba(flowers())
    assert np.allclose(P.sum(axis=1), 1) and np.array_equal(model.encoding.classes[P.argmax(axis=1)],
                                                            model.predict(flowers()))  # fmt: skip
    if loss is None:
        assert np.allclose(P, np.mean(each, axis=0), rtol=1e-12)
    assert np.allclose(model.spread(flowers()), np.std(each, axis=0))


def test_the_mean_of_several_is_better_than_they_are_on_average():
    """By how much they differ among themselves (Krogh and Vedelsby 1995)."""
    model = dr.fit(waves(), "y", ensemble=5, **FIXED | {"method": "rprop"})
    errors = [replace(model, w=w, others=()).evaluate(waves()).rmse ** 2 for w in model.members]
    gain = np.mean(errors) - model.evaluate(waves()).rmse ** 2
    assert gain > 0.01 and gain == pytest.approx(np.mean(model.spread(waves()) ** 2), rel=1e-6)


def test_a_single_network_has_no_spread():
    with pytest.raises(SettingError, match=r"single network; train an ensemble, fit\(..., ensemble=5\)"):
        dr.fit(waves(), "y", **FIXED).spread(waves())


@pytest.mark.parametrize("name", ["restarts", "ensemble"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "3", None, True], ids=repr)
def test_counts_that_are_refused_before_any_work(name, value):
    with pytest.raises(SettingError, match=f"^{name} was .*; it is a whole number from 1 up"):
        dr.fit("no such file.csv", "y", **{name: value})


def test_more_runs_than_a_report_can_hold_are_refused():
    with pytest.raises(SettingError, match="1,000 restarts of 100 networks were asked for; at most 10,000 runs"):
        dr.fit(waves(), "y", restarts=1_000, ensemble=100)
    assert len(dr.fit(waves(), "y", restarts=np.int64(2), **FIXED).training.runs) == 2


def test_all_runs_are_numbered_and_told_one_at_a_time():
    told, inside = [], threading.Lock()

    def observe(progress):
        assert inside.acquire(blocking=False)
        told.append(progress)
        inside.release()

    dr.fit(waves(), "y", restarts=3, ensemble=2, observe=observe, **FIXED)
    assert {progress.run for progress in told} == set(range(6)) and {progress.runs for progress in told} == {6}
    for run in range(6):
        steps = [progress.record.step for progress in told if progress.run == run]
        assert steps == list(range(len(steps)))


def left_running():
    """The threads of runs that do not end by themselves now."""
    found = [thread for thread in threading.enumerate() if "deltarule" in thread.name]
    for thread in found:
        thread.join(timeout=5)
    return [thread for thread in found if thread.is_alive()]


def one_at_a_time(monkeypatch):
    monkeypatch.setattr("deltarule.engines.native.n_threads", lambda: 1)


def test_an_observer_that_has_seen_enough_ends_all_runs(monkeypatch):
    one_at_a_time(monkeypatch)

    def observe(progress):
        return progress.run == 2 and progress.record.step == 3

    training = dr.fit(waves(), "y", restarts=6, observe=observe, **FIXED).training
    assert [run.reason for run in training.runs] == ["MAX_STEPS", "MAX_STEPS", "CALLER"]
    assert training.runs[2].steps <= 3 and sum(run.kept for run in training.runs) == 1
    assert any("best of 3 runs" in note and "3 more not begun" in note for note in training.notes)
    assert left_running() == []


def test_an_observer_that_fails_ends_all_runs():
    def observe(progress):
        if progress.run == 1:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        dr.fit(waves(), "y", restarts=8, observe=observe, **FIXED)
    assert left_running() == []


ENDLESS = {"method": "online", "settings": {"learning_rate": 1e-6}, "l2": 0.0, "hidden": 2, "max_seconds": 60}


def ctrl_c():
    """Send this process what Ctrl-C sends it; the system hands that to the main thread."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


class Interrupting:
    """An observer that sends Ctrl-C once, as soon as a run is under way."""

    def __init__(self, run):
        self.run, self.sent = run, False

    def __call__(self, progress):
        if progress.run == self.run and progress.record.step == 20 and not self.sent:
            self.sent = True
            ctrl_c()
            time.sleep(0.05)  # an interrupt that is answered while the observer is still at work is not forgotten


def hasten(monkeypatch, n):
    """Make the first n of the further runs end at once, and all others go on until somebody ends them."""
    plain = Runs.run

    def run(self, number, *arguments, **named):
        steps = 2 if number < n else 10**7
        plan = replace(self.setting.plan, stop=(dr.stopping.MaxSteps(steps),))
        self.setting = self.setting._replace(plan=plan)
        return plain(self, number, *arguments, **named)

    monkeypatch.setattr(Runs, "run", run)


@pytest.mark.parametrize(("restarts", "ensemble", "members"), [(6, 1, 1), (1, 6, 3), (2, 3, 2)])
def test_ctrl_c_keeps_the_runs_so_far(monkeypatch, restarts, ensemble, members):
    """Runs 0, 1 and 2 are done when it comes."""
    one_at_a_time(monkeypatch)
    hasten(monkeypatch, 3)
    model = dr.fit(waves(), "y", restarts=restarts, ensemble=ensemble, interrupt="keep",
                   observe=Interrupting(3), **ENDLESS)  # fmt: skip
    runs = model.training.runs
    assert [run.reason for run in runs] == ["MAX_STEPS"] * 3 + ["INTERRUPTED"]
    assert model.training.reason == Reason.INTERRUPTED.value
    assert len(model.members) == members == sum(run.kept for run in runs)
    assert left_running() == []
    if restarts == 1:
        assert not runs[3].kept and any("the other 3 were not finished" in note for note in model.training.notes)


@pytest.mark.parametrize("keep", [True, False])
def test_ctrl_c_reaches_runs_that_are_side_by_side(monkeypatch, keep):
    """The signal arrives in the main thread, which only waits."""
    monkeypatch.setattr("deltarule.engines.native.n_threads", lambda: 2)
    hasten(monkeypatch, 1)
    asked = {"restarts": 4, "interrupt": "keep" if keep else "raise", "observe": Interrupting(2)} | ENDLESS
    if keep:
        training = dr.fit(waves(), "y", **asked).training
        assert [run.reason for run in training.runs] == ["MAX_STEPS", "INTERRUPTED", "INTERRUPTED"]
    else:
        with pytest.raises(KeyboardInterrupt):
            dr.fit(waves(), "y", **asked)
    assert left_running() == []


def test_when_no_run_comes_to_anything_there_is_no_model():
    with pytest.raises(TrainingError, match=r"^Nothing was learnt: "):
        dr.fit(waves(), "y", method=dr.methods.Online(learning_rate=1e200), l2=0.0, restarts=3)
