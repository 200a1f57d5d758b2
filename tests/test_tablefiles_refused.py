"""Files that are no table: each gets a sentence that says what is wrong and where."""

import gzip
import re

import pytest

from deltarule.tables import read
from tablecheck import refusal, write

CSV_REFUSALS = {
    "empty": ("", "t.csv is empty"),
    "blank": (" \n\n", "t.csv is empty"),
    "header only": ("a,b\n", "t.csv has column names but no rows"),
    "repeated name": ("a,b,a\n1,2,3\n", "more than one column named 'a'"),
    "empty name": (",a\n1,2\n", r"column 1 has an empty name.*index=False"),
    "short line": ("a,b\n1,2\n3\n4,5\n", "line 3 has 1 cell, the header has 2 cells"),
    "long line": ("a,b\n1,2\n3,4,5\n", "line 3 has 3 cells, the header has 2 cells"),
    "short header": ("a,b\n1,2,3\n4,5,6\n7,8,9\n", "line 2 has 3 cells, the header has 2 cells"),
    "title above": ("A title\n\na,b\n1,2\n3,4\n", "line 3 has 2 cells, the header has 1 cell"),
    "late long line": ("a,b\n" + "1,2\n" * 50_000 + "1,2,3\n", "line 50002 has 3 cells"),
    "open quote": ('a,b\n1,"x\n3,4\n4,5\n', "a quote in line 2 is never closed"),
    "open quote, long": ('a,b\n1,"x\n' + "3,4\n" * 100_000, "a cell beginning in line 2 is too long"),
    "open quote in header": ('"a,b\n1,2\n', "a quote in line 1 is never closed"),
    "quote inside": ('a,b\n1,"x"y\n3,4\n', "a quote in line 2 is never closed, or stands inside a cell"),
    "latin": (b"a,b\n1,caf\xe9\n3,4\n", "t.csv is not UTF-8 text: see line 2.*iconv"),
    "latin header": (b"a,caf\xe9\n3,4\n", "t.csv is not UTF-8 text: see line 1"),
    "latin late": (b"a,b\n" + b"1,x\n" * 60_000 + b"1,\xe9\n", "t.csv is not UTF-8 text: see line 60002"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "encoded as UTF-16; UTF-8 is accepted"),
    "NUL": (b"a,b\n1,\x00\n", "t.csv holds NUL bytes"),
    "binary": (bytes(range(256)) * 20, "t.csv holds NUL bytes"),
    "huge cell": ("a,b\n1," + "x" * 5_000_000 + "\n", "a cell beginning in line 2 is too long"),
    "huge header": ("a" * 5_000_000 + "\n1\n", "the first line is longer than 4 MB"),
    "too many columns": (
        ",".join(f"c{i}" for i in range(20_001)) + "\n",
        "has 20,001 columns; at most 20,000",
    ),
    "a million columns": ("a," * 1_000_000 + "a\n", "has 1,000,001 columns; at most 20,000"),
}


@pytest.mark.parametrize("case", CSV_REFUSALS)
def test_refused_text_files(tmp_path, case):
    content, expected = CSV_REFUSALS[case]
    message = refusal(write(tmp_path, content))
    assert re.search(expected, message), message


OTHER_REFUSALS = {
    "gzip": ("t.csv.gz", b"a,b\n1,2\n", "is not a complete gzip file"),
    "cut gzip": (
        "t.csv.gz",
        gzip.compress(b"a,b\n" + bytes(range(1, 200)) * 99)[:-9],
        "is not a complete gzip",
    ),
    "JSON cut": ("t.json", '[{"a":1},{"a":', "cannot be read as JSON, at byte .* an array of objects"),
    "JSON scalars": ("t.json", "[1, 2]", "t.json cannot be read as JSON"),
    "JSON empty": ("t.json", "", "t.json is empty"),
    "JSON repeated key": ("t.json", '[{"a":1,"a":2}]', "t.json cannot be read as JSON"),
    "JSON object": ("t.json", '[{"a":{"b":1}}]', "Column 'a' of t.json holds values of type STRUCT"),
    "JSON list": ("t.json", '[{"a":[1]}]', r"Column 'a' of t.json holds values of type BIGINT\[\]"),
    "JSON mixed list": ("t.json", '[{"a":1},{"a":[1]}]', "Column 'a' of t.json holds values of type list"),
    "JSON keys": (
        "t.json",
        "[{" + ",".join(f'"a{i}":1' for i in range(20_001)) + "}]",
        "more than 20,000 different",
    ),
    "JSON deep": ("t.json", "[" * 5_000 + "]" * 5_000, "t.json cannot be read as JSON"),
    "JSON mark": ("t.json", '\ufeff[{"a":1}]', "begins with a byte-order mark"),
    "JSON latin": ("t.json", '[{"a":"caf\xe9"}]'.encode("latin-1"), "cannot be read as JSON.*in UTF-8"),
    "Parquet": ("t.parquet", b"hello" * 9, "t.parquet is not a Parquet file, or damaged"),
    "Parquet empty": ("t.parquet", b"", "t.parquet is empty"),
    "DuckDB": ("t.duckdb", b"hello" * 9, "neither a DuckDB nor a SQLite file"),
    "DuckDB cut": ("t.duckdb", b"12345678DUCK" + b"\0" * 99, "t.duckdb cannot be opened as a DuckDB file"),
    "SQLite cut": ("t.db", b"SQLite format 3\0" + b"\xff" * 99, "t.db: the query failed: "),
    "SQLite empty": ("t.sqlite", b"", "t.sqlite is empty"),
    "extension": ("t.xlsx", b"PK", r"unknown extension. Accepted: .csv, .tsv, .* with a query"),
    "no extension": ("table", b"a", "table has an unknown extension"),
    "packed Parquet": ("t.parquet.gz", b"a", "unknown extension"),
}


@pytest.mark.parametrize("case", OTHER_REFUSALS)
def test_refused_files(tmp_path, case):
    name, content, expected = OTHER_REFUSALS[case]
    write(tmp_path, "a\n1\n", "t_other.csv")
    message = refusal(write(tmp_path, content, name))
    assert re.search(expected, message), message


def test_a_file_that_is_not_there(tmp_path):
    write(tmp_path, "a\n1\n", "houses.csv")
    assert "Did you mean houses.csv?" in refusal(tmp_path / "house.csv")
    assert "Check the name and the folder" in refusal(tmp_path / "zzz")
    assert "There is no folder" in refusal(tmp_path / "nowhere" / "houses.csv")
    assert "is a folder: give one file in it" in refusal(tmp_path)
    assert "a query is for .duckdb" in refusal(tmp_path / "houses.csv", "SELECT 1")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "a\n1\n")
    assert read("~/t.csv").n_rows == 1
