"""What scikit-learn's documentation and issue tracker promise of an MLP, and what is promised beyond it on going on."""

import pickle
import re
from math import inf, nan

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from deltarule import MLPClassifier, MLPRegressor, methods
from deltarule.errors import InvalidParameterError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

GOING_ON = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.3, "tol": 0.05, "n_iter_no_change": 1,
    },
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.3},
    "online": {"solver": "online"},
    "an object": {"solver": methods.Online(0.02, 16, "adam")},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 50},
    "ensemble": {"ensemble": 2},
}  # fmt: skip
"""Settings with which partial_fit can go on."""
BATCH = [name for name, made in methods.METHODS.items() if "epoch" not in made.needs]


def curve(n=90, n_in=3, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, n_in))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1]


def flowers():
    X, y = load_iris(return_X_y=True)
    return X - X.mean(axis=0), y


def small(cls, **settings):
    return cls(**({"hidden_layer_sizes": (5,), "random_state": 0, "batch_size": 16, "max_iter": 6} | settings))


def weights(estimator):
    return np.concatenate([np.ravel(part) for part in (*estimator.coefs_, *estimator.intercepts_)])


def test_one_gradient_step_worked_by_hand():
    """2-2-1, logistic, one row, rate 0.1, alpha 0.1: every factor of the delta rule in plain numbers."""
    X, y = np.array([[0.6, 0.8]]), np.array([0.0])
    model = MLPClassifier(
        hidden_layer_sizes=(2,), activation="logistic", solver="sgd", alpha=0.1, learning_rate_init=0.1, momentum=0.0,
        random_state=0,
    )  # fmt: skip
    model.partial_fit(X, y, classes=[0, 1])
    W1, b1 = np.array([[0.1, 0.2], [0.3, 0.1]]), np.array([0.1, 0.1])
    W2, b2 = np.array([[0.1], [0.2]]), np.array([1.0])
    model.coefs_, model.intercepts_ = [W1.copy(), W2.copy()], [b1.copy(), b2.copy()]
    model.partial_fit(X, y)

    e = 0.6 * W1[0] + 0.8 * W1[1] + b1  # 0.4 and 0.3
    h = 1 / (1 + np.exp(-e))
    p = 1 / (1 + np.exp(-(h @ W2[:, 0] + b2[0])))
    delta = p - 0.0
    hidden = delta * W2[:, 0] * h * (1 - h)
    np.testing.assert_allclose(e, [0.4, 0.3])
    np.testing.assert_allclose(model.coefs_[1][:, 0], W2[:, 0] - 0.1 * (delta * h + 0.1 * W2[:, 0]), rtol=1e-14)
    np.testing.assert_allclose(model.intercepts_[1], b2 - 0.1 * delta, rtol=1e-14)
    np.testing.assert_allclose(model.coefs_[0], W1 - 0.1 * (np.outer(X[0], hidden) + 0.1 * W1), rtol=1e-14)
    np.testing.assert_allclose(model.intercepts_[0], b1 - 0.1 * hidden, rtol=1e-14)
    assert model.loss_ == pytest.approx(-np.log(1 - p) + 0.5 * 0.1 * ((W1**2).sum() + (W2**2).sum()))


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "conjugate_gradient"])
def test_alpha_shrinks_weights(solver):
    X, y = curve()
    sizes = [
        np.linalg.norm(small(MLPRegressor, solver=solver, alpha=alpha, max_iter=200).fit(X, y).coefs_[0])
        for alpha in (1e-4, 1, 100)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("settings", GOING_ON.values(), ids=GOING_ON)
def test_one_iteration_n_times_is_n_iterations(settings):
    X, y = curve()
    whole = small(MLPRegressor, **settings).fit(X, y)
    again, parts = small(MLPRegressor, **settings, warm_start=True), small(MLPRegressor, **settings)
    again.max_iter = 1
    for _ in range(6):
        again.fit(X, y)
        parts.partial_fit(X, y)
        again, parts = pickle.loads(pickle.dumps((again, parts)))
    for one in (again, parts):
        np.testing.assert_array_equal(weights(one), weights(whole))
        assert one.loss_curve_ == whole.loss_curve_ and one.validation_scores_ == whole.validation_scores_
        assert one.t_ == whole.t_ and one.n_iter_ == 1


@pytest.mark.parametrize("solver", BATCH)
def test_warm_start_of_a_batch_method_goes_on_exactly(solver):
    X, y = curve()
    whole = small(MLPRegressor, solver=solver, tol=0.0).fit(X, y)
    parts = small(MLPRegressor, solver=solver, tol=0.0, max_iter=2, warm_start=True)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.fit(X, y)))
    np.testing.assert_array_equal(weights(parts), weights(whole))


def test_warm_start_with_other_rows_starts_the_method_anew():
    X, y = curve()
    parts = small(MLPRegressor, solver="lbfgs", warm_start=True).fit(X, y)
    before = parts.loss_
    other = parts.fit(X, y + 1)
    assert other.loss_ < 0.5 and before < 1


def test_a_fit_that_is_not_warm_forgets():
    X, y = curve()
    model = small(MLPRegressor)
    first = weights(model.fit(X, y)).copy()
    np.testing.assert_array_equal(weights(model.fit(X, y)), first)
    assert len(model.loss_curve_) == 6


def test_partial_fit_is_there_for_incremental_solvers_alone():
    for solver, there in {"adam": True, "sgd": True, "online": True, "sequential": True, "lbfgs": False, "lm": False,
                          methods.Online(): True, methods.LBFGS(): False}.items():  # fmt: skip
        assert hasattr(MLPRegressor(solver=solver), "partial_fit") is there
    with pytest.raises(AttributeError, match="partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit  # noqa: B018


def test_early_stopping_keeps_the_best_weights():
    X, y = flowers()
    model = small(MLPClassifier, early_stopping=True, max_iter=300, learning_rate_init=0.05).fit(X, y)
    assert model.n_iter_ < 300 and len(model.validation_scores_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    best = model.validation_scores_.index(model.best_validation_score_) + 1
    shorter = small(MLPClassifier, early_stopping=True, max_iter=best, learning_rate_init=0.05).fit(X, y)
    np.testing.assert_array_equal(weights(model), weights(shorter))
    assert model.best_loss_ is None


def test_without_early_stopping_there_are_no_scores():
    model = small(MLPRegressor).fit(*curve())
    assert model.validation_scores_ is None and model.best_validation_score_ is None
    assert model.best_loss_ == min(model.loss_curve_) and model.loss_ == model.loss_curve_[-1]


def test_too_few_validation_rows_are_refused():
    X, y = curve(8)
    with pytest.raises(ValueError, match="validation set"):
        small(MLPRegressor, early_stopping=True).fit(X, y)


def test_partial_fit_asks_for_classes_first_and_refuses_others_later():
    X, y = flowers()
    with pytest.raises(ValueError, match="classes"):
        small(MLPClassifier).partial_fit(X, y)
    model = small(MLPClassifier).partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (150, 3)
    model.partial_fit(X[60:], y[60:])
    with pytest.raises(ValueError, match="has classes not in"):
        model.partial_fit(X, y + 1)
    with pytest.raises(ValueError, match="not those of the calls before"):
        model.partial_fit(X, y, classes=[0, 1])


def test_warm_start_refuses_other_classes():
    X, y = flowers()
    model = small(MLPClassifier, warm_start=True).fit(X, y)
    for other in (y + 1, y % 2):
        with pytest.raises(ValueError, match="classes"):
            model.fit(X, other)


def test_going_on_with_another_network_is_refused():
    X, y = curve()
    model = small(MLPRegressor, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="go on"):
        model.set_params(hidden_layer_sizes=(4,)).fit(X, y)
    with pytest.raises(ValueError, match="features"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X[:, :2], y)


def test_labels():
    X, Y = make_multilabel_classification(n_samples=200, n_features=8, n_classes=3, random_state=0)
    model = small(MLPClassifier, max_iter=150, learning_rate_init=0.02).fit(X, Y)
    P = model.predict_proba(X)
    assert P.shape == (200, 3) and model.out_activation_ == "logistic" and not np.allclose(P.sum(axis=1), 1)
    np.testing.assert_array_equal(model.predict(X), (P > 0.5).astype(int))
    assert (model.predict(X) == Y).mean() > 0.75


def test_labels_in_parts_and_sparse():
    X, Y = make_multilabel_classification(n_samples=120, n_features=8, n_classes=3, random_state=0)
    made = small(MLPClassifier).partial_fit(X, Y)
    given = small(MLPClassifier).partial_fit(X, Y, classes=[0, 1, 2])
    sparsely = small(MLPClassifier).partial_fit(X, sparse.csr_matrix(Y))
    np.testing.assert_array_equal(weights(made), weights(given))
    np.testing.assert_array_equal(weights(made), weights(sparsely))
    assert sparse.issparse(sparsely.predict(X))


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.coo_array])
def test_sparse_equals_dense(form):
    X, y = curve()
    X[X < 0] = 0
    a, b = small(MLPRegressor).fit(X, y), small(MLPRegressor).fit(form(X), y)
    np.testing.assert_array_equal(weights(a), weights(b))
    np.testing.assert_array_equal(a.predict(X), b.predict(form(X)))


def test_a_large_sparse_matrix_is_predicted_in_blocks(monkeypatch):
    monkeypatch.setattr("deltarule.estimators.rows.BLOCK_NUMBERS", 20)
    X, y = curve()
    model = small(MLPRegressor).fit(X, y)
    np.testing.assert_allclose(model.predict(sparse.csr_array(X)), model.predict(X), rtol=1e-13)


def test_verbose_prints_each_iteration(capsys):
    X, y = curve()
    model = small(MLPRegressor, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Iteration {i + 1}, loss = {loss:.8f}" for i, loss in enumerate(model.loss_curve_)]
    model = small(MLPRegressor, verbose=True, early_stopping=True, tol=1.0, n_iter_no_change=1).fit(X, y)
    text = capsys.readouterr().out
    assert f"Validation score: {model.validation_scores_[0]:f}" in text and text.endswith("Stopping.\n")
    small(MLPRegressor, verbose=True, solver="lbfgs").fit(X, y)
    assert capsys.readouterr().out.startswith("Iteration 1, loss = ")


def test_adaptive_says_that_it_slows_down(capsys):
    settings = {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0, "verbose": True}
    model = small(MLPRegressor, **settings, learning_rate_init=1e-4, max_iter=100).fit(*curve())
    text = capsys.readouterr().out
    rates = [float(rate) for rate in re.findall(r"learning rate is now (\S+)\.", text)]
    assert rates == pytest.approx([2e-5, 4e-6, 8e-7])
    assert model.n_iter_ < 100


@pytest.mark.parametrize("patience", [1, 4, 9])
def test_tolerance_and_iterations_without_change(patience):
    """An improvement of less than tol does not count, and the run ends after more than so many of them."""
    X, y = curve()
    model = small(MLPRegressor, tol=1e6, n_iter_no_change=patience, max_iter=50).fit(X, y)
    assert model.n_iter_ == patience + 2  # the first improves on infinity
    assert small(MLPRegressor, tol=0.0, n_iter_no_change=inf, max_iter=40).fit(X, y).n_iter_ == 40


@pytest.mark.filterwarnings("error")
def test_warnings_of_convergence():
    X, y = curve()
    for solver in ("adam", "sgd", "lbfgs", "lm"):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
            small(MLPRegressor, solver=solver, max_iter=2, tol=1e-9).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="max_fun=10"):
        small(MLPRegressor, solver="lbfgs", max_fun=10, max_iter=1000, tol=1e-9).fit(X, y)
    small(MLPRegressor, tol=10.0, max_iter=50).fit(X, y)
    small(MLPRegressor, solver="lbfgs", tol=10.0, max_iter=50).fit(X, y)
    small(MLPRegressor).partial_fit(X, y)


def test_max_fun_limits_evaluations():
    X, y = curve()
    model = small(MLPRegressor, solver="lbfgs", max_fun=10, max_iter=1000, tol=0.0).fit(X, y)
    assert 5 < model.n_iter_ <= 10


@pytest.mark.filterwarnings("error")
def test_a_batch_larger_than_the_rows_is_clipped_with_a_warning():
    X, y = curve()
    with pytest.warns(UserWarning, match="clipped: 91 is larger than the 90 rows"):
        a = small(MLPRegressor, batch_size=91, tol=10.0, max_iter=50).fit(X, y)
    b = small(MLPRegressor, batch_size=90, tol=10.0, max_iter=50).fit(X, y)
    np.testing.assert_array_equal(weights(a), weights(b))


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "lm"])
def test_float32_is_kept(solver):
    X, y = flowers()
    X = X.astype(np.float32)
    model = small(MLPClassifier, solver=solver).fit(X, y)
    parts = [*model.coefs_, *model.intercepts_, model.predict_proba(X), model.predict_log_proba(X)]
    assert {part.dtype for part in parts} == {np.dtype(np.float32)}
    assert model.predict_proba(X.astype(np.float64)).dtype == np.float64
    twice = small(MLPRegressor, solver=solver, max_iter=2).fit(X.astype(float), y)
    once = small(MLPRegressor, solver=solver, max_iter=2).fit(X, y)
    np.testing.assert_allclose(once.predict(X), twice.predict(X), atol=0.01)


REFUSED = {
    "hidden_layer_sizes": [-1, 0, (5, 0), (2, -3), "wide", 2.5], "activation": ["ghost", None, ["relu", "relu"]],
    "solver": ["ghost", None, 3], "alpha": [-1, nan, inf, "much"], "batch_size": [0, -1, 2.5, "some"],
    "learning_rate": ["ghost", 0.1], "learning_rate_init": [0, -1, nan, inf], "power_t": [-1, nan],
    "max_iter": [0, -1, 2.5], "shuffle": ["yes", 1], "random_state": [-1, 2**32, "seed"], "tol": [-1, nan],
    "verbose": [-1, "loud"], "warm_start": ["yes"], "momentum": [-0.1, 1.1, nan], "nesterovs_momentum": ["yes"],
    "early_stopping": ["ghost", 1], "validation_fraction": [-0.1, 1.0], "beta_1": [-0.1, 1.0], "beta_2": [-0.1, 1.0],
    "epsilon": [0.0, -1e-8, inf], "n_iter_no_change": [0, -1, 2.5], "max_fun": [0, -1], "loss": ["ghost", None],
    "scale": ["robust", True], "restarts": [0, 1.5], "ensemble": [0, "many"], "interrupt": ["stop", None],
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_parameters_that_are_refused(name):
    X, y = curve()
    for value in REFUSED[name]:
        for cls in (MLPRegressor, MLPClassifier):
            with pytest.raises(ValueError, match=f"The '{name}' parameter of {cls.__name__} must be .* Got ") as found:
                cls(**{name: value}).fit(X, y > 0)
            assert isinstance(found.value, InvalidParameterError) and isinstance(found.value, TypeError)


def test_weights_set_by_hand_change_predictions():
    X, y = curve()
    model = small(MLPRegressor).fit(X, y)
    model.coefs_ = [np.zeros_like(W) for W in model.coefs_]
    model.intercepts_[1] = np.array([3.5])
    np.testing.assert_allclose(model.predict(X), 3.5)
    model.coefs_[1][:] = 1.0
    model.intercepts_[0][:] = [1, 2, 0, 0, 0]
    np.testing.assert_allclose(model.predict(X), 6.5)
    model.partial_fit(X, y)
    np.testing.assert_allclose(model.predict(X), 6.5, atol=0.2)
    model.coefs_ = [np.zeros((3, 4)), np.zeros((5, 1))]
    with pytest.raises(ValueError, match="do not make"):
        model.predict(X)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_training_begins_at_weights_set_by_hand_before_any_fit(solver):
    X, y = curve()
    trained = small(MLPRegressor, solver=solver, max_iter=3, tol=0.0, momentum=0.0, shuffle=False).fit(X, y)
    begun = clone(trained).set_params(warm_start=True)
    begun.coefs_, begun.intercepts_ = trained.coefs_, trained.intercepts_
    begun.out_activation_ = "identity"
    np.testing.assert_array_equal(begun.predict(X), trained.predict(X))
    np.testing.assert_array_equal(
        weights(begun.fit(X, y)), weights(trained.set_params(warm_start=True, solver=solver).fit(X, y))
    )
    settings = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1, "alpha": 0.0, "batch_size": 90}
    classes = small(MLPClassifier, hidden_layer_sizes=(), **settings)
    classes.coefs_, classes.intercepts_ = [np.zeros((3, 1))], [np.zeros(1)]
    classes.partial_fit(X, y > 0, classes=[False, True])
    np.testing.assert_allclose(classes.coefs_[0][:, 0], 0.1 * ((y > 0) - 0.5) @ X / len(X), rtol=1e-12)


def test_the_output_activation_can_be_set_by_hand():
    X, y = curve()
    model = small(MLPRegressor).fit(X, y)
    plain, model.out_activation_ = model.predict(X), "logistic"
    np.testing.assert_allclose(model.predict(X), 1 / (1 + np.exp(-plain)))


def test_several_targets():
    X, Y = make_regression(n_samples=120, n_features=4, n_targets=3, random_state=0)
    Y /= Y.std(axis=0)
    model = small(MLPRegressor, solver="lbfgs", max_iter=200).fit(X, Y)
    assert model.predict(X).shape == (120, 3) and model.n_outputs_ == 3 and model.score(X, Y) > 0.99


def test_digits_are_learnt():
    X, y = load_digits(n_class=3, return_X_y=True)
    for solver in ("sgd", "adam", "lbfgs"):
        model = MLPClassifier((20,), solver=solver, random_state=1, max_iter=60, learning_rate_init=0.01).fit(X / 16, y)
        assert model.score(X / 16, y) > 0.97, solver


def test_names_of_inputs_are_kept_and_checked():
    pd = pytest.importorskip("pandas")
    X, y = curve()
    frame = pd.DataFrame(X, columns=list("abc"))
    model = small(MLPRegressor).fit(frame, y)
    assert list(model.feature_names_in_) == ["a", "b", "c"] and model.n_features_in_ == 3
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a", "c"]])


def test_missing_values_are_refused():
    X, y = curve()
    X[3, 1] = nan
    with pytest.raises(ValueError, match="NaN"):
        small(MLPRegressor).fit(X, y)
    with pytest.raises(NotFittedError):
        small(MLPRegressor).predict(X)


def test_a_column_of_targets_warns():
    X, y = curve()
    with pytest.warns(UserWarning, match="column-vector"):
        model = small(MLPRegressor).fit(X, y[:, None])
    assert model.predict(X).shape == (90,)


def test_weights_of_rows():
    X, y = curve()
    s = np.random.default_rng(1).integers(0, 3, len(y))
    for solver in ("lbfgs", "conjugate_gradient", "rprop"):
        weighted = small(MLPRegressor, solver=solver).fit(X, y, sample_weight=s)
        repeated = small(MLPRegressor, solver=solver).fit(X.repeat(s, axis=0), y.repeat(s))
        np.testing.assert_allclose(weights(weighted), weights(repeated), rtol=1e-6)
    for wrong in (-np.ones(90), np.zeros(90), np.ones(3), np.full(90, nan), np.ones((90, 2))):
        with pytest.raises(ValueError):
            small(MLPRegressor).fit(X, y, sample_weight=wrong)


@pytest.mark.promise("P14")
def test_an_interrupt_is_raised_unless_asked_otherwise(monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("deltarule.estimators.training._print", interrupt)
    model = small(MLPRegressor, verbose=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*curve())
    assert not hasattr(model, "coefs_")


@pytest.mark.promise("P14")
def test_an_interrupted_fit_keeps_what_it_has(monkeypatch):
    X, y = curve()
    seen = []

    def interrupt(*arguments):
        seen.append(arguments)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("deltarule.estimators.training._print", interrupt)
    with pytest.warns(UserWarning, match="interrupted"):
        model = small(MLPRegressor, verbose=True, max_iter=50, interrupt="keep", restarts=3).fit(X, y)
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(weights(model), weights(small(MLPRegressor, max_iter=3).fit(X, y)))
