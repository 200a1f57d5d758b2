"""Runs on disk: gone on with to the same bits, refused where they are others, whole whatever fails."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from deltarule import Checkpoint, methods, runfile, stopping, train
from deltarule.errors import InputError, ModelFileError, SettingError, TrainingError
from deltarule.methods import ConjugateGradient, GradientDescent, LevenbergMarquardt, Online
from deltarule.stopping import MaxSteps, Reason
from diskfaults import failing
from problems import SINE, rosenbrock
from runs import STEPS, essence, problem, run
from test_methods import RESUMED, objective_of

CASES = {**RESUMED, **{alias: methods.get(alias) for alias in methods.ALIASES}}
HERE = Path(__file__).parent
IN_NEW_PROCESS = """
import pickle, sys
from runs import essence, run
from test_checkpoint import CASES
folder = sys.argv[1]
ends = {name: essence(run(method, checkpoint=f"{folder}/{name}", resume=True)) for name, method in CASES.items()}
with open(f"{folder}/ends", "wb") as file:
    pickle.dump(ends, file)
"""


def random_cut(name):
    """A step to cut a run at, another for each name."""
    return 1 + sum(name.encode()) % (STEPS - 2)


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", RESUMED)
def test_a_run_goes_on_bit_for_bit(tmp_path, name):
    method = RESUMED[name]
    whole = run(method)
    for cut in sorted({1, random_cut(name), STEPS}):
        begun = run(method, cut, tmp_path / str(cut))
        assert len(begun.history) <= cut + 1
        assert essence(run(method, checkpoint=tmp_path / str(cut), resume=True)) == essence(whole), cut


@pytest.mark.promise("P4")
def test_every_method_and_alias_goes_on_in_a_new_process(tmp_path):
    import pickle

    for name, method in CASES.items():
        run(method, random_cut(name), tmp_path / name)
    subprocess.run([sys.executable, "-c", IN_NEW_PROCESS, str(tmp_path)], check=True, cwd=HERE, timeout=120)
    ends = pickle.loads((tmp_path / "ends").read_bytes())
    assert [name for name, method in CASES.items() if ends[name] != essence(run(method))] == []


@pytest.mark.promise("P4")
def test_a_run_may_be_cut_at_every_step_and_in_every_place(tmp_path):
    """Many processes of one step each are one run."""
    method = RESUMED["mid_epoch"]
    for steps in range(1, STEPS):
        ended = run(method, steps, tmp_path / "run", resume=True)
        assert len(ended.history) == steps + 1
    assert essence(run(method, checkpoint=tmp_path / "run", resume=True)) == essence(run(method))


@pytest.mark.promise("P4")
def test_max_fail_goes_on_counting(tmp_path):
    settings = {"fails": 5, "steps": 500}
    whole = run(GradientDescent(3.0, momentum=0.9), **settings)
    assert whole.reason is Reason.VALIDATION
    n = len(whole.history) - 3  # two of the five checks have failed by then
    run(GradientDescent(3.0, momentum=0.9), n, tmp_path / "run", fails=5)
    assert essence(
        run(GradientDescent(3.0, momentum=0.9), checkpoint=tmp_path / "run", resume=True, **settings)
    ) == essence(whole)


@pytest.mark.promise("P4")
def test_float32_goes_on_in_float32(tmp_path):
    def ended(steps, kept=None):
        network = dr.Network(SINE.sizes, SINE.activations)
        objective = dr.Objective(network, SINE.loss, SINE.X.astype(np.float32), SINE.T.astype(np.float32))
        return train(objective, network.initial_weights(1), "adam", [MaxSteps(steps)], checkpoint=kept)

    ended(4, tmp_path / "run")
    found = ended(9, Checkpoint(tmp_path / "run", resume=True))
    assert found.w.dtype == np.float32 and essence(found) == essence(ended(9))


def test_torch_goes_on_in_torch(tmp_path):
    torch = pytest.importorskip("torch")

    def ended(steps, kept=None):
        network = dr.Network(SINE.sizes, SINE.activations)
        objective = dr.Objective(network, SINE.loss, torch.asarray(SINE.X), torch.asarray(SINE.T))
        return train(objective, network.initial_weights(1), "lbfgs", [MaxSteps(steps)], checkpoint=kept)

    ended(4, tmp_path / "run")
    found = ended(9, Checkpoint(tmp_path / "run", resume=True))
    assert isinstance(found.w, torch.Tensor) and torch.equal(found.w, ended(9).w)


def test_an_objective_that_has_no_rows(tmp_path):
    class Valley:
        value_grad = staticmethod(rosenbrock)

    def ended(steps, kept=None):
        return train(Valley(), np.array([-1.2, 1.0]), "cg", [MaxSteps(steps)], checkpoint=kept)

    ended(4, tmp_path / "run")
    assert essence(ended(9, Checkpoint(tmp_path / "run", resume=True))) == essence(ended(9))


def test_a_run_that_has_ended_ends_again_and_may_be_given_more_steps(tmp_path):
    run(ConjugateGradient(), 5, tmp_path / "run")
    assert essence(run(ConjugateGradient(), 5, tmp_path / "run", resume=True)) == essence(run(ConjugateGradient(), 5))
    assert essence(run(ConjugateGradient(), 9, tmp_path / "run", resume=True)) == essence(run(ConjugateGradient(), 9))


def test_the_seconds_go_on(tmp_path):
    before = run(Online(), 3, tmp_path / "run").history[-1].seconds
    after = [record.seconds for record in run(Online(), 6, tmp_path / "run", resume=True).history]
    assert after[3] == before and after == sorted(after)


def test_the_last_two_are_kept(tmp_path):
    run(Online(), 6, tmp_path / "run", kept={"every": 0})
    names = [path.name for _, path in runfile.numbered(tmp_path / "run")]
    assert len(names) == 2 and sorted(path.name for path in (tmp_path / "run").iterdir()) == sorted([*names, "lock"])


# What is refused


def changed(**parts):
    X, T = parts.pop("X", SINE.X), parts.pop("T", SINE.T)
    network = dr.Network(parts.pop("sizes", SINE.sizes), parts.pop("activations", SINE.activations))
    return dr.Objective(network, parts.pop("loss", SINE.loss), X, T, l2=1e-3, **parts)


REFUSED = {
    "other inputs": ({"X": np.nextafter(SINE.X, 2)}, "other data: the training rows"),
    "other targets": ({"T": SINE.T[::-1]}, "other data: the training rows"),
    "weights of rows": ({"sample_weight": np.arange(25.0)}, "other data: the training rows"),
    "another precision": ({"X": SINE.X.astype(np.float32)}, "the precision was float64 and is float32"),
    "another network": ({"activations": ("logistic", "identity")}, "activations of the network was"),
    "another loss": ({"loss": "huber"}, "the loss was squared_error and is huber"),
}


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", REFUSED)
def test_other_rows_networks_and_numbers_are_refused(tmp_path, name):
    parts, words = REFUSED[name]
    _, w, validation = problem(ConjugateGradient())
    train(changed(), w, "cg", [MaxSteps(2)], validation, checkpoint=tmp_path / "run")
    with pytest.raises(InputError, match=words):
        other = changed(**parts)
        kept = Checkpoint(tmp_path / "run", resume=True)
        train(
            other, w, "cg", [MaxSteps(4)], None if other.network != validation.network else validation, checkpoint=kept
        )


@pytest.mark.promise("P4")
def test_another_method_or_version_of_it_is_refused(tmp_path, monkeypatch):
    run(Online(0.05, rule="adam"), 2, tmp_path / "run")
    for other, words in (
        (ConjugateGradient(), "the method was Online and is ConjugateGradient"),
        (Online(0.06, rule="adam"), "rate of schedule of the method|learning_rate of the method was 0.05 and is 0.06"),
        (Online(0.05, rule="rmsprop"), "rule of the method was Adam and is RMSprop"),
    ):
        with pytest.raises(InputError, match=words):
            run(other, 4, tmp_path / "run", resume=True)
    monkeypatch.setattr(Online, "version", 2)
    with pytest.raises(InputError, match="the version of the method was 1 and is 2"):
        run(Online(0.05, rule="adam"), 4, tmp_path / "run", resume=True)


def test_another_numpy_is_noted(tmp_path, monkeypatch):
    run(Online(), 2, tmp_path / "run")
    monkeypatch.setattr(np, "__version__", "9.9")
    with pytest.warns(RuntimeWarning, match="perhaps not with the same last bits: NumPy of what is installed was"):
        run(Online(), 4, tmp_path / "run", resume=True)


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    run(Online(), 2, tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already; go on with it by"):
        run(Online(), 4, tmp_path / "run")


def test_two_processes_do_not_share_a_run(tmp_path):
    with runfile.held(tmp_path / "run"), pytest.raises(InputError, match="Another process trains the run"):
        run(Online(), 2, tmp_path / "run")
    run(Online(), 2, tmp_path / "run")


def test_places_and_settings_that_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for place, words in (("file", "cannot be made"), ("none/run", "cannot be made"), ("file/run", "cannot be made")):
        with pytest.raises(InputError, match=words):
            run(Online(), 2, tmp_path / place)
    for settings in ({"every": -1}, {"every": float("nan")}, {"every": True}, {"folder": ""}, {"folder": 3}):
        with pytest.raises(SettingError):
            Checkpoint(**{"folder": tmp_path, **settings})
    objective, w, _ = problem(Online())
    with pytest.raises(SettingError, match="checkpoint= or state="):
        train(objective, w, Online(), state=Online().start(objective, w), checkpoint=tmp_path / "run")


def test_a_state_that_cannot_be_kept_is_refused_before_any_step(tmp_path):
    class Odd:
        name, needs, version = "odd", ("value_grad",), 1

        def start(self, objective, w):
            return GradientDescent().start(objective, w)._replace(velocity={"a": w})

        def step(self, objective, state):
            raise AssertionError("a step was made")

    objective, w, _ = problem(Online())
    with pytest.raises(SettingError, match=r"holds a dict \(runs.0.state.velocity\), which a checkpoint cannot keep"):
        train(objective, w, Odd(), checkpoint=tmp_path / "run")


# What is damaged


def newest(folder):
    return runfile.numbered(folder)[0][1]


DAMAGES = {
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "a bit of a number": lambda data: data[:-3] + bytes([data[-3] ^ 1]) + data[-2:],
    "a bit of the header": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "a digit of the history": lambda data: data.replace(b'best_step\\": ', b'best_step\\":1'),
    "longer": lambda data: data + b"\0",
}


@pytest.mark.promise("P3")
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, name):
    method = LevenbergMarquardt()
    run(method, 6, tmp_path / "run", kept={"every": 0})
    path = newest(tmp_path / "run")
    data = path.read_bytes()
    path.write_bytes(DAMAGES[name](data))
    assert path.read_bytes() != data
    words = rf"checkpoint-\d+.safetensors is (?!.*{runfile.FORMAT.again}).*The checkpoint before it, checkpoint-"
    with pytest.warns(RuntimeWarning, match=words):
        found = run(method, checkpoint=tmp_path / "run", resume=True)
    assert essence(found) == essence(run(method))


@pytest.mark.promise("P3")
def test_after_a_damaged_checkpoint_there_are_two_whole_ones_again(tmp_path):
    """With the very next save: another one may be damaged then, and the run goes on."""
    method, folder = LevenbergMarquardt(), tmp_path / "run"
    run(method, 6, folder, kept={"every": 0})
    (_, bad), (_, good) = runfile.numbered(folder)
    bad.write_bytes(b"")
    seen = []

    def killed(record):
        if not seen:  # one save was made, when the run was taken up again
            shutil.copytree(folder, tmp_path / "killed")
        seen.append(record)

    with pytest.warns(RuntimeWarning, match="is used"):
        run(method, 8, folder, resume=True, kept={"every": 1e9}, observe=killed)
    folder = tmp_path / "killed"
    (_, new), *others = runfile.numbered(folder)
    assert [path.name for _, path in others] == [good.name] and new.name > bad.name
    new.write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=f"{good.name}, is used"):
        found = run(method, checkpoint=folder, resume=True)
    assert essence(found) == essence(run(method))
    for _, path in runfile.numbered(folder):
        runfile._read(path)


@pytest.mark.promise("P3")
def test_a_damaged_checkpoint_that_cannot_be_removed_is_so_next_time(tmp_path):
    paths = [runfile.write(tmp_path, runfile.Saved({"step": step}, {})) for step in range(2)]
    with failing() as disk:
        paths.append(runfile.write(tmp_path, runfile.Saved({"step": 2}, {}), paths[1:]))
    assert [path for _, path in runfile.numbered(tmp_path)] == [paths[2], paths[0]]
    paths[1].write_bytes(b"")
    with failing(1 + max(i for i, name in enumerate(disk.asked) if name == "remove")):
        paths.append(runfile.write(tmp_path, runfile.Saved({"step": 3}, {}), paths[1:2]))
    assert [path for _, path in runfile.numbered(tmp_path)] == [paths[3], paths[2], paths[1], paths[0]]
    paths.append(runfile.write(tmp_path, runfile.Saved({"step": 4}, {}), paths[1:2]))
    assert [path for _, path in runfile.numbered(tmp_path)] == [paths[4], paths[3]]


@pytest.mark.promise("P3")
def test_every_bit_of_a_checkpoint_counts(tmp_path):
    run(GradientDescent(), 2, tmp_path / "run")
    path = newest(tmp_path / "run")
    data = path.read_bytes()
    for place in range(0, len(data), 37):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        with pytest.raises(ModelFileError):
            runfile._read(path)


def test_where_both_are_damaged_there_is_no_run(tmp_path):
    run(Online(), 3, tmp_path / "run", kept={"every": 0})
    for _, path in runfile.numbered(tmp_path / "run"):
        path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="is not a deltarule"):
        run(Online(), 4, tmp_path / "run", resume=True)


def rewritten(path, change):
    """Change what a checkpoint says, with the digest that belongs to it."""
    saved, _ = runfile._read(path)
    arrays = dict(saved.arrays)
    content = json.loads(json.dumps(saved.content))
    change(content, arrays)
    path.unlink()
    runfile.write(path.parent, runfile.Saved(content, arrays))


def bad_array(content, arrays):
    arrays["runs.0.state.grad"] = arrays["runs.0.state.grad"][:-1]


LIES = {
    "an array of another shape": bad_array,
    "no such array": lambda content, arrays: arrays.pop("runs.0.state.grad"),
    "weights that are not finite": lambda content, arrays: arrays["runs.0.state.w"].fill(np.nan),
    "a word for a number": lambda content, arrays: content["runs"][0]["state"]["tuple"].__setitem__(1, "low"),
    "another number of fields": lambda content, arrays: content["runs"][0]["state"]["tuple"].pop(),
    "a step beyond the history": lambda content, arrays: content["runs"][0].update(best_step=99),
    "a history of other columns": lambda content, arrays: content["runs"][0]["columns"]["kinds"].pop(),
    "a word that is none": lambda content, arrays: arrays["numbers"].fill(0.5),
    "a run that is none": lambda content, arrays: content["runs"].__setitem__(0, 3),
    "a finished run without weights": lambda content, arrays: content["finished"].append({}),
    "more blocks than there are": lambda content, arrays: content["blocks"].update(number=10**12),
    "blocks that are none": lambda content, arrays: content.update(blocks=[1, "a"]),
    "a digest of no blocks": lambda content, arrays: content["blocks"].update(digest="0" * 64),
    "more records than there are": lambda content, arrays: content["runs"][0].update(records=10**15),
    "a part of another run": lambda content, arrays: content["parts"][0].update(run=1),
    "no parts": lambda content, arrays: content["parts"].clear(),
    "a run twice": lambda content, arrays: content["runs"].append(content["runs"][0]),
    "no records of a run under way": lambda content, arrays: content["runs"][0].update(records=0),
    "nothing": lambda content, arrays: content.clear(),
}


DAMAGED = (
    rf"^(The checkpoint|.*checkpoint-\d{{8}}\.safetensors) is damaged: (?!.*model).* belongs; {runfile.FORMAT.again}\.$"
)
"""What is said of a checkpoint whose values do not fit: which file it is, and what can be done about it."""
IN_OTHER_WORDS = {
    "a word that is none": r"^The checkpoint is damaged: its history holds a number that is no ",
    "more blocks than there are": r"^There is no history file ",
    "a digest of no blocks": rf"is not the one that its checkpoint belongs to; {runfile.FORMAT.again}\.$",
}


@pytest.mark.parametrize("name", LIES)
def test_what_a_checkpoint_says_must_fit(tmp_path, name):
    run(ConjugateGradient(), 3, tmp_path / "run")
    for _, path in runfile.numbered(tmp_path / "run")[1:]:
        path.unlink()
    rewritten(newest(tmp_path / "run"), LIES[name])
    with pytest.raises(ModelFileError, match=IN_OTHER_WORDS.get(name, DAMAGED)):
        run(ConjugateGradient(), 6, tmp_path / "run", resume=True)


def swapped(content, arrays):
    """Have one run a weight more and another one less: together they are as many."""
    content["finished"][0]["weights"] += 1
    content["finished"][1]["weights"] -= 1


def with_weights(change):
    return lambda content, arrays: arrays.update({"finished.w": change(arrays["finished.w"])})


LIES_OF_THE_END = {
    "weights that are whole numbers": with_weights(lambda w: w.astype(np.int64)),
    "weights of another precision": with_weights(lambda w: w.astype(np.float32)),
    "a weight that is not a number": with_weights(lambda w: np.append(w[:-1], np.nan)),
    "an infinite weight": with_weights(lambda w: np.append(np.inf, w[1:])),
    "a weight too many": with_weights(lambda w: np.append(w, 0.5)),
    "weights in two dimensions": with_weights(lambda w: w.reshape(2, -1)),
    "a weight of the other run": swapped,
    "no weights": lambda content, arrays: arrays.pop("finished.w"),
}


@pytest.mark.promise("P8")
@pytest.mark.parametrize("name", LIES_OF_THE_END)
def test_what_a_checkpoint_says_of_finished_runs_must_fit(tmp_path, name):
    settings = {"method": "cg", "l2": 0.0, "max_steps": 2, "restarts": 2}
    dr.fit(waves(), "y", checkpoint=tmp_path / "run", **settings)
    for _, path in runfile.numbered(tmp_path / "run")[1:]:
        path.unlink()
    rewritten(newest(tmp_path / "run"), LIES_OF_THE_END[name])
    with pytest.raises(ModelFileError, match=DAMAGED) as told:
        dr.fit(waves(), "y", checkpoint=Checkpoint(tmp_path / "run", resume=True), **settings)
    assert "weights" in str(told.value)


def test_a_run_that_never_began_may_have_weights_that_are_not_finite(tmp_path):
    """It has no records, and comes to nothing again."""
    settings = {"method": "cg", "l2": 0.0, "max_steps": 2, "restarts": 2}
    dr.fit(waves(), "y", checkpoint=tmp_path / "run", **settings)

    def never(content, arrays):
        of_one = content["finished"][1]["weights"]
        content["finished"][1].update(records=0, step=0, loss=None, reason="NON_FINITE")
        lost, kept = [part for part in content["parts"] if part["run"] == 1], 0
        for part in content["parts"]:
            kept += 0 if part in lost else sum(part["lengths"])
        content["parts"] = [part for part in content["parts"] if part not in lost]
        arrays["numbers"] = arrays["numbers"][:kept]
        arrays["finished.w"] = np.append(arrays["finished.w"][:-of_one], np.full(of_one, np.nan))

    for _, path in runfile.numbered(tmp_path / "run")[1:]:
        path.unlink()
    rewritten(newest(tmp_path / "run"), never)
    found = dr.fit(waves(), "y", checkpoint=Checkpoint(tmp_path / "run", resume=True), **settings)
    assert np.isfinite(found.predict(waves())).all()


# What fails


@pytest.mark.promise("P3")
def test_whichever_operation_fails_there_is_a_whole_checkpoint(tmp_path):
    """The n-th operation fails, for all n: the run goes on, and what is kept at its end goes on to the same bits."""
    method, whole = GradientDescent(0.1), essence(run(GradientDescent(0.1), 3))
    with failing() as disk:
        run(method, 1, tmp_path / "none", kept={"every": 0})
    for n in range(1, len(disk.asked) + 1):
        folder = tmp_path / str(n)
        with failing(n), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                run(method, 1, folder, kept={"every": 0})
            except (TrainingError, InputError):
                assert n <= 1 + disk.asked.index("flush_folder") + 1  # the first checkpoint, which has to be written
        found = run(method, 3, folder, resume=True)
        assert essence(found) == whole, disk.asked[n - 1]


def test_a_checkpoint_that_cannot_be_written_is_told_and_training_goes_on(tmp_path):
    with failing() as disk:
        run(Online(), 3, tmp_path / "whole", kept={"every": 0})
    second = disk.asked.index("write", disk.asked.index("write") + 1) + 1
    with failing(second), pytest.warns(RuntimeWarning, match="No checkpoint this time; the run goes on. Writing"):
        assert len(run(Online(), 3, tmp_path / "run", kept={"every": 0}).history) == 4


KILLED = """
import sys
from runs import run
from deltarule.methods import GradientDescent
print("begun", flush=True)
run(GradientDescent(0.1), 10**9, sys.argv[1], resume=True, kept={"every": 0})
"""


@pytest.mark.promise("P3")
def test_a_process_killed_at_any_moment_leaves_a_run_that_goes_on(tmp_path):
    """Shortened; benchmarks/trust.py does it hundreds of times."""
    steps, folder = 0, tmp_path / "run"
    for pause in (0.0, 0.02, 0.1):
        with subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], cwd=HERE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            time.sleep(pause)
            while not runfile.numbered(folder):
                time.sleep(0.01)
            child.kill()
        assert child.returncode == -signal.SIGKILL
        found = run(GradientDescent(0.1), 1, folder, resume=True)  # has ended: what was kept comes back
        assert len(found.history) > steps
        steps = len(found.history) - 1
        assert essence(found)[:3] == essence(run(GradientDescent(0.1), max(1, steps)))[:3] or steps == 0


# Interrupts


@pytest.mark.promise("P14")
@pytest.mark.parametrize("keep", ["raise", "keep"])
def test_ctrl_c_leaves_a_checkpoint(tmp_path, keep):
    def interrupt(record):
        if record.step == 4:
            raise KeyboardInterrupt

    asked = {"checkpoint": tmp_path / "run", "observe": interrupt, "interrupt": keep}
    if keep == "raise":
        with pytest.raises(KeyboardInterrupt):
            run(ConjugateGradient(), **asked)
    else:
        found = run(ConjugateGradient(), **asked)
        assert found.reason is Reason.INTERRUPTED and len(found.history) == 5
    again = run(ConjugateGradient(), checkpoint=tmp_path / "run", resume=True)
    assert essence(again) == essence(run(ConjugateGradient()))


TERMINATED = """
import sys
from deltarule.methods import Online
from runs import run
def tell(record):
    if record.step == 3:
        print("going", flush=True)
run(Online(), 10**9, sys.argv[1], observe=tell)
"""


@pytest.mark.promise("P14")
def test_sigterm_leaves_a_checkpoint_and_ends_with_143(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-c", TERMINATED, str(folder)]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "going\n"
        child.terminate()
        _, err = child.communicate(timeout=20)
    assert (child.returncode, err) == (143, "")
    found = run(Online(), 1, folder, resume=True)
    assert len(found.history) >= 4 and essence(found)[:3] == essence(run(Online(), len(found.history) - 1))[:3]


def test_sigterm_is_left_alone_where_nobody_asked_and_in_other_threads(tmp_path):
    seen = []

    def tell(record):
        seen.append(signal.getsignal(signal.SIGTERM))

    run(Online(), 1, observe=tell)
    thread = threading.Thread(target=run, args=(Online(), 1, tmp_path / "run"), kwargs={"observe": tell})
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL] * 4
    with pytest.raises(SettingError, match="Unknown interrupt 'stop'"):
        run(Online(), 1, interrupt="stop")


def test_an_interrupt_between_two_records_is_no_half_record():
    """Wherever it comes, what counts is what was whole."""
    objective, w, validation = problem(Online())
    whole = train(objective, w, "cg", [MaxSteps(5)], validation)
    for n in range(1, 40):
        calls = []

        class Interrupting:
            """A validation objective that is interrupted in the middle of a record or a step."""

            network = objective.network

            def value(self, w, n=n, calls=calls):
                calls.append(w)
                if len(calls) == n:
                    raise KeyboardInterrupt
                return validation.value(w)

            working = validation.working

        found = None
        try:
            found = train(objective, w, "cg", [MaxSteps(5)], Interrupting(), interrupt="keep")
        except KeyboardInterrupt:
            assert n == 1
        if found is not None:
            k = len(found.history)
            assert [r.loss for r in found.history] == [r.loss for r in whole.history[:k]] and found.step < k


# Whole fits


def waves():
    x = np.linspace(-2, 2, 120)
    return {"x": x, "y": np.sin(2 * x)}


FITS = {
    "cross-validation": {"max_steps": 8},
    "validation rows": {"method": "cg", "max_steps": 20},
    "side by side": {"method": "rprop", "l2": 0.0, "max_steps": 30, "restarts": 3, "ensemble": 2},
    "online": {"method": "adam", "l2": 0.0, "max_steps": 20},
}


class EnoughError(Exception):
    """The fit is broken off."""


def broken_off(folder, after, **settings):
    """Break a fit off after so many steps of all its runs."""
    seen = []

    def tell(progress):
        seen.append(progress)
        if len(seen) == after:
            raise EnoughError

    with pytest.raises(EnoughError):
        dr.fit(waves(), "y", observe=tell, checkpoint=Checkpoint(folder, 0.0, resume=True), **settings)


@pytest.mark.promise("P4")
@pytest.mark.parametrize("name", FITS)
def test_a_fit_goes_on_to_the_same_file(tmp_path, name):
    from deltarule.modelfile import to_bytes

    settings = FITS[name]
    for after in (2, 11, 5):
        broken_off(tmp_path / "run", after, **settings)
    found = dr.fit(waves(), "y", checkpoint=Checkpoint(tmp_path / "run", resume=True), **settings)
    whole = dr.fit(waves(), "y", **settings)
    assert to_bytes(found) == to_bytes(whole)
    assert [r._replace(seconds=0) for r in found.history] == [r._replace(seconds=0) for r in whole.history]
    again = dr.fit(waves(), "y", checkpoint=Checkpoint(tmp_path / "run", resume=True), **settings)
    assert to_bytes(again) == to_bytes(whole)


def test_another_fit_is_refused(tmp_path):
    settings = {"method": "cg", "l2": 0.0, "max_steps": 3, "checkpoint": Checkpoint(tmp_path / "run", resume=True)}
    dr.fit(waves(), "y", **settings)
    for other, words in (
        ({"seed": 1}, "seed of the plan was 0 and is 1|other data"),
        ({"max_steps": 4}, "stop of|max_steps of the plan"),
        ({"hidden": 3}, "sizes of the network"),
        ({"method": "lm"}, "the method was ConjugateGradient and is LevenbergMarquardt"),
        ({"scaling": "minmax"}, "other data: the table's rows"),
    ):
        with pytest.raises(InputError, match=words):
            dr.fit(waves(), "y", **{**settings, **other})
    with pytest.raises(InputError, match="begun with objects of a program"):
        dr.resume(tmp_path / "run")
    with pytest.raises(InputError, match="There is no run in"):
        dr.resume(tmp_path / "none")
    objective, w = objective_of(SINE)
    with pytest.raises(InputError, match="the call was fit and is train"):
        train(objective, w, checkpoint=Checkpoint(tmp_path / "run", resume=True))


def test_a_table_in_memory_is_not_kept(tmp_path):
    columns = {name: column.tolist() for name, column in waves().items()}
    dr.fit(columns, "y", method="cg", l2=0.0, max_steps=2, checkpoint=tmp_path / "run")
    assert runfile.newest(tmp_path / "run").saved.content["about"]["arguments"] is None


def test_a_goal_of_the_callers_own_may_be_kept_too(tmp_path):
    kept = Checkpoint(tmp_path / "run", about={"output": "m"})
    train(*problem(Online())[:2], "online", [stopping.MaxSteps(1)], checkpoint=kept)
    assert runfile.newest(tmp_path / "run").saved.content["about"]["caller"] == {"output": "m"}
