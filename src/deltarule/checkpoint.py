"""A run on disk: saved while it goes, gone on with bit for bit.

A checkpoint holds for each run the method's state, the best weights, the history and with it the random state, which
is (seed, epoch, row): orders are functions of these. A call of `train` is one run; one of `fit` has many, those that
have ended and those under way. Whoever goes on makes the same call again: what has ended is taken from the file, what
was under way goes on from its last state, and the rest begins. So what is in the file decides nothing but where to
begin; that the call is the same is checked by `deltarule.sameness`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

from deltarule import runfile, sameness
from deltarule.errors import InputError, SettingError, TrainingError
from deltarule.packing import Arrays
from deltarule.runcontent import Runs, block_of, content_of, runs_of
from deltarule.runfile import Blocks
from deltarule.slots import Slot

EVERY = 30.0
"""Seconds from one checkpoint to the next."""
BLOCK = 32_768
"""Records that are written once, as a block, as soon as there are so many; fewer are repeated in each checkpoint."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run is kept, and how often it is saved.

    Parameters
    ----------
    folder : str or Path
        A folder of its own; it is made if it is not there.
    every : float
        Seconds from one checkpoint to the next; 0 saves after every step.
    resume : bool
        Whether to go on with the run that is in the folder, if there is one. Otherwise such a folder is refused.
    about : mapping
        JSON values that the caller wants to find again.

    Raises
    ------
    SettingError
        If `every` is not a number from 0 up.
    """

    folder: str | Path
    every: float = EVERY
    resume: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fine = isinstance(self.every, int | float) and not isinstance(self.every, bool)
        if not fine or not 0 <= self.every < inf:
            raise SettingError(f"every was {self.every!r}; it is a number of seconds, from 0 up.")
        if not isinstance(self.folder, str | Path) or not str(self.folder):
            raise SettingError(f"checkpoint was {self.folder!r}; give the name of a folder, as in 'run/'.")


class InBlocks(NamedTuple):
    """What blocks hold: the blocks, and of each run, by its number, how many records; one value, replaced as a whole.

    So an interrupt comes before a block counts or after it, and no record is in a block and in a checkpoint too.
    """

    blocks: Blocks
    records: dict[int, int]


class Keeper:
    """Saves the runs of a call to a folder, and finds them there again.

    Parameters
    ----------
    asked : Checkpoint
        Where and how often.
    about : dict
        What the call is, as JSON values.
    """

    def __init__(self, asked: Checkpoint, about: dict[str, Any]) -> None:
        self.folder, self.every, self.about = Path(asked.folder), float(asked.every), about
        self.due, self._written = 0.0, False
        self.saving = Lock()
        self._slots: dict[int, Slot] = {}
        self._in_blocks = InBlocks(Blocks(), {})
        self._damaged: Collection[Path] = ()
        read: list[Runs] = []
        found = runfile.newest(self.folder, lambda saved: read.append(runs_of(self.folder, saved)))
        if found is not None:
            self._take(found, read[-1], asked)

    def slot(self, number: int = 0) -> Slot:
        """Return the place of a run."""
        return self._slots.setdefault(number, Slot(number, self.note, self.saving))

    def note(self) -> None:
        """Save if it is time."""
        if perf_counter() >= self.due:
            self.save()

    def save(self, final: bool = False) -> None:
        """Write a checkpoint now.

        The first one must succeed; if a later one fails, as on a full disk, a warning says so, those from before stay,
        and the run goes on.
        """
        with self.saving:
            if not final and perf_counter() < self.due:
                return  # another thread has saved meanwhile
            try:
                self._write()
            except TrainingError as error:
                if not self._written:
                    raise
                warnings.warn(f"No checkpoint this time; the run goes on. {error}", RuntimeWarning, stacklevel=2)
            finally:
                self.due = perf_counter() + self.every

    def _write(self) -> None:
        """Write the runs that there are, and before that, if their histories have become long, a block of these."""
        arrays: Arrays = {}
        slots = [slot for _, slot in sorted(self._slots.copy().items())]
        finished = [slot.finished for slot in slots if slot.finished is not None]
        runs = [told for slot in slots if slot.finished is None and (told := slot.packed(arrays)) is not None]
        if not runs and not finished:
            return
        self._settle(slots)  # an interrupt may have come between a block and this
        grown = [slot for slot in slots if slot.ledger.rows.size]
        if sum(slot.ledger.rows.shape[1] for slot in grown) >= BLOCK:
            block = block_of((slot.number, slot.ledger.rows) for slot in grown)
            counts = {slot.number: slot.ledger.count for slot in grown}
            blocks = runfile.write_block(self.folder, self._in_blocks.blocks, block)
            self._in_blocks = InBlocks(blocks, {**self._in_blocks.records, **counts})
            self._settle(slots)
            grown = []
        parts = [(slot.number, slot.ledger.rows) for slot in grown]
        content = content_of(self.about, runs, finished, self._in_blocks.blocks, parts, arrays)
        runfile.write(self.folder, content, self._damaged)
        self._written = True

    def _settle(self, slots: Sequence[Slot]) -> None:
        """Let go of the records that are in blocks; done again, it does nothing."""
        for slot in slots:
            kept = self._in_blocks.records.get(slot.number, 0)
            if kept > slot.ledger.kept:
                slot.ledger = slot.ledger.settled(kept)

    def _take(self, found: runfile.Found, runs: Runs, asked: Checkpoint) -> None:
        """Take over the runs of a checkpoint."""
        for fault in found.damaged.values():
            message = f"{fault} The checkpoint before it, {found.path.name}, is used."
            warnings.warn(message, RuntimeWarning, stacklevel=5)
        if not asked.resume:
            raise InputError(
                f"The folder {str(self.folder)!r} holds a run already; go on with it by `deltarule resume` or "
                "Checkpoint(folder, resume=True), or give another folder."
            )
        sameness.check(found.saved.content["about"], self.about, str(self.folder))
        self._in_blocks = InBlocks(runs.blocks, {run.told["number"]: in_blocks for run, in_blocks in runs.found})
        self._damaged = found.damaged
        for run, in_blocks in runs.found:
            self.slot(run.told["number"]).take(run, in_blocks)


@contextmanager
def opened(asked: Checkpoint | str | Path, about: dict[str, Any]) -> Iterator[Keeper]:
    """Give the keeper of a call's runs; when it ends, however that is, they are saved once more.

    Raises
    ------
    InputError
        If the folder cannot be used, or holds a run that is not to be gone on with or cannot be.
    """
    asked = asked if isinstance(asked, Checkpoint) else Checkpoint(asked)
    about = {**about, "caller": dict(asked.about)}
    with runfile.held(Path(asked.folder)):
        keeper = Keeper(asked, about)
        try:
            yield keeper
        finally:
            keeper.save(final=True)
