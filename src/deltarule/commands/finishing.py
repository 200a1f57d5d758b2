"""How commands that train end: files that are written, the report, the exit status."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deltarule.errors import InputError, SettingError
from deltarule.files import check_writable, write_atomically
from deltarule.stopping import Reason

if TYPE_CHECKING:
    from deltarule.model import Model

PICTURES = (".png", ".svg", ".pdf")


def finish(model: Model, output: str | None, curve: str | None, as_json: bool, status: int, run: str | None) -> None:
    """Write what was asked for, print the report, and where training was interrupted, leave with this status."""
    if output is not None:
        model.save(output)
    if curve is not None:
        from deltarule.plots import learning_curve

        draw(curve, lambda: learning_curve(model.history).figure)
    print_model(model, output, as_json)
    if output is not None and not as_json:
        click.echo(f"\nsaved to {output}; next: deltarule predict {output} TABLE")
    if model.training.reason == Reason.INTERRUPTED.value:
        click.echo("Interrupted: these are the best weights so far.", err=True)
        if run is not None:
            click.echo(f"To go on: deltarule resume {run}", err=True)
        sys.exit(status)


def check_outputs(outputs: list[str | None], inputs: list[str]) -> None:
    """Refuse, before any work, a file that cannot be written or that is also read or written otherwise."""
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if path is None:
            continue
        check_writable(path)
        if os.path.realpath(path) in taken:
            raise InputError(f"Cannot write {path!r}: it is another file of this command; give another name.")
        taken.add(os.path.realpath(path))


def print_model(model: Model, path: str | None, as_json: bool) -> None:
    """Print what a model is and how it came to be."""
    if as_json:
        about = {
            "model": path,
            "task": model.task,
            "targets": model.encoding.target_names,
            "inputs": model.encoding.input_names,
            "sizes": model.network.sizes,
            "activations": [activation.name for activation in model.network.activations],
            "loss": str(model.loss),
            "members": len(model.members),
            "error_bars": model.error_bars is not None,
            "weights_sha256": model.fingerprint,
        }
        print_json({**about, **asdict(model.training), "odds": model.training.odds})
        return
    from deltarule import terminal

    terminal.print_model(model)
    click.echo()
    terminal.print_training(model)


def check_picture(option: str, path: str | None) -> None:
    """Refuse, before any work, a picture of a kind that cannot be drawn."""
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise SettingError(f"{option} was {path!r}; give a name ending in {', '.join(PICTURES)}.")


def draw(path: str, figure: Callable[[], Any]) -> None:
    """Write a matplotlib figure, of the kind that the name says."""
    import matplotlib

    matplotlib.use("Agg")
    picture = io.BytesIO()
    figure().savefig(picture, dpi=150, format=Path(path).suffix[1:].lower())
    write_atomically(path, picture.getvalue())


def print_json(content: dict[str, Any]) -> None:
    """Print JSON values on a line, for machines."""
    click.echo(json.dumps(content, allow_nan=False, ensure_ascii=False))
