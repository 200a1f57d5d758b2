"""Other packages' methods on the same rows: each function trains and tells a `Clock` the error on the way."""

import ctypes
import subprocess
import tempfile
import warnings
from pathlib import Path
from shutil import which
from time import process_time

import numpy as np
from peers import fann

ENDLESS = 10**9


class Clock:
    """Seconds and passes to each goal of a run: stopped while the error is computed for the table alone.

    They are seconds of processor time, on one thread: what else the machine does hardly shows in them.

    Parameters
    ----------
    goals : sequence of float
        Mean squared errors, falling.
    limit : float
        Seconds after which the run ends.
    """

    def __init__(self, goals, limit, max_passes=ENDLESS):
        self.goals, self.limit, self.max_passes = list(goals), limit, max_passes
        self.reached = {}
        self.passes = 0
        self._spent, self._since = 0.0, process_time()

    def tell(self, error):
        """Note the error reached by now; return whether the run may end."""
        self.pause()
        return self.tell_paused(error)

    def pause(self):
        """Stop the clock, to compute an error."""
        self._spent += process_time() - self._since

    def tell_paused(self, error):
        """As `tell`, after `pause`."""
        for goal in self.goals:
            if error <= goal:
                self.reached.setdefault(goal, (self._spent, self.passes))
        self._since = process_time()
        return len(self.reached) == len(self.goals) or self._spent > self.limit or self.passes >= self.max_passes


class DoneError(Exception):
    """Ends a run of a package that knows no stopping by the caller."""


def torch_network(network, w, number):
    """Return PyTorch's network, from weights w or, where w is None, from its own random ones."""
    import torch

    parts = []
    kinds = {"tanh": torch.nn.Tanh, "identity": torch.nn.Identity}
    for i, (n_in, n_out) in enumerate(zip(network.sizes, network.sizes[1:], strict=False)):
        linear = torch.nn.Linear(n_in, n_out, dtype=number)
        if w is not None:
            W, b = list(network.layers(w))[i]
            linear.weight.data, linear.bias.data = torch.from_numpy(W.copy()), torch.from_numpy(b.copy())
        parts += [linear, kinds[network.activations[i].name]()]
    return torch.nn.Sequential(*parts)


def torch_levenberg_marquardt(network, X, T, seed, clock, batch=1000, single=True):
    """Train by the package torch-levenberg-marquardt: its README's settings, or full batches in float64."""
    import torch
    import torch_levenberg_marquardt as tlm

    torch.manual_seed(seed)
    number = torch.float32 if single else torch.float64
    inputs, targets = torch.as_tensor(X, dtype=number), torch.as_tensor(T, dtype=number)
    model = torch_network(network, None, number)
    module = tlm.training.LevenbergMarquardtModule(
        model=model, loss_fn=tlm.loss.MSELoss(), learning_rate=1.0, attempts_per_step=10, solve_method="qr"
    )
    while True:
        order = torch.randperm(len(inputs))
        for rows in torch.split(order, batch or len(inputs)):
            *_, stop, _ = module.training_step(inputs[rows], targets[rows])
            clock.passes += len(rows) / len(inputs)
            clock.pause()
            with torch.no_grad():
                error = float(((model(inputs) - targets) ** 2).mean())
            if clock.tell_paused(error) or stop:
                return


def torch_levenberg_marquardt_full(network, X, T, seed, clock):
    """As `torch_levenberg_marquardt`, all rows in a step, in float64."""
    torch_levenberg_marquardt(network, X, T, seed, clock, batch=0, single=False)


def torch_lbfgs(network, X, T, w, clock):
    """Train by torch.optim.LBFGS with its strong-Wolfe search from weights w."""
    import torch

    inputs, targets = torch.from_numpy(X), torch.from_numpy(T)
    model = torch_network(network, w, torch.float64)
    method = torch.optim.LBFGS(
        model.parameters(), max_iter=10**6, max_eval=10**7, tolerance_grad=0.0, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure():
        method.zero_grad()
        loss = ((model(inputs) - targets) ** 2).mean()
        loss.backward()
        clock.passes += 1
        if clock.tell(loss.item()):
            raise DoneError
        return loss

    try:
        while True:
            before = clock.passes
            method.step(closure)
            if clock.passes - before <= 1:
                return
    except DoneError:
        return


def scipy_least_squares(network, X, T, w, clock):
    """Train by SciPy's least_squares, method lm (MINPACK), with the Jacobian in NumPy, from weights w."""
    from scipy.optimize import least_squares

    def passed(v):
        Y = [X]
        for (W, b), activation in zip(network.layers(v), network.activations, strict=True):
            E = Y[-1] @ W.T + b
            Y.append(np.tanh(E) if activation.name == "tanh" else E)
        return Y

    def residuals(v):
        r = (passed(v)[-1] - T)[:, 0]
        clock.passes += 1
        if clock.tell(float(r @ r) / len(r)):
            raise DoneError
        return r

    def jacobian(v):
        Y, layers = passed(v), list(network.layers(v))
        J, D = np.empty((len(X), v.size)), np.ones((len(X), 1))
        if network.activations[-1].name == "tanh":
            D = 1 - Y[-1] ** 2
        for i in reversed(range(len(layers))):
            start, bias, stop = network.spans[i]
            J[:, start:bias] = (D[:, :, None] * Y[i][:, None, :]).reshape(len(X), -1)
            J[:, bias:stop] = D
            D = (D @ layers[i][0]) * (1 - Y[i] ** 2)
        return J

    try:
        least_squares(
            residuals, w, jacobian, method="lm", x_scale="jac", ftol=3e-16, xtol=3e-16, gtol=3e-16, max_nfev=10**6
        )
    except DoneError:
        return


def sklearn_lbfgs(network, X, T, seed, clock):
    """Train by scikit-learn's lbfgs from its own random weights, its tolerance off."""
    from sklearn.neural_network import MLPRegressor

    class Timed(MLPRegressor):
        """Tells the clock each loss."""

        def _loss_grad_lbfgs(self, *arguments):
            loss, grad = super()._loss_grad_lbfgs(*arguments)
            clock.passes += 1
            if clock.tell(2 * float(loss)):
                raise DoneError
            return loss, grad

    model = Timed(
        hidden_layer_sizes=network.sizes[1:-1], activation="tanh", solver="lbfgs", alpha=0.0, tol=0.0, max_iter=10**6,
        max_fun=10**7, random_state=seed,
    )  # fmt: skip
    try:
        model.fit(X, T[:, 0])
    except DoneError:
        return


def fann_rprop(network, X, T, w, clock):
    """Train by FANN's RPROP from weights w."""
    net = fann_of(network, w)
    rows = ctypes.c_void_p(fann().fann_rows(_pointer(X), _pointer(T), len(X), network.n_in, network.n_out))
    while True:
        error = float(fann().fann_rprop_epoch(net, rows))  # that of the weights before the step
        if clock.tell(error * _error_scale(network)):
            return
        clock.passes += 1


def _error_scale(network):
    """Return what FANN's error is short of: it halves differences of symmetric outputs before squaring."""
    return 4.0 if network.activations[-1].name == "tanh" else 1.0


def fann_of(network, w):
    """Return FANN's network set to train weights w by RPROP."""
    library = fann()
    library.fann_rprop_epoch.restype = ctypes.c_float
    made = library.fann_make(len(network.sizes), (ctypes.c_uint * len(network.sizes))(*network.sizes), 1)
    net = ctypes.c_void_p(made)
    packed = np.concatenate([np.column_stack([W, b]).ravel() for W, b in network.layers(np.asarray(w, dtype=float))])
    library.fann_set_rprop(net, int(network.activations[-1].name == "tanh"), _pointer(packed))
    return net


def fann_weights(network, net):
    """Return the weights of FANN's network in our order."""
    packed = np.empty(network.n_weights)
    fann().fann_get_packed(net, _pointer(packed))
    flat, at = np.empty(network.n_weights), 0
    for W, b in network.layers(flat):
        block = packed[at : at + W.size + b.size].reshape(len(b), -1)
        W[:], b[:] = block[:, :-1], block[:, -1]
        at += W.size + b.size
    return flat


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def nnet(script, **tables):
    """Run an R script that uses the package nnet on tables; return the numbers that it prints, or None without R.

    The script finds each table as a matrix of its name.
    """
    if which("Rscript") is None:
        warnings.warn("R's nnet is left out: apt-get install r-base-core r-cran-nnet brings it.", stacklevel=2)
        return None
    with tempfile.TemporaryDirectory() as folder:
        lines = ["suppressMessages(library(nnet))"]
        for name, table in tables.items():
            path = Path(folder) / f"{name}.csv"
            np.savetxt(path, table, delimiter=",", fmt="%.17g")
            lines.append(f"{name} <- as.matrix(read.csv('{path}', header=FALSE))")
        program = Path(folder) / "script.R"
        program.write_text("\n".join([*lines, script]))
        done = subprocess.run(["Rscript", str(program)], check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]
