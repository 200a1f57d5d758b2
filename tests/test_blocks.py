"""Long histories, kept in blocks that no checkpoint repeats: gone on with to the bit, whatever fails or is damaged."""

import json
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import namedtuple
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import deltarule as dr
from deltarule import Checkpoint, checkpoint, runfile, tensorfile
from deltarule.errors import InputError, ModelFileError, SettingError, TrainingError
from deltarule.methods import LBFGS, BayesianRegularization, ConjugateGradient, GradientDescent, Online
from deltarule.runfile import BLOCK_FORMAT, Blocks
from diskfaults import failing
from runs import essence, run

HERE = Path(__file__).parent
EACH = {"every": 0}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Make a block of every three records."""
    monkeypatch.setattr(checkpoint, "BLOCK", 3)


def blocks(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).glob("history*/*"))


@pytest.mark.promise("P4")
@pytest.mark.parametrize(
    "method", [Online(rule="adam", rows_per_step=10), ConjugateGradient(), LBFGS(), BayesianRegularization()]
)
def test_a_run_with_blocks_goes_on_bit_for_bit(tmp_path, method):
    for steps in (4, 5, 11):
        run(method, steps, tmp_path / "run", resume=True, kept=EACH)
    found = run(method, checkpoint=tmp_path / "run", resume=True, kept=EACH)
    assert essence(found) == essence(run(method))
    there = blocks(tmp_path / "run")
    assert len(there) >= 8 and there[: len(there) // 2] == [
        f"history-copy/{i + 1:08d}.safetensors" for i in range(len(there) // 2)
    ]
    first = (tmp_path / "run" / "history" / "00000001.safetensors").stat()
    run(method, 16, tmp_path / "run", resume=True, kept=EACH)
    assert (tmp_path / "run" / "history" / "00000001.safetensors").stat() == first  # written once


def test_a_checkpoint_stays_small_however_long_the_history(tmp_path):
    sizes = []

    def grow(record):
        sizes.extend([runfile.numbered(tmp_path / "run")[0][1].stat().st_size] if record.step % 12 == 8 else [])

    run(GradientDescent(0.1), 80, tmp_path / "run", kept=EACH, observe=grow)
    assert len(sizes) == 7 and max(sizes) - min(sizes) < 100


def test_many_runs_share_blocks(tmp_path):
    x = np.linspace(-2, 2, 60)
    settings = {"method": "cg", "l2": 0.0, "max_steps": 6, "restarts": 4}
    whole = dr.fit({"x": x, "y": np.sin(2 * x)}, "y", **settings)
    seen = []

    def enough(progress):
        seen.append(progress)
        return len(seen) == 17

    for kept in (Checkpoint(tmp_path / "run", 0), Checkpoint(tmp_path / "run", 0, resume=True)):
        model = dr.fit({"x": x, "y": np.sin(2 * x)}, "y", **settings, checkpoint=kept, observe=enough)
    assert model.training == whole.training and model.fingerprint == whole.fingerprint and blocks(tmp_path / "run")
    content = runfile.newest(tmp_path / "run").saved.content
    assert len({*map(json.dumps, content["columns"])}) == len(content["columns"])  # each once, found or new
    assert len(content["finished"]) == 4 and sum(len(part["lengths"]) > 0 for part in content["parts"]) <= 2


class Told(NamedTuple):
    """A state that tells more at some times than at others."""

    w: np.ndarray
    loss: float
    grad: np.ndarray
    stuck: str
    ratio: float | None
    late: int | None
    size: float
    why: str


class Own:
    """A user's own method."""

    name, needs, version = "own", ("value_grad",), 1

    def start(self, objective, w):
        return Told(w, *objective.value_grad(w), "", 0.5, None, 1, "start")

    def step(self, objective, at):
        w, count = at.w - 0.1 * at.grad, (at.late or 0) + 1
        ratio = None if count % 3 else at.loss
        return Told(w, *objective.value_grad(w), "", ratio, count, 2**50 * 3**count, f"step {count}")


@pytest.mark.promise("P4")
def test_a_method_of_one_s_own_goes_on_bit_for_bit(tmp_path):
    """What is None at first or at times, and whole numbers of any size, are what they were."""
    for steps in (1, 2, 3, 6):
        run(Own(), steps, tmp_path / "run", resume=True, kept=EACH)
    found = run(Own(), checkpoint=tmp_path / "run", resume=True, kept=EACH)
    assert essence(found) == essence(run(Own())) and blocks(tmp_path / "run")
    assert found.history[1].details == {"ratio": None, "size": 2**50 * 3, "why": "step 1"}


def test_more_words_than_a_file_may_hold_cost_no_run(tmp_path, monkeypatch):
    """The run goes on to its end without the checkpoints that would be too large, and those from before are whole."""
    run(Own(), 2, tmp_path / "run", kept=EACH)
    monkeypatch.setattr(tensorfile, "MAX_VALUES", 130)
    with pytest.warns(RuntimeWarning, match="No checkpoint this time; the run goes on"):
        found = run(Own(), checkpoint=tmp_path / "run", resume=True, kept=EACH)
    assert essence(found) == essence(run(Own()))
    monkeypatch.undo()
    assert essence(run(Own(), checkpoint=tmp_path / "run", resume=True)) == essence(found)


def test_more_details_than_can_be_kept_are_refused_before_any_step(tmp_path):
    wide = namedtuple("wide", [*Told._fields, *(f"d{i}" for i in range(100))])

    class Wide(Own):
        def start(self, objective, w):
            return wide(*super().start(objective, w), *range(100))

    with pytest.raises(SettingError, match="tells 103 details of itself"):
        run(Wide(), 1, tmp_path / "run")
    assert not runfile.numbered(tmp_path / "run")


# What is damaged


@pytest.mark.promise("P3")
def test_any_one_file_may_be_damaged_or_gone(tmp_path):
    run(GradientDescent(0.1), 9, tmp_path / "run", kept=EACH)
    whole, names = essence(run(GradientDescent(0.1))), blocks(tmp_path / "run")
    assert len(names) == 6
    for name in [*names, *(path.name for _, path in runfile.numbered(tmp_path / "run"))]:
        for damage in ("gone", "cut", "bit"):
            folder = tmp_path / f"{damage}-{Path(name).parent}-{Path(name).name}"
            shutil.copytree(tmp_path / "run", folder)
            path = folder / name
            data = path.read_bytes()
            path.unlink()
            if damage != "gone":
                path.write_bytes(data[:-9] if damage == "cut" else data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                assert essence(run(GradientDescent(0.1), checkpoint=folder, resume=True)) == whole


@pytest.mark.promise("P3")
def test_a_damaged_block_and_its_copy_give_way_to_the_checkpoint_before(tmp_path):
    for steps in (7, 10):  # the last block belongs to the last checkpoint alone
        run(GradientDescent(0.1), steps, tmp_path / "run", resume=True)
    for name in blocks(tmp_path / "run")[1::2]:
        (tmp_path / "run" / name).write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=r"The checkpoint before it, checkpoint-\d+.safetensors, is used"):
        found = run(GradientDescent(0.1), checkpoint=tmp_path / "run", resume=True)
    assert essence(found) == essence(run(GradientDescent(0.1)))
    for name in blocks(tmp_path / "run")[0::2]:
        (tmp_path / "run" / name).write_bytes(b"")
    with pytest.raises(ModelFileError, match=r"history.00000001.safetensors is not a deltarule-history"):
        run(GradientDescent(0.1), checkpoint=tmp_path / "run", resume=True)


def test_blocks_of_another_run_are_not_taken(tmp_path):
    for name, rate in (("a", 0.1), ("b", 0.2)):
        run(GradientDescent(rate), 8, tmp_path / name, kept=EACH)
    for place in runfile.BLOCK_FOLDERS:
        shutil.rmtree(tmp_path / "a" / place)
        shutil.copytree(tmp_path / "b" / place, tmp_path / "a" / place)
    with pytest.raises(ModelFileError, match="is not the one that its checkpoint belongs to"):
        run(GradientDescent(0.1), checkpoint=tmp_path / "a", resume=True)


LIES = {
    "a run that there is not": lambda content, arrays: content["parts"][0].update(run=5),
    "a row too few": lambda content, arrays: content["parts"][0]["lengths"].pop(),
    "numbers too few": lambda content, arrays: arrays.update(numbers=arrays["numbers"][:-1]),
    "no numbers": lambda content, arrays: arrays.pop("numbers"),
    "a record twice": lambda content, arrays: (
        content["parts"].append(content["parts"][0]), arrays.update(numbers=np.tile(arrays["numbers"], 2)),
    ),
    "a key more": lambda content, arrays: content.update(more=1),
    "nothing": lambda content, arrays: content.clear(),
}  # fmt: skip


@pytest.mark.promise("P8")
@pytest.mark.parametrize("name", LIES)
def test_what_a_block_says_must_fit(tmp_path, name):
    """Even where its digest and those that name it are made to fit."""
    folder = tmp_path / "run"
    run(ConjugateGradient(), 2, folder)  # one block
    (_, path), *others = runfile.numbered(folder)
    for _, other in others:
        other.unlink()
    saved, _ = runfile._read(path)
    block, _ = runfile._read(folder / "history" / "00000001.safetensors", BLOCK_FORMAT)
    content, arrays = json.loads(json.dumps(block.content)), dict(block.arrays)
    del content["before"]
    LIES[name](content, arrays)
    blocks = runfile.write_block(folder, Blocks(), runfile.Saved(content, arrays))
    path.unlink()
    runfile.write(folder, runfile.Saved({**saved.content, "blocks": blocks._asdict()}, saved.arrays))
    with pytest.raises(ModelFileError, match=rf"checkpoint-\d+\.safetensors is damaged: .*; {runfile.FORMAT.again}\.$"):
        run(ConjugateGradient(), 6, folder, resume=True)


# What is interrupted


@contextmanager
def interrupted_after_a_block(n):
    """Have KeyboardInterrupt come before the n-th line of the keeper and its ledgers after the first block; see if."""
    lines, modules = [], ("deltarule.checkpoint", "deltarule.ledger")
    write_block, write, before = runfile.write_block, runfile.write, sys.gettrace()

    def trace(frame, event, argument):
        if frame.f_globals.get("__name__") not in modules:
            return None
        lines.extend([frame.f_lineno] if event == "line" else [])
        if len(lines) == n and event == "line":
            raise KeyboardInterrupt
        return trace

    def begin(*given):
        found = write_block(*given)
        if not lines:
            sys._getframe(1).f_trace = trace
            sys.settrace(trace)
        return found

    def end(*given):
        sys.settrace(before)
        return write(*given)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runfile, "write_block", begin)
        patched.setattr(runfile, "write", end)
        yield lines
    sys.settrace(before)


@pytest.mark.promise("P14")
def test_an_interrupt_anywhere_after_a_block_leaves_a_run_that_goes_on(tmp_path):
    """The last save, while the interrupt passes, writes no record that the block has as well."""
    method, whole = GradientDescent(0.1), essence(run(GradientDescent(0.1), 6))
    for n in count(1, 2):  # each other line, to be quick
        folder = tmp_path / str(n)
        with interrupted_after_a_block(n) as lines, suppress(KeyboardInterrupt):
            run(method, 4, folder, kept=EACH)
        if len(lines) < n:
            break
        with warnings.catch_warnings(action="error"):  # nothing is damaged
            assert essence(run(method, 6, folder, resume=True)) == whole, n
    assert n > 10


@pytest.mark.promise("P14")
def test_an_interrupt_before_all_of_several_runs_know_of_a_block(tmp_path):
    x = np.linspace(-2, 2, 60)
    settings = {"method": "cg", "l2": 0.0, "max_steps": 2, "restarts": 2, "hidden": 2}
    whole = dr.fit({"x": x, "y": np.sin(2 * x)}, "y", **settings)
    for n in count(2, 4):
        folder = tmp_path / str(n)
        with interrupted_after_a_block(n) as lines, suppress(KeyboardInterrupt):
            dr.fit({"x": x, "y": np.sin(2 * x)}, "y", **settings, checkpoint=Checkpoint(folder, 0))
        if len(lines) < n:
            break
        with warnings.catch_warnings(action="error"):
            kept = Checkpoint(folder, resume=True)
            model = dr.fit({"x": x, "y": np.sin(2 * x)}, "y", **settings, checkpoint=kept)
        assert model.fingerprint == whole.fingerprint, n
    assert n > 10


# What fails


@pytest.mark.promise("P3")
def test_whichever_operation_fails_there_is_a_whole_run(tmp_path):
    """The n-th operation fails, for all n, those that write blocks among them."""
    method, whole = GradientDescent(0.1), essence(run(GradientDescent(0.1), 5))
    with failing() as disk:
        run(method, 3, tmp_path / "none", kept=EACH)
    assert disk.asked.count("make_folder") == 3 and blocks(tmp_path / "none")
    for n in range(1, len(disk.asked) + 1):
        folder = tmp_path / str(n)
        with failing(n), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                run(method, 3, folder, kept=EACH)
            except (TrainingError, InputError):
                assert n <= 1 + disk.asked.index("flush_folder") + 1
        assert essence(run(method, 5, folder, resume=True)) == whole, disk.asked[n - 1]


KILLED = """
import sys
from deltarule import checkpoint
from deltarule.methods import GradientDescent
from runs import run
checkpoint.BLOCK = 3
print("begun", flush=True)
run(GradientDescent(0.1), 10**9, sys.argv[1], resume=True, kept={"every": 0})
"""


@pytest.mark.promise("P3")
def test_a_process_killed_while_it_writes_blocks_leaves_a_run_that_goes_on(tmp_path):
    """Shortened; benchmarks/trust.py does it hundreds of times."""
    steps, folder = 0, tmp_path / "run"
    for pause in (0.1, 0.13):
        there = blocks(folder)
        with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=HERE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            while blocks(folder) == there:
                time.sleep(0.01)
            time.sleep(pause)
            child.kill()
        assert child.returncode == -signal.SIGKILL
        found = run(GradientDescent(0.1), 1, folder, resume=True)  # has ended: what was kept comes back
        assert len(found.history) - 1 >= steps + 3
        steps = len(found.history) - 1
        assert essence(found)[:3] == essence(run(GradientDescent(0.1), steps))[:3]
