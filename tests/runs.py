"""What the tests of runs on disk share: runs on a small table, begun, cut and gone on with; what must be the same."""

import numpy as np

from deltarule import Checkpoint, train
from deltarule.stopping import MaxFail, MaxSteps
from problems import SINE
from test_methods import PENALTY, objective_of

STEPS = 15


def problem(method, l2=1e-3):
    """Return objective, initial weights and validation objective, new ones each time as in a new process."""
    objective, w = objective_of(SINE, l2=PENALTY.get(method.name, l2))
    return objective, w, objective_of(SINE)[0]


def run(method, steps=STEPS, checkpoint=None, resume=False, **settings):
    """Return the result of a run, or of what is left of one."""
    objective, w, validation = problem(method)
    kept = None if checkpoint is None else Checkpoint(checkpoint, resume=resume, **settings.pop("kept", {}))
    stop = [MaxSteps(steps), MaxFail(settings.pop("fails", 100))]
    return train(objective, w, method, stop, validation, checkpoint=kept, **settings)


def essence(result):
    """All that must be the same, to the bit: weights, history but for the seconds, state, how it ended."""
    history = [repr(record._replace(seconds=0.0)) for record in result.history]
    state = [part.tobytes() if isinstance(part, np.ndarray) else repr(part) for part in result.state]
    return result.w.tobytes(), history, state, result.step, result.loss, result.reason, result.message
