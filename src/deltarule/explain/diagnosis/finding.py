"""What a diagnosis says: findings with their evidence, where training stands, and tests of the advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

from deltarule.explain.diagnosis import telling
from deltarule.explain.frames import plain
from deltarule.explain.grids import Grid, html, text
from deltarule.explain.health import Health
from deltarule.explain.health_recorder import HealthRecorder

SHARE = 0.5
"""From such a threshold up a share lies past it by how little is missing to the whole."""
HELPS = 0.9
"""Share of the loss without an advice that is left with it, at most, where it helps."""
SURE = 2.0
"""A measurement so many times past its threshold makes a finding clear; a nearer one leaves it likely."""


class Measurement(NamedTuple):
    """A number that speaks for a finding: what it is, its value, and the threshold that it had to pass.

    The threshold is None for a number that is shown and not judged; `above` says on which side of it the finding lies.
    """

    what: str
    value: float
    threshold: float | None = None
    above: bool = True

    @property
    def margin(self) -> float:
        """How many times past the threshold it lies: 1 is on it."""
        if self.threshold is None:
            return inf
        high, low = (self.value, self.threshold) if self.above else (self.threshold, self.value)
        if high < 0:  # both are: the one farther from 0 is the lower
            high, low = -low, -high
        if self.above and SHARE <= self.threshold < 1 and self.value <= 1:  # a share: what is missing to the whole
            high, low = 1 - self.threshold, 1 - self.value
        return high / low if low > 0 else inf


class Trial(NamedTuple):
    """A test of an advice on clones: what is lost now, after more passes without the advice, and with it.

    A clone that begins with fresh weights has the passes of the run that it takes the place of besides: so both have
    had as many. The losses are without penalty, on the rows as they were given.
    """

    changed: str
    now: float
    without: float
    passes_without: float
    with_advice: float
    passes_with: float

    @property
    def helped(self) -> bool:
        """Whether the loss with the advice is finite, and at most nine tenths of the loss without it."""
        return isfinite(self.with_advice) and not self.with_advice > HELPS * self.without

    def __str__(self) -> str:
        verdict = "it helps" if self.helped else "it does not help"
        return (
            f"{self.changed}: loss {self.now:.4g} now, {self.without:.4g} after {self.passes_without:.0f} more passes "
            f"without, {self.with_advice:.4g} after {self.passes_with:.0f} passes with it: {verdict}"
        )


@dataclass(frozen=True)
class Finding:
    """A reason why training stands still, with its evidence.

    Parameters
    ----------
    kind : str
        A key of `deltarule.explain.diagnosis.KINDS`.
    says : str
        One sentence.
    places : tuple of str
        Columns, neurons, layers or rows that are concerned.
    evidence : tuple of Measurement
        The numbers and their thresholds.
    advice : str
        What to do.
    trial : Trial or None
        The test of the advice, where it was asked for and can be made.
    """

    kind: str
    says: str
    places: tuple[str, ...]
    evidence: tuple[Measurement, ...]
    advice: str
    trial: Trial | None = None

    @property
    def confidence(self) -> str:
        """``clear`` if every measurement is at least twice past its threshold, ``likely`` if one is nearer."""
        return "clear" if all(number.margin >= SURE for number in self.evidence) else "likely"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; numbers that are not finite are null."""
        trial = None if self.trial is None else {**self.trial._asdict(), "helped": self.trial.helped}
        return dict(plain({
            "kind": self.kind, "says": self.says, "places": self.places, "confidence": self.confidence,
            "evidence": [number._asdict() for number in self.evidence], "advice": self.advice, "trial": trial,
        }))  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """Where the weights stand on the error surface.

    Parameters
    ----------
    what : str
        ``minimum``, ``saddle``, ``plateau``, ``slope`` (descent goes on), or ``undefined`` if the loss is not finite.
    gradient : float
        Length of the gradient.
    descent : float
        What the best of some passes of conjugate gradients takes off the objective, as a share of it.
    largest, smallest : float
        The largest and the smallest curvature, eigenvalues of the Hessian.
    gauss_newton : float
        The largest eigenvalue of the Gauss-Newton matrix; NaN for a loss without second derivatives.
    out : dict of str to float
        The largest parts, by the names of weights, of the direction of the smallest curvature where that is negative.
    gauss_newton_out : float
        The curvature that the Gauss-Newton matrix sees along that direction, never negative; NaN where there is none.
    drop : float
        What a walk along that direction takes off the objective, as a share of it.
    """

    what: str
    gradient: float
    descent: float
    largest: float
    smallest: float
    gauss_newton: float
    out: Mapping[str, float]
    gauss_newton_out: float
    drop: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return dict(plain({**vars(self), "out": dict(self.out)}))


@dataclass(frozen=True)
class Diagnosis:
    """Why training stands still, or that it does not.

    Parameters
    ----------
    findings : tuple of Finding
        The causes that were found, those that explain others first; empty where nothing is wrong.
    standing : Standing
        Where the weights stand.
    health : Health
        Neurons and layers.
    loss, baseline : float
        The mean loss, and that of the best constant outputs.
    rows : int
        Rows that were looked at.
    notes : tuple of str
        What could not be looked at, and why.
    recorder : HealthRecorder or None
        The health of the neurons in the run, where it was recorded.
    """

    findings: tuple[Finding, ...]
    standing: Standing
    health: Health
    loss: float
    baseline: float
    rows: int
    notes: tuple[str, ...] = ()
    recorder: HealthRecorder | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the findings."""
        return tuple(finding.kind for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; numbers that are not finite are null."""
        return dict(plain({
            "loss": self.loss, "baseline": self.baseline, "rows": self.rows,
            "findings": [finding.to_dict() for finding in self.findings], "standing": self.standing.to_dict(),
            "health": self.health.to_dict(), "since": None if self.recorder is None else self.recorder.sinces(),
            "notes": self.notes,
        }))  # fmt: skip

    def grids(self) -> list[Grid]:
        """Return it as tables: where training stands, the findings, layers and neurons."""
        return telling.grids(self)

    def __str__(self) -> str:
        return text(self.grids())

    def _repr_html_(self) -> str:
        return html(self.grids())
