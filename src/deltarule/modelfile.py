"""A model as one file: safetensors with a JSON header, which can hold arrays and text and nothing that runs.

    tensor "w"                 float64, shape (p,)
    metadata "format"          "deltarule"
    metadata "version"         the version of this layout
    metadata "model"           JSON: network, loss, encoding, training

Reading checks sizes before anything is allocated, and every value against the others.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from deltarule import activations, losses
from deltarule.encoding import Encoding
from deltarule.errors import InputError, ModelFileError, SettingError
from deltarule.files import write_atomically
from deltarule.jsonfields import finite, listed, record, text
from deltarule.losses import Loss
from deltarule.model import Model, Training
from deltarule.network import MAX_WEIGHTS, Network

FORMAT = "deltarule"
VERSION = 1
MAX_HEADER = 2**20
"""Largest header read, in bytes: a page of JSON, with room for many columns."""


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


def to_bytes(model: Model) -> bytes:
    """Return what a file of the model holds."""
    from safetensors.numpy import save as pack

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
        "training": asdict(model.training),
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "model": json.dumps(content, allow_nan=False)}
    data = pack({"w": np.ascontiguousarray(model.w, dtype=np.float64)}, metadata=metadata)
    if int.from_bytes(data[:8], "little") > MAX_HEADER:
        raise InputError(
            f"The model's column names and categories fill more than {MAX_HEADER:,} bytes; exclude some columns."
        )
    return bytes(data)


def load(path: str | Path) -> Model:
    """Return the model in a file.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not a model, is damaged, or is of a newer format.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder; give a .deltarule file.")
    try:
        with path.open("rb") as file:
            start = file.read(8)
            size = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= size <= MAX_HEADER or file.read(1) != b"{":
                raise ModelFileError(f"{path} is not a deltarule model; give a file that Model.save wrote.")
            length = path.stat().st_size
            if length > 8 + MAX_HEADER + 8 * MAX_WEIGHTS:
                raise ModelFileError(f"{path} has {length:,} bytes, more than any model.")
            file.seek(0)
            data = file.read()
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}; check the name.") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}.") from None
    return from_bytes(data, str(path))


def from_bytes(data: bytes, name: str = "The model file") -> Model:
    """Return the model that the content of a file stands for.

    Raises
    ------
    ModelFileError
        If it is not a model, is damaged, or is of a newer format.
    """
    metadata = _metadata(data, name)
    w = _weights(data, name)
    content = record(_json(metadata["model"], name), "the model", ("network", "loss", "encoding", "training"))
    network, loss = _network(content["network"]), _loss(content["loss"])
    encoding = Encoding.from_dict(content["encoding"])
    if w.shape != (network.n_weights,) or not np.all(np.isfinite(w)):
        raise ModelFileError(f"{name} is damaged: its weights do not fit its network or are not finite.")
    try:
        loss.check_pair(network.activations[-1])
    except SettingError as error:
        raise ModelFileError(f"{name} is damaged: {error}") from None
    if (network.n_in, network.n_out) != (len(encoding.input_names), encoding.n_outputs):
        raise ModelFileError(f"{name} is damaged: its network does not fit its columns.")
    return Model(network, w, loss, encoding, _training(content["training"]))


def _metadata(data: bytes, name: str) -> dict[str, str]:
    size = int.from_bytes(data[:8], "little")
    header = _json(data[8 : 8 + size], name)
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if len(data) < 8 + size or not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise ModelFileError(f"{name} is not a deltarule model; give a file that Model.save wrote.")
    version = metadata.get("version", "")
    if not (isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 6):
        raise ModelFileError(f"{name} is damaged: its format version is {version!r}.")
    if int(version) > VERSION:
        raise ModelFileError(
            f"{name} has format version {version}; this deltarule reads up to {VERSION}. Update deltarule to read it."
        )
    if set(metadata) != {"format", "version", "model"} or not isinstance(metadata["model"], str):
        raise ModelFileError(f"{name} is damaged: its metadata are {', '.join(sorted(map(str, metadata)))}.")
    return metadata


def _weights(data: bytes, name: str) -> Any:
    from safetensors import SafetensorError
    from safetensors.numpy import load as unpack

    try:
        tensors = unpack(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"{name} is damaged or truncated ({error}); save the model again.") from None
    if set(tensors) != {"w"} or tensors["w"].dtype != np.float64 or tensors["w"].ndim != 1:
        raise ModelFileError(f"{name} is damaged: it must hold one tensor w of float64.")
    return tensors["w"]


def _json(raw: str | bytes, name: str) -> Any:
    """Return parsed JSON in which no key stands twice and every number is a JSON number."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ModelFileError(f"{name} is damaged: a key stands twice in its header.")
        return found

    def refuse(constant: str) -> Any:
        raise ModelFileError(f"{name} is damaged: {constant} in its header.")

    try:
        return json.loads(raw, object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{name} is not a deltarule model, or its header is damaged.") from None


def _network(value: object) -> Network:
    d = record(value, "network", ("sizes", "activations"))
    names = listed(d["activations"], "network.activations", text, least=1)
    sizes = [int(size) for size in listed(d["sizes"], "network.sizes", finite, least=2)]
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


def _training(value: object) -> Training:
    keys = tuple(Training.__dataclass_fields__)
    d = record(value, "training", keys)
    shapes = {"rows": dict, "settings": dict, "scores": dict, "baseline": dict, "notes": list}
    for key in ("table", "method", "reason"):
        text(d[key], f"training.{key}")
    for key in ("l2", "seed", "steps", "seconds"):
        finite(d[key], f"training.{key}")
    for key, shape in shapes.items():
        if not isinstance(d[key], shape):
            raise ModelFileError(f"The model file is damaged: training.{key} is not a {shape.__name__}.")
    return Training(**{**d, "notes": listed(d["notes"], "training.notes", text)})
