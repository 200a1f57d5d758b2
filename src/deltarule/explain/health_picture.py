"""The health of neurons over a run, as a picture: the loss, where f′ is small, and the sizes of the updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltarule.errors import SettingError

if TYPE_CHECKING:
    from deltarule.explain.health_recorder import HealthRecorder

MOST_NAMES = 24
"""Neurons whose names fit beside the picture."""


def draw(recorder: HealthRecorder, axes: Any = None) -> Any:
    """Draw three pictures one above the other; return an array of three matplotlib Axes.

    Parameters
    ----------
    recorder : HealthRecorder
        What was recorded.
    axes : three matplotlib Axes, optional
        A new figure unless given.

    Raises
    ------
    SettingError
        If nothing was recorded.
    """
    if not recorder.moments:
        raise SettingError("Nothing was recorded yet: give this to deltarule.train as record=, or use steps.")
    if axes is None:
        import matplotlib.pyplot as plt

        _, axes = plt.subplots(3, 1, figsize=(7.5, 8.5), sharex=True, layout="constrained", height_ratios=(1, 2, 1))
    above, middle, below = axes
    found, last = recorder.arrays(), recorder.moments[-1].health
    step = found["step"]
    above.plot(step, found["loss"], color="#0072B2", label="loss")
    above.axhline(last.baseline, color="#888888", linestyle=":", label="best constant")
    above.set(ylabel="loss", title="loss, with the share of rows that are wrong")
    beside = above.twinx()
    beside.plot(step, found["wrong"], color="#D55E00", linestyle="--", label="wrong rows")
    beside.set(ylim=(-0.02, 1.02), ylabel="wrong rows")
    above.legend(loc="upper right", frameon=False, fontsize=8)
    names = [one.name for one in last.neurons]
    edges = np.append(step, step[-1] + recorder.every)
    mesh = middle.pcolormesh(
        edges, np.arange(len(names) + 1), found["flat_wrong"].T, cmap="magma_r", vmin=0, vmax=1, rasterized=True
    )
    middle.figure.colorbar(mesh, ax=middle, label="share of the wrong rows with a small f′")
    middle.set(title="where f′ is small, neuron by neuron", ylim=(len(names), 0))
    shown = names if len(names) <= MOST_NAMES else []
    middle.set_yticks(np.arange(len(shown)) + 0.5, shown, fontsize=8)
    for k, layer in enumerate(last.layers):
        below.plot(step, found["gradient"][:, k], label=f"gradient {layer.name}", color=f"C{k}")
        below.plot(step, found["update"][:, k], label=f"update {layer.name}", color=f"C{k}", linestyle="--")
    below.set(yscale="log", xlabel="step", ylabel="root mean square", title="gradients and updates, layer by layer")
    below.legend(fontsize=7, frameon=False, ncols=2)
    return np.array([above, middle, below])
