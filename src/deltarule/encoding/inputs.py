"""Input columns to numbers: scaled numbers, one-hot categories, and what stands for a missing cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from deltarule.encoding.scaling import Scale, fill_value, fit_scale
from deltarule.errors import TableError
from deltarule.jsonfields import choice, damaged, distinct, finite, flag, listed, record, text
from deltarule.tables.cells import Numeric, cell_text, convert, level_codes
from deltarule.tables.columns import Column, cut, spelt

Floats = NDArray[np.float64]
_NUMERIC = ("number", "boolean", "date")


@dataclass(frozen=True)
class NumberInput:
    """A column of numbers, booleans or dates, scaled; one more input says where it is missing.

    Parameters
    ----------
    name : str
        The column.
    kind : {"number", "boolean", "date"}
        What its cells hold.
    scale : Scale or None
        None if all training rows were alike: then only being missing counts.
    fill : float
        What stands for a missing cell, in the column's own units.
    indicator : bool
        Whether a second input, 0 or 1, says that the cell is missing: so if any was in training.
    """

    name: str
    kind: Numeric
    scale: Scale | None
    fill: float
    indicator: bool

    @staticmethod
    def fit(column: Column, scaling: str) -> NumberInput | None:
        """Return the encoding of a column's training rows, or None if it tells nothing."""
        missing = column.missing
        values = column.values[~missing]
        scale = fit_scale(values, scaling)
        indicator = bool(missing.any() and not missing.all())
        if scale is None and not indicator:
            return None
        kind = cast("Numeric", column.kind)
        return NumberInput(column.name, kind, scale, fill_value(values, scaling), indicator)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the inputs it becomes."""
        value = (self.name,) if self.scale is not None else ()
        return (*value, f"{self.name} is missing") if self.indicator else value

    def encode(self, column: Column, table: str, out: Floats) -> list[str]:
        """Write the column into `out`, shape (n, len(names)), and return notes."""
        numbers = convert(column, self.kind, table)
        numbers.refuse_too_large(table)
        missing = numbers.missing
        if self.scale is not None:
            out[:, 0] = self.scale.apply(np.where(missing, self.fill, numbers.values))
            self._refuse_overflow(self.scale, column, out[:, 0], table)
        if self.indicator:
            out[:, -1] = missing
        elif missing.any():
            count = f"{missing.sum():,} missing cells"
            return [f"{spelt(self.name)}: {count}, of which training had none, count as {self.fill:g}"]
        return []

    def _refuse_overflow(self, scale: Scale, column: Column, scaled: Floats, table: str) -> None:
        row = scale.too_far(scaled)
        if row is not None:
            raise TableError(
                f"Column {self.name!r} of {table} holds {_told(column.values[row])} in row {row + 1}, "
                f"{scale.advice}, or leave it empty."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        scale = None if self.scale is None else [self.scale.center, self.scale.spread]
        return {
            "name": self.name,
            "kind": self.kind,
            "scale": scale,
            "fill": self.fill,
            "indicator": self.indicator,
        }

    @staticmethod
    def from_dict(value: object, where: str) -> NumberInput:
        """Return it from JSON values; ModelFileError if they are not its own."""
        d = record(value, where, ("name", "kind", "scale", "fill", "indicator"))
        scale = None if d["scale"] is None else read_scale(d["scale"], f"{where}.scale")
        kind = cast("Numeric", choice(d["kind"], f"{where}.kind", _NUMERIC))
        indicator = flag(d["indicator"], f"{where}.indicator")
        if scale is None and not indicator:
            raise damaged(f"{where}.scale", None, "a scale, where no indicator is,")
        return NumberInput(text(d["name"], f"{where}.name"), kind, scale, finite(d["fill"], f"{where}.fill"), indicator)


@dataclass(frozen=True)
class CategoryInput:
    """A column of text, one input of 0 or 1 for each of the texts in the training rows.

    Parameters
    ----------
    name : str
        The column.
    levels : tuple of str
        The texts, sorted.
    missing : bool
        Whether a last input says that the cell is missing: so if any was in training.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool

    @staticmethod
    def fit(column: Column) -> CategoryInput | None:
        """Return the encoding of a column's training rows, or None if it tells nothing."""
        levels = tuple(sorted(set(column.values) - {None}))
        missing = bool(column.missing.any())
        return CategoryInput(column.name, levels, missing) if len(levels) + missing > 1 else None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the inputs it becomes."""
        names = tuple(f"{self.name}={level}" for level in self.levels)
        return (*names, f"{self.name} is missing") if self.missing else names

    def encode(self, column: Column, table: str, out: Floats) -> list[str]:
        """Write the column into `out`, shape (n, len(names)) of zeros, and return notes."""
        codes = level_codes(column, self.levels, table)
        missing = column.missing
        unseen = (codes < 0) & ~missing
        if self.missing:
            codes[missing] = len(self.levels)
        known = codes >= 0
        out[np.flatnonzero(known), codes[known]] = 1.0
        notes = []
        if unseen.any():
            example = cell_text(column.values[int(np.argmax(unseen))])
            count = f"{unseen.sum():,} cells"
            notes.append(f"{spelt(self.name)}: {count} hold texts that training had none of, such as {cut(example)!r}")
        if missing.any() and not self.missing:
            notes.append(f"{spelt(self.name)}: {missing.sum():,} missing cells, of which training had none")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"name": self.name, "kind": "category", "levels": list(self.levels), "missing": self.missing}

    @staticmethod
    def from_dict(value: object, where: str) -> CategoryInput:
        """Return it from JSON values; ModelFileError if they are not its own."""
        d = record(value, where, ("name", "kind", "levels", "missing"))
        choice(d["kind"], f"{where}.kind", ("category",))
        levels = distinct(listed(d["levels"], f"{where}.levels", text, least=1), f"{where}.levels")
        return CategoryInput(text(d["name"], f"{where}.name"), levels, flag(d["missing"], f"{where}.missing"))


def read_input(value: object, where: str) -> NumberInput | CategoryInput:
    """Return an input column from JSON values; its kind says which."""
    if isinstance(value, dict) and value.get("kind") == "category":
        return CategoryInput.from_dict(value, where)
    return NumberInput.from_dict(value, where)


def _told(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else cell_text(value)


def read_scale(value: object, where: str) -> Scale:
    """Return a scale from a list of centre and spread."""
    numbers = listed(value, where, finite, least=2)
    if len(numbers) != 2 or numbers[1] <= 0:
        raise damaged(where, value, "a centre and a spread above 0")
    return Scale(*numbers)
