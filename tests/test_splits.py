"""Splits: every row in one part, the same parts for the same seed, each class in each part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltarule.errors import SettingError, TableError
from deltarule.splits import MIN_ROWS, split

FRACTIONS = st.sampled_from([(0.7, 0.15, 0.15), (0.8, 0.2, 0.0), (0.5, 0.25, 0.25), (0.1, 0.1, 0.8), (0.9, 0.05, 0.05)])


def parts(result):
    return [result.train, result.validation, result.test]


def assert_partition(result, n_rows):
    for part in parts(result):
        assert part.dtype == np.intp and np.all(np.diff(part) > 0)
    assert np.array_equal(np.sort(np.concatenate(parts(result))), np.arange(n_rows))
    assert len(result.train) and len(result.validation)


@settings(max_examples=100, deadline=None)
@given(st.integers(MIN_ROWS, 400), st.integers(0, 2**70), FRACTIONS, st.sampled_from(["random", "order"]))
def test_parts_are_all_rows_in_the_proportions_asked_for(n_rows, seed, fractions, how):
    result = split(n_rows, seed=seed, fractions=fractions, how=how)
    assert_partition(result, n_rows)
    for part, fraction in zip(parts(result), fractions, strict=True):
        assert abs(len(part) - fraction * n_rows) <= 2
    again = split(n_rows, seed=seed, fractions=fractions, how=how)
    assert all(np.array_equal(a, b) for a, b in zip(parts(result), parts(again), strict=True))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from("aaabbbcd"), min_size=MIN_ROWS, max_size=120), FRACTIONS, st.integers(0, 99))
def test_each_class_is_in_each_part(labels, fractions, seed):
    result = split(len(labels), labels=labels, fractions=fractions, seed=seed)
    assert_partition(result, len(labels))
    for label in set(labels):
        counts = [sum(labels[row] == label for row in part) for part in parts(result)]
        total = sum(counts)
        if total < 3:
            assert counts == [total, 0, 0]
        else:
            assert all(count > 0 for count, fraction in zip(counts, fractions, strict=True) if fraction)
            assert all(abs(c - f * total) <= 2 for c, f in zip(counts, fractions, strict=True))


def test_seeds_differ_and_the_split_is_written_down():
    """These rows must never change: a saved run is resumed on them."""
    first = split(20, seed=0)
    assert first.validation.tolist() == [4, 10, 12] and first.test.tolist() == [5, 9, 16]
    assert split(20, seed=1).test.tolist() != first.test.tolist()


def test_in_order():
    result = split(10, how="order", fractions=(0.6, 0.2, 0.2))
    assert [part.tolist() for part in parts(result)] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


def test_by_column():
    words = ["train", "VALID", " test", "Train", "val", "validation", "training", "testing", "train", "train"]
    result = split(10, how="column", column=words)
    assert [part.tolist() for part in parts(result)] == [[0, 3, 6, 8, 9], [1, 4, 5], [2, 7]]


def test_numbers_and_booleans_are_labels_too():
    for labels in (np.arange(30) % 3, np.arange(30) % 2 == 0, (np.arange(30) % 3).astype(float)):
        assert_partition(split(30, labels=labels), 30)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"n_rows": 2}, "2 rows with a target are too few to split .* at least 10 are needed"),
        ({"n_rows": 10, "labels": list("aabbccddee")}, "No class has three rows"),
        ({"how": "column", "column": ["train"] * 19 + ["dev"]}, "holds 'dev' in row 20; train, validation"),
        ({"how": "column", "column": ["train"] * 19 + [None]}, "holds None in row 20"),
        ({"how": "column", "column": ["train"] * 20}, "names no validation row"),
        ({"how": "column", "column": ["val"] * 20}, "names no training row"),
    ],
)
def test_tables_that_cannot_be_split(arguments, expected):
    with pytest.raises(TableError, match=expected):
        split(**{"n_rows": 20, **arguments})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"how": "randomly"}, "Unknown split 'randomly'. Did you mean random"),
        ({"how": "column"}, "A split by column needs the column: name one"),
        ({"how": "column", "column": ["train"]}, r"has shape \(1,\); one value for each of 20 rows"),
        ({"seed": -1}, "The seed is -1; it must be 0 or more"),
        ({"fractions": (0.7, 0.3)}, r"are \(0.7, 0.3\); three numbers that sum to 1"),
        ({"fractions": (0.7, 0.2, 0.2)}, "three numbers that sum to 1"),
        ({"fractions": (1.2, -0.1, -0.1)}, "three numbers that sum to 1"),
        ({"fractions": (0.7, 0, 0.3)}, "only the last may be 0"),
        ({"fractions": (0, 0.7, 0.3)}, "only the last may be 0"),
        ({"fractions": (float("nan"), 0.7, 0.3)}, "three numbers that sum to 1"),
    ],
)
def test_settings_that_cannot_be_used(arguments, expected):
    with pytest.raises(SettingError, match=expected):
        split(**{"n_rows": 20, **arguments})
