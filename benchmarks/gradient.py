"""Full-batch loss and gradient against PyTorch's autograd and scikit-learn's own, one thread each, in one run."""

import argparse
import tracemalloc

from sidebyside import machine, one_thread, race, ratio, table, versions

one_thread()

import numpy as np  # noqa: E402  # after the number of threads is set
import torch  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402

import deltarule as dr  # noqa: E402

SHAPES = ((10, 8, 1), (10, 32, 1), (64, 64, 1))
ROWS, REPEATS = 100_000, 7


def ours(network, X, T, w):
    objective = dr.Objective(network, "squared_error", X, T)
    return lambda: objective.value_grad(w)


def pytorch(network, X, T, w):
    torch.set_num_threads(1)
    X, T = torch.from_numpy(X), torch.from_numpy(T)
    parts = []
    for (W, b), n_in, n_out in zip(network.layers(w), network.sizes, network.sizes[1:], strict=False):
        linear = torch.nn.Linear(n_in, n_out, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.from_numpy(W.copy()), torch.from_numpy(b.copy())
        parts += [linear, torch.nn.Tanh()]
    model = torch.nn.Sequential(*parts[:-1])

    def work():
        model.zero_grad()
        loss = 0.5 * ((model(X) - T) ** 2).sum(dim=1).mean()
        loss.backward()
        grad = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
        return loss.item(), grad.numpy()

    return work


def sklearn(network, X, T, w):
    model = MLPRegressor(hidden_layer_sizes=network.sizes[1:-1], activation="tanh", alpha=0.0, max_iter=1, solver="sgd")
    model.partial_fit(X[:10], T[:10, 0])
    layers = list(network.layers(w))
    model.coefs_ = [np.ascontiguousarray(W.T) for W, _ in layers]
    model.intercepts_ = [b.copy() for _, b in layers]
    n = X.shape[0]
    units = [X] + [np.empty((n, size)) for size in network.sizes[1:]]
    deltas = [np.empty_like(a) for a in units[1:]]
    W_grads = [np.empty_like(W) for W in model.coefs_]
    b_grads = [np.empty_like(b) for b in model.intercepts_]

    def work():
        loss, Ws, bs = model._backprop(X, T, None, units, deltas, W_grads, b_grads)
        parts = [a.reshape(-1) for W, b in zip(Ws, bs, strict=True) for a in (W.T, b)]
        return float(loss), np.concatenate(parts)

    return work


def measure(shape):
    rng = np.random.default_rng(0)
    X, T = rng.standard_normal((ROWS, shape[0])), rng.standard_normal((ROWS, shape[-1]))
    network = dr.Network(shape)
    w = network.initial_weights(0)
    ways = {"deltarule": ours, "PyTorch autograd": pytorch, "scikit-learn": sklearn}
    works = {name: make(network, X, T, w) for name, make in ways.items()}
    loss, grad = works["deltarule"]()
    for name, work in works.items():
        other_loss, other_grad = work()
        assert abs(other_loss - loss) < 1e-10 * loss, name
        assert np.abs(other_grad - grad).max() < 1e-10 * np.abs(grad).max(), name
    seconds = race(works, REPEATS)
    tracemalloc.start()
    works["deltarule"]()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        "-".join(map(str, shape)),
        *(f"{min(times) / ROWS * 1e9:.0f}" for times in seconds.values()),
        *(f"{ratio(seconds[name], seconds['deltarule']):.2f} ×" for name in list(ways)[1:]),
        f"{peak / 1e6:.1f} MB",
    ]


def report() -> str:
    header = [
        "network, tanh", "deltarule, ns a row", "PyTorch autograd", "scikit-learn", "against PyTorch",
        "against scikit-learn", "memory beyond the data",
    ]  # fmt: skip
    return "\n\n".join(
        [
            "## Full-batch loss and gradient, one thread, float64",
            f"{ROWS:,} rows; nanoseconds a row (best of {REPEATS}); ratios are medians of pairs; losses and gradients "
            "agree to 1e-10 before anything is timed.",
            f"{machine()}; {versions('deltarule', 'numpy', 'torch', 'scikit-learn')}.",
            table(header, [measure(shape) for shape in SHAPES]),
        ]
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(report())
