"""What the commands that explain print with --json has the keys that the documentation lists, and no others."""

import re
from pathlib import Path

import pytest

from commandline import done
from mixtures import homes, write

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "explaining_json.md"
FREE = ("settings", "terms", "numbers")
"""Objects whose keys are names of a method's settings and terms, and the numbers of a fact."""


def section(title):
    """Return the names in code style under a heading of the page, and those under "An error surface"."""
    parts = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    return set(re.findall(r"`([a-z_]+)`", parts[title])), set(re.findall(r"`([a-z_]+)`", parts["An error surface"]))


def keys(value):
    """Yield every key inside a JSON value."""
    for one in value if isinstance(value, list) else []:
        yield from keys(one)
    for key, one in value.items() if isinstance(value, dict) else []:
        yield key
        if key not in FREE:
            yield from keys(one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("json")
    write(made / "homes.csv", homes(40))
    done("train", made / "homes.csv", "-t", "price", "--epochs", 2, "--l2", 0.01, "--hidden", 2, "-o",
         made / "m.deltarule", "--quiet")  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("title", "typed"),
    [
        ("deltarule explain", ("explain", "m.deltarule", "homes.csv", "-r", 1, "--surface", "s.png")),
        ("deltarule why", ("why", "homes.csv", "-t", "price", "--seeds", 2, "--rates", "0.5", "--epochs", 2)),
        ("deltarule check", ("check", "m.deltarule", "homes.csv")),
    ],
)
def test_every_key_is_documented_and_every_documented_key_is_there(folder, monkeypatch, title, typed):
    monkeypatch.chdir(folder)
    found = done(*typed, "--json").json
    documented, of_surfaces = section(title)
    printed = set(keys(found))
    assert printed <= documented | of_surfaces if "surface" in found else printed <= documented
    values = {"plain", "fused", "softmax", "kink", "false"}
    assert documented - values <= printed
    if "surface" in found:
        assert of_surfaces <= printed
