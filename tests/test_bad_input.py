"""Bad input through the command line: exit status 2, one or two lines with the right words, nothing written."""

import pickle

import numpy as np
import pytest
from safetensors.numpy import save as pack

from commandline import done, refused
from deltarule import cli
from mixtures import flowers, homes, waves, write

WAVES = waves()
N = len(WAVES["x"])


def table(**columns):
    return {"x": WAVES["x"].tolist(), "y": WAVES["y"].tolist(), **columns}


def changed(name, row, value):
    columns = {column: list(cells) for column, cells in table().items()}
    columns[name][row] = value
    return columns


TABLES = {
    "good": table(),
    "repeated": "a,b,a\n" + "1,2,3\n" * 20,
    "empty": "",
    "header": "x,y\n",
    "constant": table(y=[3.5] * N),
    "missing": table(y=[None] * N),
    "one class": table(k=["only"] * N),
    "names": table(person=[f"person {i}" for i in range(N)]),
    "infinity": changed("x", 4, "inf"),
    "minus infinity": changed("y", 0, "-Infinity"),
    "huge": changed("x", 7, "1e308"),
    "huge target": changed("y", 7, "-1e308"),
    "two rows": {"x": [1, 2], "y": [1.5, 3.5]},
    "constant inputs": {"x": [1] * N, "y": WAVES["y"]},
    "one column": {"y": WAVES["y"]},
    "flowers": flowers(),
    "lacks x": {"y": WAVES["y"], "X": WAVES["x"]},
    "text in x": changed("x", 2, "left"),
    "NUL": b"x,y\n1,2\n\x00,3\n",
}
TRAIN = {
    "no file": (["nothing.csv", "-t", "y"], "There is no file"),
    "a name too long": (["9" * 400 + ".csv", "-t", "y"], "File name too long"),
    "a directory": ([".", "-t", "y"], "is a folder: give one file"),
    "standard input": (["/dev/stdin", "-t", "y"], "not a regular file: save its content"),
    "empty file": (["empty.csv", "-t", "y"], "empty.csv is empty"),
    "header only": (["header.csv", "-t", "y"], "column names but no rows"),
    "NUL bytes": (["NUL.csv", "-t", "y"], "NUL bytes, so it is not text"),
    "no such target": (["flowers.csv", "-t", "knd"], "has no column 'knd'. Did you mean 'kind'?"),
    "target constant": (["constant.csv", "-t", "y"], "'y' of constant.csv has the same value in all its rows"),
    "target all missing": (["missing.csv", "-t", "y"], "No row of missing.csv has a y"),
    "one class": (["one class.csv", "-t", "k"], "'k' of one class.csv has the same value in all its rows"),
    "a level a row": (["names.csv", "-t", "y"], "too many distinct texts to be inputs: 'person' (60)"),
    "infinity": (["infinity.csv", "-t", "y"], "'x' of infinity.csv holds inf in row 5"),
    "infinity in the target": (["minus infinity.csv", "-t", "y"], "'y' of minus infinity.csv holds -inf in row 1"),
    "1e308": (["huge.csv", "-t", "y"], "'x' of huge.csv holds 1e+308 in row 8"),
    "1e308 in the target": (["huge target.csv", "-t", "y"], "'y' of huge target.csv holds -1e+308 in row 8"),
    "duplicate names": (["repeated.csv", "-t", "b"], "more than one column named 'a'"),
    "two rows": (["two rows.csv", "-t", "y", "--task", "regression"], "2 rows with a target are too few"),
    "target as input": (["good.csv", "-t", "y", "--inputs", "x,y"], "'y' is named as an input and is also a target"),
    "target excluded": (["good.csv", "-t", "y", "--exclude", "y"], "'y' is a target and is also excluded"),
    "constant inputs": (["constant inputs.csv", "-t", "y"], "no column to predict y from (left out"),
    "one column": (["one column.csv", "-t", "y"], "no column to predict y from: add one"),
    "input that is not there": (["good.csv", "-t", "y", "--inputs", "x,z"], "has no column 'z'"),
    "no input": (["good.csv", "-t", "y", "--inputs", ""], "has no column ''"),
    "a model as table": (["good.deltarule", "-t", "y"], "good.deltarule has an unknown extension"),
    "query of a file": (["good.csv", "-t", "y", "--query", "SELECT 1"], "is read whole; a query is for .duckdb"),
    "method": (
        ["good.csv", "-t", "y", "-m", "conjugate"],
        "Unknown method 'conjugate'. Did you mean",
    ),
    "activation": (["good.csv", "-t", "y", "--activation", "tanhh"], "Unknown activation 'tanhh'. Did you mean tanh"),
    "activation for outputs": (["good.csv", "-t", "y", "--activation", "softmax"], "softmax serves the output layer"),
    "two activations": (["good.csv", "-t", "y", "--activation", "tanh,relu"], "2 activations were given for 1 hidden"),
    "loss": (["good.csv", "-t", "y", "--loss", "huberr"], "Unknown loss 'huberr'. Did you mean huber"),
    "loss of classes": (["good.csv", "-t", "y", "--loss", "cross_entropy"], "cross_entropy does not suit a regression"),
    "loss of numbers": (["flowers.csv", "-t", "kind", "--loss", "huber"], "does not suit a multiclass target"),
    "loss of counts": (["good.csv", "-t", "y", "--loss", "poisson"], "the loss poisson accepts numbers from 0"),
    "loss parameter": (["good.csv", "-t", "y", "--loss", "quantile(2)"], "'quantile' was 2.0; it lies between 0 and 1"),
    "task": (["good.csv", "-t", "y", "--task", "clustering"], "Unknown task 'clustering'. Accepted: regression"),
    "task of text": (["flowers.csv", "-t", "kind", "--task", "regression"], "holds text; regression needs numbers"),
    "hidden text": (["good.csv", "-t", "y", "--hidden", "abc"], "--hidden was 'abc'; give widths such as 32,16"),
    "hidden 0 among others": (["good.csv", "-t", "y", "--hidden", "8,0"], "hidden was (8, 0); give widths"),
    "hidden below 0": (["good.csv", "-t", "y", "--hidden", "-3"], "hidden was (-3,); give widths"),
    "hidden too many": (["good.csv", "-t", "y", "--hidden", "9999999,9999999"], "at most 2,147,483,647"),
    "epochs 0": (["good.csv", "-t", "y", "--epochs", "0"], "steps was 0; it is a whole number from 1 up"),
    "epochs text": (["good.csv", "-t", "y", "--epochs", "ten"], "'ten' is not a valid integer"),
    "seconds": (["good.csv", "-t", "y", "--max-seconds", "0"], "seconds was 0.0; it is a number above 0"),
    "l2 below 0": (["good.csv", "-t", "y", "--l2", "-1"], "--l2 was '-1'; give a number from 0 up, or auto"),
    "l2 text": (["good.csv", "-t", "y", "--l2", "much"], "--l2 was 'much'; give a number"),
    "l2 nan": (["good.csv", "-t", "y", "--l2", "nan"], "--l2 was 'nan'; give a number"),
    "seed below 0": (["good.csv", "-t", "y", "--seed", "-1"], "-1 is not in the range x>=0"),
    "seed too large": (["good.csv", "-t", "y", "--seed", str(10**30)], "it is a whole number from 0 up"),
    "scaling": (["good.csv", "-t", "y", "--scaling", "minmx"], "Unknown scaling 'minmx'. Did you mean minmax"),
    "split": (
        ["good.csv", "-t", "y", "--split", "chance"],
        "Unknown split 'chance'. Accepted: random, order,",
    ),
    "split by no column": (["good.csv", "-t", "y", "--split", "column:"], "Unknown split 'column:'"),
    "split by what is not there": (["good.csv", "-t", "y", "--split", "column:z"], "has no column 'z'"),
    "split by other words": (
        ["flowers.csv", "-t", "petal", "--split", "column:kind"],
        "train, validation (valid",
    ),
    "two fractions": (["good.csv", "-t", "y", "--fractions", "70,30"], "--fractions was '70,30'; give shares"),
    "no training rows": (["good.csv", "-t", "y", "--fractions", "0,50,50"], "of which only the last may be 0"),
    "fractions below 0": (["good.csv", "-t", "y", "--fractions", "-1,50,51"], "--fractions was '-1,50,51'"),
    "setting without value": (["good.csv", "-t", "y", "--set", "beta"], "--set was 'beta'; give NAME=VALUE"),
    "unknown setting": (["good.csv", "-t", "y", "--set", "rate=1"], "Unknown setting of levenberg_marquardt 'rate'"),
    "setting below 0": (["good.csv", "-t", "y", "-m", "gd", "--set", "learning_rate=-1"], "was -1"),
    "setting of another type": (["good.csv", "-t", "y", "-m", "cg", "--set", "beta=[1]"], "Unknown beta '[1]'"),
    "no target": (["good.csv"], "Missing option '-t' / '--target'. See"),
    "no table": ([], "Missing argument 'TABLE'. See"),
    "unknown option": (["good.csv", "-t", "y", "--hiden", "3"], "No such option"),
    "folder that is not there": (
        ["good.csv", "-t", "y", "-o", "none/m"],
        "the folder 'none' does not exist",
    ),
    "output is a directory": (["good.csv", "-t", "y", "-o", "."], "Cannot write '.': it is a directory"),
    "output is a device": (["good.csv", "-t", "y", "-o", "/dev/null"], "it is not a regular file"),
    "output cannot be made": (["good.csv", "-t", "y", "-o", "/proc/m"], "no file can be created in '/proc'"),
    "output is the table": (["good.csv", "-t", "y", "-o", "./good.csv"], "it is another file of this command"),
    "picture of another kind": (["good.csv", "-t", "y", "--curve", "c.doc"], "give a name ending in .png, .svg, .pdf"),
    "picture nowhere": (["good.csv", "-t", "y", "--curve", "none/c.png"], "the folder 'none' does not exist"),
    "picture is the model": (
        ["good.csv", "-t", "y", "-o", "m.png", "--curve", "m.png"],
        "another file of this command",
    ),
}
OTHERS = {
    "no model": (["predict", "nothing.deltarule", "good.csv"], "There is no model file nothing.deltarule"),
    "folder as model": (["predict", ".", "good.csv"], "is a folder; give a file that Model.save wrote"),
    "table as model": (["predict", "good.csv", "good.csv"], "good.csv is not a deltarule model"),
    "model as table": (["predict", "good.deltarule", "good.deltarule"], "good.deltarule has an unknown extension"),
    "empty model": (["info", "empty.csv"], "empty.csv is not a deltarule model"),
    "pickle": (["info", "pickle.deltarule"], "is not a deltarule model"),
    "another safetensors file": (["info", "other.deltarule"], "is not a deltarule model"),
    "truncated model": (["info", "cut.deltarule"], "cut.deltarule is damaged or truncated"),
    "cut in the header": (["info", "cut header.deltarule"], "is truncated: it ends within its header"),
    "newer format": (["info", "newer.deltarule"], "has format version 3; this deltarule reads version 2. Update"),
    "table lacks a column": (["predict", "good.deltarule", "lacks x.csv"], "lacks 'x', which the model predicts from"),
    "wrong cell": (["predict", "good.deltarule", "text in x.csv"], "'left' in row 3"),
    "infinity to predict": (["predict", "good.deltarule", "infinity.csv"], "holds inf in row 5"),
    "probabilities of numbers": (["predict", "good.deltarule", "good.csv", "--proba"], "no probabilities"),
    "predictions nowhere": (["predict", "good.deltarule", "good.csv", "-o", "none/p.csv"], "does not exist"),
    "predictions into a folder": (["predict", "good.deltarule", "good.csv", "-o", "."], "it is a directory"),
    "predictions over the table": (["predict", "good.deltarule", "good.csv", "-o", "good.csv"], "another file of this"),
    "predictions over the model": (["predict", "good.deltarule", "good.csv", "-o", "good.deltarule"], "another file"),
    "no target to compare with": (["evaluate", "good.deltarule", "flowers.csv"], "has no column 'y'"),
    "targets all missing": (["evaluate", "good.deltarule", "missing.csv"], "No row of missing.csv has a y to compare"),
    "info of nothing": (["info"], "Give a MODEL file, or --engine. See"),
    "unknown command": (["trian", "good.csv"], "Unknown command 'trian'. Did you mean train?"),
    "too many arguments": (["info", "good.deltarule", "more"], "unexpected extra argument (more). See"),
    "no such method to list": (["methods", "lm", "trainlmm"], "Unknown method 'trainlmm'. Did you mean trainlm"),
    "demo in a file": (["demo", "--folder", "good.csv"], "The folder 'good.csv' cannot be made"),
}
CASES = {name: (["train", *arguments], words) for name, (arguments, words) in TRAIN.items()} | OTHERS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write(folder / "t.csv", table())
    done("train", folder / "t.csv", "-t", "y", "--epochs", 2, "--l2", 0, "-o", folder / "m", "--quiet")
    return (folder / "m").read_bytes()


@pytest.fixture
def folder(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    for name, content in TABLES.items():
        path = tmp_path / f"{name}.csv"
        if isinstance(content, dict):
            write(path, content)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    files = {
        "good": model,
        "cut": model[:-20],
        "cut header": model[:100],
        "newer": model.replace(b'"version": "2"', b'"version": "3"'),
        "pickle": pickle.dumps({"w": np.zeros(9)}),
        "other": pack({"w": np.zeros(9)}),
    }
    for name, content in files.items():
        (tmp_path / f"{name}.deltarule").write_bytes(content)
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(folder, case):
    arguments, words = CASES[case]
    before = contents(folder)
    output = ["-o", "new.deltarule"] if arguments[0] == "train" and "-o" not in arguments else []
    message = refused(*arguments, *output)
    assert words in message, message
    assert contents(folder) == before


@pytest.mark.parametrize("case", ["no such target", "method", "truncated model", "table lacks a column"])
def test_bad_input_with_json_leaves_stdout_empty(folder, case):
    arguments, words = CASES[case]
    assert words in refused(*arguments, "--json")


@pytest.mark.parametrize("option", ["-o", "--curve"])
def test_an_output_that_cannot_be_written_is_found_before_the_table_is_read(folder, monkeypatch, option):
    def never(*_, **__):
        raise AssertionError("the table was read")

    monkeypatch.setattr("deltarule.fitting.fit", never)
    assert "the folder 'none' does not exist" in refused("train", "good.csv", "-t", "y", option, "none/c.png")


def test_an_empty_cell_or_nan_is_a_missing_value_and_no_error(folder):
    for missing in ("", "NaN", "nan", "NA"):
        write(folder / "gaps.csv", changed("x", 3, missing))
        ended = done("train", "gaps.csv", "-t", "y", "--epochs", 1, "--l2", 0, "--json")
        assert "x is missing" in ended.json["inputs"]


def test_twelve_rows_with_gaps_are_enough(folder):
    rows = homes(12)
    write(folder / "few.csv", rows)
    assert done("train", "few.csv", "-t", "price", "--epochs", 1, "--l2", 0, "--json").json["rows"]["training"] == 8


def test_training_that_fails_has_status_1(folder):
    arguments = ["-m", "gd", "--set", "learning_rate=1e300", "-o", "m.deltarule"]
    message = refused("train", "good.csv", "-t", "y", *arguments, status=cli.EXIT_FAILED)
    assert "Nothing was learnt" in message and not (folder / "m.deltarule").exists()
