"""`import deltarule` is light: NumPy at most. Held by the names of the modules it loads."""

import subprocess
import sys

HEAVY = {
    "sklearn", "scipy.optimize", "duckdb", "dask", "distributed", "torch", "cupy", "matplotlib", "pandas", "polars",
    "pyarrow", "narwhals", "safetensors", "click", "rich", "onnx", "starlette", "uvicorn", "mpmath",
}  # fmt: skip


def loaded_by(statement):
    """Return the modules that a new process has loaded after a statement."""
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    assert not HEAVY & loaded_by("import deltarule")


def test_training_loads_nothing_heavy():
    """Training on arrays needs the array engine alone, whose array library is the caller's."""
    code = (
        "import deltarule as dr\n"
        "net = dr.Network((1, 2, 1))\n"
        "dr.train(dr.Objective(net, 'squared_error', [[0.0], [1.0]], [0.0, 1.0]), net.initial_weights(0),"
        " stop=[dr.stopping.MaxSteps(2)])"
    )
    assert not HEAVY & loaded_by(code)


def test_the_check_itself_sees_modules():
    assert {"deltarule", "numpy"} <= loaded_by("import deltarule")
    assert "mpmath" in loaded_by("import mpmath")
