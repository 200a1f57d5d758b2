"""How a step adds up: each method's change of the weights as a sum of named terms.

The first term is always what the rows ask for: a multiple of ``data``, minus the gradient of their mean loss, whose
factors `deltarule.explain.backward` shows. What a method adds are further terms: the penalty, momentum, the direction
it came along, what other weights do; where the last layer is solved for (`deltarule.projection`), that solution. A
module here for each family of methods, an entry in `ACCOUNTS` for each method.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltarule.explain.terms import damped, descent, directions, online
from deltarule.explain.terms.account import Account, Taken, Term, summed

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
        return _projected(taken, found) if callable(getattr(taken.objective, "settled", None)) else found(taken)
    step = np.asarray(taken.after.w) - np.asarray(taken.before.w)
    name = getattr(taken.method, "name", type(taken.method).__name__)
    note = f"how {name} chooses its step is not known here: it is shown whole"
    return Account((Term(f"step of {name}", "Δw", step),), {}, None, (note,))


def _projected(taken: Taken, found: Callable[[Taken], Account]) -> Account:
    """Return the terms of a step in the hidden weights, and the solution for the last layer beside them."""
    before, after, first = taken.before.w, taken.after.w, taken.objective.network.spans[-1][0]
    held, solved = np.array(after), np.zeros_like(after)
    held[first:], solved[first:] = before[first:], after[first:] - before[first:]
    made = found(taken._replace(after=taken.after._replace(w=held)))
    term = Term("solved for", "the last layer's best weights for the new hidden ones", solved)
    return made._replace(terms=summed([*made.terms, term]))
