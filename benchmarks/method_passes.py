"""Rprop against FANN's and L-BFGS against R's nnet: the error after as many passes, and what a pass takes."""

import ctypes
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from method_peers import fann, fann_of, fann_weights, nnet
from proben1 import read
from sidebyside import table

import deltarule as dr
from deltarule.stopping import MaxPasses

PASSES = 200
"""Passes after which training losses are compared."""
PROBLEMS = (("diabetes1", 32), ("thyroid1", 16), ("building1", 16))


def report(folder: Path, seeds: int) -> str:
    """Return the table."""
    rows = []
    for name, hidden in PROBLEMS:
        X, T = read(folder / f"{name}.dt")[0]
        network = dr.Network((X.shape[1], hidden, T.shape[1]))
        objective = dr.Objective(network, "squared_error", X, T)
        rows += [_against_fann(name, objective, seeds), _against_nnet(name, hidden, X, T, seeds)]
    header = ["problem", "method", f"error after {PASSES} passes", "the peer's", "µs a pass", "the peer's", "ratio"]
    about = (
        "## Rprop against FANN, L-BFGS against R's nnet\n\nTraining rows of Proben1, mean squared error a row and "
        f"output, median of {seeds} seeds. Rprop starts from the same weights as FANN's. An iteration of nnet is "
        "counted as one pass, though it takes at least two (its loss and its gradient are computed apart)."
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
        run = dr.train(objective, w, "rprop", [MaxPasses(PASSES + 1)])
        errors.append(scale * run.loss)
        seconds.append(run.history[-1].seconds / (PASSES + 1))
        net = fann_of(network, w)
        rows = ctypes.c_void_p(fann().fann_rows(*pointers, len(X), network.n_in, network.n_out))
        begin = perf_counter()
        for _ in range(PASSES):
            fann().fann_rprop_epoch(net, rows)
        their_seconds.append((perf_counter() - begin) / PASSES)
        theirs.append(scale * objective.value(fann_weights(network, net)))
    return _row(name, "Rprop, FANN", errors, theirs, seconds, their_seconds)


def _against_nnet(name: str, hidden: int, X, T, seeds: int) -> list[str] | None:
    found = nnet(
        f"""
        for (seed in 1:{seeds}) {{
          set.seed(seed); begin <- Sys.time()
          m <- nnet(x, t, size={hidden}, linout=TRUE, abstol=0, reltol=0, maxit={PASSES}, trace=FALSE, MaxNWts=100000)
          cat(as.numeric(difftime(Sys.time(), begin, units="secs")), m$value, "\\n")
        }}""",
        x=X,
        t=T,
    )
    if found is None:
        return None
    their_seconds, values = np.array(found).reshape(seeds, 2).T
    network = dr.Network((X.shape[1], hidden, T.shape[1]), ("logistic", "identity"))
    objective = dr.Objective(network, "squared_error", X, T)
    errors, seconds = [], []
    for seed in range(seeds):
        ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
        run = dr.train(objective, network.initial_weights(seed, input_ranges=ranges), "lbfgs", [MaxPasses(PASSES)])
        errors.append(2 * run.loss / network.n_out)
        seconds.append(run.history[-1].seconds / run.history[-1].passes)
    return _row(name, "L-BFGS, nnet", errors, values / T.size, seconds, their_seconds / PASSES)


def _row(name: str, method: str, errors, theirs, seconds, their_seconds) -> list[str]:
    mine, other = 1e6 * median(seconds), 1e6 * median(their_seconds)
    found = [f"{median(errors):.5f}", f"{median(theirs):.5f}", f"{mine:.0f}", f"{other:.0f}", f"{other / mine:.1f} ×"]
    return [name, method, *found]
