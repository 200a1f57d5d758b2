"""What is asked of the disk: each function is one operation of the system, so that a test can make any of them fail.

`deltarule.files` puts them together. Nothing else writes files.
"""

import errno
import os
from pathlib import Path

UNABLE = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EISDIR)
"""What the system says of a folder that it cannot flush at all: it may not be read, or is on a system without that."""


def create(path: Path) -> int:
    """Create a file that is not there yet and return its handle."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)


def write(handle: int, data: memoryview) -> int:
    """Write some of the data, at least a byte, and return how many bytes that were."""
    return os.write(handle, data)


def flush(handle: int) -> None:
    """Return when what was written is on the disk."""
    os.fsync(handle)


def close(handle: int) -> None:
    """Close a file."""
    os.close(handle)


def read(path: Path) -> bytes:
    """Return what a file holds."""
    return path.read_bytes()


def rename(path: Path, name: Path) -> None:
    """Give a file another name, in place of the file that has it: wholly or not at all."""
    path.replace(name)


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there; the folder it lies in must be."""
    path.mkdir(exist_ok=True)


def flush_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk, on systems that can do that."""
    if os.name != "posix":
        return
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
