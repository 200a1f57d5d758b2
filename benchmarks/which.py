"""Which method for what: every method on tables of other sizes and kinds, the same starts, the same seconds each.

    python benchmarks/which.py [sine surface curve digits wide many flights] [--seeds 3]

For each table: the smallest validation loss that a method comes to within its seconds, and the seconds until that is
within a quarter of the best method's. Where there is no noise, it is the training loss, and the seconds are those to a
goal. Seconds are the processor's, of one thread, so that other work on the machine does not count. The tables of
docs/howto/which_method.md.
"""

import argparse
import os
from collections.abc import Sequence
from statistics import median
from time import process_time
from typing import NamedTuple

from sidebyside import machine, one_thread, table, versions

one_thread()
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np  # noqa: E402  # after the number of threads is set

import deltarule as dr  # noqa: E402
from deltarule import plan  # noqa: E402
from deltarule.record import Record  # noqa: E402
from deltarule.stopping import MaxSteps, Reason  # noqa: E402

METHODS = {
    "levenberg_marquardt": {},
    "trainlm": {},
    "bayesian_regularization": {},
    "newton_cg": {},
    "lbfgs": {},
    "conjugate_gradient": {},
    "scaled_conjugate_gradient": {},
    "rprop": {},
    "traingdx": {},
    "online": {},
    "adam": {"learning_rate": plan.ADAM_RATE, "batch_size": plan.ADAM_ROWS},
}
NEAR = 1.25
"""Times the best method's loss: from there on a method counts as arrived."""


class Kind(NamedTuple):
    """A table as numbers, a network for it, what it stands for."""

    title: str
    X: np.ndarray
    T: np.ndarray
    network: dr.Network
    loss: str
    seconds: float
    goal: float | None = None
    """A training loss to reach where there is no noise; None where validation rows decide."""


def sine() -> Kind:
    """Return a function known at few points."""
    x = np.linspace(-1, 1, 41)[:, None]
    network = dr.Network((1, 5, 1))
    return Kind("a curve without noise, 41 rows, 1-5-1", x, np.sin(np.pi * x), network, "squared_error", 0.25, 5e-7)


def surface() -> Kind:
    """Return Friedman's first surface without noise."""
    X, t = _friedman(5_000, 5, 0.0)
    network = dr.Network((5, 20, 1))
    return Kind("a surface without noise, 5,000 rows, 5-20-1", X, t, network, "squared_error", 0.5, 5e-5)


def curve() -> Kind:
    """Return Friedman's first surface with noise, in a table of common size."""
    X, t = _friedman(1_000, 10, 1.0)
    network = dr.Network((10, 16, 1))
    return Kind("numbers with noise, 1,000 rows, 10-16-1", X, t, network, "squared_error", 0.25)


def many() -> Kind:
    """Return the same with many rows."""
    X, t = _friedman(100_000, 10, 1.0)
    network = dr.Network((10, 32, 1))
    return Kind("numbers with noise, 100,000 rows, 10-32-1", X, t, network, "squared_error", 0.5)


def digits() -> Kind:
    """Return scikit-learn's digits: ten classes."""
    from sklearn.datasets import load_digits

    X, t = load_digits(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(t))
    network = dr.Network((64, 32, 10), ("tanh", "softmax"))
    X, T = X[rows] / 8 - 1, np.eye(10)[t[rows]]
    return Kind("ten classes, 1,797 rows, 64-32-10", X, T, network, "cross_entropy", 0.5)


def flights() -> Kind:
    """Return two classes in many rows, a logistic of a curved surface."""
    rng = np.random.default_rng(3)
    X = rng.uniform(-1, 1, (100_000, 10))
    chance = 1 / (1 + np.exp(-6 * np.sin(3 * X[:, 0] * X[:, 1]) - 2 * X[:, 2]))
    t = (rng.uniform(size=len(X)) < chance).astype(float)[:, None]
    network = dr.Network((10, 32, 1), ("tanh", "logistic"))
    return Kind("two classes, 100,000 rows, 10-32-1", X, t, network, "binary_cross_entropy", 0.5)


def wide() -> Kind:
    """Return a network with so many weights that a matrix of all pairs is a burden."""
    X, t = _friedman(2_000, 20, 0.0)
    network = dr.Network((20, 64, 64, 1))
    return Kind("many weights, 2,000 rows, 20-64-64-1", X, t, network, "squared_error", 0.5, 5e-5)


KINDS = {made.__name__: made for made in (sine, surface, curve, digits, wide, many, flights)}


def _friedman(n_rows: int, n_inputs: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return Friedman's first surface, inputs in [−1, 1], targets of variance 1 before the noise."""
    rng = np.random.default_rng(1)
    X = rng.uniform(size=(n_rows, n_inputs))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return 2 * X - 1, ((y - y.mean() + noise * rng.normal(size=n_rows)) / y.std())[:, None]


class ProcessorSeconds:
    """Stop after so many seconds of the processor, and keep those of each record."""

    def __init__(self, most: float) -> None:
        self.most, self.start, self.spent = most, process_time(), []

    def __call__(self, history: Sequence[Record]) -> Reason | None:
        """Return the reason, or None to go on."""
        self.spent.append(process_time() - self.start)
        return Reason.MAX_SECONDS if self.spent[-1] >= self.most else None


def runs(kind: Kind, seeds: int) -> dict[str, list[tuple[np.ndarray, np.ndarray, float]]]:
    """Return for each method and start its losses so far, the seconds, and how many steps it took a second."""
    n = len(kind.X) * 4 // 5 if kind.goal is None else len(kind.X)
    training = dr.Objective(kind.network, kind.loss, kind.X[:n], kind.T[:n])
    held_out = dr.Objective(kind.network, kind.loss, kind.X[n:], kind.T[n:]) if kind.goal is None else None
    racing = {name: dr.methods.get(name, **settings) for name, settings in METHODS.items()
              if kind.loss == "squared_error" or name != "bayesian_regularization"}  # fmt: skip
    found: dict[str, list[tuple[np.ndarray, np.ndarray, float]]] = {name: [] for name in racing}
    for method in racing.values():  # what is loaded at first use is not counted
        dr.train(training, kind.network.initial_weights(0), method, [MaxSteps(1)])
    for seed in range(seeds):
        for name, method in racing.items():
            clock = ProcessorSeconds(kind.seconds)
            history = dr.train(training, kind.network.initial_weights(seed), method, [clock], held_out).arrays()
            losses = np.fmin.accumulate(history["validation_loss" if kind.goal is None else "loss"])
            seconds = np.array(clock.spent)
            found[name].append((losses, seconds, len(losses) / seconds[-1]))
    return found


def report(kind: Kind, seeds: int) -> str:
    """Return the table of a kind, the best first."""
    found = runs(kind, seeds)
    ended = {name: median(losses[-1] for losses, _, _ in made) for name, made in found.items()}
    goal = NEAR * min(ended.values()) if kind.goal is None else kind.goal
    auto, settings = plan.method_for(len(kind.X), kind.network.n_weights, kind.loss == "squared_error")
    chosen = dr.methods.get(auto, **settings)
    rows = []
    for name in sorted(found, key=lambda name: ended[name]):
        reached = [seconds[np.argmax(losses <= goal)] if losses[-1] <= goal else np.inf
                   for losses, seconds, _ in found[name]]  # fmt: skip
        within = f"{median(reached):.3g} s" if np.isfinite(median(reached)) else "–"
        mark = ' (`"auto"`)' if dr.methods.get(name, **METHODS[name]) == chosen else ""
        pace = median(pace for _, _, pace in found[name])
        rows.append([f"`{name}`{mark}", f"{ended[name]:.3g}", within, f"{sum(np.isfinite(reached))} of {len(reached)}",
                     f"{pace:,.0f}"])  # fmt: skip
    kept = "training loss" if kind.goal else "smallest validation loss"
    arrived = f"to {kind.goal:g}" if kind.goal else "to a quarter above the best"
    header = ["method", f"{kept} in {kind.seconds:g} s", arrived, "starts", "steps a second"]
    title = f"### {kind.title[0].upper()}{kind.title[1:]}"
    return f"{title}\n\n{kind.network.n_weights:,} weights.\n\n{table(header, rows)}\n"


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help="all unless named")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print("## Which method\n")
    print(machine() + "; " + versions("deltarule", "numpy") + "; medians of the starts.\n")
    for name in given.kinds or KINDS:
        print(report(KINDS[name](), given.seeds), flush=True)


if __name__ == "__main__":
    main()
