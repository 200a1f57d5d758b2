"""The HTML that notebooks show below scikit-learn's diagram of an estimator: its network and its loss curve."""

from html import escape
from math import isfinite, log10
from typing import Any

WIDTH, HEIGHT, MARGIN = 320, 90, 4


def section(owner: Any) -> str:
    """Return a fitted estimator's network, weights and loss curves as HTML; nothing before it is fitted."""
    if "coefs_" not in vars(owner):
        return ""
    sizes = [owner.coefs_[0].shape[0], *(W.shape[1] for W in owner.coefs_)]
    names = [*(row.name for row in owner._hidden), owner.out_activation_]
    widths = [f"{n} {escape(name)}" for n, name in zip(sizes[1:], names, strict=True)]
    layers = " → ".join([f"{sizes[0]} inputs", *widths])
    count = sum(W.size + b.size for W, b in zip(owner.coefs_, owner.intercepts_, strict=True))
    networks = f"{len(owner.members_)} networks of " if len(owner.members_) > 1 else ""
    curves = [("training", "#29abe2", owner.loss_curve_), ("validation", "#f7931e", owner.validation_loss_curve_ or [])]
    drawn = "".join(_polyline(values, color, curves) for _, color, values in curves)
    legend = ", ".join(
        f'<span style="color:{color}">{name} {values[-1]:.4g}</span>' for name, color, values in curves if values
    )
    return (
        f"<p>{networks}{layers}, {count:,} weights; loss after {len(owner.loss_curve_):,} iterations: {legend}</p>"
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="loss curve">{drawn}</svg>'
    )


def _polyline(values: list[float], color: str, curves: list[tuple[str, str, list[float]]]) -> str:
    """Return a curve over the iterations, with a logarithmic axis for the loss where all losses are above 0."""
    everything = [value for _, _, curve in curves for value in curve if isfinite(value)]
    if len(values) < 2 or not everything:
        return ""
    scale = log10 if min(everything) > 0 else float
    low, high = scale(min(everything)), scale(max(everything))
    across, up = (WIDTH - 2 * MARGIN) / (len(values) - 1), (HEIGHT - 2 * MARGIN) / ((high - low) or 1.0)
    points = " ".join(
        f"{MARGIN + i * across:.1f},{HEIGHT - MARGIN - (scale(value) - low) * up:.1f}"
        for i, value in enumerate(values)
        if isfinite(value)
    )
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
