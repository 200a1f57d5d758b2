"""MLPRegressor and MLPClassifier against scikit-learn's of that name: same data, same settings, in one run.

Both get one thread, for that is what each of them uses in a grid search over all processors. Mini-batches and lbfgs are
measured once more as installed: each package takes the threads that it takes on this machine.
"""

import argparse
import os
import subprocess
import sys
import warnings
from time import perf_counter, process_time

from sidebyside import ONE_THREAD, machine, one_thread, race, table, versions

AS_INSTALLED = "as_installed" in sys.argv
if not AS_INSTALLED:
    one_thread()

import numpy as np  # noqa: E402  # after the number of threads is set
import sklearn.neural_network as theirs  # noqa: E402
from sklearn import datasets  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402

import deltarule as ours  # noqa: E402
from deltarule.engines import native  # noqa: E402

if not AS_INSTALLED:
    os.environ[native.THREADS] = "1"
SHAPES = ((10, (8,)), (10, (32,)), (8, (50, 20)), (20, (100,)), (30, (64, 64)))
"""Inputs and hidden layers of the problems made up here, each with 2,000 rows and one output."""
BATCHES = {
    "adam": ({"batch_size": 200, "max_iter": 20}, 4),
    "sgd": ({"batch_size": 200, "max_iter": 20}, 4),
    "lbfgs": ({"max_iter": 40}, 3),
}
"""Solvers with their settings, and how many times as fast as scikit-learn they are to be."""
SINGLE_ROWS = {
    "sgd, momentum 0": ({"solver": "sgd", "batch_size": 1, "momentum": 0.0}, 250),
    "sgd, momentum 0.9": ({"solver": "sgd", "batch_size": 1}, 250),
    "adam": ({"solver": "adam", "batch_size": 1}, 250),
}
"""The same row by row."""
MANY_ROWS, FEW_ITERATIONS = 50_000, 5
"""From so many rows on, so many iterations are enough to be timed."""
ROWS_ONE_BY_ONE, VISITS = 5000, 10_000
"""At most how many rows are visited one by one, and how often in all, over several epochs as in any fit."""
THEIR_ROWS, THEIR_VISITS = 1000, 1000
"""The same for scikit-learn, which takes some 300 µs for each, however many there are."""
SEEDS = range(10)
WARM_UP = 0.25
"""Seconds of each fit before it is timed as installed, in which BLAS's threads of the one before go to sleep."""


def problem(n, n_in):
    """Return inputs and targets of a smooth function with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, n_in))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(n)


def digits():
    """Return scikit-learn's digits, from 0 to 1."""
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y


def diabetes():
    """Return scikit-learn's diabetes, standardised."""
    X, y = datasets.load_diabetes(return_X_y=True)
    return X / X.std(axis=0), (y - y.mean()) / y.std()


def problems():
    """Yield a name, the estimator's, the hidden layers, X and y."""
    for n_in, hidden in SHAPES:
        yield f"2,000 rows, {'-'.join(map(str, (n_in, *hidden, 1)))}", "MLPRegressor", hidden, *problem(2000, n_in)
    yield "digits, 64-100-10", "MLPClassifier", (100,), *digits()
    yield "diabetes, 10-100-1", "MLPRegressor", (100,), *diabetes()
    yield "100,000 rows, 10-32-1", "MLPRegressor", (32,), *problem(100_000, 10)


def all_rows(package, X):
    """Return how many rows are fitted and in how many iterations, None for those of the settings."""
    return len(X), FEW_ITERATIONS if len(X) > MANY_ROWS else None


def one_by_one(package, X):
    """Return how many rows are fitted one by one and in how many epochs."""
    rows, visits = (ROWS_ONE_BY_ONE, VISITS) if package is ours else (THEIR_ROWS, THEIR_VISITS)
    rows = min(rows, len(X))
    return rows, visits // rows


def work(package, name, hidden, X, y, settings, extent):
    """Return a function that fits an estimator, the estimator, and the number of rows."""
    rows, iterations = extent(package, X)
    settings = settings if iterations is None else settings | {"max_iter": iterations}
    made = getattr(package, name)(
        hidden_layer_sizes=hidden, random_state=0, tol=0.0, n_iter_no_change=10**6, **settings
    )

    def fit():
        made.fit(X[:rows], y[:rows])

    return fit, made, rows


def speeds(ways, chosen, extent, clock=process_time):
    """Return a line for each problem: the time of an iteration or a row, and how many times as fast each way is."""
    lines = []
    for title, name, hidden, X, y in problems():
        if chosen not in title:
            continue
        cells = []
        for solver, (settings, _) in ways.items():
            settings = {"solver": solver} | settings
            works = [work(package, name, hidden, X, y, settings, extent) for package in (ours, theirs)]
            repeats = 2 if len(X) > MANY_ROWS and extent is all_rows else 4 if AS_INSTALLED else 6
            seconds = race(
                dict(enumerate(fit for fit, _, _ in works)), repeats, clock, WARM_UP if AS_INSTALLED else 0.0
            )
            here, there = (min(seconds[i]) / made.n_iter_ for i, (_, made, _) in enumerate(works))
            if extent is one_by_one:
                here, there = (each / rows for each, (_, _, rows) in zip((here, there), works, strict=True))
                cells.append(f"{here * 1e6:.3g} µs, {there / here:.0f} ×")
            else:
                cells.append(f"{here * 1e3:.3g} ms, {there / here:.1f} ×")
        lines.append([title, *cells])
    return [*lines, ["aimed at", *(f"{wanted} ×" for _, wanted in ways.values())]]


def scores(chosen):
    """Return lines: scores on held-out rows over the seeds, and how far the weights lie apart."""
    lines = []
    for title, name, hidden, X, y in problems():
        if title.startswith("2,000") or chosen not in title:
            continue
        parts = [part[:20_000] for part in (X, y)]
        for solver, epochs in (("adam", 40), ("sgd", 40), ("lbfgs", 100)):
            found, apart = {"deltarule": [], "scikit-learn": []}, []
            for seed in SEEDS:
                X_train, X_test, y_train, y_test = train_test_split(*parts, test_size=0.3, random_state=seed)
                settings = {"hidden_layer_sizes": hidden, "solver": solver, "random_state": seed, "max_iter": epochs}
                fitted = [getattr(package, name)(**settings).fit(X_train, y_train) for package in (ours, theirs)]
                for scores_of, made in zip(found.values(), fitted, strict=True):
                    scores_of.append(made.score(X_test, y_test))
                apart.append(max(np.abs(a - b).max() for a, b in zip(*(made.coefs_ for made in fitted), strict=True)))
            shown = [f"{np.mean(each):.4f} ± {np.std(each, ddof=1):.4f}" for each in found.values()]
            lines.append([title, solver, *shown, f"{max(apart):.0e}"])
    return lines


def batches(chosen):
    """Return the first part of the section of RESULTS.md: how fast mini-batches and lbfgs are."""
    return [
        "## scikit-learn's interface",
        f"{machine()}; {versions('deltarule', 'numpy', 'scipy', 'scikit-learn')}; one thread each; "
        f"{ours.engines.in_use()}",
        "`fit` of MLPRegressor and MLPClassifier, ReLU, mini-batches of 200 and lbfgs: processor time of an iteration, "
        "and how many times scikit-learn takes it:",
        table(["problem", *BATCHES], speeds(BATCHES, chosen, all_rows)),
    ]


def as_installed(chosen):
    """Return the second part: the same with the threads that each package takes by default.

    NumPy's are set when it is imported, so where they are limited another process measures.
    """
    if not AS_INSTALLED:
        env = {name: value for name, value in os.environ.items() if name not in (*ONE_THREAD, native.THREADS)}
        command = [sys.executable, __file__, as_installed.__name__, "--problem", chosen]
        return [subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()]
    return [
        f"As installed, each with the threads that it takes by itself on {os.cpu_count()} processors "
        f"({ours.engines.in_use()}): elapsed time of an iteration, the least of several fits in turn:",
        table(["problem", *BATCHES], speeds(BATCHES, chosen, all_rows, perf_counter)),
    ]


def single_rows(chosen):
    """Return the third part: how fast rows one by one are."""
    return [
        f"With batch_size=1, processor time of `fit` for each row visited: {VISITS:,} visits of at most "
        f"{ROWS_ONE_BY_ONE:,} rows here, {THEIR_VISITS:,} visits of {THEIR_ROWS:,} there, whose time a row is the same "
        "for any number:",
        table(["problem", *SINGLE_ROWS], speeds(SINGLE_ROWS, chosen, one_by_one)),
    ]


def good(chosen):
    """Return the fourth part: how good both are."""
    return [
        f"R² or accuracy on held-out rows, mean and standard deviation over {len(SEEDS)} seeds, and the largest "
        "difference of any weight between both (lbfgs takes other steps):",
        table(["problem", "solver", "deltarule", "scikit-learn", "weights apart"], scores(chosen)),
    ]


PARTS = {"batches": batches, "as_installed": as_installed, "single_rows": single_rows, "good": good}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="some of the tables; all unless given")
    parser.add_argument("--problem", default="", help="only problems with this in their name, such as digits")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("\n\n".join(line for part in ([asked.part] if asked.part else PARTS) for line in PARTS[part](asked.problem)))
