"""From the parameter `solver` and those that belong to it to a method."""

from dataclasses import dataclass, replace
from math import nextafter
from typing import Any

from deltarule import methods
from deltarule.errors import SettingError
from deltarule.estimators import parameters
from deltarule.methods import LBFGS, Method, Online
from deltarule.methods.rules import Adam, Momentum, Nesterov, Plain
from deltarule.methods.schedules import Constant, Schedule

MINI_BATCH = ("sgd", "adam")
"""scikit-learn's solvers that take the optimiser's parameters, such as batch_size."""
AUTO_ROWS = 200
"""Rows of a mini-batch, where they are not given."""
PAIRS = 10
"""Pairs of changes that ``lbfgs`` keeps: SciPy's maxcor."""
REACH = 0.15
"""How far its γ reaches, see `deltarule.methods.lbfgs`. Of 0, 0.15, 0.25, 0.35 and 0.5, it comes lowest or second
lowest on 6 of 7 problems of benchmarks/sklearn_face.py in 60 passes, four starts each, and on all 7 in 200."""
NEARLY_ONE = nextafter(1.0, 0.0)
"""scikit-learn accepts a momentum of 1; the rules here want it below, so that the velocity of the past fades."""


@dataclass(frozen=True)
class RowsSeen(Schedule):
    """The plan ``invscaling`` of scikit-learn: the rate η / (rows seen + 1)^power, moved once an epoch.

    Parameters
    ----------
    rate : float
        η.
    power : float
        The exponent.
    n_rows : int
        Rows of an epoch.
    seen : int
        Rows seen before `first`.
    first : int
        The epoch with which this fit begins.
    """

    rate: float
    power: float
    n_rows: int
    seen: int = 0
    first: int = 0

    def at(self, epoch: float) -> float:
        """Return the rate when so many epochs have passed."""
        seen = self.seen + (int(epoch) - self.first) * self.n_rows
        return float(self.rate / (seen + 1) ** self.power)


def is_incremental(solver: Any) -> bool:
    """Return whether a solver can go on with other rows, as `partial_fit` asks for."""
    if isinstance(solver, str):
        return solver in MINI_BATCH or methods.ALIASES.get(solver, (solver,))[0] == Online.name
    return isinstance(solver, Online)


def batch_rows(owner: Any, n_rows: int) -> int:
    """Return how many rows a mini-batch of ``sgd`` and ``adam`` has."""
    asked = AUTO_ROWS if owner.batch_size == "auto" else int(owner.batch_size)
    return min(asked, n_rows)


def method(owner: Any, n_rows: int, seen: int, epochs: int, seed: int) -> Method:
    """Return the method that an estimator's parameters describe.

    Parameters
    ----------
    owner : estimator
        Its parameters.
    n_rows : int
        Rows to train on.
    seen, epochs : int
        Rows seen, and epochs made, by the runs that are gone on with.
    seed : int
        The seed of a method given by name that wants one.

    Raises
    ------
    InvalidParameterError
        If there is no such method.
    """
    solver = owner.solver
    if isinstance(solver, str) and solver in MINI_BATCH:
        rule, rate = _rule(owner), float(owner.learning_rate_init)
        schedule: Schedule = Constant(rate)
        if solver == "sgd" and owner.learning_rate == "invscaling":
            schedule = RowsSeen(rate, float(owner.power_t), n_rows, seen, epochs)
        return Online(schedule, batch_rows(owner, n_rows), rule, owner.shuffle)
    if isinstance(solver, str) and solver == "lbfgs":
        return LBFGS(memory=PAIRS, reach=REACH, preconditioned=False)  # from the weights that scikit-learn begins with
    try:
        found = methods.get(solver)
    except SettingError as error:
        known = [*dict.fromkeys(["adam", "sgd", "lbfgs", *methods.METHODS])]
        raise parameters.refused(owner, "solver", f"one of {known}, another name of theirs, or a method") from error
    if isinstance(solver, str) and "seed" in getattr(found, "__dataclass_fields__", ()):
        found = replace(found, seed=seed)  # type: ignore[type-var]
    return found


def _rule(owner: Any) -> Any:
    if owner.solver == "adam":
        return Adam(float(owner.beta_1), float(owner.beta_2), float(owner.epsilon))
    if owner.momentum == 0:
        return Plain()
    rule = Nesterov if owner.nesterovs_momentum else Momentum
    return rule(min(float(owner.momentum), NEARLY_ONE))
