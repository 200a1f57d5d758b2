"""The least-squares problem of a linear last layer, in any array library; see `deltarule.engines.LastLayer`."""

from collections.abc import Callable, Iterator

from array_api_compat import array_namespace

from deltarule.engines import Rows
from deltarule.network import Network
from deltarule.special import Array

BLOCK_NUMBERS = 2**22
"""At most about how many hidden outputs exist at once: 32 MiB in float64."""


class ArrayLastLayer:
    """Sums over blocks of Y, a 1 and T side by side, times √s.

    Parameters
    ----------
    network : Network
        All layers.
    predict : callable
        ``predict(a, X)`` returns Y, the outputs of the layers before the last one.
    rows : Rows
        X, T and s.
    """

    def __init__(self, network: Network, predict: Callable[[Array, Array], Array], rows: Rows) -> None:
        *_, self._width, _ = network.sizes
        self._predict, self._rows, self._xp = predict, rows, array_namespace(rows.X)
        self._size, self._n = max(1, BLOCK_NUMBERS // self._width), rows.X.shape[0]
        self._only_block = self._room(0) if self._n <= self._size else None

    def sums(self, a: Array) -> Array:
        """Return [Y 1]ᵀ S [Y 1 T]."""
        k = self._width + 1
        return sum(block[:, :k].T @ block for block in self._blocks(a))

    def left(self, a: Array, B: Array) -> Array:
        """Return (T − [Y 1] Bᵀ)ᵀ S [Y 1]."""
        k, blocks = self._width + 1, self._blocks(a) if self._only_block is None else [self._only_block]
        return sum((block[:, k:] - block[:, :k] @ B.T).T @ block[:, :k] for block in blocks)

    def _blocks(self, a: Array) -> Iterator[Array]:
        """Yield the rows in blocks with borders that depend on the network alone; an only block stays as it is."""
        X, _, s = self._rows
        for start in range(0, self._n, self._size):
            part = slice(start, start + self._size)
            block = self._room(start) if self._only_block is None else self._only_block
            Y = self._predict(a, X[part, :])
            block[:, : self._width] = Y if s is None else Y * self._xp.sqrt(s[part])[:, None]
            yield block

    def _room(self, start: int) -> Array:
        """Return a block from this row on, without the hidden outputs yet."""
        xp, (_, T, s), part = self._xp, self._rows, slice(start, start + self._size)
        one = xp.ones_like(T[part, :1])
        room = xp.concat([one] * (self._width + 1) + [T[part, :]], axis=1)
        return room if s is None else room * xp.sqrt(s[part])[:, None]
