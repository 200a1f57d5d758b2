"""Histories as numbers: what is squeezed comes back to the bit, and what cannot be is refused."""

import json
import tracemalloc
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule import ledger
from deltarule.errors import ModelFileError, SettingError, TrainingError
from deltarule.ledger import AT_ONCE, PLAIN, SECONDS, Ledger
from deltarule.record import Record

WIDTH = len(PLAIN)


def records(n, **details):
    return [
        Record(
            i, i / 3, 0.1 * i, [np.pi, np.nan, -np.inf, -0.0][i % 4], None, 1.0 / (i + 1), i, 0, 0.0,
            {name: values[i % len(values)] for name, values in details.items()},
        )
        for i in range(n)
    ]  # fmt: skip


def round_trip(found, columns):
    told, numbers = ledger.squeezed([(7, found)])
    ((run, rows),) = ledger.stretched(told, numbers, "parts")
    assert run == 7 and rows.tobytes() == np.ascontiguousarray(found).tobytes()
    return ledger.records_of(columns, rows), numbers


@pytest.mark.parametrize("n", [1, 2, 3, AT_ONCE + 5])
@pytest.mark.parametrize("details", [{}, {"mu": [1, 2.5]}, {"why": ["a", "b\n", ""], "sure": [True, False], "k": [3]}])
def test_records_come_back(n, details):
    history, kept = records(n, **details), Ledger()
    for count in (n // 2, n, n):  # each is packed once
        kept.extend(history, count)
    again, numbers = round_trip(kept.rows, kept.columns)
    assert list(map(repr, again)) == list(map(repr, history))
    if n > AT_ONCE:
        assert numbers.size < 0.8 * kept.rows.size  # steps, fails, penalties and validation losses take no room


class Colour(StrEnum):
    RED = "red"


CHANGING = {
    "none, then numbers": [None, 1.5, None],
    "numbers, then none": [1.5, None, np.nan, 2.0, -0.0, np.inf],
    "whole numbers, then others": [1, 1.0, 2.5, None, -3, "a"],
    "flags, then numbers": [True, 1, 0, False, None],
    "numbers, then whole ones": [0.5, 1, 2**53 + 1, -(2**47), 2**47, 2**47 - 1],
    "whole numbers, then flags": [3, True],
    "whole numbers of any size": [2**53, 2**53 + 1, -(2**70), 2**9000, 0],
    "words, then others": ["a", None, "0x1", "b", 1, 2**60, "", "a"],
    "NumPy's": [np.float64(0.5), np.bool_(True), np.int64(4), np.float32(0.25), None],
}


@pytest.mark.parametrize("name", CHANGING)
@pytest.mark.parametrize("cuts", [(1, 3), (2, 2), (3, 9)])
def test_values_of_any_kind_come_back_as_they_are(monkeypatch, name, cuts):
    """Whatever was written of a history before a value of another kind came, and then no longer changes."""
    monkeypatch.setattr(ledger, "AT_ONCE", 2)
    history, kept, rows = records(9, value=CHANGING[name]), Ledger(), []
    for count in (*cuts, 9):
        kept.extend(history, count)
        rows.append(kept.rows)
        told = json.loads(json.dumps(kept.columns.to_json()))
        columns = ledger.read_columns(told, "columns")
        assert columns.to_json() == told == kept.columns.to_json()  # so that equal columns are stored once
        kept = Ledger(columns, kept.count, kept.rows[:, :0])  # as another process goes on
    again, _ = round_trip(np.concatenate(rows, axis=1), columns)
    plain = [value.item() if isinstance(value, np.generic) else value for value in CHANGING[name]]
    assert list(map(repr, again)) == list(map(repr, records(9, value=plain)))


def test_records_that_are_taken_back_may_come_again_as_others():
    kept, history = Ledger(), records(6, value=[1, 2, None])
    kept.extend(records(2, value=[1]), 2)
    kept.extend(history, 6)
    kept.extend(history, 2)
    kept.extend(records(6, value=[1, 2, 3, "a", 4.5]), 6)
    again, _ = round_trip(kept.rows, kept.columns)
    assert [record.details["value"] for record in again] == [1, 1, 3, "a", 4.5, 1]


def test_records_that_are_kept_elsewhere_cannot_be_taken_back():
    first, history = Ledger(), records(6)
    first.extend(history, 4)
    kept = Ledger(first.columns, 4)
    kept.extend(history, 6)
    with pytest.raises(TrainingError, match=r"has 3 records; 4 of them are written already"):
        kept.extend(history, 3)
    assert kept.count == 6
    kept.extend(history, 4)
    assert kept.count == 4


def test_an_enumeration_s_member_is_kept_as_its_word():
    kept = Ledger()
    kept.extend(records(3, why=["red", Colour.RED, "blue"]), 3)
    again, _ = round_trip(kept.rows, kept.columns)
    assert [record.details["why"] for record in again] == ["red", "red", "blue"]
    assert [*map(list, kept.columns.words)][-1] == ["red", "blue"]


@pytest.mark.parametrize("value", [[1], {}, 1j, b"a", "\ud800"])
@pytest.mark.parametrize("first", [1.0, "a", None])
def test_what_cannot_be_kept_is_refused_before_it_is_written(value, first):
    with pytest.raises(SettingError, match="A detail of the method"):
        Ledger().extend(records(2, value=[first, value]), 2)


def test_more_numbers_than_can_be_read_are_refused_before_they_are_written():
    most = {f"d{i}": [i] for i in range(ledger.MOST_NUMBERS - WIDTH)}
    kept = Ledger()
    kept.extend(records(2, **most), 2)
    assert ledger.read_columns(kept.columns.to_json(), "columns") == kept.columns
    with pytest.raises(SettingError, match=r"tells 92 details of itself; a run that is kept has at most 91\."):
        Ledger().extend(records(2, **most, more=[1]), 2)


def test_words_without_end_are_read_as_they_were_written():
    history, kept = records(20_000, why=[f"{i}" for i in range(20_000)]), Ledger()
    kept.extend(history, 20_000)
    columns = ledger.read_columns(kept.columns.to_json(), "columns")
    again = ledger.records_of(columns, kept.rows)
    assert all(one.details["why"] == str(i) for i, one in enumerate(again))


@pytest.mark.parametrize("later", [{}, {"other": 1}, {"value": 1, "other": 1}])
def test_details_that_come_and_go_are_refused(later):
    history = [*records(1, value=[1]), records(2)[1]._replace(details=later)]
    with pytest.raises(SettingError, match="of itself"):
        Ledger().extend(history, 2)


@pytest.mark.parametrize("start", [0, 2, 9])
@pytest.mark.parametrize("number", [0x7FFC << 48 | 5, 0x7FFD << 48, 0x7FFD << 48 | 9, 0x7FFF << 48, 0x7FFF << 48 | 77])
def test_numbers_that_stand_for_no_value(start, number):
    """Two words, of which none spells a number."""
    width = WIDTH + 1
    told = {
        "details": ["value"], "kinds": ["number"] * width, "words": [[]] * WIDTH + [["a", "0x"]],
        "mixed": [None] * WIDTH + [start],
    }  # fmt: skip
    rows = np.zeros((width, 4))
    rows[-1, 2:] = np.array([number], np.uint64).view(np.float64)
    columns = ledger.read_columns(told, "columns")
    if start == 9:  # then it is a NaN as any other
        assert len(ledger.records_of(columns, rows)) == 4
        return
    with pytest.raises(ModelFileError, match="stands for no value"):
        ledger.records_of(columns, rows)


@pytest.mark.promise("P8")
@pytest.mark.parametrize("mixed", [[], [None], [-1] * WIDTH, [1.0] * WIDTH, [True] * WIDTH, {}, None])
def test_mixtures_that_cannot_be(mixed):
    told = {"details": [], "kinds": ["number"] * WIDTH, "words": [[]] * WIDTH}
    assert ledger.read_columns(told, "columns").to_json() == told
    with pytest.raises(ModelFileError):
        ledger.read_columns({**told, "mixed": mixed}, "columns")


def test_a_ledger_goes_on_where_another_ended():
    history, whole, first = records(9, why=["a", "b", "c"]), Ledger(), Ledger()
    whole.extend(history, 9)
    first.extend(history, 4)
    again = Ledger(first.columns, 3, first.rows[:, 3:])
    again.extend(history, 9)
    assert again.columns == whole.columns and again.rows.tobytes() == whole.rows[:, 3:].tobytes()
    settled = again.settled(8)
    assert (settled.count, settled.rows.tobytes()) == (
        9,
        again.rows[:, 5:].tobytes(),
    ) and settled.columns == whole.columns
    assert (again.kept, again.count) == (3, 9)
    settled.extend(history, 9)
    assert settled.settled(9).rows.shape[1] == 0 and settled.settled(9).count == 9


ROWS = st.one_of(
    st.lists(st.floats(width=64), min_size=5, max_size=5),
    st.sampled_from([0.0, -0.0, np.nan, np.inf, 1e308, 5e-324, 0.1]).map(lambda x: [x] * 5),
    st.tuples(st.floats(), st.floats()).map(lambda p: [p[0] + p[1] * i for i in range(5)]),
    st.sampled_from([[0.0, 0.0, 0.0, 0.0, -0.0], [1.0, 2.0, 3.0, 4.0, 6.0], [-0.0, 1.0, 2.0, 3.0, 4.0]]),
)


@given(st.lists(ROWS, min_size=WIDTH, max_size=WIDTH))
def test_any_numbers_come_back_to_the_bit(rows):
    with np.errstate(all="ignore"):
        rows = np.array(rows)
    told, numbers = ledger.squeezed([(0, rows), (1, rows[:, :2])])
    (_, first), (_, second) = ledger.stretched(told, numbers, "parts")
    assert first.tobytes() == rows.tobytes() and second.tobytes() == rows[:, :2].tobytes()


def lengths(n=4, **changes):
    found = [n] * WIDTH
    for i, length in changes.items():
        found[int(i[1:])] = length
    return found


@pytest.mark.promise("P8")
@pytest.mark.parametrize("first", [(np.inf, np.inf), (np.inf, -np.inf), (1e308, -1e308), (np.nan, 0.0), (0.0, 1e308)])
def test_hostile_ramps_are_numbers_without_a_warning(first):
    numbers = np.concatenate([first, np.zeros(4 * (WIDTH - 1))])
    ((_, rows),) = ledger.stretched([{"run": 0, "lengths": lengths(i0=2)}], numbers, "parts")
    assert rows.shape == (WIDTH, 4)


HOSTILE = {
    "no list": {},
    "no part": [3],
    "other keys": [{"run": 0, "lengths": lengths(), "more": 1}],
    "too few rows": [{"run": 0, "lengths": lengths()[1:]}],
    "too many rows": [{"run": 0, "lengths": [1] * (ledger.MOST_NUMBERS + 1)}],
    "another length": [{"run": 0, "lengths": lengths(i5=3)}],
    "none of a row": [{"run": 0, "lengths": lengths(i5=0)}],
    "no records": [{"run": 0, "lengths": lengths(0)}],
    "two numbers of one record": [{"run": 0, "lengths": lengths(1, i5=2)}],
    "more than there are": [{"run": 0, "lengths": lengths(10**12)}],
    "less than there are": [{"run": 0, "lengths": lengths(3)}],
    "a run that is no number": [{"run": "0", "lengths": lengths()}],
    "true for a number": [{"run": True, "lengths": lengths()}],
    "a negative length": [{"run": 0, "lengths": lengths(-4)}],
    "a fraction": [{"run": 0, "lengths": lengths(4.0)}],
}


@pytest.mark.promise("P8")
@pytest.mark.parametrize("name", HOSTILE)
def test_parts_that_cannot_be(name):
    with pytest.raises(ModelFileError):
        ledger.stretched(HOSTILE[name], np.zeros(4 * WIDTH), "parts")
    assert len(ledger.stretched([{"run": 0, "lengths": lengths()}], np.zeros(4 * WIDTH), "parts")) == 1
    with pytest.raises(ModelFileError):
        ledger.stretched([{"run": 0, "lengths": lengths()}], np.zeros(4 * WIDTH, np.int64), "parts")


@pytest.mark.promise("P8")
def test_a_part_asks_for_so_many_times_its_rows_as_a_record_has_numbers():
    """Each row may be short but that of the seconds."""
    n, width = 20_000, ledger.MOST_NUMBERS
    told = [{"run": 0, "lengths": [1] * SECONDS + [n] + [1] * (width - SECONDS - 1)}]
    numbers = np.zeros(n + width - 1)
    assert (
        (width - 1) * numbers.nbytes
        < peak(lambda: ledger.stretched(told, numbers, "parts", {0: width}))
        < ((width + 2) * numbers.nbytes)
    )


@pytest.mark.promise("P8")
@pytest.mark.parametrize("widths", [{}, {1: WIDTH}, {0: WIDTH}, {0: ledger.MOST_NUMBERS - 1}])
def test_a_part_that_is_no_run_s_is_refused_before_it_takes_memory(widths):
    n, width = 20_000, ledger.MOST_NUMBERS
    told = [
        {"run": run, "lengths": [1] * SECONDS + [n] + [1] * (its - SECONDS - 1)}
        for run, its in ((1, WIDTH), (0, width))
    ]
    numbers = np.zeros(2 * n + WIDTH + width - 2)

    def refused():
        with pytest.raises(ModelFileError, match="a run with"):
            ledger.stretched(told, numbers, "parts", widths)

    assert peak(refused) < numbers.nbytes / 2


def peak(call):
    """Return how many bytes a call has at once at most."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
