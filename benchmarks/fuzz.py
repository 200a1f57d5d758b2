"""Fuzzing at length, under a memory limit: model files, tables, command lines, settings and parameters.

python benchmarks/fuzz.py [--cases 100000] [--only models] [--seed 0]

Each kind runs in a process of its own that may have so much memory more than it begins with. Every case must be
refused by an error raised on purpose or work; anything else, a crash included, ends the run with the number of the
case, which `--seed` and `--first` bring back.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).parent
MEMORY = 600 * 2**20
"""Bytes that a process may take beyond what it has after its imports."""
PART = 25_000
"""Cases of one process, at most."""
SLOWEST = 5.0
"""Seconds that no case may take; each is refused or done in milliseconds, but machines have pauses."""
SHARES = {"models": 1.0, "tables": 0.005, "JSON tables": 0.005, "commands": 0.01, "settings": 0.1, "parameters": 0.1}
"""Kinds, and cases of each for one damaged model: reading a table takes DuckDB a tenth of a second."""


def kinds():
    """Return a function for each kind of case: generate it, try it, return whether it was accepted."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    import worst_calls
    import worst_models
    import worst_tables

    def table(name):
        def try_one(draws):
            Path(name).write_bytes(worst_tables.KINDS[name](draws))
            return worst_tables.check_table(name)

        return try_one

    worst_calls.prepare(Path.cwd())
    for name in ("t.csv", "m.deltarule"):  # the tables' own place
        Path(name).rename(Path("calls") / name)
    return {
        "models": lambda draws: worst_models.check_model(worst_models.damaged_model(draws)),
        "tables": table("t.csv"),
        "JSON tables": table("t.jsonl"),
        "commands": lambda draws: worst_calls.check_command(worst_calls.hostile_command(draws)),
        "settings": lambda draws: worst_calls.check_fit(worst_calls.hostile_fit(draws)),
        "parameters": lambda draws: worst_calls.check_estimator(*worst_calls.hostile_estimator(draws)),
    }


def work(kind, first, cases, seed):
    """Run cases in this process under the memory limit and print what happened as JSON."""
    import numpy as np

    Path("calls").mkdir()
    try_one = kinds()[kind]
    if kind == "commands":
        os.chdir("calls")
    try_one(np.random.default_rng([seed, first]))  # imports what is imported late
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    accepted, longest, started = 0, 0.0, perf_counter()
    case, finished = first, False
    try:
        for case in range(first, first + cases):
            begun = perf_counter()
            accepted += bool(try_one(np.random.default_rng([seed, case])))
            longest = max(longest, perf_counter() - begun)
        finished = True
    finally:
        if not finished:
            print(f"{kind}: case {case} of seed {seed} is a fault", file=sys.stderr)
    if longest > SLOWEST:
        sys.exit(f"{kind}: a case of seed {seed} took {longest:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = perf_counter() - started
    found = {"cases": cases, "accepted": accepted, "longest": longest, "peak": peak, "seconds": seconds}
    print("\n" + json.dumps(found))


def run(job):
    """Run the cases of a job in a process of its own and return what it says."""
    kind, first, cases, seed = job
    command = [sys.executable, __file__, "--worker", kind, "--first", first, "--cases", cases, "--seed", seed]
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode:
        faults = [line for line in ended.stderr.splitlines() if line.endswith("is a fault")]
        sys.exit(f"{kind}: ended with status {ended.returncode}\n{ended.stderr[-4_000:]}\n{' '.join(faults)}")
    return json.loads(ended.stdout.splitlines()[-1])


def jobs(kind, first, cases, seed):
    """Return a kind's cases in parts, for as many processes as there are processors."""
    return [(kind, first + at, min(PART, cases - at), seed) for at in range(0, cases, PART)]


def main():
    """Run the kinds that were asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="damaged models; of the other kinds fewer")
    parser.add_argument("--only", choices=SHARES, help="one kind, with all the cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--worker", choices=SHARES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.first, given.cases, given.seed)
        return
    counts = (
        {given.only: given.cases} if given.only else {kind: int(given.cases * share) for kind, share in SHARES.items()}
    )
    print("## Fuzzing\n")
    print(
        f"Every case was refused by an error raised on purpose or worked, in {MEMORY >> 20} MiB beyond the imports.\n"
    )
    print("| what | cases | refused | accepted | longest case | time | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = {kind: pool.map(run, jobs(kind, given.first, cases, given.seed)) for kind, cases in counts.items()}
        for kind, found in parts.items():
            found = list(found)
            cases, accepted, seconds = (sum(part[name] for part in found) for name in ("cases", "accepted", "seconds"))
            longest, peak = (max(part[name] for part in found) for name in ("longest", "peak"))
            print(
                f"| {kind} | {cases:,} | {cases - accepted:,} | {accepted:,} | {1e3 * longest:.0f} ms | "
                f"{seconds:.0f} s | {peak / 2**20:.0f} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
