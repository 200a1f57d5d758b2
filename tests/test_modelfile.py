"""A model and its file: the same bits come back, and whatever is not such a file is refused."""

import copy
import json
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load as unpack
from safetensors.numpy import save as pack

import deltarule as dr
from deltarule import modelfile, network, tensorfile
from deltarule.errors import ModelFileError, SettingError
from mixtures import flowers, homes, waves
from modelfiles import joined, parts, refusal

pytestmark = pytest.mark.promise("P8")


def labels():
    x = np.random.default_rng(0).normal(size=(60, 2))
    return {"a": x[:, 0], "b": x[:, 1], "up": x[:, 0] > 0, "right": x[:, 1] > 0}


TABLES = {
    "regression": (homes(), "price", {}),
    "binary": ({**waves(), "late": waves()["x"] > 0}, "late", {}),
    "multiclass": (flowers(), "kind", {}),
    "multilabel": (labels(), ["up", "right"], {}),
    "several numbers": (labels(), ["a", "b"], {"split_by": "order"}),
    "no hidden layer": (waves(), "y", {"hidden": ()}),
    "a loss with a parameter": (waves(), "y", {"loss": "quantile(0.9)", "activation": "gelu"}),
    "no test rows": (waves(), "y", {"fractions": (0.7, 0.3, 0.0)}),
    "an ensemble": (waves(), "y", {"ensemble": 3, "restarts": 2}),
    "an ensemble of classes": (flowers(), "kind", {"ensemble": 2}),
    "an ensemble without error bars": (waves(), "y", {"ensemble": 2, "error_bars": False}),
    "class numbers": ({**flowers(), "kind": np.arange(90) % 3 + 1}, "kind", {"hidden": (4, 3)}),
}


@pytest.fixture(scope="module")
def models():
    return {
        name: dr.fit(table, target, max_steps=3, l2=0.01, **options)
        for name, (table, target, options) in TABLES.items()
    }


@pytest.fixture(scope="module")
def data(models):
    return modelfile.to_bytes(models["regression"])


@pytest.mark.parametrize("name", TABLES)
def test_everything_comes_back(models, name):
    model = models[name]
    again = modelfile.from_bytes(modelfile.to_bytes(model))
    assert again.network == model.network and again.loss == model.loss and str(again.loss) == str(model.loss)
    assert again.w.tobytes() == model.w.tobytes() and again.w.dtype == np.float64
    assert [w.tobytes() for w in again.members] == [w.tobytes() for w in model.members]
    assert again.encoding == model.encoding and again.training == model.training
    assert again.history == []
    table = TABLES[name][0]
    assert np.array_equal(again.predict(table), model.predict(table))
    assert (again.error_bars is None) == (model.error_bars is None)
    if model.error_bars is not None:
        for before, after in zip(model.error_bars, again.error_bars, strict=True):
            assert after.dtype == np.float64 and np.array_equal(after, before)
        assert np.array_equal(again.predict(table, return_std=True)[1], model.predict(table, return_std=True)[1])
    assert modelfile.to_bytes(again) == modelfile.to_bytes(model)


def test_a_new_process_predicts_the_same_bits(models, tmp_path):
    model, table = models["multiclass"], flowers()
    model.save(tmp_path / "m.deltarule")
    np.savez(tmp_path / "t.npz", **{name: values for name, values in table.items() if name != "kind"})
    program = (
        "import sys, numpy as np, deltarule as dr\n"
        "model = dr.load('m.deltarule')\n"
        "P = model.predict_proba(dict(np.load('t.npz')))\n"
        "sys.stdout.buffer.write(model.w.tobytes() + P.tobytes())"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    assert ended.stdout == model.w.tobytes() + model.predict_proba(table).tobytes()


def test_a_file_is_what_save_wrote(models, data, tmp_path):
    path = tmp_path / "m.deltarule"
    models["regression"].save(path)
    assert path.read_bytes() == data
    assert np.array_equal(dr.load(str(path)).w, models["regression"].w)


def test_the_library_of_the_format_reads_the_file(models, data):
    found = unpack(data)
    w, bars = models["regression"].w, models["regression"].error_bars
    assert set(found) == {"w", "noise", "factors"} and found["w"].tobytes() == w.tobytes()
    assert found["w"].shape == (1, 97) and np.array_equal(found["factors"], bars.factors)
    assert np.array_equal(found["noise"], bars.noise) and bars.factors.shape == (1, 97, 97)
    assert list(unpack(modelfile.to_bytes(models["multiclass"]))) == ["w"]
    assert (8 + int.from_bytes(data[:8], "little")) % 8 == 0


def test_truncated_anywhere(data):
    header = 8 + int.from_bytes(data[:8], "little")
    middle = (header + len(data)) // 2
    for length in [
        *range(12),
        100,
        header - 1,
        header,
        header + 1,
        header + 8,
        middle,
        *range(len(data) - 9, len(data)),
    ]:
        message = refusal(data[:length])
        assert "not a deltarule model" in message or "truncated" in message
    assert "truncated" in refusal(data[:-1]) and "truncated" in refusal(data[: header - 1])


def test_something_after_the_end(data):
    for more in (b"\0", b"{}", bytes(8), data):
        assert "damaged" in refusal(data + more)


def test_flipped_bits_are_refused_or_change_only_a_value(data):
    """No flip may raise anything but ModelFileError, or give weights that are not finite."""
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(data[:8], "little")
    places = [*range(64), *rng.integers(64, header, 500).tolist(), *rng.integers(header, len(data), 100).tolist()]
    refused = 0
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        try:
            model = modelfile.from_bytes(bytes(flipped))
        except ModelFileError:
            refused += 1
        else:
            assert place >= 8 and np.all(np.isfinite(model.w))
    assert refused > 200


def test_the_pieces_of_this_test_fit_together(data):
    assert np.array_equal(modelfile.from_bytes(joined(*parts(data))).w, modelfile.from_bytes(data).w)


NOT_MODELS = {
    "empty": b"",
    "text": b"area,price\n1,2\n3,4\n" * 9,
    "zeros": bytes(1000),
    "pickle": pickle.dumps({"w": [1.0, 2.0]}, protocol=5),
    "pickle in an envelope": (200).to_bytes(8, "little") + pickle.dumps(list(range(100))),
    "huge header": (2**63).to_bytes(8, "little") + b"{" * 100,
    "header of a byte too many": (2**20 + 1).to_bytes(8, "little") + b"{}" + b" " * 2**20,
    "a list": joined(b"[1, 2, 3]", b""),
    "no JSON": joined(b"{" + b"x" * 50, b""),
    "no UTF-8": joined(b'{"\xff": 1}', b""),
    "deep JSON": joined(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b""),
    "a number of 10,000 digits": joined(b'{"w": ' + b"9" * 10_000 + b"}", b""),
    "another safetensors file": pack({"w": np.zeros(3)}, metadata={"format": "pt"}),
    "safetensors without metadata": pack({"w": np.zeros(3)}),
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("case", NOT_MODELS)
def test_what_is_not_a_model(case):
    assert "not a deltarule model" in refusal(NOT_MODELS[case])


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "m.deltarule").write_bytes(pickle.dumps(Trap(), protocol))
        with pytest.raises(ModelFileError):
            dr.load(tmp_path / "m.deltarule")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.promise("P12")
def test_a_newer_version_is_refused_by_name(data):
    header, w = parts(data)
    header["__metadata__"]["version"] = "7"
    header["__metadata__"]["something new"] = "here"
    assert "has format version 7; this deltarule reads version 2. Update deltarule" in refusal(joined(header, w))
    header["__metadata__"]["version"] = "1"
    assert "has format version 1; this deltarule reads version 2. No release wrote such files" in refusal(
        joined(header, w)
    )
    for wrong in ("", "one", "1.0", "-1", "٣", "9" * 9, 1, None):
        header["__metadata__"]["version"] = wrong
        assert "damaged: its format version is" in refusal(joined(header, w))


def test_duplicate_keys(data):
    header, w = parts(data)
    raw = json.dumps(header)
    tensor = raw[raw.index('"w":') : -1]
    assert "stands twice" in refusal(joined(f"{raw[:-1]}, {tensor}}}".encode(), w))
    inner = header["__metadata__"]["model"]
    header["__metadata__"]["model"] = inner[:-1] + ', "loss": "squared_error"}'
    assert "stands twice" in refusal(joined(header, w))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(data, number):
    header, w = parts(data)
    inner = header["__metadata__"]["model"]
    assert '"l2": 0.01' in inner
    header["__metadata__"]["model"] = inner.replace('"l2": 0.01', f'"l2": {number}')
    assert "damaged" in refusal(joined(header, w))


def test_metadata_that_are_refused(data):
    header, w = parts(data)
    for changes in ({"more": "text"}, {"model": 5}, {"model": "null"}, {"model": "{}"}, {"model": ""}, {"format": 1}):
        changed = {**header, "__metadata__": header["__metadata__"] | changes}
        refusal(joined(changed, w))


def paths(value, path=()):
    """Every place in nested JSON."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


WRONG = [None, True, -1, 2.5, 1e308, "text", "", [], {}, [1], {"a": 1}, 10**400]


def usable(model, table):
    """Whatever is loaded can predict and be printed: nothing unchecked is in it."""
    from deltarule.terminal import print_model, print_training

    assert np.all(np.isfinite(model.w))
    print_model(model)
    print_training(model)
    assert model.training.odds is None or 0 <= model.training.odds <= 1
    if model.error_bars is None:
        model.predict(table)
    else:
        model.predict(table, return_std=True)


@pytest.mark.parametrize("name", ["regression", "multiclass", "an ensemble"])
def test_every_value_replaced_by_wrong_ones(models, name, capsys):
    """Each value in the JSON, replaced by values of every type: refused, or good enough to be used."""
    header, w = parts(modelfile.to_bytes(models[name]))
    content = json.loads(header["__metadata__"]["model"])
    table, refused, rng = TABLES[name][0], 0, np.random.default_rng(0)
    for path in list(paths(content))[1:]:
        for wrong in rng.permutation(len(WRONG))[:4]:
            changed = copy.deepcopy(content)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            if inner[path[-1]] == WRONG[wrong]:
                continue
            inner[path[-1]] = WRONG[wrong]
            header["__metadata__"]["model"] = json.dumps(changed)
            try:
                model = modelfile.from_bytes(joined(header, w))
            except ModelFileError as error:
                refused += 1
                assert len(str(error)) < 400
            else:
                try:
                    usable(model, table)
                except dr.TableError:  # a column has another name, kind or scale
                    assert path[0] == "encoding"
    assert refused > 300
    capsys.readouterr()


def test_lacking_and_unknown_keys(data):
    header, w = parts(data)
    content = json.loads(header["__metadata__"]["model"])
    keyed = [path for path in paths(content) if path and isinstance(path[-1], str)]
    places = [path for path in keyed if path[:2] != ("training", "settings")]
    assert len(places) > 40
    for path in places:
        for lacking in (True, False):
            changed = copy.deepcopy(content)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            if lacking:
                del inner[path[-1]]
            else:
                inner["unknown"] = 1
            header["__metadata__"]["model"] = json.dumps(changed)
            assert "damaged" in refusal(joined(header, w)), path


CONTRADICTIONS = {
    "widths": lambda c: c["network"].update(sizes=[c["network"]["sizes"][0], 9, 1]),
    "inputs": lambda c: c["encoding"]["columns"].pop(),
    "outputs": lambda c: c["network"]["sizes"].append(c["network"]["sizes"].pop() + 1),
    "half a neuron": lambda c: c["network"]["sizes"].__setitem__(1, c["network"]["sizes"][1] + 0.5),
    "a layer as wide as the world": lambda c: c["network"]["sizes"].__setitem__(1, 2**40),
    "ten thousand layers": lambda c: c["network"].update(sizes=[1] * 10_000, activations=["tanh"] * 9_999),
    "activation": lambda c: c["network"]["activations"].__setitem__(0, "os.system"),
    "softmax inside": lambda c: c["network"]["activations"].__setitem__(0, "softmax"),
    "loss": lambda c: c.update(loss="cross_entropy"),
    "unknown loss": lambda c: c.update(loss="eval(1)"),
    "loss parameter": lambda c: c.update(loss="huber(nan)"),
    "loss without end": lambda c: c.update(loss=f"huber({'[' * 3_000})"),
    "scores of no part": lambda c: c["training"]["scores"].clear(),
    "scores of two tests": lambda c: c["training"]["scores"].update(validation=c["training"]["scores"]["test"]),
    "no runs": lambda c: c["training"]["runs"].clear(),
    "no run kept": lambda c: c["training"]["runs"][0].update(kept=False),
    "a kept run without a loss": lambda c: c["training"]["runs"][0].update(objective=None, validation_loss=None),
    "an unknown reason": lambda c: c["training"]["runs"][0].update(reason="TIRED"),
    "another run kept": lambda c: c["training"]["runs"].append(c["training"]["runs"][0]),
    "a layer too many": lambda c: c["network"].update(sizes=[1] * 1_002, activations=["tanh"] * 1_001),
    "scores of classes": lambda c: [
        scores.update(accuracy=1) or scores.pop("r2") for scores in (*c["training"]["scores"].values(),)
    ],
    "scores of other targets": lambda c: [
        scores.update(each=[{"target": "cost", "r2": 1, "rmse": 1, "mae": 1}])
        for scores in (*c["training"]["scores"].values(), c["training"]["baseline"])
    ],
    "scale of 0": lambda c: c["encoding"]["columns"][0]["scale"].__setitem__(1, 0),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_values_that_contradict_each_other(data, case):
    header, w = parts(data)
    content = json.loads(header["__metadata__"]["model"])
    CONTRADICTIONS[case](content)
    header["__metadata__"]["model"] = json.dumps(content)
    assert "damaged" in refusal(joined(header, w))


PATHS = {
    "no such file": ("nothing.deltarule", "There is no model file"),
    "folder": (".", "is a folder; give a file that Model.save wrote"),
    "device": ("/dev/zero", "not a regular file"),
    "a name that is too long": ("m" * 300, "File name too long"),
    "empty file": ("empty", "not a deltarule model"),
    "a file as folder": ("empty/m", "cannot be read"),
}


@pytest.mark.parametrize("case", PATHS)
def test_paths_that_are_refused(tmp_path, case):
    (tmp_path / "empty").touch()
    name, words = PATHS[case]
    with pytest.raises(ModelFileError, match=words):
        dr.load(tmp_path / name)


def test_links_stand_for_what_they_lead_to(data, tmp_path):
    (tmp_path / "m").write_bytes(data)
    for name, target in {"good": "m", "zero": "/dev/zero", "folder": ".", "loop": "loop", "nowhere": "none"}.items():
        (tmp_path / name).symlink_to(target)
    assert np.array_equal(dr.load(tmp_path / "good").w, modelfile.from_bytes(data).w)
    words = {"zero": "not a regular file", "folder": "is a folder", "loop": "cannot be read", "nowhere": "There is no"}
    for name, expected in words.items():
        with pytest.raises(ModelFileError, match=expected):
            dr.load(tmp_path / name)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="not a regular file"):
        dr.load(tmp_path / "pipe")


def test_memory_is_bounded_by_what_the_header_allows(data, tmp_path):
    """A file of 8 GB of nothing behind a small header is refused without being read."""
    path = tmp_path / "m.deltarule"
    for content in (data, (2**20).to_bytes(8, "little") + b"{", bytes(8)):
        path.write_bytes(content)
        os.truncate(path, 2**33)
        tracemalloc.start()
        with pytest.raises(ModelFileError):
            dr.load(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
        tracemalloc.stop()


BOMB = """
import resource, sys
import deltarule as dr
from deltarule import modelfile, network, tensorfile
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 600 * 2**20,) * 2)
for path in sys.argv[1:]:
    try:
        dr.load(path)
    except dr.ModelFileError as error:
        print("refused", error)
"""


def test_hostile_headers_under_a_memory_limit(data, tmp_path):
    size, most = tensorfile.MAX_HEADER, network.MAX_WEIGHTS
    header, w = parts(data)
    inner = '{"network": [' + "{}," * (size // 3 - 10) + "{}]}"
    header["__metadata__"]["model"] = inner[: size // 2]
    hostile = {
        "objects": joined((b'{"a": [' + b"{}," * (size // 3 - 10) + b"{}]}")[:size], b""),
        "lists": joined(b'{"a": [' + b"[]," * (size // 3 - 10) + b"[]]}", b""),
        "numbers": joined(b'{"a": [' + b"1," * (size // 2 - 10) + b"1]}", b""),
        "keys": joined(b"{" + b",".join(b'"%d":0' % i for i in range(size // 12)) + b"}", b""),
        "model": joined(header, w),
        "weights": joined({**header, "w": {"dtype": "F64", "shape": [1, most], "data_offsets": [0, 8 * most]}}, w),
        "members": joined({**header, "w": {"dtype": "F64", "shape": [most, 1], "data_offsets": [0, 8 * most]}}, w),
    }
    for name, content in hostile.items():
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / name) for name in hostile]
    ended = subprocess.run([sys.executable, "-c", BOMB, *paths], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.count("refused") == len(hostile), ended


def test_a_users_own_activation_is_refused_on_save(tmp_path):
    cube = dr.activations.own("cube", lambda e: e**3, lambda e, y: 3 * e**2)
    model = dr.fit(waves(), "y", activation=cube, hidden=3, max_steps=5, l2=0.0)
    assert np.all(np.isfinite(model.predict(waves())))
    with pytest.raises(SettingError, match="activation 'cube' is your own code, which a model file cannot hold"):
        model.save(tmp_path / "m.deltarule")
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_many_columns_can_be_saved(tmp_path):
    """As many columns as a table may have, with names of 40 letters."""
    columns = {f"measurement of something, number {i:06}": np.arange(12.0) * (i + 1.1) for i in range(20_000 - 1)}
    model = dr.fit({**columns, "y": np.arange(12.0) ** 2}, "y", hidden=1, max_steps=1, l2=0.1, task="regression")
    model.save(tmp_path / "m.deltarule")
    assert dr.load(tmp_path / "m.deltarule").encoding == model.encoding


def test_the_classes_of_scores_are_those_of_the_target(models):
    header, w = parts(modelfile.to_bytes(models["multiclass"]))
    content = json.loads(header["__metadata__"]["model"])
    for scores in (*content["training"]["scores"].values(), content["training"]["baseline"]):
        scores["classes"] = scores["classes"][::-1]
    header["__metadata__"]["model"] = json.dumps(content)
    assert "its scores do not fit its target" in refusal(joined(header, w))


def test_layers_at_most():
    assert dr.Network([1] * 1_001, ["tanh"] * 1_000).depth == 1_000
    with pytest.raises(SettingError, match="1,001 layers was asked for; at most 1,000"):
        dr.Network([1] * 1_002, ["tanh"] * 1_001)
