"""Every error that deltarule raises on purpose.

::

    DeltaruleError
    ├── InputError (ValueError)      what the user gave cannot be used: exit status 2
    │   ├── TableError                a file, a frame, a column, a cell
    │   ├── SettingError              an unknown name or a value out of range
    │   │   └── InvalidParameterError (TypeError)  a parameter of an estimator
    │   └── ModelFileError            a model file that is not one, damaged, or too new
    └── TrainingError (RuntimeError)  the work failed while running: exit status 1
        └── DivergenceError (ValueError)  an estimator's weights or loss became non-finite

A message says what was given, what is accepted, and what to do, in one or two lines.
"""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST_SHOWN = 60
"""So many letters of what was given are shown."""


class DeltaruleError(Exception):
    """Base class of all errors raised on purpose."""


class InputError(DeltaruleError, ValueError):
    """What the user gave cannot be used as it stands."""


class TableError(InputError):
    """A table, a column or a cell cannot be used."""


class SettingError(InputError):
    """A name is unknown or a value lies outside its range."""


class InvalidParameterError(SettingError, TypeError):
    """A parameter of an estimator has a value or a type that is not accepted.

    Like scikit-learn's error of that name it is a ValueError and a TypeError.
    """


class ModelFileError(InputError):
    """A file is not a model file, is damaged, or is of a newer format."""


class TrainingError(DeltaruleError, RuntimeError):
    """The work failed while it was running."""


class DivergenceError(TrainingError, ValueError):
    """Training an estimator led to a number that is not finite; scikit-learn raises a ValueError there."""


def shown(given: object) -> str:
    """Return what was given as Python spells it, its end left out where it is long."""
    spelt = repr(given)
    return spelt if len(spelt) <= LONGEST_SHOWN else spelt[: LONGEST_SHOWN - 1] + "…"


def wrong(name: str, given: object, accepted: str) -> SettingError:
    """Return the error for a setting of the wrong type or range: what was given, what to give."""
    return SettingError(f"{name} was {shown(given)}; {accepted}.")


def unknown(kind: str, given: object, accepted: Iterable[str], also: Iterable[str] = ()) -> SettingError:
    """Return the error for a name that is not in a table: the name, the nearest ones, all of them.

    Names in `also` are accepted too, and among the nearest, but not listed.
    """
    names, others = list(accepted), list(also)
    spelt = {name.lower(): name for name in (*names, *others)}  # capitals do not make a name another
    near = [spelt[found] for found in get_close_matches(str(given)[:LONGEST_SHOWN].lower(), spelt, n=3)]
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    more = f", and {len(others)} other names of theirs" if others else ""
    return SettingError(f"Unknown {kind} {shown(given)}.{hint} Accepted: {', '.join(names)}{more}.")
