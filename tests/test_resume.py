"""`deltarule train --run`, `deltarule resume`, and interrupts of commands: as docs/howto/checkpoints.md has them."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from commandline import COMMAND, done, refused
from deltarule import runfile


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-2, 2, (2, 300))
    write("curve.csv", {"x": x, "z": z, "y": np.sin(2 * x) + z * z})
    return tmp_path


def write(name, columns):
    with open(name, "w", newline="") as file:  # noqa: PTH123
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])


TELLING = f"import deltarule.terminal\ndeltarule.terminal.LINE_SECONDS = 0.0\n{COMMAND[-1]}"
ENDLESS = ("-m", "online", "--epochs", 10**9, "--l2", 0, "--set", "learning_rate=1e-9")


def started(*arguments):
    """Start a command that tells each step."""
    command = [*COMMAND[:-1], TELLING, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


METHODS = {
    "online with Adam": ("-m", "adam", "--epochs", 40, "--l2", 0),
    "rprop": ("-m", "rprop", "--steps", 150, "--l2", 0),
    "cg": ("-m", "cg", "--steps", 100, "--l2", 0),
    "scg": ("-m", "scg", "--steps", 100, "--l2", 0),
    "lbfgs": ("-m", "lbfgs", "--steps", 100, "--l2", 0),
    "lm": ("-m", "lm", "--steps", 30, "--l2", 0),
    "trainbr": ("-m", "trainbr", "--steps", 30),
    "cross-validation": ("--steps", 15),
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", METHODS)
def test_a_killed_run_comes_to_the_same_file(folder, name):
    """A forked child is killed at a random moment; what is resumed is the same to the byte."""
    asked = ("train", "curve.csv", "-t", "y", *METHODS[name], "--quiet")
    done(*asked, "-o", "whole.deltarule")
    child = os.fork()
    if child == 0:
        os.environ["DELTARULE_THREADS"] = "1"
        done(*asked, "-o", "m.deltarule", "--run", "run", "--every", "0s")
        os._exit(0)
    while not runfile.numbered(Path("run")):
        time.sleep(0.005)
    time.sleep(sum(name.encode()) % 7 / 50)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    out = done("resume", "run", "--quiet").out
    assert Path("m.deltarule").read_bytes() == Path("whole.deltarule").read_bytes()
    assert f"weights  sha256 {dr.load('whole.deltarule').fingerprint}" in out
    assert done("resume", "run", "--quiet", "-o", "again.deltarule", "--json").json["model"] == "again.deltarule"
    assert Path("again.deltarule").read_bytes() == Path("whole.deltarule").read_bytes()


@pytest.mark.promise("P14")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_train_leaves_a_model_and_a_checkpoint(folder, number, status):
    with started("train", "curve.csv", "-t", "y", *ENDLESS, "-o", "m.deltarule", "--run", "run") as child:
        assert child.stderr.readline().startswith("training  step ")
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    assert child.returncode == status and "The run was interrupted." in out
    said = [line for line in err.splitlines() if line and not line.startswith("training  step ")]
    assert said == ["Interrupted: these are the best weights so far.", "To go on: deltarule resume run"]
    assert dr.load("m.deltarule").training.reason == "The run was interrupted."
    assert runfile.newest(Path("run")).damaged == {}


@pytest.mark.promise("P14")
def test_compare_and_runs_side_by_side_end_with_143(folder):
    race = ("compare", "curve.csv", "-t", "y", "-m", "online,gd", "--max-passes", 10**9, "--seeds", 1)
    many = ("train", "curve.csv", "-t", "y", *ENDLESS, "--restarts", 3, "-o", "m.deltarule")
    for asked, first in ((race, "run 1/2 online"), (many, "run ")):
        with started(*asked) as child:
            assert child.stderr.readline().startswith(first)
            child.terminate()
            out, _ = child.communicate(timeout=30)
        assert child.returncode == 143 and "interrupted" in out


def test_what_resume_refuses(folder):
    assert "There is no run in 'none'" in refused("resume", "none")
    quick = ("-m", "cg", "--steps", 3, "--l2", 0, "--quiet")
    done("train", "curve.csv", "-t", "y", *quick, "--run", "run", "-o", "m.deltarule")
    assert "holds a run already; go on with it by `deltarule resume`" in refused(
        "train", "curve.csv", "-t", "y", *quick, "--run", "run"
    )
    assert "--every was 'soon'; give a time such as 30s, 5m or 1h" in refused(
        "train", "curve.csv", "-t", "y", *quick, "--run", "other", "--every", "soon"
    )
    rows = Path("curve.csv").read_text().splitlines()
    Path("curve.csv").write_text("\n".join([rows[0], rows[2], rows[1], *rows[3:]]))
    assert "was begun with other data: the table's rows are not those of then" in refused("resume", "run")
    Path("curve.csv").unlink()
    assert "curve.csv" in refused("resume", "run")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    os.chdir(elsewhere)
    assert f"the run was begun in {folder}: go there" in refused("resume", "../run")


def test_resume_in_python(folder):
    whole = dr.fit("curve.csv", "y", method="cg", l2=0.0, max_steps=6)
    seen = []

    def enough(progress):
        seen.append(progress)
        return len(seen) == 3

    dr.fit("curve.csv", "y", method="cg", l2=0.0, max_steps=6, observe=enough, checkpoint="run")
    assert dr.resume("run").fingerprint == whole.fingerprint
    assert dr.resume("run", every=1, interrupt="keep").training == whole.training


@pytest.mark.skipif(sys.platform == "win32", reason="a lock that other processes see")
def test_a_run_that_is_under_way_is_not_resumed(folder):
    with started("train", "curve.csv", "-t", "y", *ENDLESS, "--run", "run") as child:
        while not runfile.numbered(Path("run")):
            time.sleep(0.01)
        assert "Another process trains the run in 'run'" in refused("resume", "run")
        child.kill()
