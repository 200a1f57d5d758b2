"""A model as one file: safetensors with a JSON header, which can hold arrays and text and nothing that runs.

    tensor "w"                 float64, shape (members, p)
    tensors "noise", "factors" float64, shapes (members, n_out) and (members, p, p), in a model with error bars
    metadata "format"          "deltarule"
    metadata "version"         the version of this layout
    metadata "model"           JSON: network, loss, encoding, training

Reading checks sizes before anything is allocated, and every value against the others.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import asdict
from itertools import accumulate, pairwise
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deltarule import activations, errorbars, losses
from deltarule.encoding import Encoding
from deltarule.errorbars import ErrorBars
from deltarule.errors import InputError, ModelFileError, SettingError
from deltarule.files import write_atomically
from deltarule.jsonfields import listed, record, text, whole
from deltarule.losses import Loss
from deltarule.model import Model
from deltarule.network import MAX_WEIGHTS, Network
from deltarule.provenance import read_training
from deltarule.tasks import check_loss, output_activation

Floats = NDArray[np.float64]

FORMAT = "deltarule"
VERSION = 2
TENSORS = ("w", "noise", "factors")
"""The arrays of a model in the order in which they lie in its file; the last two where it has error bars."""
MAX_HEADER = 2**23
"""Largest header read, in bytes: a page of JSON, with room for the 20,000 columns that a table may have."""


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
        "training": asdict(model.training),
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "model": json.dumps(content, allow_nan=False)}
    tensors = {"w": np.stack(model.members)}
    if model.error_bars is not None:
        tensors |= {"noise": model.error_bars.noise, "factors": model.error_bars.factors}
    raw = b"".join(tensor.astype("<f8").tobytes() for tensor in tensors.values())
    described = _described({name: list(tensor.shape) for name, tensor in tensors.items()})
    header = json.dumps({"__metadata__": metadata, **described}).encode()
    header += b" " * (-len(header) % 8)  # so that the numbers begin at a multiple of 8
    if len(header) > MAX_HEADER:
        raise InputError(
            f"The model's column names and categories fill more than {MAX_HEADER:,} bytes; exclude some columns."
        )
    return len(header).to_bytes(8, "little") + header + raw


def load(path: str | Path) -> Model:
    """Return the model in a file.

    Raises
    ------
    ModelFileError
        If there is no such file, it is not a model, is damaged, or is of a newer format.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise ModelFileError(f"{path} is a folder; give a .deltarule file.")
        if path.exists() and not path.is_file():
            raise ModelFileError(f"{path} is not a regular file; give a .deltarule file.")
        with path.open("rb") as file:
            return _read(file, os.fstat(file.fileno()).st_size, str(path))
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file {path}; check the name.") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from None


def from_bytes(data: bytes, name: str = "The model file") -> Model:
    """Return the model that the content of a file stands for.

    Raises
    ------
    ModelFileError
        If it is not a model, is damaged, or is of a newer format.
    """
    return _read(io.BytesIO(data), len(data), name)


def _read(file: IO[bytes], length: int, name: str) -> Model:
    """Return the model in a file of so many bytes; the numbers are read last, when all else is known to be right."""
    header = _header(file, name)
    if length != header.needed:
        raise ModelFileError(
            f"{name} is damaged or truncated: it has {length:,} bytes where its header asks for {header.needed:,}; "
            "save the model again."
        )
    content = record(_json(header.model, name), "the model", ("network", "loss", "encoding", "training"))
    network, loss = _network(content["network"]), _loss(content["loss"])
    encoding = Encoding.from_dict(content["encoding"])
    training = read_training(content["training"])
    try:
        check_loss(loss, encoding.task)
        loss.check_pair(network.activations[-1])
    except SettingError as error:
        raise ModelFileError(f"{name} is damaged: {error}") from None
    if network.activations[-1].name != output_activation(loss, encoding.task):
        raise ModelFileError(f"{name} is damaged: its outputs do not fit its loss and its target.")
    if (network.n_in, network.n_out) != (len(encoding.input_names), encoding.n_outputs):
        raise ModelFileError(f"{name} is damaged: its network does not fit its columns.")
    members, p = header.shapes["w"]
    if p != network.n_weights:
        raise ModelFileError(f"{name} is damaged: its weights do not fit its network.")
    if members != sum(run.kept for run in training.runs):
        raise ModelFileError(f"{name} is damaged: it has {members} members, which are not as many as the runs kept.")
    n_noise = header.shapes.get("noise", [members, network.n_out])[1]
    if n_noise != network.n_out or ("noise" in header.shapes and errorbars.impossible(encoding.task, loss)):
        raise ModelFileError(f"{name} is damaged: its error bars do not fit its loss and its target.")
    w, *bars = (_numbers(file, shape, f"{name} is damaged: its {key}") for key, shape in header.shapes.items())
    if bars and (bars[0] < 0).any():
        raise ModelFileError(f"{name} is damaged: its noise is negative.")
    found = ErrorBars(noise=bars[0], factors=bars[1]) if bars else None
    return Model(network, w[0], loss, encoding, training, others=tuple(w[1:]), error_bars=found)


def _numbers(file: IO[bytes], shape: list[int], what: str) -> Floats:
    """Return the next tensor of a file."""
    found = np.frombuffer(file.read(8 * prod(shape)), dtype="<f8").astype(np.float64).reshape(shape)
    if not np.isfinite(found).all():
        raise ModelFileError(f"{what} holds numbers that are not finite.")
    return found


class _Header(NamedTuple):
    """The JSON of the model, the shapes of the tensors that follow, and how long the whole file must be."""

    model: str
    shapes: dict[str, list[int]]
    needed: int


def _header(file: IO[bytes], name: str) -> _Header:
    """Return what the header says; nothing but a deltarule model of a known version passes."""
    start = file.read(8)
    size = int.from_bytes(start, "little")
    raw = file.read(size) if len(start) == 8 and 2 <= size <= MAX_HEADER else b""
    if not raw.startswith(b"{"):
        raise _no_model(name)
    if len(raw) < size:
        raise ModelFileError(f"{name} is truncated: it ends within its header; save the model again.")
    header = _json(raw, name)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise _no_model(name)
    version = metadata.get("version", "")
    if not (isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 6):
        raise ModelFileError(f"{name} is damaged: its format version is {version!r}.")
    if int(version) != VERSION:
        advice = "Update deltarule to read it." if int(version) > VERSION else "Train the model again and save it."
        raise ModelFileError(f"{name} has format version {version}; this deltarule reads version {VERSION}. {advice}")
    if set(metadata) != {"format", "version", "model"} or not isinstance(metadata["model"], str):
        raise ModelFileError(f"{name} is damaged: its metadata are {', '.join(sorted(map(str, metadata)))}.")
    shapes = _shapes({key: value for key, value in header.items() if key != "__metadata__"}, name)
    return _Header(metadata["model"], shapes, 8 + size + sum(8 * prod(shape) for shape in shapes.values()))


def _shapes(described: dict[str, Any], name: str) -> dict[str, list[int]]:
    """Return the shapes of the tensors; that they lie one after another leaves no room for anything else."""
    if tuple(described) not in (TENSORS[:1], TENSORS):
        raise ModelFileError(
            f"{name} is damaged: it must hold the tensor w, or w, noise and factors, and nothing else."
        )
    shapes = {key: _shape(value) for key, value in described.items()}
    w = shapes["w"]
    if len(w) != 2 or not 1 <= prod(w) <= MAX_WEIGHTS:
        raise ModelFileError(f"{name} is damaged: w must have a row for each member and a column for each weight.")
    if "noise" in shapes:
        if shapes["factors"] != [*w, w[1]]:
            raise ModelFileError(f"{name} is damaged: its factors do not have the shape (members, weights, weights).")
        if len(shapes["noise"]) != 2 or shapes["noise"][0] != w[0] or shapes["noise"][1] > MAX_WEIGHTS:
            raise ModelFileError(f"{name} is damaged: its noise must have a row for each member, a column an output.")
    if described != _described(shapes):
        raise ModelFileError(f"{name} is damaged: its tensors must be float64, one after another without gaps.")
    return shapes


def _shape(value: object) -> list[int]:
    """Return the shape of a tensor, all above 0; an empty one if there is none."""
    shape = value.get("shape") if isinstance(value, dict) else None
    fine = isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in shape)
    return list(shape) if fine and isinstance(shape, list) else []


def _described(shapes: dict[str, list[int]]) -> dict[str, Any]:
    """Return what a header says of tensors that lie one after another."""
    ends = [0, *accumulate(8 * prod(shape) for shape in shapes.values())]
    return {
        key: {"dtype": "F64", "shape": shape, "data_offsets": [start, end]}
        for (key, shape), (start, end) in zip(shapes.items(), pairwise(ends), strict=True)
    }


def _no_model(name: str) -> ModelFileError:
    return ModelFileError(f"{name} is not a deltarule model; give a file that Model.save wrote.")


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
    sizes = listed(d["sizes"], "network.sizes", whole, least=2)
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
