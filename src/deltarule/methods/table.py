"""The methods as rows of text, for people and for the reference pages."""

from dataclasses import fields
from typing import Any, NamedTuple

from deltarule.methods import ALIASES, METHODS


class Row(NamedTuple):
    """A method's name, its first docstring line, its settings with their defaults, its other names."""

    name: str
    summary: str
    settings: dict[str, Any]
    aliases: list[str]


def rows() -> list[Row]:
    """Return a row for each method."""
    listed = []
    for name, made in METHODS.items():
        default = made()
        given = {row.name: getattr(default, row.name) for row in fields(made) if row.init}
        settings = {
            key: value if isinstance(value, str | int | float | None) else repr(value) for key, value in given.items()
        }
        aliases = [alias for alias, (target, _) in ALIASES.items() if target == name]
        listed.append(Row(name, made.__doc__.partition("\n")[0], settings, aliases))
    return listed
