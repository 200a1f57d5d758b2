"""What tiny work and an extra neuron cost, counted instead of timed: threads that run, Python calls that are made."""

import gc
import sys
from time import process_time, thread_time

import numpy as np
import pytest
from sklearn.base import clone

from deltarule import MLPRegressor
from deltarule.compiled import kernels

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(kernels() is None, reason="without a compiler NumPy computes"),
]

NOTHING = 1e-4
"""Seconds of a processor: what reading two clocks one after the other may differ by."""


@pytest.fixture
def eight_processors(monkeypatch):
    """Let the kernels use eight threads, whatever there is."""
    monkeypatch.setattr("deltarule.engines.native._threads_of_process", lambda: 8)


def elsewhere(work):
    """Return the seconds of a processor that other threads of this process took meanwhile, also those that ended.

    The least of several times: a thread of the test runner's own may wake up, but not always.
    """
    found = []
    for _ in range(5):
        before = process_time() - thread_time()
        work()
        found.append(process_time() - thread_time() - before)
    return min(found)


def python_calls(work):
    """Return how many functions Python calls, those that watch the collection of garbage left out."""
    calls = 0

    def note(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def smooth(n, n_in):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, n_in))
    return X, np.sin(X[:, 0]) + X[:, 1]


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "scg"])
def test_no_cliff_when_a_layer_is_one_neuron_wider(solver, eight_processors):
    """pytorch 144633: from 45 to 46 neurons the same work took 144 times the processors, for a pool of threads woke up.

    Here neither starts a thread, and both take the same steps.
    """
    X, y = smooth(100, 6)
    calls = []
    for width in (44, 45, 46, 47):
        model = MLPRegressor(hidden_layer_sizes=(width,), activation="tanh", solver=solver, max_iter=3, tol=0.0)
        model.set_params(random_state=0)
        model.fit(X, y)
        assert elsewhere(lambda model=model: model.fit(X, y)) < NOTHING
        calls.append(python_calls(lambda model=model: model.fit(X, y)))
    assert solver != "adam" or len(set(calls)) == 1, calls


def test_threads_are_started_where_there_is_work_for_them(eight_processors):
    """The test above could not fail if work for other threads were not seen."""
    X, y = smooth(50_000, 20)
    model = MLPRegressor(hidden_layer_sizes=(64,), solver="lbfgs", max_iter=2, random_state=0)
    assert elsewhere(lambda: model.fit(X, y)) > 100 * NOTHING


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_tiny_work_uses_one_core(solver, eight_processors):
    """skorch 433 and pytorch 144633: threads that are started for tiny work cost more than the work."""
    X, y = smooth(200, 4)
    model = MLPRegressor(hidden_layer_sizes=(8,), solver=solver, max_iter=20, tol=0.0, random_state=0)
    model.fit(X, y)
    assert elsewhere(lambda: model.fit(X, y).predict(X)) < NOTHING
    assert solver == "lbfgs" or elsewhere(lambda: model.partial_fit(X[:1], y[:1])) < NOTHING


@pytest.mark.parametrize("solver", ["adam", "sgd", "online"])
def test_a_row_costs_no_call_of_python(solver):
    """skorch 433: 37 times as slow as a plain loop, for each mini-batch went through layers of Python.

    Here an epoch is one compiled call, however many rows it has and mini-batches it makes of them.
    """
    calls = set()
    for n_rows, batch_size in ((100, 100), (100, 10), (100, 1), (1000, 1)):
        X, y = smooth(n_rows, 10)
        model = MLPRegressor(hidden_layer_sizes=(32,), solver=solver, batch_size=batch_size, max_iter=5, tol=0.0)
        model.set_params(random_state=0).fit(X, y)
        calls.add(python_calls(lambda model=model, X=X, y=y: model.fit(X, y)))
    assert len(calls) == 1, calls


def test_mini_batches_are_those_of_a_plain_loop_of_matrix_products():
    """The loop that skorch was compared with: the same weights to rounding."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1000, 10)), rng.normal(size=(1000, 1))
    model = MLPRegressor(
        hidden_layer_sizes=(32,), activation="tanh", solver="sgd", momentum=0.0, batch_size=10, max_iter=11, tol=0.0,
        n_iter_no_change=99, shuffle=False, alpha=0.0, random_state=0,
    )  # fmt: skip
    begun = clone(model).partial_fit(X, y[:, 0])
    (V, W), (a, b) = begun.coefs_, begun.intercepts_
    for _ in range(10):
        for i in range(0, 1000, 10):
            x, t = X[i : i + 10], y[i : i + 10]
            h = np.tanh(x @ V + a)
            d = (h @ W + b - t) / 10
            back = d @ W.T * (1 - h * h)
            W -= 0.001 * h.T @ d
            b -= 0.001 * d.sum(axis=0)
            V -= 0.001 * x.T @ back
            a -= 0.001 * back.sum(axis=0)
    np.testing.assert_allclose(model.fit(X, y[:, 0]).coefs_[0], V, rtol=1e-10)
