"""Small networks with a fault of each kind put in on purpose, and the same without it: what diagnoses are tested on."""

from typing import Any, NamedTuple

import numpy as np

import deltarule as dr
from deltarule.methods import ConjugateGradient, GradientDescent, LevenbergMarquardt, Online
from deltarule.stopping import MaxSteps, MinGrad


class Patient(NamedTuple):
    """What is diagnosed: an objective, the result of a run or weights, and the method."""

    objective: dr.Objective
    run: Any
    method: Any

    @property
    def w(self):
        """The weights."""
        return np.asarray(getattr(self.run, "w", self.run))


def rows(n=100):
    """Return inputs (n, 3) and a target that a small network learns well, of mean 0 and deviation 1."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, 3))
    y = np.tanh(X @ [1.0, -2.0, 0.5]) + 0.6 * X[:, 0] * X[:, 2] + 0.05 * rng.normal(size=n)
    return X, ((y - y.mean()) / y.std())[:, None]


def trained(
    X, T, method, steps, *, sizes=(6,), activation="tanh", output="identity", loss="squared_error", l2=0.0, w=None
):
    """Train a network on rows, from fresh weights unless some are given."""
    net = dr.Network((X.shape[1], *sizes, T.shape[1]), [activation] * len(sizes) + [output])
    objective = dr.Objective(net, loss, X, T, l2=l2)
    start = net.initial_weights(3) if w is None else w(net)
    return Patient(objective, dr.train(objective, start, method, [MaxSteps(steps), MinGrad()]), method)


def non_finite(bad):
    return trained(*rows(), Online(20.0 if bad else 0.02), 120, activation="relu")


def input_scale(bad):
    X, T = rows()
    X[:, 1] *= 400 if bad else 1
    return trained(X, T, ConjugateGradient(), 60)


def input_offset(bad):
    X, T = rows()
    X[:, 2] += 60 if bad else 0
    return trained(X, T, GradientDescent(0.01) if bad else ConjugateGradient(), 60)


def input_outlier(bad):
    X, T = rows()
    X[17, 1] = -2000.0 if bad else X[17, 1]
    return trained(X, T, GradientDescent(0.1) if bad else ConjugateGradient(), 60)


def target_range(bad):
    X, T = rows()
    T = 4 * T + 2 if bad else T
    return trained(X, T, ConjugateGradient(), 60, output="tanh" if bad else "identity")


def opposing_rows(bad):
    X, T = rows()
    if bad:
        X, T = np.vstack([X, X[:80]]), np.vstack([T, -T[:80]])
    return trained(X, T, ConjugateGradient(), 60)


def symmetric_units(bad):
    method = ConjugateGradient(preconditioned=False)  # whose solution for the last layer would differ in rounding
    return trained(*rows(), method, 60, w=lambda net: np.full(net.n_weights, 0.3) if bad else start(net))


def dead_units(bad):
    def begin(net):
        w = start(net)
        (_, b), *_ = net.layers(w)
        b[: 4 if bad else 0] = -30.0
        return w

    return trained(*rows(), ConjugateGradient(), 60, activation="relu", w=begin)


def saturation(bad):
    def begin(net):
        w = start(net)
        (W, b), *_ = net.layers(w)
        W *= 60 if bad else 1
        b *= 60 if bad else 1
        return w

    return trained(*rows(), GradientDescent(0.1) if bad else ConjugateGradient(), 60, w=begin)


def penalty(bad):
    return trained(*rows(), ConjugateGradient(), 60, l2=3.0 if bad else 1e-4)


def plateau(bad):
    sizes = (5,) * 5 if bad else (5,)
    method = GradientDescent(0.1) if bad else ConjugateGradient()
    activation, scheme = ("logistic", "uniform") if bad else ("tanh", "auto")
    return trained(
        *rows(), method, 60, sizes=sizes, activation=activation, w=lambda net: net.initial_weights(3, scheme)
    )


def saddle(bad):
    """A hidden neuron is split in two with unlike shares of its weight out (Fukumizu and Amari 2000)."""
    X, T = rows()
    one = trained(X, T, LevenbergMarquardt(projection=False), 200, sizes=(1,))
    net = dr.Network((3, 2, 1), "tanh")
    objective = dr.Objective(net, "squared_error", X, T)
    w = np.zeros(net.n_weights)
    ((W, b), (V, c)), ((W1, b1), (V1, c1)) = net.layers(w), one.objective.network.layers(one.w)
    W[:], b[:], V[:], c[:] = W1, b1, V1 * [SPLIT, 1 - SPLIT], c1
    if not bad:
        return trained(X, T, ConjugateGradient(), 60)
    return Patient(objective, w, GradientDescent(0.1))


def rate_small(bad):
    return trained(*rows(), GradientDescent(3e-5) if bad else ConjugateGradient(), 60)


def rate_large(bad):
    return trained(
        *rows(), dr.methods.get("adam", learning_rate=0.5 if bad else 0.01, batch_size=16), 60 if bad else 200
    )


def poor_minimum(bad):
    X = np.tile([[-1.0, -1], [-1, 1], [1, -1], [1, 1]], (10, 1)) + 0.05 * np.random.default_rng(1).normal(size=(40, 2))
    T = (X[:, :1] * X[:, 1:] < 0).astype(float)
    seed = POOR if bad else GOOD
    return trained(
        X, T, LevenbergMarquardt(projection=False), 200, sizes=(2,), output="logistic", l2=1e-4,
        w=lambda net: net.initial_weights(seed),
    )  # fmt: skip


def unfinished(bad):
    return trained(*rows(), ConjugateGradient(), 4 if bad else 80)


def start(net):
    """Return fresh weights."""
    return net.initial_weights(6)


SPLIT = 0.3
POOR, GOOD = 1, 10
KINDS = {
    make.__name__: make
    for make in (
        non_finite, input_scale, input_offset, input_outlier, target_range, opposing_rows, symmetric_units, dead_units,
        saturation, penalty, plateau, saddle, rate_small, rate_large, poor_minimum, unfinished,
    )
}  # fmt: skip
