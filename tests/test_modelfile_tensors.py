"""The arrays of a model file: those that do not fit the model, or each other, are refused by name."""

from dataclasses import replace

import numpy as np
import pytest

import deltarule as dr
from deltarule import modelfile
from mixtures import flowers, homes
from modelfiles import described, joined, parts, refusal

pytestmark = pytest.mark.promise("P8")


@pytest.fixture(scope="module")
def models():
    return {
        "regression": dr.fit(homes(), "price", max_steps=3, l2=0.01),
        "multiclass": dr.fit(flowers(), "kind", max_steps=3, l2=0.01),
    }


@pytest.fixture(scope="module")
def data(models):
    return modelfile.to_bytes(models["regression"])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan], ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_weights_that_are_not_finite(data, value, last):
    w = bytearray(data)
    place = (len(data) if last else 8 + int.from_bytes(data[:8], "little") + 97 * 8) - 8
    w[place : place + 8] = np.float64(value).tobytes()
    assert "not finite" in refusal(bytes(w))


def tensors(**changes):
    def change(header, w):
        header["w"].update(changes)
        return header, w

    return change


def shapes(**changes):
    return lambda header, _: described(header, **changes)


def more(header, w):
    end = len(w)
    return {**header, "v": {"dtype": "F64", "shape": [1], "data_offsets": [end, end + 8]}}, w + bytes(8)


def lacking(name):
    def change(header, w):
        return described({key: value for key, value in header.items() if key != name})

    return change


def halved(header, w):
    n = len(w) // 8
    for name in ("w", "noise", "factors"):
        start, end = header[name]["data_offsets"]
        header[name] |= {"dtype": "F32", "data_offsets": [start // 2, end // 2]}
    return header, np.zeros(n, np.float32).tobytes()


def gap(header, w):
    for name in ("w", "noise", "factors"):
        header[name]["data_offsets"] = [8 + place for place in header[name]["data_offsets"]]
    return header, bytes(8) + w


TENSOR_FAULTS = {
    "another tensor": more,
    "single precision": halved,
    "one dimension": shapes(w=[97]),
    "three dimensions": shapes(w=[1, 97, 1]),
    "a member more than runs": shapes(w=[2, 97], noise=[2, 1], factors=[2, 97, 97]),
    "one weight less": shapes(w=[1, 96], factors=[1, 96, 96]),
    "no noise": lacking("noise"),
    "no factors": lacking("factors"),
    "factors of fewer weights": shapes(factors=[1, 96, 96]),
    "factors that are not square": shapes(factors=[1, 97, 96]),
    "factors of two members": shapes(factors=[2, 97, 97]),
    "a flat factor": shapes(factors=[97, 97]),
    "noise of two members": shapes(noise=[2, 1]),
    "noise of two outputs": shapes(noise=[1, 2]),
    "flat noise": shapes(noise=[1]),
    "another order": lambda header, w: (dict(reversed(header.items())), w),
    "a gap": gap,
    "no tensor": lambda header, w: ({"__metadata__": header["__metadata__"]}, b""),
    "empty": lambda header, w: described({"__metadata__": header["__metadata__"]}, w=[1, 0]),
    "unknown type": tensors(dtype="F65"),
    "eight-bit type": tensors(dtype="F8_E4M3"),
    "integers": tensors(dtype="I64"),
    "shape that does not fit": tensors(shape=[1, 10**9]),
    "negative shape": tensors(shape=[1, -5]),
    "shape that overflows": tensors(shape=[2**63, 2**63]),
    "shape of true": tensors(shape=[True, 97]),
    "shape of text": tensors(shape="5"),
    "offsets backwards": tensors(data_offsets=[8, 0]),
    "offsets beyond the end": tensors(data_offsets=[0, 2**62]),
    "another key": tensors(path="/etc/passwd"),
    "not an object": lambda header, w: ({**header, "w": 5}, w),
}


@pytest.mark.parametrize("case", TENSOR_FAULTS)
def test_tensors_that_are_refused(data, case):
    message = refusal(joined(*TENSOR_FAULTS[case](*parts(data))))
    assert "m.deltarule is damaged" in message


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("a member more than runs", "has 2 members, which are not as many as the runs kept"),
        ("factors of fewer weights", "factors do not have the shape (members, weights, weights)"),
        ("noise of two members", "noise must have a row for each member"),
        ("noise of two outputs", "error bars do not fit its loss and its target"),
        ("one dimension", "w must have a row for each member and a column for each weight"),
        ("no factors", "it must hold the tensor w, or w, noise and factors"),
    ],
)
def test_tensors_are_refused_by_name(data, case, words):
    assert words in refusal(joined(*TENSOR_FAULTS[case](*parts(data))))


@pytest.mark.parametrize("name", ["w", "noise", "factors"])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_tensors_that_hold_no_numbers_are_refused_by_name(data, name, value):
    header, content = parts(data)
    changed = bytearray(content)
    start = header[name]["data_offsets"][0]
    changed[start : start + 8] = np.float64(value).tobytes()
    assert f"damaged: its {name} holds numbers that are not finite" in refusal(joined(header, bytes(changed)))


def test_a_negative_noise_is_refused(data):
    header, content = parts(data)
    changed = bytearray(content)
    start, end = header["noise"]["data_offsets"]
    changed[start:end] = np.float64(-1).tobytes()
    assert "its noise is negative" in refusal(joined(header, bytes(changed)))


def test_error_bars_of_a_model_that_cannot_have_them_are_refused(models):
    header, w = parts(modelfile.to_bytes(models["multiclass"]))
    _, p = header["w"]["shape"]
    assert "error bars do not fit" in refusal(joined(*described(header, noise=[1, 3], factors=[1, p, p])))
    header, w = parts(modelfile.to_bytes(models["regression"]))
    header["__metadata__"]["model"] = header["__metadata__"]["model"].replace(
        '"loss": "squared_error"', '"loss": "huber(1.0)"'
    )
    assert "error bars do not fit" in refusal(joined(header, w))


def test_a_factor_that_makes_error_bars_overflow_is_found_when_it_is_used(models):
    model = models["regression"]
    bars = model.error_bars._replace(factors=model.error_bars.factors * 1e300)
    again = modelfile.from_bytes(modelfile.to_bytes(replace(model, error_bars=bars)))
    with pytest.raises(dr.TableError, match="The error bar for row 1 of the dictionary is too large for a number"):
        again.predict(homes(3), return_std=True)
    assert np.array_equal(again.predict(homes(3)), model.predict(homes(3)))
