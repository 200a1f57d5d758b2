"""Run the tests of the promises and write how many cases hold each into docs/explain/promises.md.

python tools/promises.py [P1 P2 ...]

All promises are run unless some are named. Nothing is written unless all their tests pass.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explain" / "promises.md"


class Register:
    """A plugin of pytest that runs the tests of some promises and counts the cases of each that passed."""

    def __init__(self, wanted):
        self.wanted = set(wanted)
        self.of_test = {}
        self.cases = Counter()

    def pytest_collection_modifyitems(self, items):
        """Keep the tests of the promises that are wanted, and note which ones each holds."""
        self.of_test = {item.nodeid: {mark.args[0] for mark in item.iter_markers("promise")} for item in items}
        items[:] = [item for item in items if self.of_test[item.nodeid] & self.wanted]

    def pytest_runtest_logreport(self, report):
        """Count a test that passed."""
        if report.when == "call" and report.passed:
            self.cases.update(self.of_test[report.nodeid] & self.wanted)


def main():
    """Run the tests and rewrite the last column of the page's table."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = sys.argv[1:] or re.findall(r"^\| (P\d+) \|", page, flags=re.MULTILINE)
    register = Register(wanted)
    files = [
        path for path in sorted((ROOT / "tests").glob("test_*.py")) if "promise" in path.read_text(encoding="utf-8")
    ]
    if pytest.main(["-m", "promise", "-q", "--no-header", *map(str, files)], plugins=[register]):
        sys.exit("Not all of these promises hold, so the page stays as it is.")

    def told(row):
        cases = register.cases[row[1]]
        return f"{row[0].rpartition(' | ')[0]} | {cases:,} cases |" if cases else row[0]

    PAGE.write_text(re.sub(r"^\| (P\d+) \|.*\|$", told, page, flags=re.MULTILINE), encoding="utf-8")
    print(f"{sum(register.cases.values()):,} cases, written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
