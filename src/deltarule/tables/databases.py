"""Results of SQL to columns: DuckDB and SQLite files, opened read-only.

SQLite goes through Python's own module: DuckDB would have to fetch an extension for it. A query can read the
file it was given and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltarule.errors import TableError
from deltarule.tables.arrays import table_from_arrays
from deltarule.tables.cells import object_array
from deltarule.tables.columns import Table, shown
from deltarule.tables.delimited import opened
from deltarule.tables.files import CONFIG, reason, table_from_relation

if TYPE_CHECKING:
    import sqlite3

    from duckdb import DuckDBPyConnection

EXTENSIONS = (".duckdb", ".db", ".sqlite", ".sqlite3")
"""Files that hold tables, of which a query selects one."""

_TABLES = "SELECT table_name FROM information_schema.tables ORDER BY table_name"
_SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"


def read_database(path: Path, query: str | None) -> Table:
    """Return the result of a SELECT on a database file.

    Parameters
    ----------
    path : Path
        A DuckDB or SQLite file; its first bytes say which.
    query : str or None
        One SELECT statement.

    Raises
    ------
    TableError
        No query (the message lists the tables), a query that is no SELECT or fails, or another kind of file.
    """
    with opened(path) as file:
        head = file.read(16)
    if not head:
        raise TableError(f"{path.name} is empty: give a database with tables in it.")
    if head == b"SQLite format 3\0":
        tables, select = _sqlite_tables, _query_sqlite
    elif head[8:12] == b"DUCK":
        tables, select = _duckdb_tables, _query_duckdb
    else:
        raise TableError(f"{path.name} is neither a DuckDB nor a SQLite file; those and .csv are accepted.")
    if query is None or not query.strip():
        names = tables(path)
        example = f'SELECT * FROM "{names[0]}"' if names else "SELECT ..."
        raise TableError(
            f"{path.name} is a database. Its tables: {shown(names) or 'none'}. A query must pick rows, "
            f"such as query='{example}'."
        )
    return select(path, query)


@contextmanager
def _duckdb(path: Path) -> Iterator[DuckDBPyConnection]:
    import duckdb

    try:
        # Absolute, since DuckDB takes what stands before a colon, as in md:x.db, for the name of a service.
        with duckdb.connect(str(path.absolute()), read_only=True, config=CONFIG) as connection:
            connection.execute("SET enable_external_access = false; SET lock_configuration = true")
            yield connection
    except duckdb.ConnectionException:
        raise TableError(f"{path.name} is open in this program otherwise: close that connection.") from None
    except duckdb.IOException as error:
        held = "lock" in str(error)
        advice = "another program is writing to it: close it there first" if held else reason(error)
        raise TableError(f"{path.name} cannot be opened as a DuckDB file: {advice}.") from None
    except duckdb.Error as error:
        raise _failed(path, reason(error)) from None


def _duckdb_tables(path: Path) -> list[str]:
    with _duckdb(path) as connection:
        return [name for (name,) in connection.execute(_TABLES).fetchall()]


def _query_duckdb(path: Path, query: str) -> Table:
    from duckdb import StatementType

    with _duckdb(path) as connection:
        statements = connection.extract_statements(query)
        if len(statements) != 1 or statements[0].type != StatementType.SELECT:
            raise _no_select(path)
        result = connection.sql(query)
        return table_from_relation(path.name, result, list(result.columns), typed=True)


@contextmanager
def _sqlite(path: Path) -> Iterator[sqlite3.Connection]:
    import sqlite3

    # Reading a database in WAL mode leaves files beside it, but not if it is taken for one that nobody changes; nobody
    # does while there is no log.
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema = OFF")
            yield connection
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _failed(path, str(error)) from None


def _sqlite_tables(path: Path) -> list[str]:
    with _sqlite(path) as connection:
        return [name for (name,) in connection.execute(_SQLITE_TABLES)]


def _query_sqlite(path: Path, query: str) -> Table:
    import sqlite3

    reading = {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }

    def authorize(action: int, *_: Any) -> int:
        return sqlite3.SQLITE_OK if action in reading else sqlite3.SQLITE_DENY

    with _sqlite(path) as connection:
        connection.set_authorizer(authorize)
        try:
            cursor = connection.execute(query)
        except sqlite3.DatabaseError as error:
            if "not authorized" in str(error):
                raise _no_select(path) from None
            raise
        if cursor.description is None:
            raise _no_select(path)
        names = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
    columns = zip(*rows, strict=True) if rows else iter([()] * len(names))
    arrays = [object_array(list(column)) for column in columns]
    return table_from_arrays(path.name, zip(names, arrays, strict=True), typed=False)


def _no_select(path: Path) -> TableError:
    return TableError(f"{path.name}: the query must be one SELECT statement, which changes nothing.")


def _failed(path: Path, why: str) -> TableError:
    return TableError(f"{path.name}: the query failed: {why}.")
