"""Rprop against FANN's and L-BFGS against R's nnet: the error after as many passes, and what a pass takes."""

import ctypes
from pathlib import Path
from statistics import median
from time import process_time
from unittest.mock import patch

import numpy as np
from method_peers import fann, fann_of, fann_weights, nnet
from proben1 import read
from sidebyside import table

import deltarule as dr
from deltarule.stopping import MaxPasses

PASSES = 200
"""Passes after which training losses are compared."""
WAYS = {
    "L-BFGS": dr.methods.LBFGS(),
    "BFGS (200 pairs)": dr.methods.get("bfgs"),
    "L-BFGS with projection": dr.methods.LBFGS(projection=True),
}
PROBLEMS = (("diabetes1", 32), ("thyroid1", 16), ("building1", 16))


def report(folder: Path, seeds: int) -> str:
    """Return the table."""
    rows = []
    for name, hidden in PROBLEMS:
        X, T = read(folder / f"{name}.dt")[0]
        network = dr.Network((X.shape[1], hidden, T.shape[1]))
        objective = dr.Objective(network, "squared_error", X, T)
        rows += [_against_fann(name, objective, seeds), *_against_nnet(name, hidden, X, T, seeds)]
    header = ["problem", "method", f"error after {PASSES} passes", "the peer's", "µs a pass", "the peer's", "ratio"]
    about = (
        "## Rprop against FANN, L-BFGS against R's nnet\n\nTraining rows of Proben1, mean squared error a row and "
        f"output, median of {seeds} seeds, processor time. Rprop starts from the same weights as FANN's. An "
        "iteration of nnet is counted as two passes, one for its loss and one for its gradient; where it tries several "
        "steps it takes more."
    )
    return f"{about}\n\n" + table(header, [row for row in rows if row])


def _against_fann(name: str, objective: dr.Objective, seeds: int) -> list[str] | None:
    if fann() is None:
        return None
    network, (X, T, _) = objective.network, objective.rows
    scale = 2 / network.n_out
    errors, theirs, seconds, their_seconds = [], [], [], []
    pointers = [np.ascontiguousarray(A).ctypes.data_as(ctypes.c_void_p) for A in (X, T)]
    for seed in range(seeds):
        w = network.initial_weights(seed)
        with patch("deltarule.history.perf_counter", process_time):
            run = dr.train(objective, w, "rprop", [MaxPasses(PASSES + 1)])
        errors.append(scale * run.loss)
        seconds.append(run.history[-1].seconds / (PASSES + 1))
        net = fann_of(network, w)
        rows = ctypes.c_void_p(fann().fann_rows(*pointers, len(X), network.n_in, network.n_out))
        begin = process_time()
        for _ in range(PASSES):
            fann().fann_rprop_epoch(net, rows)
        their_seconds.append((process_time() - begin) / PASSES)
        theirs.append(scale * objective.value(fann_weights(network, net)))
    return _row(name, "Rprop, FANN", errors, theirs, seconds, their_seconds)


def _against_nnet(name: str, hidden: int, X, T, seeds: int) -> list[list[str]]:
    found = nnet(
        f"""
        for (seed in 1:{seeds}) {{
          set.seed(seed); begin <- proc.time()[["user.self"]]
          m <- nnet(x, t, size={hidden}, linout=TRUE, abstol=0, reltol=0, maxit={PASSES // 2}, trace=FALSE,
                    MaxNWts=100000)
          cat(proc.time()[["user.self"]] - begin, m$value, "\\n")
        }}""",
        x=X,
        t=T,
    )
    if found is None:
        return []
    their_seconds, values = np.array(found).reshape(seeds, 2).T
    network = dr.Network((X.shape[1], hidden, T.shape[1]), ("logistic", "identity"))
    objective = dr.Objective(network, "squared_error", X, T)
    ranges, rows = np.column_stack([X.min(axis=0), X.max(axis=0)]), []
    for title, method in WAYS.items():
        errors, seconds = [], []
        for seed in range(seeds):
            w = network.initial_weights(seed, input_ranges=ranges)
            with patch("deltarule.history.perf_counter", process_time):
                run = dr.train(objective, w, method, [MaxPasses(PASSES)])
            errors.append(2 * run.loss / network.n_out)
            seconds.append(run.history[-1].seconds / run.history[-1].passes)
        rows.append(_row(name, f"{title}, nnet", errors, values / T.size, seconds, their_seconds / PASSES))
    return rows


def _row(name: str, method: str, errors, theirs, seconds, their_seconds) -> list[str]:
    mine, other = 1e6 * median(seconds), 1e6 * median(their_seconds)
    found = [f"{median(errors):.5f}", f"{median(theirs):.5f}", f"{mine:.0f}", f"{other:.0f}", f"{other / mine:.1f} ×"]
    return [name, method, *found]
