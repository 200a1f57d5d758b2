"""What fuzzing has in common: values that belong in one place and not in another, and what may happen to them.

`worst_models`, `worst_tables` and `worst_calls` generate cases, the same for the same seed. The tests run few of them,
`benchmarks/fuzz.py` runs many under a memory limit. A case may be refused by an error raised on purpose, or work.
"""

import deltarule as dr

LONGEST_MESSAGE = 600

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    3,
    0.5,
    -0.0,
    1e-320,
    1e308,
    -1e308,
    2**31,
    2**53 + 1,
    2**63,
    10**400,
    "",
    "w",
    "text",
    "tanh",
    "regression",
    "squared_error",
    "number",
    "\ud800",
    "\x00",
    "\x1b[2J",
    "a" * 5_000,
    [],
    [[]],
    {},
    [0],
    [1, 2],
    {"a": 1},
    ["x", "x"],
    [None] * 50,
    {"name": "x"},
    "NaN",
    "softmax",
    "category",
]
"""JSON values that belong in one place and not in another."""


def refused_on_purpose(error):
    """Whether an error is one that deltarule raises on purpose, said in a line."""
    message = str(error)
    return isinstance(error, dr.DeltaruleError) and 0 < len(message) < LONGEST_MESSAGE and message.count("\n") < 2
