"""Nothing lost: kills in the middle of saving, operations of the disk that fail, damaged files; and what that costs.

python benchmarks/trust.py [--kills N] [--parts kills,faults,damages,cost]
"""

import argparse
import errno
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

os.environ.setdefault("DELTARULE_THREADS", "1")  # children are forked, and threads do not survive that
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sidebyside import table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import deltarule as dr
from deltarule import Checkpoint, checkpoint, disk, runcontent, runfile, steps, train
from deltarule.checkpoint import BLOCK, opened
from deltarule.counting import Counted
from deltarule.divergence import watcher
from deltarule.errors import DeltaruleError, ModelFileError
from deltarule.history import History, Standing
from deltarule.methods import LBFGS, ConjugateGradient, LevenbergMarquardt, Online, Rprop
from deltarule.modelfile import to_bytes
from deltarule.stopping import MaxSteps
from diskfaults import failing

LONGEST_PAUSE = 0.06
"""Seconds at most from a child's first file to its end: some dozen files."""
METHOD = Rprop()


def waves(n: int = 200) -> dict[str, np.ndarray]:
    x = np.linspace(-2, 2, n)
    return {"x": x, "y": np.sin(2 * x)}


def sine(n: int = 25) -> tuple[dr.Objective, np.ndarray]:
    X = np.linspace(-1, 1, n)[:, None]
    network = dr.Network((1, 20, 1))
    return dr.Objective(network, "squared_error", X, np.sin(np.pi * X)), network.initial_weights(0)


def killed(work, begun, rng: np.random.Generator) -> None:
    """Run `work` in a child process and kill it a random time after `begun` is true."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    while not begun():
        time.sleep(0.001)
    time.sleep(rng.uniform(0, LONGEST_PAUSE))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"


def model_kills(kills: int, folder: Path) -> list[object]:
    models = [dr.fit(waves(), "y", method="cg", l2=0.0, hidden=hidden, max_steps=3) for hidden in (3, 300)]
    whole = {to_bytes(model) for model in models}
    path, rng = folder / "m.deltarule", np.random.default_rng(0)
    lost = halves = 0
    for _ in range(kills):
        began = time.time_ns()

        def save() -> None:
            while True:
                for model in models:
                    model.save(path)

        killed(save, lambda began=began: path.exists() and path.stat().st_mtime_ns > began, rng)
        if path.read_bytes() not in whole:
            lost += 1
        dr.load(path)
        parts = list(folder.glob(".deltarule-*.part"))
        halves += len(parts)
        for part in parts:
            part.unlink()
    return ["a model saved over another, killed", kills, f"{halves} in the middle of a file", lost]


def run_kills(kills: int, folder: Path, block: int) -> list[object]:
    """Kill a run, gone on with each time; so many records of its history make a block."""
    checkpoint.BLOCK = block
    rng, run = np.random.default_rng(block), folder / f"run-{block}"
    reference = steps(*sine(), METHOD)
    states = [next(reference)]
    lost = halves = 0
    for _ in range(kills):
        before = runfile.numbered(run)[:1]

        def go_on() -> None:
            with suppress(DeltaruleError):
                train(*sine(), METHOD, [MaxSteps(10**9)], checkpoint=Checkpoint(run, every=0, resume=True))

        killed(go_on, lambda before=before: runfile.numbered(run)[:1] != before, rng)
        halves += len(list(run.glob("**/.deltarule-*.part")))
        held: list[runcontent.Runs] = []
        found = runfile.newest(run, lambda saved, held=held: held.append(runcontent.runs_of(run, saved)))
        n = found.saved.content["runs"][0]["records"]
        states += islice(reference, max(0, n - len(states)))
        same = found.saved.arrays["runs.0.state.w"].tobytes() == states[n - 1].w.tobytes()
        same &= [record.loss for record in held[-1].found[0][0].records] == [state.loss for state in states[:n]]
        lost += bool(found.damaged) or not same
    blocks = held[-1].blocks.number
    checkpoint.BLOCK = BLOCK
    what = f"{halves} in the middle of a file, {n - 1:,} steps of one run in the end, {blocks:,} blocks"
    return ["a run gone on with, killed", kills, what, lost]


def fault_cases(folder: Path) -> list[list[object]]:
    """Let each operation of the disk fail in turn, with each error."""
    model = dr.fit(waves(), "y", method="cg", l2=0.0, max_steps=3)
    old, new = b"what was there", to_bytes(model)
    rows, errors = [], (errno.ENOSPC, errno.EIO, errno.EDQUOT)
    cases = lost = told = 0
    for error in errors:
        for n in range(1, 100):
            path = folder / "m.deltarule"
            path.write_bytes(old)
            with failing(n, error) as disk:
                try:
                    model.save(path)
                except DeltaruleError:
                    told += 1
            if len(disk.asked) < n:
                break
            cases += 1
            lost += path.read_bytes() not in (old, new) or len(list(folder.iterdir())) != 1
            path.unlink()
    rows.append(["a model: the n-th operation of the disk fails", cases, f"{told} told as an error", lost])
    whole = train(*sine(), METHOD, [MaxSteps(6)])
    cases = lost = told = 0
    checkpoint.BLOCK = 2  # so that blocks are written too
    for error in errors:
        for n in range(1, 1000):
            run = folder / f"{error}-{n}"
            with failing(n, error) as disk, warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                try:
                    train(*sine(), METHOD, [MaxSteps(3)], checkpoint=Checkpoint(run, every=0))
                except DeltaruleError:
                    told += 1
            told += bool(said)
            if len(disk.asked) < n:
                break
            cases += 1
            ended = train(*sine(), METHOD, [MaxSteps(6)], checkpoint=Checkpoint(run, resume=True))
            lost += ended.w.tobytes() != whole.w.tobytes()
    checkpoint.BLOCK = BLOCK
    rows.append(["a run: the n-th operation of the disk fails", cases, f"{told} told", lost])
    return [*rows, limited(folder, model)]


def limited(folder: Path, model: dr.Model) -> list[object]:
    """Save under limits on the size of a file, which cut it short as a full disk does."""
    size, path, lost, refused = len(to_bytes(model)), folder / "limited", 0, 0
    path.write_bytes(b"what was there")
    limits = range(0, size + 64, 64)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in limits:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, usual[1]))
        try:
            model.save(path)
        except DeltaruleError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        lost += path.read_bytes() not in (b"what was there", to_bytes(model))
    return [
        "a model, the system cutting files off at every 64th byte",
        len(limits),
        f"{refused} told as an error",
        lost,
    ]


def damages(folder: Path) -> list[list[object]]:
    """Flip bits of a checkpoint and cut it off: none may be taken for one that is whole."""
    run = folder / "damaged"
    train(*sine(), METHOD, [MaxSteps(5)], checkpoint=run)
    path = runfile.numbered(run)[0][1]
    data, rows = path.read_bytes(), []
    flips = [(place, place % 8) for place in range(len(data))]
    cuts = range(0, len(data), 7)
    for what, cases, made in (
        ("a checkpoint with one bit flipped, each byte in turn", flips,
         lambda case: data[: case[0]] + bytes([data[case[0]] ^ 1 << case[1]]) + data[case[0] + 1 :]),
        ("a checkpoint cut off at every 7th byte", cuts, lambda cut: data[:cut]),
    ):  # fmt: skip
        taken = 0
        for case in cases:
            path.write_bytes(made(case))
            with suppress(ModelFileError):
                runfile._read(path)
                taken += 1
        rows.append([what, len(cases), f"{len(cases) - taken} refused", taken])
    path.write_bytes(data)
    return rows


PROBLEMS = {
    "online, a row at a time, 10-32-1": (Online(0.01), 1_000, (10, 32, 1)),
    "Adam, mini-batches of 32, 20-64-64-1": (Online(0.001, batch_size=32, rule="adam"), 5_000, (20, 64, 64, 1)),
    "conjugate gradients, 10-32-1": (ConjugateGradient(), 1_000, (10, 32, 1)),
    "L-BFGS, 20-64-64-1": (LBFGS(), 5_000, (20, 64, 64, 1)),
    "Levenberg-Marquardt, 10-32-1": (LevenbergMarquardt(), 1_000, (10, 32, 1)),
    "Levenberg-Marquardt, 1-5-1, 25 rows": (LevenbergMarquardt(), 25, (1, 5, 1)),
}
SECONDS, ROUNDS = 1.0, 5
LATER = 20
"""How many times 30 s a run has lasted when a checkpoint late in it is timed."""


def cost(folder: Path, name: str) -> list[object]:
    """Measure a step, what it costs to watch it, and a checkpoint of a run as long as 30 s.

    They are measured in turn, several times, and the median of each counts: a shared processor has fast and slow times.
    """
    method, n, sizes = PROBLEMS[name]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, sizes[0]))
    network = dr.Network(sizes)
    objective = dr.Objective(network, "squared_error", X, np.sin(X.sum(axis=1)) + 0.1 * rng.standard_normal(n))
    w = network.initial_weights(0)
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()  # of this process alone, whatever else the machine does
        plain = train(objective, w, method, [dr.stopping.MaxSeconds(SECONDS)])
        step = (time.process_time() - began) / (len(plain.history) - 1)
        state, grad = plain.state._replace(stuck=""), getattr(plain.state, "grad", None)
        found.append((step, watching(state, grad), *whole_save(folder, plain, objective, int(30 / step))))
    step, watch, first, later = map(median, zip(*found, strict=True))
    share, saving = watch / step, max(first, later) / 30
    return [
        name, f"{step * 1e6:,.1f}", f"{watch * 1e6:.2f}", f"{share:.2%}", f"{first * 1e3:.1f}", f"{later * 1e3:.1f}",
        f"{saving:.2%}", f"{share + saving:.2%}",
    ]  # fmt: skip


def watching(state, grad) -> float:
    """Return the seconds of watching a state, without those of the gradient's square, which a record needs anyway."""
    watch = watcher(state)
    rounds = [
        (timed(lambda: watch(state), 2000), 0.0 if grad is None else timed(lambda: float(grad.dot(grad)), 2000))
        for _ in range(9)
    ]
    return median(watched - recorded for watched, recorded in rounds)


def whole_save(folder: Path, found: dr.Result, objective: dr.Objective, n: int) -> tuple[float, float]:
    """Return the seconds of a checkpoint after 30 s of training, and of one 30 s later when LATER times that are kept.

    They are those of the processor, and those in which the disk is waited for.
    """
    waited = [0.0]

    def waiting(flush, place):
        began = time.perf_counter()
        flush(place)
        waited[0] += time.perf_counter() - began

    def taken(keeper) -> float:
        waited[0], began = 0.0, time.process_time()
        keeper.save(final=True)
        return time.process_time() - began + waited[0]

    def grown(history: History, count: int) -> None:
        records = (found.history * (count // len(found.history) + 1))[:count]
        history.go_on(Standing(found.state, len(records), found.w, found.loss, 0), records)

    usual = disk.flush, disk.flush_folder
    disk.flush, disk.flush_folder = (partial(waiting, flush) for flush in usual)
    first, later = [], []
    for _ in range(2):
        history = History(Counted(objective), None)
        with opened(Checkpoint(folder / f"{time.time_ns()}", every=1e6), {}) as keeper:
            grown(history, max(n, 1))
            keeper.slot().run = history
            first.append(taken(keeper))
    with opened(Checkpoint(folder / f"{time.time_ns()}", every=1e6), {}) as keeper:
        keeper.slot().run = history
        for times in range(LATER, LATER + 3):
            grown(history, times * max(n, 1))
            later.append(taken(keeper))
    disk.flush, disk.flush_folder = usual
    return median(first), median(later[1:])


def timed(work, times: int) -> float:
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def report(kills: int, parts: list[str]) -> str:
    sections = ["## Trust\n"]
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / part for part in ("a", "b", "c", "d")]
        for folder in folders:
            folder.mkdir()
        rows: list[list[object]] = []
        if "kills" in parts:
            rows += [
                model_kills(kills, folders[0]),
                run_kills(kills, folders[0], BLOCK),
                run_kills(kills, folders[0], 2),
            ]
        if "faults" in parts:
            rows += fault_cases(folders[1])
        if "damages" in parts:
            rows += damages(folders[2])
        if rows:
            sections.append(
                "SIGKILL at a random moment while files are written one after the other, operations that fail, and "
                "files that are damaged; *lost*: what could not be read afterwards, was no whole file, went on to "
                "other bits, or was read though damaged.\n"
            )
            sections.append(table(["what", "cases", "of these", "lost"], [[str(cell) for cell in row] for row in rows]))
        if "cost" in parts:
            sections.append(
                "\nWhat it costs: watching each step for numbers that are not finite, and a checkpoint every 30 s "
                "(with the history of 30 s of training packed for the first time, flushed to the disk, read back), "
                "the first one and one after ten minutes, of which the dearer counts; processor time, and what the "
                "disk is waited for.\n"
            )
            header = [
                "run", "a step, µs", "watching it, µs", "share", "first checkpoint, ms", "after 10 min, ms",
                "every 30 s", "together",
            ]  # fmt: skip
            sections.append(table(header, [cost(folders[3], name) for name in PROBLEMS]))
    return "\n".join(sections)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--parts", default="kills,faults,damages,cost", help="which of them, separated by commas")
    given = parser.parse_args()
    print(report(given.kills, given.parts.split(",")))
