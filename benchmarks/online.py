"""Nanoseconds per row of online training: the compiled engine against FANN, same shapes, same rows, interleaved.

python benchmarks/online.py [directory of _native]      needs libfann-dev and a C compiler for FANN's column
"""

import ctypes
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
    import _native
else:
    from deltarule.engines import _native

SHAPES = (
    ((10, 8, 1), 2.0), ((10, 32, 1), 5.0), ((10, 128, 1), 8.0),
    ((64, 64, 1), 7.0), ((30, 64, 64, 10), 8.0), ((784, 128, 10), 3.0),
)  # fmt: skip
"""Shapes and the ratio to reach."""
SECONDS_EACH = 0.002
REPEATS = 300
RATE = 0.001
IDENTITY, TANH = 0, 2


def build_fann():
    """Return FANN's epoch as a ctypes library, or None where it is not installed."""
    library = Path(tempfile.mkdtemp()) / "fann_online.so"
    source = Path(__file__).parent / "fann_online.c"
    command = ["cc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library), "-ldoublefann", "-lm"]
    if subprocess.run(command, check=False).returncode:
        return None
    fann = ctypes.CDLL(str(library))
    fann.fann_make.restype = ctypes.c_void_p
    return fann


def ours(sizes, X, T, dtype=np.float64):
    """Return a function that runs one epoch."""
    p = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
    w = np.random.default_rng(0).uniform(-0.3, 0.3, p).astype(dtype)
    X, T, memory = X.astype(dtype), T.astype(dtype), np.zeros((0, p), dtype)
    codes = [TANH] * (len(sizes) - 2) + [IDENTITY]
    return lambda: _native.epoch(
        sizes, codes, 0, 0.0, False, w, memory, 0, X, T, None, None, 1, 0, (0.0, 0.0, 0.0), RATE, 0.0
    )


def theirs(fann, sizes, X, T):
    """Return a function that runs one of FANN's epochs."""
    net = ctypes.c_void_p(fann.fann_make(len(sizes), (ctypes.c_uint * len(sizes))(*sizes)))
    pointer = lambda a: a.ctypes.data_as(ctypes.c_void_p)  # noqa: E731
    return lambda: fann.fann_epoch(
        net, ctypes.c_float(RATE), pointer(X), pointer(T), ctypes.c_long(len(X)), sizes[0], sizes[-1]
    )


def main():
    """Print the table."""
    fann = build_fann()
    print(f"Nanoseconds a row, {_native.isa()}")
    print(f"{'shape':>14} {'float64':>10} {'float32':>10} {'FANN':>10} {'ratio':>7} {'at least':>8}")
    for sizes, wanted in SHAPES:
        weights = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
        n = max(300, min(20000, int(SECONDS_EACH / (1e-10 * weights + 5e-8))))
        rng = np.random.default_rng(1)
        X, T = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))
        runs = [ours(sizes, X, T), ours(sizes, X, T, np.float32)]
        if fann:
            n_theirs = max(32, n // 8)
            X_few, T_few = np.ascontiguousarray(X[:n_theirs]), np.ascontiguousarray(T[:n_theirs])
            runs.append(theirs(fann, sizes, X_few, T_few))
        best = [float("inf")] * len(runs)
        for _ in range(REPEATS):
            for i, run in enumerate(runs):
                start = time.perf_counter()
                run()
                best[i] = min(best[i], (time.perf_counter() - start) / (n if i < 2 else n_theirs))
        ns = [1e9 * b for b in best]
        rest = f"{ns[2]:10.0f} {ns[2] / ns[0]:7.2f} {wanted:8.1f}" if fann else ""
        print(f"{'-'.join(map(str, sizes)):>14} {ns[0]:10.1f} {ns[1]:10.1f} {rest}", flush=True)


if __name__ == "__main__":
    main()
