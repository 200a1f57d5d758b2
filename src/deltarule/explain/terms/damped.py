"""The terms of Levenberg-Marquardt's damped solve, and of Bayesian regularisation's.

    A d = −g,  A = H + μ D        row i of it, solved for d_i:        d_i = (−g_i − Σ_{j≠i} A_ij d_j) / A_ii

So a weight's step is what its own slope and curvature ask for, as if it were alone, and what it gives way to the other
weights for, which move at the same time.
"""

from __future__ import annotations

import numpy as np

from deltarule.explain.terms.account import Account, Numbers, Taken, Term, summed, unmoved
from deltarule.explain.terms.online import DELTA_RULE
from deltarule.methods.damped import Curvature, curvature
from deltarule.methods.levenberg_marquardt import LevenbergMarquardt

OF_CHOLESKY = 8
"""The rounding of a solve by Cholesky's factors, in units of p · eps · √(A_ii A_jj) |d_j| (Higham 2002, theorem 10.4,
with room for LAPACK's order of sums)."""


def levenberg_marquardt(taken: Taken) -> Account:
    """Return the terms of (H + μ D) d = −g."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "no damping led to a lower point")
    mu = _damping(taken.method, before.mu, after.trials)
    H = curvature(before.H, getattr(taken.objective, "ridge", None))
    shift = mu * taken.method._scale(H.diagonal)
    found = _solve(H, shift, after.w - before.w, taken.down, taken.pull, before.w, after.w)
    settings: dict[str, float | int | str] = {"damping μ": mu, "gain ratio": after.gain, "trials": after.trials}
    return found._replace(settings=settings)


def bayesian_regularization(taken: Taken) -> Account:
    """Return the terms of the damped solve under the penalty that the evidence has set."""
    before, after = taken.before, taken.after
    if not taken.moved:
        return unmoved(taken, "no damping led to a lower point")
    damped: LevenbergMarquardt = taken.method._damped
    mu = _damping(damped, before.mu, after.trials)
    ratio = before.alpha / (before.beta * taken.objective.n_rows)
    H = before.H + ratio * np.eye(len(before.w), dtype=before.w.dtype)
    pull = -ratio * before.w
    shift = mu * damped._scale(H.diagonal())
    found = _solve(curvature(H, None), shift, after.w - before.w, -before.grad - pull, pull, before.w, after.w)
    settings: dict[str, float | int | str] = {
        "damping μ": mu, "penalty α/(β n)": ratio, "alpha": before.alpha, "beta": before.beta,
        "weights determined γ": before.gamma, "gain ratio": after.gain, "trials": after.trials,
    }  # fmt: skip
    return found._replace(settings=settings)


def _damping(method: LevenbergMarquardt, mu: float, trials: int) -> float:
    """Return the μ of the trial that was taken: raised after each one before it."""
    growth = 2.0
    for _ in range(trials - 1):
        mu *= growth if method.damping == "nielsen" else method.mu_inc
        growth *= 2
    return mu


def _solve(
    H: Curvature, shift: Numbers, d: Numbers, down: Numbers, pull: Numbers, w: Numbers, w_after: Numbers
) -> Account:
    """Return what each weight's own slope asks for, and what the others' moves add."""
    diagonal = H.diagonal + shift
    others = H.times(d) - H.diagonal * d
    scale = 1 / diagonal
    terms = [
        Term(DELTA_RULE, f"mean of {DELTA_RULE} / (h + μ D), h the weight's own curvature", scale * down),
        Term("penalty", "−l2 · w / (h + μ D)", scale * pull),
        Term("other weights", "−Σ h_ij d_j / (h + μ D) over the other weights j", -scale * others),
    ]
    eps, roots = float(np.finfo(w.dtype).eps), np.sqrt(diagonal)
    size = roots * float(roots @ np.abs(d)) + np.abs(down) + np.abs(pull)
    solving = OF_CHOLESKY * len(w) * eps * size * scale
    subtracting = eps * (H.sizes_times(np.abs(w) + np.abs(w_after)) * scale)  # d is read off w, rounded
    return Account(summed(terms), {}, scale, (), solving + subtracting)
