"""Figures, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from deltarule.errors import SettingError, unknown
from deltarule.record import Record

if TYPE_CHECKING:
    from deltarule.comparison import Comparison, Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by people who see colours differently: Okabe and Ito 2008, yellow left out, too pale for a line."""
DASHES = ("-", "--", "-.", ":")
POINTS = 1000
"""Points of a drawn curve at most."""
ABOVE_START = 3.0
"""Losses over so many times that of the start are not shown: a run that diverges would flatten all others."""


def literal(figure: Any) -> None:
    """Let $ be a dollar in a figure, in names of columns and classes too, rather than begin a formula.

    The powers along an axis are formulas of matplotlib's own and stay so.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    for ax in figure.axes:
        for text in (*ax.get_xticklabels(which="both"), *ax.get_yticklabels(which="both")):
            text.set_parse_math(True)


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


def comparison(comparison: Comparison, axes: Any = None) -> Any:
    """Draw the training losses of a race over passes, and beside it over seconds, both axes logarithmic.

    A method has one colour and one kind of line. Its run with the median loss is drawn boldly, the others are thin;
    a dot is where a run reached the goal. For online training the loss is the running mean over an epoch.

    Parameters
    ----------
    comparison : Comparison
        What a race came to.
    axes : two matplotlib Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    array of two matplotlib Axes
        The axes drawn on.

    Raises
    ------
    SettingError
        If no run took a step.
    """
    import numpy as np

    drawn = [row for row in comparison.rows if any(len(run.curve.losses) for run in row.runs)]
    if not drawn:
        raise SettingError("There are no losses to draw: no method could run.")
    if axes is None:
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, layout="constrained")
        about = comparison.about
        figure.suptitle(
            f"{', '.join(about['targets'])} of {about['table']}, network {'-'.join(map(str, about['sizes']))}"
        )
    axes = np.asarray(axes)
    curves = [run.curve.losses for row in drawn for run in row.runs if len(run.curve.losses)]
    highest = ABOVE_START * max(float(losses[0]) for losses in curves)
    scale = "log" if min(float(losses.min()) for losses in curves) > 0 else "linear"
    for ax, by in zip(axes, ("passes", "seconds"), strict=True):
        for row in drawn:
            _draw_row(ax, row, by, comparison, highest)
        if comparison.goal is not None:
            ax.axhline(comparison.goal, color="grey", linewidth=1, linestyle=(0, (1, 3)), zorder=0, label="goal")
        ax.set(xlabel=f"{by} of a run", xscale="log", yscale=scale)
    axes[0].set_ylabel(f"training loss ({comparison.about['loss']})")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    literal(axes[0].figure)
    return axes


def _draw_row(ax: Any, row: Row, by: str, comparison: Comparison, highest: float) -> None:
    """Draw the runs of a method in its colour and its kind of line, losses above the highest left out."""
    number = comparison.rows.index(row)
    style = {"color": COLOURS[number % len(COLOURS)], "linestyle": DASHES[number % len(DASHES)]}
    name, typical = row.label if isfinite(row.loss.median) else f"{row.label} (diverged)", row.typical()
    for run in row.runs:
        curve = run.curve.thinned(POINTS)
        bold = run is typical
        width, alpha, label = (2.0, 1.0, name) if bold else (0.7, 0.6, None)
        losses = [loss if loss <= highest else nan for loss in curve.losses]
        ax.plot(getattr(curve, by), losses, linewidth=width, alpha=alpha, label=label, **style)
        reached = None if comparison.goal is None else run.curve.reached(comparison.goal)
        if reached is not None:
            passes, seconds = reached
            at = passes if by == "passes" else seconds
            ax.plot([at], [comparison.goal], "o", markersize=6 if bold else 4, color=style["color"], alpha=alpha)
