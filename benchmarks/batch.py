"""Batch quantities: loss and gradient, threads, Gauss-Newton matrix, predictions, each against peers in one run."""

import json
import os
import sys
import tracemalloc
from time import sleep

from sidebyside import machine, one_thread, race, ratio, table, versions

if "--defaults" not in sys.argv:
    one_thread()

import itertools

import numpy as np  # after the number of threads is set
import peers

import deltarule as dr
from deltarule.engines import Rows, native
from deltarule.engines.array import ArrayEngine

SHAPES = {
    (10, 8, 1): (2, 2), (10, 32, 1): (3.5, 3), (64, 64, 1): (1.9, 2), (30, 64, 64, 10): (1.9, 1.8),
    (784, 128, 10): (1.15, 1.1),
}  # fmt: skip
"""The networks, and how many times as fast as the fastest peer they are to be in float64 and float32."""
REPEATS = 12
ARRAY_SHAPES = ((10, 8, 1), (10, 32, 1), (64, 64, 1))


def problem(sizes, n, number=np.float64):
    """Return network, loss, rows and weights; several outputs are classes."""
    rng = np.random.default_rng(0)
    classes = sizes[-1] > 1
    network = dr.Network(sizes, ["tanh"] * (len(sizes) - 2) + ["softmax" if classes else "identity"])
    X = rng.standard_normal((n, sizes[0])).astype(number)
    T = np.eye(sizes[-1])[rng.integers(0, sizes[-1], n)] if classes else rng.standard_normal((n, 1))
    loss = dr.losses.get("cross_entropy" if classes else "squared_error")
    return network, loss, Rows(X, T.astype(number)), network.initial_weights(0, "glorot").astype(number)


def mean_loss_and_gradient(engine, w, rows):
    """Return a function of no arguments."""
    n = len(rows.X)

    def work():
        total, grad = engine.value_grad(w, rows)
        return total / n, grad / n

    return work


def flops(sizes):
    """Return the floating-point operations of the products of loss and gradient, a row."""
    return sum(6 * a * b for a, b in itertools.pairwise(sizes)) - 2 * sizes[0] * sizes[1]


def gradients(number):
    """Return a line for each shape: nanoseconds a row, ours and the peers', the ratio to the fastest of them."""
    A = np.random.default_rng(0).standard_normal((2000, 2000)).astype(number)
    lines = []
    for sizes, wanted in SHAPES.items():
        n = 4_000 if sizes[0] > 500 else 20_000
        network, loss, rows, w = problem(sizes, n, number)
        ways = {
            "deltarule": mean_loss_and_gradient(native.NativeEngine(network, loss), w, rows),
            "scikit-learn": peers.sklearn(network, rows.X, rows.T, w),
            "PyTorch": peers.pytorch(network, rows.X, rows.T, w),
        }
        value, grad = ways["deltarule"]()
        for name, way in ways.items():
            other_value, other_grad = way()
            bound = 1e4 * np.finfo(number).eps
            assert abs(other_value - value) < bound * abs(value), name
            assert np.abs(other_grad - grad).max() < bound * np.abs(grad).max(), name
        if number is np.float64 and sizes[0] < 500 and peers.fann():
            ways["FANN"] = peers.fann_batch(sizes, rows.X, rows.T)
        seconds = race(ways | {"gemm": lambda: A @ A}, REPEATS)
        ns = {name: min(times) / n * 1e9 for name, times in seconds.items()}
        fastest = min(ns[name] for name in ways if name != "deltarule")
        rate = flops(sizes) / ns["deltarule"] / (2 * 2000**3 / min(seconds["gemm"]) / 1e9)
        lines.append(
            [
                "-".join(map(str, sizes)),
                *(f"{ns[name]:.0f}" if name in ns else "" for name in ("deltarule", "scikit-learn", "PyTorch", "FANN")),
                f"{fastest / ns['deltarule']:.2f} ×",
                f"{wanted[number is np.float32]} ×",
                f"{100 * rate:.0f} %",
            ]
        )
    return lines


def array_engine():
    """Return a line for each shape: the fallback in NumPy against PyTorch and scikit-learn, and its memory."""
    lines = []
    for sizes in ARRAY_SHAPES:
        n = 100_000
        network, loss, rows, w = problem(sizes, n)
        ours = mean_loss_and_gradient(ArrayEngine(network, loss), w, rows)
        ways = {"array engine": ours, "PyTorch": peers.pytorch(network, rows.X, rows.T, w)}
        ways["scikit-learn"] = peers.sklearn(network, rows.X, rows.T, w)
        seconds = race(ways, 5)
        tracemalloc.start()
        ours()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        lines.append(
            [
                "-".join(map(str, sizes)),
                *(f"{min(times) / n * 1e9:.0f}" for times in seconds.values()),
                *(f"{ratio(seconds[peer], seconds['array engine']):.2f} ×" for peer in ("PyTorch", "scikit-learn")),
                f"{peak / 1e6:.1f} MB",
            ]
        )
    return lines


def numpy_gauss_newton(network, rows, w):
    """Return J' J by NumPy, J built whole: one hidden layer of tanh, one output."""
    (W, b), (V, _c) = network.layers(w)

    def work():
        Y = np.tanh(rows.X @ W.T + b)
        D = V * (1 - Y * Y)
        n = len(rows.X)
        J = np.concatenate(
            [(D[:, :, None] * rows.X[:, None, :]).reshape(n, -1), D, Y, np.ones((n, 1))], axis=1
        )  # fmt: skip
        return J.T @ J

    return work


REST = 0.1
"""Seconds before each call where threads are free: BLAS's threads spin for a while after their work, and would take a
processor from whoever comes next."""


def race_rested(ways, repeats):
    """Return what `race` does, with a rest before each call."""
    rested = {}
    for name, work in ways.items():
        rested |= {f"rest before {name}": lambda: sleep(REST), name: work}
    seconds = race(rested, repeats)
    return {name: seconds[name] for name in ways}


def gauss_newton(race=race, shapes=((1, 20, 1), (10, 32, 1))):
    """Return a line for each shape: milliseconds, the ratio to NumPy, and the rate against BLAS's dsyrk."""
    from scipy.linalg.blas import dsyrk

    lines = []
    for sizes in shapes:
        n = 20_000
        network, loss, rows, w = problem(sizes, n)
        engine = native.NativeEngine(network, loss)
        theirs = numpy_gauss_newton(network, rows, w)
        wanted = theirs()
        assert np.abs(engine.gauss_newton(w, rows)[2] - wanted).max() < 1e-10 * np.abs(wanted).max()
        J = np.asfortranarray(np.random.default_rng(0).standard_normal((network.n_weights, n)))
        ways = {"deltarule": lambda e=engine, w=w, r=rows: e.gauss_newton(w, r), "NumPy": theirs}
        ways["dsyrk"] = lambda J=J: dsyrk(1.0, J)
        seconds = race(ways, 9)
        ours = min(seconds["deltarule"])
        lines.append(
            [
                "-".join(map(str, sizes)),
                used(),
                *(f"{min(times) * 1e3:.2f}" for times in seconds.values()),
                f"{min(seconds['NumPy']) / ours:.1f} × (2.5 ×)",
                f"{100 * min(seconds['dsyrk']) / ours:.0f} % (85 %)",
            ]
        )
    return lines


def used():
    """Return what threads this process uses, here and in BLAS."""
    from threadpoolctl import threadpool_info

    blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    ours, theirs = native.n_threads(), max(blas, default=1)
    return "1" if ours == theirs == 1 else f"default: {ours}, BLAS {theirs}"


def prediction_setting(n):
    """Return the ways to predict n rows of 10-32-1, ours and scikit-learn's, which agree."""
    network, _, rows, w = problem((10, 32, 1), n)
    model = peers.sklearn_network(network, rows.X, rows.T, w)
    engine = native.NativeEngine(network, dr.losses.get("squared_error"))
    assert np.abs(dr.predict(network, w, rows.X)[:, 0] - model.predict(rows.X)).max() < 1e-12
    return {"ours": lambda: engine.predict(w, rows.X), "theirs": lambda: model.predict(rows.X)}


def prediction_line(name, seconds, units, wanted):
    """Return a line of the table: the best of each, the ratio and what is aimed at."""
    best = {way: min(times) for way, times in seconds.items()}
    return [
        name,
        used(),
        f"{best['ours'] * units:.2f}",
        f"{best['theirs'] * units:.1f}",
        f"{best['theirs'] / best['ours']:.1f} ×",
        wanted,
    ]


def many_predictions(race=race, wanted=""):
    """Return the line of 100,000 rows."""
    return prediction_line("100,000 rows, ms", race(prediction_setting(100_000), 25), 1e3, wanted)


def one_prediction():
    """Return the line of one row."""
    calls = range(200)
    ways = {name: lambda w=way: [w() for _ in calls] for name, way in prediction_setting(1).items()}
    return prediction_line("one row, µs", race(ways, 9), 1e6 / 200, "20 ×")


def threads():
    """Return a sentence: two threads against one, in a process where threads are free."""
    network, loss, rows, w = problem((64, 64, 1), 100_000)
    engine = native.NativeEngine(network, loss)
    free, ways = native.n_threads, {}
    for count in (1, 2):

        def work(count=count):
            native.n_threads = lambda: count
            return engine.value_grad(w, rows)

        ways[count] = work
    (one, g1), (two, g2) = ways[1](), ways[2]()
    assert one == two and np.array_equal(g1, g2)
    seconds = race(ways, 15)
    native.n_threads = free
    gain = min(seconds[1]) / min(seconds[2])
    return f"Two threads against one, 64-64-1, 100,000 rows: {gain:.2f} × (1.8 ×), same bits."


def defaults():
    """Return what is measured where threads are free: what a user gets who sets nothing."""
    return {
        "threads": threads(),
        "gauss_newton": gauss_newton(race_rested, shapes=[(10, 32, 1)]),
        "predict": many_predictions(race_rested, "5 ×"),
    }


def report():
    """Return the section of RESULTS.md."""
    import subprocess

    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found = subprocess.run(
        [sys.executable, __file__, "--defaults"], check=True, stdout=subprocess.PIPE, text=True, env=free
    ).stdout
    free_threads = json.loads(found)
    os.environ[native.THREADS] = "1"
    header = [
        "network",
        "deltarule",
        "scikit-learn",
        "PyTorch",
        "FANN batch",
        "against the fastest",
        "aimed at",
        "of gemm's rate",
    ]
    return "\n\n".join(
        [
            "## Batch quantities, one thread",
            f"{machine()}; {versions('deltarule', 'numpy', 'scipy', 'scikit-learn', 'torch')}; {dr.engines.in_use()}",
            "Loss and gradient, nanoseconds a row, tanh; several outputs are softmax with cross-entropy. All agree "
            "before anything is timed. Rate: the products' operations alone, against 2000 × 2000 matrices.",
            "float64:",
            table(header, gradients(np.float64)),
            "float32:",
            table(header, gradients(np.float32)),
            free_threads["threads"],
            "Gauss-Newton matrix of 20,000 rows, milliseconds; in brackets what is aimed at:",
            table(
                ["network", "threads", "deltarule", "NumPy", "dsyrk alone", "against NumPy", "of dsyrk's rate"],
                gauss_newton() + free_threads["gauss_newton"],
            ),
            "Predictions of 10-32-1:",
            table(
                ["", "threads", "deltarule", "scikit-learn", "ratio", "aimed at"],
                [free_threads["predict"], many_predictions(), one_prediction()],
            ),
            "The array engine (NumPy, where there is no compiler), 100,000 rows, nanoseconds a row:",
            table(
                [
                    "network",
                    "array engine",
                    "PyTorch",
                    "scikit-learn",
                    "against PyTorch",
                    "against scikit-learn",
                    "memory",
                ],
                array_engine(),
            ),
        ]
    )


if __name__ == "__main__":
    print(json.dumps(defaults()) if "--defaults" in sys.argv else report())
