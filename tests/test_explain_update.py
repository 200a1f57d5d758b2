"""P2, the update record: old + the product of the shown factors is new, and every method's terms add up to its step."""

import json
from itertools import islice, pairwise
from time import process_time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import deltarule as dr
from checks import make_targets
from deltarule import explain, losses, preconditioning
from deltarule.activations import ACTIVATIONS
from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.errors import InputError, SettingError
from deltarule.explain.explaining import explained
from deltarule.explain.names import Names
from deltarule.explain.terms import ACCOUNTS, Taken
from deltarule.losses import LOSSES
from deltarule.methods import METHODS, GradientDescent, LevenbergMarquardt, Online
from deltarule.methods.conjugate_gradient import BETAS, ConjugateGradient
from deltarule.methods.lbfgs import LBFGS
from deltarule.methods.rprop import VARIANTS, Rprop
from deltarule.methods.rules import RULES
from deltarule.methods.scaled_conjugate_gradient import ScaledConjugateGradient

HIDDEN = [name for name, row in ACTIVATIONS.items() if not row.couples]
MADE = {
    **METHODS, "rprop": Rprop, "lbfgs": LBFGS, "scaled_conjugate_gradient": ScaledConjugateGradient,
}  # fmt: skip
VARIED = [
    *(made() for name, made in MADE.items() if name != "online"),
    *(Online(0.05, batch_size=40, rule=rule) for rule in RULES),
    GradientDescent(0.1, momentum=0.9, adaptive=True),
    *(ConjugateGradient(beta) for beta in BETAS),
    *(Rprop(variant) for variant in VARIANTS),
    ConjugateGradient(preconditioned=False),
    LBFGS(preconditioned=False),
    ScaledConjugateGradient(preconditioned=False),
    LevenbergMarquardt(projection=False),
    LevenbergMarquardt(damping="matlab", scaling="identity"),
]
STEPS = 12


@st.composite
def cases(draw, rows=1):
    """Return a network of any depth, a loss that it accepts, weights and rows."""
    loss = losses.get(draw(st.sampled_from(list(LOSSES))))
    depth = draw(st.integers(0, 3))
    output = draw(st.sampled_from(loss.accepts or list(ACTIVATIONS)))
    n_out = draw(st.integers(2, 3)) if output == "softmax" else draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, 4)) for _ in range(depth + 1)] + [n_out]
    activations = [draw(st.sampled_from(HIDDEN)) for _ in range(depth)] + [output]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    network = dr.Network(sizes, activations)
    w = rng.uniform(-0.9, 0.9, network.n_weights) * draw(st.sampled_from([0.3, 1.0, 2.0]))
    X, T = rng.normal(size=(rows, sizes[0])), make_targets(loss, rows, n_out, rng)
    with np.errstate(all="ignore"):
        value, grad = ArrayEngine(network, loss).value_grad(w, Rows(X, T))
    assume(np.isfinite(value) and np.abs(grad).max() < 1e100)  # exponentials of exponentials overflow
    return network, loss, w, X, T


def product(update, index):
    """Old weight plus the product of the shown factors, in the order in which it is shown."""
    factors = update.factors(index)
    return update.before[index] + factors.rate * ((factors.delta * factors.slope) * factors.input)


@pytest.mark.promise("P2")
@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from([0.01, 0.3, 1.0]))
def test_new_is_old_plus_the_product_of_the_shown_factors(case, rate):
    """P2: to the bit, which is less than a unit in the last place; a compiled run within the bound that is stated."""
    network, loss, w, X, T = case
    objective = dr.Objective(network, loss, X, T)
    update = explain.update(objective, w=w, method=Online(rate))
    found = np.array([product(update, index) for index in range(network.n_weights)])
    assert np.array_equal(found, update.after)
    assert np.array_equal(update.after - update.before, update.step)
    before, after = islice(dr.steps(objective, w, Online(rate)), 2)
    run = explained(Taken(objective, Online(rate), before, after), Names(network), ("row 1",))
    found = np.array([product(run, index) for index in range(network.n_weights)])
    assert np.all(np.abs(found - run.after) <= run.bound)
    assert np.all(np.abs(run.after - update.after) <= run.bound)


@pytest.mark.promise("P2")
@settings(max_examples=60, deadline=None)
@given(cases(rows=7))
def test_the_rows_add_up_to_the_gradient(case):
    network, loss, w, X, T = case
    update = explain.update(dr.Objective(network, loss, X, T), w=w, method="gd")
    exact = -ArrayEngine(network, loss).value_grad(w, Rows(X, T))[1] / len(X)
    assert np.array_equal(update.data, exact)
    _, grad = dr.Objective(network, loss, X, T).value_grad(w)
    assert np.all(np.abs(update.data + grad) <= update.data_bound + 1e-300)
    each = np.array([update.contributions(index) for index in range(network.n_weights)])
    sizes = np.abs(each).sum(axis=1)
    assert np.all(np.abs(each.sum(axis=1) / len(X) - update.data) <= 16 * np.finfo(float).eps * sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        cancelled = np.abs(each.sum(axis=1)) / sizes
    assert np.array_equal(np.isnan(update.cancellation), sizes == 0)
    assert np.allclose(update.cancellation, cancelled, atol=1e-12, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_an_error_signal_is_the_sum_of_its_paths(case):
    network, loss, w, X, T = case
    update = explain.update(network, X, T, w=w, loss=loss)
    for layer in update.layers[:-1]:
        for k, neuron in enumerate(layer.neurons):
            paths = update.paths(neuron)
            shares = [path.share for path in paths]
            assert abs(sum(shares) - layer.delta[0, k]) <= 8 * np.finfo(float).eps * sum(map(abs, shares))
            for path in paths:
                product = path.weight * (path.delta * path.slope)
                assert path.share == pytest.approx(product, rel=1e-15, abs=1e-300)
    assert update.paths(update.layers[-1].neurons[0]) == []


def test_every_method_has_an_account():
    assert set(METHODS) <= set(ACCOUNTS)


@pytest.mark.promise("P2")
@pytest.mark.parametrize("l2", [0.0, 0.01])
@pytest.mark.parametrize("method", VARIED, ids=lambda method: method.name)
def test_the_terms_add_up_to_the_step(method, l2):
    """P2 for every method, along a run: with the states' own gradients, directions, pairs and matrices."""
    if method.name == "bayesian_regularization" and l2:
        return  # finds its own penalty
    rng = np.random.default_rng(3)
    for sizes, activations in (((3, 5, 4, 2), ("tanh", "logistic", "identity")), ((3, 4, 1), ("softsign", "tanh"))):
        network = dr.Network(sizes, activations)
        X = rng.normal(size=(40, 3))
        T = np.column_stack([np.sin(X[:, 0]) * X[:, 1], X.sum(axis=1) / 4])[:, : sizes[-1]]
        objective = dr.Objective(network, "squared_error", X, T, l2=l2)
        check_run(objective, method, network.initial_weights(1))


@pytest.mark.promise("P2")
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_the_terms_add_up_where_rows_are_few(l2):
    """Levenberg-Marquardt then solves by the rows."""
    network = dr.Network((3, 6, 1), ("tanh", "tanh"))
    rng = np.random.default_rng(4)
    objective = dr.Objective(network, "squared_error", rng.normal(size=(5, 3)), rng.uniform(-0.5, 0.5, 5), l2=l2)
    check_run(objective, MADE["levenberg_marquardt"](), network.initial_weights(1))


def check_run(objective, method, w):
    """Hold the terms of each step of a run against the step, and the bound against the size of the terms."""
    prepared = preconditioning.for_method(objective, method)
    states = list(islice(dr.steps(objective, w, method), STEPS))
    earlier = None
    for before, after in pairwise(states):
        taken = Taken(prepared, method, before, after, earlier)
        update = explained(taken, Names(objective.network), ("",) * objective.n_rows)
        assert np.all(update.error <= update.bound), (method, update.account.settings)
        size = np.abs(update.before) + sum(np.abs(term.values) for term in update.account.terms)
        assert np.all(update.bound <= 1e-9 * max(1.0, size.max())), "a bound that allows anything"
        earlier = before


@pytest.mark.promise("P2")
@settings(max_examples=40, deadline=None)
@given(cases(rows=9), st.sampled_from(VARIED))
def test_the_terms_add_up_on_any_network(case, method):
    network, loss, w, X, T = case
    bayesian = method.name == "bayesian_regularization"  # finds its own penalty, for squared error
    objective = dr.Objective(network, loss, X, T, l2=0.0 if bayesian else 0.001)
    if ("gauss_newton" in " ".join(method.needs) and not objective.has_curvature) or (
        bayesian and loss.name != "squared_error"
    ):
        return
    with np.errstate(all="ignore"):
        states = list(islice(dr.steps(objective, w, method), 4))
    prepared = preconditioning.for_method(objective, method)
    for before, after in pairwise(states):
        if not np.all(np.isfinite(after.w)) or after.stuck or not np.all(np.isfinite(getattr(after, "grad", 0.0))):
            return
        with np.errstate(all="ignore"):
            update = explained(Taken(prepared, method, before, after), Names(network), ("",) * len(X))
        assert np.all(update.error <= update.bound)


@pytest.mark.promise("P2")
def test_a_wrong_term_would_be_seen():
    """Mutants: a forgotten term, or one a millionth too large, lies outside the bound."""
    network = dr.Network((3, 4, 2))
    rng = np.random.default_rng(0)
    objective = dr.Objective(network, "squared_error", rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), l2=0.1)
    for name in ("levenberg_marquardt", "newton_cg", "lbfgs", "conjugate_gradient"):
        *_, before, after = islice(dr.steps(objective, network.initial_weights(0), MADE[name]()), 6)
        prepared = preconditioning.for_method(objective, MADE[name]())
        update = explained(Taken(prepared, MADE[name](), before, after), Names(network), ("",) * 20)
        for term in update.account.terms:
            if np.abs(term.values).max() > 1e-6:
                missing = np.abs(update.before + update.explained - 1e-6 * term.values - update.after)
                assert np.any(missing > update.bound), (name, term.name)


def test_a_method_of_ones_own_is_shown_whole():
    class Halving:
        name, needs = "halving", ("value_grad",)

        def start(self, objective, w):
            return objective and GradientDescent().start(objective, w)

        def step(self, objective, state):
            return state._replace(w=0.5 * state.w)

    network = dr.Network((1, 1))
    update = explain.update(network, [[1.0]], [[2.0]], w=np.array([1.0, 3.0]), method=Halving())
    assert np.array_equal(update.step, [-0.5, -1.5]) and np.array_equal(update.explained, update.step)
    assert "not known here" in update.account.notes[0]


def test_momentum_of_a_run_is_shown_when_its_state_is_given():
    network = dr.Network((2, 3, 1))
    rng = np.random.default_rng(0)
    objective = dr.Objective(network, "squared_error", rng.normal(size=(10, 2)), rng.normal(size=(10, 1)))
    method = GradientDescent(0.1, momentum=0.5)
    *_, state = islice(dr.steps(objective, network.initial_weights(0), method), 4)
    update = explain.update(objective, w=state.w, state=state, method=method)
    assert [term.name for term in update.account.terms] == ["δ · f′ · input", "momentum"]
    assert np.array_equal(update.account.terms[1].values, 0.5 * state.velocity)


def test_a_bias_has_input_1_and_a_coupled_output_its_own_factors():
    network = dr.Network((2, 3), ("softmax",))
    w = np.random.default_rng(0).normal(size=9)
    update = explain.update(network, [0.5, -1.0], [1.0, 0.0, 0.0], w=w, method=Online(0.2))
    assert update.factors("output[2] <- bias").input == 1.0
    y, delta = update.layers[0].Y[0], update.layers[0].delta[0]
    factors = update.factors("output[0] <- input[1]")
    assert factors.slope == y[0] and factors.delta == pytest.approx(delta[0] - delta @ y, rel=1e-14)
    fused = explain.update(network, [0.5, -1.0], [1.0, 0.0, 0.0], w=w, loss="cross_entropy")
    assert fused.layers[0].kind == "fused" and np.all(fused.layers[0].slope == 1)


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 120)
    town = np.where(rng.random(120) > 0.5, "Bonn", "Trier").astype(object)
    table = {"age": x, "town": town, "price": 3 * x + (town == "Bonn") + rng.normal(0, 0.1, 120)}
    return dr.fit(table, "price", hidden=(4, 3), l2=0.001, max_steps=20), table


def test_a_model_is_explained_by_the_names_of_its_columns(model):
    fitted, table = model
    update = explain.update(fitted, {"age": 0.3, "town": "Bonn", "price": 2.0})
    assert update.names.weight(0) == "hidden1[0] <- age"
    assert update.find("output[price] <- hidden2[1]") == update.find("output[0] <- hidden2[1]")
    assert update.find("hidden1[1] <- town=Bonn") == [4]
    assert [term.name for term in update.account.terms] == ["δ · f′ · input", "penalty"]
    taken = explain.update(fitted, table, take=[3, 5], method="lm")
    assert taken.rows == ("row 4 of the dictionary", "row 6 of the dictionary")
    assert np.array_equal(taken.before[: fitted.network.spans[1][2]], fitted.w[: fitted.network.spans[1][2]])
    with pytest.raises(SettingError, match="counted from 0"):
        explain.update(fitted, table, take=120)


def test_the_record_as_json_has_its_documented_keys(model):
    from deltarule.explain import written

    fitted, table = model
    update = explain.update(fitted, table, method="cg")
    found = json.loads(json.dumps(update.to_dict("hidden1[0]"), allow_nan=False))
    assert list(found) == [
        "method", "loss", "rows", "opened", "settings", "notes", "neurons", "outputs", "weights", "error", "bound",
    ]  # fmt: skip
    for key in found:
        assert key in written.__doc__
    assert [one["name"] for one in found["weights"]] == [update.names.weight(i) for i in update.find("hidden1[0]")]
    one = found["weights"][0]
    assert one["old"] + sum(one["terms"].values()) == pytest.approx(one["new"], rel=1e-12)
    neuron = found["neurons"][0]
    assert found["opened"] == 20 == len(neuron["e"]) == len(neuron["paths"])
    assert sum(path["share"] for path in neuron["paths"][4]) == pytest.approx(neuron["delta"][4])
    frame = update.frame()
    assert len(frame) == fitted.network.n_weights
    assert np.allclose(frame["old"] + frame["δ · f′ · input"] + frame["penalty"], frame["new"])


def test_the_record_as_text_tells_the_chain_behind_a_weight(model):
    fitted, table = model
    update = explain.update(fitted, table, take=0, method=Online(0.1))
    told = update.text("hidden1[1] <- age")
    for words in ("hidden1[1] <- age", "Σ weight · δ · f′", "by hidden2[", "output[price]", "target − y", "penalty"):
        assert words in told
    assert "rows push it up" in explain.update(fitted, table, method="gd").text("hidden1[1] <- age")
    assert "and 23 more weights" in str(update) and "holds for all 35 weights" in str(update)
    assert "<table>" in update._repr_html_()
    escaped = explain.update(fitted, {"age": 0.3, "town": "Bonn", "price": 2.0})
    assert "&lt;-" in escaped._repr_html_() and "<-" not in escaped._repr_html_()


def test_what_cannot_be_explained_is_refused(model):
    fitted, table = model
    network = dr.Network((2, 1))
    update = explain.update(fitted, table, take=0)
    for wrong, words in (
        (lambda: explain.update(object()), "Accepted: a Model"),
        (lambda: explain.update(network, [[1.0, 2.0]], [[1.0]]), "give w"),
        (lambda: explain.update(network, [[1.0, 2.0]], w=np.zeros(3)), "X and T"),
        (lambda: explain.update(fitted), "a table, or a row"),
        (lambda: explain.update(fitted, table, method=Online(0.1)), "several updates"),
        (lambda: update.find("hidden1[9] <- age"), r"Did you mean hidden1"),
        (lambda: update.find("hidden1[0] <- agee"), "Did you mean age"),
        (lambda: explain.update(network, [[1.0, 2.0]], [[1.0]], w=np.full(3, 1e154)), "before the step is"),
        (lambda: update.find(99), "0 to 34"),
        (lambda: update.factors("hidden1[0]"), "names 4 weights"),
        (lambda: update.factors(0, row=1), "counted from 0"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()


def test_an_estimator_is_explained():
    neural_network = pytest.importorskip("sklearn.neural_network")
    from sklearn.datasets import load_iris

    X, y = load_iris(return_X_y=True)
    fitted = neural_network.MLPClassifier((4,), "tanh", max_iter=400, random_state=0, tol=1e-2).fit(X, y)
    update = explain.update(fitted, X, y, method="gd")
    assert update.loss == "cross_entropy"
    assert np.allclose(update.layers[-1].Y, fitted.predict_proba(X))
    assert np.array_equal(update.targets.argmax(axis=1), y)


def test_explaining_a_row_of_a_64_64_network_takes_less_than_50_ms():
    network = dr.Network((10, 64, 64, 1), ("tanh", "tanh", "identity"))
    w, x = network.initial_weights(0), np.linspace(-1, 1, 10)
    seconds = []
    for _ in range(5):
        begun = process_time()
        str(explain.update(network, x, [0.3], w=w))
        seconds.append(process_time() - begun)
    assert min(seconds) < 0.05  # of the processor, which others may share


def test_the_picture_is_drawn(model):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fitted, table = model
    update = explain.update(fitted, table, take=[0, 1])
    words = " ".join(text.get_text() for ax in update.plot(row=1) for text in ax.texts)
    assert all(part in words for part in ("age", "slope", "δ ", "y ", "hidden2", "target"))
    large = dr.Network((30, 20, 1))
    axes = explain.update(large, np.ones(30), [1.0], w=large.initial_weights(0)).plot()
    assert "12 smaller ones not drawn" in " ".join(text.get_text() for text in axes[0].texts)
    with pytest.raises(SettingError):
        update.plot(row=2)
    plt.close("all")
