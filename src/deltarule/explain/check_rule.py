"""Which rule is your code using? A user's gradient against backpropagation with every mistake that is known.

Each known rule is computed on several draws of weights and rows, and the number by which it must be multiplied to give
what the user's function gives is found by least squares. A rule counts as found if it agrees, with the same number, on
every draw, to within rounding; of several the one with the fewest mistakes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltarule import losses
from deltarule.errors import InputError, SettingError
from deltarule.explain.check_mistakes import Rule, Setting, rules
from deltarule.losses import Loss
from deltarule.network import Network

Floats = NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]
Function = Callable[[Any, Floats, Floats], Any]

DRAWS, ROWS = 3, 7
"""Draws of weights and rows; rows in each. Seven is no other number that a gradient might be multiplied by."""
L2 = 0.3
AGREEMENT = 1e-9
"""Relative error of a rule that agrees, for functions in double precision: far above rounding, far below a mistake."""
AGREEMENT_SINGLE = 1e-4
"""The same for functions that return single precision."""
WIDTH = 3
"""Width of each layer of the network that is tried: all alike, so that no mistake is found out by its shape."""


@dataclass(frozen=True)
class RuleCheck:
    """Which rule a function follows.

    Parameters
    ----------
    rule : Rule or None
        The rule it follows; None if none of those known.
    factor : float
        What the rule's gradient, the mean over the rows, is multiplied by.
    mistakes : tuple of str
        What differs from the gradient of the mean loss, in words; empty where nothing does.
    names : tuple of str
        The same for programs, such as ``slopes:omit_hidden``, ``factor:sum``.
    cosine : float
        Cosine of the angle between the function's result and the gradient: 1 is the same direction.
    wrong_way : float
        Share of weights that it moves the other way than the gradient does.
    layers : dict of str to bool
        Whether each layer's part is the gradient up to a number.
    """

    rule: Rule | None
    factor: float
    mistakes: tuple[str, ...]
    names: tuple[str, ...]
    cosine: float
    wrong_way: float
    layers: dict[str, bool]

    @property
    def right(self) -> bool:
        """Whether it is the gradient of the mean loss, or of the sum over the rows."""
        return self.rule is not None and set(self.names) <= {"factor:sum"}

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "right": self.right, "known": self.rule is not None, "mistakes": list(self.mistakes),
            "names": list(self.names), "factor": self.factor, "cosine": self.cosine, "wrong_way": self.wrong_way,
            "layers": self.layers,
        }  # fmt: skip

    def __str__(self) -> str:
        if self.rule is None:
            right = [name for name, is_right in self.layers.items() if is_right]
            lines = ["This is not the gradient, nor any mistake that is known."]
            lines.append(f"  right up to a number: {', '.join(right) or 'no layer'}")
        elif not self.names:
            lines = ["This is the gradient of the mean loss."]
        elif self.right:
            lines = ["This is the gradient of the sum over the rows: divide by their number for the mean loss."]
        else:
            lines = ["This is the gradient, but for:", *(f"  - {mistake}" for mistake in self.mistakes)]
        if not self.right:
            lines.append(f"  cosine to the gradient {self.cosine:.3f}; {self.wrong_way:.0%} of weights the wrong way")
        return "\n".join(lines)


def rule(
    function: Function,
    *,
    network: Network | None = None,
    loss: str | Loss = "squared_error",
    l2: float = 0.0,
    flat: bool = False,
    seed: int = 0,
) -> RuleCheck:
    """Say which rule a gradient function follows.

    Parameters
    ----------
    function : callable
        ``function(layers, X, T)`` with a list of (W, b), W of shape (n_out, n_in), X (n, n_in) and T (n, n_out). It
        returns the gradient as a list of (dW, db), or as a flat vector of the same order.
    network : Network, optional
        The network that the function computes; 3-3-3-3 with logistic neurons unless given. One with several layers of
        one width tells most mistakes apart.
    loss : str or Loss
        What it differentiates; the squared error of a row is ½ Σ (y − t)².
    l2 : float
        The penalty ½ · l2 · Σ W², biases free, that the function adds to the mean loss.
    flat : bool
        Whether it is called with the flat w instead of layers.
    seed : int
        Seed of the weights and rows that are tried.

    Returns
    -------
    RuleCheck
        The mistakes by name, how far the direction is from the gradient's, and which layers are right.

    Raises
    ------
    SettingError
        If the function cannot be called so, or loss and network do not fit.
    InputError
        If what it returns has another shape, or is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> def mine(layers, X, T):
    ...     Y = [X]
    ...     for W, b in layers:
    ...         Y.append(1 / (1 + np.exp(-(Y[-1] @ W.T + b))))
    ...     delta, found = T - Y[-1], []
    ...     for i in reversed(range(len(layers))):
    ...         local = delta * Y[i + 1] * (1 - Y[i + 1])
    ...         found.append((-local.T @ Y[i] / len(X), -local.mean(axis=0)))
    ...         delta = delta @ layers[i][0]
    ...     return found[::-1]
    >>> print(rule(mine).mistakes[0])
    the AGH rule: δ passed back through the weights without f′, which multiplies only the update
    """
    network = Network((WIDTH,) * 4, ("logistic",) * 3) if network is None else network
    loss = losses.get(loss)
    loss.check_pair(network.activations[-1])
    if not callable(function):
        raise SettingError(f"The function was {function!r}; give one that is called as function(layers, X, T).")
    if any(row.couples for row in network.activations) and not loss.fuses(network.activations[-1]):
        raise SettingError("softmax outputs need the loss cross_entropy here; give that, or other outputs.")
    settings = [_draw(network, loss, l2, [seed, draw]) for draw in range(DRAWS)]
    given, agreement = [], AGREEMENT
    for setting in settings:
        vector, single = _called(function, setting, flat)
        given.append(vector)
        agreement = AGREEMENT_SINGLE if single else agreement
    for candidate in rules():
        factor = _factor(candidate, settings, given, agreement)
        if factor is not None:
            return _found(candidate, factor, settings, given, agreement)
    return _found(None, float("nan"), settings, given, agreement)


def _draw(network: Network, loss: Loss, l2: float, seed: Sequence[int]) -> Setting:
    """Return weights and rows on which no two rules agree by chance."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, network.n_in))
    T = rng.uniform(0.1, 0.9, (ROWS, network.n_out))
    if loss.name == "cross_entropy":
        T = T / T.sum(axis=1, keepdims=True)
    return Setting(network, loss, l2, rng.uniform(-1.5, 1.5, network.n_weights), X, T)


def _called(function: Function, setting: Setting, flat: bool) -> tuple[Floats, bool]:
    """Return what a function returns as a flat vector, and whether it is of single precision."""
    network, w = setting.network, setting.w.copy()
    layers: Layers = [(W.copy(), b.copy()) for W, b in network.layers(w)]
    try:
        returned = function(w if flat else layers, setting.X.copy(), setting.T.copy())
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        how = "(w, X, T)" if flat else "(layers, X, T) with a list of (W, b)"
        raise SettingError(f"The function failed when called with {how}: {error}") from error
    parts = [np.asarray(returned)] if isinstance(returned, np.ndarray) else []
    if not parts:
        try:
            parts = [np.asarray(part) for pair in returned for part in pair]
        except TypeError:
            raise InputError(f"The function returned {returned!r}; return a list of (dW, db).") from None
        shapes = [np.shape(part) for pair in layers for part in pair]
        if [part.shape for part in parts] != shapes:
            found = ", ".join(str(part.shape) for part in parts)
            raise InputError(f"The gradient's arrays have shapes {found}; {', '.join(map(str, shapes))} are needed.")
    vector = np.concatenate([part.reshape(-1) for part in parts]).astype(float)
    if vector.shape != w.shape or not np.all(np.isfinite(vector)):
        raise InputError(f"The gradient has shape {vector.shape}; {w.shape[0]} finite numbers are needed.")
    return vector, any(part.dtype == np.float32 for part in parts)


def _factor(candidate: Rule, settings: list[Setting], given: list[Floats], agreement: float) -> float | None:
    """Return the number that turns a rule's gradient into what was given, on every draw; None if there is none.

    The penalty is not divided by the number of rows, so a sum over rows multiplies the data's part alone.
    """
    found: list[float] = []
    for setting, vector in zip(settings, given, strict=True):
        parts = setting.gradient(candidate)
        if parts is None or not np.any(vector):
            return None
        data, penalty = parts
        if np.any(penalty) and candidate.penalty != "forgotten":
            factor = _of_sum(data, penalty, vector, agreement) or _ratio(data + penalty, vector)
            made = factor * data + (penalty if factor == ROWS else factor * penalty)
        else:
            factor = _ratio(data, vector)
            made = factor * data
        if np.max(np.abs(made - vector)) > agreement * np.max(np.abs(vector)):
            return None
        found.append(factor)
    same = max(found) - min(found) <= 100 * agreement * abs(found[0])
    return found[0] if same and found[0] else None


def _of_sum(data: Floats, penalty: Floats, vector: Floats, agreement: float) -> float:
    """Return the number of rows if what is given is the sum over them plus one penalty, otherwise 0."""
    made = ROWS * data + penalty
    return float(ROWS) if np.max(np.abs(made - vector)) <= agreement * np.max(np.abs(vector)) else 0.0


def _ratio(made: Floats, vector: Floats) -> float:
    size = float(made @ made)
    return float(made @ vector) / size if size else 0.0


def _found(
    found: Rule | None, factor: float, settings: list[Setting], given: list[Floats], agreement: float
) -> RuleCheck:
    true = [setting.gradient(Rule()) for setting in settings]
    gradients = [np.add(*parts) for parts in true if parts is not None]
    g, v = np.concatenate(gradients), np.concatenate(given)
    size = float(np.linalg.norm(g) * np.linalg.norm(v))
    mistakes, names = (found.mistakes, found.names) if found is not None else ((), ())
    if found is not None:
        said, name = _said(factor, settings[0].network, found)
        mistakes, names = (*mistakes, *said), (*names, *name)
    return RuleCheck(
        found, factor, mistakes, names, float(g @ v) / size if size else 0.0, float(np.mean(g * v < 0)),
        _right_layers(settings[0].network, gradients, given, agreement),
    )  # fmt: skip


def _said(factor: float, network: Network, found: Rule) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a factor means, in words and by name."""
    rows = ROWS if found.rows == "right" else 1
    numbers = {
        float(rows): ("the sum over the rows, not their mean", "factor:sum"),
        2.0 * rows: ("the sum over the rows, and a factor 2, as of (y − t)² without the ½", "factor:2sum"),
        0.5 * rows: ("the sum over the rows, and a factor ½ too small", "factor:halfsum"),
        1.0 / rows: ("divided by the number of rows twice", "factor:1/rows"),
        1.0 / network.n_out: ("divided by the number of outputs: the mean over them", "factor:1/outputs"),
        2.0 / network.n_out: ("divided by half the number of outputs: the mean of (y − t)²", "factor:2/outputs"),
        2.0: ("a factor 2, as of (y − t)² without the ½", "factor:2"),
        0.5: ("a factor ½ too small", "factor:half"),
        1.0: ("", ""),
    }
    said, names = [], []
    if factor < 0:
        said.append("the sign flipped: it points downhill, so it must be added, not subtracted")
        names.append("factor:sign")
    for number, (words, name) in numbers.items():
        if abs(abs(factor) - number) <= 1e-6 * number:
            return (*said, *([words] if words else [])), (*names, *([name] if name else []))
    return (*said, f"multiplied by {abs(factor):.6g}"), (*names, "factor:other")


def _right_layers(network: Network, gradients: list[Floats], given: list[Floats], agreement: float) -> dict[str, bool]:
    right = {}
    for layer, (i, _, k) in enumerate(network.spans):
        g, v = np.concatenate([part[i:k] for part in gradients]), np.concatenate([part[i:k] for part in given])
        factor = _ratio(g, v)
        fits = np.max(np.abs(factor * g - v)) <= 100 * agreement * np.max(np.abs(v))
        right[network.layer_name(layer)] = bool(factor != 0 and fits)
    return right
