"""What `method="auto"` chooses against each single choice, all else as in the default: scores and seconds.

    python benchmarks/choice.py [table ...] [--seeds 3]

Each method takes the place of the default's own choice: candidates, penalties and cross-validation stay as they are.
"""

import argparse
from collections.abc import Callable
from statistics import mean
from time import process_time
from unittest.mock import patch

import numpy as np
from sidebyside import machine, table, versions

import deltarule as dr
from deltarule import plan

METHODS = ("levenberg_marquardt", "lbfgs", "conjugate_gradient", "scaled_conjugate_gradient", "adam")
MATRIX_LIMIT = 600
"""Weights above which Levenberg-Marquardt is left out: its steps would take minutes."""


def _friedman(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    X = rng.uniform(size=(n, 5))
    y = 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]
    return {f"x{i}": X[:, i] for i in range(5)} | {"y": y + rng.normal(size=n)}


def _spirals(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(n)
    arm, way = rng.integers(0, 3, n), rng.uniform(0.2, 1, n)
    angle = 4 * way + 2 * np.pi / 3 * arm + 0.2 * rng.normal(size=n)
    return {"a": way * np.cos(angle), "b": way * np.sin(angle), "y": np.array(["p", "q", "r"])[arm]}


def _loaded(name: str) -> dict[str, np.ndarray]:
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    target = data.target.astype(float) if name == "diabetes" else np.array([f"c{k}" for k in data.target])
    return {f"x{i}": data.data[:, i] for i in range(data.data.shape[1])} | {"y": target}


TABLES: dict[str, Callable[[], dict[str, np.ndarray]]] = {
    "diabetes, 442 × 10": lambda: _loaded("diabetes"),
    "Friedman 1, 300 × 5": lambda: _friedman(300),
    "Friedman 1, 2,000 × 5": lambda: _friedman(2_000),
    "Friedman 1, 10,000 × 5": lambda: _friedman(10_000),
    "Friedman 1, 40,000 × 5": lambda: _friedman(40_000),
    "wine, 178 × 13": lambda: _loaded("wine"),
    "breast cancer, 569 × 30": lambda: _loaded("breast_cancer"),
    "spirals, 1,000 × 2": lambda: _spirals(1_000),
    "spirals, 10,000 × 2": lambda: _spirals(10_000),
}


def forced(name: str) -> Callable[..., tuple[str, dict]]:
    """Return what takes the place of `plan.method_for` for one method always."""
    preset = {"learning_rate": plan.ADAM_RATE, "batch_size": plan.ADAM_ROWS} if name == "adam" else {}
    return lambda *_: (name, preset)


def score(data: dict[str, np.ndarray], seed: int) -> float:
    """Return R² or the log loss on the test rows."""
    found = dr.fit(data, "y", seed=seed).training.scores["test"]
    return found["r2"] if "r2" in found else found["log_loss"]


def weights(data: dict[str, np.ndarray]) -> int:
    """Return the weights of the default's network."""
    classes = len(set(data["y"])) if data["y"].dtype.kind == "U" else 1
    outputs = 1 if classes == 2 else classes
    wide = plan.width(int(0.7 * len(data["y"])))
    return (len(data) - 1 + 1) * wide + (wide + 1) * outputs


def report(names: list[str], seeds: int) -> str:
    """Return the table."""
    rows = []
    for name in names:
        data = TABLES[name]()
        cells = {}
        for method in ("auto", *METHODS):
            if method == "levenberg_marquardt" and weights(data) > MATRIX_LIMIT:
                cells[method] = "—"
                continue
            with patch.object(plan, "method_for", plan.method_for if method == "auto" else forced(method)):
                begin = process_time()
                found = mean(score(data, seed) for seed in range(seeds))
                cells[method] = f"{found:.3f} ({(process_time() - begin) / seeds:.2f} s)"
        kind = "log loss" if data["y"].dtype.kind == "U" else "R²"
        rows.append([name, kind, *cells.values()])
        print(rows[-1], flush=True)
    header = ["table", "score", "auto", *METHODS]
    about = (
        f"Test scores with the default's procedure and each method in it, mean of {seeds} seeds, and seconds of "
        "processor time a fit. R²: more is better; log loss: less."
    )
    return f"## What auto chooses\n\n{about}\n\n" + table(header, rows)


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], help="all unless named")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"{machine()}; {versions('deltarule', 'numpy', 'scikit-learn')}.\n")
    print(report(given.tables or list(TABLES), given.seeds))


if __name__ == "__main__":
    main()
