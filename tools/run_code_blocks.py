"""Run the code blocks of Markdown files: ``run_code_blocks.py FILES_OR_FOLDERS``.

Each file has a temporary folder and one namespace. From top to bottom,

    ```python     is run; warnings are errors
    ```output     must be what the block before it printed, line by line
    ```console    each line that begins with "$ " is run by a shell, except make, pip and git

A block is left out where a comment with a reason stands above it: <!-- not run: needs a network -->
"""

import io
import os
import subprocess
import sys
import sysconfig
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

FENCE, SKIP = "```", "<!-- not run:"
LEFT_OUT = ("make", "pip", "git")
MAX_SECONDS = 300


class Block(NamedTuple):
    """A fenced block: its language, the lines inside, the number of the first of them, whether to run it."""

    language: str
    lines: list[str]
    first: int
    runs: bool


class Wrong(Exception):  # noqa: N818
    """A block failed: the line, and what happened there."""


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown text."""
    opened: Block | None = None
    above = ""
    for number, line in enumerate(text.splitlines(), 1):
        if opened is not None:
            if line.strip() == FENCE:
                yield opened
                opened, above = None, ""
            else:
                opened.lines.append(line)
        elif line.startswith(FENCE):
            opened = Block(line.removeprefix(FENCE).strip(), [], number + 1, not _has_reason(above, number))
        elif line.strip():
            above = line
    if opened is not None:
        raise Wrong(opened.first - 1, "this block is never closed")


def _has_reason(above: str, number: int) -> bool:
    """Return whether the line above a block asks to leave it out; a reason must be there."""
    if not above.startswith(SKIP):
        return False
    if not above.removeprefix(SKIP).removesuffix("-->").strip():
        raise Wrong(number - 1, "say why this block is not run")
    return True


def run_file(path: Path) -> int:
    """Run all blocks of a file and return how many ran; raise Wrong at the first that fails."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed, count = "", 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.runs and block.language == "python":
            printed = _run_python(block, path, namespace)
        elif block.runs and block.language == "console":
            _run_console(block)
        elif block.runs and block.language == "output":
            _compare(block, printed)
        else:
            continue
        count += 1
    return count


def _run_python(block: Block, path: Path, namespace: dict[str, Any]) -> str:
    """Run a block in a namespace and return what it printed."""
    source = "\n" * (block.first - 1) + "\n".join(block.lines)  # so that tracebacks name the file's lines
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(source, str(path), "exec"), namespace)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        at = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = at[-1] if at else getattr(error, "lineno", block.first)
        raise Wrong(line, f"{type(error).__name__}: {error}") from error
    return printed.getvalue()


def _run_console(block: Block) -> None:
    """Run the commands of a block."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONWARNINGS": "error"}
    for number, line in enumerate(block.lines, block.first):
        command = line.removeprefix("$ ").partition("  #")[0]
        if command == line or command.split()[0] in LEFT_OUT:
            continue
        done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, timeout=MAX_SECONDS)
        if done.returncode:
            raise Wrong(number, f"exit status {done.returncode} of {command}\n{done.stderr.strip()}")


def _compare(block: Block, printed: str) -> None:
    """Compare what a file says is printed with what was."""
    found = printed.splitlines()
    for number, line in enumerate(block.lines):
        if number >= len(found) or line.rstrip() != found[number].rstrip():
            instead = repr(found[number]) if number < len(found) else "nothing more"
            raise Wrong(block.first + number, f"the file says {line!r}, printed was {instead}")
    if len(found) > len(block.lines):
        raise Wrong(block.first + len(block.lines), f"also printed: {found[len(block.lines)]!r}")


def main(arguments: list[str]) -> int:
    """Run the files and the Markdown files in the folders given; return 1 if any fails."""
    os.environ["MPLBACKEND"] = "Agg"
    named = [Path(argument).resolve() for argument in arguments]
    files = [file for path in named for file in (sorted(path.rglob("*.md")) if path.is_dir() else [path])]
    failed = 0
    for file in files:
        try:
            with tempfile.TemporaryDirectory() as folder, chdir(folder):
                count = run_file(file)
            print(f"{file.name}: {count} blocks")
        except Wrong as wrong:
            line, what = wrong.args
            print(f"{file}:{line}: {what}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
