"""What the tests of tables share."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from deltarule.encoding import Encoding
from deltarule.encoding.roles import choose_roles
from deltarule.errors import TableError
from deltarule.tables import read

DAY = (date(2024, 1, 2) - date(1970, 1, 1)).days


def cells(table, name):
    """A column as (kind, list) with None for missing."""
    column = table.column(name)
    values = [None if m else v for v, m in zip(column.values.tolist(), column.missing, strict=True)]
    return column.kind, values


def write(folder, content, name="t.csv"):
    path = Path(folder) / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(source, query=None):
    """The message of a refusal: one or two lines without SQL or DuckDB's advice."""
    with pytest.raises(TableError) as caught:
        read(source, query)
    message = str(caught.value)
    assert message.count("\n") < 2 and len(message) < 420
    assert "read_csv" not in message and "LINE 1" not in message and "Error:" not in message
    assert caught.value.__cause__ is None
    return message


def fitted(columns, targets="y", *, scaling="standard", rows=None, **roles):
    """The table, and its encoding fitted on some rows or all."""
    table = read(columns)
    rows = np.arange(table.n_rows) if rows is None else np.asarray(rows)
    return table, Encoding.fit(table, choose_roles(table, targets, **roles), rows, scaling)


HOUSES = {
    "age": [10.0, None, 30.0, 20.0],
    "heating": ["gas", "oil", None, "gas"],
    "garage": [True, False, True, True],
    "sold": np.array(["2024-01-01", "2024-01-03", "2024-01-02", "2024-01-04"], dtype="datetime64[D]"),
    "price": [100.5, 250.0, 175.0, 90.0],
}
