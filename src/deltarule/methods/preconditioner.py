"""The diagonal preconditioner P of methods that go along −P g: what is asked of the objective, and of the settings."""

from typing import Any

from deltarule.errors import SettingError
from deltarule.special import Array

SWITCHES = ("projection", "preconditioned")


def at(objective: Any, w: Array) -> Array:
    """Return P (p,), the objective's own where it has one (`deltarule.preconditioning`), otherwise ones."""
    own = getattr(objective, "preconditioner", None)
    return 1 + 0 * w if own is None else own(w)


def check_switches(method: Any) -> None:
    """Refuse settings that are neither True nor False.

    Raises
    ------
    SettingError
        If one is not.
    """
    for name in SWITCHES:
        value = getattr(method, name)
        if not isinstance(value, bool):
            raise SettingError(f"{name} was {value!r}; it is True or False.")
