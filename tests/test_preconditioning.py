"""Where a search begins, and how its directions are measured."""

import subprocess
import sys
import tracemalloc
from itertools import islice

import numpy as np
import pytest

from deltarule import Network, Objective, preconditioning, steps, train
from deltarule.beginning import COST, SHARES
from deltarule.methods import LBFGS, METHODS, ConjugateGradient, NewtonCG, Rprop, ScaledConjugateGradient
from deltarule.methods.betas import BETAS
from deltarule.preconditioning import RAISE, SAMPLE, Preconditioned
from deltarule.stopping import Goal, MaxPasses, MaxSteps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
T = np.sin(X[:, :2]) + 0.3 * X[:, 1:]
METHODS_THAT_ASK = [
    LBFGS(), LBFGS(memory=3), LBFGS(reach=0.0), ConjugateGradient(), ScaledConjugateGradient(),
    *(ConjugateGradient(beta) for beta in BETAS),
]  # fmt: skip


def objective_of(sizes=(3, 5, 2), targets=T, n=60, **settings):
    network = Network(sizes)
    objective = Objective(network, "squared_error", X[:n], targets[:n, : sizes[-1]], **settings)
    return objective, network.initial_weights(3)


def expected_preconditioner(objective, w):
    """Return 1 / (mean of the diagonal of J'J over a layer's neurons + a share of the layer's mean)."""
    diagonal, made = np.diag(objective.gauss_newton(w)[2]), np.empty_like(w)
    for (of_W, of_b), (W, b) in zip(objective.network.layers(diagonal), objective.network.layers(made), strict=True):
        columns = of_W.mean(axis=0)
        W[:], b[:] = 1 / (columns + RAISE * columns.mean()), 1 / (of_b.mean() + RAISE * columns.mean())
    return made


@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("sizes", [(3, 5, 1), (3, 4, 6, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_preconditioner_is_the_mean_diagonal_of_gauss_newton(sizes, l2, weighted, engine):
    s = RNG.uniform(0, 2, 60) if weighted else None
    objective, w = objective_of(sizes, l2=l2, sample_weight=s)
    objective.engine = engine(objective.network, objective.loss)
    found = Preconditioned(objective).preconditioner(w)
    assert found == pytest.approx(expected_preconditioner(objective, w), rel=1e-12)


def test_of_several_outputs_each_row_tells_of_one():
    """Rows that are there once for each output tell all of the diagonal."""
    network = Network((3, 4, 2))
    w = network.initial_weights(1)
    twice = np.repeat(X, 2, axis=0)
    objective = Objective(network, "squared_error", twice, np.repeat(T, 2, axis=0))
    found = Preconditioned(objective).preconditioner(w)
    assert found == pytest.approx(expected_preconditioner(objective, w), rel=1e-12)
    once = Preconditioned(Objective(network, "squared_error", X, T)).preconditioner(w)
    assert np.all(np.abs(np.log(once / found)) < np.log(2))


def test_of_many_rows_a_few_are_asked():
    network = Network((3, 4, 1))
    many = np.random.default_rng(5).normal(size=(50 * SAMPLE, 3))
    objective, w = Objective(network, "squared_error", many, many[:, :1]), network.initial_weights(0)
    made = Preconditioned(objective)
    found = made.preconditioner(w)
    assert 0.9 * SAMPLE <= made.solving_passes * objective.n_rows <= SAMPLE
    assert np.all(np.abs(np.log(found / expected_preconditioner(objective, w))) < np.log(1.5))


def ridge_regression(objective, w, hidden, s, share):
    """Return B (k, n_out) and its score of generalised cross-validation, from the rows and the whole hat matrix."""
    n, first, n_out = len(hidden), objective.network.spans[-1][0], objective.network.n_out
    root = np.sqrt(s)[:, None]
    Y, Z = root * np.column_stack([hidden, np.ones(n)]), root * objective.rows.T
    free = np.ones(Y.shape[1])
    free[-1] = 0
    given = np.vstack([w[first:-n_out].reshape(n_out, -1).T, w[-n_out:]])
    for j in range(n_out):  # no output varies more than its targets
        of_output, of_target = (np.cov(A, aweights=s, ddof=0) for A in (hidden @ given[:-1, j], objective.rows.T[:, j]))
        given[:-1, j] *= min(1.0, np.sqrt(of_target / of_output))
    M = Y.T @ Y / n
    ridge = share * np.diag(M)[:-1].mean() * free
    inverse = np.linalg.inv(M + np.diag(objective.l2 * free + ridge))
    B = inverse @ (Y.T @ Z / n + ridge[:, None] * given)
    hat = Y @ inverse @ Y.T / n
    lost = ((Z - Y @ B) ** 2).sum() / n
    return B, lost / max(1 - COST * np.trace(hat) / n, 1e-9) ** 2


@pytest.mark.parametrize("offset", [0.0, 100.0])
@pytest.mark.parametrize("l2", [0.0, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_begins_with_ridge_regression_by_cross_validation(l2, weighted, offset, engine):
    s = np.random.default_rng(1).uniform(0.1, 2, 60) if weighted else np.ones(60)
    s *= 60 / s.sum()
    noisy = T + offset + 0.3 * np.random.default_rng(2).normal(size=T.shape)
    objective, w = objective_of((3, 5, 2), noisy, l2=l2, sample_weight=s if weighted else None)
    objective.engine = engine(objective.network, objective.loss)
    begun = Preconditioned(objective).begun(w)
    first = objective.network.spans[-1][0]
    hidden = np.tanh(X @ w[:15].reshape(5, 3).T + w[15:20])
    made = [ridge_regression(objective, w, hidden, s, share) for share in SHARES]
    B, _ = min(made, key=lambda found: found[1])
    assert np.array_equal(begun[:first], w[:first])
    assert begun[first:] == pytest.approx(np.concatenate([B[:-1].T.ravel(), B[-1]]), rel=1e-7, abs=1e-9)
    assert objective.value(begun) < objective.value(w)


@pytest.mark.parametrize("n", [12, 20])
def test_few_rows_with_noise_are_not_learnt_by_heart(n):
    """From where it begins, rows that it has not seen are predicted better than by their mean."""
    rng, scores = np.random.default_rng(0), []
    for seed in range(6):
        inputs = rng.uniform(-1, 1, (n + 500, 3))
        y = inputs[:, 0] + inputs[:, 1] ** 2 + 0.3 * rng.normal(size=n + 500)
        network = Network((3, 9, 1))
        objective = Objective(network, "squared_error", inputs[:n], y[:n])
        w = Preconditioned(objective).begun(network.initial_weights(seed))
        unseen = Objective(network, "squared_error", inputs[n:], y[n:])
        scores.append(1 - unseen.value(w) / (0.5 * y[n:].var()))
    assert np.median(scores) > 0.2


def test_targets_of_any_size_are_learnt_alike():
    objective, w = objective_of()
    expected = objective.value(Preconditioned(objective).begun(w)) / T.var()
    for size in (1e-6, 1e-3):
        small, _ = objective_of(targets=size * T)
        found = small.value(Preconditioned(small).begun(w)) / (size * T).var()
        assert found == pytest.approx(expected, rel=1e-4)
    for size in (1e3, 1e9):
        large, _ = objective_of(targets=size * T)
        assert large.value(Preconditioned(large).begun(w)) / (size * T).var() < 1.2 * expected


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_trained_weights_are_not_lost(dtype, offset):
    """But for the rounding of outputs as large as the offset."""
    network = Network((3, 5, 2))
    objective = Objective(network, "squared_error", X.astype(dtype), (T + offset).astype(dtype))
    w = train(objective, network.initial_weights(0), "lm", [MaxSteps(30)]).w
    rounding = (64 * np.finfo(dtype).eps * (1 + offset)) ** 2
    assert objective.value(Preconditioned(objective).begun(w)) <= objective.value(w) * (1 + 1e-4) + rounding


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_it_begins_as_low_for_targets_far_from_0(dtype, engine):
    network, rng = Network((5, 20, 1)), np.random.default_rng(0)
    many = rng.normal(size=(20_000, 5)).astype(dtype)
    y, losses = np.sin(many[:, :1]) + 0.1 * rng.normal(size=(20_000, 1)), []
    for offset in (0.0, 1e3):
        objective = Objective(network, "squared_error", many, (y + offset).astype(dtype))
        objective.engine = engine(network, objective.loss)
        w = objective.weights(network.initial_weights(0))
        losses.append(objective.value(Preconditioned(objective).begun(w)))
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_the_best_last_layer_stays_and_no_other_gets_worse():
    """The ridge pulls toward what is given, so that it can only gain."""
    objective, w = objective_of()
    at_best = preconditioning.for_method(objective, LBFGS(projection=True, preconditioned=False)).settled(w)
    assert Preconditioned(objective).begun(at_best) == pytest.approx(at_best, rel=1e-9)
    for seed in range(20):
        given = w * np.random.default_rng(seed).lognormal(sigma=3.0, size=len(w))
        assert objective.value(Preconditioned(objective).begun(given)) <= objective.value(given)


def network_outputs(objective, w):
    return objective.engine.predict(w, objective.rows.X)


def test_starts_differ_even_where_all_hidden_layers_do_the_same():
    """Of one input, Nguyen and Widrow's neurons are the same for every seed but for their signs."""
    x = np.linspace(-1, 1, 30)[:, None]
    network = Network((1, 8, 1))
    objective = Objective(network, "squared_error", x, np.sin(np.pi * x))
    begun = [Preconditioned(objective).begun(network.initial_weights(seed)) for seed in range(4)]
    outputs = [network_outputs(objective, w) for w in begun]
    apart = [np.abs(a - b).max() for i, a in enumerate(outputs) for b in outputs[:i]]
    assert min(apart) > 1e-4
    assert max(objective.value(w) for w in begun) < 0.1 * objective.value(network.initial_weights(0))


class InItsVariables:
    """An objective as a function of u = w / √P."""

    def __init__(self, objective, P):
        self.objective, self.root = objective, np.sqrt(P)

    def value_grad(self, u):
        loss, grad = self.objective.value_grad(self.root * u)
        return loss, self.root * grad


@pytest.mark.parametrize("method", METHODS_THAT_ASK, ids=repr)
def test_a_method_goes_as_without_preconditioner_in_its_variables(method):
    """To rounding, which differences of gradients magnify from step to step: six digits of six steps."""
    objective, w = objective_of()
    states = list(islice(steps(objective, w, method), 7))
    P = states[0].preconditioner
    assert P.max() > 2 * P.min()
    inner = InItsVariables(objective, P)
    plain = list(islice(steps(inner, states[0].w / inner.root, method), 7))
    for state, other in zip(states, plain, strict=True):
        assert state.w == pytest.approx(inner.root * other.w, rel=1e-6, abs=1e-6)
        assert state.loss == pytest.approx(other.loss, rel=1e-6)
        assert getattr(state, "restart", "") == getattr(other, "restart", "")
    assert states[-1].loss < 0.8 * states[0].loss


@pytest.mark.parametrize(
    ("sizes", "activations", "loss", "why"),
    [
        ((3, 5, 2), ("tanh", "tanh"), "squared_error", "outputs are not linear"),
        ((3, 5, 2), ("tanh", "identity"), "huber", "another loss"),
        ((3, 2), ("identity",), "squared_error", "no hidden layer"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_elsewhere_there_is_none(sizes, activations, loss, why):
    network = Network(sizes, activations)
    objective, w = Objective(network, loss, X, 0.5 * np.tanh(T)), network.initial_weights(0)
    assert preconditioning.for_method(objective, LBFGS()) is objective, why
    first = next(steps(objective, w, LBFGS()))
    assert np.array_equal(first.w, w)
    assert np.array_equal(first.preconditioner, np.ones_like(w))


def test_only_methods_that_ask_have_one():
    objective, _ = objective_of()
    asking = {name for name, made in METHODS.items() if getattr(made(), "preconditioned", False)}
    assert asking == {"conjugate_gradient", "scaled_conjugate_gradient", "lbfgs"}
    for method in (Rprop(), NewtonCG(), LBFGS(preconditioned=False)):
        assert preconditioning.for_method(objective, method) is objective


@pytest.mark.parametrize("scale", [1e-200, 1e-157, 1e-3, 1e3, 1e120])
def test_inputs_of_any_size_leave_numbers(scale):
    network = Network((3, 5, 2))
    objective = Objective(network, "squared_error", scale * X, T)
    P = Preconditioned(objective).preconditioner(network.initial_weights(0))
    assert np.all(np.isfinite(P)) and np.all(P > 0)
    if 1e-20 < scale < 1e15:
        objective = Objective(network, "squared_error", (scale * X).astype(np.float32), T)
        P = Preconditioned(objective).preconditioner(network.initial_weights(0).astype(np.float32))
        assert np.all(np.isfinite(P)) and np.all(P > 0)


def test_rows_of_no_weight_tell_nothing():
    """Wherever they stand: here they would be all that a sample of every third row sees."""
    n, network = 2 * SAMPLE + 88, Network((3, 5, 1))
    many = np.random.default_rng(4).normal(size=(n, 3))
    s = np.ones(n)
    s[::3] = 0
    weighing = s > 0
    w = network.initial_weights(0)
    with_them = Objective(network, "squared_error", many, many[:, :1], sample_weight=s, l2=1e-8)
    without = Objective(network, "squared_error", many[weighing], many[weighing, :1], l2=1e-8)
    found, expected = (Preconditioned(one).preconditioner(w) for one in (with_them, without))
    assert found == pytest.approx(expected, rel=1e-12)


def test_more_outputs_than_rows_are_all_asked():
    network = Network((3, 4, 90))
    targets = np.random.default_rng(0).normal(size=(60, 90))
    objective, w = Objective(network, "squared_error", X, targets), network.initial_weights(0)
    found = Preconditioned(objective).preconditioner(w)
    # means of 60 squares of signed sums: off by √(2 / 60) of themselves as a rule, by under three times it at most
    assert np.all(np.abs(np.log(found / expected_preconditioner(objective, w))) < np.log(1.6))


def test_who_goes_on_begins_where_it_is_told():
    objective, w = objective_of()
    told = preconditioning.for_method(objective, LBFGS(), begins=False)
    assert np.array_equal(told.begun(w), w)
    assert np.array_equal(told.preconditioner(w), Preconditioned(objective).preconditioner(w))


@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_a_network_without_slope_has_ones(l2, engine):
    """Where the last layer is 0, nothing that a hidden weight does counts."""
    objective, w = objective_of(l2=l2)
    objective.engine = engine(objective.network, objective.loss)
    w[-12:] = 0
    assert np.array_equal(Preconditioned(objective).preconditioner(w), np.ones_like(w))
    still = Objective(objective.network, "squared_error", X, np.zeros((60, 2)))
    result = train(still, w, "lbfgs", [MaxSteps(5)])
    assert result.loss == 0


@pytest.mark.parametrize("method", [LBFGS(), ConjugateGradient(), ScaledConjugateGradient()], ids=lambda m: m.name)
def test_the_passes_count_what_it_takes(method):
    """One to solve for the last layer, one over a sample that is all rows here, one for loss and gradient."""
    objective, w = objective_of()
    history = train(objective, w, method, [MaxSteps(1)]).history
    assert history[0].passes == 3
    assert history[0].loss < objective.value(w)


@pytest.mark.parametrize("method", ["lbfgs", "cg", "scg"])
def test_float32_stays_float32(method, engine):
    network = Network((3, 5, 2))
    objective = Objective(network, "squared_error", X.astype(np.float32), T)
    objective.engine = engine(objective.network, objective.loss)
    *_, last = islice(steps(objective, network.initial_weights(0), method), 4)
    assert last.w.dtype == last.grad.dtype == last.preconditioner.dtype == np.float32


@pytest.mark.parametrize(("method", "share"), [("lbfgs", 0.5), ("cg", 0.25), ("scg", 0.25)])
def test_it_saves_passes(method, share):
    """To a mean squared error of 1e-4 on a sinc of 400 points, 1-20-1, from three starts."""
    x = np.linspace(-1, 1, 400)[:, None]
    network = Network((1, 20, 1))
    objective = Objective(network, "squared_error", x, np.sinc(10 * x))
    taken = []
    for preconditioned in (True, False):
        made = METHODS[{"cg": "conjugate_gradient", "scg": "scaled_conjugate_gradient"}.get(method, method)]
        runs = [
            train(
                objective, network.initial_weights(seed), made(preconditioned=preconditioned),
                [Goal(0.5e-4), MaxPasses(4000)],
            )
            for seed in range(3)
        ]  # fmt: skip
        taken.append(np.median([run.history[-1].passes for run in runs]))
    assert taken[0] < share * taken[1]


def test_inputs_of_different_scales_are_no_hindrance():
    """Columns a million times as large as others: the losses that follow are below half of those without."""
    scales = 10.0 ** np.array([-2, 0, 4])
    network = Network((3, 8, 1))
    X3 = np.random.default_rng(2).normal(size=(200, 3))
    y = np.sin(X3[:, :1]) + X3[:, 1:2] * X3[:, 2:]
    objective = Objective(network, "squared_error", X3 * scales, y)
    ranges = np.column_stack([(X3 * scales).min(axis=0), (X3 * scales).max(axis=0)])
    w = network.initial_weights(0, input_ranges=ranges)
    with_it, without = (
        train(objective, w, ConjugateGradient(preconditioned=on), [MaxPasses(300)]).loss for on in (True, False)
    )
    assert with_it < 0.5 * without


@pytest.mark.parametrize("scale", [0.0, 1e-170, 1e-100, 1e100])
def test_hidden_outputs_of_any_size(scale):
    """The weights stay where nothing comes out of the hidden neurons, and are numbers in any case."""
    network = Network((3, 5, 2), ("identity", "identity"))
    objective, w = Objective(network, "squared_error", X, T), network.initial_weights(0)
    w[:15] *= scale
    begun = Preconditioned(objective).begun(w)
    assert np.all(np.isfinite(begun)) and objective.value(begun) <= objective.value(w)
    if scale in (0.0, 1e-170):
        assert np.array_equal(begun, w)


def test_where_the_solution_would_take_longer_than_many_passes_there_is_none():
    """Of very wide layers the eigenvalues alone take minutes."""
    wide, narrow = (Objective(Network((3, width, 1)), "squared_error", X, T[:, 0], l2=1e-3) for width in (3000, 5))
    assert preconditioning.for_method(wide, LBFGS()) is wide
    assert isinstance(preconditioning.for_method(narrow, LBFGS()), Preconditioned)


def test_no_second_copy_of_the_rows_is_made():
    """Blocks of rows are squared, not all of them."""
    many = np.random.default_rng(0).normal(size=(200_000, 10))
    objective = Objective(Network((10, 3, 1)), "squared_error", many, many[:, 0])
    made, w = Preconditioned(objective), objective.network.initial_weights(0)
    tracemalloc.start()
    try:
        made.preconditioner(w)
        assert tracemalloc.get_traced_memory()[1] < many.nbytes / 10
    finally:
        tracemalloc.stop()


def test_training_begins_without_loading_scipy():
    code = """
import sys, numpy as np, deltarule as dr
x = np.linspace(-1, 1, 20)[:, None]
line = dr.Objective(dr.Network((1, 3, 1)), "squared_error", x, x)
dr.train(line, line.network.initial_weights(0), "lbfgs", [dr.stopping.MaxSteps(3)])
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
