"""The estimators among scikit-learn's other parts, in parallel, in notebooks."""

import ast
import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import deltarule as dr
from deltarule import MLPClassifier, MLPRegressor, methods
from deltarule.engines import native

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CALLBACKS = pytest.mark.skipif(not hasattr(MLPClassifier, "set_callbacks"), reason="this scikit-learn has no callbacks")


def flowers():
    return load_iris(return_X_y=True)


def small(cls=MLPClassifier, **settings):
    return cls(**({"hidden_layer_sizes": (6,), "solver": "lbfgs", "random_state": 0, "max_iter": 30} | settings))


def test_no_private_module_of_scikit_learn_is_imported():
    folder = Path(dr.__file__).parent / "estimators"
    imported = {
        found
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for found in [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
    }
    private = {name for name in imported if name.startswith("sklearn") and "._" in name}
    assert private == set() and "sklearn.base.BaseEstimator" in imported


def test_kinds():
    assert is_classifier(MLPClassifier()) and is_regressor(MLPRegressor())
    assert not is_classifier(MLPRegressor())


def test_clone_and_parameters():
    model = small(activation=["tanh"], solver=methods.LBFGS(memory=5), class_weight={0: 2.0}, loss=dr.losses.get("mse"))
    other = clone(model)
    assert other.get_params() == model.get_params() and other.solver is not model.solver
    assert "solver=LBFGS(memory=5" in repr(model)
    assert model.set_params(ensemble=3).ensemble == 3


def test_a_pickle_is_not_larger_than_needed():
    """Without warm_start nothing is kept that only going on would need: 20 vectors of pairs, the order of the rows."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2000, 20)), rng.normal(size=2000)
    p = 20 * 50 + 50 + 50 + 1
    for solver, vectors in (("lbfgs", 2), ("adam", 4)):
        model = small(MLPRegressor, hidden_layer_sizes=(50,), solver=solver).fit(X, y)
        assert len(pickle.dumps(model)) < (vectors + 1.5) * 8 * p + 4000, solver


def test_pipeline_columns_and_output():
    pd = pytest.importorskip("pandas")
    X, y = flowers()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 5.8, "long", "short"))
    one_hot = OneHotEncoder(sparse_output=False)
    columns = ColumnTransformer([("n", StandardScaler(), list("abcd")), ("k", one_hot, ["kind"])])
    model = make_pipeline(columns.set_output(transform="pandas"), small()).fit(frame, y)
    assert model.score(frame, y) > 0.95
    assert list(model[-1].feature_names_in_[:2]) == ["n__a", "n__b"]


def test_searches():
    X, y = flowers()
    grid = {"solver": ["lbfgs", "cg", methods.Rprop()], "alpha": [0.01, 1.0]}
    for search in (GridSearchCV(small(), grid, cv=3), HalvingGridSearchCV(small(), grid, cv=3, random_state=0)):
        assert search.fit(X, y).best_score_ > 0.9


def test_in_threads_the_same():
    X, y = flowers()
    alone = cross_validate(small(), X, y, cv=4)["test_score"]
    with joblib.parallel_config(backend="threading", n_jobs=2):
        np.testing.assert_array_equal(cross_validate(small(), X, y, cv=4)["test_score"], alone)


def test_in_processes_of_joblib_the_same_pickled_and_with_one_thread_each():
    """One pool of processes for all of it, for its start takes seconds."""
    X, y = flowers()
    model = small(solver="adam", scale="standard", ensemble=2).fit(X, y)
    alone = cross_validate(small(), X, y, cv=4)["test_score"]
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        beside = cross_validate(small(), X, y, cv=4)["test_score"]
        predicted = joblib.Parallel()(joblib.delayed(model.predict_proba)(X) for _ in range(2))
        threads = joblib.Parallel()(joblib.delayed(native.n_threads)() for _ in range(4))
    np.testing.assert_array_equal(beside, alone)
    for each in predicted:
        np.testing.assert_array_equal(each, model.predict_proba(X))
    assert threads == [1] * 4


def test_other_estimators_use_ours():
    X, y = flowers()
    assert cross_val_predict(small(), X, y, method="predict_proba").shape == (150, 3)
    assert CalibratedClassifierCV(small(), cv=3).fit(X, y).score(X, y) > 0.9
    voting = VotingClassifier([("a", small()), ("b", small(solver="cg"))], voting="soft")
    assert voting.fit(X, y).score(X, y) > 0.95


def test_metadata_routing():
    X, y = flowers()
    s = np.where(y == 0, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small().set_fit_request(sample_weight=True, validation_data=False)
        model.set_score_request(sample_weight=False)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model).fit(X, y, sample_weight=s)
        assert (pipe.predict(X[y == 0]) != 0).mean() > 0.5 or pipe.score(X[y > 0], y[y > 0]) > 0.95
        found = cross_validate(model, X, y, params={"sample_weight": s}, error_score="raise")
        assert len(found["test_score"]) == 5
        assert MLPRegressor().set_predict_request(return_std=True) is not None


class Told:
    """A callback that writes down what it is told, and stops after so many iterations."""

    def __init__(self, stop=None):
        self.stop, self.events, self.losses = stop, [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"end {context.task_name}")
        if context.task_name == "iteration":
            self.losses.append(fitted_estimator.score(X, y))
        return self.stop is not None and len(self.losses) >= self.stop


@CALLBACKS
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_follow_each_iteration(solver):
    X, y = flowers()
    told = Told()
    model = small(solver=solver, max_iter=5).set_callbacks(told).fit(X, y)
    inside = ["begin iteration", "end iteration"] * 5
    assert told.events == ["setup", "begin fit", *inside, "end fit", "teardown"]
    assert told.losses[-1] == model.score(X, y)
    np.testing.assert_array_equal(model.predict(X), small(solver=solver, max_iter=5).fit(X, y).predict(X))


@CALLBACKS
def test_a_callback_can_stop_and_is_torn_down_after_an_error():
    X, y = flowers()
    assert small(solver="adam").set_callbacks(Told(stop=3)).fit(X, y).n_iter_ == 3
    told = Told()
    with pytest.raises(ValueError):
        small(alpha=-1).set_callbacks(told).fit(X, y)
    assert told.events in ([], ["setup", "teardown"])


@CALLBACKS
def test_scikit_learns_callbacks(capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    X, y = flowers()
    monitor = ScoringMonitor(scoring="accuracy")
    small(max_iter=4, ensemble=2).set_callbacks(monitor, ProgressBar()).fit(X, y)
    assert len(monitor.get_logs().data) >= 8
    GridSearchCV(small(max_iter=3), {"alpha": [0.1, 1]}, cv=2).set_callbacks(ProgressBar()).fit(X, y)
    assert "fit" in capsys.readouterr().out


def test_a_notebook_shows_network_and_loss_curve():
    X, y = flowers()
    before = small()._repr_html_()
    model = small(solver="adam", hidden_layer_sizes=(6, 5), activation="tanh")
    html = model.fit(X, y, validation_data=(X, y))._repr_html_()
    assert "polyline" not in before and html.count("<polyline") == 2
    assert "4 inputs → 6 tanh → 5 tanh → 3 softmax, 83 weights" in html and "validation" in html
    assert "MLPClassifier" in html and "polyline" in model._repr_mimebundle_()["text/html"]
    with sklearn.config_context(display="text"), pytest.raises(AttributeError):
        small()._repr_html_()


@pytest.mark.parametrize(
    ("given", "threads"),
    [({"OMP_NUM_THREADS": "3,2"}, 3), ({"OMP_NUM_THREADS": "3", "DELTARULE_THREADS": "2"}, 2)],
    ids=str,
)
def test_the_environment_limits_threads(given, threads, monkeypatch):
    for name in ("OMP_NUM_THREADS", "DELTARULE_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    native._threads_of_process.cache_clear()
    try:
        assert native.n_threads() == threads
    finally:
        native._threads_of_process.cache_clear()


def test_threads_of_joblib_use_one_thread_each(monkeypatch):
    monkeypatch.setattr("deltarule.engines.native._threads_of_process", lambda: 8)
    seen = []

    class Watching(methods.ConjugateGradient):
        def step(self, objective, state):
            seen.append(native.n_threads())
            return super().step(objective, state)

    X, y = flowers()
    cross_validate(small(solver=Watching()), X, y, cv=2)
    assert set(seen) == {8}
    seen.clear()
    with joblib.parallel_config("threading", n_jobs=2):
        cross_validate(small(solver=Watching()), X, y, cv=2)
    assert set(seen) == {1}
