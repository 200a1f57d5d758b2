"""The online kernels against the array engine: every activation, loss and rule, shapes at the edges, each precision.

Training carries a rounding error on, so the bound is on short runs in which it grows by little: the weights' distance
is held to some thousand units of their size in the kernel's precision.
"""

import itertools
from dataclasses import astuple
from typing import NamedTuple

import numpy as np
import pytest

from deltarule import activations, losses
from deltarule.engines import Rows
from deltarule.engines.array import ArrayEngine
from deltarule.methods import rules
from deltarule.network import Network
from deltarule.update import Update

native = pytest.importorskip("deltarule.engines._native")

ACTIVATIONS, LOSSES, RULES = list(activations.ACTIVATIONS), list(losses.LOSSES), list(rules.RULES)
HIDDEN = [name for name, row in activations.ACTIVATIONS.items() if not row.couples]
PAIRS = [
    (name, output)
    for name, loss in losses.LOSSES.items()
    for output in (loss.accepts or ACTIVATIONS)
    if output != "exponential" or name == "poisson"
]
SHAPES = [
    (1, 1), (3, 1), (1, 3), (40, 1), (10, 8, 1), (10, 32, 1), (30, 40, 1), (31, 5, 1), (1, 1, 1), (1, 1000, 1),
    (5, 17, 3), (64, 64, 1), (30, 64, 64, 10), (784, 40, 10), (200, 130, 1), (2, *[5] * 10, 2), (3, 9, 9, 9, 3),
    (1000, 1, 2),
]  # fmt: skip
UNITS = 4000
"""How many units in the last place of the largest weight, or of the loss, a run may end apart."""


class Run(NamedTuple):
    w: np.ndarray
    memory: np.ndarray
    count: int
    loss: float


class Case:
    """A network, rows and weights, and two epochs of it by either engine."""

    def __init__(
        self, sizes, hidden="tanh", output="identity", loss="squared_error", n=23, weighted=True, shuffled=True
    ):
        rng = np.random.default_rng(sum(sizes) + n)
        self.network = Network(sizes, [hidden] * (len(sizes) - 2) + [output])
        self.loss = losses.get(loss)
        self.X = rng.standard_normal((n, sizes[0])) / np.sqrt(sizes[0])
        self.T = self.targets(rng, n, sizes[-1])
        self.s = rng.uniform(0.5, 2, n) if weighted else None
        self.order = rng.permutation(np.arange(n).repeat(2))[: n + 1] if shuffled else None
        scale = np.concatenate([np.full((i + 1) * o, 1 / np.sqrt(i + 1)) for i, o in itertools.pairwise(sizes)])
        self.w = rng.standard_normal(self.network.n_weights) * scale

    def targets(self, rng, n, k):
        if self.loss.name == "cross_entropy":
            return rng.dirichlet(np.ones(k), n)
        if self.loss.name == "binary_cross_entropy":
            return rng.uniform(0, 1, (n, k))
        return rng.poisson(2.0, (n, k)) + 0.0 if self.loss.name == "poisson" else rng.standard_normal((n, k))

    def update(self, rule="plain", batch_size=1, l2=0.0, rate=None):
        return Update(rules.get(rule), rate or 0.2 / max(self.network.sizes), batch_size, l2)

    def reference(self, update, epochs=2):
        order = np.arange(len(self.X)) if self.order is None else self.order
        run = Run(self.w, np.zeros((update.rule.n_memory, self.w.size)), 0, 0.0)
        for _ in range(epochs):
            run = Run(
                *ArrayEngine(self.network, self.loss).epoch(
                    run.w, run.memory, run.count, Rows(self.X, self.T, self.s), order, update
                )
            )
        return run

    def native(self, update, isa="", dtype=np.float64, epochs=2, threads=1):
        w, memory = self.w.astype(dtype), np.zeros((update.rule.n_memory, self.w.size), dtype)
        X, T = self.X.astype(dtype), self.T.astype(dtype)
        s = None if self.s is None else self.s.astype(dtype)
        hyper = (*astuple(update.rule), 0.0, 0.0, 0.0)[:3]
        count, loss = 0, 0.0
        for _ in range(epochs):
            count, loss = native.epoch(
                self.network.sizes, [ACTIVATIONS.index(a.name) for a in self.network.activations],
                LOSSES.index(self.loss.name), self.loss.parameter or 0.0, self.loss.fuses(self.network.activations[-1]),
                w, memory, count, X, T, s, self.order, update.batch_size, RULES.index(update.rule.name), hyper,
                update.rate, update.l2, threads, isa,
            )  # fmt: skip
        return Run(w, memory, count, loss)

    def check(self, update, isa="", dtype=np.float64):
        ours, theirs = self.native(update, isa, dtype), self.reference(update)
        bound = UNITS * np.finfo(dtype).eps
        assert ours.count == theirs.count
        assert abs(ours.loss - theirs.loss) <= bound * (abs(theirs.loss) + len(self.X))
        for mine, reference in ((ours.w, theirs.w), *zip(ours.memory, theirs.memory, strict=True)):
            assert np.max(np.abs(mine - reference)) <= bound * max(1e-3, np.max(np.abs(reference)))


@pytest.fixture(params=native.isas())
def isa(request):
    return request.param


@pytest.fixture(params=[np.float64, np.float32], ids=["float64", "float32"])
def dtype(request):
    return request.param


@pytest.mark.parametrize("l2", [0.0, 0.1])
@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_plain_online(sizes, l2, isa, dtype):
    case = Case(sizes)
    case.check(case.update(l2=l2), isa, dtype)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("batch_size", [1, 4, 16, 100])
@pytest.mark.parametrize("sizes", [(3, 1), (7, 11, 1), (5, 17, 9, 3)], ids=str)
def test_rules_and_mini_batches(sizes, batch_size, rule, isa, dtype):
    case = Case(sizes, n=37)
    case.check(case.update(rule, batch_size, 0.05, rate=0.003), isa, dtype)


@pytest.mark.parametrize("rule", ["momentum", "adam"])
@pytest.mark.parametrize(
    ("sizes", "hidden", "n", "batch_size"),
    [
        ((30, 40, 33, 1), "relu", 500, 200),  # strips, a last mini-batch of half the size
        ((40, 16, 16), "relu", 130, 64),  # inputs row after row on the way forward
        ((300, 90, 7), "tanh", 120, 50),  # wide parts
        ((5, 64, 20, 3), "relu", 700, 650),  # inputs in panels, several blocks
        ((3, 1), "identity", 40, 12),
    ],
    ids=str,
)
def test_mini_batches_of_every_layout(sizes, hidden, n, batch_size, rule, isa, dtype):
    """And 1, 2, 3 and 8 threads give the same bits, where a thread takes a piece now and then."""
    case = Case(sizes, hidden, n=n)
    update = case.update(rule, batch_size, 0.02, rate=0.002)
    case.check(update, isa, dtype)
    one = case.native(update, isa, dtype)
    for threads in (2, 3, 8):
        several = case.native(update, isa, dtype, threads=threads)
        assert one.loss == several.loss and one.count == several.count
        np.testing.assert_array_equal(one.w, several.w)
        np.testing.assert_array_equal(one.memory, several.memory)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_share_mini_batches(rule, weighted, dtype):
    """Enough work for threads: an epoch of milliseconds in which each mini-batch has 100 µs for two."""
    case = Case((30, 64, 64, 3), "relu", n=3900, weighted=weighted)
    update = case.update(rule, 200, 0.01, rate=0.001)
    one = case.native(update, dtype=dtype)
    for threads in (2, 3, 8):
        several = case.native(update, dtype=dtype, threads=threads)
        assert (one.loss, one.count) == (several.loss, several.count)
        np.testing.assert_array_equal(one.w, several.w)
        np.testing.assert_array_equal(one.memory, several.memory)


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("sizes", [(4, 11, 1), (4, 11, 9, 2)], ids=str)
def test_every_hidden_activation(sizes, hidden, isa, dtype):
    case = Case(sizes, hidden)
    case.w /= 4 if hidden == "exponential" else 1  # whose rounding errors two layers would blow up
    case.check(case.update(rate=0.003), isa, dtype)


@pytest.mark.parametrize(("loss", "output"), PAIRS)
@pytest.mark.parametrize(("sizes", "batch_size"), [((4, 11, 1), 1), ((3, 10), 1), ((4, 6, 3), 5)], ids=str)
def test_every_loss_and_output(sizes, batch_size, loss, output, isa):
    case = Case(sizes, "tanh", output, loss)
    case.check(case.update(batch_size=batch_size, rate=0.003), isa)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("sizes", [(3, 5, 1), (30, 20, 1), (3, 5, 2), (30, 20, 2), (150, 130, 1)], ids=str)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_few_rows(sizes, n, l2, isa):
    case = Case(sizes, n=n, shuffled=False)
    case.check(case.update(l2=l2), isa)
    case.check(case.update("adam", batch_size=2, l2=l2), isa)


def test_epochs_join(isa):
    """Two epochs and one over the rows twice are the same updates."""
    case = Case((6, 9, 1), n=20, shuffled=False)
    twice = case.native(case.update("adam", rate=0.01), isa)
    case.order = np.tile(np.arange(20), 2)
    once = case.native(case.update("adam", rate=0.01), isa, epochs=1)
    assert twice.count == once.count == 40
    np.testing.assert_array_equal(twice.w, once.w)


def test_weight_zero_changes_nothing(isa):
    case = Case((6, 9, 1))
    case.s = np.zeros(len(case.X))
    run = case.native(case.update(), isa)
    np.testing.assert_array_equal(run.w, case.w)
    assert run.loss == 0


def test_divergence_shows_in_the_loss(isa, dtype):
    case = Case((6, 9, 1), hidden="identity", n=200)
    assert not np.isfinite(case.native(case.update(rate=1e6), isa, dtype).loss)


@pytest.mark.parametrize("where", ["X", "T", "w"])
@pytest.mark.parametrize("sizes", [(4, 5, 1), (4, 5, 3), (40, 50, 1)], ids=str)
def test_nan_shows_in_the_loss(sizes, where, isa, dtype):
    case = Case(sizes, shuffled=False)
    getattr(case, where).flat[0] = np.nan
    assert np.isnan(case.native(case.update(), isa, dtype).loss)


def test_read_only_rows_are_taken(isa):
    case = Case((3, 4, 1))
    case.X.flags.writeable = case.T.flags.writeable = False
    case.check(case.update(), isa)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": np.zeros(3)}, "w has the wrong shape"),
        ({"X": np.zeros((5, 4))}, "X has the wrong shape"),
        ({"T": np.zeros((4, 1))}, "T has the wrong shape"),
        ({"order": np.array([0, 5])}, "a row that does not exist"),
        ({"order": np.array([-1])}, "a row that does not exist"),
        ({"memory": np.zeros((1, 4))}, "memory has the wrong shape"),
        ({"batch_size": 0}, "less than one row"),
        ({"isa": "sse9"}, "this processor has"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_does_not_fit_is_refused(change, message):
    fitting = {
        "sizes": (3, 1), "activations": [0], "loss": 0, "parameter": 0.0, "fused": False, "w": np.zeros(4),
        "memory": np.zeros((0, 4)), "count": 0, "X": np.zeros((5, 3)), "T": np.zeros((5, 1)), "s": None, "order": None,
        "batch_size": 1, "rule": 0, "hyper": (0.0, 0.0, 0.0), "rate": 0.1, "l2": 0.0, "isa": "",
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        native.epoch(**fitting | change)


def test_other_layouts_are_refused():
    X, T = np.zeros((3, 5)).T, np.zeros((5, 1))
    arguments = ((3, 1), [0], 0, 0.0, False, np.zeros(4), np.zeros((0, 4)), 0, X, T, None, None, 1, 0)
    with pytest.raises(TypeError):
        native.epoch(*arguments, (0.0, 0.0, 0.0), 0.1, 0.0)
