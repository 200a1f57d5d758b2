"""An update record as people read it: tables of neurons and weights, and the whole chain behind one weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from deltarule.explain.grids import Grid, number, share
from deltarule.explain.grids import text as text_of

if TYPE_CHECKING:
    from deltarule.explain.backward import Layer
    from deltarule.explain.step import Update, Wanted

MOST_WEIGHTS, MOST_NEURONS, MOST_PATHS = 12, 6, 4
"""So many are shown, the largest ones; `to_dict` and `frame` have all."""
ALONE = 3
"""Up to so many weights that were asked for are told one by one, with the way of δ down to the loss."""
MOST_TERMS = 4
"""With more terms than this, what a method adds is shown as one column."""


def text(update: Update, weights: Wanted) -> str:
    """Return the record as lines: each weight's chain where few were asked for, else tables."""
    found = [] if weights is None else update.find(weights)
    if not 0 < len(found) <= ALONE:
        return text_of(grids(update, weights))
    return "\n\n".join([_header(update), *("\n".join(_told(update, index)) for index in found), _sum(update)])


def grids(update: Update, weights: Wanted) -> list[Grid]:
    """Return the tables: what the step was, the neurons, the weights."""
    indices = np.array(update.find(weights))
    furthest = indices[np.argsort(-np.abs(update.step[indices]), kind="stable")]
    shown = furthest[:MOST_WEIGHTS] if weights is None else indices
    weighed = _one_row(update, shown) if update.n_rows == 1 else _several_rows(update, shown)
    left = len(indices) - len(shown)
    if left:
        weighed = weighed._replace(note=f"and {left:,} more weights that moved less\n{weighed.note}".rstrip())
    return [
        Grid(_header(update), (), []),
        *(_neurons(update, layer) for layer in reversed(update.layers)),
        weighed,
        Grid(_sum(update), (), []),
    ]


def _header(update: Update) -> str:
    network = update.names.network
    rows = update.rows[0] if update.n_rows == 1 else f"{update.n_rows:,} rows, {update.rows[0]} to {update.rows[-1]}"
    activations = " ".join(activation.name for activation in network.activations)
    lines = [
        f"One step of {update.method} on {rows}",
        f"network {'-'.join(map(str, network.sizes))}, {activations}; {update.loss}",
    ]
    settings = [
        f"{name} {value if isinstance(value, str) else number(value)}"
        for name, value in update.account.settings.items()
    ]
    lines += [", ".join(settings)] if settings else []
    return "\n".join([*lines, *update.account.notes])


def _sum(update: Update) -> str:
    names = " + ".join(term.name for term in update.account.terms[:MOST_TERMS])
    more = " + …" if len(update.account.terms) > MOST_TERMS else ""
    worst = int(np.argmax(update.error))
    return (
        f"new = old + {names}{more}\n"
        f"holds for all {len(update.before):,} weights; largest rounding error {number(float(update.error[worst]))}, "
        f"allowed there {number(float(update.bound[worst]))}"
    )


def _neurons(update: Update, layer: Layer) -> Grid:
    """Return what a layer's neurons received, put out and were told; for several rows their means."""
    order = np.argsort(-np.abs(layer.local).mean(axis=0), kind="stable")[:MOST_NEURONS]
    factors = {"plain": ("δ", "f′(e)"), "fused": ("−∂loss/∂e", "f′"), "softmax": ("δ − Σ δ y", "y")}[layer.kind]
    is_output, one = layer.number == len(update.layers) - 1, update.n_rows == 1
    header = ("neuron", *(("target",) if is_output else ()), "e", "y", *factors, "δ · f′")
    if not one:
        header = ("neuron", *(f"mean {name}" for name in header[1:]))
    rows = []
    for k in order:
        target = (number(float(update.targets[:, k].mean())),) if is_output else ()
        numbers = (layer.E, layer.Y, layer.signal, layer.slope, layer.local)
        cells = [number(float(A[:, k].mean())) for A in numbers]
        if layer.kind == "fused":
            cells[3] = "cancels"
        rows.append((layer.neurons[k], *target, *cells))
    left = len(layer.neurons) - len(order)
    return Grid(f"{layer.name}, {layer.activation}", header, rows, f"and {left:,} more neurons" if left else "")


def _one_row(update: Update, indices: np.ndarray) -> Grid:
    """Return the factors of each weight, and what the method adds."""
    extra, header = _extra(update)
    rows = []
    for index in indices.tolist():
        factors = update.factors(index)
        rows.append((
            factors.weight, number(factors.rate), number(factors.delta), number(factors.slope), number(factors.input),
            number(float(update.account.terms[0].values[index])), *(number(float(part[index])) for part in extra),
            number(float(update.before[index])), number(float(update.after[index])),
        ))  # fmt: skip
    columns = ("weight", "rate", "δ", "f′", "input", "product", *header, "old", "new")
    return Grid(f"{update.account.terms[0].formula}", columns, rows)


def _several_rows(update: Update, indices: np.ndarray) -> Grid:
    """Return the sum over the rows for each weight, how much of it cancels, and what the method adds."""
    extra, header = _extra(update)
    rows = [
        (
            update.names.weight(index), number(float(update.data[index])), share(float(update.cancellation[index])),
            number(float(update.account.terms[0].values[index])), *(number(float(part[index])) for part in extra),
            number(float(update.before[index])), number(float(update.after[index])),
        )
        for index in indices.tolist()
    ]  # fmt: skip
    columns = ("weight", "mean δ·f′·input", "|Σ|/Σ| |", "times rate", *header, "old", "new")
    note = "|Σ|/Σ| |: 100 % where all rows pull the same way, near 0 where they cancel"
    return Grid(f"{update.account.terms[0].formula}", columns, rows, note)


def _extra(update: Update) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Return the terms after the first one, or their sum where they are many."""
    rest = update.account.terms[1:]
    if len(rest) <= MOST_TERMS - 1:
        return [term.values for term in rest], tuple(term.name for term in rest)
    names = sorted({term.name.split()[0] for term in rest})
    return [np.sum([term.values for term in rest], axis=0)], (f"{len(rest)} terms: {', '.join(names)}",)


def _told(update: Update, index: int) -> Iterator[str]:
    """Yield the chain behind one weight: its factors, and its neuron's error signal down to the loss."""
    place, terms = update.names.place(index), update.account.terms
    old, new = (number(float(A[index])) for A in (update.before, update.after))
    yield f"{update.names.weight(index)}"
    yield f"  new {new} = old {old} + " + " + ".join(f"({number(float(term.values[index]))})" for term in terms)
    for term in terms:
        yield f"    {number(float(term.values[index])):>10}  {term.name}: {term.formula}"
    if update.n_rows > 1:
        yield from _by_rows(update, index)
        return
    f = update.factors(index)
    rate = "" if f.rate is None else f"{number(f.rate)} · "
    yield f"  {rate}{number(f.delta)} · {number(f.slope)} · {number(f.input)}"
    yield f"  {'rate · ' if rate else ''}δ · f′(e) · input, all from the weights before the step"
    yield from _signal(update, place.layer, place.neuron)


def _by_rows(update: Update, index: int) -> Iterator[str]:
    """Yield which rows push a weight up, which down, and which most."""
    each = update.contributions(index)
    up, down = int((each > 0).sum()), int((each < 0).sum())
    yield (
        f"  {up:,} rows push it up by {number(float(each[each > 0].sum()))}, {down:,} down by "
        f"{number(float(-each[each < 0].sum()))}; what remains is {share(float(update.cancellation[index]))} of that"
    )
    for row in np.argsort(-np.abs(each), kind="stable")[:MOST_PATHS].tolist():
        f = update.factors(index, row)
        yield (
            f"    {number(f.product):>10}  {f.row}: δ {number(f.delta)} · f′ {number(f.slope)} · "
            f"input {number(f.input)}"
        )


def _signal(update: Update, first: int, neuron: int) -> Iterator[str]:
    """Yield where a neuron's error signal comes from, and from where that comes, layer by layer down to the loss."""
    told = [neuron]
    for here in update.layers[first:]:
        indent, following = "  " * (here.number - first + 1), dict[int, float]()
        for k in told:
            e, y, delta = (float(A[0, k]) for A in (here.E, here.Y, here.delta))
            at = f"{indent}{here.neurons[k]}: e {number(e)}, y {number(y)}; δ {number(delta)}"
            if here is update.layers[-1]:
                yield f"{at} = {_source(update, k)}"
                continue
            yield f"{at} = Σ weight · δ · f′ over what it feeds"
            paths = update.paths(here.neurons[k])
            for path in paths[:MOST_PATHS]:
                yield (
                    f"{indent}  {number(path.share):>10} = {number(path.weight)} · {number(path.delta)} · "
                    f"{number(path.slope)}  by {path.neuron}"
                )
                after = update.layers[here.number + 1].neurons.index(path.neuron)
                following[after] = max(following.get(after, 0.0), abs(path.share))
            rest = paths[MOST_PATHS:]
            if rest:
                together = number(sum(path.share for path in rest))
                yield f"{indent}  {together:>10}   by {len(rest):,} more neurons together"
        told = sorted(following, key=lambda k: -following[k])[:MOST_PATHS]


def _source(update: Update, neuron: int) -> str:
    """Return how an output's error signal comes from the loss."""
    target, y = float(update.targets[0, neuron]), float(update.layers[-1].Y[0, neuron])
    if update.layers[-1].kind == "fused":
        return f"target − y = {number(target)} − {number(y)}: −∂loss/∂e of {update.loss}, in which f′ has cancelled"
    if update.loss == "squared_error":
        return f"target − y = {number(target)} − {number(y)}"
    return f"−∂loss/∂y of {update.loss} at y {number(y)}, target {number(target)}"
