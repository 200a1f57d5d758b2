"""Observers of a run: told each record, they show or log it, or end the run.

An observer is any function of a `deltarule.record.Record`. What it returns is ignored, but for True, which stops the
run with the reason `deltarule.stopping.Reason.CALLER`. `deltarule.train` takes one or a list of them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from deltarule.errors import SettingError
from deltarule.numeric import isfinite
from deltarule.record import Record

Observer = Callable[[Record], object]
"""Told each record; returning True stops the run."""


@dataclass(frozen=True)
class Log:
    """Log a line for the start and for every so many steps.

    Parameters
    ----------
    every : int
        Steps from one line to the next.
    logger : logging.Logger
        Where lines go; the logger ``deltarule`` unless given.
    level : int
        Their level, ``logging.INFO`` unless given.

    Raises
    ------
    SettingError
        If `every` is not a whole number from 1 up.

    Examples
    --------
    >>> import numpy as np, sys
    >>> from deltarule import Network, Objective, stopping, train
    >>> logger = logging.getLogger("example")
    >>> logger.setLevel(logging.INFO)
    >>> logger.addHandler(logging.StreamHandler(sys.stdout))
    >>> line = Objective(Network((1, 1)), "squared_error", [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> result = train(line, np.zeros(2), "gd", [stopping.MaxSteps(40)], observe=Log(every=20, logger=logger))
    step 0: loss 5.833
    step 20: loss 2.228
    step 40: loss 0.8558
    """

    every: int = 1
    logger: logging.Logger = field(default=logging.getLogger("deltarule"))
    level: int = logging.INFO

    def __post_init__(self) -> None:
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise SettingError(f"every was {self.every!r}; it is a whole number from 1 up.")

    def __call__(self, record: Record) -> None:
        """Log the record if it is its turn."""
        if record.step % self.every == 0:
            self.logger.log(self.level, "%s", line(record))


@dataclass(frozen=True)
class StopBelow:
    """End the run when the validation loss is at most `loss`: a goal on rows that are not trained on.

    Parameters
    ----------
    loss : float
        The goal, from 0 up.

    Raises
    ------
    SettingError
        If `loss` is not a number from 0 up.
    """

    loss: float

    def __post_init__(self) -> None:
        if not isinstance(self.loss, int | float) or not isfinite(self.loss) or self.loss < 0:
            raise SettingError(f"loss was {self.loss!r}; it is a number from 0 up.")

    def __call__(self, record: Record) -> bool:
        """Return whether to stop."""
        return record.validation_loss is not None and record.validation_loss <= self.loss


def line(record: Record) -> str:
    """Return a record as a line of text."""
    checked = "" if record.validation_loss is None else f", validation loss {record.validation_loss:.4g}"
    return f"step {record.step}: loss {record.loss:.4g}{checked}"
