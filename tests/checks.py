"""The checks that every engine must pass, and the random cases they are made on.

How near must a computed result lie to the exact one? An evaluation whose every operation is rounded gives the
exact result for inputs that differ from the given ones by a few roundings (backward stability). So the bound is

    unit roundoff · roundings on the longest way · what relative changes of the inputs do to the result

The last factor is measured on the reference. Nothing in the bound comes from the engine.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

import reference
from deltarule import losses
from deltarule.activations import ACTIVATIONS, SATURATED
from deltarule.engines import Rows, Update
from deltarule.losses import Loss
from deltarule.methods import rules
from deltarule.network import Network
from reference import REAL

CHANGE = 1e-9
"""Relative change of the inputs by which the condition is measured: far above rounding, below curvature."""


@dataclass(frozen=True)
class Case:
    """A network with weights, a loss and rows."""

    network: Network
    loss: Loss
    w: np.ndarray
    rows: Rows

    @property
    def net(self):
        """The network as the reference sees it."""
        names = tuple(activation.name for activation in self.network.activations)
        return reference.Net(self.network.sizes, names, self.loss.name, self.loss.parameter or 0.0)

    def listed(self):
        """Return the rows as the reference takes them: [(x, t, s), …] of Python numbers."""
        s = np.ones(len(self.rows.X)) if self.rows.s is None else self.rows.s
        return list(zip(self.rows.X.tolist(), self.rows.T.tolist(), s.tolist(), strict=True))

    def total(self, per_row):
        """Return Σ s · per_row(w, x, t) as an array."""
        w = self.w.tolist()
        return sum(s * np.array(per_row(w, x, t)) for x, t, s in self.listed())

    def roundings(self):
        """Return how many roundings lie on the longest way through backpropagation and the sum over rows.

        A slope computed from y inherits y's rounding, magnified at most 1/SATURATED times.
        """
        return 2 / SATURATED + 4 * sum(self.network.sizes) + len(self.rows.X)

    def unit(self):
        """Return the unit roundoff of the number type."""
        return float(np.finfo(self.w.dtype).eps) / 2

    def condition(self, function):
        """Return how much `function` of a case changes per relative change of w, X, T: the largest of 8."""
        rng = np.random.default_rng(0)

        def changed(A):
            return A.astype(float) * (1 + CHANGE * rng.choice([-1.0, 1.0], A.shape))

        def changed_case():
            X, T, s = self.rows
            return replace(self, w=changed(self.w), rows=Rows(changed(X), changed(T), s))

        here = function(self)
        changes = [np.abs(function(changed_case()) - here) for _ in range(8)]
        return np.max(changes, axis=0) / CHANGE + np.abs(here)


def make_case(activation="tanh", loss="squared_error", sizes=(2, 3, 2), n=5, seed=0, weighted=False, dtype=float):
    """Return a case with this output activation, in the hidden layers too unless it serves outputs only."""
    rng = np.random.default_rng([seed, *sizes])
    hidden = "tanh" if ACTIVATIONS[activation].couples else activation
    network = Network(sizes, [hidden] * (len(sizes) - 2) + [activation])
    w = rng.uniform(-0.9, 0.9, network.n_weights)
    loss = losses.get(loss)
    X, T = rng.normal(size=(n, sizes[0])), make_targets(loss, n, sizes[-1], rng)
    s = rng.uniform(0.2, 2.0, n).astype(dtype) if weighted else None
    return Case(network, loss, w.astype(dtype), Rows(X.astype(dtype), T.astype(dtype), s))


def make_targets(loss, n, width, rng):
    """Return targets that the loss accepts: counts, shares from 0 to 1, classes."""
    if loss.name == "poisson":
        return rng.poisson(1.5, (n, width)).astype(float)
    if loss.name == "binary_cross_entropy":
        return rng.choice([0.0, 1.0, 0.25], (n, width))
    if loss.name == "cross_entropy":
        T = np.eye(width)[rng.integers(width, size=n)]
        T[0] = 1 / width
        return T
    return rng.normal(size=(n, width))


def assert_within(computed, exact, bound, what):
    """Assert that two arrays differ nowhere by more than the bound."""
    error = np.abs(np.asarray(computed, dtype=float) - exact)
    assert np.all(error <= bound), f"{what}: off by {error.max():.3g}, allowed {np.max(bound):.3g}"


def reference_loss(case):
    return case.total(lambda w, x, t: reference.loss(REAL, case.net, w, x, t))


def reference_gradient(case):
    return case.total(lambda w, x, t: reference.gradient(REAL, case.net, w, x, t))


def reference_gauss_newton(case):
    return case.total(lambda w, x, t: reference.gauss_newton(REAL, case.net, w, x, t))


def value_bound(case):
    """Return the bound for Σ s · loss: no number on the way to a loss exceeds (1 + |e| + |y| + |t|)²."""

    def largest(w, x, t):
        E, Y = reference.forward(REAL, case.net, w, x)
        return sum((1 + abs(e) + abs(y) + abs(tk)) ** 2 for e, y, tk in zip(E[-1], Y[-1], t, strict=True))

    return case.roundings() * case.unit() * (case.condition(reference_loss) + case.total(largest))


def gradient_bound(case):
    """Return the bound for each component of the gradient."""
    return case.roundings() * case.unit() * case.condition(reference_gradient)


def check_gradient(engine, case):
    """Hold value and gradient against the reference's loss and its derivative by the complex step."""
    value, grad = engine.value_grad(case.w, case.rows)
    exact = case.total(lambda w, x, t: reference.complex_step(case.net, w, x, t))
    assert grad.dtype == case.w.dtype
    assert_within(value, reference_loss(case), value_bound(case), "loss")
    assert_within(engine.value(case.w, case.rows), reference_loss(case), value_bound(case), "loss")
    assert_within(grad, exact, gradient_bound(case), "gradient")


def check_differences(engine, case):
    """Hold the gradient against central differences of the engine's own value.

    Their truncation is (D(2h) − D(h)) / 3 for small h, less than D(2h) − D(h); their rounding is that of two
    values, divided by 2h. h balances both.
    """
    grad = engine.value_grad(case.w, case.rows)[1]
    h, rounding = np.cbrt(case.unit()), value_bound(case)

    def difference(i, h):
        up, down = case.w.copy(), case.w.copy()
        up[i], down[i] = case.w[i] + h, case.w[i] - h
        return (engine.value(up, case.rows) - engine.value(down, case.rows)) / (float(up[i]) - float(down[i]))

    for i in range(len(case.w)):
        near, far = difference(i, h), difference(i, 2 * h)
        assert_within(grad[i], near, abs(far - near) + 2 * rounding / h, f"slope along w[{i}]")


def gauss_newton_bound(case):
    """Return the bound for each entry of the Gauss-Newton matrix: a product of two Jacobians."""
    return 2 * case.roundings() * case.unit() * case.condition(reference_gauss_newton)


def check_gauss_newton(engine, case):
    """Hold matrix, product and residuals against the explicit Jacobian, loss and gradient against value_grad."""
    value, grad, H = engine.gauss_newton(case.w, case.rows)
    bound = gauss_newton_bound(case)
    v = np.random.default_rng(1).normal(size=len(case.w)).astype(case.w.dtype)
    product = engine.gauss_newton_product(case.w, case.rows, v)
    assert_within(H, reference_gauss_newton(case), bound, "Gauss-Newton matrix")
    assert_within(H, H.T, 2 * bound, "symmetry")
    assert_within(product, reference_gauss_newton(case) @ v.astype(float), bound @ np.abs(v), "product")
    assert_within(value, engine.value(case.w, case.rows), 2 * value_bound(case), "loss beside the matrix")
    same = engine.value_grad(case.w, case.rows)[1]
    assert_within(grad, same, 2 * gradient_bound(case), "gradient beside the matrix")
    if case.loss.name == "squared_error":
        r, J = (A.astype(float) for A in engine.residuals(case.w, case.rows))
        assert_within(J.T @ J, reference_gauss_newton(case), 2 * bound, "matrix of the residuals' derivatives")
        assert_within(0.5 * r @ r, value, 2 * value_bound(case), "loss of the residuals")
        assert_within(J.T @ r, same, 2 * gradient_bound(case), "gradient of the residuals")


def check_epoch(engine, case, rule="plain", batch_size=1, rate=0.05, l2=0.0):
    """Hold an epoch in a shuffled order against the reference's loops."""
    n, p = len(case.rows.X), len(case.w)
    order, made = np.random.default_rng(2).permutation(n), rules.get(rule)

    def by_loops(case):
        w, total = reference.epoch(case.net, case.w.tolist(), case.listed(), order.tolist(), rule, rate, batch_size, l2)
        return np.append(w, total)

    before = case.w.copy()
    memory = np.zeros((made.n_memory, p), dtype=case.w.dtype)
    w, _, count, total = engine.epoch(case.w, memory, 0, case.rows, order, Update(made, rate, batch_size, l2))
    updates = -(-n // batch_size)
    bound = updates * case.roundings() * case.unit() * case.condition(by_loops)
    assert count == updates
    assert np.array_equal(case.w, before), "the given weights were changed"
    assert not np.any(memory), "the given memory was changed"
    assert_within(np.append(w, total), by_loops(case), bound, f"epoch of {rule} by {batch_size}")


def check_predict(engine, case):
    """Hold the outputs against the reference's forward pass."""

    def outputs(case):
        w = case.w.tolist()
        return np.array([reference.forward(REAL, case.net, w, x)[1][-1] for x in case.rows.X.tolist()])

    computed = engine.predict(case.w, case.rows.X)
    bound = case.roundings() * case.unit() * case.condition(outputs)
    assert computed.dtype == case.w.dtype
    assert_within(computed, outputs(case), bound, "outputs")


def n_weights(sizes):
    """Return how many weights and biases a chain of these sizes has."""
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
