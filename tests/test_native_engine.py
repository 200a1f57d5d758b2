"""The native engine's door: which arrays it takes, when it is chosen, and what is said where it is missing."""

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from deltarule import Network, Objective, activations, losses
from deltarule.compiled import ENGINE, ISA, kernels
from deltarule.engines import Rows, choose, native
from deltarule.engines.array import ArrayEngine
from deltarule.methods import Online, rules
from deltarule.update import Update

compiled = pytest.mark.skipif(kernels() is None, reason="deltarule.engines._native was not compiled")
NETWORK = Network((3, 5, 2))
LOSS = losses.get("squared_error")


def ask(code, **environment):
    """Return what a fresh process prints, with these environment variables set."""
    import os

    kept = {name: value for name, value in os.environ.items() if name != ENGINE}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=kept | environment
    )
    return done.stdout + done.stderr


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return Rows(rng.standard_normal((40, 3)), rng.standard_normal((40, 2)), rng.uniform(0.5, 2, 40))


@compiled
def test_built_in_formulas_are_compiled_and_others_are_not(rows):
    assert isinstance(choose(NETWORK, LOSS, rows.X), native.NativeEngine)
    own = Network((3, 5, 2), activations.own("cube", lambda e: e**3, lambda e, y: 3 * e**2))
    assert isinstance(choose(own, LOSS, rows.X), ArrayEngine)


@compiled
def test_rows_that_change_in_place_are_read_anew_and_an_engine_travels_without_them(rows):
    w, engine = NETWORK.initial_weights(0), native.NativeEngine(NETWORK, LOSS)
    spread = Rows(np.repeat(rows.X, 2, axis=0)[::2], rows.T, rows.s)
    for given in (rows, spread):
        before = engine.value(w, given)
        given.X[0] += 1
        fresh = native.NativeEngine(NETWORK, LOSS).value(w, Rows(given.X.copy(), rows.T, rows.s))
        assert engine.value(w, given) == fresh != before
    assert engine._bound(rows) is engine._bound(rows)
    assert engine._bound(spread) is not engine._bound(spread)
    copied = pickle.loads(pickle.dumps(engine))
    assert copied == engine and copied.value(w, rows) == engine.value(w, rows)


@compiled
@pytest.mark.parametrize("change", ["fortran", "strided", "read-only"])
def test_any_layout_of_the_rows_gives_the_same_bits(rows, change):
    w = NETWORK.initial_weights(0)
    X = {
        "fortran": np.asfortranarray(rows.X),
        "strided": np.repeat(rows.X, 2, axis=0)[::2],
        "read-only": rows.X.copy(),
    }[change]
    X.flags.writeable = change != "read-only"
    given = Rows(X, np.asfortranarray(rows.T), np.repeat(rows.s, 3)[::3])
    engine = native.NativeEngine(NETWORK, LOSS)
    assert engine.value(w, rows) == engine.value(w, given)
    for quantity in (engine.value_grad, engine.gauss_newton):
        for wanted, got in zip(quantity(w, rows), quantity(w, given), strict=True):
            assert np.array_equal(wanted, got)
    assert np.array_equal(engine.predict(w, X), engine.predict(w, rows.X))
    update = Update(rules.Plain(), 0.01, 1, 0.0)
    order = np.arange(40)[::-1]
    wanted, got = (engine.epoch(w, np.zeros((0, w.size)), 0, r, order, update) for r in (rows, given))
    assert np.array_equal(wanted[0], got[0]) and wanted[3] == got[3]


@compiled
@pytest.mark.parametrize("sizes", [(1, 1), (1, 1, 1), (2, 1000, 1), (3, *[4] * 10, 2), (40, 3)])
@pytest.mark.parametrize("n", [0, 1, 2, 700])
def test_shapes_at_the_edge_agree_with_the_array_engine(sizes, n):
    network = Network(sizes)
    w = network.initial_weights(1, "glorot")
    rng = np.random.default_rng(n)
    rows = Rows(rng.standard_normal((n, sizes[0])), rng.standard_normal((n, sizes[-1])))
    ours, theirs = native.NativeEngine(network, LOSS), ArrayEngine(network, LOSS)
    (value, grad), (wanted, wanted_grad) = ours.value_grad(w, rows), theirs.value_grad(w, rows)
    assert value == pytest.approx(wanted, rel=1e-12, abs=1e-300)
    assert np.abs(grad - wanted_grad).max() <= 1e-12 * (1 + np.abs(wanted_grad).max())
    assert ours.predict(w, rows.X).shape == (n, sizes[-1])


@compiled
def test_threads_do_not_change_a_bit(rows, monkeypatch):
    network = Network((20, 40, 40, 3))
    rng = np.random.default_rng(0)
    big = Rows(rng.standard_normal((30_000, 20)), rng.standard_normal((30_000, 3)))
    w, engine = network.initial_weights(0), native.NativeEngine(network, LOSS)
    seen = []
    for count in (1, 2, 3, 8):
        monkeypatch.setattr(native, "n_threads", lambda count=count: count)
        value, grad = engine.value_grad(w, big)
        seen.append((value, grad.tobytes(), engine.predict(w, big.X).tobytes()))
    assert all(found == seen[0] for found in seen)


@compiled
def test_mini_batches_get_as_many_threads_as_are_allowed(rows, monkeypatch):
    asked, epoch = [], kernels().epoch

    def noted(*given):
        asked.append(given)
        return epoch(*given)

    monkeypatch.setattr(native, "kernels", lambda: SimpleNamespace(epoch=noted))
    monkeypatch.setattr(native, "_threads_of_process", lambda: 5)
    engine, w, order = native.NativeEngine(NETWORK, LOSS), NETWORK.initial_weights(0), np.arange(40)
    given = w, np.zeros((0, w.size)), 0, rows, order, Update(rules.Plain(), 0.01, 20, 0.0)
    assert engine.epoch(*given)[2] == 2
    with native.at_most(2):
        engine.epoch(*given)
    assert [of_kernel[-1] for of_kernel in asked] == [5, 2]


@compiled
def test_float32_stays_float32(rows):
    objective = Objective(NETWORK, "squared_error", np.float32(rows.X), np.float32(rows.T))
    w = objective.weights(NETWORK.initial_weights(0))
    assert isinstance(objective.engine, native.NativeEngine)
    assert w.dtype == objective.value_grad(w)[1].dtype == np.float32
    state = Online().start(objective, w)
    assert Online().step(objective, state).w.dtype == np.float32


def test_the_array_engine_can_be_asked_for():
    code = "import numpy as np, deltarule as dr; print(dr.engines.in_use())"
    assert "asks for the array engine" in ask(code, **{ENGINE: "array"})
    assert "it is native or array" in ask(code, **{ENGINE: "gpu"})
    if kernels() is not None:
        assert "DELTARULE_ISA was 'mmx'; this processor has baseline" in ask(code, **{ISA: "mmx"})
    assert "whole number from 1 up" in ask(
        "from deltarule.engines import native; native.n_threads()", **{native.THREADS: "0"}
    )


def test_without_kernels_it_is_said_once():
    code = """
import sys
sys.modules["deltarule.engines._native"] = None
import numpy as np, deltarule as dr
network = dr.Network((1, 1))
for _ in range(3):
    dr.Objective(network, "squared_error", np.ones((2, 1)), np.ones((2, 1)))
print(dr.engines.in_use())
"""
    said = ask(code)
    assert said.count("RuntimeWarning: deltarule was installed without a C++ compiler") == 1
    assert said.count("installed without a C++ compiler") == 2
