"""Pages, tables and code in Markdown."""

from collections.abc import Iterable

MADE = "<!-- Made by tools/reference_pages.py from the code; do not edit. -->"


def page(title: str, *paragraphs: str) -> str:
    """Return a page of Markdown."""
    return "\n\n".join([MADE, f"# {title}", *(paragraph for paragraph in paragraphs if paragraph)]) + "\n"


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table; bars inside cells are escaped."""
    lines = [list(header), *rows]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def code(values: Iterable[object]) -> str:
    """Return values as code, separated by commas; a dash for none."""
    return ", ".join(f"`{value}`" for value in values) or "–"
