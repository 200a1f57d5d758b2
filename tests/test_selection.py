"""Which candidate becomes the model: by cross-validation or by the validation rows, and what is said about it."""

import numpy as np
import pytest

import deltarule as dr
from deltarule import plan, selection
from deltarule.plan import Candidate
from deltarule.runs import Run
from deltarule.selection import Tried
from deltarule.stopping import Reason
from mixtures import flowers, homes, waves


def line(n=60, p=6, seed=0, noise=0.5):
    """A linear table: nothing that a hidden layer could be needed for."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    y = X @ rng.normal(size=p) + noise * rng.normal(size=n)
    return {f"x{j}": X[:, j] for j in range(p)} | {"y": y}


def chance(n=400, p=6, seed=1):
    """A table in which nothing can be found."""
    rng = np.random.default_rng(seed)
    return {f"x{j}": rng.normal(size=n) for j in range(p)} | {"y": rng.normal(size=n)}


def note(model, words):
    return any(words in said for said in model.training.notes)


def test_a_linear_table_gets_no_hidden_layer_and_a_wave_gets_one():
    assert len(dr.fit(line(), "y").network.sizes) == 2
    assert len(dr.fit(waves(), "y").network.sizes) == 3


def test_what_the_user_names_is_not_chosen():
    assert dr.fit(line(), "y", hidden=3, max_steps=20).network.sizes == (6, 3, 1)
    assert dr.fit(waves(), "y", hidden=()).network.sizes == (1, 1)
    model = dr.fit(line(), "y", l2=0.125, max_steps=5)
    assert model.training.l2 == 0.125 and not note(model, "cross-validation")
    assert not note(dr.fit(line(), "y", method="cg", max_steps=5), "cross-validation")


def test_the_last_run_is_on_training_and_validation_rows_and_says_so():
    model = dr.fit(line(100), "y")
    assert note(model, "10-fold cross-validation, then trained on all 85 rows")
    assert model.training.rows == {"training": 70, "validation": 15, "test": 15}
    assert all(record.validation_loss is None for record in model.history)


def test_the_last_run_is_the_penalised_least_squares_of_those_rows():
    """Without hidden layer the minimum has a formula: it tells which rows were trained on."""
    columns = line(100)
    marks = np.array(["train", "train", "train", "validation", "test"])[np.arange(100) % 5]
    model = dr.fit(columns | {"part": marks}, "y", split_by="column:part", hidden=())
    X, T, _ = model.encoded(columns)
    used = marks != "test"
    A = np.column_stack([X[used], np.ones(used.sum())])
    ridge = np.diag([model.training.l2 * used.sum()] * 6 + [0.0])
    best = np.linalg.solve(A.T @ A + ridge, A.T @ T[used])
    assert np.allclose(model.w, best.ravel(), atol=1e-4)


def test_without_test_rows_the_validation_rows_stay_unseen():
    columns = line(100)
    model = dr.fit(columns, "y", fractions=(0.8, 0.2, 0.0))
    assert note(model, "trained on all 80 rows")
    assert set(model.training.scores) == {"validation", "training"}


def test_test_rows_change_nothing():
    columns, marks = line(80), np.array(["train", "validation", "test", "train"])[np.arange(80) % 4]
    first = dr.fit(columns | {"part": marks}, "y", split_by="column:part")
    columns["y"] = np.where(marks == "test", 1e3, columns["y"])
    assert dr.fit(columns | {"part": marks}, "y", split_by="column:part").w.tobytes() == first.w.tobytes()


def test_where_nothing_can_be_learnt_the_report_says_so():
    model = dr.fit(chance(), "y")
    assert model.training.scores["test"]["r2"] > -0.05
    assert note(model, "next to nothing was learnt")
    assert not note(dr.fit(line(), "y"), "learnt")


def test_a_run_that_kept_its_start_says_so():
    settings = {"learning_rate": 50.0}
    model = dr.fit(waves(), "y", method="gradient_descent", settings=settings, l2=0.0, max_steps=5)
    assert model.training.steps == 0 and note(model, "nothing was learnt: no step")


def test_parts_are_even_and_have_the_classes_in_the_same_shares():
    labels = np.arange(100) % 10 == 0
    part = selection.parts(100, 5, labels, 0, False)
    assert np.bincount(part).tolist() == [20] * 5
    assert np.bincount(part[labels]).tolist() == [2] * 5
    assert np.array_equal(part, selection.parts(100, 5, labels, 0, False))
    assert not np.array_equal(part, selection.parts(100, 5, labels, 1, False))


def test_parts_in_order_are_stretches():
    part = selection.parts(10, 3, None, 0, True)
    assert part.tolist() == sorted(part) and np.bincount(part).min() >= 3


def run(candidate, result):
    """A run of which only candidate and result matter."""
    return Run(candidate, None, result, 0, None)


def tried(hidden, l2, *losses):
    return Tried(run(Candidate(hidden, l2), None), np.array(losses))


def test_the_simplest_within_chance_is_preferred():
    strong, weak = tried((), 1.0, 2.0, 2.1, 2.0, 2.1), tried((), 0.1, 1.0, 1.2, 1.0, 1.2)
    same_but_for_chance = tried((8,), 0.1, 0.9, 1.3, 0.8, 1.3)
    clearly_better = tried((8,), 0.1, 0.5, 0.6, 0.5, 0.6)
    given_up = tried((8,), 0.01, 0.1, 0.1)
    assert selection.preferred([strong, weak, same_but_for_chance], 4) is weak
    assert selection.preferred([strong, weak, clearly_better], 4) is clearly_better
    assert selection.preferred([strong, weak, given_up], 4) is weak


class Ended:
    """As much of a result as the choice looks at."""

    def __init__(self, reason):
        self.reason = reason


def test_a_run_cut_off_at_the_step_limit_is_not_preferred_by_accident():
    cut_off = run(Candidate((), 0.1), Ended(Reason.MAX_STEPS))
    finished = run(Candidate((), 0.2), Ended(Reason.VALIDATION))
    assert selection._smallest([(1.0, cut_off), (1.005, finished)]) is finished
    assert selection._smallest([(1.0, cut_off), (1.05, finished)]) is cut_off


@pytest.mark.parametrize("at", [(0, 1), (3, 2), (40, 3)])
def test_a_caller_who_has_seen_enough_gets_a_model(at):
    model = dr.fit(homes(), "price", observe=lambda progress: (progress.run, progress.record.step) >= at)
    assert np.all(np.isfinite(model.w)) and note(model, "ended before the choice was made")
    assert model.training.reason == Reason.CALLER.value


def test_runs_are_numbered_up_to_the_last():
    seen = []
    dr.fit(flowers(), "kind", max_steps=3, observe=seen.append)
    numbers = [progress.run for progress in seen]
    assert numbers == sorted(numbers) and numbers[-1] == seen[-1].runs - 1
    assert seen[-1].runs == len(plan.make(63).candidates) * plan.make(63).folds + 1
