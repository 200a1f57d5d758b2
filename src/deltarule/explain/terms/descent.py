"""The terms of gradient descent over all rows, and of Rprop."""

from __future__ import annotations

import numpy as np

from deltarule.explain.terms.account import Account, Taken, Term, summed, unmoved
from deltarule.explain.terms.online import DELTA_RULE


def gradient_descent(taken: Taken) -> Account:
    """Return the terms of v ← m v − η (1 − m) g, w ← w + v."""
    method, before = taken.method, taken.before
    if not taken.moved and method.adaptive:
        return unmoved(taken, "the step raised the loss too much and was taken back; η is smaller from here")
    scale = before.rate * (1 - method.momentum)
    factor = "η" if method.momentum == 0 else "η (1 − m)"
    terms = [
        Term(DELTA_RULE, f"{factor} · mean of {DELTA_RULE}", scale * taken.down),
        Term("penalty", f"−{factor} · l2 · w", scale * taken.pull),
        Term("momentum", "m · v, v the last step", method.momentum * before.velocity),
    ]
    return Account(summed(terms), {"learning rate": before.rate, "momentum": method.momentum}, scale)


def rprop(taken: Taken) -> Account:
    """Return the terms of a step by signs: the size of the step and its sign, or the last step taken back."""
    before, after, method = taken.before, taken.after, taken.method
    if not taken.moved:
        return unmoved(taken, "no weight moved: the loss there was not finite, or every slope has just turned")
    signs = np.sign(before.grad)
    turned = signs * before.signs < 0
    by_sign = np.zeros_like(before.w) if method.variant != "rprop-" else -signs * after.sizes * turned
    by_sign = by_sign + np.where(turned, 0.0, -signs * after.sizes)
    back = method.variant == "rprop+" or (method.variant == "irprop+" and before.loss > before.loss_before)
    returned = np.where(turned, before.move, 0.0) if back and method.variant != "rprop-" else np.zeros_like(before.w)
    terms = [
        Term("sign · size", "−sign(g) · Δ", by_sign),
        Term("taken back", "the last step, undone where the slope has turned", returned),
    ]
    counts: dict[str, float | int | str] = {
        "smallest size": float(after.sizes.min()), "largest size": float(after.sizes.max()),
        "slopes turned": int(turned.sum()), "increase": method.increase, "decrease": method.decrease,
    }  # fmt: skip
    note = "only the sign of Σ δ · f′ · input counts; the size of each weight's step is its own"
    return Account(summed(terms), counts, None, (note,))
