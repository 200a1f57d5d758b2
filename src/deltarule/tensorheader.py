"""The header of a file of arrays: JSON that says what there is and where it lies, written, and read with suspicion.

See `deltarule.tensorfile` for the layout. A header is checked for its length and for how many values it has before it
is parsed, and for what it says of the arrays before any memory is taken for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import ModelFileError

MAX_HEADER = 2**20
"""Largest header, in bytes."""
MAX_TEXT = 2**23
"""Longest JSON, in bytes: room for the 20,000 columns that a table may have."""
MAX_VALUES = 500_000
"""Most values in JSON, counted as commas and brackets before it is parsed: each takes some hundred bytes then."""
MAX_TENSORS = 1_000
MAX_DIMENSIONS = 8
MAX_LENGTH = 2**31 - 1
"""Longest dimension of a tensor."""
DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "U8": "|u1"}
"""Types of numbers, as safetensors and NumPy call them."""


class Format(NamedTuple):
    """A kind of file.

    `name` and `version` stand in its header; `kind`, such as model, is what messages call it and where its JSON stands;
    `source` says which files are accepted, `again` what to do with a damaged one.
    """

    name: str
    version: int
    kind: str
    source: str
    again: str


class Tensor(NamedTuple):
    """What a header says of a tensor: type, shape, and where in the file it begins."""

    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return np.dtype(DTYPES[self.dtype]).itemsize * prod(self.shape)


def header_of(metadata: dict[str, str], arrays: Mapping[str, tuple[NDArray[Any], str]]) -> bytes:
    """Return a header, filled up so that the numbers begin at a multiple of 8."""
    ends = [0, *accumulate(array.size * np.dtype(DTYPES[dtype]).itemsize for array, dtype in arrays.values())]
    described = {
        name: {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}
        for (name, (array, dtype)), (start, end) in zip(arrays.items(), pairwise(ends), strict=True)
    }
    header = json.dumps({"__metadata__": metadata, **described}).encode()
    return header + b" " * (-len(header) % 8)


def dtype_of(array: NDArray[Any]) -> str:
    """Return what safetensors calls the type of an array\'s numbers."""
    known = {np.dtype(numpy_name): name for name, numpy_name in DTYPES.items()}
    return known[array.dtype.newbyteorder("<")]


def check_version(version: object, format: Format, name: str) -> None:
    """Refuse a file of another version of its format, by name.

    Raises
    ------
    ModelFileError
        If it is older, newer, or none.
    """
    if not (isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 6):
        raise ModelFileError(f"{name} is damaged: its format version is {str(version)[:60]!r}.")
    if int(version) != format.version:
        newer = int(version) > format.version
        advice = "Update deltarule to read it." if newer else "No release wrote such files; make it again."
        raise ModelFileError(
            f"{name} has format version {version}; this deltarule reads version {format.version}. {advice}"
        )


def read_tensors(described: dict[str, Any], start: int, format: Format, name: str) -> dict[str, Tensor]:
    """Return what a header describes, if the tensors lie one after another in its order."""
    if len(described) > MAX_TENSORS:
        raise ModelFileError(f"{name} is damaged: it has {len(described):,} tensors; at most {MAX_TENSORS:,}.")
    found = {}
    end = 0
    for key, value in described.items():
        tensor = _tensor(value, start + end)
        if tensor is None or value["data_offsets"] != [end, end + tensor.size]:
            raise ModelFileError(
                f"{name} is damaged: its tensors must be {', '.join(DTYPES)}, each as long as its shape asks for, one "
                "after another without gaps."
            )
        found[key] = tensor
        end += tensor.size
    return found


def _tensor(value: object, start: int) -> Tensor | None:
    """Return a tensor of a known type and a possible shape, or None."""
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        return None
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES or not isinstance(shape, list):
        return None
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n <= MAX_LENGTH for n in shape):
        return None
    if not isinstance(offsets, list) or not all(type(place) is int for place in offsets):
        return None
    return Tensor(dtype, tuple(shape), start)


def count_values(raw: str | bytes) -> int:
    """Return how many values JSON has, or a little more."""
    if isinstance(raw, str):
        return sum(map(raw.count, ",[{"))
    return sum(map(raw.count, (b",", b"[", b"{")))


def parsed(raw: str | bytes, format: Format, name: str) -> Any:
    """Return parsed JSON in which no key stands twice and every number is a JSON number."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ModelFileError(f"{name} is damaged: a key stands twice in its header.")
        return found

    def refuse(constant: str) -> Any:
        raise ModelFileError(f"{name} is damaged: {constant} in its header.")

    if count_values(raw) > MAX_VALUES:
        raise ModelFileError(f"{name} is damaged: more than {MAX_VALUES:,} values in its header.")
    try:
        return json.loads(raw, object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{name} is not a {format.name} {format.kind}, or its header is damaged.") from None
