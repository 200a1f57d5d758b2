"""Losses against mpmath: values, signals and curvatures, accepted targets and pairs, parameters."""

import pickle

import mpmath
import numpy as np
import pytest
from mpmath import mp

import reference
from checks import make_targets
from deltarule import losses
from deltarule.activations import ACTIVATIONS
from deltarule.errors import SettingError
from deltarule.losses import LOSSES

U = np.finfo(float).eps / 2
LEAST = 4 * np.finfo(float).smallest_subnormal
ARRIVES = [-1e3, -700.0, -40.0, -3.3, -0.4, 1e-9, 0.8, 2.9, 40.0, 700.0, 1e3]
SINGLE = [row for row in LOSSES.values() if row.name != "cross_entropy"]


def exact_loss(loss, y, t):
    """Return the loss of one output in mpmath's numbers; the reference's t log t is a float."""

    def t_log(a, b):
        return a * mpmath.log(b) if a > 0 else mpmath.mpf(0)

    if loss.name == "binary_cross_entropy":
        return t_log(t, t) - t_log(t, y) + t_log(1 - t, 1 - t) - t_log(1 - t, 1 - y)
    if loss.name == "poisson":
        return y - t_log(t, y) + t_log(t, t) - t
    return reference.LOSSES[loss.name][0](reference.EXACT, y, t, loss.parameter)


def exact(loss, e, t):
    """Return loss, slope and curvature by what arrives where the loss fuses, by the output elsewhere."""

    def value(at):
        y = reference.put_out(reference.EXACT, loss.accepts[0], [at])[0] if loss.fused else at
        return exact_loss(loss, y, t)

    return value(e), mp.diff(value, e), mp.diff(value, e, 2)


def largest_inside(loss, e, y, t):
    """Return the size of the largest number that a loss subtracts from another and rounds."""
    if loss.name == "poisson":
        return y + abs(t * e) + t + (t * abs(np.log(t)) if t else 0)
    soft = loss.name == "binary_cross_entropy" and 0 < t < 1
    return float(soft or (loss.name == "log_cosh" and abs(y - t) >= 1))


def targets(loss):
    ends = {"binary_cross_entropy": [0.0, 1.0, 0.25], "poisson": [0.0, 1.0, 7.0]}
    return ends.get(loss.name) or make_targets(loss, 4, 1, np.random.default_rng(0)).ravel().tolist()


@pytest.mark.parametrize("loss", SINGLE, ids=lambda row: row.name)
def test_value_signal_and_curvature(loss):
    for e in [e for e in ARRIVES if loss.name != "poisson" or e < 700]:
        for t in targets(loss):
            with mp.workdps(1000):
                value, slope, curvature = exact(loss, mpmath.mpf(e), mpmath.mpf(t))
            at = np.array([[e]])
            y = ACTIVATIONS[loss.accepts[0]].f(np, at) if loss.fused else at
            given = (np, at, y, np.array([[t]]), loss.parameter or 0.0)
            inside = largest_inside(loss, e, float(y[0, 0]), t)
            # e and t are rounded 4 times, magnified by slope and curvature; 8 are the formula's own.
            shift = 4 * U * (abs(e) + abs(t))
            error = abs(loss.value(*given).item() - value)
            assert error <= 8 * U * (value + inside) + shift * abs(slope) + LEAST, (e, t)
            subtracted = 4 * U * (y.item() + t) if loss.fused else 0.0
            error = abs(loss.signal(*given).item() + slope)
            assert error <= 8 * U * abs(slope) + shift * abs(curvature) + subtracted + LEAST, (e, t)
            if loss.curvature is not None:
                # relative accuracy in saturation too: 100 = 2/SATURATED, and e is in an exponential
                error = abs(loss.curvature(*given).item() - curvature)
                assert error <= (100 + 8 * (abs(e) + abs(t))) * U * curvature + LEAST, (e, t)


E_ROWS = [[0.3, -0.2, 1.1], [1e3, 0.0, -1e3], [700.0, 699.0, 0.0], [-40.0, 40.0, 0.0]]
T_ROWS = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.25, 0.25, 0.5]]


@pytest.mark.parametrize("e", E_ROWS, ids=str)
@pytest.mark.parametrize("t", T_ROWS, ids=str)
def test_cross_entropy(e, t):
    loss, softmax = LOSSES["cross_entropy"], ACTIVATIONS["softmax"]
    E, T = np.array([e]), np.array([t])
    Y = softmax.f(np, E)
    with mp.workdps(1000):
        y = reference.put_out(reference.EXACT, "softmax", [mpmath.mpf(ek) for ek in e])
        value = sum(tk * (mpmath.log(tk) - mpmath.log(yk)) for tk, yk in zip(t, y, strict=True) if tk > 0)
    spread = max(e) - min(e)
    assert abs(loss.value(np, E, Y, T, 0.0).sum() - value) <= 8 * U * (value + spread + 1)
    # y is wrong by the rounding of e − max(e), in an exponential
    signal = loss.signal(np, E, Y, T, 0.0)[0]
    for k in range(3):
        assert abs(signal[k] - (t[k] - y[k])) <= U * ((8 + spread) * y[k] + t[k]) + LEAST


def test_no_logarithm_of_zero_warns():
    E, hopeless = np.array([[1e3, -1e3]]), np.array([[0.0, 1.0]])
    for name in ("cross_entropy", "binary_cross_entropy"):
        loss = LOSSES[name]
        y = ACTIVATIONS[loss.accepts[0]].f(np, E)
        assert np.isfinite(loss.value(np, E, y, hopeless, 0.0)).all()
        assert loss.value(np, E, y, 1 - hopeless, 0.0).sum() == 0.0


def test_a_perfect_prediction_costs_nothing(loss):
    t = make_targets(loss, 6, 3, np.random.default_rng(1))
    with np.errstate(divide="ignore"):
        inverse = {
            "poisson": np.log,
            "cross_entropy": np.log,
            "binary_cross_entropy": lambda t: np.log(t) - np.log1p(-t),
        }
        e = np.clip(inverse[loss.name](t), -800, 800) if loss.fused else t
    y = ACTIVATIONS[loss.accepts[0]].f(np, e) if loss.fused else t
    value = loss.value(np, e, y, t, loss.parameter or 0.0).sum(axis=1)
    # t log t and t log y, each rounded 4 times, cancel; so do y and t
    terms = np.sum(np.abs(t * e) + 2 * np.abs(t) + 1, axis=1) if loss.fused else 0.0
    assert np.all(np.abs(value) <= 8 * U * terms)


def test_huge_residuals_do_not_overflow_before_they_must():
    far = np.array([[1e200]])
    for name in ("absolute_error", "huber", "log_cosh", "quantile"):
        loss = LOSSES[name]
        given = (np, far, far, -far, loss.parameter or 0.0)
        assert np.isfinite(loss.value(*given)).all()
        assert abs(loss.signal(*given)).item() <= 1
        assert loss.curvature is None or loss.curvature(*given).item() == 0


def test_pairs(loss, activation):
    if not loss.accepts or activation.name in loss.accepts:
        loss.check_pair(activation)
    else:
        with pytest.raises(SettingError, match=f"accepts {loss.accepts[0]}.*squared_error accepts every"):
            loss.check_pair(activation)
    assert loss.fuses(activation) == (activation.name in loss.fused)


def test_parameters():
    assert losses.get("huber(0.5)").parameter == 0.5
    assert losses.get("quantile(0.9)") == losses.get("quantile")(0.9)
    assert losses.get("pinball(0.1)").name == "quantile"
    assert str(losses.get("huber(0.1)")) == "huber(0.1)"
    huber, quantile = losses.get("huber(0.5)"), losses.get("quantile(0.9)")
    zero, three = np.zeros((1, 1)), np.full((1, 1), 3.0)
    assert huber.value(np, three, three, zero, 0.5).item() == 0.5 * (3.0 - 0.25)
    assert quantile.value(np, zero, zero, three, 0.9).item() == 0.9 * 3.0


@pytest.mark.parametrize("name", ["quantile(1)", "quantile(0)", "huber(-1)", "huber(nan)", "huber(inf)"])
def test_parameters_out_of_range_are_refused(name):
    with pytest.raises(SettingError, match=r"The parameter of .* lies between 0 and"):
        losses.get(name)


@pytest.mark.parametrize("name", ["huber()", "huber(a)", "huber(", "huber(1", "huber(1))", "huber(1)x"])
def test_half_written_parameters_are_refused(name):
    with pytest.raises(SettingError, match="not a name with a number, as in"):
        losses.get(name)


def test_a_loss_without_parameter_takes_none():
    with pytest.raises(SettingError, match="has no parameter, but 2"):
        losses.get("squared_error(2)")


@pytest.mark.parametrize("name", ["squared_eror", "", None, 7])
def test_unknown_losses_are_refused_with_the_accepted_ones(name):
    with pytest.raises(SettingError, match=r"Unknown loss .*Accepted: squared_error, absolute_error"):
        losses.get(name)


def test_aliases_and_pickling(loss):
    assert losses.get(loss.name) is loss
    assert losses.get(loss) is loss
    for alias, name in losses.ALIASES.items():
        assert losses.get(alias) is LOSSES[name]
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert pickle.loads(pickle.dumps(losses.get("huber(0.3)"))).parameter == 0.3
