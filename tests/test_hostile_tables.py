"""Tables that mean harm: a clear error or bounded work, and nothing is read, run or written but what was named."""

import gzip
import os
import sqlite3
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from commandline import done
from deltarule.tables import delimited, read
from mixtures import waves, write
from tablecheck import cells, refusal
from tablecheck import write as put

pytestmark = pytest.mark.promise("P9")

READ = {
    "a formula": ('a,b\n=cmd|" /C calc"!A0,1\n+1+1,2\n'.replace('"', "'"), ["=cmd|' /C calc'!A0", "+1+1"]),
    "a byte-order mark": ("\ufeffa,b\nx,1\ny,2\n", ["x", "y"]),
    "line ends of all kinds": ("a,b\r\nx,1\ny,2\r\nz,3\n", ["x", "y", "z"]),
    "orders to a terminal": ("a,b\n\x1b[2J,1\n\x9b5n,2\n", ["\x1b[2J", "\x9b5n"]),
    "SQL": ("a,b\n'); DROP TABLE t; --,1\n$path,2\n", ["'); DROP TABLE t; --", "$path"]),
    "no date": ("a,b\n2024-13-45,1\n9999-99-99,2\n", ["2024-13-45", "9999-99-99"]),
    "a year beyond all calendars": ("a,b\n12024-01-01,1\n-0001-01-01,2\n", ["12024-01-01", "-0001-01-01"]),
    "digits of another script": ("a,b\n١٢,1\n٣,2\n", ["١٢", "٣"]),
    "a huge whole number": (f"a,b\n{'9' * 400},1\n1,2\n", [np.inf, 1.0]),
    "a long number": (f"a,b\n0.{'1' * 5_000},1\n1,2\n", [1 / 9, 1.0]),
    "a number that overflows": ("a,b\n1e999,1\n-1e999,2\n", [np.inf, -np.inf]),
    "numbers as dates and words": ("a,b\n1,1\n2024-01-01,2\ntrue,3\n", ["1", "2024-01-01", "true"]),
    "text over lines": ('a,b\n"x\ny",1\n"z\r\n",2\n', ["x\ny", "z\r\n"]),
}


@pytest.mark.parametrize("case", READ)
def test_cells_are_data_whatever_they_say(tmp_path, case):
    content, expected = READ[case]
    assert cells(read(put(tmp_path, content)), "a")[1] == pytest.approx(expected)


FIELDS = {
    "a header without end": ("a" * 2_000 + ",b\n1,2\n", "the name of column 1 has 2,000 letters, beginning 'aaa"),
    "a million columns": ("," * 999_999 + "\n", "has 1,000,000 columns; at most 20,000"),
    "a huge field": ("a,b\n" + "x" * 3_000_000 + ",1\n", "a cell beginning in line 2 is too long"),
    "a quote never closed": ('a,b\n"x,1\n' + "y,2\n" * 1_000, "a quote in line 2 is never closed"),
    "a quote never closed, at the end": ("a,b\n" + "y,2\n" * 1_000 + '"', "line 1002"),
    "NUL bytes late": (b"a,b\n" + b"1,2\n" * 1_000 + b"\0,3\n", "holds NUL bytes"),
    "another encoding": ("a,b\nä,1\n".encode("latin-1"), "is not UTF-8 text: see line 2"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "is encoded as UTF-16"),
    "half a letter": (b"a,b\n\xc3", "is not UTF-8 text: see line 2"),
    "a surrogate": (b"a,b\n\xed\xa0\x80,1\n", "is not UTF-8 text: see line 2"),
    "ragged rows": ("a,b\n1,2\n3\n", "line 3 has 1 cell, the header has 2 cells"),
    "an archive": (b"PK\x03\x04" + bytes(100), "holds NUL bytes"),
}


@pytest.mark.parametrize("case", FIELDS)
def test_text_that_is_refused(tmp_path, case):
    content, words = FIELDS[case]
    path = put(tmp_path, content)
    tracemalloc.start()
    message = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words in message, message
    assert peak < 64 * 2**20 + 40 * path.stat().st_size


LONG = {
    "a category without end": ({"x": ["a" * 2_000, "b"] * 12}, "a category in column 'x' has 2,000 letters"),
    "a class without end": ({"y": ["a" * 2_000, "b"] * 12}, "a class in column 'y' has 2,000 letters"),
    "half a letter as category": ({"x": ["\ud800", "b"] * 12}, r"a category in column 'x' is '\ud800', which is no"),
    "half a letter as name": ({"\udfff": ["a", "b"] * 12}, r"the name of column 3 is '\udfff', which is no valid text"),
}


@pytest.mark.parametrize("case", LONG)
def test_texts_that_no_model_could_hold(case):
    columns, words = LONG[case]
    with pytest.raises(dr.TableError) as caught:
        dr.fit({"x": np.arange(24.0), "y": np.arange(24.0)} | columns, "y")
    assert words in str(caught.value) and len(str(caught.value)) < 300


PLAIN_NAMES = [
    "t[1].csv", "*.csv", "t?.csv", "**/t.csv", "{a,b}.csv", "[t.csv", "https:/host/t.csv", "s3:/bucket/t.csv",
    "file:/t.csv", "hf:/datasets/t.csv", "year=2024/t.csv", "%41.csv", "$HOME.csv", "~nobody.csv", "-rf.csv", "a'b.csv",
    'a"b.csv', "a;b.csv", "a b.csv", "new\nline.csv", "\x1b[2J.csv", "t[1].json", "t*.parquet", "t?.csv.gz",
]  # fmt: skip


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_path_names_one_file_whatever_its_letters(tmp_path, monkeypatch, name):
    """Nothing in it is a pattern or an address: files that a pattern would find lie beside it, and are not read."""
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    for other in ("t1", "a", "b", "t2"):
        for ending in (".csv", ".json", ".parquet", ".csv.gz"):
            (path.parent / f"{other}{ending}").write_bytes(b"wrong\n0\n")
    if name.endswith(".parquet"):
        duckdb.sql("SELECT 7 AS right").write_parquet("made")
        Path("made").rename(path)
    else:
        content = b'[{"right": 7}]' if name.endswith(".json") else b"right\n7\n"
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert cells(read(name), "right") == ("number", [7.0])


@pytest.mark.parametrize("name", ["https://example.org/t.csv", "s3://bucket/t.csv", "http://127.0.0.1:9/t.parquet"])
def test_addresses_are_names_of_files_that_are_not_there(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert "There is no file" in refusal(name)


def test_a_service_before_the_colon_of_a_database_is_part_of_its_name(tmp_path, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect(str(tmp_path / "md:t.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS a")
    assert cells(read("md:t.duckdb", "SELECT * FROM t"), "a") == ("number", [7.0])


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("log", [False, True], ids=["at rest", "with a log"])
def test_reading_a_database_changes_nothing_beside_it(tmp_path, monkeypatch, log):
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    writer = sqlite3.connect(tmp_path / "t.sqlite")
    writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (7);")
    if not log:
        writer.close()
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS a")
    before = contents(tmp_path)
    for name in ("t.sqlite", "t.duckdb"):
        assert cells(read(tmp_path / name, "SELECT a FROM t"), "a") == ("number", [7.0])
    after = contents(tmp_path)
    assert after.keys() == before.keys() and all(after[name] == before[name] for name in ("t.sqlite", "t.duckdb"))
    writer.close()


def test_a_database_of_a_stranger_reads_nothing_else(tmp_path, monkeypatch):
    """A view may name any file; frames in the program are no tables; extensions are not loaded."""
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a\n42\n")
    with duckdb.connect(str(tmp_path / "t.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS a")
        connection.execute("CREATE VIEW v AS SELECT * FROM read_csv('secret.csv')")
    frame = pytest.importorskip("pandas").DataFrame({"a": [42]})
    for query in (
        "SELECT * FROM v",
        "SELECT * FROM frame",
        "SELECT * FROM 'secret.csv'",
        "SELECT content FROM read_text('secret.csv')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM 'https://example.org/t.csv'",
        "SELECT * FROM sqlite_scan('t.sqlite', 't')",
    ):
        assert "the query failed" in refusal(tmp_path / "t.duckdb", query), query
    assert len(frame) == 1
    with sqlite3.connect(tmp_path / "t.sqlite") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    for query in ("SELECT load_extension('x') AS a", "SELECT readfile('secret.csv') AS a", "SELECT * FROM dbstat"):
        refusal(tmp_path / "t.sqlite", query)


def test_a_query_is_given_by_the_user_alone(tmp_path):
    with sqlite3.connect(tmp_path / "t.db") as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    assert "A query must pick rows" in refusal(tmp_path / "t.db")
    path = put(tmp_path, "SELECT 1\n2\n", "SELECT * FROM t;.csv")
    assert list(read(path).columns) == ["SELECT 1"]


def test_a_packed_bomb_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MOST_UNPACKED", 2**22)
    path = put(tmp_path, gzip.compress(b"a,b\n" + b"1,2\n" * 2**21), "t.csv.gz")
    assert path.stat().st_size < 20_000
    tracemalloc.start()
    assert "unpacks to over 100 times its size" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_a_small_file_of_more_cells_than_memory_holds_is_refused(tmp_path, monkeypatch):
    duckdb = pytest.importorskip("duckdb")
    rows = "\n".join(f'{{"k{i}": 1}}' for i in range(2_000))
    sparse = put(tmp_path, rows, "t.jsonl")
    duckdb.sql("SELECT 1 AS a FROM range(1000000)").write_parquet(str(tmp_path / "t.parquet"))
    monkeypatch.setattr("deltarule.memory.of_machine", lambda: 1e6)
    assert "t.jsonl has 4,000,000 cells, more than fit into the memory" in refusal(sparse)
    assert "t.parquet has 1,000,000 cells, more than fit into the memory" in refusal(tmp_path / "t.parquet")


def test_predictions_that_a_spreadsheet_would_compute_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = ["=1+1" if value > 0 else "no" for value in waves()["x"]]
    write(tmp_path / "t.csv", {"x": waves()["x"], "y": labels})
    done("train", "t.csv", "-t", "y", "-o", "m", "--epochs", 1, "--l2", 0, "--quiet")
    ended = done("predict", "m", "t.csv", "-o", "p.csv")
    assert "note: a spreadsheet would take this for a formula: '=1+1'" in ended.err
    assert set((tmp_path / "p.csv").read_text().split()[1:]) <= {"=1+1", "no"}


def test_a_pipe_and_a_device_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    assert "is not a regular file" in refusal(tmp_path / "t.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert "is not a regular file" in refusal(tmp_path / "zero.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    refusal(tmp_path / "loop.csv")
