"""MLPRegressor and MLPClassifier against scikit-learn's of that name: same data, same settings, in one run.

Both get one thread, for that is what each of them uses in a grid search over all processors.
"""

import argparse
import os
import warnings
from time import process_time

from sidebyside import machine, one_thread, race, table, versions

one_thread()

import numpy as np  # noqa: E402  # after the number of threads is set
import sklearn.neural_network as theirs  # noqa: E402
from sklearn import datasets  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402

import deltarule as ours  # noqa: E402
from deltarule.engines import native  # noqa: E402

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
SEEDS = range(10)


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


def fits(name, hidden, X, y, settings):
    """Return functions that fit either estimator and return the seconds an iteration took."""

    def work(package):
        made = getattr(package, name)(
            hidden_layer_sizes=hidden, random_state=0, tol=0.0, n_iter_no_change=10**6, **settings
        )

        def fit():
            made.fit(X, y)

        return fit, made

    return {"deltarule": work(ours), "scikit-learn": work(theirs)}


def speeds(ways):
    """Return a line for each problem: the time of an iteration, and how many times as fast each way is."""
    lines = []
    for title, name, hidden, X, y in problems():
        cells = []
        for solver, (settings, wanted) in ways.items():
            settings, rows = {"solver": solver} | settings, len(X)
            if settings.get("batch_size") == 1:
                rows = min(rows, ROWS_ONE_BY_ONE)
                settings["max_iter"] = VISITS // rows
            elif rows > MANY_ROWS:
                settings["max_iter"] = FEW_ITERATIONS
            fitted = fits(name, hidden, X[:rows], y[:rows], settings)
            repeats = 2 if rows > MANY_ROWS or wanted > 9 else 5
            seconds = race({way: fit for way, (fit, _) in fitted.items()}, repeats, process_time)
            each = {way: min(times) / fitted[way][1].n_iter_ for way, times in seconds.items()}
            assert fitted["deltarule"][1].n_iter_ == fitted["scikit-learn"][1].n_iter_ or solver == "lbfgs"
            times = each["scikit-learn"] / each["deltarule"]
            cells.append(f"{each['deltarule'] * 1e3:.3g} ms, {times:.{0 if wanted > 9 else 1}f} ×")
        lines.append([title, *cells])
    return [*lines, ["aimed at", *(f"{wanted} ×" for _, wanted in ways.values())]]


def scores():
    """Return lines: scores on held-out rows over the seeds, and how far the weights lie apart."""
    lines = []
    for title, name, hidden, X, y in problems():
        if title.startswith("2,000"):
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


def batches():
    """Return the first part of the section of RESULTS.md: how fast mini-batches and lbfgs are."""
    return [
        "## scikit-learn's interface",
        f"{machine()}; {versions('deltarule', 'numpy', 'scipy', 'scikit-learn')}; one thread each; "
        f"{ours.engines.in_use()}",
        "`fit` of MLPRegressor and MLPClassifier, ReLU, mini-batches of 200 and lbfgs: processor time of an iteration, "
        "and how many times scikit-learn takes it:",
        table(["problem", *BATCHES], speeds(BATCHES)),
    ]


def single_rows():
    """Return the second part: how fast rows one by one are."""
    return [
        f"The same with batch_size=1, {VISITS:,} visits of at most {ROWS_ONE_BY_ONE:,} rows:",
        table(["problem", *SINGLE_ROWS], speeds(SINGLE_ROWS)),
    ]


def good():
    """Return the third part: how good both are."""
    return [
        f"R² or accuracy on held-out rows, mean and standard deviation over {len(SEEDS)} seeds, and the largest "
        "difference of any weight between both (lbfgs takes other steps):",
        table(["problem", "solver", "deltarule", "scikit-learn", "weights apart"], scores()),
    ]


PARTS = {"batches": batches, "single_rows": single_rows, "good": good}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=PARTS, help="some of the tables; all unless given")
    asked = parser.parse_args().part
    warnings.simplefilter("ignore")
    print("\n\n".join(line for part in ([asked] if asked else PARTS) for line in PARTS[part]()))
