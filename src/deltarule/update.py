"""How online and mini-batch training moves the weights: what a method hands to an engine.

It stands below both, so that methods need not import engines, nor engines methods.
"""

from typing import Any, NamedTuple, Protocol

from deltarule.special import Array


class Rule(Protocol):
    """An elementwise weight update, such as Adam: see methods/rules.py."""

    @property
    def name(self) -> str:
        """What compiled kernels know it by."""
        ...

    @property
    def n_memory(self) -> int:
        """How many vectors like w it remembers."""
        ...

    def apply(self, xp: Any, w: Array, g: Array, memory: Array, rate: float, count: int) -> None:
        """Update w (p,) and memory (n_memory, p) in place for the gradient g; `count` is 1 the first time."""
        ...


class Update(NamedTuple):
    """How online and mini-batch training moves the weights.

    Parameters
    ----------
    rule : Rule
        What becomes of a weight and its gradient.
    rate : float
        The learning rate η.
    batch_size : int
        Rows per update.
    l2 : float
        Penalty on the squared weights, biases free; the objective fills it in.
    """

    rule: Rule
    rate: float
    batch_size: int
    l2: float
