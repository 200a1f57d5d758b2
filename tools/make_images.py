"""Draw the pictures of the README and the documentation, each from a real run on a real table."""

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

matplotlib.use("Agg")

import deltarule as dr
from deltarule import demonstration

IMAGES = Path(__file__).parent.parent / "docs" / "images"
DOTS_PER_INCH = 120
COLOURS = 64
LARGEST = 60_000
"""Bytes of a picture: it is part of every clone."""


def main() -> None:
    """Draw all pictures."""
    save(learning_curve(), "learning_curve.png")
    save(race(), "race.png")


def learning_curve() -> Figure:
    """Train on the demonstration's table until the validation loss rises, and draw how it went."""
    with tempfile.TemporaryDirectory() as name:
        with redirect_stdout(io.StringIO()):
            demonstration.run(Path(name), seed=0, as_json=True)
        model = dr.fit(Path(name) / demonstration.TABLE, target=demonstration.TARGET, method="cg", l2=0.0)
    return dr.plots.learning_curve(model.history).figure


def race() -> Figure:
    """Race the methods of docs/howto/compare.md on its table."""
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-2, 2, (2, 3_000))
    table = {"x": x, "y": y, "z": np.sin(2 * x) * y + rng.normal(0, 0.05, 3_000)}
    return dr.compare(table, target="z", methods=["online", "adam", "gd", "cg"], max_passes=300).plot()[0].figure


def save(figure: Figure, name: str) -> None:
    """Write a picture in few colours, and see that it is small."""
    path, drawn = IMAGES / name, io.BytesIO()
    figure.savefig(drawn, dpi=DOTS_PER_INCH)
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
    size = path.stat().st_size
    assert size < LARGEST, f"{path} has {size} bytes"
    print(f"{path.name}: {size:,} bytes")


if __name__ == "__main__":
    main()
