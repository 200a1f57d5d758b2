"""Files are written wholly or not at all, whatever fails on the way."""

import errno
import os
import stat
from pathlib import Path

import pytest

from deltarule.errors import InputError, TrainingError
from deltarule.files import check_writable, write_atomically

OLD, NEW = b"the old content", b"the new content, which is longer"


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(self, mode="r", **_):
    """A file on a disk that fills up in the middle of a write."""
    file = open(self, mode)  # noqa: PTH123, SIM115

    class Short:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            file.close()

        def write(self, data):
            file.write(data[: len(data) // 2])
            full()

    return Short()


FAULTS = {
    "open": (Path, "open", full),
    "write": (Path, "open", half_written),
    "fsync": (os, "fsync", full),
    "read back": (Path, "read_bytes", full),
    "read back otherwise": (Path, "read_bytes", lambda self: NEW[:-1]),
    "replace": (Path, "replace", full),
}


@pytest.mark.parametrize("before", [OLD, None], ids=["over a file", "new file"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_keeps_what_was_there_and_leaves_nothing_behind(tmp_path, monkeypatch, fault, before):
    path = tmp_path / "model"
    if before is not None:
        path.write_bytes(before)
    with monkeypatch.context() as patched:
        patched.setattr(*FAULTS[fault])
        with pytest.raises(TrainingError, match="what was there is unchanged"):
            write_atomically(path, NEW)
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if before is None else ["model"])
    assert before is None or path.read_bytes() == before


def test_writing_makes_and_replaces(tmp_path):
    path = tmp_path / "model"
    for content in (OLD, NEW, b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["model"]


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.write_bytes(OLD)
    seen = []
    really = os.fsync

    def watched(handle):
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            seen.append((path.read_bytes(), os.fstat(handle).st_size))
        really(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_atomically(path, NEW)
    assert seen == [(OLD, len(NEW))]


def test_a_link_stays_and_its_file_is_written(tmp_path):
    target, link = tmp_path / "far", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write_atomically(link, NEW)
    assert link.is_symlink() and target.read_bytes() == NEW


def test_a_name_as_long_as_the_system_takes(tmp_path):
    path = tmp_path / ("m" * 255)
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW


REFUSED = {
    "directory": (".", "it is a directory"),
    "folder that is not there": ("none/model", "none' does not exist; make it first"),
    "a file as folder": ("file/model", "does not exist"),
    "device": ("/dev/null", "it is not a regular file"),
    "link to a device": ("null", "it is not a regular file"),
    "too long": ("m" * 256, "File name too long"),
    "not even for root": ("/proc/model", "no file can be created"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_places_that_are_refused(tmp_path, case):
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "null").symlink_to("/dev/null")
    before = sorted(tmp_path.iterdir())
    name, words = REFUSED[case]
    for check in (check_writable, lambda path: write_atomically(path, NEW)):
        with pytest.raises(InputError, match=r"^Cannot write ") as caught:
            check(tmp_path / name)
        assert words in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("what", ["folder", "file"])
def test_without_permission(tmp_path, monkeypatch, what):
    path = tmp_path / "model"
    path.write_bytes(OLD)
    forbidden = {"folder": tmp_path, "file": path}[what]
    monkeypatch.setattr(os, "access", lambda asked, mode: Path(asked) != forbidden)  # root may do all
    with pytest.raises(InputError, match="permission denied"):
        check_writable(path)


def test_checking_changes_nothing(tmp_path):
    path = tmp_path / "model"
    assert check_writable(str(path)) == path
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(OLD)
    check_writable(path)
    assert path.read_bytes() == OLD
