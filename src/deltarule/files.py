"""Writing files so that a crash never leaves half of one.

A new file is written beside the old one under another name, flushed to the disk, and then renamed over it, which
the system does wholly or not at all.
"""

import hashlib
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from deltarule import disk
from deltarule.errors import InputError, TrainingError

PART, ENDING = ".deltarule-", ".part"
"""How the names of files begin and end that are not complete yet."""
STALE = 3600.0
"""Seconds after which a file that is not complete, and that nobody has written to, has been left behind."""


def check_writable(path: str | Path) -> Path:
    """Return the path if a file can be written there; to be asked before long work.

    Raises
    ------
    InputError
        If it is a directory or a device, its folder does not exist, or the folder or file may not be written.
    """
    path = Path(path)
    try:
        fault = _fault(path)
    except OSError as error:  # a name that is too long
        fault = f"{error.strerror or error}; choose another place"
    if fault:
        raise InputError(f"Cannot write {str(path)!r}: {fault}.")
    return path


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a whole file or leave what was there. Where the path is a link, the file it stands for is written.

    Raises
    ------
    InputError
        If the place cannot be written to.
    TrainingError
        If writing failed, as on a full disk; the message says whether what was there before is unchanged.
    """
    given = check_writable(path)
    path = _behind_links(given)
    temporary = path.with_name(_part_name(path.name))
    try:
        _write_new(temporary, data)
        disk.rename(temporary, path)
    except OSError as error:
        raise TrainingError(
            f"Writing {str(given)!r} failed: {error.strerror or error}; what was there is unchanged."
        ) from error
    finally:
        _remove_quietly(temporary)
    try:
        disk.flush_folder(path.parent)
    except OSError as error:
        raise TrainingError(
            f"{str(given)!r} is written, but the system cannot say that it would survive a loss of power: "
            f"{error.strerror or error}."
        ) from error


def remove_parts(folder: Path) -> None:
    """Remove what killed processes have left behind in a folder that nobody else writes to now."""
    for part in folder.glob(f"{PART}*{ENDING}"):
        _remove_quietly(part)


def remove_stale_parts(path: str | Path) -> None:
    """Remove what processes that were killed have left behind of this very file.

    A part that somebody has written to within the hour is taken for one that still grows. If a process has slept longer
    than that in the middle of writing, its writing fails, is told as an error, and what is there is unchanged.
    """
    path = _behind_links(Path(path))
    for part in path.parent.glob(f"{PART}{_mark(path.name)}-*{ENDING}"):
        with suppress(OSError):
            found = part.lstat()
            if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > STALE:
                _remove_quietly(part)


def _write_new(path: Path, data: bytes) -> None:
    """Write a new file, wait until it is on the disk, and read it back."""
    handle = disk.create(path)
    try:
        left = memoryview(data)
        while left:
            left = left[disk.write(handle, left) :]
        disk.flush(handle)
    finally:
        disk.close(handle)
    if disk.read(path) != data:
        raise OSError("what was read back differs from what was written")


def _remove_quietly(path: Path) -> None:
    """Remove a file that does no harm if it stays."""
    with suppress(OSError):
        disk.remove(path)


def _fault(path: Path) -> str:
    """Return what stands against writing a file, or an empty string."""
    folder = _behind_links(path).parent if path.is_symlink() else path.parent
    if path.is_dir():
        return "it is a directory; give a file name"
    if path.exists() and not path.is_file():
        return "it is not a regular file; give a file name"
    if not folder.is_dir():
        return f"the folder {str(folder)!r} does not exist; make it first"
    if not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return "permission denied; choose another place"
    if not _accepts_files(folder):
        return f"no file can be created in {str(folder)!r}; choose another place"
    return ""


def _behind_links(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _part_name(name: str) -> str:
    """Return a short name that nobody can foresee, so that nobody can put a link there."""
    return f"{PART}{_mark(name)}-{os.urandom(8).hex()}{ENDING}"


def _mark(name: str) -> str:
    """Return what the parts of a file have in common; its name itself may be as long as names can be."""
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _accepts_files(folder: Path) -> bool:
    probe = folder / _part_name("")
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return False
    probe.unlink(missing_ok=True)
    return True
