"""How much memory there is, and refusing in time what does not fit."""

import os

from deltarule.errors import SettingError
from deltarule.special import Array

UNKNOWN = 8e9
"""Bytes assumed where the operating system does not tell."""
SHARE = 0.5
"""Share of the machine's memory that may be taken unless the user says otherwise."""


def of_machine() -> float:
    """Return the bytes of memory that this machine has."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def check_matrices(
    name: str, w: Array, count: int, allowed: float | None, instead: str, rows: int | None = None
) -> None:
    """Refuse work that would hold more matrices of p columns than fit.

    Parameters
    ----------
    name : str
        Whose matrices they are.
    w : array of shape (p,)
        The weights: their number and their number type count.
    count : int
        How many matrices exist at once.
    allowed : float or None
        Bytes they may take; half of the machine's memory for None.
    instead : str
        What to use for networks of this size.
    rows : int, optional
        Rows of a matrix, p unless given.

    Raises
    ------
    SettingError
        If they do not fit.
    """
    p = w.shape[0]
    rows = p if rows is None else rows
    size = float(rows) * p * w.dtype.itemsize
    allowed = SHARE * of_machine() if allowed is None else allowed
    if count * size > allowed:
        raise SettingError(
            f"{name} stores a {rows:,} × {p:,} matrix ({_in_words(size)}), at times {count} of them, and may take "
            f"{_in_words(allowed)}; use {instead}, or memory=… in bytes."
        )


def _in_words(size: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size / 1e3:,.1f} kB"
