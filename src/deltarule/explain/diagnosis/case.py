"""A case: what is diagnosed, and all that is measured of it, each thing once and only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import methods
from deltarule.engines.array import Pass
from deltarule.explain import health, health_rows
from deltarule.explain.diagnosis import curvature
from deltarule.explain.diagnosis.curvature import Spectrum, WayOut
from deltarule.explain.health import Health
from deltarule.explain.health_recorder import HealthRecorder
from deltarule.explain.health_rows import Sample
from deltarule.explain.names import Names
from deltarule.methods import ConjugateGradient, LevenbergMarquardt, Method
from deltarule.network import Network
from deltarule.objective import Objective
from deltarule.stopping import MaxPasses, MaxSteps, MinGrad, Reason
from deltarule.train import steps, train

Floats = NDArray[np.float64]

FEW_WEIGHTS = 200
"""Up to so many weights fresh starts are trained by Levenberg-Marquardt."""
PASSES = 60
"""Passes over the rows that a clone is trained for."""
SHARES = (1.0, 0.1, 0.01, 1e-3, 1e-4)
"""Shares of the penalty that are tried on rows held out."""
RESTARTS = 8
"""Fresh starts that a place is compared with."""

PLAIN = ConjugateGradient(preconditioned=False)
"""What weights are judged by: it begins with them as they are."""


@dataclass(frozen=True)
class Case:
    """What is diagnosed.

    Parameters
    ----------
    taken : Sample
        The rows, the network, the loss, the penalty.
    w : array of shape (p,)
        Where training stands.
    names : Names
        Names of columns and neurons.
    method : Method or None
        How it was trained, where that is known.
    losses : array
        The objective after each step of the run, the start first; empty where it is not known.
    reason : Reason or None
        Why the run ended.
    recorder : HealthRecorder or None
        The health of the neurons in the run.
    """

    taken: Sample
    w: Floats
    names: Names
    method: Method | None = None
    losses: Floats = field(default_factory=lambda: np.zeros(0))
    reason: Reason | None = None
    recorder: HealthRecorder | None = None

    @property
    def objective(self) -> Objective:
        """The objective on the rows that are looked at."""
        return self.taken.objective

    @property
    def network(self) -> Network:
        """Sizes and activations."""
        return self.taken.network

    @cached_property
    def trace(self) -> Pass:
        """What arrives in every neuron, and what it puts out."""
        return self.taken.trace(self.w)

    @cached_property
    def row_losses(self) -> Floats:
        """What each row loses, (n,)."""
        return health_rows.losses_of(self.taken.loss, self.trace, self.taken.T)

    @cached_property
    def loss(self) -> float:
        """The mean loss, without penalty."""
        s = self.objective.rows.s
        return float(self.row_losses.mean() if s is None else (s * self.row_losses).mean())

    @cached_property
    def baseline(self) -> float:
        """The mean loss of the best constant outputs."""
        return health_rows.baseline(self.objective)

    @property
    def excess(self) -> float:
        """The loss as a share of the baseline: 1 is what a constant loses."""
        return self.loss / self.baseline if self.baseline > 0 else inf

    @cached_property
    def value_grad(self) -> tuple[float, Floats]:
        """The objective and its gradient at w."""
        with np.errstate(all="ignore"):
            value, grad = self.objective.value_grad(self.w)
        return float(value), np.asarray(grad, dtype=float)

    @property
    def value(self) -> float:
        """The objective at w, penalty included."""
        return self.value_grad[0]

    @property
    def grad(self) -> Floats:
        """The gradient at w."""
        return self.value_grad[1]

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are finite."""
        return isfinite(self.value) and bool(np.all(np.isfinite(self.grad)))

    @cached_property
    def health(self) -> Health:
        """Slopes per neuron; sizes of weights, gradient and next step per layer."""
        return health.of_sample(self.taken, self.w, self.step, self.baseline, self.names)

    @cached_property
    def step(self) -> Floats | None:
        """The change of w in the next step of the method; None where there is none or it is not finite."""
        if self.method is None or not self.finite:
            return None
        with np.errstate(all="ignore"):
            *_, state = islice(steps(self.objective, self.w, self.method), 2)
            change = np.asarray(state.w, dtype=float) - self.w
        return change if np.all(np.isfinite(change)) and np.any(change) else None

    @cached_property
    def heard(self) -> float:
        """The variance of the outputs over the rows, as a share of the targets'."""
        targets = float(self.taken.T.var(axis=0).sum())
        with np.errstate(all="ignore"):
            return float(self.trace.Y[-1].var(axis=0).sum()) / targets if targets > 0 else 1.0

    def since(self, trouble: str) -> dict[str, int]:
        """Return for neurons the step since which a trouble of `health_recorder.Course` has lasted, where recorded."""
        courses = [] if self.recorder is None else self.recorder.courses
        return {one.last.name: step for one in courses if (step := getattr(one, trouble)) is not None}

    @property
    def promise(self) -> float:
        """The share of the objective that the slope promises, |g|² / 2λ for the largest curvature λ."""
        size, bend = abs(self.value), abs(self.spectrum.largest)
        with np.errstate(all="ignore"):
            length = float(self.grad @ self.grad)
        return length / (2 * bend * size) if length and bend * size > 0 else 0.0

    @cached_property
    def spectrum(self) -> Spectrum:
        """The extreme curvatures of the Hessian."""
        return curvature.of_objective(self.objective, self.w)

    @cached_property
    def gauss_newton(self) -> float:
        """The largest curvature of the Gauss-Newton matrix: how much any direction changes the outputs."""
        return curvature.largest_gauss_newton(self.objective, self.w)

    @cached_property
    def way_out(self) -> WayOut:
        """The lowest place along the direction of the smallest curvature."""
        return curvature.walk(self.objective, self.w, self.spectrum.direction)

    @cached_property
    def continued(self) -> float:
        """The objective after `PASSES` more passes of conjugate gradients from w."""
        return descend(self.objective, self.w)

    @cached_property
    def stays(self) -> float:
        """The share of the objective that as many passes of the method itself leave."""
        return self.trained(self.method, PASSES) / self.value if self.value > 0 else 1.0

    @cached_property
    def escaped(self) -> float:
        """The same from the end of the walk along the way out."""
        return descend(self.objective, self.way_out.w)

    @cached_property
    def restarted(self) -> tuple[float, ...]:
        """The objective after some passes of a strong method from each of some fresh starts."""
        starts = [self.network.initial_weights(seed, input_ranges=self.ranges) for seed in range(RESTARTS)]
        return tuple(descend(self.objective, w, 3 * PASSES, self.strong) for w in starts)

    @cached_property
    def held_out(self) -> dict[float, float]:
        """The loss on every other row after training fresh weights on the rest, for some shares of the penalty."""
        X, T, s = self.objective.rows
        found = {}
        for share in SHARES:
            first, second = (
                Objective(
                    self.network, self.taken.loss, X[i::2], T[i::2], None if s is None else s[i::2],
                    share * self.objective.l2,
                )
                for i in (0, 1)
            )  # fmt: skip
            w = self.network.initial_weights(0, input_ranges=self.ranges)
            result = train(first, w, PLAIN, [MaxPasses(3 * PASSES), MinGrad()])
            value = float(second.value(result.w)) - second.penalty(result.w)
            found[share] = value if isfinite(value) else inf
        return found

    @property
    def best_penalty(self) -> float:
        """The share of the penalty, below 1, with which the rows held out lose least."""
        return min(SHARES[1:], key=lambda share: self.held_out[share])

    @property
    def strong(self) -> Method:
        """Levenberg-Marquardt for squared errors and few weights, otherwise conjugate gradients."""
        if self.taken.loss.name == "squared_error" and self.network.n_weights <= FEW_WEIGHTS:
            return LevenbergMarquardt(projection=False)
        return PLAIN

    @cached_property
    def learnable(self) -> float:
        """The smallest share of the baseline that a fresh network with one hidden layer loses: what inputs tell."""
        hidden = max(self.network.sizes[1:-1], default=8)
        network = Network((self.network.n_in, hidden, self.network.n_out), ("tanh", self.network.activations[-1]))
        X = standardised(self.taken.X)
        fresh = Objective(network, self.taken.loss, X, self.taken.T, self.objective.rows.s)
        found = [descend(fresh, network.initial_weights(seed)) for seed in range(2)]
        return min(found) / self.baseline if self.baseline > 0 else inf

    @property
    def ranges(self) -> Floats:
        """Smallest and largest value of each input, (n_in, 2)."""
        return np.column_stack([self.taken.X.min(axis=0), self.taken.X.max(axis=0)])

    def trained(self, method: Method | None, passes: float, w: Floats | None = None) -> float:
        """Return the objective after some passes of a method from w: inf where it becomes non-finite."""
        return descend(self.objective, self.w if w is None else w, passes, method)


def descend(objective: Objective, w: Floats, passes: float = PASSES, method: Method | None = None) -> float:
    """Return the objective after some passes of a method: inf where that is not finite."""
    result = train(objective, w, method or PLAIN, [MaxPasses(passes), MaxSteps(2000)])
    if result.reason is Reason.NON_FINITE:
        return inf
    with np.errstate(all="ignore"):
        value = float(objective.value(result.w))
    return value if isfinite(value) else inf


def standardised(X: Floats) -> Floats:
    """Return columns with median 0 and the spread of their middle nine tenths 1, cut off at ten times that."""
    low, middle, high = np.quantile(X, (0.05, 0.5, 0.95), axis=0)
    spread = np.where(high > low, high - low, np.maximum(X.std(axis=0), 1e-300)) / 3
    return np.asarray(np.clip((X - middle) / spread, -10.0, 10.0))


def with_rate(method: Any, factor: float) -> Method | None:
    """Return a method with its learning rate multiplied, or None if it has none to multiply."""
    if isinstance(method, methods.Online):
        schedule: Any = method.schedule
        rate = getattr(schedule, "rate", None)
        return None if rate is None else replace(method, learning_rate=replace(schedule, rate=factor * rate))
    if isinstance(method, methods.GradientDescent) and not method.adaptive:
        return replace(method, learning_rate=factor * method.learning_rate)
    return None


def rate_of(method: Any) -> float:
    """Return the first learning rate of a method; NaN if it has none."""
    if isinstance(method, methods.Online):
        return float(method.schedule.at(0.0))
    return float(method.learning_rate) if isinstance(method, methods.GradientDescent) else float("nan")


def numbers(values: Sequence[Any]) -> Floats:
    """Return the losses of a history, or of a plain list of them."""
    return np.array([float(getattr(value, "loss", value)) for value in values])
