"""Draw the pictures of the README and the documentation, each from a real run on a real table."""

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import deltarule as dr
from deltarule import demonstration

IMAGES = Path(__file__).parent.parent / "docs" / "images"
DOTS_PER_INCH = 120
LARGEST = 60_000
"""Bytes of a picture: it is part of every clone."""


def main() -> None:
    """Train on the demonstration's table until the validation loss rises, and draw how it went."""
    with tempfile.TemporaryDirectory() as name:
        with redirect_stdout(io.StringIO()):
            demonstration.run(Path(name), seed=0, as_json=True)
        model = dr.fit(Path(name) / demonstration.TABLE, target=demonstration.TARGET, method="cg", l2=0.0)
    path = IMAGES / "learning_curve.png"
    dr.plots.learning_curve(model.history).figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
    size = path.stat().st_size
    assert size < LARGEST, f"{path} has {size} bytes"
    print(f"{path.name}: {size:,} bytes")


if __name__ == "__main__":
    main()
