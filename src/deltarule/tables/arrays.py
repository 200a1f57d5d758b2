"""NumPy arrays to columns: where every source of tables ends, one array a column."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TableError
from deltarule.tables.cells import cell_text, object_array, read_text, without_zone
from deltarule.tables.columns import Column, Table, check_names

_TEXTUAL = (str, Real, Decimal, np.bool_, time, uuid.UUID)
FURTHEST = 10**13
"""Years from 1970 on whose days can be counted."""
_SECONDS = {"as": 1e-18, "fs": 1e-15}
_PER_YEAR = {"Y": 1, "M": 12, "W": 52}
_PANDAS_MISSING = frozenset({"NAType", "NaTType"})


def table_from_arrays(name: str, arrays: Iterable[tuple[str, NDArray[Any]]], *, typed: bool) -> Table:
    """Return a table of named arrays.

    Parameters
    ----------
    name : str
        The table's name.
    arrays : iterable of (str, ndarray)
        One-dimensional, masked or not.
    typed : bool
        Whether text is text because the source says so; see `deltarule.tables.cells`.

    Raises
    ------
    TableError
        A column's cells are none of the four kinds, or the table has no valid shape.
    """
    listed = list(arrays)
    check_names(name, [column for column, _ in listed])
    pairs = [column_from_array(column, array, table=name, typed=typed) for column, array in listed]
    return Table.from_columns(name, [column for column, _ in pairs], [note for _, note in pairs if note])


def column_from_array(name: str, array: NDArray[Any], *, table: str, typed: bool) -> tuple[Column, str | None]:
    """Return the column of an array and, where its text was read as numbers, a note that says so."""
    if array.ndim != 1:
        raise TableError(
            f"Column {name!r} of {table} has shape {array.shape}; a column has one dimension. "
            "Give each of its columns a name of its own."
        )
    match array.dtype.kind:
        case "b":
            return Column(name, "boolean", _floats(array)), None
        case "i" | "u" | "f":
            return Column(name, "number", _floats(array)), None
        case "M":
            return Column(name, "date", _days(np.ma.filled(array, np.datetime64("NaT")))), None
        case "O" | "U" | "T":
            return _column_from_objects(name, array, table, typed)
    raise unusable(name, table, str(array.dtype))


def unusable(column: str, table: str, given: str) -> TableError:
    """Return the error for a column of lists, structures, durations or anything else that is no number."""
    return TableError(
        f"Column {column!r} of {table} holds values of type {given}; numbers, booleans, dates and text are "
        "accepted. Turn it into columns of these, or leave it out of the table."
    )


def _column_from_objects(name: str, array: NDArray[Any], table: str, typed: bool) -> tuple[Column, str | None]:
    """Return the column of Python objects, whose common type decides its kind."""
    cells = [None if _is_null(value) else value for value in without_mask(array)]
    types = list(dict.fromkeys(type(cell) for cell in cells if cell is not None))
    if _all(types, str):
        return read_text(name, object_array(cells), typed=typed)
    if _all(types, bool, np.bool_):
        return Column(name, "boolean", _float_cells(cells)), None
    if _all(types, Real, Decimal, np.bool_):
        return Column(name, "number", _float_cells(cells)), None
    if _all(types, date, np.datetime64):
        return Column(name, "date", _days(np.array([_moment(cell) for cell in cells]))), None
    if _all(types, *_TEXTUAL):
        texts = [None if cell is None else cell_text(cell) for cell in cells]
        return read_text(name, object_array(texts), typed=typed)
    raise unusable(name, table, next(t.__name__ for t in types if not issubclass(t, _TEXTUAL)))


def without_mask(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of objects with None where it is masked."""
    cells = np.ma.getdata(array).astype(object)
    cells[np.ma.getmaskarray(array)] = None
    return cells


def _floats(array: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers as float64; what does not fit becomes infinite, which is refused where it is used."""
    with np.errstate(over="ignore"):
        values = np.array(np.ma.getdata(array), dtype=np.float64)
    values[np.ma.getmaskarray(array)] = np.nan
    return values


def _float_cells(cells: list[Any]) -> NDArray[np.float64]:
    return np.fromiter((_float(cell) for cell in cells), dtype=np.float64, count=len(cells))


def _float(value: Any) -> float:
    if value is None:
        return np.nan
    try:
        return float(value)
    except OverflowError:  # a Python int beyond 1.8e308
        return np.inf if value > 0 else -np.inf


def _days(moments: NDArray[Any]) -> NDArray[np.float64]:
    """Return datetime64 of any unit as days since 1970-01-01, infinite beyond `FURTHEST` years."""
    unit, step = np.datetime_data(moments.dtype)
    if unit in _SECONDS:  # NumPy has no days of these: they reach no further than seconds around 1970
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) * (step * _SECONDS[unit] / 86_400))
    if unit in _PER_YEAR:
        far = np.abs(moments.astype(np.int64) * (step / _PER_YEAR[unit])) > FURTHEST
        if (far & ~np.isnat(moments)).any():
            return np.where(np.isnat(moments), np.nan, np.where(far, np.inf, 0.0))
    # Whole days and the rest apart, so that no unit overflows.
    whole = moments.astype("datetime64[D]")
    days = whole.astype(np.int64) + (moments - whole) / np.timedelta64(1, "D")
    return np.where(np.isnat(moments), np.nan, days)


def _moment(cell: Any) -> np.datetime64:
    if isinstance(cell, datetime):
        return np.datetime64(without_zone(cell), "us")
    return np.datetime64("NaT" if cell is None else cell, "us")


def _is_null(value: Any) -> bool:
    """Return whether a cell is None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ in _PANDAS_MISSING:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, (float, np.floating, np.datetime64)) and bool(value != value)


def _all(types: list[type], *accepted: type) -> bool:
    return all(issubclass(t, accepted) for t in types)
