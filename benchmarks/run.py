"""Run the benchmarks and write their tables to RESULTS.md.

python benchmarks/run.py [--proben1 FOLDER]
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
INTRODUCTION = """# Results

Written by `make bench`. All ways of doing a job run in turn in one process or one after the other, so that ratios hold
where absolute times do not: the machines are shared and noisy.
"""


def main() -> None:
    """Run each benchmark in a process of its own and collect what it prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proben1", type=Path, help="folder of the Proben1 .dt files; left out without it")
    given = parser.parse_args()
    jobs = [["online.py"], ["batch.py"], ["streams.py"], ["sklearn_face.py"], ["process.py"], ["explain.py"]]
    jobs += [["diagnosis.py", "--try"], ["trust.py"], ["fuzz.py"]]
    if given.proben1:
        jobs.append(["proben1.py", str(given.proben1)])
        jobs.append(["methods.py", "--proben1", str(given.proben1)])
        jobs.append(["auto.py", str(given.proben1), "--peers", "fann", "nnet"])
    sections = [INTRODUCTION]
    jobs.append(["choice.py"])
    for script, *arguments in jobs:
        print(f"running {script}", file=sys.stderr)
        done = subprocess.run(
            [sys.executable, str(HERE / script), *arguments], check=True, stdout=subprocess.PIPE, text=True
        )
        sections.append(done.stdout)
        (HERE / "RESULTS.md").write_text("\n".join(sections))
    print(f"written to {HERE / 'RESULTS.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
