"""A disk on which the n-th operation fails: what `deltarule.disk` does, counted, and made to fail where a test says."""

import errno
import os
from contextlib import contextmanager
from functools import partial

import pytest

from deltarule import disk

OPERATIONS = ("create", "write", "flush", "close", "read", "rename", "remove", "make_folder", "flush_folder")
ERRORS = (errno.ENOSPC, errno.EIO)


class Disk:
    """Operations that were asked for, by name, and the number of the one that fails, with which error, from 1."""

    def __init__(self, fails=0, error=errno.EIO):
        self.fails, self.error, self.asked = fails, error, []

    def operate(self, name, really, *given):
        self.asked.append(name)
        if len(self.asked) != self.fails:
            return really(*given)
        if name == "write":
            really(given[0], given[1][: len(given[1]) // 2])  # a disk that fills up in the middle
        if name == "close":
            really(*given)  # the system closes a file even where it reports an error
        raise OSError(self.error, os.strerror(self.error))


@contextmanager
def failing(fails=0, error=errno.EIO):
    """Give a disk whose n-th operation fails; 0 for none."""
    found = Disk(fails, error)
    with pytest.MonkeyPatch.context() as patched:
        for name in OPERATIONS:
            patched.setattr(disk, name, partial(found.operate, name, getattr(disk, name)))
        yield found
