"""Tables: what `read` accepts, and the columns it returns.

    a file        .csv .tsv .txt .json .jsonl .ndjson, also packed as .gz, and .parquet
    a database    .duckdb .db .sqlite .sqlite3 with a query
    in memory     pandas, polars, pyarrow or any other frame that narwhals knows, a DuckDB relation,
                  a dict of one-dimensional arrays

All become NumPy arrays, one a column. `deltarule.tables.cells` says what counts as missing, and which text becomes
numbers, booleans or dates.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import TableError
from deltarule.tables.arrays import table_from_arrays, unusable
from deltarule.tables.columns import MAX_COLUMNS, Column, Kind, Table, cut, shown
from deltarule.tables.databases import EXTENSIONS, read_database
from deltarule.tables.files import READERS, read_file, reason, table_from_relation

__all__ = ["MAX_COLUMNS", "Column", "Kind", "Table", "read"]

_SEARCHED = 10_000
"""How many names of a folder are compared with a file name that is not in it."""


def read(source: object, query: str | None = None) -> Table:
    """Return a table from wherever it is.

    Parameters
    ----------
    source : str, path, frame, mapping or Table
        See the table at the top of this module. A `Table` is returned as it is.
    query : str, optional
        One SELECT statement, for a database file.

    Returns
    -------
    Table
        With at least one column and one row.

    Raises
    ------
    TableError
        It cannot be read; the message says what was found and what would be accepted.
    """
    if isinstance(source, (str, PathLike)):
        return _read_path(_expanded(Path(source)), query)
    if query is not None:
        raise TableError(f"A query is for a database file; a {type(source).__name__} was given with one.")
    if isinstance(source, Table):
        return source
    if isinstance(source, Mapping):
        arrays = [(str(name), _array(values)) for name, values in source.items()]
        return table_from_arrays("the dictionary", arrays, typed=True)
    return _read_frame(source)


def _expanded(path: Path) -> Path:
    """Return a path with ~ for a home directory, where there is one of that name."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _read_path(path: Path, query: str | None) -> Table:
    try:
        folder = path.is_dir()
    except OSError as error:  # a name that is too long, say
        raise TableError(f"There is no file {cut(str(path))}: {error.strerror or error}.") from None
    if folder:
        raise TableError(f"{path} is a folder: give one file in it, of {', '.join(READERS)} or a database.")
    if not path.exists():
        raise TableError(f"There is no file {path}.{_near(path)}")
    if not path.is_file():
        raise TableError(f"{path} is not a regular file: save its content to a file first.")
    if path.suffix.lower() in EXTENSIONS:
        return read_database(path, query)
    if query is not None:
        raise TableError(f"{path.name} is read whole; a query is for {', '.join(EXTENSIONS)}. Leave it out.")
    return read_file(path.absolute())


def _near(path: Path) -> str:
    """Return the end of the message for a missing file: names like it, or that the folder is missing too."""
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    try:
        names = [entry.name for entry in islice(path.parent.iterdir(), _SEARCHED)]
    except OSError:
        return " Its folder cannot be listed."
    near = get_close_matches(path.name, names, n=3)
    return f" Did you mean {' or '.join(near)}?" if near else " Check the name and the folder."


def _read_frame(source: object) -> Table:
    duckdb: Any = sys.modules.get("duckdb")
    if duckdb is not None and isinstance(source, duckdb.DuckDBPyRelation):
        try:
            return table_from_relation("the DuckDB relation", source, list(source.columns), typed=True)
        except duckdb.Error as error:
            raise TableError(f"The DuckDB relation cannot be read: {reason(error)}.") from None
    import narwhals as nw

    kind = type(source).__name__
    try:
        frame = nw.from_native(source)  # type: ignore[call-overload]
        eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    except TypeError:
        raise TableError(
            f"A {kind} is no table. Accepted: a path, a pandas, polars or pyarrow table, a DuckDB relation, "
            "or a dict of one-dimensional arrays."
        ) from None
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in source.columns]  # type: ignore[attr-defined]
        twice = sorted({repr(name) for name in names if names.count(name) > 1})
        raise TableError(f"The {kind} has more than one column named {shown(twice)}: rename them.") from None
    return table_from_arrays(f"the {kind}", _frame_arrays(eager), typed=True)


def _frame_arrays(frame: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the columns of a narwhals frame as arrays in which missing cells are marked."""
    import narwhals as nw

    for series in frame.iter_columns():
        dtype = series.dtype
        if dtype.is_numeric():
            yield str(series.name), series.cast(nw.Float64).to_numpy()
        elif dtype == nw.Boolean:
            values = series.cast(nw.Float64).to_numpy()
            missing = np.isnan(values)
            yield str(series.name), np.ma.masked_array(np.where(missing, 0, values).astype(bool), missing)
        elif dtype in (nw.Categorical, nw.Enum):
            yield str(series.name), series.cast(nw.String).to_numpy()
        elif dtype.is_nested() or dtype in (nw.Duration, nw.Binary):
            raise unusable(str(series.name), "the frame", str(dtype))
        else:
            yield str(series.name), series.to_numpy()


def _array(values: Any) -> NDArray[Any]:
    """Return a mapping's value as an array; a list keeps its Python objects."""
    if isinstance(values, (list, tuple)):
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array
    return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
