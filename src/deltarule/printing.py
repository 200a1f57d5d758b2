"""What is printed is text: a terminal obeys none of it.

Names, labels and messages come from tables and model files, which may come from strangers. A terminal takes some
letters for orders: to move the cursor, change colours, rename the window, even to type. All of them, and those that
turn the direction of writing, are spelt out on their way to stdout and stderr: ESC as \\u001b, which JSON reads as the
same text.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of letters that are no letters: control, format, surrogates, line and paragraph separators."""
HARMLESS = frozenset("\n\t\u200c\u200d")
"""Those that text needs: line ends, tabs, and the joiners of Persian and of emoji."""
BOLD = ("\x1b[1m", "\x1b[0m")
"""The only orders that are passed on: the headers of tables are bold."""


def plain(text: str) -> str:
    """Return text in which what a terminal would obey is spelt out.

    Examples
    --------
    >>> print(plain("price \\x1b[2J\\u202e"))
    price \\u001b[2J\\u202e
    """
    if text.isprintable():
        return text
    marked = text.replace(BOLD[0], "\ue000").replace(BOLD[1], "\ue001") if "\x1b" in text else text
    spelt = "".join(map(_spelt, marked))
    return spelt.replace("\ue000", BOLD[0]).replace("\ue001", BOLD[1]) if marked is not text else spelt


def _spelt(letter: str) -> str:
    if letter.isprintable() or letter in HARMLESS or unicodedata.category(letter) not in ORDERS:
        return letter
    code = letter.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{code[i : i + 4]}" for i in range(0, len(code), 4))


class PlainStream:
    """A stream of text that spells out what is no text, and is the stream it stands for in all else."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text, plain."""
        return self.stream.write(plain(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def plainly() -> Iterator[None]:
    """Let stdout and stderr write plain text only."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", PlainStream(out)), cast("TextIO", PlainStream(err))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def unwrapped(stream: TextIO) -> TextIO:
    """Return the stream itself, for what moves the cursor on purpose."""
    return stream.stream if isinstance(stream, PlainStream) else stream


def write_exactly(text: str) -> None:
    """Write data to stdout: as it is into a file or a pipe, plain where a terminal would read it."""
    (sys.stdout if sys.stdout.isatty() else unwrapped(sys.stdout)).write(text)
