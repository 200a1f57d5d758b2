"""The kernels of what methods compute between passes, against the same in arrays."""

import numpy as np
import pytest

from deltarule.compiled import kernels, lbfgs_direction, lbfgs_pair, rprop
from deltarule.methods import Rprop
from deltarule.methods.lbfgs import LBFGSState, _added, _direction_of_arrays
from deltarule.methods.rprop import RpropState

KERNELS = kernels()
pytestmark = pytest.mark.skipif(KERNELS is None, reason="the compiled kernels are not there")
ISAS = [] if KERNELS is None else KERNELS.isas()
SIZES = [(1, 0, 3), (1, 1, 1), (4, 0, 7), (4, 3, 33), (5, 5, 16), (9, 9, 70), (50, 21, 354)]
"""(memory, pairs, weights)."""


def some_pairs(memory, n, p, dtype, seed=0):
    """Return A and Y (memory, p), the rows before the last n of them 0, and three vectors (p,), the last above 0."""
    rng = np.random.default_rng(seed)
    A, Y = rng.normal(size=(2, memory, p))
    A[: memory - n] = Y[: memory - n] = 0
    g, s, y = rng.normal(size=(3, p))
    return [x.astype(dtype) for x in (A, Y, g, s, np.exp(y))]


def rounding(dtype, n):
    """Return by how much a sum of n products may be off, as a share of the sum of their sizes."""
    return 2 * (n + 4) * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("memory", "n", "p"), SIZES)
@pytest.mark.parametrize("isa", ISAS)
def test_the_direction(isa, memory, n, p, dtype):
    A, Y, g, _, P = some_pairs(memory, n, p, dtype)
    out = np.full(p, np.nan, dtype=dtype)
    KERNELS.lbfgs_direction(A, Y, n, g, P, 0.7, out, isa)
    state = LBFGSState(g, 0.0, g, "", A, Y, P, n, 0.7, 0, "", 0.0, 0.0, True)
    one, all_rows = np.abs(A).astype(float), np.abs(Y).astype(float)
    alpha = one @ np.abs(g)
    q = 0.7 * P * (np.abs(g) + alpha @ all_rows)
    sizes = q + (all_rows @ q + alpha) @ one  # what the sums add up to without signs
    assert np.all(np.abs(out - _direction_of_arrays(state)) <= rounding(dtype, 2 * p + 2 * n) * sizes)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("memory", "n", "p"), SIZES)
@pytest.mark.parametrize("isa", ISAS)
def test_a_new_pair(isa, memory, n, p, dtype):
    A, Y, before, direction, P = some_pairs(memory, n, p, dtype)
    after = before + np.random.default_rng(1).normal(size=p).astype(dtype)
    kept = A.copy(), Y.copy()
    by = (direction, before, after, P, 0.3, 1.7)
    new_A, new_Y = (np.full((memory, p), np.nan, dtype=dtype) for _ in range(2))
    squares = KERNELS.lbfgs_pair(A, Y, n, *by, new_A, new_Y, isa)
    expected_A, expected_Y, *expected = _added(A, Y, n, *by)
    s, y = expected_A[-1], expected_Y[-1]
    sizes = np.abs(expected_A) + np.roll(np.abs(A) @ np.abs(y), -1)[:, None] * np.abs(s) + np.abs(np.roll(A, -1, 0))
    assert np.all(np.abs(new_A - expected_A) <= rounding(dtype, p) * sizes)
    assert np.array_equal(new_Y, expected_Y)
    assert squares == pytest.approx(expected, rel=float(rounding(dtype, p)))
    assert np.array_equal(A, kept[0]) and np.array_equal(Y, kept[1])


@pytest.mark.parametrize("isa", ISAS)
def test_numbers_that_are_none_come_through(isa):
    A, Y, g, _, P = some_pairs(3, 3, 10, np.float64)
    g[4] = np.nan
    out = np.zeros(10)
    KERNELS.lbfgs_direction(A, Y, 3, g, P, 1.0, out, isa)
    assert np.all(np.isnan(out))


def test_what_does_not_fit_is_refused():
    A, Y, g, s, P = some_pairs(3, 2, 5, np.float64)
    out = np.zeros(5)
    for wrong in ((A, Y[:2], 2, g, P), (A, Y, 4, g, P), (A, Y, -1, g, P), (A, Y, 2, g[:4], P), (A, Y, 2, g, P[:3])):
        with pytest.raises(ValueError, match="_native: "):
            KERNELS.lbfgs_direction(*wrong, 1.0, out)
    with pytest.raises(ValueError, match="_native: "):
        KERNELS.lbfgs_direction(A, Y, 2, g, P, 1.0, out[:4])
    room = A.copy(), Y.copy()
    for i, wrong in ((3, s[:4]), (4, g[:4]), (5, g[:4]), (6, P[:4]), (9, A[:2].copy()), (10, Y[:2].copy()), (2, 4)):
        given = [A, Y, 2, s, g, g, P, 1.0, 1.0, *room]
        given[i] = wrong
        with pytest.raises(ValueError, match="_native: "):
            KERNELS.lbfgs_pair(*given)
    for moved, made in ((g[:4], np.zeros((4, 5))), (g, np.zeros((3, 5))), (g, np.zeros((4, 4)))):
        with pytest.raises(ValueError, match="_native: "):
            KERNELS.rprop((1.2, 0.5, 1e-6, 50.0), True, False, g, s, g, g, moved, made)
    with pytest.raises(TypeError):
        KERNELS.lbfgs_direction(A[:, ::2], Y[:, ::2], 2, g[::2], P[::2], 1.0, out[:3])


def test_arrays_in_pieces_are_copied():
    grad, w, *others = np.random.default_rng(0).normal(size=(7, 5)).T
    settings = (1.2, 0.5, 1e-6, 50.0)
    in_one_piece = [np.ascontiguousarray(a) for a in (grad, w, *others)]
    assert np.array_equal(rprop(settings, True, False, grad, w, *others), rprop(settings, True, False, *in_one_piece))
    assert np.array_equal(
        rprop(settings, True, False, grad.tolist(), *in_one_piece[1:]), rprop(settings, True, False, *in_one_piece)
    )
    A, Y, g, s, P = some_pairs(3, 2, 5, np.float64)
    turned, g2, s2 = [np.asfortranarray(M) for M in (A, Y)], np.repeat(g, 2)[::2], s.astype(np.float32)
    assert np.array_equal(lbfgs_direction(*turned, 2, g2, P, 0.5), lbfgs_direction(A, Y, 2, g, P, 0.5))
    pairs = (
        lbfgs_pair(*M, 2, d, h, h + 1, P, 1.0, 0.7) for M, d, h in ((turned, s2, g2), ((A, Y), s2.astype(float), g))
    )
    assert all(np.array_equal(one, other) for one, other in zip(*pairs, strict=True))


def test_arrays_that_are_not_theirs_are_left_to_the_method():
    assert lbfgs_direction(np.zeros((2, 3), dtype=int), np.zeros((2, 3)), 0, 1, 1, 1.0) is None
    assert lbfgs_pair([[0.0]], [[0.0]], 0, [1.0], [1.0], [1.0], [1.0], 1.0, 1.0) is None
    assert rprop((1.2, 0.5, 1e-6, 50.0), True, False, [1.0], [1.0], [1.0], [1.0], [1.0]) is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("forgets", [False, True])
def test_a_step_of_rprop(isa, dtype, forgets, returns):
    """To the bit, for slopes that go on, have turned, are 0 or no number, and for Δ at both limits."""
    rng, p, method = np.random.default_rng(0), 203, Rprop()
    grad, move, w = rng.normal(size=(3, p))
    grad[:20], grad[20:25] = 0, np.nan
    sizes = np.exp(rng.uniform(np.log(method.smallest_step), np.log(method.largest_step), p))
    sizes[100:120], sizes[120:140] = method.smallest_step, method.largest_step
    given = [a.astype(dtype) for a in (grad, w, sizes, rng.integers(-1, 2, p), move)]
    kept, made = [a.copy() for a in given], np.zeros((4, p), dtype)
    settings = (method.increase, method.decrease, method.smallest_step, method.largest_step)
    KERNELS.rprop(settings, forgets, returns, *given, made, isa)
    grad, w, sizes, signs, move = given
    s = RpropState(w, 1.0, grad, "", sizes, signs, move, 1.0)
    for one, other in zip(made, method._moved(s, forgets, returns), strict=True):
        assert np.array_equal(one, other.astype(dtype), equal_nan=True)
    assert np.all(np.isnan(made[0][20:25]))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, given, strict=True))
