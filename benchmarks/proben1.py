"""Proben1 (Prechelt 1994, TR 21/94): test errors of the report's networks, trained by methods that are here.

    python benchmarks/proben1.py FOLDER [problem ...] [--seeds 10]

FOLDER holds the report's .dt files. The report's protocol: the first half of the rows trains, the next quarter decides
when to stop, the last quarter tests; hidden units x / (1 + |x|), linear outputs ("l") or sigmoid ("s"), squared error,
weights from ±0.5, the test error taken where the validation error was smallest, winner takes all. Rprop follows the
report's rule: η⁺ 1.1, η⁻ 0.5, Δ₀ from 0.05 to 0.2, Δmax 50, the validation error measured every 5 epochs, an end where
it lies 5 % above its minimum (GL5), or at 3,000 epochs. Conjugate gradients and online backpropagation measure it after
each step and end when it has not improved for 100.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

import numpy as np
from sidebyside import table

import deltarule as dr
from deltarule.stopping import MaxFail, MaxSteps

EPOCHS = 3000
STRIP = 5
"""Epochs between two measurements of the validation error."""
GENERALISATION_LOSS = 0.05
"""GL5: by what share the validation error lies above its minimum when training ends."""
FAILS = 100


class Problem(NamedTuple):
    """A problem's network in the report and what the report found: mean and deviation of 60 runs."""

    hidden: tuple[int, ...]
    output: str
    published: tuple[float, float]
    classes: bool


PROBLEMS = {
    "cancer1": Problem((4, 2), "identity", (1.38, 0.49), True),
    "card1": Problem((32,), "identity", (14.05, 1.03), True),
    "diabetes1": Problem((32,), "identity", (24.10, 1.91), True),
    "thyroid1": Problem((16, 8), "identity", (2.38, 0.35), True),
    "building1": Problem((16,), "identity", (1.36, 0.63), False),
    "flare1": Problem((32,), "logistic", (0.54, 0.01), False),
}


def read(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (X, T) of the training, validation and test parts of a .dt file."""
    lines = path.read_text().splitlines()
    header = {name: int(value) for name, value in (line.split("=") for line in lines[:7])}
    rows = np.array([[float(cell) for cell in line.split()] for line in lines[7:] if line.strip()])
    n_in = header["bool_in"] + header["real_in"]
    sizes = [header[f"{part}_examples"] for part in ("training", "validation", "test")]
    assert rows.shape == (sum(sizes), n_in + header["bool_out"] + header["real_out"]), path
    return [(part[:, :n_in], part[:, n_in:]) for part in np.split(rows, np.cumsum(sizes)[:2])]


def by_the_report(made: dr.Objective, start: np.ndarray, checked: dr.Objective, seed: int) -> np.ndarray:
    """Return the weights with the smallest validation error, by Rprop and the report's rule."""
    method = dr.methods.Rprop("rprop+", increase=1.1, first_step=(0.05, 0.2), seed=seed)
    smallest, best = float("inf"), start
    for epoch, state in zip(range(EPOCHS + 1), dr.steps(made, start, method), strict=False):
        if epoch % STRIP or epoch == 0:
            continue
        error = checked.value(state.w)
        if error < smallest:
            smallest, best = error, state.w
        elif error > (1 + GENERALISATION_LOSS) * smallest:
            break
    return best


def by_steps_without_gain(
    method: Callable[[int], dr.methods.Method], made: dr.Objective, start: np.ndarray, checked: dr.Objective, seed: int
) -> np.ndarray:
    """Return the weights with the smallest validation error, until it has not improved for so many steps."""
    return dr.train(made, start, method(seed), [MaxSteps(EPOCHS), MaxFail(FAILS)], checked).w


METHODS = {
    "Rprop": by_the_report,
    "conjugate gradient": partial(by_steps_without_gain, lambda seed: dr.methods.ConjugateGradient()),
    "online": partial(by_steps_without_gain, lambda seed: dr.methods.Online(learning_rate=0.01, seed=seed)),
}


def run(problem: Problem, parts, method, seed: int) -> float:
    """Return the test error in percent: rows classified wrongly, or squared error percentage."""
    (X, T), validation, (X_test, T_test) = parts
    activations = ["softsign"] * len(problem.hidden) + [problem.output]
    network = dr.Network((X.shape[1], *problem.hidden, T.shape[1]), activations)
    made = dr.Objective(network, "squared_error", X, T)
    checked = dr.Objective(network, "squared_error", *validation)
    w = method(made, network.initial_weights(seed, "uniform"), checked, seed)
    Y = dr.predict(network, w, X_test)
    if problem.classes:
        return float(100 * np.mean(Y.argmax(axis=1) != T_test.argmax(axis=1)))
    low, high = min(part[1].min() for part in parts), max(part[1].max() for part in parts)
    return float(100 * (high - low) / Y.size * np.sum((Y - T_test) ** 2))


def report(folder: Path, names: list[str], seeds: int) -> str:
    """Return the table."""
    rows = []
    for name in names:
        problem, parts = PROBLEMS[name], read(folder / f"{name}.dt")
        sizes = "-".join(map(str, (parts[0][0].shape[1], *problem.hidden, parts[0][1].shape[1])))
        published = f"{problem.published[0]:.2f} ± {problem.published[1]:.2f}"
        row = [name, sizes, "classification" if problem.classes else "squared error", published]
        for method in METHODS.values():
            errors = [run(problem, parts, method, seed) for seed in range(seeds)]
            within = mean(errors) <= problem.published[0] + problem.published[1]
            row.append(f"{mean(errors):.2f} ± {stdev(errors):.2f} {'✓' if within else '✗'}")
        rows.append(row)
    header = ["problem", "network", "test error in %", "report, Rprop, 60 runs", *METHODS]
    return "\n\n".join(
        [
            "## Proben1",
            f"Mean ± standard deviation of {seeds} seeds; ✓: at most one published deviation above the published mean.",
            table(header, rows),
        ]
    )


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the .dt files are")
    parser.add_argument("problems", nargs="*", choices=[*PROBLEMS, []], help="all unless named")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    print(report(given.folder, given.problems or list(PROBLEMS), given.seeds))


if __name__ == "__main__":
    main()
