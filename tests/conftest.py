"""Fixtures that run over the tables: a new activation, loss, method or engine is tested by existing."""

import importlib.util
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from deltarule.activations import ACTIVATIONS
from deltarule.compiled import ENGINE, kernels
from deltarule.engines import Engine, native
from deltarule.engines.array import ArrayEngine
from deltarule.losses import LOSSES, Loss
from deltarule.methods import METHODS
from deltarule.methods.betas import BETAS
from deltarule.methods.rules import RULES
from deltarule.methods.schedules import SCHEDULES
from deltarule.network import Network
from problems import SURFACES, TABLES

KERNELS = "DELTARULE_KERNELS"
"""The environment variable that names a folder of kernels built another way, such as with sanitizers."""

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored

if KERNELS in os.environ:
    (library,) = Path(os.environ[KERNELS]).glob("_native*.so")
    spec = importlib.util.spec_from_file_location("deltarule.engines._native", library)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])

if kernels() is None:
    os.environ[ENGINE] = "array"  # what the suite runs on then, so no process need say what is missing


def compiled(network: Network, loss: Loss) -> Engine:
    """Return the native engine, or for a formula that is not compiled yet what takes its place."""
    return native.NativeEngine(network, loss) if native.serves(network, loss) else ArrayEngine(network, loss)


ENGINES = [ArrayEngine] if kernels() is None else [ArrayEngine, compiled]
"""Called as engine(network, loss); the compiled one only where it was compiled."""

PAIRS = [
    (activation, loss)
    for loss, row in LOSSES.items()
    for activation in ACTIVATIONS
    if not row.accepts or activation in row.accepts
]


def label(value: Any) -> str:
    """Return what a case is called in pytest's output."""
    for name in (getattr(value, "name", None), getattr(value, "__name__", None)):
        if isinstance(name, str):
            return name
    return "-".join(value) if isinstance(value, tuple) else str(value)


def over(name: str, rows: Iterable[Any]) -> Any:
    """Return a fixture of that name with a case for each row of a table."""
    return pytest.fixture(params=list(rows), ids=label, name=name)(lambda request: request.param)


engine_fixture = over("engine", ENGINES)
activation_fixture = over("activation", ACTIVATIONS.values())
loss_fixture = over("loss", LOSSES.values())
pair_fixture = over("pair", PAIRS)
method_fixture = over("method_name", METHODS)
rule_fixture = over("rule", RULES)
schedule_fixture = over("schedule", SCHEDULES.values())
beta_fixture = over("beta", BETAS)
surface_fixture = over("surface", SURFACES)
problem_fixture = over("problem", TABLES)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where promises are asked for, put their tests into the order of their numbers."""
    if "promise" in str(config.option.markexpr):
        items.sort(key=lambda item: min((int(mark.args[0][1:]) for mark in item.iter_markers("promise")), default=0))
