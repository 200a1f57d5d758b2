"""The same table, seed and version give the same bits for any number of threads, from the fit to the file."""

import numpy as np
import pytest
import threadpoolctl

import deltarule as dr
from deltarule.compiled import ENGINE, kernels
from deltarule.engines import native
from deltarule.modelfile import to_bytes

THREADS = (1, 2, 3, 8)
N_ROWS = 12_000
"""So many that the kernels do start threads, and that the blocks are many."""
FITS = {
    "conjugate gradients": {"method": "cg", "max_steps": 4},
    "Levenberg-Marquardt": {"method": "lm", "max_steps": 2},
    "Bayesian regularisation": {"method": "trainbr", "max_steps": 2},
    "Newton": {"method": "newton_cg", "max_steps": 2},
    "mini-batches": {"method": "adam", "settings": {"batch_size": 500, "rule": "adam"}, "max_steps": 2},
    "side by side": {"method": "rprop", "max_steps": 3, "restarts": 2, "ensemble": 2},
}


def table(n=N_ROWS):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 6))
    return {**{f"x{j}": column for j, column in enumerate(X.T)}, "y": np.sin(X[:, 0]) * X[:, 1] + X[:, 2]}


def file_of(**settings):
    """The bytes of a model's file, its predictions on other rows, and its error bars."""
    model = dr.fit(table(), "y", hidden=16, l2=0.0, seed=5, **settings)
    return to_bytes(model), model.predict(table(300)).tobytes()


@pytest.mark.promise("P5")
@pytest.mark.skipif(kernels() is None, reason="there are no kernels without a compiler")
@pytest.mark.parametrize("name", FITS)
def test_kernels_give_the_same_file_for_any_number_of_threads(monkeypatch, name):
    files = set()
    for threads in THREADS:
        monkeypatch.setattr(native, "_threads_of_process", lambda threads=threads: threads)
        files.add(file_of(**FITS[name]))
    assert len(files) == 1


@pytest.mark.promise("P5")
@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("method", ["lbfgs", "lm"])
def test_equations_are_solved_to_the_same_bits_for_any_number_of_blas_threads(method, restarts):
    """So large that BLAS would share a factorisation, in the main thread and side by side in others."""
    columns, files = table(400), set()
    for threads in (1, 2, 3):
        with threadpoolctl.threadpool_limits(threads):
            model = dr.fit(columns, "y", method=method, hidden=150, l2=1e-3, seed=5, max_steps=2, restarts=restarts)
            files.add(to_bytes(model))
    assert len(files) == 1


@pytest.mark.promise("P5")
@pytest.mark.parametrize("name", ["conjugate gradients", "Levenberg-Marquardt", "mini-batches"])
def test_the_array_engine_gives_the_same_file_for_any_number_of_threads(monkeypatch, name):
    monkeypatch.setenv(ENGINE, "array")
    files = set()
    for threads in THREADS:
        with threadpoolctl.threadpool_limits(threads):
            files.add(file_of(**FITS[name]))
    assert len(files) == 1


@pytest.mark.promise("P5")
def test_the_default_gives_the_same_file_twice():
    columns = table(300)
    assert len({to_bytes(dr.fit(columns, "y", max_steps=5)) for _ in range(2)}) == 1
