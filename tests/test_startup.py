"""What is loaded before it is needed: names of modules, not seconds."""

import subprocess
import sys

import pytest

LATE = (
    "sklearn", "scipy.optimize", "duckdb", "dask", "torch", "matplotlib", "pandas", "polars", "pyarrow", "narwhals",
    "safetensors", "starlette",
)  # fmt: skip
PRINT_LOADED = "import sys; print('\\n'.join(sys.modules), file=sys.stderr)"


def loaded(program):
    """The names of the modules that a program has loaded when it ends."""
    code = f"import atexit\natexit.register(lambda: exec({PRINT_LOADED!r}))\n{program}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stderr.split())


def command(*arguments):
    return f"import sys; sys.argv = ['deltarule', *{arguments!r}]\nfrom deltarule.cli import main; main()"


PROGRAMS = {
    "import deltarule": "import deltarule",
    "deltarule --help": command("--help"),
    "deltarule train --help": command("train", "--help"),
    "deltarule methods": command("methods"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_heavy_is_loaded(program):
    names = loaded(PROGRAMS[program])
    assert "deltarule" in names and "numpy" in names
    heavy = {name for name in names if any(name == late or name.startswith(f"{late}.") for late in LATE)}
    assert heavy == set()


def test_help_loads_no_report():
    assert "rich" not in loaded(command("--help"))


def test_training_loads_no_frame_library_and_no_picture(tmp_path):
    rows = "".join(f"{i},{i % 7}\n" for i in range(40))
    (tmp_path / "t.csv").write_text(f"a,y\n{rows}")
    names = loaded(command("train", str(tmp_path / "t.csv"), "-t", "y", "--task", "regression", "--epochs", "1"))
    assert "duckdb" in names
    assert not names & {"sklearn", "pandas", "polars", "pyarrow", "matplotlib", "torch", "dask"}


def test_the_faces_are_found_on_first_use():
    names = (
        "callable(dr.fit) and callable(dr.compare) and callable(dr.load) and dr.Model and dr.Comparison and dr.plots"
    )
    program = f"import deltarule as dr\nassert {names}"
    assert "deltarule.fitting" in loaded(program)
