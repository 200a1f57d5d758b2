"""No method calls a run a success that ended higher than it began, whatever the scale of rows and weights."""

import numpy as np
import pytest

from deltarule import Network, Objective, train
from deltarule.stopping import Goal, MaxSteps, MinGrad, Stalled

PROBLEMS = 200
STOP = [MaxSteps(40), MinGrad(), Stalled(1e-3, 4), Goal(1e-6)]
HIDDEN_LAYER = ("tanh", "logistic", "softsign", "relu", "identity", "gaussian")


def problem(seed):
    """Return a small objective whose columns, targets and first weights lie up to nine powers of ten apart."""
    rng = np.random.default_rng(seed)
    n_in, hidden, n_out, rows = rng.integers(1, 5, size=4) * (1, 1, 1, 4)
    network = Network((n_in, hidden, n_out), (str(rng.choice(HIDDEN_LAYER)), "identity"))
    X = rng.normal(size=(rows, n_in)) * 10 ** rng.uniform(-4, 5, size=n_in)
    T = rng.normal(size=(rows, n_out)) * 10 ** rng.uniform(-4, 5, size=n_out)
    return Objective(network, "squared_error", X, T), rng.normal(size=network.n_weights) * 10 ** rng.uniform(-3, 2)


RUNNING_MEAN = ("online",)
"""Methods whose loss is not the objective at w."""
MOVING = ("bayesian_regularization",)
"""Methods whose objective changes with what they estimate."""
CLIMBING = ("gradient_descent", "rprop")
"""Methods that may go up, and then say so."""


def test_success_is_never_claimed_for_a_rise(method_name):
    """And the loss that is told is the loss at the weights that are returned."""
    successes = 0
    for seed in range(PROBLEMS):
        objective, w = problem(seed)
        result = train(objective, w, method_name, STOP)
        with np.errstate(over="ignore"):  # online steps may end far out
            start, end = objective.value(w), objective.value(result.w)
        highest = start * (1 + 1e-9)
        successes += result.converged
        assert np.all(np.isfinite(result.w)), seed
        assert not result.converged or result.loss <= result.history[0].loss, seed
        if method_name in RUNNING_MEAN:
            continue
        assert not result.converged or end <= highest, seed
        if method_name not in MOVING:
            assert result.loss == pytest.approx(end, rel=1e-8), seed
            assert method_name in CLIMBING or result.loss <= highest, seed
    assert successes
