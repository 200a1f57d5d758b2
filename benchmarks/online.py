"""Online training, one thread: nanoseconds a row against FANN, scikit-learn and PyTorch, in one run."""

from sidebyside import machine, one_thread, race, table, versions

one_thread()

import numpy as np  # noqa: E402  # after the number of threads is set
import peers  # noqa: E402

import deltarule as dr  # noqa: E402
from deltarule.engines import Rows, Update, choose  # noqa: E402
from deltarule.engines.array import ArrayEngine  # noqa: E402

SHAPES = {
    (10, 8, 1): 2, (10, 32, 1): 5, (10, 128, 1): 8, (64, 64, 1): 7, (30, 64, 64, 10): 8, (784, 128, 10): 3,
}  # fmt: skip
"""The networks, and how many times as fast as FANN they are to be."""
SECONDS_EACH, REPEATS, CHECKED = 0.002, 200, 50
SLOW = {"scikit-learn, batch_size=1": 300, "scikit-learn, partial_fit of a row": 2000, "PyTorch, a row": 700}


def epoch(network, X, T):
    """Return an epoch of ours in the rows' order, after comparing the first rows with the reference engine."""
    loss, w = dr.losses.get("squared_error"), network.initial_weights(0, "glorot").astype(X.dtype)
    update = Update(dr.methods.rules.Plain(), 1e-3, 1, 0.0)
    memory, order, rows = np.zeros((0, w.size), X.dtype), np.arange(len(X)), Rows(X, T)
    engine = choose(network, loss, X)
    got, _, _, _ = engine.epoch(w, memory, 0, rows, order[:CHECKED], update)
    wanted, _, _, _ = ArrayEngine(network, loss).epoch(w, memory, 0, rows, order[:CHECKED], update)
    assert np.max(np.abs(got - wanted)) < 1e3 * np.finfo(X.dtype).eps * np.max(np.abs(wanted))
    return lambda: engine.epoch(w, memory, 0, rows, order, update)


def against_fann():
    """Return rows of the table: ours in both precisions, FANN, the ratio."""
    lines = []
    for sizes, wanted in SHAPES.items():
        network = dr.Network(sizes)
        n = max(300, min(20_000, int(SECONDS_EACH / (1e-10 * network.n_weights + 5e-8))))
        few = max(32, n // 8)
        rng = np.random.default_rng(1)
        X, T = rng.standard_normal((n, sizes[0])), rng.standard_normal((n, sizes[-1]))
        ways = {"float64": epoch(network, X, T), "float32": epoch(network, np.float32(X), np.float32(T))}
        if peers.fann():
            ways["FANN"] = peers.fann_online(sizes, X[:few].copy(), T[:few].copy())
        ns = {way: min(times) / (few if way == "FANN" else n) * 1e9 for way, times in race(ways, REPEATS).items()}
        compared = [f"{ns['FANN']:.0f}", f"{ns['FANN'] / ns['float64']:.1f} ×"] if "FANN" in ns else ["", ""]
        shape = "-".join(map(str, sizes))
        lines.append([shape, f"{ns['float64']:.0f}", f"{ns['float32']:.0f}", *compared, f"{wanted} ×"])
    return lines


def against_python():
    """Return rows of the table: 10-32-1 row by row against libraries that Python people use."""
    sizes, n, few = (10, 32, 1), 20_000, 200
    rng = np.random.default_rng(1)
    X, T = rng.standard_normal((n, 10)), rng.standard_normal((n, 1))
    makers = (peers.sklearn_online, peers.sklearn_row_by_row, peers.pytorch_online)
    ways = {"deltarule": epoch(dr.Network(sizes), X, T)}
    ways |= {name: make(sizes, X, T, few) for name, make in zip(SLOW, makers, strict=True)}
    seconds = race(ways, 10)
    ours = min(seconds["deltarule"]) / n
    lines = []
    for name, wanted in SLOW.items():
        theirs = min(seconds[name]) / few
        lines.append([name, f"{theirs * 1e6:.0f} µs", f"{theirs / ours:.0f} ×", f"{wanted} ×"])
    return lines


def report():
    """Return the section of RESULTS.md."""
    return "\n\n".join(
        [
            "## Online training, one thread",
            "Nanoseconds a row, tanh, plain rule, squared error, rows in cache; the weights after "
            f"{CHECKED} rows agree with the reference engine before anything is timed.",
            f"{machine()}; {versions('deltarule', 'numpy', 'scikit-learn', 'torch')}; {dr.engines.in_use()}",
            table(["network", "float64", "float32", "FANN (double)", "against FANN", "aimed at"], against_fann()),
            table(["10-32-1 against", "a row", "ratio", "aimed at"], against_python()),
        ]
    )


if __name__ == "__main__":
    print(report())
