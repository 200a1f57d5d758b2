"""Stop rules: pure functions of the history, and what is refused."""

from itertools import pairwise

import pytest

from deltarule import stopping
from deltarule.errors import SettingError
from deltarule.record import Record
from deltarule.stopping import Goal, MaxFail, MaxPasses, MaxSeconds, MaxSteps, MinGrad, Reason, Stalled


def record(step=0, **values):
    blank = Record(step, 0.0, 0.0, 1.0, None, 1.0, 0, 0)
    return blank._replace(**values)


@pytest.mark.parametrize(
    ("rule", "goes_on", "stops", "reason"),
    [
        (MaxSteps(5), {"step": 4}, {"step": 5}, Reason.MAX_STEPS),
        (MaxPasses(2.5), {"passes": 2.4}, {"passes": 2.5}, Reason.MAX_STEPS),
        (MaxSeconds(1.0), {"seconds": 0.99}, {"seconds": 1.0}, Reason.MAX_SECONDS),
        (Goal(0.1), {"loss": 0.11}, {"loss": 0.1}, Reason.GOAL),
        (MinGrad(1e-3), {"gradient_size": 1e-3}, {"gradient_size": 9e-4}, Reason.MIN_GRAD),
        (MaxFail(3), {"fails": 2}, {"fails": 3}, Reason.VALIDATION),
    ],
)
def test_each_rule_at_its_border(rule, goes_on, stops, reason):
    assert rule([record(), record(**goes_on)]) is None
    assert rule([record(), record(**stops)]) is reason
    assert rule([record(**stops), record(**goes_on)]) is None  # the last record alone counts


def test_online_training_has_no_gradient_to_be_small():
    assert MinGrad(1e9)([record(gradient_size=None)]) is None


def test_a_loss_that_is_no_number_reaches_nothing():
    nan = record(loss=float("nan"), gradient_size=float("nan"))
    for rule in (Goal(1e9), MinGrad(1e9), Stalled(0.5, 1)):
        assert rule([nan, nan]) is None


def test_stalled_looks_back_over_its_steps():
    rule, losses = Stalled(share=0.01, steps=2), [10.0, 5.0, 4.0, 3.99, 3.98, 3.97]
    history = [record(i, loss=loss) for i, loss in enumerate(losses)]
    found = [rule(history[: i + 1]) for i in range(len(history))]
    # 4 → 3.98 are 0.02 in two steps, less than a hundredth of 3.98
    assert found == [None, None, None, None, Reason.STALLED, Reason.STALLED]


def test_stalled_with_negative_losses():
    falling = [record(i, loss=-1.0 - i) for i in range(5)]
    assert Stalled(0.1, 2)(falling) is None
    assert Stalled(0.1, 2)([record(loss=-5.0)] * 3) is Reason.STALLED


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (MaxSteps, 0),
        (MaxPasses, 0),
        (MaxSeconds, 0.0),
        (MaxSeconds, -1),
        (Goal, -1.0),
        (Goal, float("nan")),
        (MinGrad, -1),
        (MinGrad, "a"),
        (MaxFail, 0),
        (MaxSteps, 1.5),
        (MaxSteps, True),
        (Stalled, -0.1),
    ],
)
def test_settings_out_of_range_are_refused(rule, value):
    with pytest.raises(SettingError, match=r"was .*; it is a (whole )?number"):
        rule(value)


def test_the_list_of_reasons_is_closed_and_each_is_a_sentence():
    assert len(Reason) == 10
    assert len({reason.value for reason in Reason}) == 10
    for reason in Reason:
        assert reason.value[0].isupper()
        assert reason.value.endswith(".")
    assert all(a is not b for a, b in pairwise(Reason))
    assert stopping.Reason is Reason
