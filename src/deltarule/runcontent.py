"""What a checkpoint says of its runs: put together, and checked when it is read.

    about       what the call is; see `deltarule.sameness`
    runs        each run under way: its state, best weights, how many records it has; arrays runs.NUMBER...
    finished    each run that has ended: how; their weights, one after another, are the array finished.w
    columns     what the records of those hold, each once
    blocks      the blocks that hold the first records of long histories: how many, and the digest of the last
    parts       the other records, of each run its own; their numbers are the array numbers

What a state means is checked where it is unpacked, what a history means where it becomes records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deltarule import ledger, runfile
from deltarule.jsonfields import choice, damaged, finite, listed, record, text, whole
from deltarule.ledger import Columns, Floats
from deltarule.packing import Arrays
from deltarule.runfile import Blocks, Saved
from deltarule.slots import Finished, Found, arrays_of
from deltarule.stopping import Reason


class Runs(NamedTuple):
    """What a checkpoint holds: each run with how many of its records are in blocks, and the blocks."""

    found: list[tuple[Found, int]]
    blocks: Blocks


def content_of(
    about: dict[str, Any], runs: Sequence[dict[str, Any]], finished: Sequence[Finished], blocks: Blocks,
    parts: Iterable[tuple[int, Floats]], arrays: Arrays,
) -> Saved:  # fmt: skip
    """Return what a checkpoint is to hold; `arrays` are those of the runs under way."""
    columns: list[Any] = []
    ended = []
    for told, w in finished:  # most runs have the same columns
        if told["columns"] not in columns:
            columns.append(told["columns"])
        ended.append({**told, "weights": len(w), "columns": columns.index(told["columns"])})
    if finished:
        arrays = {**arrays, "finished.w": np.concatenate([w for _, w in finished])}
    told_parts, numbers = ledger.squeezed(parts)
    content = {
        "about": about, "runs": list(runs), "columns": columns, "finished": ended, "blocks": blocks._asdict(),
        "parts": told_parts,
    }  # fmt: skip
    return Saved(content, {**arrays, "numbers": numbers} if told_parts else arrays)


def block_of(parts: Iterable[tuple[int, Floats]]) -> Saved:
    """Return what a block is to hold."""
    told, numbers = ledger.squeezed(parts)
    return Saved({"parts": told}, {"numbers": numbers})


def runs_of(folder: Path, saved: Saved) -> Runs:
    """Return what a checkpoint holds, with the blocks that it needs.

    Raises
    ------
    ModelFileError
        If it cannot be, or a block that it needs cannot be read.
    """
    content = record(saved.content, "the run", ("about", "runs", "columns", "finished", "blocks", "parts"))
    if not isinstance(content["about"], dict):
        raise damaged("about", content["about"], "an object")
    columns = listed(content["columns"], "columns", ledger.read_columns)
    runs = listed(content["runs"], "runs", _run_under_way)
    finished = listed(content["finished"], "finished", lambda value, where: _run_finished(value, where, columns))
    read = {told["number"]: (told, its) for told, its in (*runs, *finished)}
    if len(read) != len(runs) + len(finished):
        raise damaged("runs", sorted(read), "each run once")
    blocks = _blocks(content["blocks"])
    parts: dict[int, list[Floats]] = {number: [] for number in read}
    in_blocks = dict.fromkeys(read, 0)
    for block in runfile.read_blocks(folder, blocks):
        for number, rows in _parts(record(block.content, "the history", ("parts",)), block.arrays, read):
            parts[number].append(rows)
            in_blocks[number] += rows.shape[1]
    for number, rows in _parts(content, saved.arrays, read):
        parts[number].append(rows)
    weights = _weights(saved.arrays, [told for told, _ in finished])
    found = []
    for number, (told, its) in read.items():
        rows = np.concatenate(parts[number], axis=1) if parts[number] else np.zeros((len(its.kinds), 0))
        if rows.shape[1] != told["records"]:
            raise damaged(f"the history of run {number}", rows.shape[1], f"{told['records']:,} records")
        arrays = {"w": weights.pop(0)} if "reason" in told else arrays_of(number, saved.arrays)
        found.append((Found(told, arrays, its, rows), in_blocks[number]))
    return Runs(found, blocks)


def _parts(content: dict[str, Any], arrays: Arrays, read: dict[int, Any]) -> list[tuple[int, Floats]]:
    """Return the parts of histories of a checkpoint or a block, if each belongs to a run and has its numbers."""
    widths = {number: len(its.kinds) for number, (_, its) in read.items()}
    return ledger.stretched(content["parts"], arrays.get("numbers", np.zeros(0)), "the history", widths)


def _weights(arrays: Arrays, finished: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the weights of the finished runs; only a run that never began, and so has no records, has others."""
    counts = [told["weights"] for told in finished]
    w = arrays.get("finished.w", np.zeros(0))
    if w.shape != (sum(counts),) or w.dtype not in (np.float64, np.float32):
        raise damaged("finished.w", f"{w.dtype} of shape {w.shape}", f"{sum(counts):,} weights in float64 or float32")
    weights = [part.copy() for part in np.split(w, np.cumsum(counts)[:-1])] if counts else []
    for told, part in zip(finished, weights, strict=True):
        if told["records"] and not np.isfinite(part).all():
            raise damaged(f"the weights of run {told['number']}", "not finite", "finite numbers")
    return weights


def _blocks(value: object) -> Blocks:
    d = record(value, "blocks", Blocks._fields)
    return Blocks(whole(d["number"], "blocks.number"), text(d["digest"], "blocks.digest"))


def _run_under_way(value: object, where: str) -> tuple[dict[str, Any], Columns]:
    d = record(value, where, ("number", "columns", "records", "state", "best_w", "best_score", "best_step"))
    for key in ("number", "records", "best_step"):
        whole(d[key], f"{where}.{key}")
    if not d["records"]:
        raise damaged(f"{where}.records", 0, "a number of records of a run under way")
    return d, ledger.read_columns(d["columns"], f"{where}.columns")


def _run_finished(value: object, where: str, columns: Sequence[Columns]) -> tuple[dict[str, Any], Columns]:
    d = record(value, where, ("number", "columns", "records", "reason", "message", "step", "loss", "weights"))
    place = whole(d["columns"], f"{where}.columns")
    choice(d["reason"], f"{where}.reason", Reason.__members__)
    text(d["message"], f"{where}.message")
    if d["loss"] is not None:
        finite(d["loss"], f"{where}.loss")
    _, records, step, weights = (whole(d[key], f"{where}.{key}") for key in ("number", "records", "step", "weights"))
    if step > max(0, records - 1) or weights == 0 or place >= len(columns):
        raise damaged(where, step, f"a step of its {records} records")
    return {**d, "columns": columns[place].to_json()}, columns[place]
