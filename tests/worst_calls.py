"""Commands and calls with the wrong things in the wrong places."""

import io
import warnings
from contextlib import redirect_stdout

import numpy as np

import deltarule as dr
from commandline import run
from mixtures import waves, write
from worst import LONGEST_MESSAGE, VALUES, refused_on_purpose

WORDS = [
    "",
    "0",
    "-1",
    "1",
    "2",
    "1e3",
    "nan",
    "inf",
    "-inf",
    "x",
    "y",
    "kind",
    "y,y",
    "x,,y",
    ",",
    "t.csv",
    "m",
    "m.deltarule",
    ".",
    "/dev/null",
    "none/x",
    "tanh",
    "relu,relu",
    "softmax",
    "huber(1)",
    "quantile(2)",
    "eval(1)",
    "lm",
    "online",
    "cg=cg",
    "a=b",
    "=",
    "x=1",
    "beta=fletcher_reeves",
    "order",
    "column:kind",
    "column:",
    "random",
    "70,15,15",
    "0,0,0",
    "1/1/1",
    "regression",
    "classification",
    "auto",
    "--",
    "-",
    "\x1b[2J",
    "\udcff",
    "ä",
    "9" * 400,
    "1" * 50,
    "[1]",
    "{}",
    "null",
    "true",
    "'",
    '"',
]
OPTIONS = [
    "-t",
    "--target",
    "-m",
    "--set",
    "--l2",
    "--hidden",
    "--activation",
    "--loss",
    "--scaling",
    "--split",
    "--fractions",
    "--seed",
    "--inputs",
    "--exclude",
    "--task",
    "--epochs",
    "--max-seconds",
    "--restarts",
    "--ensemble",
    "--json",
    "--quiet",
    "--query",
    "--row",
    "--weight",
    "--proba",
    "--std",
    "--no-error-bars",
    "--error-bars",
    "--seeds",
    "--max-passes",
    "--goal",
    "--nothing",
    "--member",
    "--engine",
    "--help",
]
COMMANDS = {
    "train": ["t.csv", "-t", "y"],
    "compare": ["t.csv", "-t", "y"],
    "predict": ["m.deltarule", "t.csv"],
    "evaluate": ["m.deltarule", "t.csv"],
    "explain": ["m.deltarule", "t.csv", "--row", "1"],
    "info": ["m.deltarule"],
    "methods": [],
    "nothing": [],
}
"""Commands with arguments that work; explain and the others must be told of t.csv and m.deltarule in this folder."""
BOUNDED = {
    "train": ["--epochs", "2", "--hidden", "2", "--l2", "0", "--quiet"],
    "compare": ["--hidden", "2", "--quiet", "--max-passes", "3", "--seeds", "1", "-m", "gd"],
}
SLOW = {"--restarts", "--ensemble", "--seeds", "--max-passes", "--epochs"}
"""Options whose large values are work that was asked for."""
OK_STATUSES = (0, 1, 2)


def prepare(folder):
    """Write the table and the model that the commands are about."""
    x = waves()["x"]
    write(folder / "t.csv", {"x": x, "kind": ["a" if value > 0 else "b" for value in x], "y": x**2})
    dr.fit(folder / "t.csv", "y", hidden=2, max_steps=2, l2=0.1).save(folder / "m.deltarule")


def hostile_command(rng):
    """Return the words of a command line."""
    name = list(COMMANDS)[rng.integers(len(COMMANDS))]
    words = [*COMMANDS[name]]
    for _ in range(int(rng.integers(0, 4))):
        kind = rng.integers(4)
        if kind == 0 and words:
            words[rng.integers(len(words))] = WORDS[rng.integers(len(WORDS))]
        elif kind == 1 and words:
            del words[rng.integers(len(words))]
        else:
            option = OPTIONS[rng.integers(len(OPTIONS))]
            value = WORDS[rng.integers(6)] if option in SLOW else WORDS[rng.integers(len(WORDS))]
            words += [option, value][: int(rng.integers(1, 3))]
    return [name, *BOUNDED.get(name, []), *words]


def check_command(words):
    """Run a command in the folder of t.csv and m.deltarule; return whether it did something."""
    ended = run(*words)
    assert ended.status in OK_STATUSES, (words, ended)
    assert "Traceback" not in ended.err and len(ended.err) < 20 * LONGEST_MESSAGE, (words, ended)
    if ended.status:
        assert ended.err.count("Error: ") == 1 and len(ended.err.splitlines()[-1]) < LONGEST_MESSAGE, (words, ended)
    assert all(letter.isprintable() or letter in "\n\t" for letter in ended.out + ended.err), (words, ended)
    return ended.status == 0


SOME = [
    *VALUES[:26],
    np.nan,
    np.inf,
    -np.inf,
    (),
    (1,),
    (2, 2),
    (0,),
    (2, "a"),
    object,
    np.float64(0.5),
    np.arange(3),
    len,
    b"x",
]
X = np.random.default_rng(0).normal(size=(24, 2))
TARGETS = {"regressor": X[:, 0], "classifier": np.array(["a", "b"])[(X[:, 0] > 0).astype(int)]}
ESTIMATORS = {"regressor": dr.MLPRegressor, "classifier": dr.MLPClassifier}
CHEAP = {"hidden_layer_sizes": (2,), "max_iter": 2}
ASKED_FOR = {"max_iter", "n_restarts", "n_members", "restarts", "ensemble", "max_fun", "n_iter_no_change"}
"""Settings whose large values are work that was asked for."""


def hostile_estimator(rng):
    """Return the kind of an estimator and parameters of which one or two are wrong, or odd."""
    kind = list(ESTIMATORS)[rng.integers(2)]
    names = [name for name in ESTIMATORS[kind]().get_params() if name not in ASKED_FOR]
    chosen = {names[rng.integers(len(names))]: SOME[rng.integers(len(SOME))] for _ in range(int(rng.integers(1, 3)))}
    return kind, {**CHEAP, **chosen}


def check_estimator(kind, parameters):
    """Fit an estimator; return whether it accepted its parameters."""
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # two steps are few, a batch of a million rows is large
            predicted = ESTIMATORS[kind](**parameters).fit(X, TARGETS[kind]).predict(X)
    except (ValueError, TypeError, RuntimeError) as error:
        assert refused_on_purpose(error), (kind, parameters, error)
        return False
    assert len(predicted) == len(X) and (predicted.dtype.kind != "f" or np.isfinite(predicted).all())
    return True


def hostile_fit(rng):
    """Return settings of `fit` of which one or two are wrong, or odd."""
    names = [
        "target",
        "inputs",
        "exclude",
        "task",
        "hidden",
        "activation",
        "loss",
        "method",
        "settings",
        "l2",
        "scaling",
        "split_by",
        "fractions",
        "seed",
        "max_seconds",
        "error_bars",
        "query",
    ]
    chosen = {names[rng.integers(len(names))]: SOME[rng.integers(len(SOME))] for _ in range(int(rng.integers(1, 3)))}
    return {"target": "y", "hidden": 2, "max_steps": 2, "l2": 0.1, **chosen}


def check_fit(settings):
    """Fit a model; return whether it accepted its settings."""
    try:
        model = dr.fit({"x": X[:, 0], "z": X[:, 1], "y": X[:, 0] ** 2}, **settings)
    except dr.DeltaruleError as error:
        assert refused_on_purpose(error), (settings, error)
        return False
    assert np.isfinite(model.w).all()
    return True
