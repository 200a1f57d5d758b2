"""Text files of separated values: their header, and what is wrong with those that cannot be read.

The first line is the header. Reading it here, rather than leaving it to the reader of the rows, finds
repeated names, which that reader renames in silence, and fixes the delimiter, which saves it most of its
guessing.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from deltarule.errors import TableError
from deltarule.tables.columns import check_names

HEAD = 4 << 20
"""The header must end within this many bytes: 200 for each of the 20,000 columns allowed."""

MOST_UNPACKED = 1 << 30
"""A packed file may hold so many bytes whatever its own size is."""

MOST_PACKED = 100
"""Beyond that a file that is packed more tightly than so many to one is a bomb rather than a table."""

SAMPLE = 5
"""So many records must have equally many cells for a delimiter to be believed."""

_DELIMITERS = {".tsv": "\t,;|", ".txt": "\t,;| "}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Header:
    """The first line of a file: what separates its cells, and the names in it."""

    delimiter: str
    names: tuple[str, ...]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, decompressed if its name ends in .gz.

    Raises
    ------
    TableError
        It cannot be opened, or what is read from it is not gzip.
    """
    try:
        packed = path.suffix.lower() == ".gz"
        with cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise TableError(f"{path.name} is not a complete gzip file: unpack or fetch it again.") from None
    except OSError as error:
        raise TableError(f"{path.name} cannot be opened: {error.strerror or error}.") from None


def refuse_binary(path: Path) -> None:
    """Raise TableError for a file that is empty, a bomb, or not text in a byte-per-letter encoding."""
    with opened(path) as file:
        block = file.read(HEAD)
        if not block.removeprefix(codecs.BOM_UTF8).strip():
            raise TableError(f"{path.name} is empty: give a file with a header and rows of data.")
        if block.startswith(_UTF16):
            raise TableError(f"{path.name} is encoded as UTF-16; UTF-8 is accepted. Save it again as UTF-8.")
        unpacked = 0
        while block:
            unpacked += len(block)
            if unpacked > max(MOST_UNPACKED, MOST_PACKED * path.stat().st_size):
                raise TableError(
                    f"{path.name} unpacks to over {MOST_PACKED} times its size and more than {MOST_UNPACKED:,} bytes, "
                    "as no table does: unpack it yourself if it is one."
                )
            if b"\0" in block:
                raise TableError(
                    f"{path.name} holds NUL bytes, so it is not text. Text files, .parquet and databases are "
                    "accepted; a spreadsheet must be saved as CSV first."
                )
            block = file.read(HEAD)


def read_header(path: Path) -> Header:
    """Return the delimiter and the names of a file's columns.

    Raises
    ------
    TableError
        The header is not UTF-8, too long, or holds empty or repeated names.
    """
    with opened(path) as file:
        head = file.read(HEAD)
    whole = len(head) < HEAD
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=whole)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    delimiters = [d for d in _DELIMITERS.get(suffix.lower(), ",;\t|") if d in text]
    delimiter = max(delimiters, key=lambda d: _believed(text, d), default=",")
    names = tuple(name.strip() for name in next(_records(text, delimiter), []))
    if not whole and "\n" not in text and "\r" not in text:
        raise TableError(f"{path.name}: the first line is longer than {HEAD >> 20} MB: that is no header.")
    if not names:
        explain_failure(path, Header(delimiter, names))
    check_names(path.name, list(names))
    return Header(delimiter, names)


def explain_failure(path: Path, header: Header) -> None:
    """Raise TableError for the first line whose cells cannot be told apart; return if there is none."""
    with opened(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter=header.delimiter, strict=True)
        line = 1
        try:
            for record in reader:
                if record and len(record) != len(header.names):
                    raise TableError(
                        f"{path.name}: line {line} has {_cells(len(record))}, the header has "
                        f"{_cells(len(header.names))}. Correct the line, or quote a cell that holds "
                        f"{header.delimiter!r}."
                    )
                line = reader.line_num + 1
        except csv.Error as error:
            raise TableError(f"{path.name}: {_fault(error, line)}") from None
        except UnicodeDecodeError:
            raise _not_utf8(path) from None


def _not_utf8(path: Path) -> TableError:
    """Return the error for a file in another encoding."""
    line = 0
    with opened(path) as file, suppress(UnicodeDecodeError):
        for line, raw in enumerate(file, 1):  # noqa: B007
            raw.decode()
    return TableError(
        f"{path.name} is not UTF-8 text: see line {line}. Save it as UTF-8; "
        "iconv -f WINDOWS-1252 -t UTF-8 converts most such files."
    )


def _fault(error: csv.Error, line: int) -> str:
    advice = 'Close it, and double a quote that belongs to the text: "".'
    if "limit" in str(error):
        return f"a cell beginning in line {line} is too long, most likely after a quote left open. {advice}"
    return f"a quote in line {line} is never closed, or stands inside a cell. {advice}"


def _records(text: str, delimiter: str) -> Iterator[list[str]]:
    """Yield the records of a text, blank lines left out, as far as its quotes allow."""
    try:
        yield from filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        return


def _believed(text: str, delimiter: str) -> tuple[bool, int]:
    """Rank a delimiter: one that cuts the first records into equally many cells, then one that cuts more."""
    lengths = [len(record) for record in islice(_records(text, delimiter), SAMPLE)] or [1]
    return len(set(lengths)) == 1 and lengths[0] > 1, lengths[0]


def _cells(count: int) -> str:
    return f"{count:,} cell{'' if count == 1 else 's'}"
