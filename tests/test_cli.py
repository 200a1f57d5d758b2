"""The command line: exit statuses, what goes to stdout and what to stderr, reports, JSON, and interrupts."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

import deltarule as dr
from commandline import COMMAND, done, process, refused, run
from deltarule import cli, terminal
from deltarule.methods import METHODS
from mixtures import flowers, homes, waves, write

QUICK = ("--epochs", 3, "--l2", 0.01)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "homes.csv", homes())
    write(tmp_path / "flowers.csv", flowers())
    write(tmp_path / "waves.csv", waves())
    return tmp_path


@pytest.fixture
def price(folder):
    done("train", "homes.csv", "-t", "price", *QUICK, "-o", "price.deltarule", "--quiet")
    return "price.deltarule"


@pytest.fixture
def kind(folder):
    done("train", "flowers.csv", "-t", "kind", *QUICK, "-o", "kind.deltarule", "--quiet")
    return "kind.deltarule"


def fits(text, width):
    return all(len(line) <= width and line == line.rstrip() for line in text.splitlines())


def test_train_reports_and_saves_the_model_that_fit_makes(folder):
    ended = done("train", "homes.csv", "-t", "price", *QUICK, "-o", "m.deltarule")
    model = dr.fit("homes.csv", "price", max_steps=3, l2=0.01)
    assert dr.load("m.deltarule").w.tobytes() == model.w.tobytes()
    report = "target   price (regression)|test rows|training rows|baseline|R²|RMSE|MAE|saved to m.deltarule"
    assert all(words in ended.out for words in report.split("|"))
    scores = model.training.scores["test"]
    assert re.search(rf"^R² +{scores['r2']:.4f} ", ended.out, re.MULTILINE)
    assert re.search(rf"^RMSE +{scores['rmse']:.4g} ", ended.out, re.MULTILINE)
    assert fits(ended.out, 80) and ended.err == ""


def test_classes_are_reported_with_their_confusion(folder):
    out = done("train", "flowers.csv", "-t", "kind", *QUICK).out
    for words in ("accuracy", "balanced accuracy", "log loss", "observed \\ predicted", "commonest class"):
        assert words in out
    lines = [line for line in out.splitlines() if re.match("(alba|lutea|rubra) ", line)]
    counts = [[int(n) for n in re.findall(r"\d+", line)] for line in lines]
    scores = dr.fit("flowers.csv", "kind", max_steps=3, l2=0.01).training.scores["test"]
    assert counts == scores["confusion"] and fits(out, 80)


def test_long_names_and_notes_are_wrapped(folder):
    columns = homes()
    names = {name: f"{name} as it was written down by the previous owner of the house [m²]" for name in columns}
    constant = {f"constant {i:030}": [1] * 160 for i in range(9)}
    write(folder / "long.csv", {names[name]: cells for name, cells in columns.items()} | constant)
    ended = done("train", "long.csv", "-t", names["price"], *QUICK)
    assert "left out, the same value in all rows" in ended.out and fits(ended.out, 80)
    assert names["price"] in " ".join(ended.out.split())


def test_brackets_and_colons_in_names_are_text_and_nothing_else(folder):
    labels = np.array(["[red]", "[/bold]", ":smile:"])[np.arange(90) % 3]
    write(folder / "marks.csv", {**flowers(), "kind": labels})
    out = done("train", "marks.csv", "-t", "kind", *QUICK).out
    assert all(out.count(label) == 2 for label in set(labels.tolist()))


def test_names_in_any_language(folder):
    write(folder / "мир.csv", {"größe": waves()["x"], "цена": waves()["y"]})
    done("train", "мир.csv", "-t", "цена", *QUICK, "-o", "модель")
    ended = done("predict", "модель", "мир.csv")
    assert ended.out.startswith("цена\n") and ended.out.count("\n") == 61
    assert done("info", "модель", "--json").json["inputs"] == ["größe"]


TRAINED = {
    "model", "task", "targets", "inputs", "sizes", "activations", "loss", "table", "rows", "method", "settings", "l2",
    "seed", "steps", "seconds", "reason", "scores", "baseline", "notes", "runs", "odds", "members", "error_bars",
    "weights_sha256",
}  # fmt: skip


def test_train_and_info_have_one_json(folder):
    trained = done("train", "homes.csv", "-t", "price", *QUICK, "-o", "m.deltarule", "--json")
    assert set(trained.json) == TRAINED and trained.err == ""
    assert done("info", "m.deltarule", "--json").json == trained.json | {"seconds": None}
    assert trained.json["seconds"] > 0 and len(trained.json["weights_sha256"]) == 64
    assert trained.json["model"] == "m.deltarule" and trained.json["sizes"] == [10, 8, 1]
    assert trained.json["rows"] == {"training": 112, "validation": 24, "test": 24}
    assert set(trained.json["scores"]) == {"test", "training"}
    assert set(trained.json["baseline"]) == set(trained.json["scores"]["test"])


def test_predict_to_stdout_to_a_file_and_as_json(price):
    printed = done("predict", price, "homes.csv").out
    assert np.array_equal([float(line) for line in printed.splitlines()[1:]], dr.load(price).predict("homes.csv"))
    told = done("predict", price, "homes.csv", "-o", "p.csv").out
    assert told == "160 rows predicted, written to p.csv\n"
    assert Path("p.csv").read_text() == printed
    found = done("predict", price, "homes.csv", "--json").json
    assert set(found) == {"model", "table", "rows", "output", "notes", "predictions"} and found["rows"] == 160
    assert found["predictions"]["price"] == [float(line) for line in printed.splitlines()[1:]]


def test_probabilities(kind):
    out = done("predict", kind, "flowers.csv", "--proba").out
    header, first, *rest = csv.reader(io.StringIO(out))
    assert header == ["kind", "p(kind=alba)", "p(kind=lutea)", "p(kind=rubra)"] and len(rest) == 89
    assert np.allclose(sum(float(p) for p in first[1:]), 1)


def test_notes_go_to_stderr(price, folder):
    table = homes(8)
    table["town"][2] = "Paris"
    write(folder / "new.csv", {**table, "street": ["A"] * 8})
    for command in ("predict", "evaluate"):
        ended = done(command, price, "new.csv")
        assert "note: columns ignored: street" in ended.err and "'Paris'" in ended.err
        assert "note" not in ended.out
        assert any("Paris" in note for note in done(command, price, "new.csv", "--json").json["notes"])


def test_evaluate(price, kind):
    found = done("evaluate", price, "homes.csv", "--json").json
    assert set(found) == {"model", "table", "task", "rows", "scores", "notes"} and found["rows"] == 160
    assert found["scores"] == dr.load(price).evaluate("homes.csv").to_dict()
    assert f"R²    {found['scores']['r2']:9.4f}" in done("evaluate", price, "homes.csv").out
    out = done("evaluate", kind, "flowers.csv").out
    assert "90 rows" in out and "observed \\ predicted" in out and fits(out, 80)


def untimed(out):
    """What `info` shows of a model that `train` has made: all but the time, which is not in the file."""
    return re.sub(r"^time .*\n", "", out.partition("\nsaved to")[0], flags=re.MULTILINE)


def test_restarts_are_told_as_text_and_as_json(folder):
    asked = ("train", "waves.csv", "-t", "y", *QUICK, "--restarts", 3, "-o", "m.deltarule")
    model = dr.fit("waves.csv", "y", max_steps=3, l2=0.01, restarts=3)
    out = done(*asked).out
    assert dr.load("m.deltarule").w.tobytes() == model.w.tobytes()
    for one in model.training.runs:
        line = rf"^{one.seed} .*{one.loss:.4g} .*{one.objective:.4g} .*{one.validation_loss:.4g} .*max steps"
        assert re.search(line + (" +kept$" if one.kept else "$"), out, re.MULTILINE)
    assert f"odds of a good run {model.training.odds:.0%}: so many have a validation loss at most 5% above" in out
    assert fits(out, 80)
    assert done("info", "m.deltarule").out == untimed(out)
    told = done(*asked, "--json").json
    assert [one["seed"] for one in told["runs"]] == [0, 1, 2] and told["odds"] == model.training.odds
    assert set(told["runs"][0]) == {"seed", "loss", "objective", "validation_loss", "steps", "reason", "kept"}


def test_many_runs_are_told_in_part(folder):
    out = done("train", "waves.csv", "-t", "y", *QUICK, "--hidden", 2, "--restarts", 25).out
    assert "and 5 more runs, which --json has" in out and fits(out, 80)


def test_an_ensemble_predicts_with_error_bars(folder):
    told = done("train", "homes.csv", "-t", "price", *QUICK, "--ensemble", 3, "-o", "m", "--json").json
    assert told["members"] == 3 and told["error_bars"] is True and [one["kept"] for one in told["runs"]] == [True] * 3
    assert "97 weights in each of 3 networks" in done("info", "m").out
    rows = list(csv.DictReader(io.StringIO(done("predict", "m", "homes.csv", "--std").out)))
    y, std = dr.load("m").predict("homes.csv", return_std=True)
    assert list(rows[0]) == ["price", "price_std"]
    assert np.array_equal([float(row["price"]) for row in rows], y)
    assert np.array_equal([float(row["price_std"]) for row in rows], std) and std.min() > 0
    found = done("predict", "m", "homes.csv", "--std", "--json").json["predictions"]
    assert found == {"price": y.tolist(), "price_std": std.tolist()}
    assert done("evaluate", "m", "homes.csv", "--json").json["scores"] == dr.load("m").evaluate("homes.csv").to_dict()


def test_what_has_no_error_bars_is_refused(folder, kind):
    done("train", "homes.csv", "-t", "price", *QUICK, "--no-error-bars", "-o", "m")
    assert "no error bars: train it again with error_bars=True" in refused("predict", "m", "homes.csv", "--std")
    assert "a model of classes has none" in refused("predict", kind, "flowers.csv", "--std")
    assert "a model of classes has none" in refused("train", "flowers.csv", "-t", "kind", "--error-bars")


@pytest.mark.parametrize("option", ["--restarts", "--ensemble"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "three"])
def test_counts_that_are_refused(folder, option, value):
    told = refused("train", "waves.csv", "-t", "y", option, value)
    assert value in told and ("whole number from 1 up" in told or "not a valid integer" in told)


def test_info_shows_what_train_showed(folder):
    trained = done("train", "homes.csv", "-t", "price", *QUICK, "-o", "m.deltarule").out
    assert done("info", "m.deltarule").out == untimed(trained)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_methods_are_listed_in_any_width(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    out = done("methods").out
    assert all(len(line) <= width or line.startswith("Use one") for line in out.splitlines())
    for name, made in METHODS.items():
        assert f"\n{name}\n" in f"\n{out}"
        assert all(f"{row}=" in out for row, field in made.__dataclass_fields__.items() if field.init)
    listed = done("methods", "--json").json["methods"]
    assert [row["name"] for row in listed] == list(METHODS)
    assert all(set(row) == {"name", "summary", "settings", "aliases"} for row in listed)


def test_methods_of_some_names_have_the_settings_that_these_stand_for():
    out = done("methods", "traincgf", "trainscg").out
    assert out.startswith("conjugate_gradient\n") and "\nscaled_conjugate_gradient\n" in out and "lbfgs" not in out
    assert "beta=fletcher_reeves" in out and "also: cg, traincgb, traincgp, traincgf" in out
    (row,) = done("methods", "trainrp", "--json").json["methods"]
    assert (row["name"], row["settings"]["variant"]) == ("rprop", "rprop-")


def shown(value):
    """A setting as `deltarule methods` lists it."""
    return value if isinstance(value, str) else json.dumps(value)


def test_settings_as_they_are_listed_can_be_typed(folder):
    for row in done("methods", "--json").json["methods"]:
        plain = {name: value for name, value in row["settings"].items() if "(" not in str(value)}
        typed = [part for name, value in plain.items() for part in ("--set", f"{name}={shown(value)}")]
        found = done("train", "waves.csv", "-t", "y", "-m", row["name"], *typed, "--epochs", 3, "--json").json
        assert {name: found["settings"][name] for name in plain} == plain


@pytest.mark.parametrize(("typed", "value"), [("False", False), ("true", True), ("0", 0)])
def test_a_switch_can_be_typed(folder, typed, value):
    arguments = ["train", "waves.csv", "-t", "y", "-m", "online", "--set", f"shuffle={typed}", *QUICK, "--json"]
    assert done(*arguments).json["settings"]["shuffle"] == value


def test_options_reach_fit(folder):
    columns = waves()
    marks = np.array(["train", "train", "validation", "test"])[np.arange(60) % 4]
    write(folder / "t.csv", {**columns, "z": columns["x"] ** 2, "part": marks})
    found = done(
        "train", "t.csv", "-t", "y", "-t", "z", "--inputs", "x", "-m", "traingdx", "--set", "learning_rate=0.2",
        "--hidden", "4,3", "--activation", "tanh, relu", "--loss", "huber(2)", "--scaling", "minmax", "--split",
        "column:part", "--seed", 5, "--max-seconds", 30, "--task", "regression", *QUICK, "--json",
    ).json  # fmt: skip
    assert found["targets"] == ["y", "z"] and found["inputs"] == ["x"] and found["sizes"] == [1, 4, 3, 2]
    assert found["activations"] == ["tanh", "relu", "identity"] and found["loss"] == "huber(2.0)"
    assert found["method"] == "gradient_descent" and found["l2"] == 0.01 and found["seed"] == 5
    assert found["settings"]["learning_rate"] == 0.2 and found["settings"]["adaptive"] is True
    assert found["rows"] == {"training": 30, "validation": 15, "test": 15}
    left_out = ("--exclude", "z", "--exclude", "part")
    found = done("train", "t.csv", "-t", "y", *left_out, "--hidden", 0, *QUICK, "--json").json
    assert found["inputs"] == ["x"] and found["sizes"] == [1, 1]
    found = done("train", "t.csv", "-t", "y", "--exclude", "part", "--fractions", "60/40/0", *QUICK, "--json").json
    assert found["rows"] == {"training": 36, "validation": 24, "test": 0}
    assert set(found["scores"]) == {"validation", "training"}


def test_a_database(folder):
    import duckdb

    with duckdb.connect("t.duckdb") as connection:
        connection.execute("CREATE TABLE waves AS SELECT * FROM read_csv('waves.csv')")
    assert "Its tables: waves" in refused("train", "t.duckdb", "-t", "y")
    query = ("--query", "SELECT * FROM waves")
    done("train", "t.duckdb", "-t", "y", *query, *QUICK, "-o", "m")
    assert done("predict", "m", "t.duckdb", *query).out == done("predict", "m", "waves.csv").out
    assert done("evaluate", "m", "t.duckdb", *query).out == done("evaluate", "m", "waves.csv").out


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.SVG", b"<?xml"), ("c.pdf", b"%PDF")])
def test_the_learning_curve_is_drawn(folder, name, start):
    done("train", "waves.csv", "-t", "y", *QUICK, "--curve", name)
    assert (folder / name).read_bytes().startswith(start)


def test_demo_trains_saves_and_predicts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = done("demo", "--folder", "here").out
    assert f"$ {terminal.command()} train here/breast_cancer.csv --target diagnosis" in out
    assert "What to type next" in out and "test rows" in out
    assert out.count("\nmalignant,") > 0 < out.count("\nbenign,")
    assert out.count("\nmalignant,") + out.count("\nbenign,") == 6
    assert not set(Path("here/some_rows.csv").read_text().splitlines()[1:]) & set(
        Path("here/breast_cancer.csv").read_text().splitlines()
    )
    shown = next(line for line in out.splitlines() if line.startswith("$")).split()[2:]
    again = done(*shown, "--json").json
    told = done("demo", "--folder", "here", "--json").json
    assert told["scores"] == again["scores"] and told["scores"]["test"]["accuracy"] > told["baseline"]["accuracy"] + 0.2
    assert len(done("predict", "here/breast_cancer.deltarule", "here/some_rows.csv").out.splitlines()) == 7


@pytest.mark.parametrize("command", [[], ["demo"], ["train"], ["predict"], ["evaluate"], ["methods"], ["info"]])
def test_help_fits_the_terminal(command):
    out = done(*command, "--help").out
    assert out.startswith("Usage: deltarule") and "Options:" in out
    assert out == done(*command, "-h").out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "..." not in out.partition("Commands:")[2]


def test_without_a_command_there_is_help():
    ended = run()
    assert ended.status == cli.EXIT_BAD_INPUT and "Commands:" in ended.err and ended.out == ""


def test_version():
    assert done("--version").out == f"deltarule {dr.__version__}\n"


def test_as_a_process(folder):
    trained = process("train", "waves.csv", "-t", "y", "-o", "m", "--json", *QUICK)
    assert trained.status == 0 and trained.err == "" and trained.json["model"] == "m"
    assert process("predict", "m", "waves.csv").out == done("predict", "m", "waves.csv").out
    wrong = process("predict", "m", "nothing.csv", "--json")
    assert wrong.status == 2 and wrong.out == "" and wrong.err.count("\n") == 1


def test_a_long_run_tells_a_log_how_it_goes(folder, monkeypatch):
    monkeypatch.setattr("deltarule.terminal.LINE_SECONDS", 0.0)
    ended = done("train", "waves.csv", "-t", "y", *QUICK, "--json")
    assert ended.json and len(ended.err.splitlines()) == 4
    assert re.fullmatch(r"training  step 3  loss [\d.]+  validation [\d.]+", ended.err.splitlines()[-1])
    assert done("train", "waves.csv", "-t", "y", *QUICK, "--json", "--quiet").err == ""


def in_a_terminal(*arguments, columns=80):
    """Run a command whose stderr is a terminal; return its stdout and what the terminal was sent."""
    mine, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=its, env=environment
    ) as child:
        os.close(its)
        sent = b""
        while True:
            try:
                block = os.read(mine, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            sent += block
        out = child.stdout.read()
    os.close(mine)
    assert child.returncode == 0
    return out.decode(), sent.decode()


def test_the_progress_bar_is_for_terminals_and_goes_away(folder):
    write(folder / "many.csv", homes(400))
    arguments = ["train", "many.csv", "-t", "price", "--l2", 0, "--json", "--epochs", 100_000, "--max-seconds", 2]
    out, sent = in_a_terminal(*arguments, "-m", "online", "--set", "learning_rate=1e-9")
    assert json.loads(out) and "\x1b" not in out
    assert re.search(r"step \d+  loss [\d.e-]+  validation [\d.e-]+", sent) and re.search(r"\d:\d\d:\d\d", sent)
    assert sent.endswith("\x1b[2K")  # the last thing is that the line is cleared
    assert in_a_terminal(*arguments[:-4], "--epochs", 1, "--quiet")[1] == ""


def started(*arguments, command=COMMAND, **streams):
    return subprocess.Popen([*command, *map(str, arguments)], text=True, stderr=subprocess.PIPE, **streams)


def test_ctrl_c_keeps_the_best_weights_so_far(folder):
    telling = f"import deltarule.terminal\ndeltarule.terminal.LINE_SECONDS = 0.0\n{COMMAND[-1]}"
    endless = ["train", "homes.csv", "-t", "price", "-m", "online", "--epochs", 10**6, "--l2", 0, "-o", "m.deltarule"]
    settings = ["--set", "learning_rate=1e-9", "--max-seconds", 60]
    with started(*endless, *settings, command=[*COMMAND[:-1], telling], stdout=subprocess.PIPE) as child:
        assert child.stderr.readline().startswith("training  step ")
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=20)
    assert child.returncode == cli.EXIT_INTERRUPTED and "The run was interrupted." in out
    said = [line for line in err.splitlines() if line and not line.startswith("training  step ")]
    assert said == ["Interrupted: these are the best weights so far."]
    assert dr.load(folder / "m.deltarule").training.reason == "The run was interrupted."


def test_a_reader_that_goes_away_is_no_traceback(price, folder):
    write(folder / "many.csv", homes(20_000))
    reading, writing = os.pipe()
    with started("predict", price, "many.csv", stdout=writing) as child:
        os.close(writing)
        os.close(reading)
        _, err = child.communicate(timeout=60)
    assert child.returncode == cli.EXIT_FAILED and err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", [["methods"], ["methods", "--json"], ["predict", "price.deltarule", "homes.csv"]])
def test_a_full_disk_behind_stdout_is_one_line(price, command):
    with Path("/dev/full").open("w") as full, started(*command, stdout=full) as child:
        _, err = child.communicate(timeout=60)
    assert child.returncode == cli.EXIT_FAILED
    assert err == "Error: The system reports: No space left on device.\n"


def test_memory_that_is_not_enough_is_one_line(folder, monkeypatch):
    def too_much(*_, **__):
        raise MemoryError

    monkeypatch.setattr("deltarule.fitting.fit", too_much)
    assert "memory of this machine is not enough" in refused("train", "waves.csv", "-t", "y", status=cli.EXIT_FAILED)


def test_several_targets_have_a_line_of_scores_each(folder):
    columns = waves()
    write(folder / "two.csv", {**columns, "z": columns["x"] ** 2})
    out = done("train", "two.csv", "-t", "y", "-t", "z", *QUICK, "-o", "m").out
    assert re.search(r"^R² of y +-?[\d.]+ ", out, re.MULTILINE) and re.search(r"^MAE of z ", out, re.MULTILINE)
    assert done("info", "m").out == untimed(out)
