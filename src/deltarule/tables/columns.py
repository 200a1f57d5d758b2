"""Columns and tables in memory: four kinds of column, and one way to say "missing".

    kind       values
    number     float64, NaN is missing
    boolean    float64: 0, 1, NaN is missing
    date       float64: days since 1970-01-01 UTC with their fraction, NaN is missing
    text       object: str, None is missing

Rows in messages count from 1 at the first row of data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TableError

Kind = Literal["number", "boolean", "date", "text"]

MAX_COLUMNS = 20_000
"""A table with more columns is refused: a first layer on it would not fit in memory."""

LARGEST = 1e300
"""A number beyond this leaves no room for sums and differences in float64. Squares come after the scaling."""

LONGEST_NAME = 1_000
"""Most letters of a column's name, a category or a class; what is longer is text to read, not to learn from."""

SHOWN = 12
"""How many names or values a message lists."""

SHOWN_LETTERS = 60
"""How many letters of a cell or a name a message shows."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Its name.
    kind : {"number", "boolean", "date", "text"}
        What its cells hold.
    values : ndarray
        Shape (n_rows,); see the table at the top of this module.
    """

    name: str
    kind: Kind
    values: NDArray[Any]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Return where cells are missing, shape (n_rows,)."""
        if self.kind == "text":
            return np.asarray(np.equal(self.values, np.array(None)), dtype=np.bool_)
        return np.asarray(np.isnan(self.values))

    def take(self, rows: NDArray[Any]) -> Column:
        """Return the column of some rows only."""
        return Column(self.name, self.kind, self.values[rows])

    def refuse_too_large(self, table: str) -> None:
        """Raise TableError where a number is infinite or too large to compute with."""
        if self.kind == "text":
            return
        with np.errstate(invalid="ignore"):
            bad = np.abs(self.values) > LARGEST
        if bad.any():
            row = int(np.argmax(bad))
            raise TableError(
                f"Column {self.name!r} of {table} holds {self.values[row]:g} in row {row + 1}. Numbers must "
                f"lie between -{LARGEST:g} and {LARGEST:g}: correct the cell, or leave it empty if unknown."
            )


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, in order.

    Parameters
    ----------
    name : str
        What messages call it: a file name, or the type of frame it came from.
    columns : dict of str to Column
        The columns by name, in their order.
    n_rows : int
        Their length.
    notes : tuple of str
        What reading decided that the user should know.
    """

    name: str
    columns: dict[str, Column]
    n_rows: int
    notes: tuple[str, ...] = ()

    @staticmethod
    def from_columns(name: str, columns: Iterable[Column], notes: Iterable[str] = ()) -> Table:
        """Return a table of these columns.

        Raises
        ------
        TableError
            No column, no row, too many columns, an empty or a repeated name, or unequal lengths.
        """
        listed = list(columns)
        check_names(name, [column.name for column in listed])
        lengths = {column.name: len(column.values) for column in listed}
        n_rows = lengths[listed[0].name]
        for other, length in lengths.items():
            if length != n_rows:
                raise TableError(
                    f"{name}: column {listed[0].name!r} has {n_rows:,} rows, {other!r} has {length:,}. "
                    "All columns must have the same number of rows."
                )
        if n_rows == 0:
            raise TableError(f"{name} has column names but no rows: give a table with rows of data.")
        return Table(name, {column.name: column for column in listed}, n_rows, tuple(notes))

    def column(self, name: str) -> Column:
        """Return a column by name.

        Raises
        ------
        TableError
            There is none of that name; the message offers the nearest.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise TableError(f"{self.name} has no column {name!r}.{suggestion(name, self.columns)}") from None

    def take(self, rows: NDArray[Any]) -> Table:
        """Return the table of some rows only; `rows` holds indices or a mask."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        n_rows = len(next(iter(columns.values())).values)
        return Table(self.name, columns, n_rows, self.notes)


def check_names(table: str, names: list[str]) -> None:
    """Raise TableError unless there are between 1 and `MAX_COLUMNS` names, none empty, none repeated."""
    if not names:
        raise TableError(f"{table} has no columns: give a table with named columns.")
    if len(names) > MAX_COLUMNS:
        raise TableError(
            f"{table} has {len(names):,} columns; at most {MAX_COLUMNS:,} are accepted. Select the columns you need."
        )
    empty = [str(i) for i, name in enumerate(names, 1) if not name.strip()]
    if empty:
        raise TableError(
            f"{table}: column {shown(empty)} has an empty name. Every column needs one; pandas writes an "
            "unnamed column for its index, to_csv(index=False) does not."
        )
    for i, name in enumerate(names, 1):
        check_text(name, f"the name of column {i:,}", table)
    repeated = [repr(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise TableError(f"{table} has more than one column named {shown(repeated)}: names must differ.")


def check_text(text: str, what: str, table: str) -> None:
    """Raise TableError for a name, a category or a class that is too long, or that no file could hold."""
    if len(text) > LONGEST_NAME:
        raise TableError(
            f"{table}: {what} has {len(text):,} letters, beginning {text[:SHOWN_LETTERS]!r}; at most {LONGEST_NAME:,} "
            "are accepted. Shorten it, or leave the column out."
        )
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TableError(f"{table}: {what} is {text[:SHOWN_LETTERS]!r}, which is no valid text: correct it.")


def spelt(name: str) -> str:
    """Return a name on one line: line ends and the like as Python spells them."""
    return name if name.isprintable() else repr(name)[1:-1]


def cut(text: str) -> str:
    """Return a text, its end left out where it is long."""
    return text if len(text) <= SHOWN_LETTERS else text[: SHOWN_LETTERS - 1] + "…"


def shown(names: Iterable[str]) -> str:
    """Return names separated by commas, cut after `SHOWN`, on one line."""
    listed = [spelt(name) for name in names]
    more = f" and {len(listed) - SHOWN:,} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def suggestion(given: str, names: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest names, or all of them."""
    listed = list(names)
    near = get_close_matches(given, listed, n=3)
    if near:
        return f" Did you mean {' or '.join(map(repr, near))}?"
    return f" There are: {shown(map(repr, listed))}."
