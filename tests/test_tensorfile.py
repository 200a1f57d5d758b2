"""Arrays and JSON in one file: what is written comes back, and what does not fit its own header is refused."""

import io
import json

import numpy as np
import pytest
from safetensors.numpy import load as unpack

from deltarule import tensorfile
from deltarule.errors import InputError, ModelFileError
from deltarule.tensorfile import Format
from modelfiles import joined, parts

pytestmark = pytest.mark.promise("P8")

DIARY = Format("diary", 3, "entries", "give a file of the diary", "write it again")
ARRAYS = {
    "doubles": np.array([[1.5, np.nan], [-np.inf, 5e-324]]),
    "singles": np.arange(3, dtype=np.float32),
    "whole": np.array(-(2**63)),
    "bytes": np.arange(5, dtype=np.uint8),
    "none": np.empty((0, 7)),
}
CONTENT = {"words": ["ä", "\u2028", ""], "deep": {"n": 10**30, "x": 0.1, "yes": True, "nothing": None}}


def written(content=CONTENT, arrays=ARRAYS):
    return tensorfile.to_bytes(DIARY, content, arrays)


def refused(data, words):
    with pytest.raises(ModelFileError) as caught:
        tensorfile.of_bytes(data, DIARY, "d")
    assert words in str(caught.value), caught.value


def test_everything_comes_back():
    data = written()
    found = tensorfile.of_bytes(data, DIARY, "d")
    assert found.content == CONTENT and list(found.tensors) == list(ARRAYS) and written() == data
    for name, array in ARRAYS.items():
        again = found.array(name)
        assert again.dtype == array.dtype and again.shape == array.shape and again.tobytes() == array.tobytes()
    assert np.array_equal(unpack(data)["singles"], ARRAYS["singles"])  # as the format's own library reads it
    with pytest.raises(ModelFileError, match="its doubles holds numbers that are not finite"):
        found.finite("doubles")


def test_json_too_long_for_a_header_is_the_last_tensor():
    content = {"words": ["w" * 99] * 20_000}
    data = written(content)
    assert int.from_bytes(data[:8], "little") < 1_000
    found = tensorfile.of_bytes(data, DIARY, "d")
    assert found.content == content and list(found.tensors) == list(ARRAYS)
    assert found.array("singles").tobytes() == ARRAYS["singles"].tobytes()
    assert json.loads(unpack(data)["entries"].tobytes()) == content


@pytest.mark.parametrize(
    "content", [{"words": "w" * (tensorfile.MAX_TEXT + 1)}, {"n": [0] * (tensorfile.MAX_VALUES + 2)}]
)
def test_what_could_not_be_read_is_not_written(content):
    with pytest.raises(InputError, match="The entries would hold"):
        written(content)


def changed(**entries):
    header, raw = parts(written())
    return joined(header | entries, raw)


TEXT = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
METADATA = {"format": "diary", "version": "3"}
FAULTS = {
    "JSON twice": (joined({"__metadata__": {**METADATA, "entries": "{}"}, "entries": TEXT}, b"{}"), "its metadata are"),
    "no JSON": (joined({"__metadata__": METADATA}, b""), "its metadata are not format, version and entries"),
    "JSON first": (
        joined({"__metadata__": METADATA, "entries": TEXT, "a": TEXT | {"data_offsets": [2, 4]}}, b"{}{}"),
        "entries must be the last tensor",
    ),
    "JSON of numbers": (joined({"__metadata__": METADATA, "entries": TEXT | {"dtype": "F32"}}, b"{}"), "its tensors"),
    "JSON that is no JSON": (joined({"__metadata__": METADATA, "entries": TEXT}, b"{]"), "its header is damaged"),
    "a number as JSON": (joined({"__metadata__": {**METADATA, "entries": 5}}, b""), "is not a text"),
    "another kind": (changed(__metadata__={"format": "deltarule"}), "d is not a diary entries; give a file of the"),
    "overlap": (changed(singles={"dtype": "F32", "shape": [3], "data_offsets": [24, 36]}), "without gaps"),
    "nine dimensions": (changed(doubles={"dtype": "U8", "shape": [1] * 9, "data_offsets": [0, 1]}), "without gaps"),
    "endless and empty": (changed(none={"dtype": "F64", "shape": [0, 2**40], "data_offsets": [57, 57]}), "without"),
    "offsets of true": (changed(doubles={"dtype": "U8", "shape": [1], "data_offsets": [False, True]}), "without gaps"),
    "too many tensors": (joined({"__metadata__": METADATA} | {f"t{i}": TEXT for i in range(1_001)}, b""), "at most"),
    "too many values": (joined(b'{"a":[' + b"1," * tensorfile.MAX_VALUES + b"1]}", b""), "more than 500,000 values"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults(case):
    refused(*FAULTS[case])


def test_text_longer_than_any_is_not_read():
    size = tensorfile.MAX_TEXT + 1
    tensor = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    head = joined({"__metadata__": METADATA, "entries": tensor}, b"")
    with pytest.raises(ModelFileError, match="at most 8,388,608 are accepted"):
        tensorfile.read(io.BytesIO(head), len(head) + size, DIARY, "d")


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    (tmp_path / "d").write_bytes(written(arrays={"doubles": np.zeros(2**16)}))  # more than a buffer holds
    with tensorfile.opened(tmp_path / "d", DIARY) as file:
        (tmp_path / "d").write_bytes(b"")
        with pytest.raises(ModelFileError, match="it ends within its doubles"):
            file.array("doubles")


@pytest.mark.parametrize("name", ["d\0", "\ud800"])
def test_names_that_are_none(name):
    with pytest.raises(ModelFileError), tensorfile.opened(name, DIARY):
        pass
