"""Text and JSON files that may be tables: ragged, spoilt, full of what means something elsewhere."""

import json

import deltarule as dr
from deltarule import modelfile
from deltarule.tables import read
from worst import VALUES, refused_on_purpose

CELLS = [
    "",
    "1",
    "-1.5",
    "1e308",
    "1e999",
    "-inf",
    "NaN",
    "NA",
    "?",
    "null",
    "true",
    "FALSE",
    "2024-01-31",
    "2024-13-45",
    "99999-01-01",
    "1,234",
    "12,5",
    "007",
    "=cmd|' /C calc'!A0",
    "+1",
    "@x",
    "\x1b[2J",
    "\x9b5n",
    "\u202egnp",
    "ä",
    "日本",
    "x" * 300,
    "a b",
    " 1 ",
    "'",
    "\\",
    "\\N",
    ";",
    "|",
    "\t",
    "{}",
    "[1]",
    "0x10",
    "1_000",
    "１２",
    "9" * 50,
    "#",
    "--",
    "/*",
]
NAMES = [
    "a",
    "y",
    "id",
    "a b",
    "y is missing",
    "=x",
    "\x1b[31m",
    "ä",
    "1",
    "NaN",
    "select",
    "a,b",
    "a\nb",
    "''",
    "  x",
    "A",
]
BREAKS = ["\n", "\r\n", "\r", "\n\n", "", " \n"]


def hostile_text(rng):
    """Return the bytes of a text file that may be a table: ragged, of any encoding, its quotes open or not."""
    delimiter = rng.choice([",", ";", "\t", "|", ", "])
    ends = BREAKS[:1] if rng.random() < 0.7 else BREAKS
    names = [NAMES[i] for i in rng.permutation(len(NAMES))[: int(rng.integers(1, 6))]]
    if rng.random() < 0.1:
        names.append(names[0])
    pools = [[CELLS[i] for i in rng.integers(len(CELLS), size=int(rng.integers(1, 5)))] for _ in names]
    if rng.random() < 0.7:
        pools[-1] = ["1.5", "2", "4e3", "-7"] if rng.random() < 0.5 else ["yes", "no"]
    ragged = 0.02 if rng.random() < 0.2 else 0.0
    lines = [names]
    for _ in range(int(rng.integers(0, 40))):
        lines.append([pool[rng.integers(len(pool))] for pool in pools])
        if rng.random() < ragged:
            lines[-1].append("1")
    open_quotes = 0.01 if rng.random() < 0.2 else 0.0
    quoted = [delimiter.join(_quoted(rng, cell, delimiter, open_quotes) for cell in line) for line in lines]
    data = "".join(line + ends[rng.integers(len(ends))] for line in quoted).encode()
    return _spoilt(rng, data) if rng.random() < 0.25 else data


def _quoted(rng, cell, delimiter, open_quotes):
    if rng.random() < open_quotes:
        return f'"{cell}'
    if any(letter in cell for letter in (delimiter, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _spoilt(rng, data):
    """Return bytes in another encoding, with a mark, cut, or with a byte of noise."""
    kind = rng.integers(6)
    if kind == 0:
        return b"\xef\xbb\xbf" + data
    if kind == 1:
        return data.decode().encode("utf-16")
    if kind == 2:
        return data.decode().encode("latin-1", "replace")
    if kind == 3:
        return data[: int(rng.integers(len(data) + 1))]
    place = int(rng.integers(len(data) + 1))
    return data[:place] + rng.bytes(int(rng.integers(1, 5))) + data[place + int(rng.integers(3)) :]


def hostile_json(rng):
    """Return the bytes of a JSON file that may be a table: columns of one kind, now and then of any."""
    names = [NAMES[i] for i in rng.permutation(len(NAMES))[: int(rng.integers(1, 4))]]
    pools = {name: [VALUES[i] for i in rng.integers(24, size=int(rng.integers(1, 5)))] for name in names}
    pools[names[-1]] = [1, 2.5, "x"] if rng.random() < 0.3 else [0.5, 1, 3]
    rows = [
        {name: pools[name][rng.integers(len(pools[name]))] for name in names if rng.random() < 0.97}
        for _ in range(int(rng.integers(0, 40)))
    ]
    if rng.random() < 0.3:
        rows.append({NAMES[rng.integers(len(NAMES))]: VALUES[rng.integers(len(VALUES))]})
    data = ("\n".join(map(json.dumps, rows)) if rng.random() < 0.5 else json.dumps(rows)).encode()
    return _spoilt(rng, data) if rng.random() < 0.3 else data


def check_table(path):
    """Read a file as a table and train on it for a step; return whether both were accepted."""
    try:
        table = read(path)
        assert all(len(column.values) == table.n_rows for column in table.columns.values())
        target = list(table.columns)[-1]
        model = dr.fit(table, target, hidden=2, max_steps=1, l2=0.1, method="gradient_descent", error_bars=False)
        predicted = modelfile.from_bytes(modelfile.to_bytes(model)).predict(path)
    except dr.DeltaruleError as error:
        assert refused_on_purpose(error), error
        return False
    assert len(predicted) == table.n_rows
    return True


KINDS = {"t.csv": hostile_text, "t.jsonl": hostile_json}
"""Generators by the name of the file they write."""
