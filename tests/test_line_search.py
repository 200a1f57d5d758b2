"""The line search: strong Wolfe points on many functions of one variable, barriers among them."""

from math import cos, exp, inf, isfinite, log, nan, pi, sin, sqrt

import numpy as np
import pytest

from deltarule.errors import SettingError
from deltarule.methods.line_search import HIDDEN, StrongWolfe


class Line:
    """A function of one variable as an objective, which remembers where it was evaluated."""

    def __init__(self, f, df):
        self.f, self.df, self.tried = f, df, []

    def value_grad(self, w):
        x = float(w[0])
        self.tried.append(x)
        return self.f(x), np.array([self.df(x)])

    def search(self, at, first=1.0, **settings):
        w = np.array([at])
        loss, grad = self.value_grad(w)
        direction = -np.sign(grad)
        slope = float(grad @ direction)
        return StrongWolfe(**settings)(self, w, loss, slope, direction, first), loss, slope


def yanai(x, b1, b2):
    """Moré and Thuente's (1994) functions 4 to 6, by Yanai, Ozawa and Kaneko."""
    g1, g2 = (sqrt(1 + b * b) - b for b in (b1, b2))
    return g1 * sqrt((1 - x) ** 2 + b2 * b2) + g2 * sqrt(x * x + b1 * b1)


def yanai_slope(x, b1, b2):
    g1, g2 = (sqrt(1 + b * b) - b for b in (b1, b2))
    return g1 * (x - 1) / sqrt((1 - x) ** 2 + b2 * b2) + g2 * x / sqrt(x * x + b1 * b1)


def beyond(limit, f, value):
    """Return f up to a barrier, and nothing usable beyond it."""
    return lambda x: f(x) if x < limit else value


def wavy(x):
    """Moré and Thuente's function 3: a parabola-like well under a fast ripple."""
    smooth = (x - 1) ** 2 / 0.02 + 0.005 if abs(x - 1) <= 0.01 else abs(x - 1)
    return smooth + 2 * 0.99 / (39 * pi) * sin(39 * pi / 2 * x)


def wavy_slope(x):
    return (
        (x - 1) / 0.01 * (abs(x - 1) <= 0.01) + (abs(x - 1) > 0.01) * ((x > 1) - (x < 1)) + 0.99 * cos(39 * pi / 2 * x)
    )


FUNCTIONS = {
    "parabola": (lambda x: (x - 3) ** 2, lambda x: 2 * (x - 3)),
    "below_zero": (lambda x: (x - 3) ** 2 - 100, lambda x: 2 * (x - 3)),
    "quartic": (lambda x: (x - 3) ** 4, lambda x: 4 * (x - 3) ** 3),
    "flat_floor": (lambda x: log(1 + (x - 2) ** 2), lambda x: 2 * (x - 2) / (1 + (x - 2) ** 2)),
    "well": (lambda x: -x / (x * x + 2), lambda x: (x * x - 2) / (x * x + 2) ** 2),
    "steep_well": (
        lambda x: (x + 0.004) ** 5 - 2 * (x + 0.004) ** 4,
        lambda x: 5 * (x + 0.004) ** 4 - 8 * (x + 0.004) ** 3,
    ),
    "wavy": (wavy, wavy_slope),
    "yanai4": (lambda x: yanai(x, 0.001, 0.001), lambda x: yanai_slope(x, 0.001, 0.001)),
    "yanai5": (lambda x: yanai(x, 0.01, 0.001), lambda x: yanai_slope(x, 0.01, 0.001)),
    "yanai6": (lambda x: yanai(x, 0.001, 0.01), lambda x: yanai_slope(x, 0.001, 0.01)),
    "two_wells": (lambda x: cos(x) + 0.05 * (x - 4) ** 2, lambda x: -sin(x) + 0.1 * (x - 4)),
    "logarithm": (lambda x: x - log(x + 1) if x > -1 else nan, lambda x: 1 - 1 / (x + 1) if x > -1 else nan),
    "nan_beyond": tuple(beyond(5, f, nan) for f in (lambda x: (x - 3) ** 2, lambda x: 2 * (x - 3))),
    "inf_beyond": tuple(beyond(3.2, f, inf) for f in (lambda x: (x - 3) ** 2, lambda x: 2 * (x - 3))),
    "slope_nan_beyond": (lambda x: (x - 3) ** 2, beyond(4, lambda x: 2 * (x - 3), nan)),
    "minus_inf_beyond": tuple(beyond(4, f, -inf) for f in (lambda x: (x - 3) ** 2, lambda x: 2 * (x - 3))),
    "overflow": (lambda x: exp(x) - 5 * x if x < 700 else inf, lambda x: exp(x) - 5 if x < 700 else inf),
}
STARTS = {"logarithm": 4.0, "wavy": 0.0, "steep_well": 0.0}
FIRST = [1e-6, 1e-2, 1.0, 10.0, 1e4]


@pytest.fixture(params=FUNCTIONS)
def name(request):
    return request.param


@pytest.mark.promise("P11")
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize(("c1", "c2"), [(1e-4, 0.1), (1e-4, 0.9), (0.1, 0.4), (1e-4, 1e-3)])
def test_wolfe_conditions_hold_where_they_are_claimed(name, first, c1, c2):
    line = Line(*FUNCTIONS[name])
    (point, wolfe), loss, slope = line.search(STARTS.get(name, 0.1), first, c1=c1, c2=c2, max_trials=60)
    assert wolfe, f"none found in {len(line.tried)} trials"
    asked = -c1 * point.step * slope
    assert point.loss <= loss - asked or (asked <= HIDDEN * abs(loss) and point.loss <= loss)
    assert abs(point.slope) <= c2 * abs(slope)
    x = float(point.w[0])
    assert (point.loss, point.grad[0]) == (line.f(x), line.df(x))


@pytest.mark.promise("P11")
@pytest.mark.parametrize("max_trials", [1, 2, 3, 5, 30])
def test_what_is_returned_is_finite_lower_and_within_the_trials(name, max_trials):
    line = Line(*FUNCTIONS[name])
    (point, wolfe), loss, _ = line.search(STARTS.get(name, 0.1), 50.0, max_trials=max_trials)
    assert len(line.tried) <= 1 + max_trials
    if point is None:
        assert not wolfe
    else:
        assert point.step > 0
        assert all(isfinite(value) for value in (point.loss, point.slope, *point.w, *point.grad))
        assert point.loss < loss


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_nothing_finite_anywhere_is_no_success(bad):
    line = Line(lambda x: 1.0 if x == 0 else bad, lambda x: -1.0 if x == 0 else bad)
    (point, wolfe), _, _ = line.search(0.0)
    assert point is None
    assert not wolfe


@np.errstate(over="ignore")
def test_weights_that_overflow_are_never_returned():
    """A surface that saturates stays finite where the weights themselves are no longer."""
    line = Line(lambda x: 1 / (1 + x) if isfinite(x) else 0.0, lambda x: -1 / (1 + x) ** 2 if x < 1e150 else -0.0)
    (point, _), _, _ = line.search(0.0, 1e200)
    assert point is None or isfinite(float(point.w @ point.w))


def test_a_function_without_minimum_gives_a_lower_point():
    (point, wolfe), loss, _ = Line(lambda x: -x, lambda x: -1.0).search(0.0)
    assert not wolfe
    assert point.loss < loss


def test_rounding_at_the_bottom_does_not_stop_it():
    """Near the minimum of 1 + x², where the loss no longer changes, the slope still leads down."""
    line = Line(lambda x: 1 + x * x, lambda x: 2 * x)
    (point, wolfe), loss, slope = line.search(1e-9, 1e-10)
    assert wolfe
    assert point.loss <= loss
    assert abs(point.slope) <= 0.1 * abs(slope)


def test_a_flat_line_ends():
    line = Line(lambda x: 1.0, lambda x: -1e-20)
    (point, _), loss, _ = line.search(0.0, max_trials=100)
    assert point is None or point.loss <= loss


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"c1": 0.0}, "0 < c1 < c2 < 1 is needed"),
        ({"c1": 0.5, "c2": 0.4}, "c1 and c2 were 0.5 and 0.4"),
        ({"c2": 1.0}, "0 < c1 < c2 < 1 is needed"),
        ({"c1": nan}, "0 < c1 < c2 < 1 is needed"),
        ({"max_trials": 0}, "max_trials was 0; it is a whole number from 1 up"),
        ({"max_trials": 2.5}, "max_trials was 2.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        StrongWolfe(**settings)
