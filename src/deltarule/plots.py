"""Figures, drawn by matplotlib."""

from collections.abc import Sequence
from typing import Any

from deltarule.errors import SettingError, unknown
from deltarule.record import Record


def learning_curve(history: Sequence[Record], ax: Any = None, by: str = "step") -> Any:
    """Draw training and validation loss over a run, and where the validation loss was smallest.

    Both are without the penalty, so that they compare. A run without validation rows has the one line only.

    Parameters
    ----------
    history : sequence of Record
        The records of a run.
    ax : matplotlib Axes, optional
        Where to draw; a new figure unless given.
    by : str
        The horizontal axis: ``step``, ``passes`` or ``seconds``.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    if not history:
        raise SettingError("There is no history to draw: a model that was loaded from a file has none.")
    if by not in ("step", "passes", "seconds"):
        raise unknown("axis", by, ("step", "passes", "seconds"))
    at = [getattr(record, by) for record in history]
    trained = [record.loss - record.penalty for record in history]
    ax.plot(at, trained, label="training")
    checked = [record.validation_loss for record in history]
    if None not in checked:
        ax.plot(at, checked, label="validation")
        best = history[history[-1].best_step]
        ax.plot([getattr(best, by)], [best.validation_loss], "o", label="kept")
    ax.set(xlabel=by, ylabel="loss", yscale="log" if min(trained) > 0 else "linear")
    ax.legend()
    return ax
