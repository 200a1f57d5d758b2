"""The training loop, written once: steps, records, stop rules, the best weights.

Progress bars, early stopping, checkpoints and recordings are consumers of what is yielded here.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule import interrupts, methods, preconditioning, sameness
from deltarule.checkpoint import Checkpoint, opened
from deltarule.counting import Counted
from deltarule.divergence import Watch, is_finite, locate, watcher
from deltarule.errors import SettingError
from deltarule.history import History, Result
from deltarule.methods import Method
from deltarule.objective import Objective
from deltarule.observers import Observer
from deltarule.slots import Slot
from deltarule.special import Array
from deltarule.stopping import MaxSteps, MinGrad, Reason, StopRule

DEFAULT_STOP: tuple[StopRule, ...] = (MaxSteps(1000), MinGrad())


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
        If the method is unknown or needs what the objective does not have, or the state is not one of its own.
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
    if state is not None:
        methods.check_state(method, state, objective)
    objective = _prepared(objective, method)
    following, working = _steps(objective, w, method, state), getattr(objective, "working", nullcontext)
    while True:
        with working(), np.errstate(over="ignore", invalid="ignore"):  # `_at_work`, without a generator a step
            state = next(following)
        yield state


def _prepared(objective: Any, method: Method) -> Any:
    """Return what the method makes small, refusing what it cannot."""
    methods.check_needs(method, objective)
    return preconditioning.for_method(objective, method)


def _steps(objective: Any, w: Array, method: Method, state: Any) -> Iterator[Any]:
    """Yield the states; between them nothing is held that the caller would notice."""
    settled = getattr(objective, "settled", None)
    if state is None:
        state = method.start(objective, _begun(objective, w))
        state = state if settled is None else state._replace(w=settled(state.w))
    while True:
        yield state
        state = method.step(objective, state)
        state = state if settled is None else state._replace(w=settled(state.w))


def _begun(objective: Any, w: Array) -> Array:
    """Return the weights to begin with: those given, checked, with a better last layer where the objective has one."""
    checked = objective.weights(w) if callable(getattr(objective, "weights", None)) else w
    begun = getattr(objective, "begun", None)
    return checked if begun is None else begun(checked)


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
    stop: StopRule | Sequence[StopRule] = DEFAULT_STOP,
    validation: Objective | None = None,
    observe: Observer | Sequence[Observer] | None = None,
    state: Any = None,
    interrupt: str = "raise",
    record: Callable[[Any, Method, Any, Any], object] | None = None,
    checkpoint: str | Path | Checkpoint | Slot | None = None,
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
    stop : stop rule or sequence of them
        The first that finds a reason ends the run; see `deltarule.stopping`.
    validation : Objective, optional
        The same network on other rows: its loss is recorded after each step and the weights with the smallest
        one are the result.
    observe : callable or sequence of callables, optional
        Each is called with each `Record`; the run stops after a record for which one returns True.
    state : State, optional
        A state of the same method to go on from, instead of w.
    interrupt : str
        What Ctrl-C does: ``raise`` KeyboardInterrupt, or ``keep``: end the run with its result so far.
    record : callable, optional
        Told objective, method, and the states before and after each step, None before the start; such as
        `deltarule.explain.Recorder`, which explains the steps.
    checkpoint : str, Path or Checkpoint, optional
        The folder that keeps the run, saved every 30 seconds, when it ends, and when it is interrupted; SIGTERM then
        ends it as Ctrl-C does, unless the program answers that signal itself. See `deltarule.checkpoint.Checkpoint`
        for how to go on with a run, which gives the same bits as if it had never ended.

    Returns
    -------
    Result
        Weights, loss, the reason it ended, and the history.

    Raises
    ------
    SettingError, InputError
        As `steps`.
    """
    stop = (stop,) if callable(stop) and not isinstance(stop, type) else stop
    if not isinstance(stop, Sequence) or not all(callable(rule) for rule in stop):
        raise SettingError(f"stop was {stop!r}; give a list of stop rules such as [stopping.MaxSteps(200)].")
    if validation is not None and not callable(getattr(validation, "value", None)):
        kind = type(validation).__name__
        raise SettingError(f"validation was of type {kind}; give an Objective of the same network on other rows.")
    if validation is not None and getattr(validation, "network", None) != getattr(objective, "network", None):
        raise SettingError("The validation objective has another network than the one trained; use the same.")
    method, keep = methods.get(method), interrupts.keeps(interrupt)
    observers = _observers(observe)
    if checkpoint is not None and state is not None:
        raise SettingError("A run that begins with another's state cannot be kept; give checkpoint= or state=.")
    if state is not None:
        methods.check_state(method, state, objective)
    run = History(Counted(_prepared(objective, method)), validation)
    try:
        with (
            _kept(checkpoint, objective, validation, method, stop, w) as slot,
            _at_work(run.counted),
            _at_work(validation),
        ):
            return _run(run, w, method, stop, observers, state, record, slot)
    except interrupts.INTERRUPTS:
        at = run.broken_off()
        if not keep or at is None:
            raise
        return run.end(at.state, Reason.INTERRUPTED)


@contextmanager
def _kept(
    checkpoint: str | Path | Checkpoint | Slot | None, objective: Any, validation: Any, method: Method, stop: Any,
    w: Any,
) -> Iterator[Slot | None]:  # fmt: skip
    """Give the place of a run in a checkpoint, None if there is to be none."""
    if checkpoint is None or isinstance(checkpoint, Slot):
        yield checkpoint
        return
    with interrupts.sigterm_raises():
        about = sameness.of_training(objective, validation, method, stop, w)
        with opened(checkpoint, about) as keeper:
            yield keeper.slot()


def _observers(observe: Observer | Sequence[Observer] | None) -> tuple[Observer, ...]:
    given = () if observe is None else (observe,) if callable(observe) else observe
    if not isinstance(given, Sequence) or not all(callable(one) for one in given):
        raise SettingError(f"observe was {observe!r}; give a function of a Record, or a list of such functions.")
    return tuple(given)


def _run(
    run: History, w: Array, method: Method, stop: Sequence[StopRule], observers: Sequence[Observer], state: Any,
    tell: Callable[[Any, Method, Any, Any], object] | None, slot: Slot | None,
) -> Result:  # fmt: skip
    counted = run.counted
    if slot is not None:
        state = _resume(run, w, method, slot)
        slot.note(run)
    watch: Watch | None = None
    for following in _steps(counted, w, method, state):
        last, stopped = run.last, False
        if following is not last:
            watch = watch or watcher(following)
            fine, square = watch(following)
            if not fine and not is_finite(following):
                what = _bad_start(following) if last is None else locate(counted.objective, method, last, following)
                message = f"{what} It happened in step {len(run.history)}." if run.history else what
                return run.end(following if last is None else last, Reason.NON_FINITE, message)
            record = run.add(following, square)
            if tell is not None:
                tell(counted.objective, method, last, following)
            if observers:  # each is told, whatever another says
                stopped = sum(observer(record) is True for observer in observers) > 0
        if slot is not None:
            slot.note(run)
        reason = None
        for rule in stop:
            reason = rule(run.history)
            if reason is not None:
                break
        if following.stuck:
            return run.end(following, Reason.NO_DESCENT, f"{Reason.NO_DESCENT.value[:-1]}: {following.stuck}.")
        if reason is not None or stopped:
            return run.end(following, reason or Reason.CALLER)
    raise AssertionError("steps never ends")


def _resume(run: History, w: Array, method: Method, slot: Slot) -> Any:
    """Put a run where it stood when it was saved, and return its state; None if it is a new one.

    A state is what it is by what a new run of this method begins with, so one is begun and forgotten.
    """
    counted = run.counted
    if not slot.under_way:
        return None
    found = slot.restored(method.start(counted, _begun(counted, w)))
    if found is None:
        return None
    standing, records = found
    run.go_on(standing, records)
    settled = getattr(counted, "settled", None)
    if settled is not None:
        settled(standing.state.w)  # known from here on, as it was
    counted.passes = records[-1].passes
    return standing.state


def _bad_start(state: Any) -> str:
    xp = array_namespace(state.w)
    where = "the weights" if not bool(xp.all(xp.isfinite(state.w))) else "the loss"
    kind = "finite" if isfinite(state.loss) else str(float(state.loss))
    return f"At the start {where} cannot be used (loss {kind}); give smaller weights or rescale the inputs."
