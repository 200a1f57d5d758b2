"""The error surface as pictures: lines of equal loss, a relief, slopes along the way, the line of one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.explain.grids import number

if TYPE_CHECKING:
    from deltarule.explain.surfaces import Floats, Surface
    from deltarule.explain.walks import Walk

COLOURS = ("#D55E00", "#FFFFFF", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442")
"""One for each walk, told apart on dark and light by people who see colours differently (Okabe and Ito 2008)."""
ON_WHITE = ("#D55E00", "#000000", "#E69F00", "#CC79A7", "#56B4E9", "#009E73")
"""The same where the ground is white."""
MARKS = ("o", "s", "^", "D", "v", "P")
LEVELS = 18
DEEPEST, STEEPEST = 1e-3, 3
"""Levels are this share of the range above the lowest loss and upwards; colours end at the third quartile times this
where the surface is a cliff."""


def contour(surface: Surface, ax: Any = None) -> Any:
    """Draw lines of equal loss, closer where it is steeper, and the walks; return the Axes.

    Parameters
    ----------
    surface : Surface
        What to draw.
    ax : matplotlib Axes, optional
        Where; a new figure unless given.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7.2, 5.6), layout="constrained")[1]
    shown, levels = _shown(surface)
    drawn = ax.contourf(surface.a, surface.b, shown, levels=levels, cmap="viridis", norm=_norm(levels), extend="max")
    ax.contour(surface.a, surface.b, shown, levels=levels, colors="black", linewidths=0.4, alpha=0.5)
    bar = ax.figure.colorbar(drawn, ax=ax, label="loss")
    bar.set_ticks(levels[:: max(1, len(levels) // 6)], labels=[number(v) for v in levels[:: max(1, len(levels) // 6)]])
    for k, one in enumerate(surface.walks):
        where, colour = surface.plane.coordinates(one.w), COLOURS[k % len(COLOURS)]
        label = f"{one.method}: {one.n_steps:,} steps{_off(surface, one)}"
        ax.plot(
            *where.T, "-", color=colour, marker=MARKS[k % len(MARKS)], markersize=4, linewidth=1.6, label=label,
            markeredgecolor="black", markeredgewidth=0.4,
        )  # fmt: skip
    if surface.walks:
        ax.plot(*surface.plane.coordinates(surface.walks[0].w[0])[0], "X", color="black", markersize=9, label="start")
        ax.legend(fontsize=8, loc="best", framealpha=0.85, facecolor="#BBBBBB")
    first, second = surface.plane.labels
    ax.set(xlabel=first, ylabel=second, title="Loss over a plane through the weights")
    ax.set(xlim=(surface.a[0], surface.a[-1]), ylim=(surface.b[0], surface.b[-1]), aspect="equal")
    return ax


def relief(surface: Surface, ax: Any = None) -> Any:
    """Draw the surface in three dimensions, each walk at its own losses; return the Axes.

    Parameters
    ----------
    surface : Surface
        What to draw.
    ax : matplotlib Axes, optional
        Where, with ``projection="3d"``; a new figure unless given.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7.2, 6.0), subplot_kw={"projection": "3d"}, layout="constrained")[1]
    shown, levels = _shown(surface)
    top = float(levels[-1])
    A, B = np.meshgrid(surface.a, surface.b)
    ax.plot_surface(
        A, B, np.minimum(shown, top), cmap="viridis", norm=_norm(levels), alpha=0.75, linewidth=0, antialiased=True,
        rcount=60, ccount=60,
    )  # fmt: skip
    for k, one in enumerate(surface.walks):
        a, b = surface.plane.coordinates(one.w).T
        ax.plot(
            a, b, np.minimum(one.losses, top), color=ON_WHITE[k % len(ON_WHITE)], marker=MARKS[k % len(MARKS)],
            markersize=3.5, linewidth=1.8, zorder=10, label=f"{one.method}{_off(surface, one)}",
        )  # fmt: skip
    if surface.walks:
        ax.legend(fontsize=8, loc="upper left")
    first, second = surface.plane.labels
    ax.set(xlabel=first, ylabel=second, zlabel="loss", title="Loss over a plane through the weights")
    return ax


def slopes(surface: Surface, ax: Any = None) -> Any:
    """Draw how steep the surface is along the walks: towards 0 where they end well; return the Axes.

    Parameters
    ----------
    surface : Surface
        What to draw.
    ax : matplotlib Axes, optional
        Where; a new figure unless given.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1]
    for k, one in enumerate(surface.walks):
        steep = np.where(one.slopes > 0, one.slopes, np.nan)
        ax.semilogy(
            np.arange(len(steep)), steep, color=ON_WHITE[k % len(ON_WHITE)], marker=MARKS[k % len(MARKS)],
            markersize=3.5, label=one.method,
        )  # fmt: skip
    if surface.walks:
        ax.legend(fontsize=8)
    ax.set(xlabel="step", ylabel="length of the gradient", title="Slope of the error surface along the way")
    return ax


def line(surface: Surface, step: int = 0, walk: int = 0, ax: Any = None) -> Any:
    """Draw the loss along the line of one step, what was looked at, and the slope at each look; return the Axes.

    Parameters
    ----------
    surface : Surface
        Whose walk it is.
    step, walk : int
        Which step of which walk, counted from 0.
    ax : matplotlib Axes, optional
        Where; a new figure unless given.

    Raises
    ------
    SettingError
        If there is no such walk or step.
    """
    along, loss = surface.line(step, walk)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")[1]
    one = surface.walk(walk)
    length = float(np.linalg.norm(one.w[step + 1] - one.w[step]))
    ax.plot(along, loss, "-", color="#0072B2", linewidth=1.6, label="loss along the step")
    reach = 0.06 * (along[-1] - along[0])
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    ends = [(0.0, one.losses[step], one.leaving[step]), (1.0, one.losses[step + 1], one.arriving[step])]
    looks = [(s.along, s.loss, s.slope) for s in one.samples[step] if np.isfinite(s.loss) and s.along <= along[-1]]
    for k, (where, value, slope) in enumerate(looks):
        ax.plot(where, value, "o", color="#E69F00", markersize=6, label="" if k else "looked at")
        if slope is not None:
            _tangent(ax, where, value, slope * length, reach)
    for (where, value, slope), mark, label in zip(ends, ("X", "*"), ("start", "end"), strict=True):
        ax.plot(where, value, mark, color="black", markersize=10, label=f"{label}: slope {number(slope)}")
        _tangent(ax, where, value, slope * length, reach)
    ax.set(xlabel="along the step, 1 is its end", ylabel="loss", title=f"{one.method}, step {step + 1}")
    ax.set_ylim(low - 0.08 * (high - low or 1.0), high + 0.08 * (high - low or 1.0))
    ax.legend(fontsize=8)
    return ax


def _tangent(ax: Any, where: float, value: float, slope: float, reach: float) -> None:
    """Draw a short piece of the tangent; `slope` is per unit of the step."""
    ax.plot(
        [where - reach, where + reach], [value - reach * slope, value + reach * slope], "-", color="black",
        linewidth=1.0,
    )  # fmt: skip


def _off(surface: Surface, one: Walk) -> str:
    """Return how far a walk leaves the plane, in words; nothing for one that lies in it."""
    reach = float(np.linalg.norm(one.w - one.w[0], axis=1).max())
    off = float(surface.plane.off(one.w).max())
    return f", up to {number(off)} off the plane" if off > 1e-9 * reach else ""


def _shown(surface: Surface) -> tuple[Floats, Floats]:
    """Return the losses that are drawn and the levels of equal loss, closer together near the lowest."""
    finite = surface.loss[np.isfinite(surface.loss)]
    low = float(finite.min())
    walked = [float(one.losses[0]) for one in surface.walks]
    high = max([min(float(finite.max()), low + STEEPEST * (float(np.quantile(finite, 0.75)) - low)), *walked])
    wide = high - low if high > low else max(abs(low), 1.0)
    levels = low + wide * np.concatenate([[0.0], np.geomspace(DEEPEST, 1.0, LEVELS - 1)])
    return np.nan_to_num(surface.loss, nan=float(levels[-1]) + wide), levels


def _norm(levels: Floats) -> Any:
    """Return a scale of colours in which each level is one shade further than the one before."""
    from matplotlib.colors import BoundaryNorm

    return BoundaryNorm(levels, 256, extend="max")
