"""Check the docstrings of all public objects of the package by numpydoc's rules."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

from numpydoc.validate import validate

import deltarule

CODES = {
    "GL02": "closing quotes on a line of their own where there is more than one line",
    "GL03": "no two blank lines, no blank line at the end",
    "GL05": "no tabs",
    "GL06": "no unknown section",
    "GL07": "sections in order",
    "GL08": "there is a docstring",
    "GL10": "directives end in two colons",
    "SS02": "the summary begins with a capital letter",
    "SS03": "the summary ends with a full stop",
    "SS04": "no space before the summary",
    "SS06": "the summary fits on one line",
    "PR01": "if some parameters are described, all are",
    "PR02": "no parameter is described that does not exist",
    "PR03": "parameters in order",
    "PR04": "each parameter has a type",
    "PR07": "each parameter has a description",
    "PR10": "a space before the colon of a type",
    "RT03": "each return value has a description",
}
"""numpydoc's error codes that count here, and the rule behind each."""


def public_names() -> Iterator[str]:
    """Yield the dotted names of all modules, functions, classes and methods without an underscore."""
    for found in pkgutil.walk_packages(deltarule.__path__, "deltarule."):
        if not any(part.startswith("_") for part in found.name.split(".")):
            yield found.name
            yield from _members(importlib.import_module(found.name), found.name)


def _members(owner: ModuleType | type, name: str) -> Iterator[str]:
    """Yield the names of what a module or class itself defines."""
    module = owner.__name__ if inspect.ismodule(owner) else owner.__module__
    for attribute, value in vars(owner).items():
        value = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if attribute.startswith("_") or getattr(value, "__module__", module) != module:
            continue
        if inspect.isclass(value):
            yield f"{name}.{attribute}"
            yield from _members(value, f"{name}.{attribute}")
        elif inspect.isfunction(value) or isinstance(value, property):
            yield f"{name}.{attribute}"


def faults(name: str) -> Iterator[str]:
    """Yield what is wrong with the docstring of an object, as lines with its file."""
    try:
        found = validate(name)
    except StopIteration:  # numpydoc looks for the first def or class, and a module with a docstring alone has none
        return
    described = "\nParameters\n" in found["docstring"]
    for code, message in found["errors"]:
        if code in CODES and (code != "PR01" or described):
            yield f"{found['file']}:{found['file_line']}: {name}: {code} {message}"


if __name__ == "__main__":
    names = list(public_names())
    wrong = [line for name in names for line in faults(name)]
    print(*wrong, f"{len(names)} docstrings, {len(wrong)} faults", sep="\n")
    sys.exit(bool(wrong))
