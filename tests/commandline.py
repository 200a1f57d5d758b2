"""What the tests of the command line share: `deltarule` in this process and in another one."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

from deltarule import cli

COMMAND = [sys.executable, "-c", "from deltarule.cli import main; main()"]


class Run(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """stdout, which must be one JSON object on one line and nothing else."""
        assert self.out.count("\n") == 1 and self.out.endswith("\n")
        return json.loads(self.out)


def run(*arguments):
    """Run a command in this process, where every warning is an error."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["deltarule", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
    return Run(status, out.getvalue(), err.getvalue())


def done(*arguments):
    """Run a command that must do what it was asked, and say nothing else."""
    ended = run(*arguments)
    assert ended.status == 0, ended
    assert "Traceback" not in ended.err and "Warning" not in ended.err
    return ended


def refused(*arguments, status=2):
    """Run a command that must be refused; return the message: one or two lines on stderr, nothing on stdout."""
    ended = run(*arguments)
    assert ended.status == status, ended
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert 1 <= len(lines) <= 2 and all(lines), ended.err
    assert lines[0].startswith("Error: ") and "Traceback" not in ended.err and len(ended.err) < 500
    return ended.err


def process(*arguments, **settings):
    """Run a command as a process of its own."""
    command = [*COMMAND, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **settings)
    return Run(ended.returncode, ended.stdout, ended.stderr)
