"""Callbacks of scikit-learn, from version 1.9: hooks before and after each fit and each iteration of it.

Older versions know no callbacks; an estimator then has no `set_callbacks`, and `fit` calls nobody.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

Fit = TypeVar("Fit", bound=Callable[..., Any])

try:
    from sklearn import callback  # type: ignore[import-untyped]
except ImportError:
    callback = None


class Unsupported:
    """What estimators inherit from where there are no callbacks: nothing."""


Supported: Any = Unsupported if callback is None else callback.CallbackSupportMixin
"""What estimators inherit from: scikit-learn's `set_callbacks`, or nothing."""


def in_context(fit: Fit) -> Fit:
    """Return a `fit` after which scikit-learn tears its callbacks down, whether it fails or not."""
    return fit if callback is None else cast("Fit", callback.with_callbacks(fit))


class Watch(Protocol):
    """Told before and after each iteration."""

    def begin(self) -> None:
        """Be told that an iteration begins."""
        ...

    def end(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Be told that it has ended, with a function for the attributes of the estimator as it now is; True stops."""
        ...

    def close(self) -> None:
        """Be told that no more will follow."""
        ...


class Nobody:
    """Watches nothing."""

    def begin(self) -> None:
        """Do nothing."""

    def end(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Return False: go on."""
        return False

    def close(self) -> None:
        """Do nothing."""


class Callbacks:
    """Calls scikit-learn's hooks for a fit and its iterations.

    Parameters
    ----------
    estimator : estimator
        The one being fitted, with callbacks set.
    iterations : int
        How many there will be at most.
    data : dict
        X, y and metadata, as the hooks are told them.
    """

    def __init__(self, estimator: Any, iterations: int, data: dict[str, Any]) -> None:
        self.told = {"estimator": estimator, **data}
        self.fit = estimator._init_callback_context(max_subtasks=iterations)
        self.fit.call_on_fit_task_begin(**self.told)
        self.iteration: Any = None

    def begin(self) -> None:
        """Tell that an iteration begins."""
        self.iteration = self.fit.subcontext(task_name="iteration")
        self.iteration.call_on_fit_task_begin(**self.told)

    def end(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """Tell that it has ended, and return whether a callback wants to stop."""
        return bool(self.iteration.call_on_fit_task_end(**self.told, reconstruction_attributes=fitted))

    def close(self) -> None:
        """Tell that the fit has ended."""
        self.fit.call_on_fit_task_end(**self.told, reconstruction_attributes=dict)


def watch(estimator: Any, iterations: int, data: dict[str, Any]) -> Watch:
    """Return what calls the callbacks of an estimator; see `Callbacks`."""
    there = vars(estimator).get("_skl_callbacks")
    return Callbacks(estimator, iterations, data) if there else Nobody()
