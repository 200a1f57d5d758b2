"""The methods against those of other packages: seconds and passes to a goal, on the same rows.

    python benchmarks/methods.py [sinc friedman product sin parity passes] [--seeds 0 5] [--kept FILE]
        [--proben1 FOLDER]

Mean squared errors throughout. Seconds are those of one processor, and stand still while an error is computed for the
table alone. A long race can be run in parts: with --kept, the tables hold what earlier parts have left in the file too.
"""

# ruff: noqa: E402
from sidebyside import machine, one_thread, table, versions

one_thread()

import argparse
from pathlib import Path

import method_passes
import method_problems
from method_races import keep, large, nnet_row, race, seconds_table, shares_table, small

LARGE, SMALL, PASSES = ("sinc", "friedman", "product"), ("sin", "parity"), "passes"
SEEDS = {"sinc": 5, "friedman": 3, "product": 3, "sin": 30, "parity": 30}
MAX_PASSES = 10_000
REPEATS = 3


def report_large(name: str, seeds: range, kept: Path | None) -> str:
    """Return a table of seconds to each goal."""
    problem, ways = getattr(method_problems, name)(), large()
    race(problem, {title: way._replace(limit=0.01) for title, way in ways.items()}, range(1), 1)  # first calls
    found = keep(kept, problem, race(problem, ways, seeds, float("inf")))
    n = max(len(by_seed) for by_seed in found.values())
    about = (
        f"{problem.about} {n} seeds, seconds of one processor; the median, in brackets how many got there. Runs end "
        "after 30 s for the second-order methods here, 4 for the others here and torch's L-BFGS, 45 and 8 for "
        "torch-levenberg-marquardt, 15 for SciPy and 8 for scikit-learn."
    )
    return f"## {problem.title}\n\n{about}\n\n" + table(*seconds_table(problem, found))


def report_small(name: str, seeds: range, kept: Path | None) -> str:
    """Return a table of the shares of seeds that reach the goals and the times they take."""
    problem, ways = getattr(method_problems, name)(), small()
    race(problem, ways, range(1), 50)  # imports and first calls are not counted
    found = keep(kept, problem, race(problem, ways, seeds, MAX_PASSES, REPEATS))
    header, rows = shares_table(problem, found)
    if name == "sin":
        rows += nnet_row(problem, len(seeds))
    about = (
        f"{problem.about} Processor time, the best of {REPEATS} repeats of each run, medians of those of {len(seeds)} "
        f"seeds that got there; at most {MAX_PASSES:,} passes."
    )
    return f"## {problem.title}\n\n{about}\n\n" + table(header, rows)


def main() -> None:
    """Read the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*LARGE, *SMALL, PASSES, []], help="all unless named")
    parser.add_argument("--seeds", type=int, nargs=2, metavar=("FIRST", "STOP"), help="seeds from FIRST to before STOP")
    parser.add_argument("--kept", type=Path, help="a JSON file that earlier parts of a race left")
    parser.add_argument("--proben1", type=Path, help="folder of the Proben1 .dt files; passes needs it")
    given = parser.parse_args()
    packages = ("deltarule", "numpy", "scipy", "scikit-learn", "torch", "torch-levenberg-marquardt")
    print(f"{machine()}; {versions(*packages)}.", flush=True)
    for part in given.parts or (*LARGE, *SMALL, PASSES):
        if part == PASSES:
            found = method_passes.report(given.proben1, 5) if given.proben1 else ""
        else:
            seeds = range(*given.seeds) if given.seeds else range(SEEDS[part])
            found = (report_large if part in LARGE else report_small)(part, seeds, given.kept)
        print("\n" + found, flush=True)


if __name__ == "__main__":
    main()
