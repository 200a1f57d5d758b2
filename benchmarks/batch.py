"""Batch quantities: loss and gradient, threads, Gauss-Newton matrix, predictions, each against peers in one run."""

import os
import sys
import tracemalloc

from sidebyside import machine, one_thread, race, ratio, table, versions

if "--threads" not in sys.argv:
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


def gauss_newton():
    """Return a line for each shape: milliseconds, the ratio to NumPy, and the rate against BLAS's dsyrk."""
    from scipy.linalg.blas import dsyrk

    lines = []
    for sizes in ((1, 20, 1), (10, 32, 1)):
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
                *(f"{min(times) * 1e3:.2f}" for times in seconds.values()),
                f"{min(seconds['NumPy']) / ours:.1f} × (2.5 ×)",
                f"{100 * min(seconds['dsyrk']) / ours:.0f} % (85 %)",
            ]
        )
    return lines


def predictions():
    """Return lines: 100,000 rows and one row of 10-32-1 against scikit-learn's predict."""
    network, _, rows, w = problem((10, 32, 1), 100_000)
    model = peers.sklearn_network(network, rows.X, rows.T, w)
    one = rows.X[:1].copy()
    engine = native.NativeEngine(network, dr.losses.get("squared_error"))
    assert np.abs(dr.predict(network, w, rows.X)[:, 0] - model.predict(rows.X)).max() < 1e-12
    many = race({"ours": lambda: engine.predict(w, rows.X), "theirs": lambda: model.predict(rows.X)}, 15)
    calls = range(200)
    single = race(
        {
            "ours": lambda: [engine.predict(w, one) for _ in calls],
            "theirs": lambda: [model.predict(one) for _ in calls],
        },
        9,
    )
    lines = []
    for name, seconds, units, wanted in (("100,000 rows, ms", many, 1e3, 5), ("one row, µs", single, 1e6 / 200, 20)):
        best = {way: min(times) for way, times in seconds.items()}
        lines.append(
            [
                name,
                f"{best['ours'] * units:.2f}",
                f"{best['theirs'] * units:.1f}",
                f"{best['theirs'] / best['ours']:.1f} ×",
                f"{wanted} ×",
            ]
        )
    return lines


def threads():
    """Return one line: two threads against one, in a process where threads are free."""
    network, loss, rows, w = problem((64, 64, 1), 100_000)
    engine = native.NativeEngine(network, loss)
    ways = {}
    for count in (1, 2):

        def work(count=count):
            native.n_threads = lambda: count
            return engine.value_grad(w, rows)

        ways[count] = work
    (one, g1), (two, g2) = ways[1](), ways[2]()
    assert one == two and np.array_equal(g1, g2)
    seconds = race(ways, 15)
    print(
        f"Two threads against one, 64-64-1, 100,000 rows: {min(seconds[1]) / min(seconds[2]):.2f} × (1.8 ×), same bits."
    )


def report():
    """Return the section of RESULTS.md."""
    import subprocess

    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    two = subprocess.run(
        [sys.executable, __file__, "--threads"], check=True, stdout=subprocess.PIPE, text=True, env=free
    ).stdout.strip()
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
            two,
            "Gauss-Newton matrix of 20,000 rows, milliseconds; in brackets what is aimed at:",
            table(["network", "deltarule", "NumPy", "dsyrk alone", "against NumPy", "of dsyrk's rate"], gauss_newton()),
            "Predictions of 10-32-1:",
            table(["", "deltarule", "scikit-learn", "ratio", "aimed at"], predictions()),
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
    threads() if "--threads" in sys.argv else print(report())
