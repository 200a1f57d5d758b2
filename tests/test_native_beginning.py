"""The kernels that say where to begin and how steps are measured, against the same in arrays."""

import numpy as np
import pytest

from deltarule import Network, Objective
from deltarule.beginning import COST, SHARES, _of_arrays
from deltarule.engines.array import ArrayEngine

native = pytest.importorskip("deltarule.engines._native")

SHAPES = [
    (1, 5, 1), (3, 2, 1), (3, 1, 1), (3, 5, 2), (8, 32, 2), (2, 7, 9, 3), (16, 12, 1), (64, 16, 1), (5, 120, 4),
]  # fmt: skip
"""Few and many inputs, of which 16 and 64 fill the lanes of vectors; one, two and many hidden neurons; two layers."""
CODES = {"identity": 0, "tanh": 2}


class Rows:
    """A network, rows and weights in one number type, and the kernels bound to them."""

    def __init__(self, sizes, n=150, dtype=np.float64, weighted=False, l2=0.0, isa="", offset=0.0, noise=0.3):
        rng = np.random.default_rng([n, *sizes])
        self.network, self.l2, self.n = Network(sizes), l2, float(n)
        self.X = rng.standard_normal((n, sizes[0])).astype(dtype)
        clean = np.sin(self.X[:, :1] * (1 + np.arange(sizes[-1]))) + offset
        self.T = (clean + noise * rng.standard_normal(clean.shape)).astype(dtype)
        s = rng.uniform(0, 2, n) if weighted else None
        self.s = None if s is None else (s * n / s.sum()).astype(dtype)
        self.w = (self.network.initial_weights(1) * rng.uniform(0.5, 3, self.network.n_weights)).astype(dtype)
        self.codes = [CODES[a.name] for a in self.network.activations]
        self.isa = isa

    def objective(self):
        """Return the same in float64 with the array engine, and its weights."""
        wide = [None if a is None else a.astype(np.float64) for a in (self.X, self.T, self.s)]
        made = Objective(self.network, "squared_error", *wide, l2=self.l2)
        made.engine = ArrayEngine(made.network, made.loss)
        return made, self.w.astype(np.float64)

    def last_layer(self):
        return native.last_layer(list(self.network.sizes[:-1]), self.codes[:-1], self.X, self.T, self.s, self.isa)

    def begun(self, threads=1, shares=SHARES):
        out = np.full_like(self.w, np.nan)
        lower = self.last_layer().begun(self.w, self.l2, self.n, COST, shares, out, threads)
        return out, lower

    def squares(self, D, threads=1):
        bound = native.bind(list(self.network.sizes), self.codes, 0, 0.0, True, self.X, D, None, self.isa)
        out = np.full(sum(self.network.sizes[:-1]) + self.network.depth, np.nan, self.w.dtype)
        bound.squared_derivatives(self.w, out, threads)
        return out


@pytest.fixture(params=native.isas())
def isa(request):
    return request.param


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_the_squares(sizes, dtype, isa):
    for n in (1, 5, 12, 100, 700):
        rows = Rows(sizes, n=n, dtype=dtype, isa=isa)
        D = np.random.default_rng(n).standard_normal((n, sizes[-1])).astype(dtype)
        objective, w = rows.objective()
        expected = objective.engine.squared_derivatives(w, objective.rows.X, D.astype(float))
        assert rows.squares(D) == pytest.approx(expected, rel=64 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_the_last_layer_to_begin_with(sizes, l2, weighted, isa):
    rows = Rows(sizes, l2=l2, weighted=weighted, isa=isa)
    objective, w = rows.objective()
    expected = _of_arrays(objective, w, rows.n)
    found, lower = rows.begun()
    assert lower
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_in_float32_it_is_as_low(sizes, isa):
    rows = Rows(sizes, dtype=np.float32, isa=isa)
    objective, w = rows.objective()
    found, lower = rows.begun()
    assert lower and found.dtype == np.float32
    assert objective.value(found.astype(float)) == pytest.approx(
        objective.value(_of_arrays(objective, w, 150.0)), rel=1e-3
    )


def test_any_number_of_threads_gives_the_same_bits():
    """Of rows so many that threads share them."""
    rows = Rows((5, 120, 4), n=20_000)
    D = np.random.default_rng(0).standard_normal((rows.X.shape[0], 4))
    assert len({rows.begun(threads)[0].tobytes() for threads in (1, 2, 3, 8)}) == 1
    assert len({rows.squares(D, threads).tobytes() for threads in (1, 2, 3, 8)}) == 1


@pytest.mark.parametrize("share", SHARES)
def test_each_ridge_by_itself(share, isa):
    """For a single share there is nothing to choose, and the solution is that of the normal equations."""
    rows = Rows((3, 6, 2), l2=0.01, isa=isa)
    objective, w = rows.objective()
    found, _ = rows.begun(shares=(share,))
    first = rows.network.spans[-1][0]
    Y = np.column_stack([objective.engine.trace(w, objective.rows.X).Y[1], np.ones(150)])
    M, free = Y.T @ Y / 150, np.append(np.ones(6), 0)
    ridge = share * np.diag(M)[:-1].mean() * free
    given = np.vstack([w[first:-2].reshape(2, 6).T, w[-2:]])
    of_output = (Y[:, :-1] @ given[:-1]).var(axis=0)
    given[:-1] *= np.minimum(1, np.sqrt(objective.rows.T.var(axis=0) / of_output))
    B = np.linalg.solve(M + np.diag(0.01 * free + ridge), Y.T @ objective.rows.T / 150 + ridge[:, None] * given)
    assert found[first:] == pytest.approx(np.concatenate([B[:-1].T.ravel(), B[-1]]), rel=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_targets_far_from_0_take_nothing_from_it(offset):
    rows = Rows((3, 6, 2), offset=offset, noise=0.0)
    near = Rows((3, 6, 2), noise=0.0)
    found, expected = rows.begun()[0], near.begun()[0]
    assert found[:-2] == pytest.approx(expected[:-2], rel=1e-6)
    assert found[-2:] - offset == pytest.approx(expected[-2:], abs=1e-6)


def test_twice_the_same_neuron():
    """M is singular but for the ridge."""
    rows = Rows((3, 6, 1))
    W = rows.w[:18].reshape(6, 3)
    W[3:], rows.w[21:24] = W[:3], rows.w[18:21]
    objective, w = rows.objective()
    assert rows.begun()[0] == pytest.approx(_of_arrays(objective, w, rows.n), rel=1e-8)


@pytest.mark.parametrize("scale", [0.0, 1e-170, 1e-100, 1e-8, 1e8, 1e100, 1e200, np.inf, np.nan])
def test_hidden_outputs_of_any_size(scale):
    rows = Rows((3, 5, 2))
    rows.codes[0] = CODES["identity"]
    with np.errstate(invalid="ignore"):
        rows.w[:20] *= scale
    found, lower = rows.begun()
    assert np.array_equal(found[:20], rows.w[:20], equal_nan=True)
    if scale in (1e-100, 1e-8, 1e8):
        assert lower and np.all(np.isfinite(found))
    else:
        assert not lower and np.array_equal(found, rows.w, equal_nan=True)


@pytest.mark.parametrize("where", ["X", "T", "s"])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_where_numbers_are_none_the_weights_stay(where, number):
    rows = Rows((3, 5, 2), weighted=True)
    getattr(rows, where)[7] = number
    if (where, number) == ("X", np.inf):  # tanh is 1 there
        rows.codes[0] = CODES["identity"]
    found, lower = rows.begun()
    assert not lower and np.array_equal(found, rows.w)


def test_fewer_rows_than_neurons():
    for n in (1, 2, 7):
        rows = Rows((3, 40, 2), n=n, l2=0.01)
        found, lower = rows.begun()
        objective, w = rows.objective()
        assert lower and np.all(np.isfinite(found)) and objective.value(found) <= objective.value(w) * (1 + 1e-12)


def test_what_does_not_fit_is_refused():
    rows = Rows((3, 5, 2))
    last, out = rows.last_layer(), np.empty_like(rows.w)
    for w, to, shares in ((rows.w[:-1], out, SHARES), (rows.w, out[:-1].copy(), SHARES), (rows.w, out, ())):
        with pytest.raises(ValueError, match="_native: "):
            last.begun(w.copy(), 0.0, 10.0, COST, shares, to)
    none = Rows((3, 5, 2), n=0)
    with pytest.raises(ValueError, match="_native: "):
        none.last_layer().begun(none.w, 0.0, 10.0, COST, SHARES, out)
    bound = native.bind([3, 5, 2], [2, 0], 0, 0.0, True, rows.X, rows.T, None)
    with pytest.raises(ValueError, match="_native: out has the wrong shape"):
        bound.squared_derivatives(rows.w, np.empty(9))
