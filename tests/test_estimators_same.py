"""The same as scikit-learn's own MLP, run beside it: for the same random_state the same weights, to rounding."""

import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification

import deltarule as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


NEWER = pytest.mark.skipif(
    "loss" not in theirs.MLPRegressor().get_params(), reason="scikit-learn had neither weights nor this loss before 1.7"
)


def numbers():
    X, y = load_diabetes(return_X_y=True)
    return X[:150] * 20, (y[:150] - 150) / 80


def classes():
    X, y = load_iris(return_X_y=True)
    return X - X.mean(axis=0), y


def labels():
    return make_multilabel_classification(n_samples=150, n_features=6, random_state=0)


def both(name, X, y, **settings):
    """Return scikit-learn's estimator and deltarule's, fitted."""
    settings = {"hidden_layer_sizes": (9,), "max_iter": 12, "random_state": 4, "batch_size": 40} | settings
    made = [getattr(package, name)(**settings) for package in (theirs, ours)]
    return [estimator.fit(X, y) for estimator in made]


def assert_same(a, b, bound=1e-10):
    for one, other in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_allclose(other, one, rtol=bound, atol=bound)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(a, name) == getattr(b, name), name


SETTINGS = {
    "adam": {},
    "adam, other moments": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5, "learning_rate_init": 0.05},
    "momentum of 1": {"solver": "sgd", "momentum": 1.0, "max_iter": 3},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.3},
    "adaptive": {
        "solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "n_iter_no_change": 1, "tol": 0.05,
        "max_iter": 40,
    },
    "in order": {"shuffle": False},
    "row by row": {"batch_size": 1, "max_iter": 2},
    "one batch": {"batch_size": "auto"},
    "strong penalty": {"alpha": 3.0},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "stops by itself": {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 200},
    "tanh": {"activation": "tanh", "hidden_layer_sizes": (5, 4)},
    "logistic": {"activation": "logistic"},
    "identity": {"activation": "identity"},
    "no hidden layer": {"hidden_layer_sizes": ()},
}  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_same_regressor(settings):
    a, b = both("MLPRegressor", *numbers(), **settings)
    assert_same(a, b)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-3)
    X, _ = numbers()
    np.testing.assert_allclose(b.predict(X), a.predict(X), rtol=1e-8)
    assert (a.validation_scores_ is None) == (b.validation_scores_ is None)
    if a.validation_scores_:
        np.testing.assert_allclose(b.validation_scores_, a.validation_scores_, rtol=1e-8)
        assert b.best_validation_score_ == pytest.approx(a.best_validation_score_) and b.best_loss_ is None
    else:
        assert b.best_loss_ == pytest.approx(a.best_loss_, rel=1e-3) and b.best_validation_score_ is None


@pytest.mark.parametrize("name", ["adam", "sgd", "early stopping", "one batch"])
@pytest.mark.parametrize("data", [classes, labels], ids=["classes", "labels"])
def test_the_same_classifier(data, name):
    X, y = data()
    a, b = both("MLPClassifier", X, y, **SETTINGS[name])
    assert_same(a, b)
    np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), rtol=1e-8)
    np.testing.assert_allclose(b.predict_log_proba(X), a.predict_log_proba(X), rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(b.predict(X), a.predict(X))
    np.testing.assert_array_equal(b.classes_, a.classes_)
    assert b.score(X, y) == a.score(X, y)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-5)
    if name == "early stopping":
        assert b.validation_scores_ == pytest.approx(a.validation_scores_)


def test_two_classes_are_one_output():
    X, y = classes()
    a, b = both("MLPClassifier", X[:100], np.array(["no", "yes"])[y[:100]])
    assert_same(a, b)
    assert b.n_outputs_ == 1 and b.out_activation_ == "logistic"
    np.testing.assert_array_equal(b.predict(X), a.predict(X))


def test_the_same_in_float32():
    X, y = numbers()
    a, b = both("MLPRegressor", X.astype(np.float32), y.astype(np.float32))
    assert_same(a, b, bound=1e-4)
    assert b.coefs_[0].dtype == b.predict(X.astype(np.float32)).dtype == np.float32


@NEWER
def test_the_same_poisson_regression():
    X, y = numbers()
    a, b = both("MLPRegressor", X, np.exp(y), loss="poisson")
    assert_same(a, b)
    assert b.out_activation_ == "exp" and (b.predict(X) > 0).all()


def test_several_outputs_show_the_mean_loss():
    X, y = numbers()
    a, b = both("MLPRegressor", X, np.column_stack([y, -y, y * y]), alpha=0.0)
    assert_same(a, b)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=1e-10)


@NEWER
def test_weighted_rows_in_one_batch():
    X, y = numbers()
    s = np.random.default_rng(0).uniform(size=len(y))
    made = [
        package.MLPRegressor(hidden_layer_sizes=(9,), max_iter=12, random_state=4).fit(X, y, sample_weight=s)
        for package in (theirs, ours)
    ]
    assert_same(*made)


def test_partial_fit_goes_on_as_fit_does():
    X, y = numbers()
    made = [
        package.MLPRegressor(hidden_layer_sizes=(9,), random_state=4, shuffle=False, solver="sgd")
        for package in (theirs, ours)
    ]
    for start in range(0, 150, 30):
        for one in made:
            one.partial_fit(X[start : start + 30], y[start : start + 30])
    assert_same(*made)


@pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")  # of scikit-learn 1.6
def test_lbfgs_comes_as_low():
    X, y = numbers()
    a, b = both("MLPRegressor", X, y, solver="lbfgs", max_iter=2000, activation="tanh", alpha=1.0)
    assert b.loss_ <= 1.02 * a.loss_
    assert b.t_ == 0 and b.n_iter_ < 2000


def test_every_parameter_is_there_with_its_default():
    for name in ("MLPRegressor", "MLPClassifier"):
        a, b = (getattr(package, name)() for package in (theirs, ours))
        assert a.get_params().items() <= b.get_params().items()


def test_every_attribute_and_method_is_there():
    X, y = classes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a, b = both("MLPClassifier", X, y)
    assert {name for name in dir(a) if not name.startswith("_")} <= set(dir(b)) | {"loss"}
