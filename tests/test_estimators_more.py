"""What the estimators can beyond scikit-learn's: solvers, activations, losses, validation, ensembles, models."""

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import PredefinedSplit, ShuffleSplit, train_test_split

import deltarule as dr
from deltarule import MLPClassifier, MLPRegressor, methods
from deltarule.errors import DivergenceError, SettingError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def curve(n=120, seed=0):
    X = np.random.default_rng(seed).uniform(-2, 2, size=(n, 2))
    return X, np.sin(2 * X[:, 0]) + 0.5 * X[:, 1]


def flowers():
    X, y = load_iris(return_X_y=True)
    return X - X.mean(axis=0), y


def small(cls=MLPRegressor, **settings):
    return cls(**({"hidden_layer_sizes": (6,), "activation": "tanh", "random_state": 0, "max_iter": 60} | settings))


def bump(e):
    return np.exp(-e * e)


def bump_slope(e, y):
    return -2 * e * y


def wrong_slope(e, y):
    return -e * y


@pytest.mark.parametrize("solver", [*methods.METHODS, *methods.ALIASES])
def test_every_method_is_a_solver_by_name(solver):
    X, y = curve()
    model = small(solver=solver, max_iter=5).fit(X, y)
    assert np.isfinite(model.predict(X)).all() and 1 <= model.n_iter_ <= 5 and len(model.loss_curve_) == model.n_iter_


def test_a_method_as_an_object_keeps_its_settings():
    X, y = curve()
    solver = methods.Online(learning_rate="cosine(0.05)", batch_size=8, rule="adam", seed=3)
    model = small(solver=solver, max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.95
    again = pickle.loads(pickle.dumps(clone(model))).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_second_order_methods_come_low():
    X, y = curve()
    settings = {"max_iter": 200, "alpha": 0.0}
    losses = {
        solver: np.median([small(**settings, solver=solver, tol=tol, random_state=i).fit(X, y).loss_ for i in range(5)])
        for solver, tol in (("levenberg_marquardt", 1e-9), ("adam", 0.0))
    }
    assert losses["levenberg_marquardt"] < 1e-4
    assert losses["levenberg_marquardt"] < losses["adam"] / 10


def test_bayesian_regularisation_finds_its_own_penalty():
    X, y = curve()
    noisy = y + np.random.default_rng(1).normal(scale=0.3, size=len(y))
    a, b = (small(solver="trainbr", alpha=alpha, max_iter=100).fit(X, noisy) for alpha in (1e-4, 1.0))
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    with pytest.raises(ValueError, match="squared_error"):
        small(MLPClassifier, solver="trainbr").fit(X, y > 0)
    assert small(MLPClassifier, solver="trainbr", loss="squared_error").fit(X, y > 0).score(X, y > 0) > 0.9


def test_an_activation_for_each_layer():
    X, y = curve()
    model = small(hidden_layer_sizes=(6, 4), activation=["sine", (bump, bump_slope)], solver="cg").fit(X, y)
    assert model.score(X, y) > 0.8
    (V, W, U), (a, b, c) = model.coefs_, model.intercepts_
    by_hand = bump(np.sin(X @ V + a) @ W + b) @ U + c
    np.testing.assert_allclose(model.predict(X), by_hand[:, 0], rtol=1e-10)
    pickle.loads(pickle.dumps(model)).predict(X)


def test_an_activation_of_ones_own_is_checked():
    X, y = curve()
    assert small(activation=(bump, bump_slope), solver="cg").fit(X, y).score(X, y) > 0.5
    with pytest.raises(ValueError, match="derivative of 'own' is wrong"):
        small(activation=(bump, wrong_slope)).fit(X, y)


@pytest.mark.parametrize("loss", ["absolute_error", "huber(0.5)", "log_cosh", "quantile(0.9)", dr.losses.get("huber")])
def test_losses_of_a_regressor(loss):
    X, y = curve()
    model = small(loss=loss, learning_rate_init=0.02, max_iter=200, batch_size=10, n_iter_no_change=99).fit(X, y)
    assert model.loss_ < model.loss_curve_[0] / 2 and model.out_activation_ == "identity"
    if loss == "quantile(0.9)":
        assert 0.75 < np.mean(y <= model.predict(X)) < 1
    with pytest.raises(ValueError, match="'loss' parameter"):
        small(loss="cross_entropy").fit(X, y)


def test_squared_error_of_a_classifier():
    X, y = flowers()
    model = small(MLPClassifier, loss="squared_error", solver="lbfgs").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    assert model.score(X, y) > 0.95


def test_class_weights():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = np.where(X[:, 0] + 0.8 * rng.normal(size=400) > 1.6, "rare", "common")
    plain = small(MLPClassifier, solver="lbfgs").fit(X, y)
    balanced = small(MLPClassifier, solver="lbfgs", class_weight="balanced").fit(X, y)
    rare = y == "rare"
    assert (balanced.predict(X) == "rare").sum() > 2 * (plain.predict(X) == "rare").sum()
    weights = {"rare": len(y) / (2 * rare.sum()), "common": len(y) / (2 * (~rare).sum())}
    given = small(MLPClassifier, solver="lbfgs", class_weight=weights).fit(X, y)
    by_rows = small(MLPClassifier, solver="lbfgs").fit(X, y, sample_weight=np.where(rare, *weights.values()))
    for other in (given, by_rows):
        np.testing.assert_allclose(other.predict_proba(X), balanced.predict_proba(X), rtol=1e-6)
    small(MLPClassifier, class_weight={"rare": 5.0}).partial_fit(X, y, classes=["common", "rare"])
    with pytest.raises(ValueError, match="balanced"):
        small(MLPClassifier, class_weight="balanced").partial_fit(X, y, classes=["common", "rare"])
    X, Y = make_multilabel_classification(n_samples=50, random_state=0)
    with pytest.raises(ValueError, match="labels"):
        small(MLPClassifier, class_weight="balanced").fit(X, Y)


def test_validation_rows_of_ones_own():
    X, y = curve(200)
    X, X_held, y, y_held = train_test_split(X, y + np.random.default_rng(0).normal(scale=0.3, size=200), random_state=0)
    model = small(max_iter=30).fit(X, y, validation_data=(X_held, y_held))
    plain = small(max_iter=30).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    assert len(model.validation_loss_curve_) == 30
    assert model.validation_loss_curve_[-1] == pytest.approx(0.5 * np.mean((model.predict(X_held) - y_held) ** 2))
    assert model.validation_scores_[-1] == pytest.approx(model.score(X_held, y_held))
    assert plain.validation_loss_curve_ is None and model.best_validation_score_ is None


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "levenberg_marquardt"])
@pytest.mark.parametrize("judge", ["loss", "score"])
def test_early_stopping_on_loss_or_score(solver, judge):
    rng = np.random.default_rng(0)
    X, y = curve(60)
    y = y + rng.normal(scale=0.5, size=60)
    X_held, y_held = curve(60, seed=1)
    settings = {"hidden_layer_sizes": (20,), "solver": solver, "early_stopping": judge, "max_iter": 400}
    settings |= {"learning_rate_init": 0.05, "tol": 0.0 if solver == "adam" else 1e-9, "alpha": 0.0}
    model = small(**settings).fit(X, y, validation_data=(X_held, y_held))
    assert model.n_iter_ < 400
    best = min(model.validation_loss_curve_) if judge == "loss" else None
    if judge == "loss":
        assert 0.5 * np.mean((model.predict(X_held) - y_held) ** 2) == pytest.approx(best)
        assert model.best_validation_score_ is None
    else:
        assert model.score(X_held, y_held) == pytest.approx(max(model.validation_scores_))
        assert model.best_validation_score_ == max(model.validation_scores_)


def test_a_splitter_chooses_validation_rows():
    X, y = flowers()
    fold = np.where(np.arange(150) % 3 == 0, 0, -1)
    chosen = small(MLPClassifier).fit(X, y, validation_data=PredefinedSplit(fold))
    given = small(MLPClassifier).fit(X[fold < 0], y[fold < 0], validation_data=(X[fold == 0], y[fold == 0]))
    np.testing.assert_array_equal(chosen.predict_proba(X), given.predict_proba(X))
    assert chosen.validation_scores_ == given.validation_scores_
    small(MLPClassifier, early_stopping=True).fit(X, y, validation_data=ShuffleSplit(1, random_state=0))
    weighted = small(MLPClassifier).fit(X, y, validation_data=(X, y, np.arange(150)))
    assert weighted.validation_scores_[-1] == pytest.approx(weighted.score(X, y, sample_weight=np.arange(150)))
    with pytest.raises(ValueError, match="validation_data"):
        small(MLPClassifier).fit(X, y, validation_data=0.2)
    with pytest.raises(ValueError, match="has classes not in"):
        small(MLPClassifier).fit(X, y, validation_data=(X, y + 1))


def test_partial_fit_with_early_stopping_shows_the_best_so_far():
    X, y = flowers()
    model = small(MLPClassifier, early_stopping=True, learning_rate_init=0.05)
    for _ in range(25):
        model.partial_fit(X, y, classes=[0, 1, 2])
    whole = small(MLPClassifier, early_stopping=True, learning_rate_init=0.05, max_iter=25, n_iter_no_change=99)
    np.testing.assert_array_equal(model.predict_proba(X), whole.fit(X, y).predict_proba(X))
    assert len(model.validation_scores_) == 25


def test_restarts_keep_the_best_run():
    X, y = curve()
    single = [small(solver="cg", random_state=seed).fit(X, y).loss_ for seed in range(4)]
    assert small(solver="cg", restarts=4).fit(X, y).loss_ == min(single)
    held_out = curve(80, seed=1)
    runs = [small(random_state=seed).fit(X, y, validation_data=held_out) for seed in range(3)]
    best = small(restarts=3).fit(X, y, validation_data=held_out)
    assert best.validation_loss_curve_[-1] == min(run.validation_loss_curve_[-1] for run in runs)
    stopped = small(restarts=3, early_stopping=True, random_state=5).fit(X, y)
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)


def test_an_ensemble_is_the_mean_of_its_networks():
    X, y = flowers()
    model = small(MLPClassifier, ensemble=3).fit(X, y)
    each = [small(MLPClassifier, random_state=seed).fit(X, y).predict_proba(X) for seed in range(3)]
    np.testing.assert_allclose(model.predict_proba(X), np.mean(each, axis=0), rtol=1e-12)
    assert len(model.members_) == 3 and model.coefs_ is model.members_[0][0]
    X, y = curve()
    model = small(ensemble=3, restarts=2, solver="cg").fit(X, y)
    mean, spread = model.predict(X, return_std=True)
    each = [small(solver="cg", restarts=2, random_state=seed).fit(X, y).predict(X) for seed in (0, 2, 4)]
    np.testing.assert_allclose(mean, np.mean(each, axis=0))
    np.testing.assert_allclose(spread, np.std(each, axis=0, ddof=1))


@pytest.mark.parametrize("settings", [{}, {"scale": "standard"}, {"ensemble": 2}, {"solver": "trainbr"}], ids=str)
def test_error_bars_cover_new_observations(settings):
    noise = 0.4
    rng = np.random.default_rng(3)
    X, X_new = rng.uniform(-2, 2, size=(400, 1)), rng.uniform(-2, 2, size=(2000, 1))
    y, y_new = (10 * np.sin(2 * A[:, 0]) + 10 * noise * rng.normal(size=len(A)) for A in (X, X_new))
    model = small(**({"solver": "lm", "error_bars": True, "max_iter": 100} | settings)).fit(X, y)
    mean, std = model.predict(X_new, return_std=True)
    assert mean.shape == std.shape == (2000,)
    assert 0.64 < np.mean(np.abs(y_new - mean) < std) < 0.73
    assert np.mean(std) == pytest.approx(10 * noise, rel=0.1)


def test_error_bars_that_there_are_not():
    X, y = curve()
    with pytest.raises(SettingError, match="error_bars=True"):
        small().fit(X, y).predict(X, return_std=True)
    with pytest.raises(ValueError, match="'error_bars' parameter"):
        small(loss="huber", error_bars=True).fit(X, y)


def test_no_hidden_layer_is_least_squares():
    X, y = load_diabetes(return_X_y=True)
    X, y = X * 20, y / 100
    model = small(hidden_layer_sizes=(), solver="lm", alpha=0.0, tol=1e-9).fit(X, y)
    wanted = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]
    np.testing.assert_allclose([*model.coefs_[0][:, 0], *model.intercepts_[0]], wanted, rtol=1e-5)
    assert small(MLPClassifier, hidden_layer_sizes=(), solver="lbfgs").fit(*flowers()).score(*flowers()) > 0.95


@pytest.mark.parametrize("how", ["standard", "minmax"])
def test_scaling_makes_units_not_matter(how):
    X, y = curve()
    model = small(scale=how, solver="lbfgs").fit(X, y)
    a = small(scale=how, solver="lbfgs").fit(X * [1e6, 1e-6] + [5e7, 0], 1e4 * y - 3e5)
    np.testing.assert_allclose(a.predict(X * [1e6, 1e-6] + [5e7, 0]), 1e4 * model.predict(X) - 3e5, rtol=1e-3)
    assert model.score(X, y) > 0.9
    Z = model.input_scale_.apply(X)
    if how == "minmax":
        np.testing.assert_allclose([Z.min(axis=0), Z.max(axis=0)], [[-1, -1], [1, 1]])
    else:
        np.testing.assert_allclose([Z.mean(axis=0), Z.std(axis=0)], [[0, 0], [1, 1]], atol=1e-12)
    assert small().fit(X, y).input_scale_ is None


def test_scaling_counts_the_weights_of_rows_and_keeps_constant_columns_finite():
    X, y = curve()
    X = np.column_stack([X, np.full(120, 7.0)])
    s = np.arange(120) % 3
    model = small(scale="standard", solver="lbfgs", max_iter=10).fit(X, y, sample_weight=s)
    repeated = small(scale="standard", solver="lbfgs", max_iter=10).fit(X.repeat(s, axis=0), y.repeat(s))
    np.testing.assert_allclose(model.predict(X), repeated.predict(X), rtol=1e-6)


@pytest.mark.parametrize("solver", ["sgd", "online"])
def test_divergence_names_the_epoch_and_the_cause(solver):
    X, y = curve()
    solver = methods.Online(methods.schedules.StartSmall(5.0, start=1e-3)) if solver == "online" else solver
    model = small(solver=solver, activation="relu", learning_rate_init=0.9, max_iter=500)
    found = r"diverged in iteration (\d+).*epoch \d+.*Try a smaller learning rate"
    with pytest.raises(DivergenceError, match=found) as error:
        model.fit(X, 3 * y)
    assert isinstance(error.value, ValueError) and isinstance(error.value, RuntimeError)
    iteration = int(re.search(found, str(error.value))[1])
    assert iteration > 1 and model.n_iter_ == iteration - 1 == len(model.loss_curve_)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.filterwarnings("error")
def test_early_stopping_keeps_the_best_weights_before_a_divergence():
    X, y = curve()
    settings = {"solver": "sgd", "activation": "relu", "learning_rate_init": 0.9, "max_iter": 500}
    with pytest.warns(ConvergenceWarning, match=r"diverged in iteration \d+.*best on the validation rows are kept"):
        model = small(**settings, early_stopping=True).fit(X, 3 * y, validation_data=(X, 3 * y))
    assert 1 < model.n_iter_ == len(model.validation_scores_) < 500 and np.isnan(model.validation_scores_[-1])
    assert model.best_validation_score_ == np.nanmax(model.validation_scores_)
    assert model.score(X, 3 * y) == pytest.approx(model.best_validation_score_, rel=1e-12)  # two formulas


def test_divergence_at_once_leaves_the_estimator_as_it_was():
    X, y = curve()
    model = small(solver="sgd", activation="relu", learning_rate_init=1e200)
    with pytest.raises(DivergenceError, match="iteration 1"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    assert small(solver="cg", restarts=2).fit(X, y).n_iter_ > 1


def test_numbers_too_large_are_refused_with_their_place():
    X, y = curve()
    X[7, 1] = 1e200
    with pytest.raises(ValueError, match=r"X\[7, 1\] is 1e\+200.*\n.*Solver produced non-finite parameter weights"):
        small().fit(X, y)


def test_a_model_is_the_same_as_its_estimator(tmp_path):
    X, y = curve()
    made = small(scale="standard", solver="lm", ensemble=2, error_bars=True).fit(X, 100 * y)
    model = made.to_model("price")
    table = {"x0": X[:, 0], "x1": X[:, 1]}
    np.testing.assert_allclose(model.predict(table), made.predict(X), rtol=1e-12)
    model.save(tmp_path / "m.deltarule")
    model = dr.load(tmp_path / "m.deltarule")
    back = model.to_estimator()
    mean, std = made.predict(X, return_std=True)
    for other in (model.predict(table, return_std=True), back.predict(X, return_std=True)):
        np.testing.assert_allclose(other, (mean, std), rtol=1e-10)
    assert back.set_params(warm_start=True, max_iter=3).fit(X, 100 * y).score(X, 100 * y) > 0.9
    assert clone(back).set_params(max_iter=200, solver="lbfgs").fit(X, 100 * y).score(X, 100 * y) > 0.5


@pytest.mark.parametrize("labels", [["a", "b", "c"], [3, 5, 7], [1.0, 2.0, 4.0], [False, True, True]], ids=str)
def test_a_model_of_classes_is_the_same_as_its_estimator(labels):
    X, y = flowers()
    y = np.array(labels)[y]
    made = small(MLPClassifier, solver="lbfgs").fit(X, y)
    model = made.to_model()
    table = {f"x{j}": X[:, j] for j in range(4)}
    np.testing.assert_array_equal(model.predict(table), made.predict(X))
    np.testing.assert_allclose(model.predict_proba(table), made.predict_proba(X), rtol=1e-12)
    back = model.to_estimator()
    np.testing.assert_array_equal(back.predict(X), made.predict(X))
    np.testing.assert_array_equal(back.classes_, made.classes_)


def test_a_model_of_labels_and_models_that_are_no_estimators():
    X, Y = make_multilabel_classification(n_samples=80, n_features=4, n_classes=3, random_state=0)
    made = small(MLPClassifier, solver="lbfgs").fit(X, Y)
    model = made.to_model()
    table = {f"x{j}": X[:, j] for j in range(4)}
    np.testing.assert_array_equal(model.predict(table), made.predict(X))
    np.testing.assert_array_equal(model.to_estimator().predict(X), made.predict(X))
    words = dr.fit({"x": ["a", "b"] * 30, "y": np.arange(60.0) % 7}, "y", task="regression", max_steps=3)
    with pytest.raises(ValueError, match="'x' is a category"):
        words.to_estimator()
    one = small(MLPClassifier).fit(X, np.ones(80))
    with pytest.raises(ValueError, match="alone"):
        one.to_model()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_model_from_a_table_is_an_estimator():
    X, y = curve()
    model = dr.fit({"a": X[:, 0], "b": X[:, 1], "y": y}, "y", seed=0, max_steps=50)
    made = model.to_estimator()
    assert list(made.feature_names_in_) == ["a", "b"]
    np.testing.assert_allclose(made.predict(X), model.predict({"a": X[:, 0], "b": X[:, 1]}), rtol=1e-10)
