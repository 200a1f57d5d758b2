"""Tables in memory: the same columns from every library, and what reading costs."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest

from deltarule.errors import TableError
from deltarule.tables import Table, read
from tablecheck import DAY, cells, refusal, write


def test_a_dictionary_of_arrays_and_lists():
    table = read(
        {
            "i": np.array([1, 2], dtype=np.uint8),
            "f": np.array([1.5, np.nan], dtype=np.float32),
            "b": np.array([True, False]),
            "m": np.ma.masked_array([1, 2], [False, True]),
            "u": np.array(["a", ""]),
            "d": np.array(["2024-01-02", "NaT"], dtype="datetime64[ns]"),
            "days": [date(2024, 1, 2), datetime(2024, 1, 2, 14, tzinfo=timezone(timedelta(hours=2)))],
            "n": [Decimal("1.5"), Decimal("NaN")],
            "mixed": [1, "x"],
            "flags": [True, None],
            "big": [10**400, -(10**400)],
            "t": [time(12), None],
            7: ("3", "4"),
        }
    )
    assert cells(table, "i") == ("number", [1, 2]) and cells(table, "f") == ("number", [1.5, None])
    assert cells(table, "b") == ("boolean", [1, 0]) and cells(table, "m") == ("number", [1, None])
    assert cells(table, "u") == ("text", ["a", None]) and cells(table, "d") == ("date", [DAY, None])
    assert cells(table, "days") == ("date", [DAY, DAY + 0.5]) and cells(table, "n") == ("number", [1.5, None])
    assert cells(table, "mixed") == ("text", ["1", "x"]) and cells(table, "flags") == ("boolean", [1, None])
    assert cells(table, "big") == ("number", [np.inf, -np.inf]) and cells(table, "t")[1] == ["12:00:00", None]
    assert cells(table, "7") == ("text", ["3", "4"])


def test_a_table_passes_through_and_takes_rows():
    table = read({"a": [1, 2, 3], "b": ["x", "y", None]})
    assert read(table) is table
    assert cells(table.take(np.array([2, 0])), "b") == ("text", [None, "x"])
    assert table.take(np.array([True, False, True])).n_rows == 2
    with pytest.raises(TableError, match=r"has no column 'aa'. Did you mean 'a'\?"):
        table.column("aa")
    with pytest.raises(TableError, match=r"has no column 'price'\. There are: 'a', 'b'"):
        table.column("price")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({}, "the dictionary has no columns"),
        ({"a": []}, "has column names but no rows"),
        ({"a": [1], "b": [1, 2]}, "column 'a' has 1 rows, 'b' has 2"),
        ({"a": np.ones((2, 2))}, r"Column 'a' of the dictionary has shape \(2, 2\)"),
        ({"a": 3.0}, r"Column 'a' of the dictionary has shape \(\)"),
        ({"a": [1, [2]]}, "Column 'a' of the dictionary holds values of type list"),
        ({"a": np.array([1j])}, "Column 'a' of the dictionary holds values of type complex128"),
        ({"a": np.array([b"x"])}, r"holds values of type \|S1"),
        ({1: [1], "1": [2]}, "more than one column named '1'"),
        ({" ": [1]}, "column 1 has an empty name"),
        (np.ones((3, 2)), "A ndarray is no table. Accepted: a path, a pandas"),
        (3, "A int is no table"),
        ([{"a": 1}], "A list is no table"),
    ],
)
def test_refused_objects(source, expected):
    assert re.search(expected, refusal(source))


def test_a_query_needs_a_file():
    assert "A query is for a database file; a dict was given" in refusal({"a": [1]}, "SELECT 1")


STAMP = datetime(2024, 1, 2, 12, tzinfo=UTC)


def frame_of(library):
    """The same table in each library, with a missing cell in every column."""
    naive = STAMP.replace(tzinfo=None)
    if library == "pandas":
        pd = pytest.importorskip("pandas")
        return pd.DataFrame(
            {
                "i": pd.array([1, None], dtype="Int64"),
                "b": pd.array([True, None], dtype="boolean"),
                "s": ["x", None],
                "c": pd.Categorical(["x", None]),
                "d": pd.to_datetime([naive, None]),
                "z": pd.to_datetime([STAMP, None]).tz_convert("Europe/Berlin"),
                "n": [Decimal("1.5"), None],
            }
        )
    columns = {"i": [1, None], "b": [True, None], "s": ["x", None], "d": [naive, None], "z": [STAMP, None]}
    if library == "polars":
        pl = pytest.importorskip("polars")
        return pl.DataFrame({**columns, "c": pl.Series(["x", None], dtype=pl.Categorical), "n": [Decimal("1.5"), None]})
    pa = pytest.importorskip("pyarrow")
    return pa.table({**columns, "c": pa.array(["x", None]).dictionary_encode(), "n": [Decimal("1.5"), None]})


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_frames(library):
    table = read(frame_of(library))
    assert cells(table, "i") == ("number", [1, None]) and cells(table, "b") == ("boolean", [1, None])
    assert cells(table, "s") == ("text", ["x", None]) and cells(table, "c") == ("text", ["x", None])
    assert cells(table, "d") == ("date", [DAY + 0.5, None]) and cells(table, "z") == (
        "date",
        [DAY + 0.5, None],
    )
    assert cells(table, "n") == ("number", [1.5, None])


def test_pandas_refusals():
    pd = pytest.importorskip("pandas")
    assert "more than one column named 'a'" in refusal(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert "has no columns" in refusal(pd.DataFrame())
    assert "holds values of type Duration" in refusal(pd.DataFrame({"a": pd.to_timedelta([1], unit="D")}))
    assert "more than one column named '1'" in refusal(pd.DataFrame([[1, 2]], columns=[1, "1"]))
    assert "A Series is no table" in refusal(pd.Series([1]))


def test_pandas_own_text_stays_text_unless_marked():
    pd = pytest.importorskip("pandas")
    table = read(pd.DataFrame({"zip": ["10115", "20095"], "hp": ["130", "?"]}))
    assert table.column("zip").kind == "text"
    assert cells(table, "hp") == ("number", [130.0, None]) and "hp: text read as numbers" in table.notes[0]


def test_polars_lazy_and_nested():
    pl = pytest.importorskip("polars")
    assert read(pl.LazyFrame({"a": [1]})).n_rows == 1
    assert "Column 'a' of the frame holds values of type List" in refusal(pl.DataFrame({"a": [[1]]}))


def test_duckdb_relations():
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    table = read(connection.sql("SELECT 1 AS a, 'x'::ENUM('x', 'y') AS e"))
    assert cells(table, "a") == ("number", [1.0]) and cells(table, "e") == ("text", ["x"])
    assert "cannot be read" in refusal(connection.sql("SELECT CAST(x AS INTEGER) AS a FROM (VALUES ('u')) t(x)"))
    connection.close()


@pytest.mark.parametrize("names", [("a", "b"), ("a", "A")])
def test_parquet(tmp_path, names):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "year=2024.parquet"
    parquet.write_table(pa.table([[1, 2], ["1", None]], names=list(names)), path)
    table = read(path)
    assert cells(table, names[0]) == ("number", [1, 2]) and cells(table, names[1]) == ("text", ["1", None])


def test_parquet_refusals(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    assert "more than one column named 'a'" in refusal(path)
    parquet.write_table(pa.table({"a": [[1]]}), path)
    assert "Column 'a' of t.parquet holds values of type BIGINT[]" in refusal(path)
    parquet.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    assert "has column names but no rows" in refusal(path)


def test_importing_loads_numpy_at_most_and_files_need_no_frame_library(tmp_path):
    """DuckDB comes on first use; pandas, polars and pyarrow are never needed for a file."""
    path = write(tmp_path, "a,b,d\n1,x,2024-01-02\n2,,2024-01-03\n")
    script = f"""
import sys
from importlib.abc import MetaPathFinder
heavy = {{"pandas", "polars", "pyarrow", "narwhals"}}
class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in heavy:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from deltarule.tables import read
assert not {{"duckdb", "sqlite3"}} & set(sys.modules)
assert read({str(path)!r}).column("b").values.tolist() == ["x", None]
assert not heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_tables_are_built_from_columns():
    table = read({"a": [1.0]})
    again = Table.from_columns("again", table.columns.values(), ["a note"])
    assert again.notes == ("a note",) and again.n_rows == 1


def test_decimal_commas_are_numbers_unless_they_may_part_thousands(tmp_path):
    path = tmp_path / "european.csv"
    path.write_text("weight;price;code\n1,5;1,234;a\n-0,25;22,500;b\n3;999,000;c\n", encoding="utf-8")
    table = read(path)
    assert table.column("weight").values.tolist() == [1.5, -0.25, 3.0]
    assert table.column("price").kind == "text"
    assert any("decimal commas" in note for note in table.notes)
