"""What is printed is text: names and labels from tables and models give a terminal no orders."""

import io
import json

import pytest

from commandline import done, refused, run
from deltarule import printing
from mixtures import waves, write

ORDERS = {
    "clear the screen": "\x1b[2J",
    "title of the window": "\x1b]0;mine\x07",
    "one byte instead of ESC [": "\x9b5n",
    "right to left": "\u202egnp.exe",
    "over what stands there": "safe\rEVIL",
    "a byte that is no text": "\udcff",
    "an invisible tag": "\U000e0041",
    "bold and more": "\x1b[1mfine\x1b[8m",
}


@pytest.mark.parametrize("case", ORDERS)
def test_orders_are_spelt_out_as_json_reads_them(case):
    given = ORDERS[case]
    spelt = printing.plain(given)
    rest = spelt.replace("\x1b[1m", "")
    assert rest.isprintable() and json.loads(f'"{spelt}"', strict=False) == given
    assert printing.plain(spelt) == spelt


@pytest.mark.parametrize("text", ["", "Köln\n", "a\tb", "میوه‌ها", "👨‍👩‍👧", "x\u00a0y\u3000z", "\x1b[1mbold\x1b[0m"])
def test_text_stays_as_it_is(text):
    assert printing.plain(text) == text


@pytest.mark.promise("P9")
def test_commands_print_none_of_the_orders_in_a_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = waves()["x"]
    names = {"\x1b[31mred\x1b]0;mine\x07": x, "a\u202eb": x**2}
    labels = ["cl\x1b[2Jass\x9b5n" if value > 0 else "b" for value in x]
    write(tmp_path / "t.csv", {**names, "y\x1b[1A": labels})
    printed = [done("train", "t.csv", "-t", "y\x1b[1A", "-o", "m", "--epochs", 3, "--l2", 0)]
    printed += [done(*command) for command in (["info", "m"], ["info", "m", "--json"], ["evaluate", "m", "t.csv"])]
    printed += [done("explain", "m", "t.csv", "--row", 1), run("train", "t.csv", "-t", "\x1b[2J")]
    for ended in printed:
        assert all(letter.isprintable() or letter == "\n" for letter in ended.out + ended.err)
    assert json.loads(printed[2].out)["targets"] == ["y\x1b[1A"]
    assert "red\\u001b]0;mine\\u0007" in printed[4].out


def test_predictions_are_exact_in_a_pipe_and_plain_in_a_terminal(monkeypatch):
    for terminal, expected in ((False, "\x1b[2J\n"), (True, "\\u001b[2J\n")):
        stream = io.StringIO()
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr("sys.stdout", stream)
        with printing.plainly():
            printing.write_exactly("\x1b[2J\n")
        assert stream.getvalue() == expected


def test_a_file_name_that_is_no_text_can_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "There is no file \\udcff\\u009b.csv" in refused("train", "\udcff\x9b.csv", "-t", "y")
