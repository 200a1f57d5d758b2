"""Write the golden files of this version: small models of every kind, with what they predict.

python tools/golden_models.py

They go to tests/golden/VERSION, where VERSION is that of the layout of model files, and stay there for good: every
later version must load them and predict the same. A folder that is there already is not written again: a change of the
layout needs a new version number in `deltarule.modelfile.FORMAT`, and a reader for the old one.
"""

import json
import sys
from pathlib import Path

import numpy as np

import deltarule as dr
from deltarule.modelfile import FORMAT

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
ROWS, SHOWN = 60, 8
"""Rows to train on, and how many of them are recorded."""


def columns():
    """Return columns of every kind, some with gaps, as JSON values."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=ROWS).round(3)
    made = {
        "number": [None if i % 11 == 5 else value for i, value in enumerate(x.tolist())],
        "whole": rng.integers(-5, 5, ROWS).tolist(),
        "town": [None if i % 13 == 6 else ["Bonn", "Köln", "Trier"][i % 3] for i in range(ROWS)],
        "open": (rng.random(ROWS) < 0.5).tolist(),
        "day": [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(ROWS)],
    }
    targets = {
        "price": (3 * x + rng.normal(size=ROWS) / 9).round(3).tolist(),
        "count": rng.integers(0, 9, ROWS).tolist(),
        "kind": [["alba", "lutea", "rubra"][i % 3] for i in range(ROWS)],
        "grade": [1 + i % 4 for i in range(ROWS)],
        "up": (x > 0).tolist(),
        "late": [i % 2 == 0 for i in range(ROWS)],
    }
    return made, targets


KINDS = {
    "regression": ("price", {"hidden": 2}),
    "linear": ("price", {"hidden": ()}),
    "two_targets": (["price", "count"], {"hidden": 2, "task": "regression"}),
    "quantile": ("price", {"hidden": 2, "loss": "quantile(0.9)", "activation": "gelu", "scaling": "robust"}),
    "poisson": ("count", {"hidden": 2, "task": "regression", "loss": "poisson", "scaling": "minmax"}),
    "deep": ("price", {"hidden": (3, 2, 2), "activation": ("relu", "logistic", "softsign"), "error_bars": False}),
    "binary": ("up", {"hidden": 2}),
    "multiclass": ("kind", {"hidden": 2}),
    "class_numbers": ("grade", {"hidden": 2, "scaling": "none", "exclude": ["day"]}),
    "squared_classes": ("kind", {"hidden": 2, "loss": "squared_error"}),
    "multilabel": (["up", "late"], {"hidden": 2}),
    "ensemble": ("price", {"hidden": 2, "ensemble": 3, "restarts": 2}),
    "ensemble_of_classes": ("kind", {"hidden": 2, "ensemble": 2}),
}
"""The models: target and settings of `fit`."""


def recorded(model, table):
    """Return what a model answers, as JSON values."""
    found = {"predict": model.predict(table).tolist()}
    if model.task != "regression":
        found["proba"] = model.predict_proba(table).tolist()
    if model.error_bars is not None:
        found["std"] = model.predict(table, return_std=True)[1].tolist()
    return found


def main():
    """Write a model and its answers for each kind."""
    folder = GOLDEN / str(FORMAT.version)
    if folder.exists():
        sys.exit(f"{folder} is there already, and stays as it is.")
    folder.mkdir(parents=True)
    made, targets = columns()
    table = {name: cells[:SHOWN] for name, cells in made.items()}
    for name, (target, settings) in KINDS.items():
        named = [target] if isinstance(target, str) else target
        whole = made | {key: targets[key] for key in named}
        model = dr.fit(whole, target, max_steps=12, l2=0.01, seed=1, method="conjugate_gradient", **settings)
        model.save(folder / f"{name}.deltarule")
        content = {"table": table, **recorded(model, table)}
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(KINDS)} models written to {folder}")


if __name__ == "__main__":
    main()
