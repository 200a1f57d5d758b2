"""Learning-rate schedules: the shape of each, and the memory of the one that listens."""

import itertools

import numpy as np
import pytest

from deltarule.errors import SettingError
from deltarule.methods import schedules
from deltarule.methods.schedules import SCHEDULES, Adaptive, Pace

EPOCHS = np.linspace(0, 300, 601)


def rates(schedule):
    return np.array([schedule.at(epoch) for epoch in EPOCHS])


def test_every_rate_is_positive_and_none_exceeds_the_peak(schedule):
    made = schedule(0.5)
    assert np.all(rates(made) > 0)
    assert rates(made).max() <= 0.5 * (1 + np.finfo(float).eps)
    assert np.array_equal(rates(schedule(1.0)), 2 * rates(made))  # the rate is a factor, and 2 is exact


def test_only_adaptive_listens(schedule):
    if schedule is not Adaptive:
        assert schedule().observe(Pace(), 1.0) == Pace()


def test_constant_and_adaptive_are_flat():
    assert set(rates(schedules.Constant(0.3))) == {0.3} == set(rates(Adaptive(0.3)))


def test_inverse_scaling():
    made = schedules.InverseScaling(1.0, power=0.5)
    assert [made.at(0), made.at(3), made.at(99)] == [1.0, 0.5, 0.1]


def test_step_decay():
    made = schedules.StepDecay(1.0, factor=0.5, every=10)
    assert [made.at(e) for e in (0, 9.99, 10, 19, 20, 35)] == [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]


def test_exponential_decay():
    made = schedules.ExponentialDecay(1.0, factor=0.5)
    assert [made.at(e) for e in (0, 1, 2, 0.5)] == [1.0, 0.5, 0.25, 0.5**0.5]


def test_cosine():
    made = schedules.Cosine(1.0, epochs=100, lowest=0.2)
    assert [made.at(0), made.at(100), made.at(500)] == [1.0, 0.2, 0.2]
    assert made.at(50) == pytest.approx(0.6, rel=1e-15)
    assert np.all(np.diff(rates(made)) <= 0)
    assert schedules.Cosine(1.0, epochs=100, lowest=0.0).at(100) == 0.0


def test_one_cycle():
    made = schedules.OneCycle(1.0, epochs=100)
    up, down = made.at(0), made.at(100)
    assert up == pytest.approx(1 / 25, rel=1e-15)
    assert made.at(30) == 1.0
    assert down == made.at(1000) == pytest.approx(1e-4, rel=1e-12)
    peak = rates(made).argmax()
    assert np.all(np.diff(rates(made)[: peak + 1]) > 0)
    assert np.all(np.diff(rates(made)[peak:]) <= 0)


def test_start_large():
    made = schedules.StartLarge(1.0, epochs=100, end=0.5)
    assert [made.at(e) for e in (0, 50, 100, 200)] == [1.0, 0.75, 0.5, 0.5]


def test_start_small_grows_stays_and_decreases():
    made = schedules.StartSmall(1.0, epochs=100, start=0.5, end=0.25)
    assert [made.at(e) for e in (0, 25, 50, 65, 80)] == [0.5, 0.75, 1.0, 1.0, 1.0]
    # 0.8 and 0.2 are rounded, and their quotient is wrong by a few times that
    assert [made.at(e) for e in (90, 100, 200)] == pytest.approx([0.625, 0.25, 0.25], abs=16 * np.finfo(float).eps)


def test_adaptive_slows_down_when_the_loss_stalls():
    made, factors = Adaptive(factor=0.5, patience=2, tolerance=0.01), []
    pace = Pace()
    for loss in [10, 9, 8, 7.99, 7.98, 5, 5, 5, 5, 5, 1]:
        pace = made.observe(pace, loss)
        factors.append(pace.factor)
    #                  10   9    8  7.99 7.98   5    5     5     5      5     1
    assert factors == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert pace == Pace(0.125, 1, 0)


def test_adaptive_goes_on_from_its_pace():
    made, losses = Adaptive(patience=2), [3.0, 3.0, 2.0, 2.5, 2.5, 2.5, 1.0, 1.0, 1.0]
    paces = list(itertools.accumulate(losses, made.observe, initial=Pace()))
    later = list(itertools.accumulate(losses[4:], made.observe, initial=Pace(*paces[4])))
    assert later == paces[4:]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("constant", {"rate": 0.0}),
        ("constant", {"rate": -1.0}),
        ("constant", {"rate": float("nan")}),
        ("constant", {"rate": "fast"}),
        ("step_decay", {"factor": 1.5}),
        ("step_decay", {"every": 0}),
        ("cosine", {"lowest": -0.1}),
        ("cosine", {"epochs": 0}),
        ("one_cycle", {"rise": 1.0}),
        ("start_small", {"start": 2.0}),
        ("adaptive", {"factor": 0.0}),
        ("adaptive", {"patience": 0}),
    ],
)
def test_settings_out_of_range_are_refused(name, settings):
    with pytest.raises(SettingError, match=f"{next(iter(settings))} of .* was .*; it is a number"):
        SCHEDULES[name](**settings)


def test_names_numbers_and_objects():
    assert schedules.get(0.5) == schedules.Constant(0.5)
    assert schedules.get("cosine(0.5)") == schedules.Cosine(0.5)
    assert schedules.get("cosine(0.5)", 30) == schedules.Cosine(0.5, 30)
    assert schedules.get("step_decay", 30) == schedules.StepDecay()
    assert schedules.get("cosine") == schedules.Cosine()
    assert schedules.get(schedules.Cosine(0.5)) == schedules.Cosine(0.5)


@pytest.mark.parametrize("schedule", ["cosin", None, [], schedules.Cosine])
def test_unknown_schedules_are_refused(schedule):
    with pytest.raises(SettingError, match=r"Unknown schedule .*Accepted: constant, inverse_scaling"):
        schedules.get(schedule)
