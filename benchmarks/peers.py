"""The same work done by others: scikit-learn, PyTorch, FANN. Each function returns something to call."""

import ctypes
import itertools
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np

FANN_RATE = 1e-3


@cache
def fann():
    """Return FANN as a ctypes library, or None where libfann-dev is not installed."""
    library = Path(tempfile.mkdtemp()) / "fann_peer.so"
    source = Path(__file__).with_name("fann_peer.c")
    command = ["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library), "-ldoublefann", "-lm"]
    if subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode:
        warnings.warn("FANN is left out: apt-get install libfann-dev brings it.", stacklevel=2)
        return None
    loaded = ctypes.CDLL(str(library))
    loaded.fann_make.restype = loaded.fann_rows.restype = ctypes.c_void_p
    return loaded


def _fann_network(sizes, batch):
    made = fann().fann_make(len(sizes), (ctypes.c_uint * len(sizes))(*sizes), int(batch))
    network = ctypes.c_void_p(made)
    fann().fann_rate(network, ctypes.c_float(FANN_RATE if not batch else 0.0))
    return network


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def fann_online(sizes, X, T):
    """Return an epoch of FANN's incremental training."""
    network = _fann_network(sizes, batch=False)
    return lambda: fann().fann_online_epoch(
        network, _pointer(X), _pointer(T), ctypes.c_long(len(X)), sizes[0], sizes[-1]
    )


def fann_batch(sizes, X, T):
    """Return an epoch of FANN's batch training, which sums the gradient over all rows."""
    network = _fann_network(sizes, batch=True)
    rows = ctypes.c_void_p(fann().fann_rows(_pointer(X), _pointer(T), len(X), sizes[0], sizes[-1]))
    return lambda: fann().fann_batch_epoch(network, rows)


def pytorch(network, X, T, w):
    """Return loss and gradient by PyTorch's autograd on one thread."""
    import torch

    torch.set_num_threads(1)
    number = torch.float64 if X.dtype == np.float64 else torch.float32
    inputs, targets = torch.from_numpy(X), torch.from_numpy(T)
    softmax = network.activations[-1].name == "softmax"
    classes = targets.argmax(dim=1) if softmax else None
    parts = []
    for (W, b), n_in, n_out in zip(network.layers(w), network.sizes, network.sizes[1:], strict=False):
        linear = torch.nn.Linear(n_in, n_out, dtype=number)
        linear.weight.data, linear.bias.data = torch.from_numpy(W.copy()), torch.from_numpy(b.copy())
        parts += [linear, torch.nn.Tanh()]
    model = torch.nn.Sequential(*parts[:-1])

    def work():
        model.zero_grad()
        outputs = model(inputs)
        if softmax:
            loss = torch.nn.functional.cross_entropy(outputs, classes)
        else:
            loss = 0.5 * ((outputs - targets) ** 2).sum(dim=1).mean()
        loss.backward()
        return loss.item(), torch.cat([p.grad.reshape(-1) for p in model.parameters()]).numpy()

    return work


def pytorch_online(sizes, X, T, rows):
    """Return `rows` steps of PyTorch's SGD, one row each."""
    import torch

    torch.set_num_threads(1)
    parts = []
    for n_in, n_out in itertools.pairwise(sizes):
        parts += [torch.nn.Linear(n_in, n_out, dtype=torch.float64), torch.nn.Tanh()]
    model = torch.nn.Sequential(*parts[:-1])
    stepper = torch.optim.SGD(model.parameters(), lr=1e-3)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(T)

    def work():
        for r in range(rows):
            stepper.zero_grad()
            loss = 0.5 * ((model(inputs[r : r + 1]) - targets[r : r + 1]) ** 2).sum()
            loss.backward()
            stepper.step()

    return work


def sklearn_network(network, X, T, w):
    """Return scikit-learn's estimator with these weights, and whether it classifies."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    classifies = network.activations[-1].name == "softmax"
    settings = {"hidden_layer_sizes": network.sizes[1:-1], "activation": "tanh", "alpha": 0.0, "solver": "sgd"}
    if classifies:
        k = network.n_out
        model = MLPClassifier(**settings).partial_fit(X[: 2 * k], np.arange(2 * k) % k, classes=np.arange(k))
    else:
        model = MLPRegressor(**settings).partial_fit(X[:10], T[:10, 0])
    layers = list(network.layers(w))
    model.coefs_ = [np.ascontiguousarray(W.T) for W, _ in layers]
    model.intercepts_ = [b.copy() for _, b in layers]
    return model


def sklearn(network, X, T, w):
    """Return loss and gradient by scikit-learn's own functions."""
    model = sklearn_network(network, X, T, w)
    n = len(X)
    units = [X] + [np.empty((n, size), X.dtype) for size in network.sizes[1:]]
    deltas = [np.empty_like(a) for a in units[1:]]
    W_grads, b_grads = [np.empty_like(W) for W in model.coefs_], [np.empty_like(b) for b in model.intercepts_]

    def work():
        loss, Ws, bs = model._backprop(X, T, None, units, deltas, W_grads, b_grads)
        return float(loss), np.concatenate([a.reshape(-1) for W, b in zip(Ws, bs, strict=True) for a in (W.T, b)])

    return work


def sklearn_online(sizes, X, T, rows):
    """Return an epoch of `rows` rows of scikit-learn's SGD with batch_size=1."""
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(
        hidden_layer_sizes=sizes[1:-1], activation="tanh", alpha=0.0, solver="sgd", batch_size=1, momentum=0.0,
        learning_rate_init=1e-3, max_iter=1, shuffle=False,
    )  # fmt: skip
    return lambda: model.partial_fit(X[:rows], T[:rows, 0])


def sklearn_row_by_row(sizes, X, T, rows):
    """Return `rows` calls of scikit-learn's partial_fit."""
    from sklearn.neural_network import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=sizes[1:-1], activation="tanh", alpha=0.0, solver="sgd", momentum=0.0)

    def work():
        for r in range(rows):
            model.partial_fit(X[r : r + 1], T[r : r + 1, 0])

    return work
