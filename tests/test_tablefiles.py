"""Files: one table however it is spelled, and types found in the whole file."""

import gzip
import json
import string
import tempfile
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import TableError
from deltarule.tables import read
from tablecheck import DAY, cells, write


def test_the_four_kinds(tmp_path):
    table = read(
        write(
            tmp_path,
            "n,b,d,s,stamp\n1,true,2024-01-02,x,2024-01-02T12:00:00Z\n2.5,FALSE,2024-01-03,1,2024-01-02 06:00\n,,,,\n",
        )
    )
    assert table.n_rows == 3 and table.name == "t.csv"
    assert cells(table, "n") == ("number", [1.0, 2.5, None])
    assert cells(table, "b") == ("boolean", [1.0, 0.0, None])
    assert cells(table, "d") == ("date", [DAY, DAY + 1, None])
    assert cells(table, "s") == ("text", ["x", "1", None])
    assert cells(table, "stamp") == ("date", [DAY + 0.5, DAY + 0.25, None])


def test_types_are_those_of_the_whole_file(tmp_path):
    table = read(write(tmp_path, "a,b\n" + "1,1\n" * 30_000 + "1.5,x\n"))
    assert table.column("a").values[-1] == 1.5
    assert table.column("b").kind == "text" and table.column("b").values[0] == "1"


@pytest.mark.parametrize("marker", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "Null", "n/a"])
def test_markers_of_missing_cells(tmp_path, marker):
    table = read(write(tmp_path, f"a,b\n1,x\n{marker},{marker}\n3,y\n"))
    assert cells(table, "a") == ("number", [1.0, None, 3.0])
    assert cells(table, "b") == ("text", ["x", None, "y"])


def test_a_question_mark_is_missing_among_numbers_only(tmp_path):
    table = read(write(tmp_path, "a,b\n1,x\n?,?\n3,y\n"))
    assert cells(table, "a") == ("number", [1.0, None, 3.0])
    assert cells(table, "b") == ("text", ["x", "?", "y"])
    assert table.notes == ("a: text read as numbers; '?' counts as missing",)


def test_codes_stay_text_and_signs_are_numbers(tmp_path):
    table = read(write(tmp_path, "zip,up\n01234,+1\n10115,-2\n"))
    assert cells(table, "zip") == ("text", ["01234", "10115"])
    assert cells(table, "up") == ("number", [1.0, -2.0])


def test_impossible_dates_stay_text(tmp_path):
    table = read(write(tmp_path, "d,us\n2024-02-30,01/02/2024\n2024-01-01,13/02/2024\n"))
    assert table.column("d").kind == "text" and table.column("us").kind == "text"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "\ufeffa,b\n1,x\n2,y\n"),
        ("t.csv", "a,b\r\n1,x\r\n2,y\r\n"),
        ("t.csv", "a,b\r1,x\r2,y\r"),
        ("t.csv", "a,b\n1,x\r\n2,y\n"),
        ("t.csv", "\n\na , b\n1,x\n\n2,y\n\n"),
        ("t.csv", "a;b\n1;x\n2;y"),
        ("t.csv", "a|b\n1|x\n2|y\n"),
        ("t.csv", '"a","b"\n"1","x"\n2,y\n'),
        ("t.tsv", "a\tb\n1\tx\n2\ty\n"),
        ("t.txt", "a b\n1 x\n2 y\n"),
        ("T.CSV", "a,b\n1,x\n2,y\n"),
        ("t.csv.gz", gzip.compress(b"a,b\n1,x\n2,y\n", mtime=0)),
        ("t.json", '[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]'),
        ("t.jsonl", '{"a": 1, "b": "x"}\n{"b": "y", "a": 2}\n'),
        ("t.ndjson.gz", gzip.compress(b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n', mtime=0)),
        ("it's; --.csv", "a,b\n1,x\n2,y\n"),
        ("data[1].csv", "a,b\n1,x\n2,y\n"),
    ],
)
def test_spellings_of_one_table(tmp_path, name, content):
    table = read(str(write(tmp_path, content, name)))
    assert list(table.columns) == ["a", "b"]
    assert cells(table, "a") == ("number", [1.0, 2.0])
    assert cells(table, "b") == ("text", ["x", "y"])


def test_delimiter_that_also_occurs_in_names(tmp_path):
    table = read(write(tmp_path, "price, eur;size, m2;rooms, n\n1;2;3\n4;5;6\n"))
    assert list(table.columns) == ["price, eur", "size, m2", "rooms, n"]


def test_names_that_differ_only_in_case(tmp_path):
    table = read(write(tmp_path, "a,A\n1,2\n"))
    assert cells(table, "a") == ("number", [1.0]) and cells(table, "A") == ("number", [2.0])


def test_quoted_cells_hold_delimiters_lines_and_quotes(tmp_path):
    table = read(write(tmp_path, 'a,b\n"x, ""y""\nz",1\nw,2\n'))
    assert cells(table, "a") == ("text", ['x, "y"\nz', "w"])


def test_formulas_are_text(tmp_path):
    table = read(write(tmp_path, 'a,b\n=1+2,"=cmd|x"\n@sum,-\n'))
    assert cells(table, "a") == ("text", ["=1+2", "@sum"])


def test_long_integers_and_infinities_are_numbers(tmp_path):
    table = read(write(tmp_path, "a,b\n123456789012345678901234567890,inf\n1,1e400\n"))
    assert cells(table, "a") == ("number", [123456789012345678901234567890.0, 1.0])
    assert cells(table, "b") == ("number", [np.inf, np.inf])


def test_mixed_json_becomes_text(tmp_path):
    rows = [{"a": 1, "d": "2024-01-02", "t": "12:00:00"}, {"a": "x", "d": None, "t": None}]
    table = read(write(tmp_path, json.dumps(rows), "t.json"))
    assert cells(table, "a") == ("text", ["1", "x"])
    assert cells(table, "d") == ("date", [DAY, None])
    assert cells(table, "t") == ("text", ["12:00:00", None])


def test_the_most_columns(tmp_path):
    names = ",".join(f"c{i}" for i in range(2_000))
    table = read(write(tmp_path, names + "\n" + ",".join(["1"] * 2_000) + "\n"))
    assert len(table.columns) == 2_000


TEXTS = st.text(string.ascii_letters + " ,;'\"\n-=@é", min_size=1, max_size=8).filter(lambda s: s.strip())
COLUMNS = {
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60).map(float),
    "boolean": st.booleans(),
    "date": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    "text": TEXTS.map(lambda s: "w" + s),
}


@st.composite
def tables(draw):
    n_rows = draw(st.integers(1, 12))
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    columns = {}
    for i, kind in enumerate(kinds):
        values = draw(st.lists(COLUMNS[kind] | st.none(), min_size=n_rows, max_size=n_rows))
        values[draw(st.integers(0, n_rows - 1))] = draw(COLUMNS[kind])
        columns[f"c{i}"] = values
    return columns


def spelled(value):
    if value is None:
        return ""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in '",;\n') else text


@settings(max_examples=40, deadline=None)
@given(tables())
def test_a_file_reads_like_the_values_it_was_written_from(columns):
    """A CSV of any mixture equals the table of the same values in memory."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join(map(spelled, row)) for row in rows)]
    if len(columns) == 1:
        lines = [line or '""' for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        from_file = read(write(folder, "\n".join(lines) + "\n"))
    in_memory = read(columns)
    assert from_file.n_rows == in_memory.n_rows
    for name in columns:
        kind, values = cells(from_file, name)
        assert (kind, values) == cells(in_memory, name)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120) | st.text(',;"\n\r\t ab1.?é', max_size=60).map(str.encode))
def test_any_bytes_give_a_table_or_a_refusal(content):
    with tempfile.TemporaryDirectory() as folder:
        try:
            table = read(write(folder, content))
        except TableError as error:
            assert "\n" not in str(error)
        else:
            assert table.n_rows > 0 and table.columns
