"""Methods: ways to choose the next w.

A method is frozen hyper-parameters and two functions. It knows no networks, no data and no array library; it uses
the objective's functions, the operators ``+ - * @`` and what every array library has. It never prints, stops or
catches: stop rules are the user's.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from deltarule.errors import SettingError, unknown
from deltarule.methods import line_search, matlab, rules, schedules
from deltarule.methods.bayesian_regularization import BayesianRegularization
from deltarule.methods.conjugate_gradient import ConjugateGradient
from deltarule.methods.gradient_descent import GradientDescent
from deltarule.methods.lbfgs import LBFGS
from deltarule.methods.levenberg_marquardt import LevenbergMarquardt
from deltarule.methods.newton_cg import NewtonCG
from deltarule.methods.online import Online
from deltarule.methods.rprop import Rprop
from deltarule.methods.scaled_conjugate_gradient import ScaledConjugateGradient
from deltarule.special import Array

__all__ = [
    "ALIASES", "LBFGS", "METHODS", "BayesianRegularization", "ConjugateGradient", "GradientDescent",
    "LevenbergMarquardt", "Method", "NewtonCG", "Online", "Rprop", "ScaledConjugateGradient", "State",
    "check_needs", "check_state", "get", "line_search", "rules", "schedules",
]  # fmt: skip


class State(Protocol):
    """All that a run needs to go on, bit for bit; a NamedTuple. Batch methods add `grad`."""

    @property
    def w(self) -> Array:
        """The weights."""
        ...

    @property
    def loss(self) -> float:
        """The objective at w; for online methods the running mean over the epoch."""
        ...

    @property
    def stuck(self) -> str:
        """Why the method can go no further, or an empty string."""
        ...


class Method(Protocol):
    """A way to choose the next w."""

    @property
    def name(self) -> str:
        """Its name in the table."""
        ...

    @property
    def version(self) -> int:
        """The version of its arithmetic: another one may give other bits, so a run does not go on with it."""
        ...

    @property
    def needs(self) -> Sequence[str]:
        """The functions of the objective that it uses."""
        ...

    def start(self, objective: Any, w: Array) -> Any:
        """Return the state at w."""
        ...

    def step(self, objective: Any, state: Any) -> Any:
        """Return the next state."""
        ...


METHODS: dict[str, Any] = {row.name: row for row in (
    Online, GradientDescent, ConjugateGradient, Rprop, ScaledConjugateGradient, LBFGS, LevenbergMarquardt,
    BayesianRegularization, NewtonCG,
)}  # fmt: skip
"""All methods by name."""

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "sequential": ("online", {}),
    "incremental": ("online", {}),
    "adapt": ("online", {}),
    "trains": ("online", {}),
    "sgd": ("online", {}),
    "adam": ("online", {"learning_rate": 0.001, "batch_size": 32, "rule": "adam"}),
    "gd": ("gradient_descent", {}),
    "batch": ("gradient_descent", {}),
    "traingd": ("gradient_descent", {}),
    "traingdm": ("gradient_descent", {"momentum": 0.9}),
    "traingda": ("gradient_descent", {"adaptive": True}),
    "traingdx": ("gradient_descent", {"adaptive": True, "momentum": 0.9}),
    "trainrp": ("rprop", {"variant": "rprop-"}),
    "resilient": ("rprop", {}),
    "irprop+": ("rprop", {"variant": "irprop+"}),
    "irprop-": ("rprop", {"variant": "irprop-"}),
    "rprop+": ("rprop", {"variant": "rprop+"}),
    "rprop-": ("rprop", {"variant": "rprop-"}),
    "cg": ("conjugate_gradient", {}),
    "traincgb": ("conjugate_gradient", {"beta": "powell_beale"}),
    "traincgp": ("conjugate_gradient", {"beta": "polak_ribiere"}),
    "traincgf": ("conjugate_gradient", {"beta": "fletcher_reeves"}),
    "scg": ("scaled_conjugate_gradient", {}),
    "trainscg": ("scaled_conjugate_gradient", {}),
    "l-bfgs": ("lbfgs", {}),
    "bfgs": ("lbfgs", {"memory": 200}),
    "trainbfg": ("lbfgs", {"memory": 200}),
    "trainoss": ("lbfgs", {"memory": 1}),
    "lm": ("levenberg_marquardt", {}),
    "trainlm": ("levenberg_marquardt", {"damping": "matlab", "scaling": "identity", "projection": False}),
    "levenberg-marquardt": ("levenberg_marquardt", {}),
    "trainbr": ("bayesian_regularization", {}),
    "hessian_free": ("newton_cg", {}),
    "hf": ("newton_cg", {}),
}
"""Other common names, MATLAB's among them, with the settings they stand for."""


NEAREST: dict[str, str] = {
    "trainb": "gradient_descent",
    "trainc": "online",
    "trainr": "online",
}
"""Names of other packages' methods that are not here, and what is nearest."""


def get(method: Any, **settings: Any) -> Method:
    """Return a method from its name or alias and settings; a method object passes through.

    Raises
    ------
    SettingError
        If the name is unknown, or a setting is unknown or out of range.

    Examples
    --------
    >>> get("traingdx").momentum
    0.9
    """
    if not isinstance(method, str):
        if isinstance(method, type) or not callable(getattr(method, "step", None)):
            raise unknown("method", method, METHODS)
        if settings:
            raise SettingError(f"{method!r} has its settings already; give {', '.join(settings)} when it is made.")
        return method  # type: ignore[no-any-return]
    name, preset = ALIASES.get(method, (method, {}))
    if name in NEAREST:
        raise SettingError(
            f"The method {name!r} is not here; the nearest is {NEAREST[name]!r}. Accepted: "
            f"{', '.join([*METHODS, *ALIASES])}."
        )
    if name not in METHODS:
        raise unknown("method", method, METHODS, ALIASES)
    made = METHODS[name]
    accepted = [key for key, row in made.__dataclass_fields__.items() if row.init]
    for key in settings:
        if key not in accepted:
            refused = unknown(f"setting of {name}", key, accepted)
            raise SettingError(f"{refused} {matlab.advice(name, key)}".rstrip())
    return made(**{**preset, **settings})  # type: ignore[no-any-return]


def check_needs(method: Method, objective: Any) -> None:
    """Refuse a method whose needs the objective does not meet, before any work.

    Raises
    ------
    SettingError
        If the objective lacks a function the method uses; the message names the methods that would work.
    """
    lacking = [need for need in method.needs if not callable(getattr(objective, need, None))]
    if lacking:
        works = [
            name
            for name, made in METHODS.items()
            if all(callable(getattr(objective, need, None)) for need in made.needs)
        ]
        raise SettingError(
            f"The method {method.name} needs {', '.join(lacking)}, which this objective does not have; "
            f"use {' or '.join(works) or 'another objective'}."
        )


def check_state(method: Method, state: Any, objective: Any) -> None:
    """Refuse a state that a run of this method on this objective cannot go on from.

    A method's own class of states is its attribute `state_type`; one that has none is not asked.

    Raises
    ------
    SettingError
        If it is another method's state, no state at all, or that of another network or rule.
    """
    accepted = getattr(method, "state_type", None)
    if accepted is None:
        return
    if not isinstance(state, accepted):
        of = next((f", of {name}" for name, made in METHODS.items() if isinstance(state, made.state_type)), "")
        raise SettingError(
            f"state was a {type(state).__name__}{of}; {method.name} goes on from {accepted.__name__}, the state of a "
            "result of its own. To go on from the weights of another, give these as w and no state."
        )
    needed, memory = getattr(objective, "n_weights", None), getattr(state, "memory", None)
    if needed is not None and tuple(state.w.shape) != (needed,):
        raise SettingError(
            f"state has {state.w.shape[0]:,} weights; this network has {needed:,}. Give a state of the same network."
        )
    rule = getattr(method, "rule", None)
    if memory is not None and rule is not None and memory.shape[0] != rule.n_memory:
        raise SettingError(
            f"state belongs to another rule than {rule.name}, which remembers {rule.n_memory} numbers a weight, not "
            f"{memory.shape[0]}. Give a state of the same rule, or its weights as w and no state."
        )
