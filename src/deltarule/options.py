"""Options of the command line that several commands share, and what is typed after them as values."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from deltarule.errors import SettingError

Command = TypeVar("Command", bound=Callable[..., Any])


def widths(text: str) -> tuple[int, ...]:
    """Return the widths of hidden layers."""
    if text.strip() in ("0", "none", ""):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingError(f"--hidden was {text!r}; give widths such as 32,16, or 0 for none.") from None


def names(text: str) -> list[str]:
    """Return names that are separated by commas."""
    return [name.strip() for name in text.split(",")]


def one_or_names(text: str) -> str | list[str]:
    """Return a name, or several that are separated by commas."""
    found = names(text)
    return found[0] if len(found) == 1 else found


def penalty(text: str) -> float | str:
    """Return a penalty, or ``auto``."""
    value = number(text)
    if text != "auto" and not 0 <= value < float("inf"):
        raise SettingError(f"--l2 was {text!r}; give a number from 0 up, or auto.")
    return text if text == "auto" else value


def shares(text: str) -> tuple[float, float, float]:
    """Return the shares of training, validation and test rows, their sum 1."""
    parts = [number(part) for part in text.replace("/", ",").split(",")]
    if len(parts) != 3 or not all(0 <= part < float("inf") for part in parts) or not parts[0] * parts[1]:
        raise SettingError(
            f"--fractions was {text!r}; give shares of training, validation and test rows such as 70,15,15, "
            "of which only the last may be 0."
        )
    total = sum(parts)
    return parts[0] / total, parts[1] / total, parts[2] / total


def seconds(text: str) -> float:
    """Return a time in seconds, given as 30, 30s, 5m or 1h."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    value = number(text[:-1] if text[-1:] in units else text) * units.get(text[-1:], 1.0)
    if not 0 <= value < float("inf"):
        raise SettingError(f"--every was {text!r}; give a time such as 30s, 5m or 1h.")
    return value


def number(text: str) -> float:
    """Return a number, or NaN, which is refused wherever a number is needed."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of a setting."""
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set was {text!r}; give NAME=VALUE, as in learning_rate=0.05.")
    words = {"true": True, "false": False, "none": None}
    try:
        parsed = words[value.lower()] if value.lower() in words else json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(parsed, list | dict) else parsed


def settings(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a method."""
    return dict(setting(text) for text in texts)


def labelled_settings(texts: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the settings of several methods, each after the label of its own: ``LABEL.NAME=VALUE``."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, value = setting(text)
        label, dot, name = name.rpartition(".")
        if not dot:
            raise SettingError(f"--set was {text!r}; give METHOD.NAME=VALUE, as in online.learning_rate=0.05.")
        found.setdefault(label, {})[name] = value
    return found


def labelled_methods(texts: tuple[str, ...]) -> dict[str, str] | list[str] | None:
    """Return the methods of a race by their labels: ``online,cg``, or ``fast=online,slow=online``."""
    if not texts:
        return None
    typed = [part.partition("=") for text in texts for part in text.split(",")]
    labels = [label.strip() for label, _, _ in typed]
    named = [name.strip() if equals else label.strip() for label, equals, name in typed]
    return dict(zip(labels, named, strict=True)) if len(set(labels)) == len(labels) else labels  # refused as twice


def read_as(parse: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a callback of click that turns what was typed into a value; what was not typed stays None."""
    return lambda context, option, typed: None if typed is None else parse(typed)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object to stdout and nothing else.")
seed = click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Split, initial weights, row orders."
)
query = click.option("--query", help="SQL to run where TABLE is a database file.")
quiet = click.option("--quiet", is_flag=True, help="No progress bar.")
every = click.option(
    "--every", default="30s", show_default=True, metavar="TIME", callback=read_as(seconds),
    help="Time from one checkpoint of the run to the next.",
)  # fmt: skip
max_seconds = click.option("--max-seconds", type=float, metavar="SECONDS", help="Seconds at most for each run.")

TARGET = click.option(
    "-t", "--target", metavar="COLUMN", multiple=True, required=True, callback=read_as(list),
    help="Column to predict; repeat for several.",
)  # fmt: skip
NETWORK = (
    click.option(
        "--hidden", metavar="WIDTHS", callback=read_as(widths),
        help="Widths of hidden layers, as in 32,16; 0 for none.",
    ),
    click.option(
        "--activation", default="tanh", show_default=True, callback=read_as(one_or_names),
        help="Hidden activation, or one a layer: tanh,relu.",
    ),
    click.option("--loss", help="What is made small; by default squared error or cross-entropy."),
)  # fmt: skip
COLUMNS = (
    click.option("--task", metavar="TASK", help="regression or classification; found from the target if not given."),
    click.option(
        "--inputs", metavar="COLUMNS", callback=read_as(names),
        help="Columns to predict from, separated by commas; default all others.",
    ),
    click.option("--exclude", metavar="COLUMN", multiple=True, help="Column not to use; repeat for several."),
)  # fmt: skip
ROWS = (
    click.option("--scaling", default="standard", show_default=True, help="standard, minmax, robust or none."),
    click.option("--split", "split_by", default="random", show_default=True, help="random, order or column:NAME."),
    click.option(
        "--fractions", default="70,15,15", show_default=True, callback=read_as(shares),
        help="Shares of training, validation, test rows.",
    ),
)  # fmt: skip


def of_tables(command: Command) -> Command:
    """Add the options that say what is learnt from a table by what network, by the names that `fit` gives them."""
    for option in reversed((*NETWORK, *COLUMNS, *ROWS, query)):
        command = option(command)
    return command
