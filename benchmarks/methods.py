"""The methods against those of other packages: seconds and passes to a goal, on the same rows.

    python benchmarks/methods.py [sinc surfaces small passes] [--seeds 5] [--limit 30] [--proben1 FOLDER]

Mean squared errors throughout. A run's clock stands still while an error is computed for the table alone.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
from method_peers import (
    Clock,
    fann,
    fann_of,
    fann_rprop,
    fann_weights,
    nnet,
    scipy_least_squares,
    sklearn_lbfgs,
    torch_lbfgs,
    torch_levenberg_marquardt,
    torch_levenberg_marquardt_full,
)  # fmt: skip
from proben1 import read
from sidebyside import machine, table, versions

import deltarule as dr
from deltarule.stopping import Goal, MaxPasses, MaxSeconds

METHODS = {
    "Levenberg-Marquardt": ("lm", {}),
    "the same without projection": ("lm", {"projection": False}),
    "L-BFGS": ("lbfgs", {}),
    "L-BFGS with projection": ("lbfgs", {"projection": True}),
    "conjugate gradient": ("cg", {}),
    "scaled conjugate gradient": ("scg", {}),
}
SMALL_METHODS = {
    "Levenberg-Marquardt": ("lm", {}),
    "Bayesian regularisation": ("trainbr", {}),
    "L-BFGS": ("lbfgs", {}),
    "conjugate gradient": ("cg", {}),
    "scaled conjugate gradient": ("scg", {}),
    "Rprop": ("rprop", {}),
    "newton_cg": ("newton_cg", {}),
    "gradient descent, adaptive": ("traingdx", {}),
}


class Problem(NamedTuple):
    """Rows, a network, the errors to reach."""

    X: np.ndarray
    T: np.ndarray
    network: dr.Network
    goals: tuple[float, ...]


def sinc() -> Problem:
    """Return torch-levenberg-marquardt's curve: 20,000 points of sinc(10x)."""
    x = np.linspace(-1, 1, 20_000)[:, None]
    return Problem(x, np.sinc(10 * x), dr.Network((1, 20, 1)), (1e-3, 1e-4, 1e-5, 3.3e-7, 1e-8, 1e-10))


def friedman() -> Problem:
    """Return Friedman's first surface in five inputs, without noise, scaled to variance 1."""
    X = np.random.default_rng(1).uniform(size=(10_000, 5))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return Problem(2 * X - 1, _standard(y), dr.Network((5, 20, 1)), (1e-2, 1e-3, 1e-4, 1e-5, 1e-6))


def product() -> Problem:
    """Return a product of two sincs, scaled to variance 1."""
    X = np.random.default_rng(2).uniform(-1, 1, size=(10_000, 2))
    return Problem(X, _standard(np.sinc(4 * X).prod(axis=1)), dr.Network((2, 30, 1)), (1e-1, 1e-2, 1e-3, 1e-4, 1e-5))


def sin() -> Problem:
    """Return MATLAB's SIN: one period of the sine."""
    x = np.linspace(-1, 1, 41)[:, None]
    return Problem(x, np.sin(np.pi * x), dr.Network((1, 5, 1)), (2e-3, 1e-6))


def parity() -> Problem:
    """Return MATLAB's PARITY of three bits."""
    X = np.array([[a, b, c] for a in (-1.0, 1) for b in (-1.0, 1) for c in (-1.0, 1)])
    return Problem(X, X.prod(axis=1, keepdims=True), dr.Network((3, 10, 10, 1), ("tanh", "tanh", "tanh")), (1e-3, 1e-6))


def _standard(y: np.ndarray) -> np.ndarray:
    return ((y - y.mean()) / y.std())[:, None]


def start(problem: Problem, seed: int) -> np.ndarray:
    """Return the default initial weights."""
    ranges = np.column_stack([problem.X.min(axis=0), problem.X.max(axis=0)])
    return problem.network.initial_weights(seed, input_ranges=ranges)


def ours(problem: Problem, seed: int, clock: Clock, name: str, settings: dict) -> None:
    """Train by a method that is here, and tell the clock from the history."""
    objective = dr.Objective(problem.network, "squared_error", problem.X, problem.T)
    stop = [Goal(problem.goals[-1] / 2), MaxSeconds(clock.limit), MaxPasses(clock.max_passes)]
    run = dr.train(objective, start(problem, seed), dr.methods.get(name, **settings), stop)
    for goal in problem.goals:
        first = next((record for record in run.history if 2 * record.loss <= goal), None)
        if first is not None:
            clock.reached[goal] = (first.seconds, first.passes)


def race(problem: Problem, ways: dict, seeds: int, limit: float, max_passes: float = 10**9) -> dict[str, list[Clock]]:
    """Return the clocks of each way, one a seed; the ways take turns."""
    clocks: dict[str, list[Clock]] = {name: [] for name in ways}
    for seed in range(seeds):
        for name, way in ways.items():
            clock = Clock(problem.goals, limit, max_passes)
            way(problem, seed, clock)
            clocks[name].append(clock)
    return clocks


def peer(function, own_start: bool):
    """Return a peer as a way: from its own random weights, or from ours."""

    def way(problem: Problem, seed: int, clock: Clock) -> None:
        function(problem.network, problem.X, problem.T, seed if own_start else start(problem, seed), clock)

    return way


def _ways(methods: dict) -> dict:
    return {name: partial(_ours, name=method, settings=settings) for name, (method, settings) in methods.items()}


def _ours(problem: Problem, seed: int, clock: Clock, *, name: str, settings: dict) -> None:
    ours(problem, seed, clock, name, settings)


PEERS = {
    "torch-levenberg-marquardt, README's settings": peer(torch_levenberg_marquardt, own_start=True),
    "torch-levenberg-marquardt, full batch, float64": peer(torch_levenberg_marquardt_full, own_start=True),
    "scipy least_squares, lm": peer(scipy_least_squares, own_start=False),
    "torch L-BFGS, strong Wolfe": peer(torch_lbfgs, own_start=False),
    "scikit-learn lbfgs": peer(sklearn_lbfgs, own_start=True),
}


def _seconds(clocks: list[Clock], goal: float) -> str:
    reached = sorted(clock.reached[goal][0] for clock in clocks if goal in clock.reached)
    if not reached:
        return "—"
    middle = median([clock.reached.get(goal, (float("inf"),))[0] for clock in clocks])
    shown = f"{middle:.3g}" if middle < float("inf") else "—"
    return shown if len(reached) == len(clocks) else f"{shown} ({len(reached)} of {len(clocks)})"


def report_race(title: str, about: str, problem: Problem, seeds: int, limit: float) -> str:
    """Return a table of seconds to each goal."""
    clocks = race(problem, _ways(METHODS) | PEERS, seeds, limit)
    header = ["seconds to", *(f"{goal:g}" for goal in problem.goals)]
    rows = [[name, *(_seconds(found, goal) for goal in problem.goals)] for name, found in clocks.items()]
    return (
        f"## {title}\n\n{about} {seeds} seeds, at most {limit:g} s each; the median, in brackets how many got there.\n\n"
        + table(header, rows)
    )


def report_small(seeds: int) -> str:
    """Return a table of the shares of seeds and the times to the goals of SIN and PARITY."""
    sections = [
        "## Small problems\n\nMilliseconds (median of those that got there), seeds that got there, passes; at most 10,000 passes."
    ]
    for title, problem in (("SIN, 1-5-1", sin()), ("PARITY, 3-10-10-1", parity())):
        ways = _ways(SMALL_METHODS) | {
            "torch-levenberg-marquardt, full batch": PEERS["torch-levenberg-marquardt, full batch, float64"],
            "torch L-BFGS, strong Wolfe": PEERS["torch L-BFGS, strong Wolfe"],
            "scikit-learn lbfgs": PEERS["scikit-learn lbfgs"],
        }
        if fann() is not None:
            ways["FANN RPROP"] = peer(fann_rprop, own_start=False)
        race(problem, ways, 1, 1.0, 50)  # imports and first calls are not counted
        clocks = race(problem, ways, seeds, 10.0, 10_000)
        rows = [[name, *(_small(found, goal) for goal in problem.goals)] for name, found in clocks.items()]
        if title.startswith("SIN") and (found := _nnet_sin(problem, seeds)):
            rows.append(["R nnet", *found])
        sections.append(table([title, *(f"MSE {goal:g}" for goal in problem.goals)], rows))
    return "\n\n".join(sections)


def _small(clocks: list[Clock], goal: float) -> str:
    reached = [clock.reached[goal] for clock in clocks if goal in clock.reached]
    if not reached:
        return f"0 of {len(clocks)}"
    seconds, passes = (median(part) for part in zip(*reached, strict=True))
    return f"{1000 * seconds:.2f} ms, {len(reached)} of {len(clocks)}, {passes:.0f} passes"


def _nnet_sin(problem: Problem, seeds: int) -> list[str] | None:
    goals = ", ".join(f"{goal * len(problem.X):g}" for goal in problem.goals)
    found = nnet(
        f"""
        for (goal in c({goals})) for (seed in 1:{seeds}) {{
          set.seed(seed); begin <- Sys.time()
          m <- nnet(x, t, size=5, linout=TRUE, abstol=goal, reltol=0, maxit=10000, trace=FALSE)
          cat(as.numeric(difftime(Sys.time(), begin, units="secs")), m$value, "\\n")
        }}""",
        x=problem.X,
        t=problem.T,
    )
    if found is None:
        return None
    runs = np.array(found).reshape(len(problem.goals), seeds, 2)
    cells = []
    for goal, (seconds, values) in zip(problem.goals, runs.transpose(0, 2, 1), strict=True):
        there = values <= goal * len(problem.X)
        shown = f"{1000 * np.median(seconds[there]):.2f} ms, " if there.any() else ""
        cells.append(f"{shown}{there.sum()} of {seeds}")
    return cells


PASSES = 200
"""Passes after which training losses are compared."""


def report_passes(folder: Path, seeds: int) -> str:
    """Return a table of Rprop against FANN's and L-BFGS against R's nnet: error after as many passes, time a pass."""
    rows = []
    for name, hidden in (("diabetes1", 32), ("thyroid1", 16), ("building1", 16)):
        X, T = read(folder / f"{name}.dt")[0]
        network = dr.Network((X.shape[1], hidden, T.shape[1]))
        objective = dr.Objective(network, "squared_error", X, T)
        rows += [_against_fann(name, objective, seeds), _against_nnet(name, hidden, X, T, seeds)]
    header = ["problem", "method", f"error after {PASSES} passes", "the peer's", "µs a pass", "the peer's", "ratio"]
    about = (
        "## Rprop against FANN, L-BFGS against R's nnet\n\nTraining rows of Proben1, mean squared error a row and output, "
        f"median of {seeds} seeds. Rprop starts from the same weights as FANN's. An iteration of nnet is counted as one "
        "pass, though it takes at least two (its loss and its gradient are computed apart)."
    )
    return f"{about}\n\n" + table(header, [row for row in rows if row])


def _against_fann(name: str, objective: dr.Objective, seeds: int) -> list[str] | None:
    if fann() is None:
        return None
    network, (X, T, _) = objective.network, objective.rows
    scale = 2 / network.n_out
    errors, theirs, seconds, their_seconds = [], [], [], []
    pointers = [np.ascontiguousarray(A).ctypes.data_as(__import__("ctypes").c_void_p) for A in (X, T)]
    for seed in range(seeds):
        w = network.initial_weights(seed)
        run = dr.train(objective, w, "rprop", [MaxPasses(PASSES + 1)])
        errors.append(scale * run.loss)
        seconds.append(run.history[-1].seconds / (PASSES + 1))
        net = fann_of(network, w)
        rows = __import__("ctypes").c_void_p(fann().fann_rows(*pointers, len(X), network.n_in, network.n_out))
        begin = perf_counter()
        for _ in range(PASSES):
            fann().fann_rprop_epoch(net, rows)
        their_seconds.append((perf_counter() - begin) / PASSES)
        theirs.append(scale * objective.value(fann_weights(network, net)))
    return _row(name, "Rprop, FANN", errors, theirs, seconds, their_seconds)


def _against_nnet(name: str, hidden: int, X, T, seeds: int) -> list[str] | None:
    found = nnet(
        f"""
        for (seed in 1:{seeds}) {{
          set.seed(seed); begin <- Sys.time()
          m <- nnet(x, t, size={hidden}, linout=TRUE, abstol=0, reltol=0, maxit={PASSES}, trace=FALSE, MaxNWts=100000)
          cat(as.numeric(difftime(Sys.time(), begin, units="secs")), m$value, "\\n")
        }}""",
        x=X,
        t=T,
    )
    if found is None:
        return None
    their_seconds, values = np.array(found).reshape(seeds, 2).T
    network = dr.Network((X.shape[1], hidden, T.shape[1]), ("logistic", "identity"))
    objective = dr.Objective(network, "squared_error", X, T)
    errors, seconds = [], []
    for seed in range(seeds):
        ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
        run = dr.train(objective, network.initial_weights(seed, input_ranges=ranges), "lbfgs", [MaxPasses(PASSES)])
        errors.append(2 * run.loss / network.n_out)
        seconds.append(run.history[-1].seconds / run.history[-1].passes)
    return _row(name, "L-BFGS, nnet", errors, values / T.size, seconds, their_seconds / PASSES)


def _row(name: str, method: str, errors, theirs, seconds, their_seconds) -> list[str]:
    mine, other = 1e6 * median(seconds), 1e6 * median(their_seconds)
    return [
        name, method, f"{median(errors):.5f}", f"{median(theirs):.5f}", f"{mine:.0f}", f"{other:.0f}", f"{other / mine:.1f} ×",
    ]  # fmt: skip


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts", nargs="*", choices=["sinc", "surfaces", "small", "passes", []], help="all unless named"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds of a run")
    parser.add_argument("--proben1", type=Path, help="folder of the Proben1 .dt files; passes needs it")
    given = parser.parse_args()
    parts = given.parts or ["sinc", "surfaces", "small", "passes"]
    print("# Methods\n")
    print(
        machine() + "; " + versions("deltarule", "numpy", "scipy", "scikit-learn", "torch", "torch-levenberg-marquardt")
    )
    if "sinc" in parts:
        about = "20,000 points of sinc(10x) on [−1, 1], 1-20-1 tanh."
        print("\n" + report_race("Sinc race", about, sinc(), given.seeds, given.limit), flush=True)
    if "surfaces" in parts:
        about = "10,000 points of Friedman's first surface without noise, 5-20-1 tanh, error over variance."
        print("\n" + report_race("Friedman 1", about, friedman(), min(3, given.seeds), given.limit / 2), flush=True)
        about = "10,000 points of sinc(4a) sinc(4b), 2-30-1 tanh, error over variance."
        print(
            "\n" + report_race("Product of sincs", about, product(), min(3, given.seeds), given.limit / 2), flush=True
        )
    if "small" in parts:
        print("\n" + report_small(30), flush=True)
    if "passes" in parts and given.proben1:
        print("\n" + report_passes(given.proben1, given.seeds), flush=True)


if __name__ == "__main__":
    main()
