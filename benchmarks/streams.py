"""Streams, one thread: microseconds a row from a dict against scikit-learn's partial_fit, in one run."""

from sidebyside import machine, one_thread, race, ratio, table, versions

one_thread()

import warnings  # noqa: E402  # after the number of threads is set
from statistics import median  # noqa: E402
from time import process_time  # noqa: E402

import numpy as np  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402

import deltarule as dr  # noqa: E402

FEATURES, HIDDEN = 10, 32
ROWS, FEW = 200, 20
"""Rows of a turn, ours and scikit-learn's, which is slower."""
REPEATS = 100
WANTED = 50
"""How many times as fast as partial_fit learn_one is to be."""


def stream():
    """Return rows as dicts and as an array, and targets."""
    X = np.random.default_rng(1).standard_normal((ROWS, FEATURES)) * 10 + 5
    names = [f"feature {j}" for j in range(FEATURES)]
    return [dict(zip(names, x, strict=True)) for x in X.tolist()], X, (X[:, 0] * X[:, 1]).tolist()


def learning(rows, targets, **settings):
    """Return the model, and a function that learns the rows one by one."""
    model = dr.OnlineRegressor((HIDDEN,), learning_rate=1e-3, **settings)

    def work():
        for x, y in zip(rows, targets, strict=True):
            model.learn_one(x, y)

    return model, work


def ways():
    """Return what is compared, each a function that goes through all rows once."""
    rows, X, targets = stream()
    model, learn_dicts = learning(rows, targets)
    same, _ = learning(rows, targets)
    learn_dicts()
    same.learn_many(rows, targets)
    assert np.array_equal(model.w, same.w)
    settings = {"hidden_layer_sizes": (HIDDEN,), "activation": "tanh", "solver": "sgd", "batch_size": 1}
    theirs = MLPRegressor(**settings, learning_rate_init=1e-3, momentum=0.0, random_state=0)
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), np.array(targets) / np.std(targets)
    theirs.partial_fit(Z[:1], t[:1])

    def partial_fit():
        for i in range(FEW):
            theirs.partial_fit(Z[i : i + 1], t[i : i + 1])

    def predict():
        for i in range(FEW):
            theirs.predict(Z[i : i + 1])

    _, learn_arrays = learning(list(X), targets)
    _, learn_adam = learning(rows, targets, rule="adam")
    _, learn_unscaled = learning(rows, [y / 100 for y in targets], standardize=False)
    _, learn_gaps = learning([dict(list(x.items())[i % 2 :]) for i, x in enumerate(rows)], targets)
    blocks, _ = learning(rows, targets)
    return {
        "partial_fit": partial_fit,
        "learn_one, a dict": learn_dicts,
        "learn_one, a dict, adam": learn_adam,
        "learn_one, a dict, not standardised": learn_unscaled,
        "learn_one, a dict, a feature missing now and then": learn_gaps,
        "learn_one, an array": learn_arrays,
        "learn_many, an array": lambda: blocks.learn_many(X, targets),
        "predict": predict,
        "predict_one, a dict": lambda: [model.predict_one(x) for x in rows],
    }


def report():
    """Return the section of RESULTS.md."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seconds = race(ways(), REPEATS, process_time)
    rows = {name: FEW if name in ("partial_fit", "predict") else ROWS for name in seconds}
    times = {name: [one / rows[name] for one in found] for name, found in seconds.items()}
    lines = []
    for name, found in times.items():
        peer = "predict" if name.startswith("predict") else "partial_fit"
        wanted = f"{WANTED} ×" if name == "learn_one, a dict" else ""
        compared = [f"{ratio(times[peer], found):.0f} ×", wanted] if name != peer else ["", ""]
        lines.append([name, f"{min(found) * 1e6:.1f} µs", f"{median(found) * 1e6:.1f} µs", *compared])
    return "\n\n".join(
        [
            "## Streams, one thread",
            f"A row of {FEATURES} features into a {FEATURES}-{HIDDEN}-1 network, tanh, squared error. Ours "
            "includes the running standardisation of row and target; scikit-learn gets rows that were standardised "
            "before. Processor time; the ratio is the median over repeats.",
            f"{machine()}; {versions('deltarule', 'numpy', 'scikit-learn')}; {dr.engines.in_use()}",
            table(["", "a row, least", "median", "scikit-learn's time / this", "aimed at"], lines),
        ]
    )


if __name__ == "__main__":
    print(report())
