"""Write the pages of docs/reference that repeat tables in the code; ``--check`` compares them instead.

A page is made from the code alone, so that it cannot say anything else than the code does.
"""

import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import click
import numpy as np

import method_pages
from deltarule import activations, losses, stopping
from deltarule.activations import ACTIVATIONS, Activation
from deltarule.cli import deltarule as command_line
from deltarule.errors import SettingError
from deltarule.losses import LOSSES, Loss
from deltarule.methods.rules import RULES
from deltarule.methods.schedules import SCHEDULES
from deltarule.stopping import Reason
from pages import code, page, table

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
METHODS = FOLDER / "methods"
SHOWN_AT = (-2.0, 0.5, 2.0)
EPOCHS = (0, 10, 50, 100, 200)
HELP_WIDTH = 88


def number(value: Any) -> str:
    """Return a number with four digits."""
    return f"{float(value):.4g}".replace("-", "−")


def summary(made: Any) -> str:
    """Return the first line of a docstring."""
    return str(made.__doc__).partition("\n")[0]


def defaults(made: Any) -> str:
    """Return the settings of a frozen dataclass with their defaults."""
    made = made()
    return code(f"{row.name}={getattr(made, row.name)!r}" for row in fields(made) if row.init)


def other_names(aliases: dict[str, str], name: str) -> str:
    """Return the aliases of a name."""
    return code(alias for alias, meant in aliases.items() if meant == name)


def activation_page() -> str:
    """Return the page of the activations."""
    e = np.array(SHOWN_AT)
    rows = []
    for name, row in ACTIVATIONS.items():
        if row.couples:
            figures = ["each depends on the whole layer", ""]
        else:
            y = row.f(np, e)
            figures = [" · ".join(map(number, values)) for values in (y, row.df(np, e, y))]
        rows.append([f"`{name}`", *figures, other_names(activations.ALIASES, name)])
    at = ", ".join(map(number, SHOWN_AT))
    return page(
        "Activations",
        "What a neuron puts out, y = f(e), and the slope df/de that an update multiplies by. `softmax` "
        "serves the output layer only. Your own: see [](../howto/own_activation.md).",
        table(["name", f"f(e) at e = {at}", f"df/de at e = {at}", "other names"], rows),
        "The formulas, as the tests spell them out: each row is f and df/de of one number, with `c` the "
        "elementary functions.",
        "```{literalinclude} ../../tests/reference.py\n:language: python\n:start-at: def logistic(c, e)\n"
        ":end-before: def put_out\n```",
    )


def loss_page() -> str:
    """Return the page of the losses."""
    rows = []
    for name, row in LOSSES.items():
        low, high = row.targets
        targets = "any" if (low, high) == (-np.inf, np.inf) else f"{number(low)} to {number(high)}"
        parameter = "–" if row.parameter is None else f"{row.parameter} ({_interval(row)})"
        outputs = code(row.accepts) if row.accepts else "all"
        curved = "no" if row.curvature is None else "yes"
        rows.append([f"`{name}`", outputs, code(row.fused), targets, parameter, curved,
                     other_names(losses.ALIASES, name)])  # fmt: skip
    header = ["name", "outputs", "fuses with", "targets", "parameter", "curvature", "other names"]
    return page(
        "Losses",
        "How wrong the outputs of a row are. The loss of a row is the sum over its outputs; the loss of a "
        "run is the weighted mean over rows. A parameter is written behind the name: `\"quantile(0.9)\"`.",
        table(header, rows),
        "*Outputs*: the output activations a loss accepts. *Fuses with*: the outputs for which δ · f′(e) has "
        "a closed form in which f′ cancels. *Curvature*: whether there are second derivatives for "
        "Gauss–Newton quantities.",
        "The formulas, as the tests spell them out: the loss of one output, the error signal −∂loss/∂y, "
        "and ∂²loss/∂y² (`None` where there is none, or where the loss fuses and it is taken by e instead).",
        "```{literalinclude} ../../tests/reference.py\n:language: python\n:start-at: def t_log_t\n"
        ":end-before: class Net\n```",
        "## Which pairs are accepted",
        table(["output activation", "losses"], ([f"`{name}`", code(_accepting(row))] for name, row in
                                               ACTIVATIONS.items())),
    )  # fmt: skip


def _interval(loss: Loss) -> str:
    low, high = loss.bounds
    return f"above {number(low)}" + ("" if high == np.inf else f", below {number(high)}")


def _accepting(activation: Activation) -> list[str]:
    """Return the names of the losses that accept an output activation."""
    names = []
    for name, loss in LOSSES.items():
        try:
            loss.check_pair(activation)
        except SettingError:
            continue
        names.append(name)
    return names


def method_index_page() -> str:
    """Return the page with all methods, and what the online one is made of."""
    return page(
        "Methods",
        "Ways to choose the next weights. Each has a page built around its source; "
        "[Which method?](../howto/which_method.md) says which one for what.",
        method_pages.index_table(),
        "In Python a method is given by name, by another name or as an object; on the command line it is "
        "`--method NAME --set SETTING=VALUE`. *Needs* are functions of the objective; a method that cannot run "
        "on one is refused before any work.",
        "```{toctree}\n:hidden:\n:glob:\n\nmethods/*\n```",
        "## Update rules",
        "What `online` does with a gradient, as `rule=`.",
        table(["name", "what it does", "settings"],
              ([f"`{name}`", summary(rule), defaults(rule)] for name, rule in RULES.items())),
        "## Learning-rate schedules",
        "What `online` takes as `learning_rate=` besides a number. The figures are the rate at those epochs, "
        "with the defaults; `adaptive` also lowers it as the loss goes.",
        table(["name", "what it does", "settings", f"at epoch {', '.join(map(str, EPOCHS))}"],
              ([f"`{name}`", summary(made), defaults(made), " · ".join(number(made().at(t)) for t in EPOCHS)]
               for name, made in SCHEDULES.items())),
    )  # fmt: skip


def stopping_page() -> str:
    """Return the page of the stop rules and reasons."""
    rules = [
        made for made in vars(stopping).values() if isinstance(made, type) and made.__module__ ==
        "deltarule.stopping" and made is not Reason
    ]  # fmt: skip
    return page(
        "Stopping",
        "A stop rule looks at the history of a run and finds a reason, or none. Any function that takes the "
        "list of records and returns a `Reason` or `None` is a stop rule.",
        table(["rule", "what it does", "settings"],
              ([f"`{rule.__name__}`", summary(rule), _signature(rule)] for rule in rules)),
        "The list of reasons is closed: each run ends with one of these.",
        table(["reason", "sentence"], ([f"`{reason.name}`", reason.value] for reason in Reason)),
    )  # fmt: skip


def _signature(rule: Any) -> str:
    """Return the settings of a rule, with defaults where there are any."""
    return code(row.name if row.default is MISSING else f"{row.name}={row.default!r}" for row in fields(rule))


def command_page() -> str:
    """Return the page of the command line."""
    settings = {**command_line.context_settings, "max_content_width": HELP_WIDTH}
    context = click.Context(command_line, info_name="deltarule", **settings)
    parts = [f"```text\n{_help(command_line, context)}\n```"]
    for name in command_line.list_commands(context):
        command = command_line.commands[name]
        inner = click.Context(command, context, info_name=name, max_content_width=HELP_WIDTH)
        parts += [f"## deltarule {name}", f"```text\n{_help(command, inner)}\n```"]
        schema = getattr(sys.modules[command.callback.__module__], "JSON", None)
        if schema is not None:
            parts.append("What `--json` prints; numbers that are not finite are null.")
            parts.append(table(["key", "what it holds"], ([_keys(key), words] for key, words in schema.items())))
    return page(
        "Command line",
        "Exit status 0 is done, 1 failed while working, 2 wrong use or bad input. With `--json`, stdout "
        "holds one JSON object and nothing else; progress goes to stderr.",
        *parts,
    )


def _keys(names: str) -> str:
    """Return keys that are separated by commas as code; the first names what all of them are in."""
    return code(names.split(", "))


def _help(command: click.Command, context: click.Context) -> str:
    """Return the help of a command in lines of a fixed width."""
    context.terminal_width = HELP_WIDTH
    return command.get_help(context).rstrip()


def pages() -> dict[Path, str]:
    """Return all pages by their paths."""
    return {
        FOLDER / "activations.md": activation_page(),
        FOLDER / "losses.md": loss_page(),
        FOLDER / "methods.md": method_index_page(),
        FOLDER / "stopping.md": stopping_page(),
        FOLDER / "command_line.md": command_page(),
        **{METHODS / name: text for name, text in method_pages.pages().items()},
    }


def main(check: bool) -> int:
    """Write the pages, or return 1 if they differ from what would be written."""
    made = pages()
    gone = sorted(set(METHODS.glob("*.md")) - set(made))
    stale = [path for path, text in made.items() if not (path.exists() and path.read_text(encoding="utf-8") == text)]
    if check:
        if names := ", ".join(str(path.relative_to(FOLDER)) for path in [*stale, *gone]):
            print(f"docs/reference: {names} differ from the code; run tools/reference_pages.py", file=sys.stderr)
        return bool(stale or gone)
    METHODS.mkdir(exist_ok=True)
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    for path in gone:  # the page of a method that is there no more
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
