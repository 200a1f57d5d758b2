"""Going on with a run of `fit` that was begun on a file: the call is made again as its checkpoint tells it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from deltarule import runfile
from deltarule.checkpoint import EVERY, Checkpoint
from deltarule.errors import InputError
from deltarule.fitting import fit
from deltarule.model import Model
from deltarule.runs import Progress


class Call(NamedTuple):
    """A call of `fit` as a checkpoint tells it.

    Parameters
    ----------
    folder : str
        Where the run is.
    arguments : dict
        What `fit` was given.
    place : str
        The folder in which it was called.
    caller : dict
        What the caller wanted to find again.
    """

    folder: str
    arguments: dict[str, Any]
    place: str
    caller: dict[str, Any]

    @property
    def source(self) -> str:
        """The file of the table."""
        return str(self.arguments["source"])


def begun(folder: str | Path) -> Call:
    """Return the call that a run was begun with.

    Raises
    ------
    InputError
        If the folder holds no run, or none that a file and plain settings began.
    """
    folder = str(folder)
    there = os.path.isdir(folder)  # noqa: PTH112  # unlike Path.is_dir, False for a name that is too long
    found = runfile.newest(Path(folder)) if there else None
    if found is None:
        raise InputError(f"There is no run in {folder!r}; give the folder that --run or checkpoint= named.")
    about = found.saved.content.get("about")
    arguments = about.get("arguments") if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(arguments, dict) or not isinstance(arguments.get("source"), str):
        raise InputError(
            f"The run in {folder!r} was begun with objects of a program, which no file holds; make the same call again "
            "with checkpoint=Checkpoint(folder, resume=True)."
        )
    caller, place = about.get("caller"), about.get("place")
    return Call(folder, arguments, str(place), caller if isinstance(caller, dict) else {})


def go_on(
    call: Call, every: float = EVERY, observe: Callable[[Progress], object] | None = None, interrupt: str = "raise"
) -> Model:
    """Return the model that a run comes to; see `resume`."""
    if not os.path.exists(call.source) and call.place != str(Path.cwd()):  # noqa: PTH110
        raise InputError(f"There is no file {call.source} here; the run was begun in {call.place}: go there.")
    checkpoint = Checkpoint(call.folder, every, resume=True, about=call.caller)
    try:
        return fit(**call.arguments, observe=observe, interrupt=interrupt, checkpoint=checkpoint)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(f"The run in {call.folder!r} was begun by another version of deltarule: {error}.") from None


def resume(
    folder: str | Path, *, every: float = EVERY, observe: Callable[[Progress], object] | None = None,
    interrupt: str = "raise",
) -> Model:  # fmt: skip
    """Go on with a run of `fit` on a file, and return the model that it comes to.

    It is the same, to the bit, as if the run had never been interrupted.

    Parameters
    ----------
    folder : str or Path
        Where the run is: what `checkpoint` or ``--run`` named.
    every : float
        Seconds from one checkpoint to the next.
    observe : callable, optional
        As for `fit`.
    interrupt : str
        As for `fit`.

    Raises
    ------
    InputError
        If there is no such run, or the table, a method or the precision are not those it was begun with.
    """
    return go_on(begun(folder), every, observe, interrupt)
