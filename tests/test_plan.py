"""What is done with a table when the user has not said, and what he may say."""

import numpy as np
import pytest

from deltarule import methods, plan
from deltarule.errors import SettingError
from deltarule.stopping import MaxFail, MaxSeconds, MaxSteps, Stalled


@pytest.mark.parametrize("n_rows", [1, 50, 200, 201, 1_000, 10_000, 20_000, 20_001, 100_000])
def test_any_number_of_rows_has_a_plan(n_rows):
    made = plan.make(n_rows)
    assert made.max_steps == next(rule.steps for rule in made.stop if isinstance(rule, MaxSteps))
    assert any(isinstance(rule, MaxFail) for rule in made.stop)
    assert made.penalties and all(l2 > 0 for l2 in made.penalties)
    assert len(made.hidden) == 1


def test_more_rows_never_mean_a_narrower_layer():
    widths = [plan.make(n).hidden[0] for n in (10, 200, 201, 1_000, 1_001, 10_000, 10_001, 10**6)]
    assert widths == sorted(widths) and widths[0] < widths[-1] == plan.WIDEST


def test_small_tables_are_trained_in_batch_and_large_ones_in_mini_batches():
    assert plan.make(plan.BATCH_ROWS).method == methods.ConjugateGradient()
    large = plan.make(plan.BATCH_ROWS + 1, seed=3)
    assert large.method.rule.name == "adam" and large.method.batch_size == plan.ADAM_ROWS
    assert large.method.seed == 3 and len(large.penalties) == 1


@pytest.mark.parametrize(
    ("hidden", "widths"), [(7, (7,)), ((), ()), ([3, 2], (3, 2)), ((5,), (5,)), (None, (8,))], ids=str
)
def test_hidden_layers(hidden, widths):
    assert plan.make(100, hidden=hidden).hidden == widths


@pytest.mark.parametrize("hidden", [0, -1, (3, 0), "16", True, 2.5, (2.5,), [[3]], 10**9], ids=str)
def test_hidden_layers_that_are_refused(hidden):
    with pytest.raises(SettingError, match="give widths of hidden layers"):
        plan.make(100, hidden=hidden)


@pytest.mark.parametrize(("l2", "penalties"), [(0, (0.0,)), (0.5, (0.5,)), ("auto", plan.PENALTIES)], ids=str)
def test_penalties(l2, penalties):
    assert plan.make(100, l2=l2).penalties == penalties


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
