"""The methods of a race: names, aliases or objects, each with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

from deltarule import methods, plan
from deltarule.errors import SettingError, unknown
from deltarule.methods import METHODS, Method, Online


class Entrant(NamedTuple):
    """A method in a race: what it is called, and what it is made of for each start."""

    label: str
    given: str | Method
    settings: dict[str, Any]

    def method(self, epochs: int, seed: int, start: int = 0) -> Method:
        """Return the method for a start, counted from 0; online training has orders of its own for each."""
        if isinstance(self.given, str):
            made = plan.named(self.given, self.settings, seed, epochs)
        else:
            made = methods.get(self.given, **self.settings)
        return replace(made, seed=made.seed + start) if start and isinstance(made, Online) else made


def entrants_of(given: Any, settings: Mapping[str, Mapping[str, Any]] | None, epochs: int) -> tuple[Entrant, ...]:
    """Return the methods of a race, each made once to see that its settings will do.

    Parameters
    ----------
    given : sequence or mapping of str, or None
        Names, aliases or objects; labels and those; all methods.
    settings : mapping of str to mapping, optional
        Settings of methods given by name, by label.
    epochs : int
        For schedules that go by the number of epochs.

    Raises
    ------
    SettingError
        If a name, a label or a setting is unknown, or a method is there twice.
    """
    labelled = _labelled(list(METHODS) if given is None else given)
    settings = {} if settings is None else settings
    for label, values in settings.items():
        if label not in dict(labelled):
            raise unknown("method of this race in the settings", label, dict(labelled))
        if not isinstance(values, Mapping):
            raise SettingError(f"The settings of {label} were {values!r}; give a dict of names and values.")
    entrants = tuple(Entrant(label, method, dict(settings.get(label, {}))) for label, method in labelled)
    made = [(entrant, entrant.method(epochs, seed=0)) for entrant in entrants]
    by_name = [(entrant.label, method) for entrant, method in made if entrant.label == entrant.given]
    for (one, method), (other, same) in combinations(by_name, 2):
        if method == same:
            raise SettingError(f"{one} and {other} are the same method with the same settings; leave one out.")
    return entrants


def _labelled(given: Any) -> list[tuple[str, Any]]:
    """Return labels and methods, each label once."""
    if not isinstance(given, Mapping | Sequence) or isinstance(given, str) or not given:
        raise SettingError(f"methods was {given!r}; give a list such as ['online', 'cg'], or a dict with labels.")
    labelled = list(given.items()) if isinstance(given, Mapping) else [(_label(method), method) for method in given]
    for (one, _), (other, _) in combinations(labelled, 2):
        if one == other:
            raise SettingError(f"The method {one!r} is there twice; leave one out, or give each a label of its own.")
    return labelled


def _label(method: Any) -> str:
    return method if isinstance(method, str) else str(methods.get(method).name)
