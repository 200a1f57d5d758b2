"""Rprop against FANN's and L-BFGS against R's nnet: the error after as many passes, and what a pass takes."""

import ctypes
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
from method_peers import fann, fann_of, fann_weights, nnet
from proben1 import read
from sidebyside import table

import deltarule as dr
from deltarule.stopping import MaxPasses

PASSES = 200
"""Passes after which training losses are compared."""
REPEATS = 5
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
        f"output, median of {seeds} seeds, processor time, the best "
        f"of {REPEATS} repeats of each run. Rprop starts from the same weights as FANN's. An "
        "iteration of nnet is counted as two passes, one for its loss and one for its gradient; where it tries several "
        "steps it takes more."
    )
    return f"{about}\n\n" + table(header, [row for row in rows if row])


def _trained(objective: dr.Objective, w, method, passes: int):
    """Return a run of so many passes, and its seconds of processor time for each."""
    begin = process_time()
    run = dr.train(objective, w, method, [MaxPasses(passes)])
    return run, (process_time() - begin) / run.history[-1].passes


def _against_fann(name: str, objective: dr.Objective, seeds: int) -> list[str] | None:
    if fann() is None:
        return None
    network, (X, T, _) = objective.network, objective.rows
    scale = 2 / network.n_out
    errors, theirs, seconds, their_seconds = [], [], [], []
    pointers = [np.ascontiguousarray(A).ctypes.data_as(ctypes.c_void_p) for A in (X, T)]
    for seed in range(seeds):
        w = network.initial_weights(seed)
        mine, other = [], []
        for _ in range(REPEATS):
            run, taken = _trained(objective, w, "rprop", PASSES + 1)
            mine.append(taken)
            net = fann_of(network, w)
            rows = ctypes.c_void_p(fann().fann_rows(*pointers, len(X), network.n_in, network.n_out))
            begin = process_time()
            for _ in range(PASSES):
                fann().fann_rprop_epoch(net, rows)
            other.append((process_time() - begin) / PASSES)
        errors.append(scale * run.loss)
        seconds.append(min(mine))
        their_seconds.append(min(other))
        theirs.append(scale * objective.value(fann_weights(network, net)))
    return _row(name, "Rprop, FANN", errors, theirs, seconds, their_seconds)


def _against_nnet(name: str, hidden: int, X, T, seeds: int) -> list[list[str]]:
    network = dr.Network((X.shape[1], hidden, T.shape[1]), ("logistic", "identity"))
    objective = dr.Objective(network, "squared_error", X, T)
    ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
    starts = [network.initial_weights(seed, input_ranges=ranges) for seed in range(seeds)]
    theirs, runs, seconds = [], {}, {title: [] for title in WAYS}
    for _ in range(REPEATS):  # in turn, so that what else the machine did counts less
        found = _nnet(hidden, X, T, seeds)
        if found is None:
            return []
        theirs.append(found)
        for title, method in WAYS.items():
            made = [_trained(objective, w, method, PASSES) for w in starts]
            runs[title] = [2 * run.loss / network.n_out for run, _ in made]
            seconds[title].append([taken for _, taken in made])
    their_seconds, values = np.min(theirs, axis=0)
    return [
        _row(name, f"{title}, nnet", runs[title], values / T.size, np.min(times, axis=0), their_seconds / PASSES)
        for title, times in seconds.items()
    ]


def _nnet(hidden: int, X, T, seeds: int):
    """Return seconds and errors (2, seeds) of R's nnet, or None without R."""
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
    return None if found is None else np.array(found).reshape(seeds, 2).T


def _row(name: str, method: str, errors, theirs, seconds, their_seconds) -> list[str]:
    mine, other = 1e6 * median(seconds), 1e6 * median(their_seconds)
    found = [f"{median(errors):.5f}", f"{median(theirs):.5f}", f"{mine:.0f}", f"{other:.0f}", f"{other / mine:.1f} ×"]
    return [name, method, *found]
