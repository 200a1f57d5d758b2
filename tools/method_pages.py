"""The pages of the methods: each is built around the method's source, from its docstrings, fields and aliases.

A method of `deltarule.methods.METHODS` has a page by existing. What a page says comes from

    the module's docstring        the algorithm and where it is from
    the class's docstring         what each setting is, and an example
    the state's docstring         what the records of a run tell
    `methods.ALIASES`, `matlab`   other names of the method and of its settings
"""

import ast
import doctest
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, get_type_hints

from deltarule import methods
from deltarule.methods import matlab
from deltarule.methods.table import Row
from deltarule.methods.table import rows as method_rows
from pages import code, page, table

NEEDS = {
    "value": "the objective's value",
    "value_grad": "the objective's value and gradient",
    "gauss_newton": "value, gradient and the Gauss–Newton matrix, p × p numbers for p weights: a loss with curvature",
    "gauss_newton_product": "products of the Gauss–Newton matrix with a vector: a loss with curvature",
    "epoch": "the rows one by one, in an order: the weights move while they pass",
}
"""What the functions of an objective that a method names in `needs` are."""
EXAMPLE = """\
import numpy as np
import deltarule as dr

x = np.linspace(-1, 1, 41)[:, None]
net = dr.Network((1, 5, 1))
sine = dr.Objective(net, "squared_error", x, np.sin(np.pi * x))
w = net.initial_weights(seed=0)
result = dr.train(sine, w, method="{name}", stop=[dr.stopping.MaxSteps(20)])
print(result.message)
"""
"""For a method whose docstring has no example."""


def pages() -> dict[str, str]:
    """Return the page of each method by its name."""
    return {f"{row.name}.md": _page(row) for row in method_rows()}


def index_table() -> str:
    """Return the table of all methods, each with a link to its page."""
    return table(
        ["method", "what it does", "needs", "also known as"],
        ([f"[`{row.name}`](methods/{row.name}.md)", row.summary, code(methods.METHODS[row.name].needs),
          code(row.aliases)] for row in method_rows()),
    )  # fmt: skip


def _page(row: Row) -> str:
    made = methods.METHODS[row.name]
    module = sys.modules[made.__module__]
    sections = _sections(made)
    title, _, algorithm = inspect.getdoc(module).partition("\n")
    return page(
        row.name,
        prose(title),
        _names(row),
        "## How it works",
        prose(algorithm),
        "## What it needs",
        "\n".join(f"- `{need}`: {NEEDS[need]}" for need in made.needs),
        "## Settings",
        _settings(row, sections.get("Parameters", "")),
        *_signature(made),
        "## Example",
        *_example(row, sections.get("Examples", "")),
        "## What its records tell",
        prose(inspect.getdoc(_state(made))),
        "Numbers and words among these are in `record.details` of each record, and columns of `result.arrays()`.",
        "## The source",
        *_source(module),
    )


def _names(row: Row) -> str:
    """Return how the method is asked for, and its other names with the settings they stand for."""
    lines = [f'Ask for it as `method="{row.name}"` or `dr.methods.{methods.METHODS[row.name].__name__}(…)`, '
             f"on the command line as `--method {row.name}`."]  # fmt: skip
    if row.aliases:
        presets = ((alias, methods.ALIASES[alias][1]) for alias in row.aliases)
        known = table(["also known as", "which stands for"],
                      ([f"`{alias}`", code(f"{key}={value!r}" for key, value in preset.items())
                        if preset else "the defaults"] for alias, preset in presets))  # fmt: skip
        lines.append(known)
    return "\n\n".join(lines)


def _sections(made: Any) -> dict[str, str]:
    """Return the sections of a class's docstring by their titles."""
    _, *parts = re.split(r"^(\w+)\n-+\n", inspect.getdoc(made), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _settings(row: Row, parameters: str) -> str:
    """Return the settings with their defaults, what they are, and MATLAB's names where it has one."""
    theirs = {ours: name for name, ours in matlab.SETTINGS.get(row.name, {}).items()}
    lines = []
    for names, text in re.findall(r"^(\S.*?) : .*\n((?:[ ]+.*\n?)+)", parameters, flags=re.MULTILINE):
        names = names.split(", ")
        lines.append([code(names), code(row.settings[name] for name in names), prose(" ".join(text.split())),
                      code(theirs[name] for name in names if name in theirs)])  # fmt: skip
    return table(["setting", "default", "what it is", "in MATLAB"], lines)


def _signature(made: Any) -> Iterator[str]:
    """Yield what the index of the documentation finds the class by."""
    arguments = ", ".join(f"{name}={value.default!r}" for name, value in inspect.signature(made).parameters.items())
    yield f"```{{eval-rst}}\n.. py:class:: {made.__module__}.{made.__name__}({arguments})\n```"


def _example(row: Row, text: str) -> Iterator[str]:
    """Yield the docstring's doctest as blocks of code and of what it prints, or a plain example."""
    pieces = doctest.DocTestParser().parse(text) if text else [doctest.Example(EXAMPLE.format(name=row.name), "")]
    source = ""
    for piece in pieces:
        if isinstance(piece, str):
            if piece.strip():
                yield prose(piece.strip())
            continue
        source += _printing(piece.source) if piece.want else piece.source
        if piece.want:
            yield _block(source)
            yield f"```output\n{_printed(piece.want)}```"
            source = ""
    if source:
        yield _block(source)


def _block(source: str) -> str:
    """Return a block of code, an empty line below its imports."""
    return "```python\n" + re.sub(r"((?:^import .*\n)+)(?!\n|import )", r"\1\n", source, flags=re.MULTILINE) + "```"


def _printing(source: str) -> str:
    """Return a statement that prints what a doctest would show of an expression."""
    last = ast.parse(source).body[-1]
    shown = ast.get_source_segment(source, last)
    if not isinstance(last, ast.Expr) or shown.startswith("print("):
        return source
    return source.replace(shown, f"print(({shown}))" if isinstance(last.value, ast.Tuple) else f"print({shown})")


def _printed(want: str) -> str:
    """Return what is printed where a doctest shows `want`: a text without its quotes."""
    return f"{ast.literal_eval(want)}\n" if want.startswith(("'", '"')) else want


def _state(made: Any) -> Any:
    return get_type_hints(made.start)["return"]


def _source(module: Any) -> Iterator[str]:
    """Yield the method's own file, then those beside it that it rests on; another method is a link."""
    own = {made.__module__: name for name, made in methods.METHODS.items()}
    yield _included(module)
    for name in sorted(set(re.findall(r"deltarule\.methods\.(\w+) import", inspect.getsource(module)))
                       | set(_imported(module))):  # fmt: skip
        beside = f"deltarule.methods.{name}"
        if beside in own:
            yield f"It builds on [`{own[beside]}`]({own[beside]}.md)."
        else:
            yield f"### {name}.py"
            yield _included(sys.modules[beside])


def _imported(module: Any) -> list[str]:
    """Return the modules beside a method's that it imports whole."""
    found = (value for value in vars(module).values() if inspect.ismodule(value))
    return [value.__name__.rpartition(".")[2] for value in found if value.__name__.startswith("deltarule.methods.")]


def _included(module: Any) -> str:
    file = Path(module.__file__).name
    return (f"```{{literalinclude}} ../../../src/deltarule/methods/{file}\n:language: python\n"
            f":caption: src/deltarule/methods/{file}\n```")  # fmt: skip


def prose(text: str) -> str:
    """Return the text of a docstring in Markdown: indented paragraphs become blocks of text."""
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n[ ]*\n", text.strip("\n")):
        if not paragraph.startswith("    "):
            paragraphs.append(_inline(paragraph))
        elif paragraphs and paragraphs[-1].endswith("\n```"):
            paragraphs[-1] = f"{paragraphs[-1][:-4]}\n\n{dedent(paragraph)}\n```"
        else:
            paragraphs.append(f"```text\n{dedent(paragraph)}\n```")
    return "\n\n".join(paragraphs)


def _inline(text: str) -> str:
    """Return a paragraph whose code is between single backticks, and in which nothing else marks up."""
    parts = re.split(r"(`[^`]+`)", text.replace("``", "`"))
    return "".join(part if part.startswith("`") else re.sub(r"<(?=\w)", r"\\<", part) for part in parts)
