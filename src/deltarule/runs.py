"""Runs: a candidate trained once, from one seed, or from several seeds side by side.

Runs that are side by side share the rows and nothing else. The kernels let go of Python's lock while they compute, and
sums over rows do not depend on threads, so each run has the same bits as if it were alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf, isfinite
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import cholesky, interrupts
from deltarule.checkpoint import Keeper
from deltarule.engines import native
from deltarule.history import Result
from deltarule.losses import Loss
from deltarule.methods import Method, Online
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.plan import Candidate, Plan
from deltarule.record import Record
from deltarule.slots import CUT_OFF
from deltarule.stopping import Reason
from deltarule.train import train

Floats = NDArray[np.float64]
Part = tuple[Floats, Floats]
"""Inputs X (n, n_in) and targets T (n, n_out) of some rows."""
__all__ = ["CUT_OFF", "Part", "Progress", "Run", "Runs", "Setting"]


class Progress(NamedTuple):
    """What an observer of `fit` is told after each step."""

    record: Record
    run: int
    runs: int
    max_steps: int


class Setting(NamedTuple):
    """What all runs have in common."""

    network: Callable[[tuple[int, ...]], Network]
    loss: Loss
    plan: Plan
    seed: int
    observe: Callable[[Progress], object] | None
    keep: bool
    restarts: int = 1
    ensemble: int = 1
    keeper: Keeper | None = None

    @property
    def seeds(self) -> range:
        """The seeds of the last runs: member after member, each with its restarts."""
        return range(self.seed, self.seed + self.restarts * self.ensemble)


class Run(NamedTuple):
    """A candidate trained once: its network, how the run ended, its seed and the rows it was trained on."""

    candidate: Candidate
    network: Network
    result: Result
    seed: int
    rows: Part

    @property
    def came_to_nothing(self) -> bool:
        """Whether no step was made with a finite loss."""
        return not self.result.history or (self.result.reason is Reason.NON_FINITE and self.result.step == 0)

    @property
    def validation_loss(self) -> float | None:
        """The loss on the validation rows at the weights kept; None where there were no such rows."""
        return self.result.history[self.result.step].validation_loss if self.result.history else None

    @property
    def score(self) -> float:
        """What runs are compared by: the validation loss, or without validation rows the objective.

        It is infinite for a run that came to nothing.
        """
        if self.came_to_nothing:
            return inf
        score = self.result.loss if self.validation_loss is None else self.validation_loss
        return score if isfinite(score) else inf


class Runs:
    """Runs on one table, each told to the observer with its number, until somebody outside ends them.

    Parameters
    ----------
    setting : Setting
        What they have in common.
    count : int
        How many there will be at most.
    """

    def __init__(self, setting: Setting, count: int) -> None:
        self.setting, self.count = setting, count
        self.ended = self.interrupted = False
        self._telling = Lock()

    def run(
        self, number: int, candidate: Candidate, training: Part, validation: Part | None = None, seed: int | None = None
    ) -> Run:
        """Train a candidate; the validation rows, if any, say which weights are kept.

        The seed, the setting's own unless given, is that of the initial weights and of the orders of online training.
        """
        setting, (X, T) = self.setting, training
        seed = setting.seed if seed is None else seed
        network = setting.network(candidate.hidden)
        slot = None if setting.keeper is None else setting.keeper.slot(number)
        ranges = np.column_stack([X.min(axis=0), X.max(axis=0)])
        start = network.initial_weights(seed, input_ranges=ranges)
        if slot is not None and (result := slot.result(start)) is not None:
            return Run(candidate, network, result, seed, training)
        objective = Objective(network, setting.loss, X, T, l2=candidate.l2)
        held_out = None if validation is None else Objective(network, setting.loss, *validation)
        method = _in_orders_of(setting.plan.method, seed - setting.seed)
        with np.errstate(all="ignore"):  # train finds and names what becomes non-finite
            result = train(
                objective, start, method, setting.plan.stop, held_out, lambda record: self._tell(record, number),
                interrupt="keep" if setting.keep else "raise", checkpoint=slot,
            )  # fmt: skip
        if slot is not None:
            slot.finish(result)
        if result.reason is Reason.INTERRUPTED:
            self.interrupted = self.ended = True
        elif self.interrupted and result.reason is Reason.CALLER:
            result = replace(result, reason=Reason.INTERRUPTED, message=Reason.INTERRUPTED.value)
        return Run(candidate, network, result, seed, training)

    def side_by_side(
        self, first: int, seeds: Sequence[int], candidate: Candidate, training: Part, validation: Part | None = None
    ) -> list[Run]:
        """Train a candidate from several seeds; the runs are numbered from `first`.

        Once the runs are ended from outside, those under way end at their next step and no further ones begin: they
        are missing in what is returned. The observer is called by the threads that train, one call at a time.
        """
        if len(seeds) < 2:
            return [self.run(first, candidate, training, validation, seed) for seed in seeds if not self.ended]

        def one(number: int, seed: int) -> Run | None:
            if self.ended:
                return None
            try:
                return self.run(number, candidate, training, validation, seed)
            except BaseException:
                self.ended = True  # the others would be in vain
                raise

        # Each run has its engine's context, which for BLAS is one for the whole process: the outermost one restores it.
        working = Objective(self.setting.network(candidate.hidden), self.setting.loss, *training).working()
        pool = ThreadPoolExecutor(min(len(seeds), native.n_threads()), "deltarule run")
        with working, cholesky.one_thread(), interrupts.answered(self._end) as answer, pool:
            futures = [pool.submit(one, first + i, seed) for i, seed in enumerate(seeds)]
        if self.interrupted and not self.setting.keep:
            raise answer.came()
        return [found for future in futures if (found := future.result()) is not None]

    def _end(self) -> bool:
        """Have the runs end at their next step; return False if they have been told so before.

        An interrupt reaches the main thread, which waits for those that train: an exception there would leave locks
        locked.
        """
        if self.interrupted:
            return False
        self.interrupted = self.ended = True
        return True

    def _tell(self, record: Record, number: int) -> bool:
        """Tell the observer of a step, and return whether the run is to end."""
        if self.setting.observe is not None and not self.ended:
            with self._telling:
                progress = Progress(record, number, self.count, self.setting.plan.max_steps)
                if not self.ended and self.setting.observe(progress) is True:
                    self.ended = True  # never False: an interrupt may have come while the observer was at work
        return self.ended


def _in_orders_of(method: Method, offset: int) -> Method:
    """Return the method with the orders of another seed, if it goes through the rows in an order."""
    return replace(method, seed=method.seed + offset) if offset and isinstance(method, Online) else method
