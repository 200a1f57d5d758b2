"""A method has a page of the documentation by existing."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deltarule import methods

TOOLS = Path(__file__).parent.parent / "tools"


class DescentState(NamedTuple):
    """A point of plain descent."""

    w: Any
    loss: float
    grad: Any
    stuck: str = ""


@dataclass(frozen=True)
class Descent:
    """Go against the gradient: w ← w − η g.

    Parameters
    ----------
    rate : float
        η, above 0.

    Examples
    --------
    A sum of which one part is a text:

    >>> word = "down"
    >>> word
    'down'
    >>> 1 + 1, word  # both
    (2, 'down')
    """

    rate: float = 0.1

    name = "descent"
    needs = ("value_grad",)

    def start(self, objective: Any, w: Any) -> DescentState:
        """Return the state at w."""
        return DescentState(w, *objective.value_grad(w))


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setitem(methods.METHODS, "descent", Descent)
    monkeypatch.setitem(methods.ALIASES, "down", ("descent", {"rate": 0.5}))
    import method_pages

    yield method_pages
    for name in ("method_pages", "pages"):
        sys.modules.pop(name)


def test_a_new_method_has_a_page_and_a_line_in_the_index(pages):
    page = pages.pages()["descent.md"]
    assert "| `rate` | `0.1` | η, above 0. | – |" in page
    assert "| `down` | `rate=0.5` |" in page
    assert "A point of plain descent." in page and Path(__file__).name in page
    assert "[`descent`](methods/descent.md)" in pages.index_table()


def test_the_example_of_a_docstring_becomes_blocks_that_run(pages, monkeypatch, tmp_path):
    import run_code_blocks

    page = pages.pages()["descent.md"]
    assert '```python\nword = "down"\nprint(word)\n```\n\n```output\ndown\n```' in page
    assert "print((1 + 1, word))  # both" in page
    (tmp_path / "page.md").write_text(page, encoding="utf-8")
    assert run_code_blocks.run_file(tmp_path / "page.md") == 4


def test_a_method_without_an_example_gets_one(pages, monkeypatch):
    monkeypatch.setattr(Descent, "__doc__", "Go against the gradient.")
    assert 'method="descent"' in pages.pages()["descent.md"]
