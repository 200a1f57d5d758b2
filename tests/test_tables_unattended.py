"""`deltarule train TABLE --target COLUMN` and nothing else: better than the baseline on tables of many kinds."""

from datetime import date, timedelta

import numpy as np
import pytest
from sklearn import datasets

from commandline import done
from mixtures import homes, write


def bundled(load, target, n_rows=None):
    """One of scikit-learn's tables as columns, with class names where it has some."""
    data = load()
    rows = np.random.default_rng(0).permutation(len(data.data))[:n_rows]
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    columns = {name: data.data[rows, i].tolist() for i, name in enumerate(names)}
    values = data.target[rows]
    named = getattr(data, "target_names", None)
    columns[target] = [str(named[code]) for code in values] if target in ("species", "diagnosis") else values.tolist()
    return columns


def linnerud():
    """Twenty athletes are too few for a test part that says anything: each with eleven more who are much like him."""
    data = datasets.load_linnerud()
    rng = np.random.default_rng(0)
    X = np.repeat(data.data, 12, axis=0) + rng.normal(0, 1, (240, 3)) * data.data.std(axis=0) / 10
    T = np.repeat(data.target, 12, axis=0) + rng.normal(0, 1, (240, 3)) * data.target.std(axis=0) / 10
    names = [*data.feature_names, *data.target_names]
    return {name: column.tolist() for name, column in zip(names, np.hstack([X, T]).T, strict=True)}


def gaps(columns, share, keep, seed=0):
    """The same with cells missing at random in all columns but one."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, cells in columns.items():
        gone = rng.random(len(cells)) < (0 if name == keep else share)
        made[name] = [None if missing else cell for cell, missing in zip(cells, gone, strict=True)]
    return made


def loans(n=600, seed=1):
    """Whether a loan is paid back: categories, dates, booleans, skewed numbers, a column that says nothing."""
    rng = np.random.default_rng(seed)
    income = rng.lognormal(10, 0.5, n).round()
    amount = rng.lognormal(9, 0.6, n).round()
    job = rng.choice(["clerk", "driver", "none", "nurse"], n, p=[0.4, 0.3, 0.1, 0.2])
    owner = rng.random(n) < 0.5
    day = rng.integers(0, 3_000, n)
    certainty = 3 * np.log(income / amount) - 2 * (job == "none") + owner + 0.0005 * (day - 1_500) - 2
    repaid = rng.random(n) < 1 / (1 + np.exp(-certainty))
    signed = [date(2016, 1, 1) + timedelta(days=int(d)) for d in day]
    columns = {"income": income.tolist(), "amount": amount.tolist(), "job": job.tolist(), "owner": owner.tolist()}
    columns |= {"signed": signed, "branch": ["north"] * n, "repaid": np.where(repaid, "yes", "no").tolist()}
    return columns


TABLES = {
    "iris": (lambda: bundled(datasets.load_iris, "species"), ["species"]),
    "wine": (lambda: bundled(datasets.load_wine, "class"), ["class"]),
    "breast cancer": (lambda: bundled(datasets.load_breast_cancer, "diagnosis"), ["diagnosis"]),
    "diabetes": (lambda: bundled(datasets.load_diabetes, "progression"), ["progression"]),
    "digits": (lambda: bundled(datasets.load_digits, "digit", 500), ["digit"]),
    "linnerud, three targets": (linnerud, ["Weight", "Waist", "Pulse"]),
    "wine with a tenth of its cells missing": (
        lambda: gaps(bundled(datasets.load_wine, "class"), 0.1, "class"),
        ["class"],
    ),
    "homes: categories, booleans, dates, gaps": (lambda: homes(400), ["price"]),
    "loans: categories, booleans, dates, skewed": (lambda: gaps(loans(), 0.03, "repaid"), ["repaid"]),
    "fifty rows": (lambda: homes(50), ["price"]),
}
BY_CHANCE = 3.0
"""How many standard errors better than the baseline a held-out accuracy must be, so that it is not luck."""
SMALLER = 0.85
"""Share of the baseline's RMSE that is clearly less: over a quarter of the variance is explained."""


@pytest.mark.parametrize("name", TABLES)
def test_held_out_scores_are_clearly_better_than_the_baseline(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, targets = TABLES[name]
    write(tmp_path / "table.csv", make())
    arguments = [part for target in targets for part in ("--target", target)]
    found = done("train", "table.csv", *arguments, "-o", "m.deltarule", "--json").json
    scores, baseline, n = found["scores"]["test"], found["baseline"], found["rows"]["test"]
    if found["task"] == "regression":
        assert scores["rmse"] < SMALLER * baseline["rmse"] and scores["mae"] < SMALLER * baseline["mae"]
        assert scores["r2"] > 1 - SMALLER**2
    else:
        share = baseline["accuracy"]
        assert scores["accuracy"] > share + BY_CHANCE * (share * (1 - share) / n) ** 0.5
        assert scores["log_loss"] < baseline["log_loss"]
        assert scores["balanced_accuracy"] > baseline["balanced_accuracy"] + 0.1
    predicted = done("predict", "m.deltarule", "table.csv", "--json").json
    assert predicted["rows"] == sum(found["rows"].values()) and list(predicted["predictions"]) == targets
