"""What `why` found, as a picture: the losses of each rule's runs, a panel for each learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.explain.rules import RULES
from deltarule.plots import literal

if TYPE_CHECKING:
    from deltarule.explain.whys import Why

COLOURS = ("#000000", "#E69F00", "#D55E00", "#CC79A7", "#0072B2", "#009E73")
"""One for each rule, told apart by people who see colours differently (Okabe and Ito 2008)."""
DASHES = ("-", "-", "--", "-.", ":", "-")
WIDTHS = (2.4, 1.6, 1.6, 1.6, 1.6, 1.6)
ABOVE_START = 2.2
"""Losses are shown up to so many times the largest at the start."""


def draw(why: Why, axes: Any = None) -> Any:
    """Draw the median losses with the middle half of the runs; return an array of matplotlib Axes.

    Parameters
    ----------
    why : Why
        What was found.
    axes : matplotlib Axes, optional
        One for each learning rate; a new figure unless given.
    """
    trained, about = why.trained, why.about
    rates, epochs = trained.course.rates, trained.course.recorded
    if axes is None:
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(1, len(rates), figsize=(1.2 + 3.9 * len(rates), 4.2), sharey=True, layout="constrained")
    axes = np.atleast_1d(np.asarray(axes))
    highest = ABOVE_START * max(float(np.median(trained.curves(rule, rates[0])[0])) for rule in RULES)
    for ax, rate in zip(axes, rates, strict=True):
        for rule, colour, dashes, width in zip(RULES, COLOURS, DASHES, WIDTHS, strict=True):
            losses = np.nan_to_num(trained.curves(rule, rate), nan=np.inf)
            low, middle, high = np.minimum(
                np.quantile(losses, (0.25, 0.5, 0.75), axis=1, method="nearest"), 2 * highest
            )
            odds = trained.of(rule, rate)
            label = f"{rule}: {odds.solved} of {odds.runs}" if trained.goal is not None else rule
            ax.plot(epochs, middle, dashes, color=colour, linewidth=width, label=label)
            ax.fill_between(epochs, low, high, color=colour, alpha=0.08, linewidth=0)
        ax.set(title=f"η {rate:g}", xlabel="epochs", ylim=(0, highest))
        ax.legend(fontsize=7, loc="upper center", ncols=2, title="runs that succeeded", title_fontsize=7, frameon=False)
    axes[0].set_ylabel("loss (band: middle half of the runs)")
    axes[0].figure.suptitle(
        f"With and without the derivative: {', '.join(about['targets'])} of {about['table']}, "
        f"network {'-'.join(map(str, about['sizes']))}"
    )
    literal(axes[0].figure)
    return axes
