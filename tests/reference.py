"""The truth: backpropagation in plain loops over rows, layers and neurons, from the textbooks' formulas.

Nothing here comes from the package, and nothing is clever: numbers, lists and loops. Every function takes
a context `c` of elementary functions, so that one text runs on floats (REAL), on complex numbers (COMPLEX:
the imaginary part of f(x + ih) / h is the derivative, without any subtraction) and on mpmath's numbers
(EXACT: as many digits as asked).

    forward    e = Σ weight · input + bias     y = f(e)
    backward   local gradient = δ · f′(e)      δ of a hidden neuron = Σ weight · local gradient downstream
    update     new weight = old weight + η · local gradient · input
"""

import cmath
import math
from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple

import mpmath

ELEMENTARY = ("exp", "log", "tanh", "cosh", "sin", "cos", "sqrt")
REAL = SimpleNamespace(
    **{name: getattr(math, name) for name in ELEMENTARY},
    normal=lambda e: 0.5 * math.erfc(-e / math.sqrt(2)),
)
COMPLEX = SimpleNamespace(
    **{name: getattr(cmath, name) for name in ELEMENTARY},
    normal=mpmath.workdps(60)(lambda e: complex(mpmath.erfc(-mpmath.mpmathify(e) / mpmath.sqrt(2)) / 2)),
)
EXACT = SimpleNamespace(
    **{name: getattr(mpmath, name) for name in ELEMENTARY},
    normal=lambda e: mpmath.erfc(-e / mpmath.sqrt(2)) / 2,
)


# Activations: y = f(e) and df/de. Comparisons look at the real part, for the sake of the complex step.


def sign(e):
    return (e.real > 0) - (e.real < 0)


def size(e):
    return sign(e) * e


def logistic(c, e):
    return 1 / (1 + c.exp(-e))


def logistic_slope(c, e):
    return c.exp(-e) / (1 + c.exp(-e)) ** 2


def softplus(c, e):
    return c.log(1 + c.exp(e))


def density(c, e):
    return c.exp(-e * e / 2) / c.sqrt(2 * mpmath.pi if c is EXACT else 2 * math.pi)


def elu(c, e, scale, alpha):
    return scale * (e if e.real > 0 else alpha * (c.exp(e) - 1))


def elu_slope(c, e, scale, alpha):
    return scale * (1 if e.real > 0 else alpha * c.exp(e))


SELU = (1.0507009873554805, 1.6732632423543772)
ACTIVATIONS = {
    "identity": (lambda c, e: e, lambda c, e: 1),
    "logistic": (logistic, logistic_slope),
    "tanh": (lambda c, e: c.tanh(e), lambda c, e: 1 / c.cosh(e) ** 2),
    "softsign": (lambda c, e: e / (1 + size(e)), lambda c, e: 1 / (1 + size(e)) ** 2),
    "hard_tanh": (lambda c, e: e if -1 < e.real <= 1 else 0 * e + sign(e), lambda c, e: 1 if -1 < e.real <= 1 else 0),
    "relu": (lambda c, e: e if e.real > 0 else 0 * e, lambda c, e: 1 if e.real > 0 else 0),
    "leaky_relu": (lambda c, e: e if e.real > 0 else 0.01 * e, lambda c, e: 1 if e.real > 0 else 0.01),
    "elu": (lambda c, e: elu(c, e, 1, 1), lambda c, e: elu_slope(c, e, 1, 1)),
    "selu": (lambda c, e: elu(c, e, *SELU), lambda c, e: elu_slope(c, e, *SELU)),
    "softplus": (softplus, logistic),
    "gelu": (lambda c, e: e * c.normal(e), lambda c, e: c.normal(e) + e * density(c, e)),
    "silu": (lambda c, e: e * logistic(c, e), lambda c, e: logistic(c, e) + e * logistic_slope(c, e)),
    "mish": (
        lambda c, e: e * c.tanh(softplus(c, e)),
        lambda c, e: c.tanh(softplus(c, e)) + e * logistic(c, e) / c.cosh(softplus(c, e)) ** 2,
    ),
    "sine": (lambda c, e: c.sin(e), lambda c, e: c.cos(e)),
    "gaussian": (lambda c, e: c.exp(-e * e), lambda c, e: -2 * e * c.exp(-e * e)),
    "exponential": (lambda c, e: c.exp(e), lambda c, e: c.exp(e)),
}


def put_out(c, name, e):
    """Return y for each neuron of a layer; softmax is the one activation that looks at the whole layer."""
    if name == "softmax":
        return [c.exp(ek) / sum(c.exp(ej) for ej in e) for ek in e]
    return [ACTIVATIONS[name][0](c, ek) for ek in e]


def slopes(c, name, e):
    """Return the matrix ∂y[k]/∂e[j] of a layer: a diagonal of f′(e), but full for softmax."""
    if name == "softmax":
        y = put_out(c, name, e)
        return [[yk * ((j == k) - yj) for j, yj in enumerate(y)] for k, yk in enumerate(y)]
    return [[ACTIVATIONS[name][1](c, ek) if j == k else 0 for j in range(len(e))] for k, ek in enumerate(e)]


# Losses: of one output, −∂loss/∂y, and ∂²loss/∂y². t log t is what makes a perfect prediction's loss 0.


def t_log_t(t):
    return t * math.log(t) if t > 0 else 0


def t_log(c, t, y):
    return t * c.log(y) if t > 0 else 0


def huber(c, y, t, d):
    return (y - t) ** 2 / 2 if abs((y - t).real) <= d else d * (size(y - t) - d / 2)


LOSSES = {
    "squared_error": (lambda c, y, t, q: (y - t) ** 2 / 2, lambda c, y, t, q: t - y, lambda c, y, t, q: 1),
    "absolute_error": (lambda c, y, t, q: size(y - t), lambda c, y, t, q: sign(t - y), None),
    "huber": (
        huber,
        lambda c, y, t, d: t - y if abs((t - y).real) <= d else d * sign(t - y),
        lambda c, y, t, d: 1 if abs((t - y).real) <= d else 0,
    ),
    "log_cosh": (
        lambda c, y, t, q: c.log(c.cosh(y - t)),
        lambda c, y, t, q: c.tanh(t - y),
        lambda c, y, t, q: 1 / c.cosh(t - y) ** 2,
    ),
    "quantile": (
        lambda c, y, t, q: (q if y.real <= t else q - 1) * (t - y),
        lambda c, y, t, q: q if y.real < t else (q - 1 if y.real > t else 0),
        None,
    ),
    "binary_cross_entropy": (
        lambda c, y, t, q: t_log_t(t) - t_log(c, t, y) + t_log_t(1 - t) - t_log(c, 1 - t, 1 - y),
        lambda c, y, t, q: t / y - (1 - t) / (1 - y),
        None,
    ),
    "cross_entropy": (lambda c, y, t, q: t_log_t(t) - t_log(c, t, y), lambda c, y, t, q: t / y, None),
    "poisson": (lambda c, y, t, q: y - t * c.log(y) + t_log_t(t) - t, lambda c, y, t, q: t / y - 1, None),
}
FUSED_CURVATURE = {
    "binary_cross_entropy": lambda yk, yj, same: same * yk * (1 - yk),
    "cross_entropy": lambda yk, yj, same: yk * (same - yj),
    "poisson": lambda yk, yj, same: same * yk,
}
"""∂²loss/∂e[k]∂e[j] where loss and output activation fuse: there the loss is a function of what arrives."""


class Net(NamedTuple):
    """Sizes from inputs to outputs, a name for each layer, a loss and its parameter."""

    sizes: tuple
    activations: tuple
    loss: str
    parameter: float = 0.0


def layers(net, w):
    """Return [(W, b), …] as lists: w holds, layer after layer, the rows of W and then b."""
    found, i = [], 0
    for n_in, n_out in pairwise(net.sizes):
        W = [list(w[i + k * n_in : i + (k + 1) * n_in]) for k in range(n_out)]
        i += n_in * n_out
        found.append((W, list(w[i : i + n_out])))
        i += n_out
    return found


def forward(c, net, w, x):
    """Return what every neuron received and what it put out, [inputs first], for one row."""
    E, Y = [], [list(x)]
    for (W, b), name in zip(layers(net, w), net.activations, strict=True):
        received = [sum(Wkj * Y[-1][j] for j, Wkj in enumerate(Wk)) for Wk in W]
        E.append([e + bk for e, bk in zip(received, b, strict=True)])
        Y.append(put_out(c, name, E[-1]))
    return E, Y


def loss(c, net, w, x, t):
    """Return the loss of one row: the sum over its outputs."""
    y = forward(c, net, w, x)[1][-1]
    return sum(LOSSES[net.loss][0](c, yk, tk, net.parameter) for yk, tk in zip(y, t, strict=True))


def pull_back(c, name, e, delta):
    """Return the local gradients of a layer: Σ over k of δ[k] · ∂y[k]/∂e[j], which is δ · f′(e)."""
    S = slopes(c, name, e)
    return [sum(delta[k] * S[k][j] for k in range(len(e))) for j in range(len(e))]


def backward(c, net, w, E, Y, local):
    """Return local gradient · input for every weight, given the local gradients of the outputs."""
    parts, weights = [], layers(net, w)
    for i in reversed(range(len(weights))):
        parts.insert(0, [lk * y for lk in local for y in Y[i]] + local)
        if i > 0:
            W = weights[i][0]
            delta = [sum(W[k][j] * local[k] for k in range(len(local))) for j in range(len(Y[i]))]
            local = pull_back(c, net.activations[i - 1], E[i - 1], delta)
    return [product for part in parts for product in part]


def gradient(c, net, w, x, t):
    """Return ∂loss/∂w of one row by backpropagation."""
    E, Y = forward(c, net, w, x)
    delta = [LOSSES[net.loss][1](c, yk, tk, net.parameter) for yk, tk in zip(Y[-1], t, strict=True)]
    local = pull_back(c, net.activations[-1], E[-1], delta)
    return [-g for g in backward(c, net, w, E, Y, local)]


def complex_step(net, w, x, t, h=1e-30):
    """Return ∂loss/∂w of one row without a formula for it: the imaginary part of loss(w + ih) / h."""
    slopes = []
    for i in range(len(w)):
        moved = [complex(wj, h if i == j else 0) for j, wj in enumerate(w)]
        slopes.append(complex(loss(COMPLEX, net, moved, x, t)).imag / h)
    return slopes


def gauss_newton(c, net, w, x, t):
    """Return J' C J of one row, J being ∂(what arrives at the outputs)/∂w, one row for each output."""
    E, Y = forward(c, net, w, x)
    n = net.sizes[-1]
    J = [backward(c, net, w, E, Y, [1.0 if j == k else 0.0 for j in range(n)]) for k in range(n)]
    C = curvature(c, net, E[-1], Y[-1], t)
    pairs, places = [(k, m) for k in range(n) for m in range(n)], range(len(w))
    return [[sum(J[k][i] * C[k][m] * J[m][j] for k, m in pairs) for j in places] for i in places]


def curvature(c, net, e, y, t):
    """Return the curvature of the loss seen from what arrives at the outputs; f″ never takes part."""
    if net.loss in FUSED_CURVATURE:
        fused = FUSED_CURVATURE[net.loss]
        return [[fused(yk, yj, j == k) for j, yj in enumerate(y)] for k, yk in enumerate(y)]
    S, n = slopes(c, net.activations[-1], e), len(y)
    C = [LOSSES[net.loss][2](c, yk, tk, net.parameter) for yk, tk in zip(y, t, strict=True)]
    return [[sum(S[m][k] * C[m] * S[m][j] for m in range(n)) for j in range(n)] for k in range(n)]


def biases(net):
    """Return for every weight whether it is a bias."""
    return [kind for n_in, n_out in pairwise(net.sizes) for kind in [False] * (n_in * n_out) + [True] * n_out]


# Online training. A rule moves one weight for its gradient g; m is what it remembers, t counts the updates.


def plain(w, g, m, rate, t):
    return w - rate * g, m


def momentum(w, g, m, rate, t, keep=0.9):
    v = keep * m[0] - rate * g
    return w + v, [v]


def nesterov(w, g, m, rate, t, keep=0.9):
    v = keep * m[0] - rate * g
    return w + keep * v - rate * g, [v]


def rmsprop(w, g, m, rate, t, decay=0.9, epsilon=1e-8):
    a = decay * m[0] + (1 - decay) * g**2
    return w - rate * g / (math.sqrt(a) + epsilon), [a]


def adam(w, g, m, rate, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    a, b = beta1 * m[0] + (1 - beta1) * g, beta2 * m[1] + (1 - beta2) * g**2
    corrected = rate * math.sqrt(1 - beta2**t) / (1 - beta1**t)
    return w - corrected * a / (math.sqrt(b) + epsilon), [a, b]


RULES = {"plain": plain, "momentum": momentum, "nesterov": nesterov, "rmsprop": rmsprop, "adam": adam}


def epoch(net, w, rows, order, rule, rate, batch_size=1, l2=0.0):
    """Return w after one visit of the rows (x, t, s) in that order, and Σ s · loss, each before its update.

    An update takes the mean over its rows of s · gradient, plus l2 · weight for all but the biases, all of it
    computed with the weights as they were before the update.
    """
    w, memory, total = list(w), [[0.0, 0.0] for _ in w], 0.0
    for count, start in enumerate(range(0, len(order), batch_size), start=1):
        batch = [rows[i] for i in order[start : start + batch_size]]
        total += sum(s * loss(REAL, net, w, x, t) for x, t, s in batch)
        G = [[s * g for g in gradient(REAL, net, w, x, t)] for x, t, s in batch]
        for i, is_bias in enumerate(biases(net)):
            g = sum(row[i] for row in G) / len(batch) + (0 if is_bias else l2 * w[i])
            w[i], memory[i] = RULES[rule](w[i], g, memory[i], rate, count)
    return w, total
