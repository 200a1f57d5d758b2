"""What the tests of model files share: refusals, and files taken apart and put together."""

import json

import numpy as np
import pytest

from deltarule import modelfile
from deltarule.errors import ModelFileError


def refusal(content):
    """The message with which bytes are refused."""
    with pytest.raises(ModelFileError) as caught:
        modelfile.from_bytes(content, "m.deltarule")
    message = str(caught.value)
    assert 0 < len(message) < 400 and "\n" not in message
    return message


def parts(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def joined(header, tensors):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + tensors


def described(header, **shapes):
    """A header of float64 tensors with these shapes, one after another; what is not named stays as it was."""
    tensors = {name: tensor["shape"] for name, tensor in header.items() if name != "__metadata__"} | shapes
    made, end = {"__metadata__": header["__metadata__"]}, 0
    for name, shape in tensors.items():
        start, end = end, end + 8 * int(np.prod(shape))
        made[name] = {"dtype": "F64", "shape": list(shape), "data_offsets": [start, end]}
    return made, bytes(end)
