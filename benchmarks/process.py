"""Whole processes: import, help, and the job from a CSV file to a saved model, against scikit-learn with pandas."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from sidebyside import machine, race, ratio, table, versions

REPEATS = 9
SKLEARN_JOB = """
import pickle, sys
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import warnings
warnings.simplefilter("ignore")
frame = pd.read_csv(sys.argv[1])
X, y = frame.drop(columns="y"), frame["y"]
X, X_test, y, y_test = train_test_split(X, y, test_size=0.15, random_state=0)
network = MLPRegressor(hidden_layer_sizes=(32,), activation="tanh", max_iter=50, random_state=0)
model = make_pipeline(StandardScaler(), network)
model.fit(X, y)
print(model.score(X_test, y_test))
pickle.dump(model, open(sys.argv[2], "wb"))
"""


def command(*words: str):
    def work():
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return work


def report() -> str:
    deltarule = str(Path(sys.executable).with_name("deltarule"))
    with tempfile.TemporaryDirectory() as folder:
        csv, model = f"{folder}/table.csv", f"{folder}/model"
        rng = np.random.default_rng(0)
        X = rng.standard_normal((1000, 10))
        y = X[:, 0] * X[:, 1] + np.sin(X[:, 2]) + 0.1 * rng.standard_normal(1000)
        header = ",".join([f"x{i}" for i in range(10)] + ["y"])
        np.savetxt(csv, np.column_stack([X, y]), delimiter=",", header=header, comments="")
        job = ["train", csv, "--target", "y", "--hidden", "32", "--l2", "1e-4"]
        ways = {
            "import numpy": command(sys.executable, "-c", "import numpy"),
            "import deltarule": command(sys.executable, "-c", "import deltarule"),
            "deltarule --help": command(deltarule, "--help"),
            "CSV to model, deltarule (adam)": command(
                deltarule, *job, "-m", "adam", "--set", "batch_size=200", "--epochs", "50", "-o", model
            ),
            "CSV to model, deltarule (cg)": command(deltarule, *job, "-m", "cg", "--steps", "50", "-o", model),
            "CSV to model, scikit-learn": command(sys.executable, "-c", SKLEARN_JOB, csv, model),
        }
        seconds = race(ways, REPEATS)
    peers = {"import deltarule": "import numpy", "deltarule --help": "import numpy"}
    peers |= {name: "CSV to model, scikit-learn" for name in ways if "(" in name}
    rows = []
    for name, times in seconds.items():
        peer = peers.get(name)
        compared = f"{ratio(times, seconds[peer]):.2f} × {peer}" if peer else ""
        rows.append([name, f"{sorted(times)[len(times) // 2]:.3f}", compared])
    return "\n\n".join(
        [
            "## Whole processes",
            f"1,000 rows of 10 columns, 10-32-1 tanh, 50 epochs; seconds of a fresh process (median of {REPEATS}), "
            "progress bar and report included; ratios are medians of pairs.",
            f"{machine()}; {versions('deltarule', 'numpy', 'duckdb', 'scikit-learn', 'pandas')}.",
            table(["process", "seconds", "ratio"], rows),
        ]
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(report())
