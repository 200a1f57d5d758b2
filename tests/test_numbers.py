"""Numbers that cannot be computed with: refused by name at the door, and in training found where they first appear."""

import re
from dataclasses import MISSING, fields
from math import inf, isfinite, nan

import numpy as np
import pytest

import deltarule as dr
from deltarule import stopping
from deltarule.errors import InputError, SettingError, TableError, TrainingError
from deltarule.methods import METHODS, Online
from deltarule.methods.line_search import StrongWolfe
from deltarule.methods.rules import RULES
from deltarule.methods.schedules import SCHEDULES
from deltarule.stopping import MaxFail, MaxSteps, MinGrad, Reason
from problems import SINE

x = np.linspace(-2, 2, 60)
y = np.sin(2 * x)
QUICK = {"method": "cg", "l2": 0.0, "max_steps": 10, "hidden": 4}

# At the door: tables


def score(**columns):
    """R² of a model of these columns."""
    return dr.fit(columns, "y", **QUICK).training.scores["training"]["r2"]


@pytest.mark.promise("P6")
@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("factor", [5e299, 1e200, 1e155, 1e-155, 1e-300, 1e-307])
def test_columns_of_any_size_are_learnt_alike(factor, scaling):
    """Scaling neither overflows nor vanishes, and neither do scores: numbers up to 1e300, and down to where bits go."""
    plain = dr.fit({"x": x, "y": y}, "y", scaling=scaling, **QUICK)
    sized = dr.fit({"x": x * factor, "y": y * factor}, "y", scaling=scaling, **QUICK)
    ours, theirs = (model.training.scores["training"] for model in (plain, sized))
    assert theirs["r2"] == pytest.approx(ours["r2"], abs=1e-6)
    assert theirs["rmse"] == pytest.approx(ours["rmse"] * factor, rel=1e-4)
    predicted = sized.predict({"x": x * factor})
    assert np.isfinite(predicted).all()
    assert np.allclose(predicted / factor, plain.predict({"x": x}), rtol=0, atol=1e-3)


@pytest.mark.promise("P6")
def test_subnormal_columns():
    few = x * 5e-323  # a few dozen different numbers are left of sixty
    assert 0.1 < score(x=few, y=y) <= 1 and 0.1 < score(x=x, y=np.rint(y * 20) * 5e-324) <= 1


BAD_CELLS = {"inf": inf, "-inf": -inf, "1e301": 1e301, "1e308": 1e308, "-1.7e308": -1.7e308}


@pytest.mark.promise("P6")
@pytest.mark.parametrize("column", ["x", "y"])
@pytest.mark.parametrize("cell", BAD_CELLS)
def test_a_cell_is_refused_with_column_and_row(tmp_path, column, cell):
    columns = {"x": x.copy(), "y": y.copy()}
    columns[column][17] = BAD_CELLS[cell]
    words = rf"Column '{column}' of .* holds {re.escape(f'{BAD_CELLS[cell]:g}')} in row 18"
    with pytest.raises(TableError, match=words):
        dr.fit(columns, "y", **QUICK)
    np.savetxt(
        tmp_path / "t.csv", np.column_stack([columns["x"], columns["y"]]), "%.17g", ",", header="x,y", comments=""
    )
    with pytest.raises(TableError, match=words):
        dr.fit(tmp_path / "t.csv", "y", **QUICK)
    if column == "x":
        model = dr.fit({"x": x, "y": y}, "y", **QUICK)
        with pytest.raises(TableError, match=words):
            model.predict(columns)


@pytest.mark.promise("P6")
@pytest.mark.parametrize("column", ["x", "y"])
def test_what_is_not_scaled_must_be_small_enough_to_square(column):
    columns = {"x": x.copy(), "y": y.copy()}
    columns[column][40] = -1e200
    with pytest.raises(
        TableError, match=rf"Column '{column}' .* -1e\+200 in row 41.*too large to square.*another scaling"
    ):
        dr.fit(columns, "y", scaling="none", **QUICK)
    with pytest.raises(TableError, match=r"Column 'x' of .* holds 1e\+300 in row 1, too far from what the model was"):
        dr.fit({"x": x * 1e-9, "y": y}, "y", **QUICK).predict({"x": [1e300]})


# At the door: arrays and settings


@pytest.mark.promise("P6")
@pytest.mark.parametrize("number", [nan, inf, -inf, 1e155, 10**400], ids=str)
def test_arrays_are_refused_with_row_and_column(number):
    network = dr.Network((2, 3, 1))
    X, T = np.ones((5, 2)).tolist(), np.ones(5).tolist()
    for part, place in (("X", r"X\[3, 1\]"), ("T", r"T\[3, 0\]"), ("s", r"sample_weight\[3\]")):
        given = {"X": [row[:] for row in X], "T": T[:], "s": [1.0] * 5}
        if part == "X":
            given["X"][3][1] = number
        else:
            given[part][3] = number
        words = rf"{'sample_weight' if part == 's' else part} holds a number too large" if number == 10**400 else place
        with pytest.raises(InputError, match=words):
            dr.Objective(network, "squared_error", given["X"], given["T"], sample_weight=given["s"])


@pytest.mark.promise("P6")
@pytest.mark.parametrize("number", [nan, inf, 1e155])
def test_initial_weights_are_refused_by_name(number):
    objective = dr.Objective(dr.Network(SINE.sizes), SINE.loss, SINE.X, SINE.T)
    w = objective.network.initial_weights(0)
    w[7] = number
    with pytest.raises(InputError, match=re.escape(objective.network.weight_name(7))):
        dr.train(objective, w)


MADE = [*METHODS.values(), *RULES.values(), *SCHEDULES.values(), StrongWolfe, stopping.MaxSteps,
        stopping.MaxPasses, stopping.MaxSeconds, stopping.Goal, stopping.MinGrad, stopping.MaxFail,
        stopping.Stalled]  # fmt: skip
COUNTS = (
    "steps", "checks", "batch_size", "seed", "rows_per_step", "memory", "restart_every", "max_products", "max_trials"
)  # fmt: skip
"""Whole numbers, which Python holds however long they are."""
SETTINGS = [(made, row.name) for made in MADE for row in fields(made) if row.init]


@pytest.mark.promise("P6")
@pytest.mark.parametrize(("made", "name"), SETTINGS, ids=lambda value: getattr(value, "__name__", value))
def test_settings_that_are_no_numbers_are_refused(made, name):
    needed = {row.name: 1 for row in fields(made) if row.init and row.default is MISSING}
    for number in (nan, inf, -inf, *(() if name in COUNTS else (10**400, -(10**400)))):
        with pytest.raises(SettingError, match=re.escape(str(number)[:20])):
            made(**needed | {name: number})


# In training


def far(rate_or_method):
    """A run that must end with a number that is not finite, or not at all."""
    objective = dr.Objective(dr.Network(SINE.sizes, ("relu", "identity")), SINE.loss, 10 * SINE.X, SINE.T)
    w = objective.network.initial_weights(0)
    return objective, w, dr.train(objective, w, rate_or_method, [MaxSteps(60), MinGrad(), MaxFail(20)])


DIVERGING = {
    "plain": Online(10.0),
    "momentum": Online(10.0, rule="momentum"),
    "nesterov": Online(10.0, rule="nesterov"),
    "mini-batches": Online(10.0, batch_size=5),
    "gradient_descent": dr.methods.GradientDescent(10.0),
}


@pytest.mark.promise("P6")
@pytest.mark.parametrize("name", DIVERGING)
def test_a_rate_a_thousand_times_too_large_is_named_and_the_last_finite_weights_are_kept(name):
    objective, _, result = far(DIVERGING[name])
    assert result.reason is Reason.NON_FINITE and not result.converged
    online = isinstance(DIVERGING[name], Online)
    place = r"(hidden1|output)\[\d\]"
    what = rf"(The neuron {place} .* for row \d+|The (weight|gradient at|loss).*)"
    when = r".* in epoch \d+" if online else ""
    assert re.match(what + when, result.message), result.message
    assert "the weights from before are kept" in result.message
    assert np.isfinite(result.w).all() and isfinite(result.loss)
    assert all(isfinite(record.loss) for record in result.history)
    assert result.step == len(result.history) - 1 and np.array_equal(result.w, result.state.w)
    assert isfinite(objective.value(result.w)) or result.step > 0


@pytest.mark.promise("P6")
@pytest.mark.parametrize("factor", [1e3, 1e9, 1e100])
def test_no_method_converges_on_a_loss_that_is_not_finite(method_name, factor):
    """Inputs as large as they may be: whatever happens is told as what it is."""
    if method_name == "bayesian_regularization" and factor > 1e9:
        factor = 1e9
    objective = dr.Objective(dr.Network(SINE.sizes, ("relu", "identity")), SINE.loss, SINE.X * factor, SINE.T * factor)
    w = objective.network.initial_weights(0)
    result = dr.train(objective, w, method_name, [MaxSteps(30), MinGrad()])
    assert np.isfinite(result.w).all()
    if not isfinite(result.loss) or result.reason is Reason.NON_FINITE:
        assert not result.converged and result.message != Reason.NON_FINITE.value
    assert all(isfinite(record.loss) for record in result.history)


@pytest.mark.promise("P6")
def test_a_memory_that_overflows_is_no_standstill():
    """Adam divides by it: an infinite one would stop the weights without a word."""
    X, T = np.full((4, 1), 1e15, np.float32), np.full((4, 1), 1e18, np.float32)
    objective = dr.Objective(dr.Network((1, 1)), "squared_error", X, T)
    for rule in ("adam", "rmsprop"):
        result = dr.train(objective, np.zeros(2), Online(0.01, rule=rule), [MaxSteps(5)])
        assert result.reason is Reason.NON_FINITE
        assert result.message.startswith(
            "The rule's memory of the gradient at output[0] <- input[0] became inf in epoch 1"
        )
        assert np.isfinite(result.w).all() and result.w.dtype == np.float32


@pytest.mark.promise("P6")
def test_validation_rows_beyond_all_numbers_are_no_minimum():
    network = dr.Network(SINE.sizes, ("relu", "identity"))
    objective = dr.Objective(network, SINE.loss, SINE.X, SINE.T)
    beyond = dr.Objective(network, SINE.loss, SINE.X * 1e154, SINE.T)
    with np.errstate(over="ignore"):
        result = dr.train(objective, network.initial_weights(0), "cg", [MaxFail(3)], beyond)
    checked = result.history[result.step].validation_loss
    assert np.isfinite(result.w).all() and (isfinite(checked) or not result.converged)


@pytest.mark.promise("P6")
def test_a_fit_that_diverges_says_where():
    with pytest.raises(TrainingError, match=r"Nothing was learnt: .*(neuron|weight|loss).* in epoch 1"):
        dr.fit({"x": x, "y": y}, "y", method="online", settings={"learning_rate": 1e9}, l2=0.0, hidden=4)
