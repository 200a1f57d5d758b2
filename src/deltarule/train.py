"""The training loop, written once: steps, records, stop rules, the best weights.

Progress bars, early stopping, checkpoints and recordings are consumers of what is yielded here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import inf, isfinite, isnan
from time import perf_counter
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule import methods
from deltarule.divergence import is_finite, locate
from deltarule.errors import SettingError
from deltarule.methods import Method, State
from deltarule.objective import Objective
from deltarule.record import Record
from deltarule.special import Array
from deltarule.stopping import MaxSteps, MinGrad, Reason, StopRule

DEFAULT_STOP: tuple[StopRule, ...] = (MaxSteps(1000), MinGrad())
Observer = Callable[[Record], object]
"""Told each record; returning True stops the run."""


@dataclass(frozen=True)
class Result:
    """The end of a run.

    Parameters
    ----------
    w : array of shape (p,)
        The weights: the best on the validation rows where there are any, otherwise the last finite ones.
    loss : float
        The objective at those weights as the run recorded it.
    reason : Reason
        Why the run ended.
    message : str
        The reason as a sentence, with its particulars.
    history : list of Record
        One record a step, the start first.
    step : int
        The step that w comes from.
    state : State
        The last finite state of the method, from which ``train(..., state=...)`` goes on.
    """

    w: Array
    loss: float
    reason: Reason
    message: str
    history: list[Record]
    step: int
    state: State

    @property
    def converged(self) -> bool:
        """Whether the run ended at a goal, a flat place or the validation minimum, and no higher than it began."""
        if not self.history or self.loss > self.history[0].loss:
            return False
        return self.reason in (Reason.GOAL, Reason.MIN_GRAD, Reason.VALIDATION, Reason.STALLED)


class Counted:
    """An objective that counts passes over the rows, whatever they are for."""

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self.passes = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.objective, name)
        if name not in ("value", "value_grad", "gauss_newton", "gauss_newton_product", "epoch"):
            return found

        def counted(w: Array, *arguments: Any) -> Any:
            share = len(arguments[2]) / self.objective.n_rows if name == "epoch" else 1.0
            self.passes += share
            return found(w, *arguments)

        return counted


def steps(objective: Any, w: Array, method: Any = "conjugate_gradient", state: Any = None) -> Iterator[Any]:
    """Yield the method's states: the start first, then the one after each step, for ever.

    Parameters
    ----------
    objective : Objective
        What is made small; for methods that need no rows any object with ``value_grad(w)``.
    w : array of shape (p,)
        The weights to start from; they are copied.
    method : str or Method
        How the next weights are chosen.
    state : State, optional
        A state of the same method to go on from, instead of w.

    Raises
    ------
    SettingError
        If the method is unknown or needs what the objective does not have.
    InputError
        If w does not fit or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from itertools import islice
    >>> from deltarule import Network, Objective
    >>> net = Network((1, 1))
    >>> line = Objective(net, "squared_error", [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> *_, last = islice(steps(line, np.zeros(2)), 6)
    >>> last.w.round(6)
    array([2., 1.])
    """
    method = methods.get(method)
    methods.check_needs(method, objective)
    if state is None:
        start = objective.weights(w) if callable(getattr(objective, "weights", None)) else w
        with _at_work(objective):
            state = method.start(objective, start)
    yield state
    while True:
        with _at_work(objective):
            state = method.step(objective, state)
        yield state


@contextmanager
def _at_work(objective: Any) -> Iterator[None]:
    """Surround what computes: the engine's own context, and no warnings of overflow on the way.

    A step that ends non-finite is named, and a line search steps back from one: neither is news.
    """
    with getattr(objective, "working", nullcontext)(), np.errstate(over="ignore", invalid="ignore"):
        yield


def train(
    objective: Any,
    w: Array,
    method: Any = "conjugate_gradient",
    stop: Sequence[StopRule] = DEFAULT_STOP,
    validation: Objective | None = None,
    observe: Observer | None = None,
    state: Any = None,
    keep_on_interrupt: bool = False,
) -> Result:
    """Train until a stop rule finds a reason, the method can go no further, or a value becomes non-finite.

    Parameters
    ----------
    objective : Objective
        What is made small.
    w : array of shape (p,)
        The weights to start from; they are copied.
    method : str or Method
        How the next weights are chosen.
    stop : sequence of stop rules
        The first that finds a reason ends the run; see `deltarule.stopping`.
    validation : Objective, optional
        The same network on other rows: its loss is recorded after each step and the weights with the smallest
        one are the result.
    observe : callable, optional
        Called with each `Record`; returning True stops the run.
    state : State, optional
        A state of the same method to go on from, instead of w.
    keep_on_interrupt : bool
        Whether Ctrl-C ends the run with its result so far instead of raising KeyboardInterrupt.

    Returns
    -------
    Result
        Weights, loss, the reason it ended, and the history.

    Raises
    ------
    SettingError, InputError
        As `steps`.
    """
    if not isinstance(stop, Sequence) or not all(callable(rule) for rule in stop):
        raise SettingError(f"stop was {stop!r}; give a list of stop rules such as [stopping.MaxSteps(200)].")
    if validation is not None and validation.network != getattr(objective, "network", None):
        raise SettingError("The validation objective has another network than the one trained; use the same.")
    run = _History(Counted(objective), validation)
    try:
        return _run(run, w, methods.get(method), stop, observe, state)
    except KeyboardInterrupt:
        if not keep_on_interrupt or run.last is None:
            raise
        return run.end(run.last, Reason.INTERRUPTED)


def _run(
    run: "_History", w: Array, method: Method, stop: Sequence[StopRule], observe: Observer | None, state: Any
) -> Result:
    counted = run.counted
    for following in steps(counted, w, method, state):
        last = run.last
        if not is_finite(following):
            with _at_work(counted):
                what = _bad_start(following) if last is None else locate(counted.objective, method, last, following)
            message = f"{what} It happened in step {len(run.history)}." if run.history else what
            return run.end(following if last is None else last, Reason.NON_FINITE, message)
        record = run.add(following)
        stopped = observe is not None and observe(record) is True
        reason = next((found for rule in stop if (found := rule(run.history)) is not None), None)
        if following.stuck:
            return run.end(following, Reason.NO_DESCENT, f"{Reason.NO_DESCENT.value[:-1]}: {following.stuck}.")
        if reason is not None or stopped:
            return run.end(following, reason or Reason.CALLER)
    raise AssertionError("steps never ends")


class _History:
    """The history of a run and the best weights in it."""

    def __init__(self, counted: Counted, validation: Objective | None) -> None:
        self.counted, self.validation = counted, validation
        self.penalty = getattr(counted, "penalty", None)
        self.history: list[Record] = []
        self.last: Any = None
        self.best_w: Array = None
        self.best_score = inf
        self.best_step = 0
        self.started = perf_counter()

    def add(self, state: Any) -> Record:
        with _at_work(self.validation):
            record = self._record(state)
        self.last = state
        self.history.append(record)
        return record

    def _record(self, state: Any) -> Record:
        step = len(self.history)
        checked = None if self.validation is None else self.validation.value(state.w)
        score = state.loss if checked is None else checked
        if score < self.best_score or self.best_w is None:
            self.best_w, self.best_step = state.w, step
            self.best_score = inf if isnan(score) else score  # after a NaN everything is better
        grad = getattr(state, "grad", None)
        return Record(
            step=step,
            passes=self.counted.passes,
            seconds=perf_counter() - self.started,
            loss=float(state.loss),
            validation_loss=checked,
            gradient_size=None if grad is None else float(grad @ grad) ** 0.5,
            best_step=self.best_step,
            fails=step - self.best_step,
            penalty=0.0 if self.penalty is None else self.penalty(state.w),
        )

    def end(self, last: Any, reason: Reason, message: str = "") -> Result:
        if self.validation is None or not self.history:
            w, loss, step = last.w, float(last.loss), max(0, len(self.history) - 1)
        else:
            w, loss, step = self.best_w, self.history[self.best_step].loss, self.best_step
        return Result(w, loss, reason, message or reason.value, self.history, step, last)


def _bad_start(state: Any) -> str:
    xp = array_namespace(state.w)
    where = "the weights" if not bool(xp.all(xp.isfinite(state.w))) else "the loss"
    kind = "finite" if isfinite(state.loss) else str(float(state.loss))
    return f"At the start {where} cannot be used (loss {kind}); give smaller weights or rescale the inputs."
