"""States of runs as JSON values and arrays, and back, to the bit.

A state is packed as it is: a tuple of arrays, numbers, words and tuples of these. It is unpacked into the shape of
another state of the same method, the one it starts with: what does not fit into that is damaged, or belongs to another
method. So nothing in a file says what is made of it.
"""

from __future__ import annotations

from collections import deque
from math import isfinite
from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj
from numpy.typing import NDArray

from deltarule.errors import SettingError
from deltarule.jsonfields import choice, damaged

Arrays = dict[str, NDArray[Any]]

KEPT_AS = {"float64": "float64", "float32": "float32", "int64": "int64", "int32": "int64", "uint8": "uint8",
           "bool": "uint8"}  # fmt: skip
"""Number types that are kept, and as what."""
SEQUENCES = {"tuple": tuple, "list": list, "deque": deque}
OWN_TEXT = ("nan", "inf", "-inf")


def packed(value: Any, name: str, arrays: Arrays) -> Any:
    """Return a state, or a part of one, as a JSON value; arrays go into `arrays` under names that begin with `name`.

    Raises
    ------
    SettingError
        If it holds something else than arrays, numbers, words, None, and sequences of these.
    """
    if value is None or isinstance(value, bool | str) or type(value) is int:
        return value
    if type(value) is float:
        return value if isfinite(value) else {"number": str(value)}
    if isinstance(value, np.generic) or is_array_api_obj(value):
        return _packed_array(value, name, arrays)
    if isinstance(value, tuple | list | deque):
        kind = next(kind for kind, made in SEQUENCES.items() if isinstance(value, made))
        names = getattr(value, "_fields", map(str, range(len(value))))
        return {kind: [packed(part, f"{name}.{its}", arrays) for its, part in zip(names, value, strict=True)]}
    raise SettingError(
        f"The state of this method holds a {type(value).__name__} ({name}), which a checkpoint cannot keep; it keeps "
        "arrays, numbers, words, None, and tuples of these."
    )


def unpacked(packed: Any, like: Any, name: str, arrays: Arrays) -> Any:
    """Return the value that was packed, of the types that `like` has.

    Raises
    ------
    ModelFileError
        If it does not fit.
    """
    if isinstance(packed, dict) and len(packed) == 1:
        kind, parts = next(iter(packed.items()))
        if kind == "number":
            return float(choice(parts, name, OWN_TEXT))
        if kind in SEQUENCES and isinstance(parts, list):
            return _unpacked_sequence(kind, parts, like, name, arrays)
    if isinstance(packed, dict):
        return _unpacked_array(packed, like, name, arrays)
    if isinstance(packed, list):
        raise damaged(name, packed, "a value of a state")
    if like is not None and packed is not None and _sort(packed) != _sort(like):
        raise damaged(name, packed, f"a {_sort(like)}")
    return packed


def _sort(value: Any) -> str:
    """Return what kind of value something is, in a word."""
    if is_array_api_obj(value):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, bool | str):
        return type(value).__name__
    return "number" if isinstance(value, int | float | np.generic) else "value of another kind"


def _packed_array(value: Any, name: str, arrays: Arrays) -> dict[str, Any]:
    found = np.asarray(value)
    kept = KEPT_AS.get(found.dtype.name)
    if kept is None:
        raise SettingError(
            f"The state of this method holds {found.dtype} values ({name}), which a checkpoint cannot keep."
        )
    in_columns = found.flags.f_contiguous and not found.flags.c_contiguous  # a product has other bits then
    shared = next((known for known, array in arrays.items() if array is value), None)
    if shared is None:
        arrays[name] = (found.T if in_columns else found).astype(kept, copy=False)
    told: dict[str, Any] = {"array": name if shared is None else shared, "dtype": found.dtype.name}
    marks = {"in_columns": in_columns, "scalar": isinstance(value, np.generic)}
    return told | {mark: True for mark, set_ in marks.items() if set_}


def _unpacked_array(packed: dict[str, Any], like: Any, name: str, arrays: Arrays) -> Any:
    key, dtype = packed.get("array"), packed.get("dtype")
    known = isinstance(key, str) and key in arrays and isinstance(dtype, str) and dtype in KEPT_AS
    if not known or arrays[str(key)].dtype.name != KEPT_AS[str(dtype)]:
        raise damaged(name, packed, "an array of the file")
    found = arrays[str(key)].astype(str(dtype), copy=False)
    if packed.get("in_columns") is True:
        found = found.T
    if packed.get("scalar") is True and found.shape == ():
        return found[()]
    if like is None:
        return found
    if not is_array_api_obj(like) or tuple(like.shape) != found.shape or not str(like.dtype).endswith(str(dtype)):
        raise damaged(name, f"{dtype} of shape {found.shape}", f"what a new run has there ({_sort(like)})")
    xp = array_namespace(like)
    return found if isinstance(like, np.ndarray) else xp.asarray(found, device=device(like))


def _unpacked_sequence(kind: str, parts: list[Any], like: Any, name: str, arrays: Arrays) -> Any:
    if like is not None and not isinstance(like, SEQUENCES[kind]):
        raise damaged(name, parts, f"a {type(like).__name__}")
    fields = getattr(like, "_fields", None)
    if fields is not None and len(fields) != len(parts):
        raise damaged(name, parts, f"{len(fields)} values")
    patterns = [*(like or ()), *[None] * len(parts)][: len(parts)]
    names = map(str, range(len(parts))) if fields is None else fields
    found = [
        unpacked(part, pattern, f"{name}.{its}", arrays)
        for part, pattern, its in zip(parts, patterns, names, strict=True)
    ]
    if fields is not None:
        made: Any = type(like)
        return made(*found)
    return deque(found, getattr(like, "maxlen", None)) if kind == "deque" else SEQUENCES[kind](found)
