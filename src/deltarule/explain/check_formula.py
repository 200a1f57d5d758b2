"""Is df the slope of f? A user's own activation at many places, each against differences with a computed bound.

Where df is wrong, the mistakes that people make are tried: the slope taken at what goes out, a formula in y that was
given e, a factor, a sign, no slope at all.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule.activations import Activation
from deltarule.errors import SettingError
from deltarule.explain import check_differences
from deltarule.explain.check_differences import Slope

Floats = NDArray[np.float64]
Function = Callable[..., Any]

PLACES = np.concatenate([np.linspace(-6.0, 6.0, 49), [-30.0, -12.0, 12.0, 30.0]])
"""Where e is tried: the steep part, kinks at whole numbers, and the flat ends."""
ROUNDING = 4 * float(np.finfo(float).eps)
"""Relative error allowed to f itself: what a formula of a few operations has."""
COINCIDENCE = 1e-6
"""By what share a guessed formula may differ from a wrong df to be named as the mistake."""


class PlaceCheck(NamedTuple):
    """A place: e, what df gives there, the slope to the left and to the right, their bound, whether it is right."""

    e: float
    given: float
    left: float
    right: float
    bound: float
    fits: bool

    @property
    def kink(self) -> bool:
        """Whether the slope jumps there."""
        return self.left != self.right


@dataclass(frozen=True)
class FormulaCheck:
    """What a check of a formula found.

    Parameters
    ----------
    places : tuple of PlaceCheck
        Every place that was tried and has a finite slope.
    mistake : str
        What the wrong df is, where that is known; empty otherwise.
    notes : tuple of str
        What else is worth knowing, such as digits that are lost.
    """

    places: tuple[PlaceCheck, ...]
    mistake: str = ""
    notes: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether df is the slope at every place."""
        return all(place.fits for place in self.places)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The places where the slope jumps."""
        return tuple(place.e for place in self.places if place.kink)

    @property
    def worst(self) -> PlaceCheck:
        """The place that lies farthest outside its bound, or nearest to it."""
        return max(self.places, key=_excess)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "right": self.right, "mistake": self.mistake, "kinks": list(self.kinks), "notes": list(self.notes),
            "worst": self.worst._asdict(), "places": [place._asdict() for place in self.places],
        }  # fmt: skip

    def __str__(self) -> str:
        worst = self.worst
        kinks = f"; kinks at {', '.join(f'{e:g}' for e in self.kinks)}" if self.kinks else ""
        if self.right:
            lines = [f"df is the slope of f at all {len(self.places)} places{kinks}"]
        else:
            slope = f"{worst.left:.6g}" if not worst.kink else f"{worst.left:.6g} or {worst.right:.6g}"
            wrong = sum(not place.fits for place in self.places)
            lines = [
                f"df is not the slope of f at {wrong} of {len(self.places)} places{kinks}",
                f"  at e = {worst.e:g} it gives {worst.given:.6g}; the slope is {slope}, within {worst.bound:.1e}",
            ]
        lines += [f"  it is {self.mistake}"] if self.mistake else []
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def formula(f: Function | Activation, df: Function | None = None) -> FormulaCheck:
    """Check that df is the slope of f.

    Parameters
    ----------
    f : callable or Activation
        ``f(e)`` for arrays of shape (n,); or a row of the table of activations, which holds both.
    df : callable, optional
        ``df(e)``, or ``df(e, y)`` with y = f(e).

    Returns
    -------
    FormulaCheck
        Whether it is, the worst place with its numbers, kinks, and which common mistake it is.

    Raises
    ------
    SettingError
        If df is missing, or a function does not return an array of the shape it was given.

    Examples
    --------
    >>> import numpy as np
    >>> formula(np.tanh, lambda e, y: 1 - y**2).right
    True
    >>> print(formula(np.tanh, lambda e: 1 - e**2).mistake)
    a formula in what goes out: give it y, not e
    """
    if isinstance(f, Activation):
        f, df = _of_row(f)
    if not callable(f) or not callable(df):
        raise SettingError("formula needs two functions, f(e) and its slope df(e) or df(e, y); or an Activation.")
    slope_of = _with_both(df)
    e = PLACES
    with np.errstate(all="ignore"):
        y = _array("f", f(e), e)
        given = _array("df", slope_of(e, y), e)
        slopes = [_slope(f, place) for place in e]
    places = tuple(
        PlaceCheck(float(place), float(found), slope.left, slope.right, slope.bound, slope.accepts(float(found)))
        for place, found, slope in zip(e, given, slopes, strict=True)
        if np.isfinite(slope.value) and np.isfinite(slope.bound)
    )
    if not places:
        raise SettingError("f is finite nowhere near 0, so that there is no slope to compare df with.")
    if all(place.fits for place in places):
        return FormulaCheck(places, notes=_lost_digits(slope_of, f))
    return FormulaCheck(places, _mistake(places, f, slope_of))


def _of_row(row: Activation) -> tuple[Function, Function]:
    if row.couples:
        raise SettingError(f"{row.name} looks at a whole layer: its slope is a matrix. check.gradient checks it.")
    f, df = row.f, row.df
    return (lambda e: f(np, e)), (lambda e, y: df(np, e, y))


def _with_both(df: Function) -> Function:
    """Return df as a function of e and y, whichever it takes."""
    try:
        parameters = inspect.signature(df).parameters.values()
    except (TypeError, ValueError):  # some functions of NumPy do not tell
        return lambda e, y: df(e)
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(needed) >= 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return df
    return lambda e, y: df(e)


def _array(name: str, values: Any, e: Floats) -> Floats:
    made = np.asarray(values, dtype=float)
    if made.shape == ():
        made = np.broadcast_to(made, e.shape)
    if made.shape != e.shape:
        raise SettingError(f"{name} turns shape {e.shape} into {made.shape}; it must keep the shape.")
    return made


def _slope(f: Function, e: float) -> Slope:
    def value(at: Floats) -> float:
        return float(np.asarray(f(at))[0])

    here = np.array([e])
    near = np.array([e - 0.1 * max(1.0, abs(e)), e, e + 0.1 * max(1.0, abs(e))])  # the ladder's widest step
    largest = float(np.max(np.abs(np.asarray(f(near), dtype=float))))
    if not np.isfinite(largest):
        return Slope(np.nan, np.inf, 0.0, np.nan, np.nan)
    return check_differences.slope(value, here, 0, ROUNDING * largest + 5e-324)


def _excess(place: PlaceCheck) -> float:
    low, high = sorted((place.left, place.right))
    outside = max(low - place.given, place.given - high, 0.0)
    return float(np.nan_to_num(outside / (place.bound + 1e-300), nan=np.inf))


def _mistake(places: tuple[PlaceCheck, ...], f: Function, df: Function) -> str:
    """Return the first common mistake that gives what df gives, at every place without a kink."""
    smooth = [place for place in places if not place.kink and np.isfinite(place.given) and abs(place.e) <= 6]
    if not smooth:
        return ""
    e, given = np.array([place.e for place in smooth]), np.array([place.given for place in smooth])
    slope = np.array([place.left for place in smooth])
    bound = np.array([place.bound for place in smooth])

    def is_near(A: Any, B: Any, scale: float = 1.0) -> bool:
        with np.errstate(all="ignore"):
            near = np.abs(A - B) <= COINCIDENCE * (np.abs(A) + np.abs(B)) + 2 * scale * bound
        return bool(np.all(near))

    if is_near(given, 1.0) and not is_near(slope, 1.0):
        return "1 everywhere: the slope is left out"
    with np.errstate(all="ignore"):
        y = np.asarray(f(e), dtype=float)
        at_y = np.array([_slope(f, float(value)).value for value in y])
        through_y = np.asarray(df(y, y) + 0 * e, dtype=float)
    if is_near(given, at_y):
        return "the slope at what goes out, f′(y): take it at what comes in, f′(e)"
    if is_near(through_y, slope):
        return "a formula in what goes out: give it y, not e"
    size = float(slope @ slope)
    factor = float(given @ slope) / size if size else 0.0
    if factor and is_near(given, factor * slope, abs(factor)):
        return "the slope with its sign reversed" if abs(factor + 1) < 1e-3 else f"the slope times {factor:.6g}"
    return ""


def _lost_digits(df: Function, f: Function) -> tuple[str, ...]:
    """Return a note where a slope has been rounded to 0 that is not 0: the neuron could never learn again."""
    e = np.array([-40.0, -30.0, 30.0, 40.0])
    with np.errstate(all="ignore"):
        near = np.array([-4.0, -3.0, 3.0, 4.0])
        flat = np.asarray(df(e, np.asarray(f(e))) + 0 * e) == 0
        steep = np.asarray(df(near, np.asarray(f(near))) + 0 * near) != 0
    lost = e[flat & steep]
    if not len(lost):
        return ()
    return (
        f"df is exactly 0 at e = {', '.join(f'{value:g}' for value in lost)}, perhaps from rounding: "
        "a formula in e keeps the small slope that one in y loses",
    )
