"""Precision and recall of `deltarule.explain.diagnose` on networks with a fault put in on purpose, and on healthy ones.

    python benchmarks/diagnosis.py [--tuning] [--networks 20] [--healthy 60] [--only FAULT] [--details]

Thresholds were chosen on the seeds of --tuning; the figures that are published are those of the other seeds.
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
    rows, hits, faulty, right, strict, said = [], 0, 0, 0, 0, 0
    by_kind, right_kind, tried, helped = Counter(), Counter(), 0, 0
    clear, clear_right = 0, 0
    for fault, kind in faults.KINDS.items():
        mine = [one for one in seen if one.fault == fault and one.made]
        if not mine:
            continue
        found = sum(kind.name in one.kinds for one in mine)
        others = Counter(name for one in mine for name in one.kinds if name not in (kind.name, *kind.also))
        hits, faulty = hits + found, faulty + len(mine)
        for one in mine:
            said += len(one.kinds)
            strict += sum(name == kind.name for name in one.kinds)
            for name, confidence in zip(one.kinds, one.confidences, strict=True):
                is_right = name in (kind.name, *kind.also)
                right, by_kind[name], right_kind[name] = (
                    right + is_right,
                    by_kind[name] + 1,
                    right_kind[name] + is_right,
                )
                clear, clear_right = clear + (confidence == "clear"), clear_right + (confidence == "clear" and is_right)
            for name, help_ in zip(one.kinds, one.helped, strict=False):
                if name == kind.name and help_ is not None:
                    tried, helped = tried + 1, helped + help_
        said_else = ", ".join(f"{name} {count}" for name, count in others.most_common()) or "–"
        rows.append([fault, kind.name, str(len(mine)), str(found), said_else])
    well = [one for one in seen if one.fault == "healthy" and one.made]
    alarmed = [one for one in well if one.kinds]
    for one in alarmed:
        for name in one.kinds:
            by_kind[name] += 1
    said_healthy = sum(len(one.kinds) for one in alarmed)
    lines = [f"## Diagnosis of seeded faults ({seeds} seeds)", ""]
    lines += [table(["fault put in", "what it is called", "networks", "found", "also said, wrongly"], rows), ""]
    if faulty:
        lines.append(
            f"Recall {hits / faulty:.3f} over {faulty} networks of {len(rows)} faults; precision "
            f"{right / max(1, said + said_healthy):.3f} over {said + said_healthy} findings, healthy networks included "
            f"({strict / max(1, said):.3f} if nothing but the fault's own name counts, healthy ones left out)."
        )
        lines.append(f"Of {clear} findings called clear {clear_right / max(1, clear):.3f} are right.")
    if tried:
        lines.append(
            f"The advice was tested on clones for {tried} right findings and helped in {helped / tried:.2f} of them."
        )
    if well:
        names = Counter(name for one in alarmed for name in one.kinds)
        lines.append(
            f"Healthy networks with a finding: {len(alarmed)} of {len(well)} ({len(alarmed) / len(well):.1%})"
            f"{': ' + ', '.join(f'{k} {v}' for k, v in names.items()) if names else ''}."
        )
    each = sorted(by_kind)
    lines += [
        "",
        table(["finding", "said", "right"], [[k, str(by_kind[k]), str(right_kind[k])] for k in each if k in CLAIMED]),
    ]
    seconds = [one.seconds for one in seen if one.made]
    lines += [
        "",
        f"A diagnosis took {np.median(seconds):.2f} s in the middle, {max(seconds):.1f} s at most. {machine()}.",
    ]
    missing = Counter(one.fault for one in seen if not one.made)
    if missing:
        lines.append(f"Seeds from which no such network could be made: {dict(missing)}.")
    return "\n".join(lines)


def main() -> None:
    """Make the networks, diagnose them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuning", action="store_true", help="the seeds that thresholds were chosen on")
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--healthy", type=int, default=60)
    parser.add_argument("--only", action="append", help="a fault, or healthy")
    parser.add_argument("--details", action="store_true", help="print the diagnoses that are wrong")
    parser.add_argument("--try", dest="tried", action="store_true", help="test every advice on a clone")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    given = parser.parse_args()
    first = TUNING if given.tuning else REPORT
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
    print(report(seen, "tuning" if given.tuning else "report"))


if __name__ == "__main__":
    main()
