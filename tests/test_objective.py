"""The objective: mean loss plus penalty, and every refusal at its door."""

import numpy as np
import pytest

from checks import gradient_bound, make_case, reference_gradient, reference_loss, value_bound
from deltarule import Network, Objective
from deltarule.engines import Update
from deltarule.errors import InputError, SettingError
from deltarule.methods import rules
from deltarule.objective import predict
from problems import LINE, least_squares

NET = Network((2, 3, 1), ("tanh", "identity"))
X, T = [[0.0, 1.0], [2.0, 3.0]], [[1.0], [2.0]]


def of(case, **settings):
    return Objective(case.network, case.loss, case.rows.X, case.rows.T, **settings)


def test_it_is_the_weighted_mean_plus_the_penalty_on_all_but_biases():
    case = make_case(weighted=True)
    s, l2 = case.rows.s, 0.3
    objective = of(case, sample_weight=7 * s, l2=l2)  # only ratios of the weights matter
    free = case.network.is_bias()
    penalty = 0.5 * l2 * np.sum(case.w[~free] ** 2)
    value, grad = objective.value_grad(case.w)
    # a division, an addition and the scaling of s: 4 roundings more
    more = 4 * np.finfo(float).eps
    expected = reference_loss(case) / s.sum() + penalty
    assert abs(value - expected) <= value_bound(case) / s.sum() + more * expected
    assert objective.value(case.w) == pytest.approx(value, rel=more)
    expected = reference_gradient(case) / s.sum() + l2 * case.w * ~free
    assert np.all(np.abs(grad - expected) <= gradient_bound(case) / s.sum() + more * np.abs(case.w))
    assert objective.penalty(case.w) == pytest.approx(penalty, rel=case.network.n_weights * more)


def test_the_penalty_leaves_biases_free():
    plain, penalised = (Objective(NET, "squared_error", X, T, l2=l2) for l2 in (0.0, 2.0))
    w = NET.initial_weights(0, "uniform")
    free = NET.is_bias()
    difference = penalised.value_grad(w)[1] - plain.value_grad(w)[1]
    assert not difference[free].any()
    # the difference of two gradients and the product 2 w are each rounded
    scale = np.abs(plain.value_grad(w)[1]) + 4 * np.abs(w)
    assert np.all(np.abs(difference - 2 * w)[~free] <= 4 * np.finfo(float).eps * scale[~free])


def test_gauss_newton_with_penalty():
    case = make_case()
    plain, penalised = of(case), of(case, l2=0.5)
    value, grad, H = penalised.gauss_newton(case.w)
    extra = H - plain.gauss_newton(case.w)[2]
    eps = np.finfo(float).eps
    assert np.all(np.abs(extra - 0.5 * np.diag(~case.network.is_bias())) <= 2 * eps * (1 + np.abs(H)))
    assert value == pytest.approx(penalised.value(case.w), rel=8 * eps)
    assert np.all(np.abs(grad - penalised.value_grad(case.w)[1]) <= 2 * gradient_bound(case))
    v = np.random.default_rng(0).normal(size=case.w.shape)
    allowed = 2 * case.roundings() * eps * np.abs(H) @ np.abs(v)
    assert np.all(np.abs(penalised.gauss_newton_product(case.w, v) - H @ v) <= allowed + eps)


def test_one_gauss_newton_step_on_a_linear_network_is_least_squares():
    network = Network(LINE.sizes, LINE.activations)
    objective = Objective(network, LINE.loss, LINE.X, LINE.T)
    w = network.initial_weights(0)
    _, grad, H = objective.gauss_newton(w)
    best = least_squares(LINE)
    # normal equations: the error of the solution is at most cond(H) · u per rounding, here about 40 + p of them
    allowed = np.linalg.cond(H) * np.finfo(float).eps * (len(LINE.X) + len(w)) * np.abs(best).max()
    assert np.all(np.abs(w - np.linalg.solve(H, grad) - best) <= allowed)


def test_the_objective_penalises_its_epochs_itself():
    case = make_case("logistic")
    objective = of(case, l2=0.2)
    update, memory = Update(rules.Plain(), 0.1, 1, 99.0), np.zeros((0, 17))
    order = objective.order(0, 0)
    w = objective.epoch(case.w, memory, 0, order, update)[0]
    engine = objective.engine.epoch(case.w, memory, 0, objective.rows, order, update._replace(l2=0.2))[0]
    assert np.array_equal(w, engine)


def test_orders_are_functions_of_seed_and_epoch():
    objective = Objective(Network((1, 1)), "squared_error", np.zeros((50, 1)), np.zeros(50))
    orders = [tuple(objective.order(seed, epoch)) for seed in range(3) for epoch in range(3)]
    assert len(set(orders)) == 9
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] == tuple(objective.order(0, 0))
    assert objective.order(5, 7, shuffle=False).tolist() == list(range(50))


@pytest.mark.parametrize(
    ("X", "T", "message"),
    [
        ([[1.0], [2.0]], T, r"X has shape \(2, 1\); this network needs \(rows, 2\)"),
        ([1.0, 2.0], T, r"X has shape \(2,\)"),
        (X, [[1.0]], r"T has shape \(1, 1\); 2 rows of 1 targets are needed"),
        (X, [[1.0, 2.0], [1.0, 2.0]], r"T has shape \(2, 2\)"),
        (np.zeros((0, 2)), np.zeros((0, 1)), "There are no rows"),
        ([[0.0, np.nan], [2.0, 3.0]], T, r"X\[0, 1\] is nan, not a finite number; remove or rescale"),
        ([[0.0, 1.0], [-np.inf, 3.0]], T, r"X\[1, 0\] is -inf, not a finite number"),
        ([[0.0, 1.0], [1e308, 3.0]], T, r"X\[1, 0\] is 1e\+308, too large to square"),
        (X, [1.0, np.inf], r"T\[1, 0\] is inf, not a finite number"),
        (X, [1.0, -1e200], r"T\[1, 0\] is -1e\+200, too large to square"),
        ([["a", "b"], ["c", "d"]], T, "X is a list that does not turn into numbers"),
        (np.array([["a", "b"], ["c", "d"]]), T, "X holds .* values; numbers are needed"),
        (X, [None, 1.0], r"T\[0, 0\] is nan"),
        (np.array(X, dtype=np.float32), [1.0, 1e300], r"T\[1, 0\] is inf, not a finite number"),
        (np.array(X, dtype=np.float32) * np.float32(1e30), T, r"X\[0, 1\] is 1e\+30, too large to square"),
    ],
    ids=str,
)
def test_rows_that_cannot_be_used(X, T, message):
    with pytest.raises(InputError, match=message):
        Objective(NET, "squared_error", X, T)


@pytest.mark.parametrize(
    ("loss", "output", "T", "message"),
    [
        ("binary_cross_entropy", "logistic", [[0.0], [1.5]], r"accepts targets from 0 to 1; T goes from 0 to 1.5"),
        ("poisson", "exponential", [[-1.0], [1.0]], "accepts targets from 0 to inf; T goes from -1 to 1"),
        ("cross_entropy", "softmax", [[1.0], [0.5]], "needs targets that sum to 1 in every row"),
    ],
)
def test_targets_outside_the_range_of_the_loss(loss, output, T, message):
    with pytest.raises(InputError, match=message):
        Objective(Network((2, 1), (output,)), loss, X, T)


def test_shares_that_nearly_sum_to_one_are_made_to():
    """Otherwise t − y would not be the slope of the loss: here the difference would be 10⁻⁴ of it."""
    case = make_case("softmax", "cross_entropy", sizes=(2, 3), n=2)
    objective = Objective(case.network, case.loss, case.rows.X, [[0.3333, 0.3333, 0.3333], [1.0, 0.0, 0.0]])
    exact = Objective(case.network, case.loss, case.rows.X, [[1 / 3, 1 / 3, 1 / 3], [1.0, 0.0, 0.0]])
    grad, expected = objective.value_grad(case.w)[1], exact.value_grad(case.w)[1]
    assert np.all(np.abs(grad - expected) <= gradient_bound(case))
    hot = np.eye(3)[:2]
    assert np.shares_memory(Objective(case.network, case.loss, case.rows.X, hot).rows.T, hot)


@pytest.mark.parametrize(
    ("s", "message"),
    [
        ([1.0], r"sample_weight has shape \(1,\); \(2,\) is needed"),
        ([1.0, -1.0], "sample_weight must hold no negative number"),
        ([0.0, 0.0], "at least one above 0"),
        ([1.0, np.nan], r"sample_weight\[1\] is nan"),
    ],
)
def test_sample_weights_that_cannot_be_used(s, message):
    with pytest.raises(InputError, match=message):
        Objective(NET, "squared_error", X, T, sample_weight=s)


@pytest.mark.parametrize("l2", [-1.0, np.nan, np.inf, "a", None])
def test_penalties_that_cannot_be_used(l2):
    with pytest.raises(SettingError, match=r"l2 was .*; it is a number from 0 up"):
        Objective(NET, "squared_error", X, T, l2=l2)


def test_pairs_are_refused_before_the_rows_are_looked_at():
    with pytest.raises(SettingError, match="'poisson' does not work with 'identity' outputs"):
        Objective(NET, "poisson", None, None)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.nan, r"The weight hidden1\[0\] <- input\[0\] is not finite at the start \(nan\)"),
        (-1, np.inf, r"The weight output\[0\] <- bias is not finite"),
        (6, 1e200, r"The weight hidden1\[0\] <- bias is too large to square at the start"),
    ],
)
def test_weights_that_cannot_be_used(place, value, message):
    objective, w = Objective(NET, "squared_error", X, T), NET.initial_weights(0)
    w[place] = value
    with pytest.raises(InputError, match=message):
        objective.weights(w)


def test_weights_of_another_network_are_refused():
    objective = Objective(NET, "squared_error", X, T)
    with pytest.raises(InputError, match=r"w has shape \(12,\); this network needs \(13,\)"):
        objective.weights(np.zeros(12))
    with pytest.raises(InputError, match=r"w has shape \(12,\)"):
        predict(NET, np.zeros(12), X)


def test_weights_are_copied_into_the_type_of_the_rows():
    objective = Objective(NET, "squared_error", np.array(X, dtype=np.float32), T)
    w = NET.initial_weights(0)
    taken = objective.weights(w)
    assert taken.dtype == np.float32
    assert objective.value_grad(w)[1].dtype == np.float32
    assert objective.memory(2).shape == (2, 13)
    assert objective.memory(2).dtype == np.float32
    again = Objective(NET, "squared_error", X, T).weights(w)
    assert not np.shares_memory(again, w)


def test_lists_integers_and_booleans_become_numbers():
    given = [X, np.array(X, dtype=int), np.array(X, dtype=np.float16)]
    w = NET.initial_weights(0)
    values = {Objective(NET, "squared_error", x, np.array([True, False])).value(w) for x in given}
    assert len(values) == 1


def test_curvature_is_known_beforehand():
    assert Objective(NET, "huber", X, T).has_curvature
    assert not Objective(NET, "absolute_error", X, T).has_curvature


def test_predict_checks_its_inputs():
    w = NET.initial_weights(0)
    assert predict(NET, w, X).shape == (2, 1)
    with pytest.raises(InputError, match=r"X\[0, 0\] is nan"):
        predict(NET, w, [[np.nan, 0.0]])
