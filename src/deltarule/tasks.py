"""What is asked of a loss and of the outputs by each task: regression, two classes, several, or several labels."""

from deltarule.errors import SettingError
from deltarule.losses import LOSSES, Loss

LOSS_OF_TASK = {
    "regression": "squared_error",
    "binary": "binary_cross_entropy",
    "multilabel": "binary_cross_entropy",
    "multiclass": "cross_entropy",
}
"""The loss for each task unless another is named."""


def output_activation(loss: Loss, task: str) -> str:
    """Return what the outputs of a table's network do."""
    if loss.fused:
        return loss.fused[0]
    return "identity" if task == "regression" else "logistic"


def check_loss(loss: Loss, task: str) -> None:
    """Refuse a loss that does not suit the task.

    Raises
    ------
    SettingError
        The message names those that do.
    """
    suited = {
        "binary": ("binary_cross_entropy", "squared_error"),
        "multilabel": ("binary_cross_entropy", "squared_error"),
        "multiclass": ("cross_entropy", "binary_cross_entropy", "squared_error"),
        "regression": tuple(name for name in LOSSES if "cross_entropy" not in name),
    }[task]
    if loss.name not in suited:
        raise SettingError(f"The loss {loss} does not suit a {task} target; use {' or '.join(suited)}.")
