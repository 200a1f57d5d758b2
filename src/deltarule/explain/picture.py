"""An update record as a picture: the network with a row flowing forward, and with δ flowing back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.errors import SettingError
from deltarule.explain.backward import Layer, Numbers
from deltarule.explain.grids import number
from deltarule.plots import literal

if TYPE_CHECKING:
    from deltarule.explain.step import Update

UP, DOWN = "#D55E00", "#0072B2"
"""Above and below 0, told apart by people who see colours differently (Okabe and Ito 2008)."""
MOST = 8
"""So many neurons or inputs of a layer are drawn, those with the largest numbers."""
THINNEST, THICKEST = 0.4, 5.0
RADIUS = 0.16
APART = 2.0
"""How far apart layers stand, where neurons stand 1 apart."""
CELL, MARGIN = (1.15, 0.62), 1.2
"""Inches for a layer and for a neuron, and for what stands around them."""


@dataclass(frozen=True)
class Column:
    """A layer as it is drawn: which of its neurons, how high each stands, and how many are left out."""

    x: float
    shown: list[int]
    heights: dict[int, float]
    left_out: int


def draw(update: Update, axes: Any = None, row: int = 0) -> Any:
    """Draw the network twice, forward and back; return an array of two matplotlib Axes.

    Parameters
    ----------
    update : Update
        The record.
    axes : two matplotlib Axes, optional
        Where to draw; a new figure unless given.
    row : int
        The row of the step to draw.

    Raises
    ------
    SettingError
        If there is no such row.
    """
    if not 0 <= row < update.n_rows:
        raise SettingError(f"Row {row} was asked for; the step has {update.n_rows:,}, counted from 0.")
    layers = update.layers
    columns = [_column(0, np.abs(layers[0].X[row]))]
    columns += [_column(i + 1, np.abs(layer.local[row])) for i, layer in enumerate(layers)]
    if axes is None:
        import matplotlib.pyplot as plt

        tallest = max(len(column.shown) for column in columns)
        width, height = 3.4 + len(columns) * APART * CELL[0], MARGIN + tallest * CELL[1] + 0.6
        _, axes = plt.subplots(2, 1, figsize=(max(7.0, width), 2 * height), layout="constrained")
    axes = np.asarray(axes)
    names = update.names.sources[0]
    _draw_forward(axes[0], columns, layers, row, names)
    _draw_back(axes[1], columns, layers, row, names, update)
    axes[0].set_title(f"forward: {update.rows[row]}; lines are weight · what comes in", fontsize=10)
    axes[1].set_title(
        "back: each line is a term of δ = Σ weight · δ · slope; dotted is δ · slope · input, for the first weights",
        fontsize=10,
    )
    literal(axes[0].figure)
    return axes


def _column(place: int, sizes: Numbers) -> Column:
    """Return how a layer is drawn: in its own order, the largest ones where there are too many."""
    largest = np.argsort(-sizes, kind="stable")[:MOST]
    shown = sorted(largest.tolist())
    middle = (len(shown) - 1) / 2
    return Column(place * APART, shown, {k: middle - i for i, k in enumerate(shown)}, len(sizes) - len(shown))


def _draw_forward(ax: Any, columns: list[Column], layers: tuple[Layer, ...], row: int, names: tuple[str, ...]) -> None:
    for layer, before, after in zip(layers, columns, columns[1:], strict=False):
        _draw_lines(ax, before, after, layer.W * layer.X[row][None, :])
    _draw_inputs(ax, columns[0], layers[0].X[row], names)
    for layer, column in zip(layers, columns[1:], strict=True):
        values = layer.Y[row]

        def label(k: int, layer: Layer = layer) -> tuple[str, str]:
            return f"y {number(float(layer.Y[row, k]))}", f"e {number(float(layer.E[row, k]))}"

        _draw_neurons(ax, column, layer, values, label)
    last = columns[-1]
    for k in last.shown:
        ax.text(last.x + 0.25, last.heights[k], layers[-1].neurons[k], ha="left", va="center", fontsize=8)
    _finish(ax, columns, layers)


def _draw_back(
    ax: Any, columns: list[Column], layers: tuple[Layer, ...], row: int, names: tuple[str, ...], update: Update
) -> None:
    for layer, before, after in list(zip(layers, columns, columns[1:], strict=False))[1:]:
        _draw_lines(ax, before, after, layer.W * layer.local[row][:, None], back=True)
    first = layers[0]
    _draw_lines(ax, columns[0], columns[1], first.local[row][:, None] * first.X[row][None, :], faint=True)
    _draw_inputs(ax, columns[0], first.X[row], names)
    for layer, column in zip(layers, columns[1:], strict=True):

        def label(k: int, layer: Layer = layer) -> tuple[str, str]:
            slope = "slope cancels" if layer.kind == "fused" else f"slope {number(float(layer.slope[row, k]))}"
            return f"δ {number(float(layer.signal[row, k]))}", slope

        _draw_neurons(ax, column, layer, layer.signal[row], label)
    last = columns[-1]
    for k in last.shown:
        target = f"target {number(float(update.targets[row, k]))}"
        ax.annotate(
            target, (last.x + RADIUS, last.heights[k]), (last.x + 1.0, last.heights[k]), va="center", fontsize=8,
            arrowprops={"arrowstyle": "->", "color": "grey"},
        )  # fmt: skip
    _finish(ax, columns, layers)


def _draw_lines(
    ax: Any, before: Column, after: Column, sizes: Numbers, back: bool = False, faint: bool = False
) -> None:
    """Draw the connections of two layers, as thick as sizes (n_out, n_in) are large."""
    largest = float(np.max(np.abs(sizes[np.ix_(after.shown, before.shown)]), initial=0.0)) or 1.0
    for k in after.shown:
        for j in before.shown:
            size = float(sizes[k, j])
            if size == 0:
                continue
            share = abs(size) / largest
            start, end = (before.x + RADIUS, before.heights[j]), (after.x - RADIUS, after.heights[k])
            ax.annotate(
                "", *((start, end) if back else (end, start)), zorder=1,
                arrowprops={
                    "arrowstyle": "-" if faint else "-|>", "color": UP if size > 0 else DOWN,
                    "linewidth": THINNEST + (THICKEST - THINNEST) * share * (0.5 if faint else 1.0),
                    "linestyle": ":" if faint else "-", "alpha": 0.25 + 0.65 * share, "shrinkA": 0, "shrinkB": 0,
                },
            )  # fmt: skip


def _draw_inputs(ax: Any, column: Column, values: Numbers, names: tuple[str, ...]) -> None:
    for j in column.shown:
        here = (column.x, column.heights[j])
        ax.plot(*here, "s", color="black", markersize=5, zorder=3)
        ax.text(here[0] - 0.2, here[1], f"{names[j]}\n{number(float(values[j]))}", ha="right", va="center", fontsize=8)


def _draw_neurons(
    ax: Any, column: Column, layer: Layer, values: Numbers, label: Callable[[int], tuple[str, str]]
) -> None:
    """Draw a layer's neurons, filled as far as their values are large among those of the layer."""
    largest = float(np.max(np.abs(values))) or 1.0
    for k in column.shown:
        here, value = (column.x, column.heights[k]), float(values[k])
        share = abs(value) / largest
        ax.plot(*here, "o", color="white", markeredgecolor="black", markersize=17, zorder=3)
        ax.plot(*here, "o", color=UP if value > 0 else DOWN, alpha=0.15 + 0.75 * share, markersize=16, zorder=4)
        inside, below = label(k)
        ax.text(
            *here, str(k), ha="center", va="center", fontsize=8, zorder=6, color="white" if share > 0.6 else "black"
        )
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75}
        ax.text(here[0], here[1] + 0.3, inside, ha="center", va="center", fontsize=8, zorder=5, bbox=box)
        ax.text(
            here[0], here[1] - 0.31, below, ha="center", va="center", fontsize=7, color="#333333", zorder=5, bbox=box
        )


def _finish(ax: Any, columns: list[Column], layers: tuple[Layer, ...]) -> None:
    """Name the layers, say what is not drawn, and put the colours' meaning below."""
    top = max(max(column.heights.values()) for column in columns)
    titles = ["inputs", *(f"{layer.name}\n{layer.activation}" for layer in layers)]
    for column, title in zip(columns, titles, strict=True):
        more = f"\n{column.left_out:,} smaller ones not drawn" if column.left_out else ""
        ax.text(column.x, top + 0.55, title + more, ha="center", va="bottom", fontsize=8, fontweight="bold")
    ax.text(columns[0].x - 1.2, -top - 0.75, "above 0", color=UP, fontsize=8)
    ax.text(columns[0].x - 0.6, -top - 0.75, "below 0", color=DOWN, fontsize=8)
    ax.set(xlim=(columns[0].x - 1.3, columns[-1].x + 1.7), ylim=(-top - 0.9, top + 1.35))
    ax.axis("off")
