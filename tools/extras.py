"""Print the packages of some extras of pyproject.toml, one a line, so that they can be installed without a build."""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Print the requirements of the extras named, deltarule itself left out."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in sys.argv[1:]:
        for requirement in project["optional-dependencies"][extra]:
            if not requirement.startswith("deltarule"):
                print(requirement)


if __name__ == "__main__":
    main()
