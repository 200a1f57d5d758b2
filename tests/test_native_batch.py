"""The batch kernels against the array engine: every activation and loss, shapes at the edges, threads, both precisions.

The bound is on the error of a sum: some fifty roundings of the largest term: the
reference computes in float64, and float32 is held to float32's unit.
"""

import os
import threading
from itertools import pairwise

import numpy as np
import pytest

from deltarule import activations, losses
from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.network import Network

native = pytest.importorskip("deltarule.engines._native")

ACTIVATIONS, LOSSES = list(activations.ACTIVATIONS), list(losses.LOSSES)
HIDDEN = [name for name, row in activations.ACTIVATIONS.items() if not row.couples]
PAIRS = [
    (name, output)
    for name, loss in losses.LOSSES.items()
    for output in (loss.accepts or ACTIVATIONS)
    if output != "exponential" or name == "poisson"
]
CURVED = [pair for pair in PAIRS if losses.LOSSES[pair[0]].curvature is not None]
SHAPES = [
    (1, 1), (3, 1), (1, 3), (10, 8, 1), (10, 32, 1), (1, 20, 1), (5, 1, 4), (30, 64, 64, 10), (64, 64, 1),
    (17, 23, 9, 2), (2, *[7] * 9, 3), (3, 1000, 2), (130, 49, 25), (600, 48, 3),
]  # fmt: skip
DTYPES = [np.float64, np.float32]


class Problem:
    """A network, rows and weights, in one precision, and the arguments that name them to the kernels."""

    def __init__(
        self, sizes, hidden="tanh", output="identity", loss="squared_error", n=100, dtype=np.float64, weighted=True
    ):
        rng = np.random.default_rng(len(sizes) * 1000 + n)
        self.network = Network(sizes, [hidden] * (len(sizes) - 2) + [output])
        self.loss = losses.get(loss)
        self.dtype = dtype
        self.X = rng.standard_normal((n, sizes[0])).astype(dtype)
        self.T = self.targets(rng, n, sizes[-1]).astype(dtype)
        self.s = rng.uniform(0.5, 2, n).astype(dtype) if weighted else None
        scale = np.concatenate([np.full((i + 1) * o, 1 / np.sqrt(i + 1)) for i, o in pairwise(sizes)])
        self.w = (rng.standard_normal(self.network.n_weights) * scale).astype(dtype)
        self.v = rng.standard_normal(self.network.n_weights).astype(dtype)
        self.network_arguments = (list(sizes), [ACTIVATIONS.index(a.name) for a in self.network.activations])
        self.formulas = (
            *self.network_arguments, LOSSES.index(self.loss.name), self.loss.parameter or 0.0,
            self.loss.fuses(self.network.activations[-1]),
        )  # fmt: skip

    def bound(self, isa=""):
        return native.bind(*self.formulas, self.X, self.T, self.s, isa)

    def targets(self, rng, n, k):
        if self.loss.name == "cross_entropy":
            return rng.dirichlet(np.ones(k), n) if n % 2 else np.eye(k)[rng.integers(0, k, n)]
        if self.loss.name == "binary_cross_entropy":
            return rng.integers(0, 2, (n, k)) if n % 2 else rng.uniform(0, 1, (n, k))
        return rng.poisson(2, (n, k)) if self.loss.name == "poisson" else rng.standard_normal((n, k))

    def reference(self):
        """Return the array engine and the same numbers in float64."""
        wide = [None if a is None else a.astype(np.float64) for a in (self.X, self.T, self.s)]
        return ArrayEngine(self.network, self.loss), self.w.astype(np.float64), Rows(*wide)

    def close(self, got, wanted, factor=1.0):
        unit = np.finfo(self.dtype).eps * factor
        size = np.max(np.abs(wanted), initial=1.0)
        assert np.all(np.abs(got - wanted) <= 50 * unit * (size + np.abs(wanted))), (
            np.max(np.abs(got - wanted)) / size / unit
        )


def check_value_and_gradient(p, isa="", threads=1):
    engine, w, rows = p.reference()
    loss, gradient = engine.value_grad(w, rows)
    got = np.full_like(p.w, np.nan)
    growth = max(1.0, np.sqrt(len(p.X)) / 10)
    p.close(p.bound(isa).value_grad(p.w, got, threads), loss, growth)
    p.close(got, gradient, growth)
    p.close(p.bound(isa).value(p.w, threads), loss, growth)


def check_predict(p, isa="", threads=1):
    engine, w, rows = p.reference()
    out = np.full((len(p.X), p.network.n_out), np.nan, p.dtype)
    native.predict(*p.network_arguments, p.w, p.X, out, threads, isa)
    p.close(out, engine.predict(w, rows.X))


def check_gauss_newton(p, threads=1):
    """Check every instruction set: the reference takes longer than all of them."""
    engine, w, rows = p.reference()
    loss, gradient, H = engine.gauss_newton(w, rows)
    wanted = engine.gauss_newton_product(w, rows, p.v.astype(np.float64))
    for isa in native.isas():
        grad, product = np.full_like(p.w, np.nan), np.full_like(p.w, np.nan)
        got = np.full((p.w.size, p.w.size), np.nan, p.dtype)
        p.close(p.bound(isa).gauss_newton(p.w, grad, got, threads), loss)
        p.close(grad, gradient)
        p.close(got, H)
        assert np.array_equal(got, got.T), isa
        p.bound(isa).gauss_newton_product(p.w, p.v, product, threads)
        p.close(product, wanted)


@pytest.fixture(params=native.isas())
def isa(request):
    return request.param


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_shapes(sizes, dtype, isa):
    for n in (1, 7, 100, 700):
        check_value_and_gradient(Problem(sizes, n=n, dtype=dtype, weighted=n % 2 == 0), isa)
        check_predict(Problem(sizes, n=n, dtype=dtype), isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(5, 16, 1), (5, 15, 3), (9, 32, 16, 16), (6, 16), (20, 17, 1)], ids=str)
@pytest.mark.parametrize("output", ["identity", "tanh", "softmax"])
def test_predictions_row_by_row_and_in_panels(sizes, output, dtype, isa):
    loss = "cross_entropy" if output == "softmax" else "squared_error"
    for n in (9, 96, 480, 1001):
        check_predict(Problem(sizes, output=output, loss=loss, n=n, dtype=dtype), isa)


def test_padding_of_a_layer_takes_no_part_in_a_prediction(isa):
    p = Problem((3, 15, 1), n=20)  # 15 neurons in 16 lanes: infinity times a padding weight would be NaN
    p.X[4, 1] = np.inf
    check_predict(p, isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_activations(hidden, dtype, isa):
    check_value_and_gradient(Problem((4, 6, 5, 2), hidden, n=61, dtype=dtype), isa)
    check_predict(Problem((4, 6, 5, 2), hidden, n=61, dtype=dtype), isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), PAIRS)
def test_losses(loss, output, dtype, isa):
    for n in (50, 51):
        check_value_and_gradient(Problem((4, 6, 3), "tanh", output, loss, n, dtype), isa)
    check_predict(Problem((4, 6, 3), "tanh", output, loss, 50, dtype), isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "output"), CURVED)
def test_gauss_newton_losses(loss, output, dtype):
    for n in (50, 51):
        check_gauss_newton(Problem((4, 6, 5, 3), "tanh", output, loss, n, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sizes", [s for s in SHAPES if s[-1] * sum((a + 1) * b for a, b in pairwise(s)) < 6000], ids=str
)
def test_gauss_newton_shapes(sizes, dtype):
    for n in (0, 1, 7, 600) if sizes != (64, 64, 1) else (600,):  # the matrices of 4225 weights take their time
        check_gauss_newton(Problem(sizes, n=n, dtype=dtype, weighted=n % 2 == 0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [s for s in SHAPES if max(s) < 600], ids=str)
def test_residuals(sizes, dtype, isa):
    for n, output in ((1, "identity"), (30, "logistic"), (200, "softmax")):
        p = Problem(sizes, "tanh", output, n=n, dtype=dtype, weighted=n != 30)
        engine, w, rows = p.reference()
        wanted = engine.residuals(w, rows)
        for threads in (1, 3):
            got = [np.full(part.shape, np.nan, dtype) for part in wanted]
            p.bound(isa).residuals(p.w, *got, threads)
            for one, other in zip(got, wanted, strict=True):
                p.close(one, other)


def check_last_layer(p, isa="", threads=1):
    """Sums and what is left, against the same by arrays."""
    engine, w, rows = p.reference()
    first = p.network.spans[-1][0]
    reference = engine.last_layer(rows)
    sums = reference.sums(w[:first])
    k = len(sums)
    B = np.random.default_rng(0).standard_normal((p.network.n_out, k)).astype(p.dtype)
    last = native.last_layer(p.network_arguments[0][:-1], p.network_arguments[1][:-1], p.X, p.T, p.s, isa)
    for _ in range(2):
        got, left = np.full(sums.shape, np.nan, p.dtype), np.full(B.shape, np.nan, p.dtype)
        last.sums(p.w[:first].copy(), got, threads)
        p.close(got, sums)
        assert np.array_equal(got[:, :k], got[:, :k].T)
        last.left(p.w[:first].copy(), B, left, threads)
        p.close(left, reference.left(w[:first], B.astype(float)))
    grad = np.full(first, np.nan, p.dtype)
    if not last.gives_gradients:
        with pytest.raises(ValueError, match="value_grad comes after sums, with one layer before"):
            last.value_grad(p.w[:first].copy(), B, grad, threads)
        return got.tobytes(), left.tobytes()
    whole = np.concatenate([w[:first], B[:, :-1].ravel(), B[:, -1]]).astype(float)
    value, gradient = engine.value_grad(whole, rows)
    p.close(last.value_grad(p.w[:first].copy(), B, grad, threads), value, max(1.0, np.sqrt(len(p.X)) / 10))
    p.close(grad, gradient[:first], max(1.0, np.sqrt(len(p.X)) / 10))
    return got.tobytes(), left.tobytes(), grad.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [s for s in SHAPES if len(s) > 2], ids=str)
def test_the_last_layers_least_squares(sizes, dtype, isa):
    for n in (1, 7, 100, 700):
        check_last_layer(Problem(sizes, n=n, dtype=dtype, weighted=n % 2 == 0), isa)


def test_the_last_layer_is_the_same_for_any_number_of_threads_and_where_its_rows_are_not_kept():
    for p in (Problem((10, 32, 2), n=5000), Problem((1, 400, 1), n=11_000)):
        assert len({check_last_layer(p, threads=threads) for threads in (1, 2, 3, 8)}) == 1


def test_what_is_left_is_asked_after_the_sums():
    p = Problem((2, 3, 1), n=5)
    last = native.last_layer([2, 3], p.network_arguments[1][:-1], p.X, p.T, p.s)
    with pytest.raises(ValueError, match="left comes after sums"):
        last.left(p.w[:9].copy(), np.zeros((1, 4)), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="out has the wrong shape"):
        last.sums(p.w[:9].copy(), np.zeros((4, 4)))


def test_residuals_are_the_same_bits_for_any_number_of_threads():
    p, found = Problem((10, 32, 2), n=3000), []
    for threads in (1, 2, 3, 8):
        r, J = np.empty(6000), np.empty((6000, p.w.size))
        p.bound().residuals(p.w, r, J, threads)
        found.append((r.tobytes(), J.tobytes()))
    assert len(set(found)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_gauss_newton_cuts_wide_inputs(dtype):
    check_gauss_newton(Problem((60, 5, 2), n=500, dtype=dtype))


def test_gauss_newton_of_a_neuron_with_very_many_inputs():
    """The products of the last layer's single neuron need more room than a portion of pairs of inputs."""
    check_gauss_newton(Problem((1, 1100, 1), n=100))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows(dtype, isa):
    p = Problem((3, 4, 2), n=0, dtype=dtype)
    grad, out = np.ones_like(p.w), np.empty((0, 2), dtype)
    assert p.bound(isa).value(p.w, 2) == 0
    assert p.bound(isa).value_grad(p.w, grad, 2) == 0
    assert not grad.any()
    native.predict(*p.network_arguments, p.w, p.X, out, 2, isa)


@pytest.mark.promise("P5")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(10, 8, 1), (64, 64, 1), (30, 64, 64, 10), (300, 200, 10)], ids=str)
def test_threads_give_the_same_bits(sizes, dtype, isa):
    p = Problem(sizes, n=20_011 if sizes[0] < 20 else 3001, dtype=dtype)
    grads = [np.empty_like(p.w) for _ in range(4)]
    outs = [np.empty((len(p.X), p.network.n_out), dtype) for _ in range(4)]
    values, matrices = set(), []
    for k, threads in enumerate((1, 2, 3, 8)):
        values.add((p.bound(isa).value_grad(p.w, grads[k], threads), p.bound(isa).value(p.w, threads)))
        native.predict(*p.network_arguments, p.w, p.X, outs[k], threads, isa)
        if p.w.size < 1000:
            matrices.append((np.empty_like(p.w), np.empty((p.w.size, p.w.size), dtype), np.empty_like(p.w)))
            p.bound(isa).gauss_newton(p.w, *matrices[-1][:2], threads)
            p.bound(isa).gauss_newton_product(p.w, p.v, matrices[-1][2], threads)
    assert len(values) == 1
    for others in matrices[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(others, matrices[0], strict=True))
    for k in (1, 2, 3):
        assert np.array_equal(grads[0], grads[k])
        assert np.array_equal(outs[0], outs[k])


def test_value_equals_the_value_of_value_grad(isa):
    p = Problem((10, 32, 1), n=5000)
    assert p.bound(isa).value(p.w) == p.bound(isa).value_grad(p.w, np.empty_like(p.w))


def test_a_row_without_weight_and_rows_beyond_the_last_add_nothing(isa):
    p = Problem((3, 5, 2), n=40)
    p.s[7] = 0
    grad, without = np.empty_like(p.w), np.empty_like(p.w)
    keep = np.arange(40) != 7
    a = p.bound(isa).value_grad(p.w, grad)
    b = native.bind(*p.formulas, p.X[keep], p.T[keep], p.s[keep], isa).value_grad(p.w, without)
    assert a == pytest.approx(b, rel=1e-14)
    np.testing.assert_allclose(grad, without, rtol=1e-12, atol=1e-13)


def test_nan_and_infinity_pass_through(isa):
    p = Problem((3, 5, 1), n=40)
    p.X[3, 1] = np.nan
    grad = np.empty_like(p.w)
    assert np.isnan(p.bound(isa).value_grad(p.w, grad))
    assert np.isnan(grad).any()
    out = np.empty((40, 1))
    native.predict(*p.network_arguments, p.w, p.X, out, 1, isa)
    assert np.isnan(out[3, 0])
    assert np.isfinite(np.delete(out[:, 0], 3)).all()


def test_unaligned_and_read_only_arrays(isa):
    p = Problem((7, 6, 2), n=100)
    grad, wanted = np.empty_like(p.w), np.empty_like(p.w)
    p.bound(isa).value_grad(p.w, wanted)
    moved = []
    for a in (p.w, p.X, p.T, p.s):
        raw = np.zeros(a.nbytes + 8, np.uint8)
        b = raw[8 - raw.ctypes.data % 8 :][: a.nbytes].view(a.dtype).reshape(a.shape)
        b[...] = a
        b.flags.writeable = False
        moved.append(b)
    w, *rows = moved
    native.bind(*p.formulas, *rows, isa).value_grad(w, grad)
    assert np.array_equal(grad, wanted)


def test_wrong_shapes_are_refused():
    p = Problem((3, 4, 2), n=10)
    grad = np.empty_like(p.w)
    with pytest.raises(ValueError, match="w has"):
        p.bound().value(p.w[:-1])
    with pytest.raises(ValueError, match="T has"):
        native.bind(*p.formulas, p.X, p.T[:5], p.s)
    with pytest.raises(ValueError, match="grad has"):
        p.bound().value_grad(p.w, grad[:3])
    with pytest.raises(TypeError):
        native.bind(*p.formulas, p.X.astype(np.float32), p.T, p.s)


@pytest.mark.promise("P5")
def test_calls_from_several_python_threads():
    p = Problem((10, 16, 2), n=3000)
    wanted = np.empty_like(p.w)
    p.bound().value_grad(p.w, wanted, 2)
    grads = [np.empty_like(p.w) for _ in range(4)]
    shared = p.bound()
    workers = [threading.Thread(target=shared.value_grad, args=(p.w, g, 2)) for g in grads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(g, wanted) for g in grads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork():
    p = Problem((10, 32, 1), n=20_000)
    grad = np.empty_like(p.w)
    bound = p.bound()
    value = bound.value_grad(p.w, grad, 2)
    child = os.fork()
    if child == 0:
        os._exit(0 if bound.value_grad(p.w, grad, 2) == value else 1)
    assert os.waitpid(child, 0)[1] == 0
