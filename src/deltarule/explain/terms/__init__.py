"""How a step adds up: each method's change of the weights as a sum of named terms.

The first term is always what the rows ask for: a multiple of ``data``, minus the gradient of their mean loss, whose
factors `deltarule.explain.backward` shows. What a method adds are further terms: the penalty, momentum, the direction
it came along, what other weights do. A module here for each family of methods, an entry in `ACCOUNTS` for each method.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltarule.explain.terms import damped, descent, directions, online
from deltarule.explain.terms.account import Account, Taken, Term

__all__ = ["ACCOUNTS", "Account", "Taken", "Term", "account"]

ACCOUNTS: dict[str, Callable[[Taken], Account]] = {
    "online": online.account,
    "gradient_descent": descent.gradient_descent,
    "rprop": descent.rprop,
    "conjugate_gradient": directions.conjugate_gradient,
    "scaled_conjugate_gradient": directions.scaled_conjugate_gradient,
    "lbfgs": directions.lbfgs,
    "newton_cg": directions.newton_cg,
    "levenberg_marquardt": damped.levenberg_marquardt,
    "bayesian_regularization": damped.bayesian_regularization,
}
"""For each method by name, how its step adds up."""


def account(taken: Taken) -> Account:
    """Return the terms of a step; of a method that is not known here, the step as one term."""
    found = ACCOUNTS.get(getattr(taken.method, "name", ""))
    if found is not None:
        return found(taken)
    step = np.asarray(taken.after.w) - np.asarray(taken.before.w)
    name = getattr(taken.method, "name", type(taken.method).__name__)
    note = f"how {name} chooses its step is not known here: it is shown whole"
    return Account((Term(f"step of {name}", "Δw", step),), {}, None, (note,))
