"""The terms of methods that step along a direction: a length times −P g, and times what the direction has besides.

P is the method's diagonal preconditioner, 1 where it has none (`deltarule.preconditioning`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from deltarule.explain.terms.account import Account, Numbers, Taken, Term, summed, unmoved
from deltarule.explain.terms.online import DELTA_RULE

SETTLED = 4
"""Differences below so many roundings are none."""


def conjugate_gradient(taken: Taken) -> Account:
    """Return the terms of a · d with d = −P g + β d_before, or with Beale's third term γ d_t."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "the line search found no lower point along the direction")
    a, settings = after.step_length, {"step length a": after.step_length}
    (P, letter), carried = _first(before), before.direction + before.preconditioner * before.grad
    parts = _downhill(taken, a * P, f"a{letter}")
    if before.since > 0:
        parts += _carried(taken, carried, a, settings)
    notes = (_afresh(before),) if before.since == 0 else ()
    return Account(summed(parts), settings, a * P, notes)


def _carried(taken: Taken, carried: Numbers, a: float, settings: dict[str, Any]) -> list[Term]:
    """Return a · β d_before, and a · γ d_t where the direction has three terms; write β and γ into the settings."""
    before, earlier = taken.before, taken.earlier
    third = np.zeros_like(carried)
    if taken.method.beta == "powell_beale" and before.since > 1:
        gamma = float(before.preconditioner * before.grad @ before.base_change)
        settings["gamma"], third = gamma, gamma * before.base
    along = carried - third
    d = (
        before.base
        if taken.method.beta == "powell_beale" and before.since == 1
        else getattr(earlier, "direction", None)
    )
    if d is not None and np.any(d):
        settings["beta"] = float(along @ d) / float(d @ d)
    return [
        Term("conjugacy", "a · β · d, d the last direction", a * along),
        Term("third term", "a · γ · d_t, d_t where it last started afresh", a * third),
    ]


def scaled_conjugate_gradient(taken: Taken) -> Account:
    """Return the terms of a · p, the length from the curvature c along p: a = μ / (c + λ |p|²)."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "no step along the direction lowered the loss")
    p, slope = before.direction, float(before.direction @ before.grad)
    size = float(p @ p)
    a = float((after.w - before.w) @ p) / size
    settings: dict[str, float | int | str] = {
        "step length a": a, "descent along p, μ": -slope, "scale δ = μ / a": -slope / a, "damping λ": before.damping,
        "agreement Δ": after.agreement, "steps refused": after.refused,
    }  # fmt: skip
    P, letter = _first(before)
    parts = _downhill(taken, a * P, f"a{letter}")
    if not before.restart:
        carried = p + P * before.grad
        earlier = getattr(taken.earlier, "direction", None)
        if earlier is not None:
            settings["beta"] = float(carried @ earlier) / float(earlier @ earlier)
        parts.append(Term("conjugacy", "a · β · p, p the last direction", a * carried))
    notes = (_afresh(before),) if before.restart else ()
    # a is read off the step, whose own rounding it then carries
    eps = np.finfo(before.w.dtype).eps
    slack = SETTLED * eps * float(np.abs(before.w).max() + np.abs(after.w).max()) * np.sqrt(len(p))
    return Account(summed(parts), settings, a * P, notes, slack)


def lbfgs(taken: Taken) -> Account:
    """Return the terms of −a · H g: γ times −P g, and what each remembered pair of changes adds."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "the line search found no lower point along the direction")
    a, (P, letter) = after.step_length, _first(before)
    if before.restart:
        parts = _downhill(taken, a * P, f"a{letter}")
        return Account(summed(parts), {"step length a": a}, a * P, (_afresh(before),))
    alpha, first = before.A @ before.grad, before.gamma * P
    toward = before.Y @ (first * (before.grad - alpha @ before.Y)) - alpha
    parts = _downhill(taken, a * first, f"a{letter} · γ")
    kept = [i for i in reversed(range(len(alpha))) if np.any(before.A[i])]
    for age, i in enumerate(kept):
        pair = first * alpha[i] * before.Y[i] + toward[i] * before.A[i]
        parts.append(Term(f"pair {age + 1}", f"a · pair {age + 1} of changes, 1 the newest", a * pair))
    settings: dict[str, float | int | str] = {"step length a": a, "gamma": before.gamma, "pairs": len(kept)}
    size = np.abs(alpha)[:, None] * (first * np.abs(before.Y)) + np.abs(toward)[:, None] * np.abs(before.A)
    slack = a * _rounding(before.w) * (size.sum(axis=0) + first * np.abs(before.grad))
    spread = a * _rounding(before.w) * (np.abs(before.A) * _toward_error(before, alpha)[:, None]).sum(axis=0)
    return Account(summed(parts), settings, a * first, (), slack + spread)


def _first(before: Any) -> tuple[Numbers | float, str]:
    """Return P and its letter, or 1 and none where it is 1 for all weights."""
    P: Numbers = before.preconditioner
    return (P, " · P") if np.any(P != 1) else (1.0, "")


def _afresh(before: Any) -> str:
    direction = "−P g" if np.any(before.preconditioner != 1) else "−g"
    return f"the direction was {direction}: {before.restart}"


def _toward_error(before: Any, alpha: Numbers) -> Numbers:
    """Return what the products behind each pair's factor add up to in size: their rounding is a share of it."""
    size_q = np.abs(before.grad) + np.abs(alpha) @ np.abs(before.Y)
    first = before.gamma * before.preconditioner
    return np.asarray(np.abs(before.Y) @ (first * size_q) + np.abs(before.A) @ np.abs(before.grad))


def _rounding(w: Numbers) -> float:
    """Return how much rounding sums over all weights may have, as a share of the sum of sizes."""
    return float((w.size + 16) * np.finfo(w.dtype).eps)


def newton_cg(taken: Taken) -> Account:
    """Return the terms of truncated Newton: the first step goes along −g, the further ones are conjugate to it."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "no step inside the trust region lowered the loss")
    d = after.w - before.w
    lengths, ways = _conjugate_steps(taken, d)
    parts = _downhill(taken, lengths[0], "c₁")
    further = np.sum([c * v for c, v in zip(lengths[1:], ways[1:], strict=True)], axis=0) if len(ways) > 1 else 0 * d
    parts.append(Term("conjugate steps", f"Σ c v over {len(ways) - 1} further directions v", further))
    settings: dict[str, float | int | str] = {
        "first length c₁": lengths[0], "directions": len(ways), "radius": before.radius, "ratio": after.ratio,
        "trials": after.trials,
    }  # fmt: skip
    eps = float(np.finfo(before.w.dtype).eps)
    slack = _rounding(before.w) * np.sum([abs(c) * np.abs(v) for c, v in zip(lengths, ways, strict=True)], axis=0)
    return Account(summed(parts), settings, lengths[0], (), slack + SETTLED * eps * np.abs(before.w))


def _conjugate_steps(taken: Taken, d: Numbers) -> tuple[list[float], list[Numbers]]:
    """Return the lengths and directions that conjugate gradients took, from the products of the last trial.

    They are conjugate, so each length is −g·v / v·Hv, but for the last, which may end at the region's border: it is
    what is left of the step.
    """
    seen: list[tuple[Numbers, Numbers]] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(taken.objective, name)

        def gauss_newton_product(self, w: Numbers, v: Numbers) -> Numbers:
            product = taken.objective.gauss_newton_product(w, v)
            seen.append((v, product))
            return np.asarray(product)

    taken.method.step(Watched(), taken.before)
    g = taken.before.grad
    first = max(i for i, (v, _) in enumerate(seen) if np.array_equal(v, -g))
    ways = [v for v, _ in seen[first:]]
    lengths, residual = [], g
    for v, Hv in seen[first:-1]:
        length = float(residual @ residual) / float(v @ Hv)
        lengths.append(length)
        residual = residual + length * Hv
    left = d - np.sum([c * v for c, v in zip(lengths, ways[:-1], strict=True)], axis=0) if lengths else d
    return [*lengths, float(left @ ways[-1]) / float(ways[-1] @ ways[-1])], ways


def _downhill(taken: Taken, scale: Numbers | float, factor: str = "a") -> list[Term]:
    """Return a multiple of −g as two terms: of the rows and of the penalty."""
    return [
        Term(DELTA_RULE, f"{factor} · mean of {DELTA_RULE}", scale * taken.down),
        Term("penalty", f"−{factor} · l2 · w", scale * taken.pull),
    ]
