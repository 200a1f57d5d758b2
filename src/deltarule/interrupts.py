"""Interrupts: Ctrl-C raises KeyboardInterrupt as ever, and SIGTERM an exit of its own where somebody asks for that."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

from deltarule.errors import unknown

CTRL_C, TERMINATED = 130, 143
"""Exit statuses: 128 and the number of the signal."""
WHAT_TO_DO = ("raise", "keep")
"""What an interrupt does: it is raised, or ends the run with its result so far."""


class Terminated(SystemExit):
    """SIGTERM: leave in order. Unless it is caught, the process ends with status 143."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


INTERRUPTS = (KeyboardInterrupt, Terminated)
"""What is raised from outside."""


class Terminator:
    """What SIGTERM is answered with: it raises Terminated, and says afterwards whether it came."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer the signal."""
        self.came = True
        raise Terminated

    @property
    def status(self) -> int:
        """The exit status of a command that was interrupted."""
        return TERMINATED if self.came else CTRL_C


@contextmanager
def sigterm_raises() -> Iterator[Terminator]:
    """Have SIGTERM raise Terminated in the main thread, if nobody else answers it.

    So it does for everything inside: what is nested does not change it.
    """
    terminator = Terminator()
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield terminator
        return
    signal.signal(signal.SIGTERM, terminator)
    try:
        yield terminator
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Answer:
    """What answers Ctrl-C and SIGTERM inside `answered`; `came` is what would have been raised."""

    def __init__(self, end: Callable[[], bool], terminator: object) -> None:
        self.end, self.terminator = end, terminator
        self.came: type[BaseException] = KeyboardInterrupt

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Answer a signal."""
        if number == signal.SIGTERM:
            self.came = Terminated
            if isinstance(self.terminator, Terminator):
                self.terminator.came = True
        if not self.end():
            raise self.came()


@contextmanager
def answered(end: Callable[[], bool]) -> Iterator[Answer]:
    """Have Ctrl-C and SIGTERM call `end` instead of raising; where that returns False, they raise after all.

    Only in the main thread, Ctrl-C only if it would raise KeyboardInterrupt, and SIGTERM only if it would raise
    Terminated.
    """
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    answer = Answer(end, usual[signal.SIGTERM])
    ours = [signal.SIGINT] if usual[signal.SIGINT] is signal.default_int_handler else []
    ours += [signal.SIGTERM] if isinstance(usual[signal.SIGTERM], Terminator) else []
    if current_thread() is not main_thread():
        ours = []
    for number in ours:
        signal.signal(number, answer)
    try:
        yield answer
    finally:
        for number in ours:
            signal.signal(number, usual[number])


def keeps(interrupt: object) -> bool:
    """Return whether an interrupt is to end a run with its result so far.

    Raises
    ------
    SettingError
        If it is neither ``raise`` nor ``keep``.
    """
    if not isinstance(interrupt, str) or interrupt not in WHAT_TO_DO:
        raise unknown("interrupt", interrupt, WHAT_TO_DO)
    return interrupt == "keep"
