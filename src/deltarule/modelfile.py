"""A model as one file: safetensors with a JSON header, which can hold arrays and text and nothing that runs.

    tensor "w"                 float64, shape (members, p)
    tensors "noise", "factors" float64, shapes (members, n_out) and (members, p, p), in a model with error bars
    metadata "format"          "deltarule"
    metadata "version"         the version of this layout
    metadata "model"           JSON: network, loss, encoding, training; in a model of very many columns the last tensor

`deltarule.tensorfile` reads the file and checks its sizes; here every value is checked, and against the others, before
the arrays are read.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import activations, errorbars, losses, report, tensorfile
from deltarule.encoding import Encoding
from deltarule.errorbars import ErrorBars
from deltarule.errors import ModelFileError, SettingError
from deltarule.files import remove_stale_parts, write_atomically
from deltarule.jsonfields import listed, record, text, whole
from deltarule.losses import Loss
from deltarule.model import Model
from deltarule.network import MAX_LAYERS, MAX_WEIGHTS, Network
from deltarule.provenance import Training, read_training
from deltarule.tasks import check_loss, output_activation
from deltarule.tensorfile import Format, TensorFile

FORMAT = Format(
    name="deltarule",
    version=2,
    kind="model",
    source="give a file that Model.save wrote",
    again="save the model again",
)
TENSORS = ("w", "noise", "factors")
"""The arrays of a model in the order in which they lie in its file; the last two where it has error bars."""


def save(model: Model, path: str | Path) -> None:
    """Write a model to one file, wholly or not at all.

    Raises
    ------
    InputError
        If the place cannot be written to, or the names of the columns do not fit into a header.
    SettingError
        If the network has a user's own activation, which is code and cannot be stored.
    """
    write_atomically(path, to_bytes(model))
    remove_stale_parts(path)


def to_bytes(model: Model) -> bytes:
    """Return what a file of the model holds: the same bytes for the same model."""
    for activation in model.network.activations:
        if activations.ACTIVATIONS.get(activation.name) is not activation:
            raise SettingError(
                f"The activation {activation.name!r} is your own code, which a model file cannot hold; "
                "keep the weights with numpy.save(path, model.w) and build the model again."
            )
    content = {
        "network": {
            "sizes": list(model.network.sizes),
            "activations": [activation.name for activation in model.network.activations],
        },
        "loss": str(model.loss),
        "encoding": model.encoding.to_dict(),
        "training": asdict(model.training) | {"seconds": None},  # it would differ from run to run
    }
    tensors = {"w": np.stack(model.members)}
    if model.error_bars is not None:
        tensors |= {"noise": model.error_bars.noise, "factors": model.error_bars.factors}
    return tensorfile.to_bytes(FORMAT, content, tensors)


def load(path: str | Path) -> Model:
    """Return the model in a file.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not a model, is damaged, or is of a newer format.
    """
    with tensorfile.opened(path, FORMAT) as file:
        return _model(file)


def from_bytes(data: bytes, name: str = "The model file") -> Model:
    """Return the model that the content of a file stands for.

    Raises
    ------
    ModelFileError
        If it is not a model, is damaged, or is of a newer format.
    """
    return _model(tensorfile.of_bytes(data, FORMAT, name))


def _model(file: TensorFile) -> Model:
    """Return the model in a file; the numbers are read last, when all else is known to be right."""
    content = record(file.content, "the model", ("network", "loss", "encoding", "training"))
    network, loss = _network(content["network"]), _loss(content["loss"])
    encoding = Encoding.from_dict(content["encoding"])
    training = read_training(content["training"])
    try:
        check_loss(loss, encoding.task)
        loss.check_pair(network.activations[-1])
    except SettingError as error:
        raise ModelFileError(f"{file.name} is damaged: {error}") from None
    if network.activations[-1].name != output_activation(loss, encoding.task):
        raise file.damaged("its outputs do not fit its loss and its target")
    if (network.n_in, network.n_out) != (len(encoding.input_names), encoding.n_outputs):
        raise file.damaged("its network does not fit its columns")
    _check_scores(file, encoding, training)
    _check_tensors(file)
    members, p = file.tensors["w"].shape
    if p != network.n_weights:
        raise file.damaged("its weights do not fit its network")
    if members != sum(run.kept for run in training.runs):
        raise file.damaged(f"it has {members} members, which are not as many as the runs kept")
    noise = file.tensors.get("noise")
    if noise is not None and (noise.shape[1] != network.n_out or errorbars.impossible(encoding.task, loss)):
        raise file.damaged("its error bars do not fit its loss and its target")
    w, *bars = (file.finite(key) for key in file.tensors)
    if bars and (bars[0] < 0).any():
        raise file.damaged("its noise is negative")
    found = ErrorBars(noise=bars[0], factors=bars[1]) if bars else None
    return Model(network, w[0], loss, encoding, training, others=tuple(w[1:]), error_bars=found)


def _check_scores(file: TensorFile, encoding: Encoding, training: Training) -> None:
    """Refuse scores of another task, of other classes or of other targets than the encoding's."""
    kinds: dict[str, Any] = {"regression": report.Regression, "multilabel": report.MultiLabel}
    known = set(kinds.get(encoding.task, report.Classification).__dataclass_fields__)
    classes = None if encoding.classes is None else encoding.classes.tolist()
    for scores in (*training.scores.values(), training.baseline):
        each = [score["target"] for score in scores.get("each", [])]
        if not known.issuperset(scores) or scores.get("classes") != classes:
            raise file.damaged("its scores do not fit its target")
        if each and each != list(encoding.target_names):
            raise file.damaged("its scores are not those of its targets")


def _check_tensors(file: TensorFile) -> None:
    """Refuse tensors whose shapes do not fit each other."""
    shapes = {key: tensor.shape for key, tensor in file.tensors.items()}
    if tuple(shapes) not in (TENSORS[:1], TENSORS) or any(tensor.dtype != "F64" for tensor in file.tensors.values()):
        raise file.damaged("it must hold the tensor w, or w, noise and factors, in float64 and nothing else")
    w = shapes["w"]
    if len(w) != 2 or not 1 <= prod(w) <= MAX_WEIGHTS:
        raise file.damaged("w must have a row for each member and a column for each weight")
    if "noise" in shapes:
        if shapes["factors"] != (*w, w[1]):
            raise file.damaged("its factors do not have the shape (members, weights, weights)")
        if len(shapes["noise"]) != 2 or shapes["noise"][0] != w[0]:
            raise file.damaged("its noise must have a row for each member, a column an output")


def _network(value: object) -> Network:
    d = record(value, "network", ("sizes", "activations"))
    names = listed(d["activations"], "network.activations", text, least=1)
    sizes = listed(d["sizes"], "network.sizes", whole, least=2)
    if len(sizes) > MAX_LAYERS + 1:
        raise ModelFileError(f"The model file is damaged: its network has {len(sizes) - 1:,} layers.")
    if any(size < 1 or size > MAX_WEIGHTS for size in sizes):
        raise ModelFileError("The model file is damaged: a layer has an impossible width.")
    if sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes)) > MAX_WEIGHTS:
        raise ModelFileError("The model file is damaged: its network has more weights than any.")
    try:
        return Network(sizes, names)
    except SettingError as error:
        raise ModelFileError(f"The model file is damaged: {error}") from None


def _loss(value: object) -> Loss:
    try:
        return losses.get(text(value, "loss"))
    except SettingError as error:
        raise ModelFileError(f"The model file is damaged: {error}") from None
