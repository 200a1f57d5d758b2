"""MLPRegressor and MLPClassifier against scikit-learn's of that name: same data, same settings, in one run.

Both get one thread, for that is what each of them uses in a grid search over all processors.
"""

import os
import warnings

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
WAYS = {
    "adam": ({"batch_size": 200, "max_iter": 20}, 4),
    "sgd": ({"batch_size": 200, "max_iter": 20}, 4),
    "lbfgs": ({"max_iter": 40}, 3),
    "row by row": ({"solver": "sgd", "batch_size": 1, "momentum": 0.0}, 250),
    "with momentum": ({"solver": "sgd", "batch_size": 1}, 250),
}
"""Solvers with their settings, and how many times as fast as scikit-learn they are to be."""
ROWS_ONE_BY_ONE, VISITS = 5000, 20_000
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


def speeds():
    """Return a line for each problem: how many times as fast each way is, an iteration."""
    lines = []
    for title, name, hidden, X, y in problems():
        cells = []
        for solver, (settings, wanted) in WAYS.items():
            settings, rows = {"solver": solver} | settings, len(X)
            if settings.get("batch_size") == 1:
                rows = min(rows, ROWS_ONE_BY_ONE)
                settings["max_iter"] = VISITS // rows
            ways = fits(name, hidden, X[:rows], y[:rows], settings)
            seconds = race({way: fit for way, (fit, _) in ways.items()}, 2 if rows > 50_000 or wanted > 9 else 5)
            each = {way: min(times) / ways[way][1].n_iter_ for way, times in seconds.items()}
            assert ways["deltarule"][1].n_iter_ == ways["scikit-learn"][1].n_iter_ or solver == "lbfgs"
            cells.append(f"{each['scikit-learn'] / each['deltarule']:.{0 if wanted > 9 else 1}f} ×")
        lines.append([title, *cells])
    return [*lines, ["aimed at", *(f"{wanted} ×" for _, wanted in WAYS.values())]]


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


def report():
    """Return the section of RESULTS.md."""
    return "\n\n".join(
        [
            "## scikit-learn's interface",
            f"{machine()}; {versions('deltarule', 'numpy', 'scipy', 'scikit-learn')}; one thread each; "
            f"{ours.engines.in_use()}",
            "`fit` of MLPRegressor and MLPClassifier, ReLU, time of an iteration against scikit-learn's: mini-batches "
            f"of 200, lbfgs, and {VISITS:,} visits of rows one by one.",
            table(["problem", *WAYS], speeds()),
            f"R² or accuracy on held-out rows, mean and standard deviation over {len(SEEDS)} seeds, and the largest "
            "difference of any weight between both (lbfgs takes other steps):",
            table(["problem", "solver", "deltarule", "scikit-learn", "weights apart"], scores()),
        ]
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(report())
