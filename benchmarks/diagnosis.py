"""Precision and recall of `deltarule.explain.diagnose` on networks with a fault put in on purpose, and on healthy ones.

    python benchmarks/diagnosis.py [--tuning] [--networks 20] [--healthy 60] [--only FAULT] [--details]

Thresholds were chosen on the seeds of --tuning and on those from 3,000,000; the figures that are published are those of
neither.
"""

import argparse
import os
import sys
from collections import Counter
from multiprocessing import Pool
from time import perf_counter
from typing import NamedTuple

from sidebyside import machine, one_thread, table

one_thread()

import faults  # noqa: E402  # after the number of threads is set
import numpy as np  # noqa: E402

from deltarule.explain.diagnosis import KINDS as CLAIMED  # noqa: E402
from deltarule.explain.diagnosis import diagnose  # noqa: E402

TUNING, REPORT = 1_000_000, 2_000_000
"""First seed of what thresholds were chosen on, and of what is reported."""


class Seen(NamedTuple):
    """What a diagnosis found in one network; `made` says whether there is one for this seed."""

    fault: str
    seed: int
    made: bool
    kinds: tuple[str, ...]
    confidences: tuple[str, ...]
    standing: str
    seconds: float
    helped: tuple[bool | None, ...] = ()
    text: str = ""


def look(job):
    """Make a network and diagnose it."""
    fault, seed, details, tried = job
    make = faults.healthy if fault == "healthy" else faults.KINDS[fault].make
    patient = faults.draw(make, seed)
    if patient is None:
        return Seen(fault, seed, False, (), (), "", 0.0)
    started = perf_counter()
    found = diagnose(patient.objective, patient.w, method=patient.method, test_advice=tried)
    seconds = perf_counter() - started
    helped = tuple(None if finding.trial is None else finding.trial.helped for finding in found.findings)
    confidences = tuple(finding.confidence for finding in found.findings)
    text = f"{fault} {seed} {patient.method}\n{found}" if details else ""
    return Seen(fault, seed, True, found.kinds, confidences, found.standing.what, seconds, helped, text)


def report(seen: list[Seen], seeds: str) -> str:
    """Return the tables as Markdown."""
    made = [one for one in seen if one.made]
    sick, well = ([one for one in made if (one.fault == "healthy") == healthy] for healthy in (False, True))
    said = [(one, name, sure) for one in made for name, sure in zip(one.kinds, one.confidences, strict=True)]
    hits = [one for one in sick if faults.KINDS[one.fault].name in one.kinds]
    right = [(one, name, sure) for one, name, sure in said if is_right(one, name)]
    strict = [one for one, name, _ in said if one.fault != "healthy" and name == faults.KINDS[one.fault].name]
    lines = ["## Diagnosis of seeded faults", "", f"{seeds}.", "", by_fault(sick), ""]
    if sick:
        lines.append(
            f"Recall {len(hits) / len(sick):.3f} over {len(sick)} networks with {len({one.fault for one in sick})} "
            f"faults; precision {len(right) / max(1, len(said)):.3f} over {len(said)} findings, those on healthy "
            f"networks included ({len(strict) / max(1, len(said)):.3f} if nothing but the fault's own name counts)."
        )
    for sure in ("clear", "likely"):
        of = [one for one in said if one[2] == sure]
        good = sum(one[2] == sure for one in right)
        lines.append(f"Of {len(of)} findings called {sure} {good / max(1, len(of)):.3f} are right.")
    tried = [
        help_ for one in hits for name, help_ in zip(one.kinds, one.helped, strict=True)
        if name == faults.KINDS[one.fault].name and help_ is not None
    ]  # fmt: skip
    if tried:
        helped = sum(tried) / len(tried)
        lines.append(
            f"Their advice was tested on clones for {len(tried)} right findings and helped in {helped:.3f} of them."
        )
    if well:
        alarmed = [one for one in well if one.kinds]
        names = Counter(name for one in alarmed for name in one.kinds)
        lines.append(
            f"Healthy networks with a finding: {len(alarmed)} of {len(well)} ({len(alarmed) / len(well):.1%})"
            + (f": {listed(names)}." if names else ".")
        )
    counts = [Counter(name for _, name, _ in of) for of in (said, right)]
    rows = [[kind, str(counts[0][kind]), str(counts[1][kind])] for kind in CLAIMED if counts[0][kind]]
    lines += ["", table(["finding", "said", "right"], rows), ""]
    seconds = [one.seconds for one in made]
    lines.append(
        f"A diagnosis took {np.median(seconds):.2f} s in the middle, {max(seconds):.1f} s at most"
        f"{', its tests of the advice included' if tried else ''}. {machine()}."
    )
    missing = Counter(one.fault for one in seen if not one.made)
    if missing:
        lines.append(f"Seeds from which no such network could be made: {listed(missing)}.")
    return "\n".join(lines)


def is_right(one: Seen, name: str) -> bool:
    """Return whether a finding may be said of a network."""
    kind = faults.KINDS.get(one.fault)
    return kind is not None and name in (kind.name, *kind.also)


def by_fault(sick: list[Seen]) -> str:
    """Return the table of the faults: how often each was found, what else was said, where the networks stood."""
    rows = []
    for fault, kind in faults.KINDS.items():
        mine = [one for one in sick if one.fault == fault]
        found = sum(kind.name in one.kinds for one in mine)
        others = Counter(name for one in mine for name in one.kinds if not is_right(one, name))
        stood = Counter(one.standing for one in mine)
        if mine:
            rows.append([fault, kind.name, str(len(mine)), str(found), listed(others), listed(stood)])
    return table(["fault put in", "what it is called", "networks", "found", "also said, wrongly", "stands on"], rows)


def listed(counts: Counter) -> str:
    """Return counts as a list, the largest first."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "–"


def main() -> None:
    """Make the networks, diagnose them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuning", action="store_true", help="the seeds that thresholds were chosen on")
    parser.add_argument("--first", type=int, help="the first seed, if others than these")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--healthy", type=int, default=60)
    parser.add_argument("--only", action="append", help="a fault, or healthy")
    parser.add_argument("--details", action="store_true", help="print the diagnoses that are wrong")
    parser.add_argument("--try", dest="tried", action="store_true", help="test every advice on a clone")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    first = given.first if given.first is not None else TUNING if given.tuning else REPORT
    names = given.only or [*faults.KINDS, "healthy"]
    jobs = []
    for number, name in enumerate([*faults.KINDS, "healthy"]):
        count = given.healthy if name == "healthy" else given.networks
        if name in names:
            jobs += [(name, first + 1000 * number + i, given.details, given.tried) for i in range(count)]
    with Pool(given.processes) as pool:
        seen = []
        for one in pool.imap(look, jobs):
            seen.append(one)
            if len(seen) % 20 == 0:
                print(f"{len(seen)}/{len(jobs)}", file=sys.stderr)
    if given.details:
        for one in seen:
            wanted = () if one.fault == "healthy" else (faults.KINDS[one.fault].name,)
            if one.made and set(one.kinds) != set(wanted):
                print("-" * 100, one.text, sep="\n")
    chosen = "no threshold was" if first == REPORT else "thresholds were"
    print(report(seen, f"Seeds from {first:,}, on which {chosen} chosen"))


if __name__ == "__main__":
    main()
