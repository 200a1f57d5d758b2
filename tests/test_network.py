"""Networks: where each weight lies, what is refused, and how the weights begin."""

import pickle
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule.activations import own
from deltarule.errors import SettingError
from deltarule.network import INITIALIZATIONS, SQUASHING, Network

shapes = st.lists(st.integers(1, 5), min_size=2, max_size=6)


@given(shapes)
def test_views_round_trip_without_copies(sizes):
    network = Network(sizes)
    w = np.arange(float(network.n_weights))
    parts = [part for W, b in network.layers(w) for part in (W.ravel(), b)]
    assert np.array_equal(np.concatenate(parts), w)
    for (W, b), (n_in, n_out) in zip(network.layers(w), pairwise(sizes), strict=True):
        assert W.shape == (n_out, n_in)
        assert b.shape == (n_out,)
        assert np.shares_memory(W, w)
        assert np.shares_memory(b, w)
        W[...], b[...] = 1, 2
    assert np.array_equal(w, 1 + network.is_bias())


@given(shapes)
def test_every_weight_has_a_name_of_its_own(sizes):
    network = Network(sizes)
    names = [network.weight_name(i) for i in range(network.n_weights)]
    assert len(set(names)) == network.n_weights == sum((a + 1) * b for a, b in pairwise(sizes))
    assert [name.endswith("bias") for name in names] == network.is_bias().tolist()
    with pytest.raises(IndexError):
        network.weight_name(network.n_weights)


def test_names_of_weights_and_layers():
    network = Network((2, 3, 2, 1))
    assert [network.layer_name(i) for i in range(3)] == ["hidden1", "hidden2", "output"]
    assert network.weight_name(3) == "hidden1[1] <- input[1]"
    assert network.weight_name(7) == "hidden1[1] <- bias"
    assert network.weight_name(9 + 4) == "hidden2[1] <- hidden1[1]"
    assert network.weight_name(network.n_weights - 1) == "output[0] <- bias"
    assert Network((2, 1)).weight_name(0) == "output[0] <- input[0]"


def test_facts_and_equality():
    network = Network([4, 3, 2], ["relu", "softmax"])
    assert (network.n_in, network.n_out, network.depth, network.n_weights) == (4, 2, 2, 23)
    assert network == Network((4, 3, 2), ("relu", "softmax"))
    assert network != Network((4, 3, 2), ("relu", "tanh"))
    assert hash(network) == hash(pickle.loads(pickle.dumps(network)))
    assert [a.name for a in Network((4, 3, 2), "relu").activations] == ["relu", "identity"]
    assert [a.name for a in Network((4, 2), "relu").activations] == ["identity"]
    with pytest.raises(AttributeError):
        network.sizes = (1, 1)


def test_an_activation_of_ones_own():
    cube = own("cube", lambda e: e**3, lambda e, y: 3 * e**2)
    assert Network((1, 2, 1), (cube, "identity")).activations[0] is cube


@pytest.mark.parametrize(
    "sizes",
    [(3,), (), (0, 1), (2, -1), (2, 1.5), (2, "a"), 5, None, (2, float("nan")), (2, float("inf"))],
    ids=str,
)
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(SettingError, match=r"The sizes were .*whole numbers.* as in \(10, 32, 1\)"):
        Network(sizes)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (("tanh",), "1 activations were given for 2 layers"),
        (("tanh",) * 3, "3 activations were given for 2 layers"),
        (("softmax", "identity"), "softmax serves the output layer only"),
        ("softmax", "softmax serves the output layer only"),
        (("tanh", "tahn"), "Did you mean tanh"),
        (None, "Unknown activation None"),
        (3, "Unknown activation 3"),
    ],
)
def test_impossible_activations_are_refused(activations, message):
    with pytest.raises(SettingError, match=message):
        Network((2, 3, 1), activations)


def test_too_many_weights_are_refused_before_they_are_made():
    with pytest.raises(SettingError, match=r"A network of .* weights was asked for; at most 2,147,483,647"):
        Network((10**9, 10**9))


def test_seeds(how_to_start):
    network = Network((3, 4, 2))
    first, same, other = (network.initial_weights(seed, how_to_start) for seed in (7, 7, 8))
    assert np.array_equal(first, same)
    assert not np.any(first[~network.is_bias()] == other[~network.is_bias()])
    assert np.all(np.isfinite(first))
    assert first.shape == (network.n_weights,)


@pytest.fixture(params=INITIALIZATIONS)
def how_to_start(request):
    return request.param


WIDE = Network((200, 300, 250), ("relu", "identity"))
SPREADS = {
    "glorot": lambda n_in, n_out: sqrt(6 / (n_in + n_out)),
    "he": lambda n_in, n_out: sqrt(6 / n_in),
    "lecun": lambda n_in, n_out: sqrt(3 / n_in),
    "uniform": lambda n_in, n_out: 0.5,
}


@pytest.mark.parametrize("how", SPREADS)
def test_distributions(how):
    """Uniform in ±h: mean 0, variance h²/3, within five standard errors; h is nearly reached."""
    for W, b in WIDE.layers(WIDE.initial_weights(3, how)):
        h, n = SPREADS[how](W.shape[1], W.shape[0]), W.size
        assert abs(W.mean()) < 5 * h / sqrt(3 * n)
        assert abs(W.var() - h * h / 3) < 5 * h * h * sqrt(4 / 45 / n)  # the variance of a square is 4 h⁴ / 45
        assert h * (1 - 20 / n) < np.abs(W).max() <= h  # all of n below that with probability e⁻²⁰
        if how == "uniform":
            assert 0.4 < np.abs(b).max() <= 0.5
        else:
            assert not b.any()


def initnw(directions, low, high, active):
    """MATLAB's initnw in loops: unit directions, biases evenly spaced, then two linear maps."""
    s, r = len(directions), len(directions[0])
    magnitude = 0.7 * s ** (1 / r)
    W, b = [], []
    for k, direction in enumerate(directions):
        length = sqrt(sum(d * d for d in direction))
        w = [magnitude * d / length for d in direction]
        spaced = -1 + 2 * k / (s - 1) if s > 1 else 0.0
        bias = magnitude * spaced * (1 if w[0] >= 0 else -1)
        w, bias = [active * wj for wj in w], active * bias  # from [−1, 1] to the active region
        scale = [2 / (high[j] - low[j]) for j in range(r)]
        shift = [1 - high[j] * scale[j] for j in range(r)]
        b.append(bias + sum(w[j] * shift[j] for j in range(r)))
        W.append([w[j] * scale[j] for j in range(r)])
    return np.array(W), np.array(b)


@pytest.mark.parametrize(("activation", "active"), [("tanh", 2.0), ("logistic", 4.0), ("hard_tanh", 1.0)])
@pytest.mark.parametrize("width", [1, 5])
def test_nguyen_widrow_is_matlabs_initnw(activation, active, width):
    network = Network((3, width, 4, 2), activation)
    ranges = np.array([[-1.0, 1.0], [0.0, 10.0], [5.0, 6.0]])
    layers = list(network.layers(network.initial_weights(11, "nguyen_widrow", ranges)))
    below = 0.0 if activation == "logistic" else -1.0
    inputs = [ranges.T.tolist(), ([below] * width, [1.0] * width)]
    for (W, b), (low, high) in zip(layers[:2], inputs, strict=True):
        directions = W * (np.array(high) - np.array(low)) / 2  # the scaling taken back leaves the direction
        expected_W, expected_b = initnw(directions.tolist(), low, high, active)
        # scaling back and forth and a length: some 16 roundings; the bias adds terms of size |W| · |range|
        allowed = 16 * np.finfo(float).eps
        assert np.all(np.abs(W - expected_W) <= allowed * np.abs(expected_W))
        assert np.all(np.abs(b - expected_b) <= allowed * (np.abs(W).sum(axis=1) * 10 + active))
    W, b = layers[2]
    assert np.abs(W).max() <= SPREADS["glorot"](4, 2)
    assert not b.any()


def test_nguyen_widrow_copes_with_a_constant_input():
    w = Network((2, 3, 1)).initial_weights(0, "nguyen_widrow", np.array([[2.0, 2.0], [0.0, 1.0]]))
    assert np.all(np.isfinite(w))


def test_auto_suits_the_activation():
    for name in SQUASHING:
        network = Network((3, 8, 2), (name, "identity"))
        assert np.array_equal(network.initial_weights(1), network.initial_weights(1, "nguyen_widrow"))
    for name, how in (("relu", "he"), ("selu", "lecun"), ("identity", "glorot")):
        W = next(iter(Network((50, 60, 2), (name, "identity")).layers(Network((50, 60, 2)).initial_weights(1))))[0]
        network = Network((50, 60, 2), (name, "identity"))
        W = next(network.layers(network.initial_weights(1)))[0]
        h = SPREADS[how](50, 60)
        assert 0.99 * h < np.abs(W).max() <= h


@pytest.mark.parametrize(
    "ranges",
    [[[0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]], [[0.0, np.inf], [0.0, 1.0]], [[np.nan, 1.0], [0.0, 1.0]]],
    ids=str,
)
def test_impossible_ranges_are_refused(ranges):
    with pytest.raises(SettingError, match=r"a finite .smallest, largest. for each of the 2 inputs"):
        Network((2, 3, 1)).initial_weights(0, input_ranges=ranges)


@pytest.mark.parametrize("how", ["xavier", None])
def test_unknown_initialisations_are_refused(how):
    with pytest.raises(SettingError, match=r"Unknown initialization .*Accepted: auto, uniform"):
        Network((2, 1)).initial_weights(0, how)


@pytest.mark.parametrize("seed", [-1, 1.5, "a"])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(SettingError, match=r"seed was .*; it is a whole number from 0 up"):
        Network((2, 1)).initial_weights(seed)
