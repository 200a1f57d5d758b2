"""The register of promises: each has tests that carry its number, and the page names tests that do."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "explain" / "promises.md"
KEPT = [f"P{number}" for number in (*range(1, 13), 14, 16)]
"""The promises that hold so far; exports and the lab bring their own."""


def numbers(nodes):
    """The promises that decorators, or the values of pytestmark, name."""
    for node in nodes:
        for call in ast.walk(node):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.promise":
                yield from (argument.value for argument in call.args)


def marked():
    """Every test that carries a promise, as file::function, with the promises it carries."""
    found = {}
    for path in sorted(TESTS.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        whole = set(numbers(node.value for node in assigned if ast.unparse(node.targets[0]) == "pytestmark"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{path.name}::{node.name}"] = whole | set(numbers(node.decorator_list))
    return found


MARKED = marked()
ROWS = dict(re.findall(r"^\| (P\d+) \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_page_has_the_promises_in_order_and_nothing_carries_another():
    assert list(ROWS) == KEPT
    assert set().union(*MARKED.values()) <= set(KEPT)


@pytest.mark.parametrize("promise", KEPT)
def test_a_promise_has_tests_and_the_page_names_some_of_them(promise):
    assert any(promise in carried for carried in MARKED.values())
    named = re.findall(r"`(test_\w+\.py::test_\w+)`", ROWS[promise])
    assert named and [name for name in named if promise not in MARKED.get(name, ())] == []
