"""`method="auto"` on Proben1 against peers tuned on the validation part: test errors and seconds.

    python benchmarks/auto.py FOLDER [problem ...] [--seeds 10] [--peers lbfgs adam torch fann nnet]

One hidden layer of 16 tanh neurons, the given training, validation and test parts, classification. Of each peer the
setting with the smallest validation error is taken, its seconds are those of all its settings: processor time on one
thread, R's included.
"""

# ruff: noqa: E402

import argparse
import ctypes
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from statistics import mean, stdev

from sidebyside import machine, one_thread, table, versions

one_thread()

import numpy as np
from method_peers import fann, fann_of, fann_weights, nnet
from proben1 import read

import deltarule as dr

NAMES = ("cancer1", "card1", "diabetes1", "thyroid1")
PARTS = ("train", "validation", "test")


def auto(parts, seed: int) -> float:
    """Return the test error in percent of the default, told the hidden layer and the parts."""
    X = np.concatenate([part[0] for part in parts])
    columns = {f"x{i}": X[:, i] for i in range(X.shape[1])}
    columns["class"] = np.array([f"c{k}" for k in np.concatenate([part[1] for part in parts]).argmax(axis=1)])
    columns["part"] = np.repeat(PARTS, [len(part[0]) for part in parts])
    model = dr.fit(columns, "class", method="auto", hidden=(16,), split_by="column:part", seed=seed)
    return 100 * (1 - model.training.scores["test"]["accuracy"])


def _tuned(settings, parts, fit) -> float:
    """Return the test error of the setting with the smallest validation error."""
    _, (X, T), (X_test, T_test) = parts
    found = []
    for setting in settings:
        predict = fit(setting)
        found.append((np.mean(predict(X) != T.argmax(axis=1)), 100 * np.mean(predict(X_test) != T_test.argmax(axis=1))))
    return float(min(found)[1])


def _scaled(parts):
    centre, spread = parts[0][0].mean(axis=0), parts[0][0].std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    return [((X - centre) / spread, T) for X, T in parts]


def sklearn_lbfgs(parts, seed: int) -> float:
    """scikit-learn's lbfgs over four penalties."""
    from sklearn.neural_network import MLPClassifier

    parts = _scaled(parts)

    def fit(alpha):
        made = MLPClassifier((16,), "tanh", solver="lbfgs", alpha=alpha, max_iter=500, random_state=seed)
        return made.fit(parts[0][0], parts[0][1].argmax(axis=1)).predict

    return _tuned((0.01, 0.1, 1.0, 10.0), parts, fit)


def sklearn_adam(parts, seed: int) -> float:
    """scikit-learn's Adam over three penalties."""
    from sklearn.neural_network import MLPClassifier

    parts = _scaled(parts)

    def fit(alpha):
        made = MLPClassifier((16,), "tanh", alpha=alpha, max_iter=200, random_state=seed)
        return made.fit(parts[0][0], parts[0][1].argmax(axis=1)).predict

    return _tuned((1e-4, 0.01, 1.0), parts, fit)


def torch_adam(parts, seed: int) -> float:
    """PyTorch's Adam in mini-batches of 32, stopped by the validation loss, over two rates."""
    import torch

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    parts = [(torch.tensor(X), torch.tensor(T.argmax(axis=1))) for X, T in _scaled(parts)]
    (X, t), (X_held, t_held), _ = parts

    def fit(rate):
        model = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 16), torch.nn.Tanh(), torch.nn.Linear(16, int(t.max()) + 1)
        ).double()
        method = torch.optim.Adam(model.parameters(), lr=rate)
        best, kept, fails = float("inf"), None, 0
        for _ in range(200):
            for rows in torch.randperm(len(X)).split(32):
                method.zero_grad()
                torch.nn.functional.cross_entropy(model(X[rows]), t[rows]).backward()
                method.step()
            with torch.no_grad():
                loss = float(torch.nn.functional.cross_entropy(model(X_held), t_held))
            fails += 1
            if loss < best:
                best, kept, fails = loss, {k: v.clone() for k, v in model.state_dict().items()}, 0
            if fails == 20:
                break
        model.load_state_dict(kept)
        return lambda A: model(torch.as_tensor(A)).argmax(dim=1).numpy()

    numpy_parts = [(X.numpy(), np.eye(int(t.max()) + 1)[t.numpy()]) for X, t in parts]
    return _tuned((1e-3, 1e-2), numpy_parts, fit)


def fann_rprop(parts, seed: int) -> float | None:
    """FANN's RPROP with linear outputs, the weights at the smallest validation error kept, over two initial ranges."""
    if fann() is None:
        return None
    parts = _scaled(parts)
    (X, T), (X_held, T_held), _ = parts
    network = dr.Network((X.shape[1], 16, T.shape[1]))
    pointers = [np.ascontiguousarray(A).ctypes.data_as(ctypes.c_void_p) for A in (X, T)]

    def fit(reach):
        net = fann_of(network, np.random.default_rng(seed).uniform(-reach, reach, network.n_weights))
        rows = ctypes.c_void_p(fann().fann_rows(*pointers, len(X), network.n_in, network.n_out))
        best, kept, fails = float("inf"), None, 0
        for _ in range(500):
            fann().fann_rprop_epoch(net, rows)
            w = fann_weights(network, net)
            error = float(np.sum((dr.predict(network, w, X_held) - T_held) ** 2))
            fails += 1
            if error < best:
                best, kept, fails = error, w, 0
            if fails == 30:
                break
        return lambda A: dr.predict(network, kept, A).argmax(axis=1)

    return _tuned((0.1, 0.5), parts, fit)


def r_nnet(parts, seed: int) -> float | None:
    """R's nnet over three decays."""
    (X, T), (X_held, T_held), (X_test, T_test) = _scaled(parts)
    found = nnet(
        f"""
        for (decay in c(0.01, 0.1, 1)) {{
          set.seed({seed})
          m <- nnet(x, t, size=16, softmax=TRUE, decay=decay, maxit=300, trace=FALSE, MaxNWts=100000)
          wrong <- function(x, t) mean(max.col(predict(m, x)) != max.col(t))
          cat(wrong(held, theld), wrong(test, ttest), "\\n")
        }}""",
        x=X, t=T, held=X_held, theld=T_held, test=X_test, ttest=T_test,
    )  # fmt: skip
    return None if found is None else 100 * min(np.array(found).reshape(3, 2).tolist())[1]


PEERS = {
    "lbfgs": ("scikit-learn lbfgs, four penalties", sklearn_lbfgs),
    "adam": ("scikit-learn Adam, three penalties", sklearn_adam),
    "torch": ("PyTorch Adam, two rates, validation stopping", torch_adam),
    "fann": ("FANN RPROP, two starts, validation stopping", fann_rprop),
    "nnet": ("R nnet, three decays", r_nnet),
}
MODULES = {"lbfgs": "sklearn.neural_network", "adam": "sklearn.neural_network", "torch": "torch"}


def spent() -> float:
    """Return the seconds of processor time that this process and its children have taken."""
    return sum(os.times()[:4])


def report(folder: Path, names, seeds: int, peers) -> str:
    """Return the table."""
    ways = {'method="auto"': auto} | dict(PEERS[name] for name in peers)
    problems = {name: read(folder / f"{name}.dt") for name in names}
    auto(problems[names[0]], 0)  # imports and compilations are not counted
    for name, module in MODULES.items():
        if name in peers:
            import_module(module)
    if "fann" in peers:
        fann()
    rows = []
    for title, way in ways.items():
        cells, means, total = [], [], 0.0
        for parts in problems.values():
            begin = spent()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                errors = [way(parts, seed) for seed in range(seeds)]
            seconds = spent() - begin
            if None in errors:
                break
            total += seconds
            means.append(mean(errors))
            cells.append(f"{mean(errors):.2f} ± {stdev(errors) if seeds > 1 else 0:.2f} ({seconds / seeds:.2f} s)")
        else:
            rows.append([title, *cells, f"{mean(means):.2f}", f"{total / seeds:.2f} s"])
            print(title, cells, flush=True, file=sys.stderr)
    header = ["test error in % (seconds)", *names, "mean", "seconds together"]
    return (
        "## The default on Proben1\n\n"
        + f"16 tanh neurons, {seeds} seeds, processor time of a fit.\n\n"
        + table(header, rows)
    )


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the .dt files are")
    parser.add_argument("problems", nargs="*", help="the four unless named")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], default=[], help="run these too")
    given = parser.parse_args()
    print(machine() + "; " + versions("deltarule", "numpy", "scikit-learn", "torch") + "\n")
    print(report(given.folder, given.problems or NAMES, given.seeds, given.peers))


if __name__ == "__main__":
    main()
