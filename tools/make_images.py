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
from deltarule.methods import ConjugateGradient
from deltarule.methods.line_search import StrongWolfe

IMAGES = Path(__file__).parent.parent / "docs" / "images"
DOTS_PER_INCH = 120
COLOURS = 64
LARGEST = 60_000
"""Bytes of a picture: it is part of every clone."""


def main() -> None:
    """Draw all pictures."""
    save(learning_curve(), "learning_curve.png")
    save(race(), "race.png")
    save(error_surface(), "error_surface.png")


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


def error_surface() -> Figure:
    """Draw steepest descent and conjugate gradient in the valley of docs/explain/error_surface.md."""
    x = 1 + 0.7 * np.random.default_rng(0).normal(size=60)
    line = dr.Objective(dr.Network((1, 1)), "squared_error", x[:, None], 2 * x - 1)
    exact = StrongWolfe(c1=1e-10, c2=1e-9)
    methods = {
        "steepest descent": ConjugateGradient(beta=lambda g, g_before, d: 0.0, search=exact),
        "conjugate gradient": ConjugateGradient(search=exact),
    }
    two = ("output[0] <- input[0]", "output[0] <- bias")
    start = np.array([-1.0, 4.0])
    return dr.explain.surface(line, w=start, method=methods, through=two, steps=30).plot().figure


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
