"""SQL: what a query returns, and that it can do nothing but read."""

import re
import sqlite3
import subprocess
import sys

import pytest

from deltarule.tables import read
from tablecheck import DAY, cells, refusal


@pytest.fixture
def duck(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE people AS SELECT 1::TINYINT AS i, 1.5::DECIMAL(9, 2) AS d, 2::HUGEINT AS h, "
            "3::UHUGEINT AS u, 'a'::ENUM('a', 'b') AS e, DATE '2024-01-02' AS day, true AS b, '7' AS s, "
            "TIME '12:00' AS t, TIMESTAMPTZ '2024-01-02 14:00:00+02' AS z, [1] AS l"
        )
        connection.execute("CREATE TABLE other (x INTEGER)")
    return path


@pytest.fixture
def lite(tmp_path):
    path = tmp_path / "t.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (a INTEGER, b TEXT, d TEXT, m, z BLOB)")
    connection.executemany(
        "INSERT INTO people VALUES (?, ?, ?, ?, ?)",
        [(1, "x", "2024-01-02", 1, b"\0"), (None, None, None, "q", None)],
    )
    connection.commit()
    connection.close()
    return path


def test_duckdb_types(duck):
    table = read(duck, "SELECT * EXCLUDE (l) FROM people UNION ALL BY NAME SELECT NULL AS i")
    expected = {"i": 1.0, "d": 1.5, "h": 2.0, "u": 3.0, "e": "a", "day": DAY, "b": 1.0, "z": DAY + 0.5}
    assert {name: cells(table, name)[1] for name in expected} == {k: [v, None] for k, v in expected.items()}
    assert cells(table, "s") == ("text", ["7", None]) and cells(table, "t") == ("text", ["12:00:00", None])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (None, "Its tables: other, people. A query must pick rows, such as query='SELECT"),
        ("SELECT * FROM people", r"Column 'l' of t.duckdb holds values of type INTEGER\[\]"),
        ("SELECT i, i FROM people", "more than one column named 'i'"),
        ("SELECT * FROM other", "has column names but no rows"),
        ("SELECT * FROM persons", "the query failed: Table with name persons does not exist"),
        ("SELEC 1", "the query failed: "),
        ("SELECT 1; SELECT 2", "must be one SELECT statement"),
        ("DROP TABLE people", "must be one SELECT statement"),
        ("ATTACH 'x.db'", "must be one SELECT statement"),
        ("INSTALL httpfs", "must be one SELECT statement"),
        ("SELECT * FROM read_csv('/etc/passwd')", "the query failed: Cannot access file"),
    ],
)
def test_refused_duckdb_queries(duck, query, expected):
    message = refusal(duck, query)
    assert re.search(expected, message), message


def test_duckdb_file_in_use(duck):
    duckdb = pytest.importorskip("duckdb")
    with duckdb.connect(str(duck)):
        assert "is open in this program otherwise" in refusal(duck, "SELECT 1 AS a")
    script = f"import duckdb; c = duckdb.connect({str(duck)!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as writer:
        writer.stdout.readline()
        message = refusal(duck, "SELECT 1 AS a")
        writer.communicate(b"\n")
    assert "another program is writing to it" in message


def test_sqlite_rows(lite):
    table = read(lite, "SELECT a, b, d, m FROM people -- all")
    assert cells(table, "a") == ("number", [1.0, None])
    assert cells(table, "b") == ("text", ["x", None])
    assert cells(table, "d") == ("date", [DAY, None])
    assert cells(table, "m") == ("text", ["1", "q"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (" ", "Its tables: people. A query must pick rows"),
        ("SELECT z FROM people", "Column 'z' of t.sqlite holds values of type bytes"),
        ("SELECT a, a FROM people", "more than one column named 'a'"),
        ("SELECT a FROM people WHERE a > 9", "has column names but no rows"),
        ("SELECT * FROM persons", "the query failed: no such table: persons"),
        ("SELECT 1 AS a; SELECT 2 AS b", "the query failed: You can only execute one statement"),
        ("DELETE FROM people", "must be one SELECT statement"),
        ("ATTACH 'other.db' AS o", "must be one SELECT statement"),
        ("PRAGMA user_version = 3", "must be one SELECT statement"),
        ("-- nothing", "must be one SELECT statement"),
    ],
)
def test_refused_sqlite_queries(lite, query, expected):
    message = refusal(lite, query)
    assert re.search(expected, message), message
    assert not (lite.parent / "other.db").exists()
