"""Writing files so that a crash never leaves half of one.

A new file is written beside the old one under another name, flushed to the disk, and then renamed over it, which
the system does wholly or not at all.
"""

import os
from pathlib import Path

from deltarule.errors import InputError, TrainingError


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
        If writing failed, as on a full disk; what was there before is unchanged.
    """
    given = check_writable(path)
    path = _behind_links(given)
    temporary = path.with_name(_part_name())
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != data:
            raise OSError("what was read back differs from what was written")
        temporary.replace(path)
    except OSError as error:
        raise TrainingError(
            f"Writing {str(given)!r} failed: {error.strerror or error}; what was there is unchanged."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


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


def _part_name() -> str:
    """Return a short name that nobody can foresee, so that nobody can put a link there."""
    return f".deltarule-{os.urandom(8).hex()}.part"


def _accepts_files(folder: Path) -> bool:
    probe = folder / _part_name()
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return False
    probe.unlink(missing_ok=True)
    return True


def _sync_folder(folder: Path) -> None:
    """Flush the new name to the disk, on systems that can; the file itself is safe already."""
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError:  # a folder that may be written but not read, or a file system without this
        return
