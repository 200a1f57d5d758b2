"""Run the tests of the promises and write how many cases hold each into docs/explain/promises.md.

python tools/promises.py

Nothing is written unless all of them pass.
"""

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "explain" / "promises.md"


class Register:
    """A plugin of pytest that counts the cases and the seconds of each promise."""

    def __init__(self):
        self.of_test = {}
        self.cases = Counter()
        self.seconds = Counter()

    def pytest_collection_finish(self, session):
        """Note which promises each test holds."""
        for item in session.items:
            self.of_test[item.nodeid] = {mark.args[0] for mark in item.iter_markers("promise")}

    def pytest_runtest_logreport(self, report):
        """Count a test that passed."""
        for promise in self.of_test.get(report.nodeid, ()):
            self.seconds[promise] += report.duration
            self.cases[promise] += report.when == "call" and report.passed


def main():
    """Run the tests and rewrite the last column of the page's table."""
    register = Register()
    status = pytest.main(["-m", "promise", "-q", "--no-header", str(ROOT / "tests")], plugins=[register])
    if status:
        sys.exit("Not all promises hold, so the page stays as it is.")

    def told(row):
        promise = row[1]
        if not register.cases[promise]:
            return row[0]
        return f"{row[0].rpartition(' | ')[0]} | {register.cases[promise]:,} cases, {register.seconds[promise]:.0f} s |"

    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(r"^\| (P\d+) \|.*\|$", told, page, flags=re.MULTILINE), encoding="utf-8")
    print(f"{sum(register.cases.values()):,} cases, written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
