"""Every engine computes what the plain loops of reference.py compute, within a bound from rounding alone."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import (
    check_differences,
    check_epoch,
    check_gauss_newton,
    check_gradient,
    check_predict,
    gauss_newton_bound,
    gradient_bound,
    make_case,
    value_bound,
)
from deltarule.engines import Rows, choose
from deltarule.engines.array import ArrayEngine
from deltarule.errors import SettingError
from deltarule.losses import LOSSES
from deltarule.network import Network

SHAPES = [(3, 2), (1, 1), (2, 1, 1, 1, 2), (3, 4, 3, 2, 4, 2), (4, 1, 3), (2, 7, 1)]
FLAT = [name for name, loss in LOSSES.items() if loss.curvature is None]


def build(engine, case):
    return engine(case.network, case.loss)


@pytest.mark.promise("P1")
def test_gradient_of_every_pair(engine, pair):
    case = make_case(*pair, weighted=True)
    check_gradient(build(engine, case), case)
    check_differences(build(engine, case), case)


def test_gauss_newton_of_every_pair(engine, pair):
    case = make_case(*pair, n=3, weighted=True)
    made = build(engine, case)
    if pair[1] not in FLAT:
        return check_gauss_newton(made, case)
    with pytest.raises(SettingError, match=r"no curvature.*use huber or log_cosh"):
        made.gauss_newton(case.w, case.rows)
    with pytest.raises(SettingError, match="no curvature"):
        return made.gauss_newton_product(case.w, case.rows, case.w)


@pytest.mark.promise("P1")
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("pair", [("tanh", "squared_error"), ("softmax", "cross_entropy")], ids="-".join)
def test_every_shape(engine, sizes, pair):
    case = make_case(*pair, sizes=sizes)
    made = build(engine, case)
    check_gradient(made, case)
    check_gauss_newton(made, case)
    check_epoch(made, case)
    check_predict(made, case)


@pytest.mark.promise("P1")
def test_float32_of_every_pair(engine, pair):
    case = make_case(*pair, weighted=True, dtype=np.float32)
    made = build(engine, case)
    check_gradient(made, case)
    check_predict(made, case)
    if pair[1] not in FLAT:
        check_gauss_newton(made, case)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 7])
@pytest.mark.parametrize("weighted", [False, True])
def test_epoch_of_every_rule(engine, rule, batch_size, weighted):
    case = make_case("logistic", weighted=weighted, n=5)
    check_epoch(build(engine, case), case, rule, batch_size)
    check_epoch(build(engine, case), case, rule, batch_size, l2=0.3)


def test_epoch_of_every_pair(engine, pair):
    case = make_case(*pair)
    check_epoch(build(engine, case), case, rate=0.02)
    check_epoch(build(engine, case), case, batch_size=2, rate=0.02)


def test_epoch_goes_on_where_it_stopped(engine, rule):
    from deltarule.engines import Update
    from deltarule.methods import rules

    case, made = make_case(n=6), rules.get(rule)
    update, memory = Update(made, 0.05, 2, 0.1), np.zeros((made.n_memory, 17))
    order, engine = np.array([3, 1, 4, 0, 2, 5]), build(engine, case)
    whole = engine.epoch(case.w, memory, 0, case.rows, order, update)
    w, memory, count, first = engine.epoch(case.w, memory, 0, case.rows, order[:4], update)
    w, memory, count, second = engine.epoch(w, memory, count, case.rows, order[4:], update)
    assert np.array_equal(w, whole[0])
    assert np.array_equal(memory, whole[1])
    assert count == whole[2] == 3
    assert first + second == pytest.approx(whole[3], rel=1e-15)  # two sums of three, added in another order


def part(rows, taken):
    return Rows(*(None if A is None else A[taken] for A in rows))


@given(cut=st.integers(1, 10), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_sum_over_blocks_is_the_whole(cut, seed):
    case = make_case("softmax", "cross_entropy", n=11, seed=seed, weighted=True)
    engine = choose(case.network, case.loss, case.rows.X)
    value, grad, H = engine.gauss_newton(case.w, case.rows)
    parts = [engine.gauss_newton(case.w, part(case.rows, rows)) for rows in (slice(cut), slice(cut, None))]
    assert abs(parts[0][0] + parts[1][0] - value) <= 2 * value_bound(case)
    assert np.all(np.abs(parts[0][1] + parts[1][1] - grad) <= 2 * gradient_bound(case))
    assert np.all(np.abs(parts[0][2] + parts[1][2] - H) <= 2 * gauss_newton_bound(case))


def test_permuted_rows_give_the_same_gradient(engine):
    case = make_case(n=9, weighted=True)
    made, order = build(engine, case), np.random.default_rng(3).permutation(9)
    value, grad = made.value_grad(case.w, case.rows)
    value2, grad2 = made.value_grad(case.w, part(case.rows, order))
    assert abs(value - value2) <= 2 * value_bound(case)
    assert np.all(np.abs(grad - grad2) <= 2 * gradient_bound(case))


def test_weight_two_is_the_row_twice(engine):
    case = make_case("logistic", "binary_cross_entropy", n=4)
    made = build(engine, case)
    weighted = case.rows._replace(s=np.array([1.0, 2.0, 1.0, 1.0]))
    twice = part(case.rows, [0, 1, 1, 2, 3])
    for (a, b), bound in zip(
        zip(made.gauss_newton(case.w, weighted), made.gauss_newton(case.w, twice), strict=True),
        (value_bound(case), gradient_bound(case), gauss_newton_bound(case)),
        strict=True,
    ):
        assert np.all(np.abs(a - b) <= 2 * 2 * bound)  # twice the bound of a sum twice as large at most


def test_many_rows_pass_through_many_blocks(engine):
    """More rows than a block holds give the sum of the same rows taken few at a time."""
    case = make_case(n=10_001, sizes=(2, 3, 1))
    made = build(engine, case)
    value, grad, H = made.gauss_newton(case.w, case.rows)
    few = [made.gauss_newton(case.w, part(case.rows, slice(i, i + 100))) for i in range(0, 10_001, 100)]
    # n additions of numbers of one size: n · u of the sum of their sizes.
    allowed = 10_001 * case.unit()
    assert abs(sum(f[0] for f in few) - value) <= allowed * value
    sizes = sum(np.abs(f[1]) for f in few)
    assert np.all(np.abs(sum(f[1] for f in few) - grad) <= allowed * sizes * 10)
    assert np.all(np.abs(sum(f[2] for f in few) - H) <= allowed * sum(np.abs(f[2]) for f in few) * 10)
    outputs = made.predict(case.w, case.rows.X)
    assert outputs.shape == (10_001, 1)
    last = made.predict(case.w, case.rows.X[-1:])[0]
    assert abs(outputs[-1] - last) <= case.roundings() * case.unit()  # tanh: no output exceeds 1


def test_memory_beyond_the_data_is_bounded_by_a_block(engine):
    """A block's activations, slopes and signals are some dozen arrays of half a MiB, whatever the number of rows."""
    network, rng = Network((10, 32, 1)), np.random.default_rng(0)
    rows = Rows(rng.normal(size=(100_000, 10)), rng.normal(size=(100_000, 1)))
    made, w = engine(network, LOSSES["squared_error"]), network.initial_weights(0)
    tracemalloc.start()
    made.value_grad(w, rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_inputs_are_left_as_they_are(engine):
    case = make_case(n=4, weighted=True)
    copies = [A.copy() for A in (case.w, *case.rows)]
    made = build(engine, case)
    made.gauss_newton(case.w, case.rows)
    made.gauss_newton_product(case.w, case.rows, case.w)
    made.predict(case.w, case.rows.X)
    assert all(np.array_equal(a, b) for a, b in zip(copies, (case.w, *case.rows), strict=True))


def test_trace_shows_every_neuron():
    case = make_case(sizes=(2, 3, 1), n=4)
    passed = ArrayEngine(case.network, case.loss).trace(case.w, case.rows.X)
    assert [E.shape for E in passed.E] == [(4, 3), (4, 1)]
    assert [Y.shape for Y in passed.Y] == [(4, 2), (4, 3), (4, 1)]
    assert np.array_equal(passed.Y[1], np.tanh(passed.E[0]))


def test_results_do_not_depend_on_the_rows_around(engine):
    """Blocks have borders fixed by the network alone, so the same rows give the same bits."""
    network = Network((2, 3, 1))
    case = make_case(n=40, sizes=(2, 3, 1))
    first, again = (engine(network, case.loss).value_grad(case.w, case.rows) for _ in range(2))
    assert first[0] == again[0]
    assert np.array_equal(first[1], again[1])
