"""What neurons and weights are called: ``hidden1[3] <- age``, ``output[price] <- bias``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from deltarule.errors import SettingError
from deltarule.network import Network

ARROW, BIAS, ANY = "<-", "bias", "*"
LISTED = 8
"""How many names a message lists."""


class Place(NamedTuple):
    """Where a weight is: its layer, its neuron, and its input there, which for a bias is one beyond the last."""

    layer: int
    neuron: int
    source: int


@dataclass(frozen=True)
class Names:
    """The names of a network's neurons and weights.

    Parameters
    ----------
    network : Network
        Sizes and activations.
    inputs, outputs : tuple of str
        The names of columns; numbers stand in their place where there are none.

    Examples
    --------
    >>> names = Names(Network((2, 3, 1)), ("age", "size"), ("price",))
    >>> names.weight(0), names.weight(12)
    ('hidden1[0] <- age', 'output[price] <- bias')
    >>> names.find("hidden1[2] <- size"), names.find("output[0]")
    ([5], [9, 10, 11, 12])
    """

    network: Network
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @cached_property
    def sources(self) -> tuple[tuple[str, ...], ...]:
        """For each layer the names of what its neurons receive, the bias last."""
        first = self.inputs or tuple(f"input[{j}]" for j in range(self.network.n_in))
        return tuple((*before, BIAS) for before in (first, *self.neurons[:-1]))

    @cached_property
    def neurons(self) -> tuple[tuple[str, ...], ...]:
        """For each layer the names of its neurons."""
        named = []
        for layer, width in enumerate(self.network.sizes[1:]):
            last = layer == self.network.depth - 1
            parts = self.outputs if last and self.outputs else [str(k) for k in range(width)]
            named.append(tuple(f"{self.network.layer_name(layer)}[{part}]" for part in parts))
        return tuple(named)

    @cached_property
    def places(self) -> tuple[tuple[int, int, int], ...]:
        """Where each weight is, in the order of w, as plain tuples of a `Place`."""
        found: list[tuple[int, int, int]] = []
        for layer, (n_in, n_out) in enumerate(pairwise(self.network.sizes)):
            found += [(layer, neuron, source) for neuron in range(n_out) for source in range(n_in)]
            found += [(layer, neuron, n_in) for neuron in range(n_out)]
        return tuple(found)

    def place(self, index: int) -> Place:
        """Return where w[index] is."""
        for layer, (i, j, k) in enumerate(self.network.spans):
            if i <= index < k:
                n_in = self.network.sizes[layer]
                neuron, source = divmod(index - i, n_in) if index < j else (index - j, n_in)
                return Place(layer, neuron, source)
        raise IndexError(f"weight {index} of {self.network.n_weights}")

    def index(self, place: Place) -> int:
        """Return the place of a weight in w."""
        i, j, _ = self.network.spans[place.layer]
        n_in = self.network.sizes[place.layer]
        return j + place.neuron if place.source == n_in else i + place.neuron * n_in + place.source

    def weight(self, index: int) -> str:
        """Return what w[index] is called."""
        layer, neuron, source = self.place(index)
        return f"{self.neurons[layer][neuron]} {ARROW} {self.sources[layer][source]}"

    def all(self) -> list[str]:
        """Return the names of all weights, in the order of w."""
        found = []
        for neurons, sources in zip(self.neurons, self.sources, strict=True):
            found += [f"{neuron} {ARROW} {source}" for neuron in neurons for source in sources[:-1]]
            found += [f"{neuron} {ARROW} {BIAS}" for neuron in neurons]
        return found

    def find(self, wanted: str | int | Iterable[str | int]) -> list[int]:
        """Return the indices in w of the weights asked for.

        Parameters
        ----------
        wanted : str, int, or several of them
            An index in w; a name; a neuron, for all weights into it; with ``*`` for either side, as in ``* <- age``.

        Raises
        ------
        SettingError
            If there is no such weight; the message offers the nearest names.
        """
        if isinstance(wanted, str):
            return self._named(wanted)
        if isinstance(wanted, int | np.integer):
            if not 0 <= wanted < self.network.n_weights:
                raise SettingError(
                    f"Weight {wanted} was asked for; this network has 0 to {self.network.n_weights - 1}."
                )
            return [int(wanted)]
        return list(dict.fromkeys(index for one in wanted for index in self.find(one)))

    def _named(self, text: str) -> list[int]:
        target, arrow, source = (part.strip() for part in text.partition(ARROW))
        found = []
        for layer, neuron in self._neurons_called(target):
            sources = list(range(self.network.sizes[layer] + 1))
            if arrow and source != ANY:
                sources = [j for name, j in self._aliases(self.sources[layer], layer).items() if name == source]
            found += [self.index(Place(layer, neuron, one)) for one in sources]
        if not found:
            layers = {layer for layer, _ in self._neurons_called(target)}
            accepted = dict.fromkeys(name for layer in sorted(layers) for name in self.sources[layer])
            raise _unknown(f"input of {target}", source, list(accepted))
        return found

    def _neurons_called(self, target: str) -> list[tuple[int, int]]:
        everything = [(layer, k) for layer, neurons in enumerate(self.neurons) for k in range(len(neurons))]
        if target == ANY:
            return everything
        called = {
            name: (layer, k) for layer in range(self.network.depth) for name, k in self._neuron_aliases(layer).items()
        }
        if target in called:
            return [called[target]]
        raise _unknown("neuron", target, [name for neurons in self.neurons for name in neurons])

    def _neuron_aliases(self, layer: int) -> dict[str, int]:
        name = self.network.layer_name(layer)
        return {f"{name}[{k}]": k for k in range(self.network.sizes[layer + 1])} | {
            neuron: k for k, neuron in enumerate(self.neurons[layer])
        }

    def _aliases(self, sources: Sequence[str], layer: int) -> dict[str, int]:
        """Return the inputs of a layer by their names, and the first ones by their numbers too."""
        numbered = {f"input[{j}]": j for j in range(self.network.n_in)} if layer == 0 else {}
        return numbered | {name: j for j, name in enumerate(sources)}

    def __iter__(self) -> Iterator[str]:
        return iter(self.all())


def _unknown(kind: str, given: str, names: list[str]) -> SettingError:
    near = get_close_matches(given, names, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED:,} more" if len(names) > LISTED else "")
    return SettingError(f"There is no {kind} {given!r}.{hint} Accepted: {listed}, or {ANY} for all.")
