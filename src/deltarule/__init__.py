"""deltarule trains feed-forward neural networks on tables, and shows why every weight moved.

>>> import deltarule as dr
>>> net = dr.Network(sizes=(2, 3, 1), activations=("tanh", "identity"))
>>> net.n_weights
13
"""

from typing import TYPE_CHECKING, Any

from deltarule import activations, losses, methods, observers, stopping
from deltarule.activations import Activation
from deltarule.checkpoint import Checkpoint
from deltarule.errors import DeltaruleError, InputError, ModelFileError, SettingError, TableError, TrainingError
from deltarule.history import Result
from deltarule.losses import Loss
from deltarule.network import Network
from deltarule.objective import Objective, predict
from deltarule.record import Record
from deltarule.train import steps, train

if TYPE_CHECKING:
    from deltarule import explain, plots
    from deltarule.comparing import compare
    from deltarule.comparison import Comparison
    from deltarule.estimators.classifier import MLPClassifier
    from deltarule.estimators.regressor import MLPRegressor
    from deltarule.estimators.stream_classifier import OnlineClassifier
    from deltarule.estimators.stream_regressor import OnlineRegressor
    from deltarule.fitting import fit
    from deltarule.model import Model, load
    from deltarule.resuming import resume

__version__ = "0.1.0"

__all__ = [
    "Activation", "Checkpoint", "Comparison", "DeltaruleError", "InputError", "Loss", "MLPClassifier", "MLPRegressor",
    "Model", "ModelFileError", "Network", "Objective", "OnlineClassifier", "OnlineRegressor", "Record", "Result",
    "SettingError", "TableError", "TrainingError", "activations", "compare", "explain", "fit", "load", "losses",
    "methods", "observers", "plots", "predict", "resume", "steps", "stopping", "train",
]  # fmt: skip

_ON_FIRST_USE = {
    "compare": "comparing",
    "Comparison": "comparison",
    "fit": "fitting",
    "MLPClassifier": "estimators.classifier",
    "MLPRegressor": "estimators.regressor",
    "OnlineClassifier": "estimators.stream_classifier",
    "OnlineRegressor": "estimators.stream_regressor",
    "Model": "model",
    "load": "model",
    "resume": "resuming",
}


def __getattr__(name: str) -> Any:
    """Load the faces on first use (PEP 562), so that the parts stay quick to import."""
    from importlib import import_module

    if name in ("explain", "plots"):
        return import_module(f"deltarule.{name}")
    if name in _ON_FIRST_USE:
        return getattr(import_module(f"deltarule.{_ON_FIRST_USE[name]}"), name)
    raise AttributeError(f"module 'deltarule' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
