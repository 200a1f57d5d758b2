"""What a diagnosis says: findings with their evidence, where training stands, and tests of the advice."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from deltarule.explain.health import Health

WIDTH = 100
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
            return float("inf")
        high, low = (self.value, self.threshold) if self.above else (self.threshold, self.value)
        return high / low if low > 0 else float("inf")

    def __str__(self) -> str:
        if self.threshold is None:
            return f"{self.what} {self.value:.3g}"
        return f"{self.what} {self.value:.3g} (a finding {'from' if self.above else 'up to'} {self.threshold:.3g})"


class Trial(NamedTuple):
    """A test of an advice on clones: the loss now, and after as many passes without the advice and with it.

    The losses are without penalty, on the rows as they were given. `helped` says whether the loss with the advice is
    at most nine tenths of the loss without it.
    """

    changed: str
    passes: float
    now: float
    without: float
    with_advice: float

    @property
    def helped(self) -> bool:
        """Whether the advice made a difference."""
        return self.with_advice <= 0.9 * self.without or (isfinite(self.with_advice) and not isfinite(self.without))

    def __str__(self) -> str:
        verdict = "it helps" if self.helped else "it does not help"
        return (
            f"{self.changed}: loss {self.now:.4g} now; after {self.passes:g} passes {self.without:.4g} without and "
            f"{self.with_advice:.4g} with it: {verdict}"
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
        evidence = [plain({**number._asdict()}) for number in self.evidence]
        trial = None if self.trial is None else plain({**self.trial._asdict(), "helped": self.trial.helped})
        return {
            "kind": self.kind, "says": self.says, "places": list(self.places), "confidence": self.confidence,
            "evidence": evidence, "advice": self.advice, "trial": trial,
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        shown = ", ".join(self.places[:6]) + (f" and {len(self.places) - 6} more" if len(self.places) > 6 else "")
        parts = [("where", shown), *(("measured", str(number)) for number in self.evidence), ("advice", self.advice)]
        if self.trial is not None:
            parts.append(("tried", str(self.trial)))
        said = textwrap.wrap(f"{self.says} [{self.kind}, {self.confidence}]", WIDTH)
        return [*said, *(line for name, words in parts if words for line in _wrapped(name, words))]


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
    out : dict of str to float
        The largest parts, by the names of weights, of the direction of the smallest curvature where that is negative.
    drop : float
        What a walk along that direction takes off the objective, as a share of it.
    """

    what: str
    gradient: float
    descent: float
    largest: float
    smallest: float
    out: Mapping[str, float]
    drop: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return plain({**vars(self), "out": dict(self.out)})

    def __str__(self) -> str:
        curvature = f"curvature from {self.smallest:.2g} to {self.largest:.2g}"
        words = {
            "minimum": f"a minimum: gradient {self.gradient:.1e}, {curvature}",
            "saddle": f"a saddle: gradient {self.gradient:.1e}, {curvature}; the way out takes {self.drop:.0%} off",
            "plateau": f"a plateau: gradient {self.gradient:.1e}, {curvature}",
            "slope": f"on a slope: gradient {self.gradient:.1e}; some more passes would take {self.descent:.0%} off",
        }
        return words.get(self.what, "nowhere: the loss is not finite")


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
    """

    findings: tuple[Finding, ...]
    standing: Standing
    health: Health
    loss: float
    baseline: float
    rows: int
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the findings."""
        return tuple(finding.kind for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values; numbers that are not finite are null."""
        whole = plain({"loss": self.loss, "baseline": self.baseline, "rows": self.rows})
        return {
            **whole, "findings": [finding.to_dict() for finding in self.findings],
            "standing": self.standing.to_dict(), "health": self.health.to_dict(), "notes": list(self.notes),
        }  # fmt: skip

    def __str__(self) -> str:
        share = (
            f", {self.loss / self.baseline:.1%} of a constant's" if self.baseline > 0 and isfinite(self.loss) else ""
        )
        lines = [f"loss {self.loss:.4g}{share}, over {self.rows:,} rows", f"stands on {self.standing}"]
        if self.standing.what in ("slope", "undefined"):
            lines[1] = f"stands {self.standing}"
        for number, finding in enumerate(self.findings, 1):
            lines += ["", *(f"{number}. {line}" if not i else f"   {line}" for i, line in enumerate(finding.lines()))]
        if not self.findings:
            lines += ["", "No fault that is known here was found."]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers that are not finite as None."""
    return {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in content.items()}


def _wrapped(name: str, words: str) -> list[str]:
    return textwrap.wrap(words, WIDTH, initial_indent=f"{name:9}", subsequent_indent=" " * 9, break_on_hyphens=False)
