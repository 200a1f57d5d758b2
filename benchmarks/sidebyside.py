"""Timing several ways of doing the same work in turn, so that a change of the machine's speed hits all alike."""

import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def one_thread() -> None:
    """Hold BLAS and OpenMP to one thread; to be called before NumPy is imported."""
    os.environ.update(ONE_THREAD)


def race(
    ways: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = perf_counter, warm_up: float = 0.0
) -> dict[str, list[float]]:
    """Return the seconds of each way, one number a repeat, after one repeat that is not counted.

    For work of one thread the clock may be `time.process_time`, which stands still while others have the processor.
    Before each is timed it goes on for `warm_up` seconds: threads of BLAS that the one before has used stay awake for a
    while.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(repeats + 1):
        for name, work in ways.items():
            until = perf_counter() + warm_up
            while perf_counter() < until:
                work()
            start = clock()
            work()
            if repeat:
                seconds[name].append(clock() - start)
    return seconds


def ratio(slower: list[float], faster: list[float]) -> float:
    """Return the median over repeats of slower / faster, pair by pair."""
    return median(a / b for a, b in zip(slower, faster, strict=True))


def machine() -> str:
    """Return what the figures were measured on."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open() as lines:
            model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def versions(*packages: str) -> str:
    """Return the packages with their versions."""
    return ", ".join(f"{name} {version(name)}" for name in packages)


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
