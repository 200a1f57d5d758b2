"""Passes over the rows, counted: the fair unit between methods."""

from collections.abc import Callable
from typing import Any

from deltarule.special import Array


class Counted:
    """An objective that counts passes over the rows, whatever they are for.

    A projected objective adds those in which it solves for the last layer.
    """

    def __init__(self, objective: Any) -> None:
        self.objective = objective
        self._passes, self._solves = 0.0, hasattr(objective, "solving_passes")
        for name in ("value", "value_grad", "gauss_newton", "gauss_newton_product", "residuals", "epoch"):
            found = getattr(objective, name, None)
            if found is not None:
                counts = {"epoch": self._count_epoch, "value_grad": self._count_value_grad}.get(name, self._count)
                setattr(self, name, counts(found))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)

    @property
    def passes(self) -> float:
        """Passes so far."""
        return self._passes + self._solving if self._solves else self._passes

    @passes.setter
    def passes(self, passes: float) -> None:
        self._passes = passes - self._solving

    @property
    def _solving(self) -> float:
        return float(self.objective.solving_passes) if self._solves else 0.0

    def _count(self, found: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            self._passes += 1.0
            return found(*arguments)

        return counted

    def _count_value_grad(self, found: Callable[..., Any]) -> Callable[..., Any]:
        """Return what `_count` does, for the function that is called most: its one argument by name takes less time."""

        def counted(w: Array) -> Any:
            self._passes += 1.0
            return found(w)

        return counted

    def _count_epoch(self, found: Callable[..., Any]) -> Callable[..., Any]:
        def counted(w: Array, memory: Array, count: int, order: Array, update: Any) -> Any:
            self._passes += len(order) / self.objective.n_rows
            return found(w, memory, count, order, update)

        return counted
