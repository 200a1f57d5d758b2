"""Files are written wholly or not at all, whatever fails on the way."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import deltarule as dr
from deltarule import disk
from deltarule.errors import InputError, TrainingError
from deltarule.files import STALE, _mark, check_writable, remove_parts, remove_stale_parts, write_atomically
from diskfaults import ERRORS, failing

OLD, NEW = b"the old content", b"the new content, which is longer"


WRITING = ("create", "write", "flush", "close", "read", "rename", "remove", "flush_folder")
"""What writing a file asks of the disk, in that order; what fails after the renaming does not lose the new file."""


def test_what_writing_asks_of_the_disk(tmp_path):
    with failing() as disk:
        write_atomically(tmp_path / "model", NEW)
    assert tuple(disk.asked) == WRITING


@pytest.mark.promise("P3")
@pytest.mark.parametrize("error", ERRORS, ids=["full disk", "I/O error"])
@pytest.mark.parametrize("before", [OLD, None], ids=["over a file", "new file"])
@pytest.mark.parametrize("n", range(1, len(WRITING) + 1), ids=WRITING)
def test_whichever_operation_fails_there_is_a_whole_file(tmp_path, n, before, error):
    path, written = tmp_path / "model", n > WRITING.index("rename") + 1
    if before is not None:
        path.write_bytes(before)
    with failing(n, error):
        if WRITING[n - 1] == "remove":  # nothing is left to remove by then
            write_atomically(path, NEW)
        else:
            with pytest.raises(TrainingError, match=os.strerror(error)) as caught:
                write_atomically(path, NEW)
            assert ("what was there is unchanged" in str(caught.value)) is not written
    kept = NEW if written else before
    assert [entry.name for entry in tmp_path.iterdir()] == ([] if kept is None else ["model"])
    assert kept is None or path.read_bytes() == kept


@pytest.mark.promise("P3")
def test_what_was_written_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "read", lambda path: NEW[:-1])
    with pytest.raises(TrainingError, match="what was read back differs"):
        write_atomically(tmp_path / "model", NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_takes_a_byte_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "write", lambda handle, data: os.write(handle, data[:1]))
    write_atomically(tmp_path / "model", NEW)
    assert (tmp_path / "model").read_bytes() == NEW


@pytest.mark.promise("P3")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a limit on the size of files is a thing of POSIX")
def test_a_file_that_grows_beyond_the_limit_of_the_system(tmp_path):
    """As on a full disk: the system writes a part and refuses the rest."""
    path = tmp_path / "model"
    path.write_bytes(OLD)
    script = (
        "import resource, sys\nfrom deltarule.errors import TrainingError\n"
        "from deltarule.files import write_atomically\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: write_atomically(sys.argv[1], bytes(100_000))\nexcept TrainingError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert "File too large; what was there is unchanged" in ended.stdout
    assert path.read_bytes() == OLD and [entry.name for entry in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("number", disk.UNABLE)
def test_a_folder_that_cannot_be_flushed_at_all_is_no_fault(tmp_path, monkeypatch, number):
    really = os.open

    def unable(path, flags, mode=0o777):
        if Path(path) == tmp_path:
            raise OSError(number, os.strerror(number))
        return really(path, flags, mode)

    monkeypatch.setattr(os, "open", unable)
    write_atomically(tmp_path / "model", NEW)


def test_parts_that_a_killed_process_has_left_are_removed(tmp_path):
    (tmp_path / ".deltarule-0123456789abcdef.part").write_bytes(NEW)
    (tmp_path / "mine.part").write_bytes(OLD)
    remove_parts(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.part"]


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


KILLED = """
import sys
import time
from pathlib import Path
from deltarule import disk, files
disk.flush = lambda handle: (print("written", flush=True), sys.stdin.read())
files.write_atomically(sys.argv[1], b"half")
"""


@pytest.mark.promise("P3")
def test_what_a_killed_process_left_behind_of_a_file_goes_with_a_later_save(tmp_path):
    """Only what is of that file, is a file, and has not been written to for an hour."""
    for name in ("model", "other"):
        command = [sys.executable, "-c", KILLED, str(tmp_path / name)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"written\n"
            child.kill()
    mine, others = ({*tmp_path.glob(f".deltarule-{_mark(name)}-*.part")} for name in ("model", "other"))
    assert len(mine) == len(others) == 1
    link = tmp_path / f".deltarule-{_mark('model')}-link.part"
    link.symlink_to(tmp_path / "nowhere")
    alien = tmp_path / ".deltarule-notes.part"
    alien.write_bytes(b"a user's own")
    remove_stale_parts(tmp_path / "model")
    assert all(part.exists() for part in mine)  # somebody may still write to it
    then = time.time() - STALE - 60
    for part in (*mine, *others, alien):
        os.utime(part, (then, then))
    os.utime(link, (then, then), follow_symlinks=False)
    remove_stale_parts(tmp_path / "model")
    assert {*tmp_path.iterdir()} == {*others, link, alien}


def test_a_model_that_is_saved_removes_what_was_left_of_its_file(tmp_path):
    model = dr.fit(
        {"x": [0.0, 1.0, 2.0, 3.0] * 5, "y": [0.0, 2.0, 4.0, 6.0] * 5}, "y", method="cg", l2=0.0, max_steps=1
    )
    part = tmp_path / f".deltarule-{_mark('model')}-0.part"
    part.write_bytes(b"half")
    os.utime(part, (0, 0))
    model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
