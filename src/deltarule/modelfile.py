"""A model as one file: safetensors with a JSON header, which can hold arrays and text and nothing that runs.

    tensor "w"                 float64, shape (p,)
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
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from deltarule import activations, losses, report
from deltarule.encoding import Encoding
from deltarule.errors import InputError, ModelFileError, SettingError
from deltarule.files import write_atomically
from deltarule.jsonfields import damaged, finite, listed, record, text
from deltarule.losses import Loss
from deltarule.model import PARTS, Model, Training, check_loss, output_activation
from deltarule.network import MAX_WEIGHTS, Network

FORMAT = "deltarule"
VERSION = 1
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
    raw = model.w.astype("<f8").tobytes()
    header = json.dumps({"__metadata__": metadata, "w": _tensor(len(model.w))}).encode()
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
    """Return the model in a file of so many bytes; the weights are read last, when all else is known to be right."""
    header = _header(file, name)
    if length != header.needed:
        raise ModelFileError(
            f"{name} is damaged or truncated: it has {length:,} bytes where its header asks for {header.needed:,}; "
            "save the model again."
        )
    content = record(_json(header.model, name), "the model", ("network", "loss", "encoding", "training"))
    network, loss = _network(content["network"]), _loss(content["loss"])
    encoding = Encoding.from_dict(content["encoding"])
    training = _training(content["training"])
    w = np.frombuffer(file.read(8 * header.n_weights), dtype="<f8")
    if w.shape != (network.n_weights,) or not np.all(np.isfinite(w)):
        raise ModelFileError(f"{name} is damaged: its weights do not fit its network or are not finite.")
    try:
        check_loss(loss, encoding.task)
        loss.check_pair(network.activations[-1])
    except SettingError as error:
        raise ModelFileError(f"{name} is damaged: {error}") from None
    if network.activations[-1].name != output_activation(loss, encoding.task):
        raise ModelFileError(f"{name} is damaged: its outputs do not fit its loss and its target.")
    if (network.n_in, network.n_out) != (len(encoding.input_names), encoding.n_outputs):
        raise ModelFileError(f"{name} is damaged: its network does not fit its columns.")
    return Model(network, w.astype(np.float64), loss, encoding, training)


class _Header(NamedTuple):
    """The JSON of the model, how many weights follow the header, and how long the whole file must be."""

    model: str
    n_weights: int
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
    if int(version) > VERSION:
        raise ModelFileError(
            f"{name} has format version {version}; this deltarule reads up to {VERSION}. Update deltarule to read it."
        )
    if set(metadata) != {"format", "version", "model"} or not isinstance(metadata["model"], str):
        raise ModelFileError(f"{name} is damaged: its metadata are {', '.join(sorted(map(str, metadata)))}.")
    n = _weight_count(header, name)
    return _Header(metadata["model"], n, 8 + size + 8 * n)


def _weight_count(header: dict[str, Any], name: str) -> int:
    """Return how many weights the one tensor w holds."""
    w = header.get("w")
    shape = w.get("shape") if isinstance(w, dict) else None
    n = shape[0] if isinstance(shape, list) and len(shape) == 1 else None
    if not isinstance(n, int) or isinstance(n, bool) or not 1 <= n <= MAX_WEIGHTS:
        n = 0
    if set(header) != {"__metadata__", "w"} or w != _tensor(n):
        raise ModelFileError(f"{name} is damaged: it must hold one tensor w of float64, and nothing else.")
    return n


def _tensor(n: int) -> dict[str, Any]:
    """Return what a header says of n weights."""
    return {"dtype": "F64", "shape": [n], "data_offsets": [0, 8 * n]}


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
    sizes = listed(d["sizes"], "network.sizes", _whole, least=2)
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
    d = record(value, "training", tuple(Training.__dataclass_fields__))
    held_out = "test" if isinstance(d["scores"], dict) and "test" in d["scores"] else "validation"
    scores = record(d["scores"], "training.scores", (held_out, "training"))
    if len({frozenset(found) for found in (*scores.values(), d["baseline"]) if isinstance(found, dict)}) > 1:
        raise damaged("training.scores", sorted(scores), "scores of one kind")
    return Training(
        table=text(d["table"], "training.table"),
        rows={
            part: _whole(count, f"training.rows.{part}")
            for part, count in record(d["rows"], "training.rows", PARTS).items()
        },
        method=text(d["method"], "training.method"),
        settings=_settings(d["settings"]),
        l2=finite(d["l2"], "training.l2"),
        seed=_whole(d["seed"], "training.seed"),
        steps=_whole(d["steps"], "training.steps"),
        seconds=finite(d["seconds"], "training.seconds"),
        reason=text(d["reason"], "training.reason"),
        scores={part: _scores(found, f"training.scores.{part}") for part, found in scores.items()},
        baseline=_scores(d["baseline"], "training.baseline"),
        notes=listed(d["notes"], "training.notes", text),
    )


def _settings(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise damaged("training.settings", value, "an object")
    for name, setting in value.items():
        if setting is not None and not isinstance(setting, bool | str):
            finite(setting, f"training.settings.{name}")
    return value


def _scores(value: object, where: str) -> dict[str, Any]:
    """Return the scores of one of the three kinds, each a number or null, with classes and their confusion."""
    kinds = [tuple(kind.__dataclass_fields__) for kind in (report.Regression, report.Classification, report.MultiLabel)]
    kinds.insert(0, tuple(key for key in kinds[0] if key != "each"))
    keys = next((keys for keys in kinds if isinstance(value, dict) and set(value) == set(keys)), kinds[0])
    d = record(value, where, keys)
    for key in keys:
        if key not in ("classes", "confusion", "each") and d[key] is not None:
            finite(d[key], f"{where}.{key}")
    if "each" in d:
        listed(d["each"], f"{where}.each", _target_scores)
    if "classes" in d:
        classes = listed(d["classes"], f"{where}.classes", _label, least=2)
        rows = listed(d["confusion"], f"{where}.confusion", lambda row, at: listed(row, at, _whole))
        if [len(row) for row in rows] != [len(classes)] * len(classes):
            raise damaged(f"{where}.confusion", d["confusion"], "one row and one column a class")
    return d


def _target_scores(value: object, where: str) -> dict[str, Any]:
    d = record(value, where, ("target", "r2", "rmse", "mae"))
    text(d["target"], f"{where}.target")
    for key in ("r2", "rmse", "mae"):
        if d[key] is not None:
            finite(d[key], f"{where}.{key}")
    return d


def _label(value: object, where: str) -> str | float:
    return value if isinstance(value, str | bool) else finite(value, where)


def _whole(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise damaged(where, value, "a whole number from 0 up")
    return value
