"""Files to columns through DuckDB: CSV and its relatives, JSON, Parquet, and results of SQL.

DuckDB runs in memory. It may read the one file named, loads no extensions, and hands over NumPy arrays, so
no data frame library is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from deltarule import memory
from deltarule.errors import TableError
from deltarule.tables.arrays import table_from_arrays, unusable, without_mask
from deltarule.tables.cells import object_array
from deltarule.tables.columns import MAX_COLUMNS, Table, check_names
from deltarule.tables.delimited import Header, explain_failure, opened, read_header, refuse_binary

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
}
"""DuckDB must not fetch code from the network, look at the program's variables, or write."""

_CSV = """
    FROM read_csv($path, compression = $packed, delim = $delimiter,
        header = true, quote = '"', escape = '"', comment = '',
        sample_size = -1, auto_type_candidates = ['BIGINT', 'DOUBLE', 'VARCHAR'],
        nullstr = ['', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL'],
        null_padding = false, ignore_errors = false, hive_partitioning = false, strict_mode = $strict)
"""
_JSON = """
    FROM read_json($path, compression = $packed, sample_size = -1, records = true, map_inference_threshold = -1,
        hive_partitioning = false)
"""
# Inferring a schema takes time that grows with the square of the number of keys; counting them does not.
_JSON_KEYS = """
    SELECT DISTINCT key
    FROM (SELECT unnest(json_keys(json)) AS key FROM read_json_objects($path, compression = $packed))
    LIMIT 1 + $most
"""
_JSON_ROWS = "SELECT count(*) FROM read_json_objects($path, compression = $packed)"
_PARQUET = "FROM read_parquet($path, hive_partitioning = false)"
_PARQUET_ROWS = "SELECT count(*) FROM read_parquet($path)"
_PARQUET_NAMES = "SELECT name, num_children FROM parquet_schema($path) OFFSET 1"

_NESTED = re.compile(r"\]$|^(STRUCT|MAP|UNION|INTERVAL|BLOB|BIT|GEOMETRY|VARIANT)\b")
_CAST = re.compile(r"^(?:(UHUGEINT|VARINT|BIGNUM)|(ENUM|TIME WITH TIME ZONE)\b.*)$")


def read_file(path: Path) -> Table:
    """Return the table in a file.

    Raises
    ------
    TableError
        Its extension is unknown, or its content is not what the extension says.
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
    reader = READERS.get(suffix)
    if reader is None or (reader is _read_parquet and path.suffix.lower() == ".gz"):
        raise TableError(
            f"{path.name} has an unknown extension. Accepted: {', '.join(READERS)} (text also with .gz), and "
            ".duckdb, .db, .sqlite, .sqlite3 with a query."
        )
    return reader(path)


def table_from_relation(name: str, relation: DuckDBPyRelation, names: list[str], *, typed: bool) -> Table:
    """Return the rows of a DuckDB relation as a table.

    Parameters
    ----------
    name : str
        The table's name.
    relation : DuckDBPyRelation
        Not yet run.
    names : list of str
        The columns' names; DuckDB's own are not the user's where two are alike.
    typed : bool
        Whether text is text because the source says so.
    """
    check_names(name, names)
    types = [str(t) for t in relation.types]
    for column, type_name in zip(names, types, strict=True):
        if _NESTED.search(type_name):
            raise unusable(column, name, type_name)
    if any(map(_CAST.match, types)):
        relation = relation.project(", ".join(f"{_fetchable(i, t)} AS c{i}" for i, t in enumerate(types, 1)))
    arrays = list(relation.fetchnumpy().values())
    for i, type_name in enumerate(types):
        if type_name == "JSON":
            arrays[i] = _decoded(arrays[i])
    return table_from_arrays(name, zip(names, arrays, strict=True), typed=typed)


def reason(error: Exception) -> str:
    """Return the first line of DuckDB's message, without its class and its SQL."""
    first = str(error).partition("\n")[0]
    return first.partition("Error: ")[2].rstrip(".! ") or first


class _OtherHeader(Exception):  # noqa: N818
    """DuckDB took another line than the first for the header."""


@contextmanager
def _confined(path: Path) -> Iterator[DuckDBPyConnection]:
    """Give a DuckDB in memory that can read one file and nothing else."""
    import duckdb

    with duckdb.connect(":memory:", config=CONFIG) as connection:
        connection.execute("SET allowed_paths = [?, ?]", [str(path), _literal(path)])
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        yield connection


def _read_delimited(path: Path) -> Table:
    import duckdb

    refuse_binary(path)
    header = read_header(path)
    try:
        return _rows(path, header, strict=True)
    except duckdb.PermissionException:
        raise _pattern(path) from None
    except (duckdb.Error, _OtherHeader):
        explain_failure(path, header)
    # Nothing is wrong with the file: strict mode also refuses, for one, mixed line ends.
    try:
        return _rows(path, header, strict=False)
    except (duckdb.Error, _OtherHeader) as error:
        line = re.search(r"CSV Error on Line: (\d+)", str(error))
        where = f" near line {line[1]}" if line else ""
        raise TableError(
            f"{path.name} cannot be read as a table{where}. Accepted are rows of cells separated by "
            f"{header.delimiter!r}, none longer than 2 MB, under one line of column names."
        ) from None


def _rows(path: Path, header: Header, *, strict: bool) -> Table:
    """Return the rows under a header."""
    with _confined(path) as connection:
        parameters = {**_source(path), "delimiter": header.delimiter, "strict": strict}
        relation = connection.sql(_CSV, params=parameters)
        if len(relation.columns) != len(header.names) or relation.columns[0].strip() != header.names[0]:
            raise _OtherHeader
        return table_from_relation(path.name, relation, list(header.names), typed=False)


def _read_json(path: Path) -> Table:
    import duckdb

    refuse_binary(path)
    with opened(path) as file:
        if file.read(3) == b"\xef\xbb\xbf":
            raise TableError(f"{path.name} begins with a byte-order mark, which JSON forbids: remove it.")
    try:
        with _confined(path) as connection:
            keys = connection.execute(_JSON_KEYS, {**_source(path), "most": MAX_COLUMNS}).fetchall()
            if len(keys) > MAX_COLUMNS:
                raise TableError(
                    f"{path.name} has more than {MAX_COLUMNS:,} different keys, each of which would be a "
                    "column. Select those you need."
                )
            ((rows,),) = connection.execute(_JSON_ROWS, _source(path)).fetchall()
            _refuse_more_than_fits(path, rows, len(keys))
            relation = connection.sql(_JSON, params=_source(path))
            return table_from_relation(path.name, relation, list(relation.columns), typed=False)
    except duckdb.PermissionException:
        raise _pattern(path) from None
    except duckdb.Error as error:
        where = re.search(r"at byte \d+ in (line|record/value) \d+", str(error))
        raise TableError(
            f"{path.name} cannot be read as JSON{f', {where[0]}' if where else ''}. Accepted: an array of "
            'objects, or one object a line, each a row such as {"age": 30, "town": "Bonn"}, in UTF-8.'
        ) from None


def _read_parquet(path: Path) -> Table:
    import duckdb

    if path.stat().st_size == 0:
        raise TableError(f"{path.name} is empty: give a file with rows of data.")
    try:
        with _confined(path) as connection:
            schema = connection.execute(_PARQUET_NAMES, {"path": _literal(path)}).fetchall()
            flat = not any(children for _, children in schema)
            if flat:
                check_names(path.name, [name for name, _ in schema])
            ((rows,),) = connection.execute(_PARQUET_ROWS, {"path": _literal(path)}).fetchall()
            _refuse_more_than_fits(path, rows, len(schema))
            relation = connection.sql(_PARQUET, params={"path": _literal(path)})
            names = [name for name, _ in schema] if flat else list(relation.columns)
            return table_from_relation(path.name, relation, names, typed=True)
    except duckdb.PermissionException:
        raise _pattern(path) from None
    except duckdb.Error as error:
        raise TableError(
            f"{path.name} is not a Parquet file, or damaged ({reason(error)}): write or fetch it again."
        ) from None


def _refuse_more_than_fits(path: Path, rows: int, columns: int) -> None:
    """Refuse a table that a small file describes and no memory holds."""
    cells = columns * rows
    if 8 * cells > memory.of_machine():
        raise TableError(
            f"{path.name} has {cells:,} cells, more than fit into the memory of this machine: select some of its rows "
            "or columns."
        )


def _source(path: Path) -> dict[str, str]:
    """Return what says to DuckDB what to read; it cannot tell packed files from a pattern's end."""
    return {"path": _literal(path), "packed": "gzip" if path.suffix.lower() == ".gz" else "none"}


def _literal(path: Path) -> str:
    """Return the pattern that DuckDB finds this file by and no other: *, ? and [ stand for themselves in brackets."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _pattern(path: Path) -> TableError:
    return TableError(f"{path.name} holds * ? or [ in its path, and this DuckDB cannot read such files: rename it.")


def _fetchable(position: int, type_name: str) -> str:
    """Return the SQL for a column in a type that DuckDB can hand to NumPy without pandas."""
    match = _CAST.match(type_name)
    if match is None:
        return f"#{position}"
    return f"CAST(#{position} AS {'DOUBLE' if match[1] else 'VARCHAR'})"


def _decoded(array: NDArray[Any]) -> NDArray[Any]:
    """Return the values in an array of JSON texts, as DuckDB keeps a column of mixed types."""
    return object_array([None if cell is None else json.loads(cell, parse_int=float) for cell in without_mask(array)])


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".txt": _read_delimited,
    ".json": _read_json,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".parquet": _read_parquet,
}
"""What reads a file, by its extension."""
