"""Positive definite systems, in NumPy and in any other array library."""

import array_api_compat
import numpy as np
import pytest

from deltarule import cholesky

rng = np.random.default_rng(0)
ROOT = rng.normal(size=(6, 6))
A, B = ROOT @ ROOT.T, rng.normal(size=(6, 2))


@pytest.fixture(params=["numpy", "numpy32", "torch"])
def asarray(request):
    if request.param == "torch":
        return pytest.importorskip("torch").asarray
    return lambda values: np.asarray(values, dtype="f4" if request.param == "numpy32" else "f8")


def close(found, expected):
    """Return whether an array of any library is another, to its own rounding."""
    found = np.asarray(found)
    eps = np.finfo(found.dtype).eps
    return np.allclose(found, expected, rtol=0, atol=100 * eps * np.linalg.cond(A) * np.abs(expected).max())


def test_factor_and_solutions(asarray):
    L = cholesky.factor(asarray(A), asarray(np.arange(6.0)))
    whole = A + np.diag(np.arange(6.0))
    assert close(np.asarray(L) @ np.asarray(L).T, whole)
    assert close(L, np.tril(np.asarray(L)))
    assert close(cholesky.solve(L, asarray(B)), np.linalg.solve(whole, B))
    assert close(cholesky.forward(L, asarray(B)), np.linalg.solve(np.linalg.cholesky(whole), B))
    assert close(cholesky.inverse(L), np.linalg.inv(np.linalg.cholesky(whole)))
    assert close(cholesky.shifted_solve(asarray(A), 0.5, asarray(B[:, 0])), np.linalg.solve(A + np.eye(6) / 2, B[:, 0]))


def test_what_is_given_is_left_alone(asarray):
    given, b = asarray(A), asarray(B[:, 0])
    cholesky.shifted_solve(given, 1.0, b)
    cholesky.factor(given, 1.0)
    assert np.array_equal(np.asarray(given), np.asarray(asarray(A)))
    assert np.array_equal(np.asarray(b), np.asarray(asarray(B[:, 0])))


def test_what_is_not_positive_definite_gives_none(asarray):
    bad = asarray(A - 100 * np.eye(6))
    assert cholesky.factor(bad) is None
    assert cholesky.shifted_solve(bad, 0.0, asarray(B[:, 0])) is None
    assert cholesky.factor(bad, 100.0) is not None


def test_a_singular_matrix_is_raised_by_little(asarray):
    v = np.array([1.0, 2.0, 0.0])
    L = cholesky.raised_factor(asarray(np.outer(v, v)))
    eps = array_api_compat.array_namespace(L).finfo(L.dtype).eps
    assert np.allclose(np.asarray(L) @ np.asarray(L).T, np.outer(v, v), rtol=0, atol=100 * eps)


def test_what_is_not_finite_stays_so(asarray):
    assert np.isnan(np.asarray(cholesky.raised_factor(asarray(np.full((2, 2), np.nan))))[1, 1])


def test_one_thread():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with cholesky.one_thread():
        pools = [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert set(pools) == {1}
