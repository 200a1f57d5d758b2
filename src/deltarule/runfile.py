"""The files of a run: the last two checkpoints in a folder, each whole and with a digest of all that it holds.

    run/checkpoint-00000012.safetensors      the newest
    run/checkpoint-00000011.safetensors      the one before that could be read, in case the newest is damaged
    run/history/00000001.safetensors         records of a long history that no checkpoint has to repeat: a block,
    run/history-copy/00000001.safetensors    and the same again, in case the first is damaged, since both need it
    run/lock                                 held by the process that trains; the system frees it however that ends

A block is written before the checkpoint that needs it, never changed, and holds the digest of the block before it, so a
checkpoint names them all by their number and the digest of the last. One that no checkpoint needs, since a process was
killed between the two, is written over by the next.

`deltarule.tensorfile` reads and writes the files, `deltarule.files` puts them there wholly or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import disk, files, tensorfile
from deltarule.errors import InputError, ModelFileError, TrainingError
from deltarule.jsonfields import of_file
from deltarule.tensorfile import Format

Arrays = dict[str, NDArray[Any]]

FORMAT = Format(
    name="deltarule-run",
    version=2,
    kind="checkpoint",
    source="give the folder that --run or checkpoint= named",
    again="the run has to begin anew",
)
BLOCK_FORMAT = FORMAT._replace(name="deltarule-history", version=1, kind="history")
BLOCK_FOLDERS = ("history", "history-copy")
KEPT = 2
"""How many checkpoints stay in a folder."""
NAME = re.compile(r"checkpoint-(\d{8})\.safetensors")
LOCK = "lock"
TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
"""What the system says where another process has a lock; else it has no locks, as on some network drives."""


class Saved(NamedTuple):
    """What a checkpoint holds: JSON values and arrays."""

    content: dict[str, Any]
    arrays: Arrays


class Blocks(NamedTuple):
    """The blocks that a checkpoint needs: how many, and the digest of the last; none unless given."""

    number: int = 0
    digest: str = ""


class Found(NamedTuple):
    """The newest checkpoint that can be read, its path, and the newer ones with what was wrong with them."""

    saved: Saved
    path: Path
    damaged: dict[Path, str]


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the checkpoints in a folder by their numbers, the newest first."""
    try:
        found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} of the run cannot be read: {error.strerror or error}.") from None
    return sorted(found, reverse=True)


def newest(folder: Path, accepts: Callable[[Saved], object] = lambda saved: None) -> Found | None:
    """Return the newest checkpoint that is whole, or None where there is none at all.

    Parameters
    ----------
    folder : Path
        Where to look.
    accepts : callable
        Raises ModelFileError for content that cannot be.

    Raises
    ------
    ModelFileError
        If there are checkpoints, and all of them are damaged.
    """
    damaged: dict[Path, str] = {}
    for _, path in numbered(folder):
        try:
            saved, _ = _read(path)
            with of_file(str(path), FORMAT.again):
                accepts(saved)
        except ModelFileError as error:
            damaged[path] = str(error)
            continue
        damaged = {bad: fault.replace(f"; {FORMAT.again}", "") for bad, fault in damaged.items()}  # it need not
        return Found(saved, path, damaged)
    if damaged:
        raise ModelFileError(next(iter(damaged.values())))
    return None


def write(folder: Path, saved: Saved, damaged: Collection[Path] = ()) -> Path:
    """Write the next checkpoint and return its path; remove all but the last two.

    Parameters
    ----------
    folder : Path
        Where it is to be.
    saved : Saved
        What it is to hold.
    damaged : collection of Path
        Checkpoints that could not be read: they are none of the two, and go first.

    Raises
    ------
    TrainingError
        If it cannot be written; those from before are unchanged.
    """
    there = numbered(folder)
    path = folder / f"checkpoint-{(there[0][0] if there else 0) + 1:08d}.safetensors"
    _write([path], FORMAT, saved)
    bad = [old for _, old in there if old in damaged]
    good = [old for _, old in there if old not in damaged]
    for old in (*bad, *good[KEPT - 1 :]):
        try:
            disk.remove(old)
        except OSError:  # it will be removed next time
            break
    return path


def write_block(folder: Path, before: Blocks, saved: Saved) -> Blocks:
    """Write the next block and its copy, and return all the blocks that there are now.

    Raises
    ------
    TrainingError
        If one of them cannot be written; the blocks from before are unchanged.
    """
    paths = _block_paths(folder, before.number + 1)
    try:
        for path in paths:
            if not path.parent.is_dir():
                disk.make_folder(path.parent)
                disk.flush_folder(folder)
    except OSError as error:
        raise TrainingError(f"The folder {str(path.parent)!r} cannot be made: {error.strerror or error}.") from error
    chained = Saved({**saved.content, "before": before.digest}, saved.arrays)
    return Blocks(before.number + 1, _write(paths, BLOCK_FORMAT, chained))


def read_blocks(folder: Path, blocks: Blocks) -> Iterator[Saved]:
    """Yield the blocks that a checkpoint needs, the first one first, each from the copy that is whole.

    Raises
    ------
    ModelFileError
        If one of them is damaged in both places, or is not the one that was written then.
    """
    digest = ""
    for number in range(1, blocks.number + 1):
        saved, digest = _read_block(folder, number, digest)
        yield saved
    if digest != blocks.digest:
        raise ModelFileError(f"The history in {folder} is not the one that its checkpoint belongs to; {FORMAT.again}.")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there, and keep other processes from writing to it.

    Raises
    ------
    InputError
        If it cannot be made, or another process has it.
    """
    try:
        disk.make_folder(folder)
    except OSError as error:
        raise InputError(f"The folder {str(folder)!r} cannot be made: {error.strerror or error}.") from None
    files.check_writable(folder / LOCK)
    with (folder / LOCK).open("ab") as lock:
        if not _locked(lock.fileno()):
            raise InputError(f"Another process trains the run in {str(folder)!r}; wait for it, or give another folder.")
        for place in ("", *BLOCK_FOLDERS):
            files.remove_parts(folder / place)
        yield


def digest_of(arrays: Mapping[str, Any]) -> str:
    """Return a digest of some arrays: their names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name, array in arrays.items():
        array = np.ascontiguousarray(np.asarray(array))
        found.update(f"{name} {array.dtype.str} {np.shape(array)};".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _block_paths(folder: Path, number: int) -> list[Path]:
    return [folder / place / f"{number:08d}.safetensors" for place in BLOCK_FOLDERS]


def _read_block(folder: Path, number: int, before: str) -> tuple[Saved, str]:
    """Return a block, and its digest, from the first place where it is whole and follows the one before."""
    faults = []
    for path in _block_paths(folder, number):
        try:
            saved, digest = _read(path, BLOCK_FORMAT)
        except ModelFileError as error:
            faults.append(str(error))
            continue
        if saved.content.pop("before", None) == before:
            if faults:
                warnings.warn(f"{faults[0]} Its copy, {path}, is used.", RuntimeWarning, stacklevel=2)
            return saved, digest
        faults.append(f"{path} does not follow the block before it.")
    raise ModelFileError(" ".join(faults))


def _write(paths: Sequence[Path], format: Format, saved: Saved) -> str:
    """Write the same file to each place, and return the digest of what it holds."""
    digest = _digest(saved)
    try:
        data = tensorfile.to_bytes(format, {**saved.content, "digest": digest}, saved.arrays)
        for path in paths:
            files.write_atomically(path, data)
    except InputError as error:
        raise TrainingError(str(error)) from error
    return digest


def _read(path: Path, format: Format = FORMAT) -> tuple[Saved, str]:
    """Return what a file holds, and the digest of that."""
    with tensorfile.opened(path, format) as file:
        arrays = {name: file.array(name) for name in file.tensors}
        content = file.content
        if not isinstance(content, dict) or not isinstance(content.get("digest"), str):
            raise file.damaged("it has no digest")
        digest = content.pop("digest")
        saved = Saved(content, arrays)
        if _digest(saved) != digest:
            raise file.damaged("its digest is not that of what it holds")
        return saved, digest


def _digest(saved: Saved) -> str:
    text = np.frombuffer(json.dumps(saved.content, allow_nan=False).encode(), np.uint8)
    return digest_of({"content": text, **saved.arrays})


def _locked(handle: int) -> bool:
    """Return whether this process has the lock now; where the system has no such locks, it always does."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in TAKEN
    return True
