"""Damaged model files, from bits that flipped by chance to JSON that was changed with care."""

import json
import struct
from functools import cache
from pathlib import Path

import numpy as np

import deltarule as dr
from deltarule import modelfile
from worst import VALUES, refused_on_purpose

GOLDEN = Path(__file__).parent / "golden"

RAW = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"[" * 3_000,
    b'{"a":' * 2_000,
    b"9" * 5_000,
    b"-",
    b"\xff",
    b"\x00",
    b'"',
    b"\\u0000",
    b"}",
    b"{}",
    b'"w":1,',
    b",",
    b"\xe2\x80\xae",
    b"/*",
    b"//",
    b"'",
]
"""Pieces that break JSON, or stretch it."""
NUMBERS = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 0.0, -0.0, 1e200]


@cache
def seeds():
    """Return the bytes of good model files, one of each kind."""
    return [path.read_bytes() for path in sorted(GOLDEN.glob("*/*.deltarule"))]


def damaged_model(rng):
    """Return the bytes of a model file with something wrong, or by chance nothing."""
    data = seeds()[rng.integers(len(seeds()))]
    for _ in range(int(rng.geometric(0.7))):
        kind = rng.integers(8)
        if kind < 4:
            data = _changed_json(rng, data)
        elif kind == 4:
            data = _changed_bytes(rng, data)
        elif kind == 5:
            data = _changed_numbers(rng, data)
        elif kind == 6:
            data = _spliced(rng, data)
        else:
            data = _changed_text(rng, data)
    return data


def _parts(data):
    """Return header and tensors, or None where the header is none any more."""
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size])
    except (ValueError, RecursionError, OverflowError):
        return None
    return (header, data[8 + size :]) if isinstance(header, dict) else None


def _joined(header, rest):
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + rest


def _changed_json(rng, data):
    """Change one value somewhere in the header or in the model's JSON: the file is as long as before or says so."""
    found = _parts(data)
    if found is None:
        return _changed_bytes(rng, data)
    header, rest = found
    metadata = header.get("__metadata__")
    inner = metadata.get("model") if isinstance(metadata, dict) else None
    if isinstance(inner, str) and rng.random() < 0.8:
        try:
            content = json.loads(inner)
        except (ValueError, RecursionError):
            return _changed_text(rng, data)
        metadata["model"] = json.dumps(_mutated(rng, content))
    else:
        header = _mutated(rng, header)
    return _joined(header, rest)


def _mutated(rng, content):
    """Return JSON with one value replaced, removed, doubled, renamed or taken from elsewhere."""
    places = list(_places(content))
    if not places:
        return VALUES[rng.integers(len(VALUES))]
    holder, key = places[rng.integers(len(places))]
    kind = rng.integers(6)
    if kind < 3:
        holder[key] = VALUES[rng.integers(len(VALUES))]
    elif kind == 3:
        other, place = places[rng.integers(len(places))]
        holder[key] = json.loads(json.dumps(other[place]))
    elif kind == 4:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, json.loads(json.dumps(holder[key])))
    else:
        holder[str(VALUES[rng.integers(len(VALUES))])[:50]] = holder.pop(key)
    return content


def _places(content):
    """Yield (holder, key) of every value in JSON."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield content, key
        yield from _places(value)


def _changed_bytes(rng, data):
    """Flip, overwrite, cut or lengthen bytes; most often in the header."""
    made = bytearray(data or b"\0")
    end = min(len(made), 8 + int.from_bytes(made[:8], "little") % 100_000 or 1)
    place = int(rng.integers(8 if rng.random() < 0.2 else end)) % len(made)
    kind = rng.integers(5)
    if kind < 2:
        made[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        made[place] = int(rng.integers(256))
    elif kind == 3:
        del made[place : place + int(rng.integers(1, 40))]
    else:
        made[place:place] = rng.bytes(int(rng.integers(1, 40)))
    return bytes(made)


def _changed_numbers(rng, data):
    """Put a strange number among the weights."""
    size = 8 + int.from_bytes(data[:8], "little") % 100_000
    slots = (len(data) - size) // 8
    if slots < 1:
        return _changed_bytes(rng, data)
    place = size + 8 * int(rng.integers(slots))
    number = NUMBERS[rng.integers(len(NUMBERS))] if rng.random() < 0.7 else struct.unpack("<d", rng.bytes(8))[0]
    return data[:place] + struct.pack("<d", number) + data[place + 8 :]


def _spliced(rng, data):
    """Join the header of one file to the end of another, or nothing but noise to a plausible length."""
    if rng.random() < 0.3:
        noise = rng.bytes(int(rng.integers(0, 400)))
        return len(noise).to_bytes(8, "little") + (b"{" if rng.random() < 0.7 else b"") + noise
    other = seeds()[rng.integers(len(seeds()))]
    first, second = _parts(data), _parts(other)
    if first is None or second is None:
        return data[: len(data) // 2] + other[len(other) // 2 :]
    return _joined({**first[0], **({} if rng.random() < 0.5 else second[0])}, second[1])


def _changed_text(rng, data):
    """Put a piece that breaks JSON into the header; its length is right again afterwards."""
    size = int.from_bytes(data[:8], "little") % 100_000
    raw, rest = data[8 : 8 + size], data[8 + size :]
    place = int(rng.integers(len(raw) + 1))
    raw = raw[:place] + RAW[rng.integers(len(RAW))] + raw[place + int(rng.integers(3)) :]
    return len(raw).to_bytes(8, "little") + raw + rest


def check_model(data):
    """Load bytes as a model and use it; return whether it was accepted. Anything but a refusal in a line is a fault."""
    try:
        model = modelfile.from_bytes(data)
    except dr.ModelFileError as error:
        assert refused_on_purpose(error), error
        return False
    assert all(np.isfinite(w).all() for w in model.members)
    again = modelfile.to_bytes(model)
    assert modelfile.to_bytes(modelfile.from_bytes(again)) == again
    table = {column.name: _cells(column) for column in model.encoding.columns}
    try:
        predicted = model.predict(table)
    except dr.InputError as error:  # the weights are so large that outputs overflow
        assert refused_on_purpose(error), error
    else:
        assert predicted.dtype.kind != "f" or np.isfinite(predicted).all()
    return True


def _cells(column):
    """Two cells that suit an input column, the second missing."""
    kinds = {"number": 1.0, "boolean": True, "date": "2024-01-31", "category": "Bonn"}
    return [kinds[column.to_dict()["kind"]], None]
