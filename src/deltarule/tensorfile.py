"""Arrays and JSON in one file: safetensors, which can hold numbers and text and nothing that runs.

    8 bytes                  length of the header, little-endian
    header                   JSON: the place of each tensor, and metadata
        metadata "format"    what kind of file it is
        metadata "version"   the version of its layout
        metadata KIND        JSON with all that is no array; where it is too long for a header, the last tensor, U8
    tensors                  one after another, without gaps

Files come from strangers. A header is at most 1 MiB, a file as long as its header says to the byte, and all that is
known before any memory is taken: an array is read when it is asked for, so its shape can be checked against the rest
first. What the JSON means is for the kind of file to check; see `deltarule.jsonfields` and `deltarule.modelfile`.
"""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from deltarule.errors import InputError, ModelFileError
from deltarule.tensorheader import (
    DTYPES,
    MAX_HEADER,
    MAX_TENSORS,
    MAX_TEXT,
    MAX_VALUES,
    Format,
    Tensor,
    check_version,
    count_values,
    dtype_of,
    header_of,
    parsed,
    read_tensors,
)

__all__ = [
    "MAX_HEADER",
    "MAX_TEXT",
    "MAX_VALUES",
    "Format",
    "Tensor",
    "TensorFile",
    "of_bytes",
    "opened",
    "read",
    "to_bytes",
]


@dataclass(frozen=True)
class TensorFile:
    """An open file: its JSON, and tensors that are read when they are asked for.

    Parameters
    ----------
    name : str
        What messages call it.
    format : Format
        What kind of file it is.
    content : object
        The JSON, parsed.
    tensors : dict of str to Tensor
        What arrays there are.
    file : binary file
        Where they are read from.
    """

    name: str
    format: Format
    content: Any
    tensors: dict[str, Tensor]
    file: IO[bytes]

    def array(self, name: str) -> NDArray[Any]:
        """Return a tensor as an array of its own type.

        Raises
        ------
        ModelFileError
            If the file has become shorter than it was.
        """
        tensor = self.tensors[name]
        found = np.empty(tensor.shape, DTYPES[tensor.dtype])
        self.file.seek(tensor.start)
        if self.file.readinto(found.reshape(-1).view(np.uint8)) != tensor.size:  # type: ignore[attr-defined]
            raise self.damaged(f"it ends within its {name}; {self.format.again}")
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def finite(self, name: str) -> NDArray[Any]:
        """Return a tensor all of whose numbers are finite.

        Raises
        ------
        ModelFileError
            If one is not.
        """
        found = self.array(name)
        if not np.isfinite(found).all():
            raise self.damaged(f"its {name} holds numbers that are not finite")
        return found

    def damaged(self, fault: str) -> ModelFileError:
        """Return the error for a file that contradicts itself."""
        return ModelFileError(f"{self.name} is damaged: {fault}.")


def to_bytes(format: Format, content: object, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the whole of a file: the same bytes for the same content.

    Parameters
    ----------
    format : Format
        What kind of file it is.
    content : object
        JSON values, all numbers finite.
    tensors : mapping of str to array
        Arrays of float64, float32, int64 or uint8, in the order in which they are to lie.

    Raises
    ------
    InputError
        If there is more than a file may hold.
    """
    text = json.dumps(content, allow_nan=False).encode()
    metadata = {"format": format.name, "version": str(format.version), format.kind: text.decode()}
    arrays = {name: (array, dtype_of(array)) for name, array in tensors.items()}
    header = header_of(metadata, arrays)
    if len(header) > MAX_HEADER:
        del metadata[format.kind]
        arrays[format.kind] = (np.frombuffer(text, np.uint8), "U8")
        header = header_of(metadata, arrays)
    if len(header) > MAX_HEADER or len(arrays) > MAX_TENSORS or len(text) > MAX_TEXT or count_values(text) > MAX_VALUES:
        raise InputError(
            f"The {format.kind} would hold {len(text):,} bytes of names, categories and the like; at most "
            f"{MAX_TEXT:,} in {MAX_VALUES:,} values are accepted. Exclude some columns."
        )
    raw = (array.astype(DTYPES[dtype]).tobytes() for array, dtype in arrays.values())
    return b"".join((len(header).to_bytes(8, "little"), header, *raw))


@contextmanager
def opened(path: str | Path, format: Format) -> Iterator[TensorFile]:
    """Give an open file of this format, its header checked.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not of this format, is damaged, or is of another version.
    """
    try:
        _check_regular(path, Path(path).stat().st_mode, format)  # before it is opened: a device may act on that
        with open(path, "rb", opener=_open) as file:
            status = os.fstat(file.fileno())
            _check_regular(path, status.st_mode, format)
            yield read(file, status.st_size, format, str(path))
    except FileNotFoundError:
        raise ModelFileError(f"There is no {format.kind} file {path}; check the name.") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise ModelFileError(f"{str(path)!r} is no name of a file; {format.source}.") from None  # it holds a NUL
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from None


def of_bytes(data: bytes, format: Format, name: str) -> TensorFile:
    """Return the file whose whole content these bytes are.

    Raises
    ------
    ModelFileError
        As `opened`.
    """
    return read(io.BytesIO(data), len(data), format, name)


def read(file: IO[bytes], length: int, format: Format, name: str) -> TensorFile:
    """Return a file of so many bytes, its header checked; nothing but this format in its version passes.

    Raises
    ------
    ModelFileError
        As `opened`.
    """
    no_such = ModelFileError(f"{name} is not a {format.name} {format.kind}; {format.source}.")
    start = file.read(8)
    size = int.from_bytes(start, "little")
    raw = file.read(size) if len(start) == 8 and 2 <= size <= MAX_HEADER else b""
    if not raw.startswith(b"{"):
        raise no_such
    if len(raw) < size:
        raise ModelFileError(f"{name} is truncated: it ends within its header; {format.again}.")
    header = parsed(raw, format, name)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or metadata.get("format") != format.name:
        raise no_such
    check_version(metadata.get("version"), format, name)
    found = TensorFile(name, format, None, read_tensors(header, 8 + size, format, name), file)
    needed = max((tensor.start + tensor.size for tensor in found.tensors.values()), default=8 + size)
    if length != needed:
        raise ModelFileError(
            f"{name} is damaged or truncated: it has {length:,} bytes where its header asks for {needed:,}; "
            f"{format.again}."
        )
    text = metadata.pop(format.kind, None)
    if set(metadata) != {"format", "version"} or (text is None) == (format.kind not in found.tensors):
        raise found.damaged(f"its metadata are not format, version and {format.kind}")
    if text is None:
        text = _long_text(found)
    if not isinstance(text, str | bytes):
        raise found.damaged(f"its {format.kind} is not a text")
    tensors = {key: tensor for key, tensor in found.tensors.items() if key != format.kind}
    return TensorFile(name, format, parsed(text, format, name), tensors, file)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe is not waited for


def _check_regular(path: str | Path, mode: int, format: Format) -> None:
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ModelFileError(f"{path} is {kind}; {format.source}.")


def _long_text(found: TensorFile) -> bytes:
    """Return the text that is a tensor; it is the last."""
    name = found.format.kind
    tensor = found.tensors[name]
    if tensor.dtype != "U8" or len(tensor.shape) != 1 or next(reversed(found.tensors)) != name:
        raise found.damaged(f"its {name} must be the last tensor, of U8 in one dimension")
    if tensor.size > MAX_TEXT:
        raise found.damaged(f"its {name} has {tensor.size:,} bytes; at most {MAX_TEXT:,} are accepted")
    return found.array(name).tobytes()
