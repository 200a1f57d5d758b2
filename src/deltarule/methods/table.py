"""The methods as rows of text, for people and for the reference pages."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from deltarule.methods import ALIASES, METHODS, get


class Row(NamedTuple):
    """A method's name, its first docstring line, its settings and what they are, its other names."""

    name: str
    summary: str
    settings: dict[str, Any]
    aliases: list[str]


def rows(names: Sequence[str] = ()) -> list[Row]:
    """Return a row for each method; or for each of some names, with the settings that it stands for.

    Raises
    ------
    SettingError
        If a name is unknown.
    """
    return [_row(get(name)) for name in names or METHODS]


def _row(method: Any) -> Row:
    given = {row.name: getattr(method, row.name) for row in fields(method) if row.init}
    settings = {
        key: value if isinstance(value, str | int | float | None) else repr(value) for key, value in given.items()
    }
    aliases = [alias for alias, (target, _) in ALIASES.items() if target == method.name]
    return Row(method.name, (type(method).__doc__ or "").partition("\n")[0], settings, aliases)
