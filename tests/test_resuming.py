"""Exact resumption across processes: n steps, a file, a new process, m steps: the same bits as n + m steps."""

import pickle
import subprocess
import sys
from pathlib import Path

from deltarule import methods
from problems import SINE
from test_methods import PENALTY, RESUMED, objective_of, path, same

BEFORE, AFTER = 6, 9
SCRIPT = """
import pickle, sys
from test_resuming import resumed
with open(sys.argv[1], "rb") as file:
    kept = pickle.load(file)
with open(sys.argv[2], "wb") as file:
    pickle.dump({name: resumed(name, *state) for name, state in kept.items()}, file)
"""
CASES = {**RESUMED, **{alias: methods.get(alias) for alias in methods.ALIASES}}


def run(name, method, w=None, state=None, n=BEFORE + AFTER):
    """Return the last of the states of n steps on a table of its own."""
    objective, start = objective_of(SINE, l2=PENALTY.get(method.name, 1e-3))
    return path(objective, start if w is None else w, method, n, state)[-1]


def resumed(name, method, state):
    """Return the state after the steps that are left."""
    return run(name, method, state=state, n=AFTER)


def test_every_method_goes_on_in_a_new_process(tmp_path):
    """One process for all methods and names, as what it takes to begin one is most of the time."""
    kept, ended = tmp_path / "kept", tmp_path / "ended"
    states = {name: run(name, method, n=BEFORE) for name, method in CASES.items()}
    going_on = {name: (CASES[name], state) for name, state in states.items() if not state.stuck}
    kept.write_bytes(pickle.dumps(going_on))
    command = [sys.executable, "-c", SCRIPT, str(kept), str(ended)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent, timeout=120)
    ends = pickle.loads(ended.read_bytes())
    assert {method.name for method in (CASES[name] for name in ends)} == set(methods.METHODS)
    different = [name for name, state in ends.items() if not same(state, run(name, CASES[name]))]
    assert not different
