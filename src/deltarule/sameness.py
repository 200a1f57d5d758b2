"""Whether a call is the one that a run was begun with, in words of JSON: its method, network, rows and precision.

A run goes on bit for bit only with the same ones, so everything else is refused by name. When to stop may differ: it
does not change the way. Another version of deltarule or NumPy, or another engine, is noted: it may round differently.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from deltarule.activations import Activation
from deltarule.compiled import kernels
from deltarule.engines import native
from deltarule.errors import InputError
from deltarule.runfile import digest_of

NAMES = {
    "call": "the call",
    "precision": "the precision",
    "method": "the method",
    "method_version": "the version of the method",
    "network": "the network",
    "loss": "the loss",
    "l2": "l2",
    "plan": "the plan",
}
"""What must be the same, in the order in which differences are told."""
DATA = "data"
NOTED = {"versions": "what is installed", "engine": "the engine"}
"""What is noted where it differs."""


def of_training(objective: Any, validation: Any, method: Any, stop: Any, w: Any) -> dict[str, Any]:
    """Return what a call of `train` is."""
    network = getattr(objective, "network", None)
    return {
        "call": "train",
        **of_method(method),
        "precision": str(getattr(getattr(objective, "rows", None), "X", np.asarray(w)).dtype).rpartition(".")[2],
        "network": None if network is None else described(network),
        "loss": str(getattr(objective, "loss", None)),
        "l2": getattr(objective, "l2", None),
        "stop": described(stop),
        DATA: {"training": _digest(objective), "validation": _digest(validation)},
        "versions": versions(),
        "engine": engine(getattr(objective, "engine", None)),
    }


def of_fit(
    given: Mapping[str, Any], network: Any, loss: Any, planned: Any, runs: Mapping[str, int], table: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a call of `fit` is.

    Parameters
    ----------
    given : mapping
        Its arguments: kept as they are where the source is a file and all others are plain values, so that the call can
        be made again.
    network : Network
        The largest there will be.
    loss : Loss
        What is made small.
    planned : Plan
        How the table is trained on.
    runs : mapping of str to int
        The seed and the numbers of runs.
    table : mapping of str to array
        All rows as numbers, and which of them are in which part.
    """
    plain = isinstance(given["source"], str | Path) and all(map(_is_plain, given.values()))
    return {
        "call": "fit",
        **of_method(planned.method),
        "precision": "float64",
        "network": described(network),
        "loss": str(loss),
        "l2": None,
        "plan": {**described(planned), **runs},
        "arguments": {name: _as_typed(value) for name, value in given.items()} if plain else None,
        "place": str(Path.cwd()),
        DATA: {"table's": digest_of(table)},
        "versions": versions(),
        "engine": "NumPy" if kernels() is None else f"kernels for {kernels().isa()}",
    }


def of_method(method: Any) -> dict[str, Any]:
    """Return what a method is, and the version of its arithmetic."""
    return {"method": described(method), "method_version": getattr(method, "version", 1)}


def versions() -> dict[str, str]:
    """Return the versions that may matter for the last bit."""
    return {"deltarule": version("deltarule"), "NumPy": np.__version__}


def engine(used: Any) -> str:
    """Return what computes, as a word."""
    compiled = kernels()
    if used is not None and not isinstance(used, native.NativeEngine):
        return type(used).__name__
    return "NumPy" if compiled is None or used is None else f"kernels for {compiled.isa()}"


def described(value: Any) -> Any:
    """Return settings as JSON values: what is no plain value is told by its type and its settings."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): described(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [described(part) for part in value]
    if isinstance(value, Activation):
        return value.name
    if is_dataclass(value) and not isinstance(value, type):
        settings = {row.name: described(getattr(value, row.name)) for row in fields(value) if row.init}
        return {"is": type(value).__name__, **settings}
    if isinstance(value, np.generic):
        return described(value.item())
    return {"is": getattr(value, "__qualname__", type(value).__qualname__)}


def check(begun: Mapping[str, Any], now: Mapping[str, Any], folder: str) -> None:
    """Refuse to go on with a run that was begun otherwise; note what may matter for the last bit.

    Raises
    ------
    InputError
        The first difference, by name.
    """
    for key, name in NAMES.items():
        difference = _difference(begun.get(key), now.get(key), name)
        if difference:
            raise InputError(
                f"The run in {folder!r} cannot go on: {difference}. Give what it was begun with, or another folder."
            )
    for part, digest in (now.get(DATA) or {}).items():
        if (begun.get(DATA) or {}).get(part) != digest:
            raise InputError(
                f"The run in {folder!r} was begun with other data: the {part} rows are not those of then. Give the "
                "table it was begun with, or another folder to begin anew."
            )
    for key, name in NOTED.items():
        difference = _difference(begun.get(key), now.get(key), name)
        if difference:
            warnings.warn(
                f"The run in {folder!r} goes on, but perhaps not with the same last bits: {difference}.",
                RuntimeWarning, stacklevel=6,
            )  # fmt: skip


def _difference(begun: Any, now: Any, name: str) -> str:
    """Return what differs, down to the setting, or an empty string."""
    if begun == now:
        return ""
    if isinstance(begun, Mapping) and isinstance(now, Mapping) and begun.get("is") == now.get("is"):
        key = next(key for key in [*begun, *now] if begun.get(key) != now.get(key))
        return _difference(begun.get(key), now.get(key), f"{key} of {name}")
    return f"{name} was {_short(begun)} and is {_short(now)}"


def _short(value: Any) -> str:
    told = value["is"] if isinstance(value, Mapping) and "is" in value else value
    given = told if isinstance(told, str) else repr(told)
    return given if len(given) <= 80 else given[:77] + "..."


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | Path | bool | int) or (isinstance(value, float) and isfinite(value))


def _as_typed(value: Any) -> Any:
    """Return a plain value as JSON has it."""
    if isinstance(value, Mapping):
        return {key: _as_typed(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_as_typed(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def _digest(objective: Any) -> str | None:
    rows = getattr(objective, "rows", None)
    if rows is None:
        return None
    return digest_of({name: part for name, part in rows._asdict().items() if part is not None})
