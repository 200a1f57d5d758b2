"""The features of a stream: which of them is which input of the network, and what a row of them says.

A row is a dict of names and values, or an array, whose features are named 0, 1, 2, …. A value is a number (True
counts as 1), or a text, which becomes an input of 0 or 1 for each text that its feature has had: ``colour=red``. A
feature that a row does not have, or has as None, is missing.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from operator import itemgetter
from struct import Struct, error
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError
from deltarule.estimators.stream_scaling import LARGEST

Floats = NDArray[np.float64]

MOST = 20_000
"""So many inputs a stream may come to have; a feature whose texts never repeat would add one with every row."""


class Row(NamedTuple):
    """What a row says, checked."""

    numbers: dict[Hashable, float]
    texts: dict[Hashable, str]
    array: bool = False


class Features:
    """The features met so far, in the order in which their inputs were added."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}  # name -> input
        self.texts: dict[Hashable, dict[str, int]] = {}  # name -> text -> input
        self.n_inputs = 0
        self.arrays: bool | None = None  # whether rows are arrays; None before the first
        self._find_way()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_values", "_pack")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._find_way()

    @property
    def names(self) -> list[str]:
        """What each input stands for: ``age``, ``colour=red``."""
        found = {place: str(name) for name, place in self.numbers.items()}
        for name, levels in self.texts.items():
            found |= {place: f"{name}={text}" for text, place in levels.items()}
        return [found[place] for place in range(self.n_inputs)]

    def _find_way(self) -> None:
        """Prepare the quick way for rows that have the features met so far, no others, and no texts."""
        names, n = tuple(self.numbers), self.n_inputs
        quick = n > 0 and not self.texts and not self.arrays
        self._quick = n if quick else -1
        self._values: Callable[[Any], tuple[Any, ...]]
        self._values = itemgetter(*names) if n > 1 else lambda row: (row[names[0]],)
        self._pack: Callable[..., None] = Struct(f"{n}d").pack_into

    def quick(self, row: Any, x: Floats) -> bool:
        """Write a row's numbers to x (n_inputs,) if that takes no thinking; return whether it did."""
        try:
            if row.__class__ is dict and len(row) == self._quick:
                values = self._values(row)
            elif self.arrays and row.__class__ is np.ndarray and row.shape == x.shape:
                values = row.tolist()
            else:
                return False
            self._pack(x, 0, *values)
            return bool(sum(map(abs, x.tolist())) < LARGEST)  # not so for a NaN either
        except (KeyError, TypeError, ValueError, OverflowError, error):  # said by `read` what it is
            return False

    def read(self, row: Any, kinds: dict[Hashable, bool | None] | None = None) -> Row:
        """Return what a row says, without changing anything.

        Parameters
        ----------
        row : dict or array
            See the top of this module.
        kinds : dict, optional
            Whether a feature not met so far is a text, for rows that come together; filled in.

        Raises
        ------
        InputError
            If it is not a row, a value is neither a number nor a text, is not finite, or is the other of the two than
            before; the message names the feature.
        """
        found = Row({}, {}, not isinstance(row, Mapping))
        for name, value in self._items(row):
            if value.__class__ is float and -LARGEST < value < LARGEST and name in self.numbers:
                found.numbers[name] = value  # as nearly always
                continue
            if value is None:
                continue
            is_text = isinstance(value, str)
            if is_text:
                found.texts[name] = value
            else:
                found.numbers[name] = _number(name, value)
            was_text = self._is_text(name) if kinds is None else kinds.setdefault(name, self._is_text(name, is_text))
            if was_text is not None and was_text != is_text:
                raise InputError(
                    f"The feature {name!r} is {value!r}; so far it was {'a text' if was_text else 'a number'}. "
                    f"Give {f'{str(value)!r}' if was_text else 'a number'}, or a name of its own to what is new."
                )
        return found

    def admit(self, row: Row) -> tuple[Floats, Floats]:
        """Add the features that a row is the first to have; return their values, and 1 for numbers, 0 for texts.

        Raises
        ------
        InputError
            If there were more inputs than `MOST`, or none at all.
        """
        numbers = [name for name in row.numbers if name not in self.numbers]
        texts = [(name, text) for name, text in row.texts.items() if text not in self.texts.get(name, ())]
        n_new = len(numbers) + len(texts)
        if self.n_inputs + n_new > MOST:
            worst = max(self.texts, key=lambda name: len(self.texts[name]), default=None)
            raise InputError(
                f"The stream has more than {MOST:,} inputs, most of them from the feature {worst!r}; leave out a "
                "feature that has a new text or a new name with every row."
            )
        if self.n_inputs + n_new == 0:
            raise InputError("The first row has no value at all; give a row with at least one feature.")
        self.arrays = row.array
        for place, name in enumerate(numbers, start=self.n_inputs):
            self.numbers[name] = place
        for place, (name, text) in enumerate(texts, start=self.n_inputs + len(numbers)):
            self.texts.setdefault(name, {})[text] = place
        if n_new:
            self.n_inputs += n_new
            self._find_way()
        first = [row.numbers[name] for name in numbers] + [1.0] * len(texts)
        return np.array(first), np.array([1.0] * len(numbers) + [0.0] * len(texts))

    def is_new(self, row: Row) -> bool:
        """Return whether a row has features, or texts of one, that no row had before."""
        return not row.numbers.keys() <= self.numbers.keys() or any(
            text not in self.texts.get(name, ()) for name, text in row.texts.items()
        )

    def write(self, row: Row, x: Floats, missing: Floats) -> Floats | None:
        """Write a row to x (n_inputs,), what stands for missing numbers where it has none; what is new is left out.

        Returns
        -------
        ndarray or None
            1 where the row has a number, otherwise 0; None if it has them all.
        """
        values, seen = missing.tolist(), [0.0] * self.n_inputs
        for name, number in row.numbers.items():
            place = self.numbers.get(name)
            if place is not None:
                values[place], seen[place] = number, 1.0
        for name, text in row.texts.items():
            place = self.texts.get(name, {}).get(text)
            if place is not None:
                values[place] = 1.0
        self._pack(x, 0, *values)
        return None if sum(seen) == len(self.numbers) else np.array(seen)

    def _items(self, row: Any) -> Any:
        """Return pairs of names and values."""
        if isinstance(row, Mapping):
            if self.arrays:
                raise InputError("A dict was given where all rows so far were arrays; give an array as long.")
            return row.items()
        if isinstance(row, np.ndarray | Sequence) and not isinstance(row, str | bytes):
            return enumerate(self._array(row))
        raise InputError(
            f"A row was of type {type(row).__name__}; give a dict of feature names and values, or an array of numbers."
        )

    def _array(self, row: Any) -> list[Any]:
        values = np.asarray(row)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise InputError(
                f"A row was an array of {values.dtype} of shape {values.shape}; give numbers in one dimension, a dict "
                "where features have names or texts, or many rows to learn_many and predict_many."
            )
        if self.arrays is False:
            raise InputError("An array was given where all rows so far were dicts; give a dict of the same names.")
        if self.arrays and len(values) != self.n_inputs:
            raise InputError(
                f"A row was an array of {len(values)} numbers; so far they had {self.n_inputs}. Give dicts where "
                "features come and go."
            )
        return list(values.tolist())

    def _is_text(self, name: Hashable, unknown: bool | None = None) -> bool | None:
        return True if name in self.texts else False if name in self.numbers else unknown


def _number(name: Hashable, value: Any) -> float:
    """Return a feature's value as a float, refused by its name if it is none that can be learnt from."""
    if not isinstance(value, Real | Decimal | np.bool_) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        raise InputError(
            f"The feature {name!r} is {value!r}, of type {type(value).__name__}; give a number or a text, or None "
            "where it is missing."
        )
    return checked(f"The feature {name!r}", value, "leave the feature out of the row where it is missing")


def checked(what: str, value: Any, otherwise: str) -> float:
    """Return a number that is finite and not too large to square.

    Raises
    ------
    InputError
        The message names it.
    """
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not -LARGEST < number < LARGEST:
        raise InputError(f"{what} is {value!r}; give a finite number between ±{LARGEST:g}, or {otherwise}.")
    return number
