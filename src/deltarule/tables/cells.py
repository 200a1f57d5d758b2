"""What a text cell means: missing, a number, a boolean or a date.

A text column is judged by its distinct values:

    all ISO 8601 dates                                -> date
    all true or false (where the source has no types) -> boolean
    all numbers (where the source has no types)       -> number, unless written as codes: "007"
    all numbers but for "NA", "?" and the like        -> number, from any source
    all numbers with decimal commas (no types)        -> number, unless the commas may part thousands: "1,234"
    anything else                                     -> text

A source without types is CSV, JSON or SQLite; the text of a data frame or a Parquet file stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TableError
from deltarule.tables.columns import Column, cut, spelt

MISSING = frozenset({"", "na", "n/a", "nan", "null"})
"""Texts that mean "missing", whatever their case."""

UNKNOWN = "?"
"""Means "missing" where all the other cells are numbers, as in many data sets of the UCI repository."""

EPOCH = datetime(1970, 1, 1)

_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE | re.ASCII)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,?\d+(?:e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3},\d{3}", re.ASCII)
_CODE = re.compile(r"[+-]?0\d", re.ASCII)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.IGNORECASE | re.ASCII,
)
_BOOLEAN = {"true": 1.0, "false": 0.0}
_ACCEPTED = {"number": "numbers", "boolean": "true or false", "date": "dates like 2024-01-31", "text": "text"}

Parser = Callable[[str], float | None]
Numeric = Literal["number", "boolean", "date"]


def is_missing(text: str) -> bool:
    """Return whether a text cell means "missing"."""
    return text.strip().casefold() in MISSING


def number(text: str) -> float | None:
    """Return the number a text spells, or None."""
    stripped = text.strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else None


def boolean(text: str) -> float | None:
    """Return 1.0 for "true", 0.0 for "false" in any case, or None."""
    return _BOOLEAN.get(text.strip().casefold())


def day(text: str) -> float | None:
    """Return an ISO 8601 date or time stamp as days since 1970-01-01 UTC, or None."""
    stripped = text.strip()
    if not _DATE.fullmatch(stripped):
        return None
    try:
        since = without_zone(datetime.fromisoformat(stripped.upper())) - EPOCH
    except (ValueError, OverflowError):
        return None
    return since.days + (since - timedelta(since.days)) / timedelta(days=1)


def without_zone(moment: datetime) -> datetime:
    """Return a time stamp in UTC, without its zone."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def cell_text(value: object) -> str:
    """Return a cell's value as text: whole numbers without ".0", booleans in lower case."""
    if isinstance(value, (bool, np.bool_)):
        return str(value).lower()
    if isinstance(value, (Real, Decimal)):
        number: Any = value
        try:
            plain = float(number)
        except OverflowError:  # a whole number beyond 1.8e308
            return "inf" if number > 0 else "-inf"
        return str(int(plain)) if plain.is_integer() else repr(plain)
    return str(value)


def read_text(name: str, values: NDArray[Any], *, typed: bool) -> tuple[Column, str | None]:
    """Return the column of an array of str and None, by the rules at the top of this module.

    Parameters
    ----------
    name : str
        The column's name.
    values : ndarray of object
        Shape (n_rows,): str or None.
    typed : bool
        Whether it is text because the source says so.

    Returns
    -------
    column : Column
        Of any kind.
    note : str or None
        Says so where text was read as numbers.
    """
    levels = set(values) - {None}
    markers = {level for level in levels if is_missing(level)}
    words = levels - markers
    unknown = {level for level in words if level.strip() == UNKNOWN}
    absent: dict[str | None, float] = dict.fromkeys([None, *markers, *unknown], np.nan)
    if dates := _parse_all(words, day):
        return Column(name, "date", _looked_up(values, absent | dates)), None
    if not typed and (booleans := _parse_all(words, boolean)):
        return Column(name, "boolean", _looked_up(values, absent | booleans)), None
    if (not typed or markers or unknown) and (numbers := _parse_all(words - unknown, _number_not_code)):
        signs = ", ".join(sorted(repr(level) for level in markers | unknown if level.strip()))
        note = f"{spelt(name)}: text read as numbers" + (f"; {signs} counts as missing" if signs else "")
        return Column(name, "number", _looked_up(values, absent | numbers)), note
    if not typed and (commas := _decimal_commas(words - unknown)):
        return Column(
            name, "number", _looked_up(values, absent | commas)
        ), f"{spelt(name)}: decimal commas read as numbers"
    if markers:
        values = object_array([None if value in markers else value for value in values])
    return Column(name, "text", values), None


def convert(column: Column, kind: Numeric, table: str) -> Column:
    """Return a column as another kind, for a table that spells it otherwise than the training table did.

    Raises
    ------
    TableError
        A cell cannot be read as that kind; the message names column, row and value.
    """
    if column.kind == kind:
        return column
    missing = column.missing
    if column.kind == "text" and not missing.all():
        return _parse_text(column, kind, table)
    wrong = ~missing
    if column.kind == "boolean" and kind == "number":
        wrong[:] = False
    if column.kind == "number" and kind == "boolean":
        wrong &= ~np.isin(column.values, (0.0, 1.0))
    if wrong.any():
        raise wrong_cell(column, int(np.argmax(wrong)), kind, table)
    return Column(column.name, kind, np.where(missing, np.nan, column.values).astype(np.float64))


def level_codes(column: Column, levels: Sequence[str], table: str) -> NDArray[np.intp]:
    """Return each cell's place among levels, -1 where it is missing or none of them, shape (n_rows,).

    Numbers and booleans match by value: 3 matches "3" as well as "3.0", and true "True".

    Raises
    ------
    TableError
        The column holds dates.
    """
    present = ~column.missing
    if column.kind == "date" and present.any():
        raise wrong_cell(column, int(np.argmax(present)), "text", table)
    parse: Callable[[str], object] = {"number": number, "boolean": boolean}.get(column.kind, str)
    places = {parse(level): i for i, level in reversed(list(enumerate(levels)))}
    places.pop(None, None)
    codes = np.full(len(present), -1, dtype=np.intp)
    codes[present] = [places.get(value, -1) for value in column.values[present].tolist()]
    return codes


def wrong_cell(column: Column, row: int, kind: str, table: str) -> TableError:
    """Return the error for a cell that is not of the kind a model was trained on."""
    value = "" if column.kind == "date" else f" {cut(cell_text(column.values[row]))!r}"
    return TableError(
        f"Column {column.name!r} of {table} holds the {column.kind}{value} in row {row + 1}, but the model "
        f"was trained on {_ACCEPTED[kind]} there. Correct the cell, or leave it empty if it is unknown."
    )


def object_array(cells: list[Any]) -> NDArray[Any]:
    """Return a one-dimensional array of Python objects, whatever they are."""
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array


def _parse_text(column: Column, kind: Numeric, table: str) -> Column:
    parse: Parser = {"number": number, "boolean": _boolean_or_digit, "date": day}[kind]
    lookup: dict[str | None, float] = {None: np.nan}
    for level in dict.fromkeys(column.values[~column.missing]):
        value = np.nan if is_missing(level) or level.strip() == UNKNOWN else parse(level)
        if value is None:
            raise wrong_cell(column, int(np.argmax(column.values == level)), kind, table)
        lookup[level] = value
    return Column(column.name, kind, _looked_up(column.values, lookup))


def _decimal_commas(words: set[str]) -> dict[str | None, float] | None:
    """Return the numbers that words with decimal commas spell, or None if any is none or all may part thousands."""
    stripped = [word.strip() for word in words]
    with_comma = [word for word in stripped if "," in word]
    if not with_comma or all(_THOUSANDS.fullmatch(word) for word in with_comma):
        return None
    if not all(_COMMA_NUMBER.fullmatch(word) and not _CODE.match(word) for word in stripped):
        return None
    return {word: float(word.strip().replace(",", ".")) for word in words}


def _parse_all(words: set[str], parse: Parser) -> dict[str | None, float]:
    """Return word -> value, or nothing as soon as one word does not parse."""
    parsed: dict[str | None, float] = {}
    for word in words:
        value = parse(word)
        if value is None:
            return {}
        parsed[word] = value
    return parsed


def _number_not_code(text: str) -> float | None:
    return None if _CODE.match(text.strip()) else number(text)


def _boolean_or_digit(text: str) -> float | None:
    value = boolean(text)
    return value if value is not None else {"0": 0.0, "1": 1.0}.get(text.strip())


def _looked_up(values: NDArray[Any], lookup: Mapping[str | None, float]) -> NDArray[np.float64]:
    return np.fromiter((lookup[value] for value in values), dtype=np.float64, count=len(values))
