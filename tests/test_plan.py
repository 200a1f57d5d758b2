"""What is done with a table when the user has not said, and what he may say."""

import numpy as np
import pytest

import deltarule as dr
from deltarule import methods, plan
from deltarule.errors import SettingError
from deltarule.stopping import MaxFail, MaxSeconds, MaxSteps, Stalled


@pytest.mark.parametrize("n_rows", [1, 50, 200, 201, 1_000, 10_000, 20_000, 20_001, 100_000])
def test_any_number_of_rows_has_a_plan(n_rows):
    made = plan.make(n_rows)
    assert made.max_steps == next(rule.steps for rule in made.stop if isinstance(rule, MaxSteps))
    assert any(isinstance(rule, MaxFail) for rule in made.stop) == (made.folds == 0)
    assert made.candidates and all(l2 > 0 for _, l2 in made.candidates)
    assert made.candidates[-1].hidden == (plan.width(n_rows),)


def test_more_rows_never_mean_a_narrower_layer():
    widths = [plan.width(n) for n in (10, 200, 201, 1_000, 1_001, 10_000, 10_001, 10**6)]
    assert widths == sorted(widths) and widths[0] < widths[-1] == plan.WIDEST


def test_small_tables_are_trained_in_batch_and_large_ones_in_mini_batches():
    assert plan.make(plan.BATCH_ROWS).method == methods.LBFGS()
    large = plan.make(plan.BATCH_ROWS + 1, seed=3)
    assert large.method.rule.name == "adam" and large.method.batch_size == plan.ADAM_ROWS
    assert large.method.seed == 3 and len(large.candidates) == 1


@pytest.mark.parametrize(
    ("n_weights", "projects", "expected"),
    [
        (plan.MATRIX_WEIGHTS, True, methods.LevenbergMarquardt()),
        (plan.MATRIX_WEIGHTS + 1, True, methods.LBFGS()),
        (10, False, methods.LBFGS()),
    ],
)
def test_few_weights_of_a_regression_are_trained_by_levenberg_marquardt(n_weights, projects, expected):
    """Where candidates are compared, by something quicker all the same."""
    assert plan.make(5_000, n_weights=n_weights, projects=projects).method == expected
    small = plan.make(500, n_weights=n_weights, projects=projects)
    assert small.method == expected and (small.comparing or small).method == methods.LBFGS()
    assert (small.comparing or small).max_steps == plan.CROSS_STEPS


@pytest.mark.parametrize(
    ("hidden", "widths"), [(7, (7,)), ((), ()), ([3, 2], (3, 2)), ((5,), (5,)), (None, (8,))], ids=str
)
def test_hidden_layers(hidden, widths):
    assert plan.make(100, hidden=hidden).candidates[-1].hidden == widths


@pytest.mark.parametrize("hidden", [0, -1, (3, 0), "16", True, 2.5, (2.5,), [[3]], 10**9], ids=str)
def test_hidden_layers_that_are_refused(hidden):
    with pytest.raises(SettingError, match="give widths of hidden layers"):
        plan.make(100, hidden=hidden)


@pytest.mark.parametrize(("l2", "penalties"), [(0, (0.0,)), (0.5, (0.5,)), ("auto", plan.PENALTIES)], ids=str)
def test_penalties_of_a_method_that_the_user_names(l2, penalties):
    made = plan.make(100, method="cg", l2=l2)
    assert made.candidates == tuple(((8,), value) for value in penalties) and made.folds == 0


def test_small_tables_choose_by_cross_validation_with_and_without_hidden_layer():
    made = plan.make(100)
    assert {hidden for hidden, _ in made.candidates} == {(), (8,)} and made.folds > 1
    for hidden in ((), (8,)):
        penalties = [l2 for given, l2 in made.candidates if given == hidden]
        assert penalties == sorted(penalties, reverse=True)  # the simplest first
        named = plan.make(100, hidden=hidden)
        assert set(named.candidates) >= {(hidden, l2) for l2 in penalties} and named.folds == made.folds
        assert {widths for widths, _ in named.candidates} == {hidden}


@pytest.mark.parametrize("said", [{"l2": 0.1}, {"method": "cg"}, {"method": methods.ConjugateGradient()}], ids=str)
def test_with_a_penalty_or_method_of_the_user_the_validation_rows_decide(said):
    made = plan.make(100, **said)
    assert made.folds == 0 and {hidden for hidden, _ in made.candidates} == {(8,)}


def test_larger_tables_compare_on_the_validation_rows():
    largest = plan.FOLDS[-1][0]
    assert plan.make(largest).folds > 0
    made = plan.make(largest + 1)
    assert made.folds == 0 and {hidden for hidden, _ in made.candidates} == {(), (32,)}


@pytest.mark.parametrize("l2", [-1, np.inf, np.nan, "much", True, None], ids=str)
def test_penalties_that_are_refused(l2):
    with pytest.raises(SettingError, match="l2 was"):
        plan.make(100, l2=l2)


def test_limits():
    made = plan.make(100, max_steps=7, max_seconds=2.5)
    assert made.max_steps == 7 and MaxSteps(7) in made.stop and MaxSeconds(2.5) in made.stop
    for limit in ({"max_steps": 0}, {"max_steps": -3}, {"max_seconds": 0}, {"max_seconds": float("nan")}):
        with pytest.raises(SettingError):
            plan.make(100, **limit)


def test_a_method_by_name_alias_and_object():
    assert plan.make(100, method="traingdx", settings={"learning_rate": 0.5}).method == methods.GradientDescent(
        learning_rate=0.5, momentum=0.9, adaptive=True
    )
    given = methods.Online(learning_rate=0.3, seed=8)
    assert plan.make(100, method=given, seed=2).method is given
    assert plan.make(100, method="online", seed=2).method.seed == 2
    assert plan.make(100, method="online", settings={"seed": 5}, seed=2).method.seed == 5


def test_an_epoch_of_online_training_is_never_called_stalled():
    stalled = [any(isinstance(rule, Stalled) for rule in plan.make(100, method=m).stop) for m in ("online", "cg")]
    assert stalled == [False, True]


def test_methods_that_are_refused():
    with pytest.raises(SettingError, match=r"Unknown method 'conjugate'.*Did you mean"):
        plan.make(100, method="conjugate")
    with pytest.raises(SettingError, match="Unknown setting of online 'rate'"):
        plan.make(100, method="online", settings={"rate": 1})
    with pytest.raises(SettingError, match="beta are for a method given by name"):
        plan.make(100, method=methods.ConjugateGradient(), settings={"beta": "dai_yuan"})


def test_a_method_that_finds_its_own_penalty_gets_none():
    made = plan.make(100, method="trainbr")
    assert [candidate.l2 for candidate in made.candidates] == [0.0]
    with pytest.raises(SettingError, match="finds its own penalty"):
        dr.fit({"x": range(40), "y": [i * 0.5 for i in range(40)]}, "y", method="trainbr", l2=0.1)
