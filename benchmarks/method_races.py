"""Races of methods on one problem, seed by seed; what they came to can be kept, so that a long race is run in parts."""

import json
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from method_peers import (
    Clock,
    fann,
    fann_rprop,
    nnet,
    scipy_least_squares,
    sklearn_lbfgs,
    torch_lbfgs,
    torch_levenberg_marquardt,
    torch_levenberg_marquardt_full,
)
from method_problems import Problem, start

import deltarule as dr
from deltarule.stopping import Goal, MaxPasses, MaxSeconds


class Way(NamedTuple):
    """A method that is here, or a peer: it trains on a problem from a seed and tells a clock; seconds it may take."""

    run: Any
    limit: float


def ours(problem: Problem, seed: int, clock: Clock, name: str, settings: dict) -> None:
    """Train by a method that is here, and tell the clock from the history."""
    objective = dr.Objective(problem.network, "squared_error", problem.X, problem.T)
    stop = [Goal(problem.goals[-1] / 2), MaxSeconds(clock.limit), MaxPasses(min(clock.max_passes, 1e12))]
    with patch("deltarule.history.perf_counter", process_time):
        run = dr.train(objective, start(problem, seed), dr.methods.get(name, **settings), stop)
    for goal in problem.goals:
        first = next((record for record in run.history if 2 * record.loss <= goal), None)
        if first is not None:
            clock.reached[goal] = (first.seconds, first.passes)


def mine(limit: float, name: str, **settings: Any) -> Way:
    """Return a method that is here as a way."""
    return Way(partial(ours, name=name, settings=settings), limit)


def peer(limit: float, function: Any, own_start: bool) -> Way:
    """Return a peer as a way: from its own random weights, or from ours."""

    def run(problem: Problem, seed: int, clock: Clock) -> None:
        function(problem.network, problem.X, problem.T, seed if own_start else start(problem, seed), clock)

    return Way(run, limit)


def large() -> dict[str, Way]:
    """Return who takes part in the races on many rows."""
    return {
        "Levenberg-Marquardt": mine(30, "lm"),
        "Levenberg-Marquardt without projection": mine(30, "lm", projection=False),
        "L-BFGS": mine(4, "lbfgs"),
        "L-BFGS with projection": mine(4, "lbfgs", projection=True),
        "conjugate gradient": mine(4, "cg"),
        "conjugate gradient with projection": mine(4, "cg", projection=True),
        "scaled conjugate gradient": mine(4, "scg"),
        "scaled conjugate gradient with projection": mine(4, "scg", projection=True),
        "torch-levenberg-marquardt, README's settings": peer(45, torch_levenberg_marquardt, own_start=True),
        "torch-levenberg-marquardt, full batch, float64": peer(8, torch_levenberg_marquardt_full, own_start=True),
        "scipy least_squares, lm": peer(15, scipy_least_squares, own_start=False),
        "torch L-BFGS, strong Wolfe": peer(4, torch_lbfgs, own_start=False),
        "scikit-learn lbfgs": peer(8, sklearn_lbfgs, own_start=True),
    }


def small() -> dict[str, Way]:
    """Return who takes part in the races on a few rows."""
    ways = {
        "Levenberg-Marquardt": mine(2, "lm"),
        "Bayesian regularisation": mine(0.5, "trainbr"),
        "L-BFGS": mine(2, "lbfgs"),
        "L-BFGS with projection": mine(2, "lbfgs", projection=True),
        "conjugate gradient": mine(2, "cg"),
        "conjugate gradient with projection": mine(2, "cg", projection=True),
        "scaled conjugate gradient": mine(2, "scg"),
        "scaled conjugate gradient with projection": mine(2, "scg", projection=True),
        "Rprop": mine(1, "rprop"),
        "newton_cg": mine(2, "newton_cg"),
        "gradient descent, adaptive": mine(0.5, "traingdx"),
        "torch-levenberg-marquardt, full batch": peer(1, torch_levenberg_marquardt_full, own_start=True),
        "torch L-BFGS, strong Wolfe": peer(1, torch_lbfgs, own_start=False),
        "scikit-learn lbfgs": peer(1, sklearn_lbfgs, own_start=True),
    }
    if fann() is not None:
        ways["FANN RPROP"] = peer(0.5, fann_rprop, own_start=False)
    return ways


def race(
    problem: Problem, ways: dict[str, Way], seeds: range, max_passes: float, repeats: int = 1
) -> dict[str, dict[str, Any]]:
    """Return what each way reached, by seed and by goal: [seconds, passes], the best of the repeats.

    The ways take turns, and each of them repeats the same run, so that what else the machine did counts less.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in ways}
    for seed, _, (name, way) in product(seeds, range(repeats), ways.items()):
        clock = Clock(problem.goals, way.limit, max_passes)
        way.run(problem, seed, clock)
        best = found[name].setdefault(str(seed), {})
        for goal, reached in clock.reached.items():
            best[f"{goal:g}"] = min(best.get(f"{goal:g}", reached), reached)
    return found


def keep(path: Path | None, problem: Problem, found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what was found together with what the file holds of earlier seeds, and write both to it."""
    if path is None:
        return found
    known = json.loads(path.read_text()) if path.exists() else {}
    before = known.setdefault(problem.title, {})
    for name, by_seed in found.items():
        before.setdefault(name, {}).update(by_seed)
    path.write_text(json.dumps(known))
    return before


def seconds_table(problem: Problem, found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: seconds to each goal, the median, in brackets how many got there if not all did."""
    rows = []
    for name, by_seed in found.items():
        cells = []
        for goal in problem.goals:
            reached = [one[f"{goal:g}"][0] for one in by_seed.values() if f"{goal:g}" in one]
            middle = median([*reached, *[float("inf")] * (len(by_seed) - len(reached))])
            shown = f"{middle:.3g}" if middle < float("inf") else "—"
            part = f" ({len(reached)} of {len(by_seed)})" if 0 < len(reached) < len(by_seed) else ""
            cells.append(shown + part)
        rows.append([name, *cells])
    return ["seconds to", *(f"{goal:g}" for goal in problem.goals)], rows


def shares_table(problem: Problem, found: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows: milliseconds and passes, medians of those that got there, and how many did."""
    rows = []
    for name, by_seed in found.items():
        cells = []
        for goal in problem.goals:
            reached = [one[f"{goal:g}"] for one in by_seed.values() if f"{goal:g}" in one]
            if reached:
                seconds, passes = (median(part) for part in zip(*reached, strict=True))
                cells.append(f"{1000 * seconds:.2f} ms, {len(reached)} of {len(by_seed)}, {passes:.0f} passes")
            else:
                cells.append(f"0 of {len(by_seed)}")
        rows.append([name, *cells])
    return [problem.title, *(f"MSE {goal:g}" for goal in problem.goals)], rows


def nnet_row(problem: Problem, seeds: int) -> list[list[str]]:
    """Return the row of R's nnet in `shares_table`, or none without R."""
    goals = ", ".join(f"{goal * len(problem.X):g}" for goal in problem.goals)
    found = nnet(
        f"""
        for (goal in c({goals})) for (seed in 1:{seeds}) {{
          begin <- proc.time()[["user.self"]]
          for (again in 1:20) {{
            set.seed(seed)
            m <- nnet(x, t, size=5, linout=TRUE, abstol=goal, reltol=0, maxit=10000, trace=FALSE)
          }}
          cat((proc.time()[["user.self"]] - begin) / 20, m$value, "\\n")
        }}""",
        x=problem.X,
        t=problem.T,
    )
    if found is None:
        return []
    cells = []
    runs = np.array(found).reshape(len(problem.goals), seeds, 2)
    for goal, (seconds, values) in zip(problem.goals, runs.transpose(0, 2, 1), strict=True):
        there = values <= goal * len(problem.X)
        shown = f"{1000 * np.median(seconds[there]):.2f} ms, " if there.any() else ""
        cells.append(f"{shown}{there.sum()} of {seeds}")
    return [["R nnet", *cells]]
