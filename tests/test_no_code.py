"""Nothing that a file holds is ever run: what could run it appears nowhere in the package."""

import ast
from pathlib import Path

import pytest

import deltarule

pytestmark = pytest.mark.promise("P8")

PACKAGE = Path(deltarule.__file__).parent
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "subprocess", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "unpickle"}
FORBIDDEN_LOADING = {("np", "load"), ("numpy", "load"), ("joblib", "load"), ("pd", "read_pickle"), ("torch", "load")}


def names(tree):
    """Every module that is imported and every function that is called, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], None
            yield from ((None, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield None, node.func.id
        elif isinstance(node, ast.Attribute):
            yield (node.value.id if isinstance(node.value, ast.Name) else None), node.attr


FILES = sorted(PACKAGE.rglob("*.py"))


def test_nothing_that_runs_data_is_in_the_package():
    assert len(FILES) > 100
    found = []
    for path in FILES:
        for owner, name in names(ast.parse(path.read_text(encoding="utf-8"))):
            module = owner in FORBIDDEN_MODULES
            call = name in FORBIDDEN_CALLS and owner != "re"
            if module or call or (owner, name) in FORBIDDEN_LOADING:
                found.append(f"{path.relative_to(PACKAGE)}: {owner or ''}.{name or ''}")
    assert found == []


def test_the_words_stand_nowhere_either():
    """As text too, so that no getattr finds them."""
    for path in FILES:
        words = path.read_text(encoding="utf-8")
        assert "import pickle" not in words and "joblib.load" not in words and "allow_pickle=True" not in words, path
