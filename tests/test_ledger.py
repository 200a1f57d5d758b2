"""Histories as numbers: what is squeezed comes back to the bit, and what cannot be is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltarule import ledger
from deltarule.errors import ModelFileError
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
    expected = history if "mu" not in details or n == 1 else [  # 1 became 1.5: all are numbers with a fraction
        one._replace(details={"mu": float(one.details["mu"])}) for one in history
    ]  # fmt: skip
    assert list(map(repr, again)) == list(map(repr, expected))
    if n > AT_ONCE:
        assert numbers.size < 0.8 * kept.rows.size  # steps, fails, penalties and validation losses take no room


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
def test_a_part_asks_for_no_more_memory_than_its_rows():
    """Each row may be short but that of the seconds: what is stretched has at most 100 times the file's numbers."""
    told = [{"run": 0, "lengths": [1] * SECONDS + [1000] + [1] * (WIDTH - SECONDS - 1)}]
    ((_, rows),) = ledger.stretched(told, np.zeros(1000 + WIDTH - 1), "parts")
    assert rows.shape == (WIDTH, 1000)
