"""The kernels' own exp, tanh and so on against mpmath: within 2 units in the last place, on every instruction set.

Samples are uniform where a function changes, logarithmic over all magnitudes of the format, and dense at its borders:
where it overflows, underflows, saturates, or a formula gives way to another one.
"""

from functools import cache

import mpmath as mp
import numpy as np
import pytest

from deltarule import activations

native = pytest.importorskip("deltarule.engines._native")

ULPS = 2.0
SLOPE_ULPS = 6.0
"""Slopes multiply two or three such functions."""
BITS = 160
N = 1500
DTYPES = {"float64": np.float64, "float32": np.float32}
LARGEST = mp.mpf(float(np.finfo(np.float64).max))
FLAT = {np.float64: 353, np.float32: 43}

FUNCTIONS = {
    "exp": (
        mp.exp,
        (-750, 711),
        (0, 709.782712893384, -708.396418532264, -745.133219101941, 88.72283, -87.33655, -103.97208),
    ),
    "expm1": (
        mp.expm1,
        (-50, 711),
        (0, 709.782712893384, 88.72283, 0.34657359, -0.34657359, 0.6931471805599453, -37.4, -17.3),
    ),
    "log": (mp.log, (0, 100), (1, 0.5, 2, 2.0**0.5, 0.5**0.5, 2.0**-1022, 2.0**-126)),
    "log1p": (mp.log1p, (-1, 100), (0, -0.29289321881345254, 0.4142135623730951, 2.0**53, 2.0**24)),
    "tanh": (mp.tanh, (-25, 25), (0, 0.17328679513998632, 0.34657359, 18.7, 19.06, 20, 9.01, 8.3, 10)),
    "logistic": (lambda x: 1 / (1 + mp.exp(-x)), (-750, 60), (0, -708.4, -745.13, 36.7, -87.3, -103.97)),
    "sin": (mp.sin, (-1100, 1100), (0, 1e6, 1e22)),
    "cos": (mp.cos, (-1100, 1100), (0, 1e6, 1e22)),
    "normal_cdf": (mp.ncdf, (-39, 10), (0, 0.5, -0.5, -38.4, -37.5, -13.9, -12.9, 8.3)),
    "normal_density": (mp.npdf, (-39, 39), (0, -38.56, -37.6, -14.2, -13.2)),
    "f tanh": (mp.tanh, (-25, 25), (0, 0.17328679513998632, 0.34657359, 18.7, 19.06, 20, 9.01, 8.3, 10)),
    "df tanh": (lambda x: 1 / mp.cosh(x) ** 2, (-350, 350), (0, 19.06, 300)),
    "f logistic": (lambda x: 1 / (1 + mp.exp(-x)), (-750, 60), (0, -708.4, -745.13, 36.7, -87.3, -103.97)),
    "df logistic": (lambda x: mp.exp(-abs(x)) / (1 + mp.exp(-abs(x))) ** 2, (-700, 700), (0, 36.7, 87.3)),
}
"""Name: the function, where it changes, its borders."""
SPECIAL = {
    "exp": (np.inf, 0, 1), "expm1": (np.inf, -1, 0), "log": (np.inf, np.nan, -np.inf), "log1p": (np.inf, np.nan, 0),
    "tanh": (1, -1, 0), "logistic": (1, 0, 0.5), "sin": (np.nan, np.nan, 0), "cos": (np.nan, np.nan, 1),
    "normal_cdf": (1, 0, 0.5), "normal_density": (0, 0, 0.3989422804014327), "f tanh": (1, -1, 0), "df tanh": (0, 0, 1),
    "f logistic": (1, 0, 0.5), "df logistic": (0, 0, 0.25),
}  # fmt: skip
"""The values at infinity, minus infinity and 0."""


@pytest.fixture(params=native.isas())
def isa(request):
    return request.param


@pytest.fixture(params=DTYPES)
def dtype(request):
    return DTYPES[request.param]


def evaluate(name, x, isa):
    y = np.full_like(x, 7)
    native.evaluate(name, x, y, isa)
    return y


def near(points, dtype, steps=3):
    """Return the points and their neighbours in the format."""
    x = np.asarray(points, dtype)
    around = [x]
    for direction in (np.inf, -np.inf):
        y = x
        for _ in range(steps):
            y = np.nextafter(y, dtype(direction), dtype=dtype)
            around.append(y)
    return np.concatenate(around)


@cache
def sample(name, dtype):
    """Return inputs, and the exact values as two float64 parts."""
    function, (low, high), borders = FUNCTIONS[name]
    rng, info = np.random.default_rng(0), np.finfo(dtype)
    largest = float(info.max) if low < -1 or name.startswith("log") else high
    magnitudes = np.exp2(rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(largest), N))
    signs = rng.choice([-1.0, 1.0], N) if low < -1 else np.where(rng.random(N) < 0.2, -1.0, 1.0) if low < 0 else 1.0
    parts = [
        rng.uniform(low, high, N).astype(dtype),
        rng.uniform(max(low, -4), 4, N).astype(dtype),
        np.clip(magnitudes * signs, -float(info.max), float(info.max)).astype(dtype),
        near([*borders, *(-b for b in borders)], dtype),
        np.array([info.smallest_subnormal, info.smallest_normal, info.max], dtype),
        -np.array([info.smallest_subnormal, info.max], dtype),
    ]
    if name in ("sin", "cos"):
        parts.append(near(np.arange(1, 300) * (np.pi / 2), dtype, 1))
    x = np.concatenate(parts)
    x = x[(x > 0) if name == "log" else (x > -1) if name == "log1p" else np.isfinite(x)]
    if name.startswith(
        ("df", "f ", "tanh", "logistic", "normal")
    ):  # beyond, mpmath takes long and the value is the border's
        x = x[np.abs(x) < 1e5]
    if name == "df tanh":  # further out it stays at the smallest normal numbers
        x = x[np.abs(x) < FLAT[dtype]]
    exact = []
    with mp.workprec(BITS + (1100 if name in ("sin", "cos") else 0)):
        for value in x:
            y = function(mp.mpf(float(value)))
            high_part = float(y) if abs(y) <= LARGEST else float("inf")
            exact.append((high_part, float(y - mp.mpf(high_part)) if np.isfinite(high_part) else 0.0))
    return x, *np.array(exact).T


def ulps(y, high, low, dtype):
    """Return the distance of y from high + low in units in the last place of the exact value."""
    info = np.finfo(dtype)
    fraction, exponent = np.frexp(np.abs(high))
    exponent = exponent - ((fraction == 0.5) & (np.sign(low) == -np.sign(high)))  # just below a power of 2
    unit = np.ldexp(1.0, np.maximum(exponent - 1, info.minexp) - info.nmant)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs((y.astype(np.float64) - high) - low) / unit
    overflows = np.abs(high) > float(info.max)
    return np.where(overflows, np.where(np.abs(y) >= info.max, 0, np.inf), distance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, isa, dtype):
    x, high, low = sample(name, dtype)
    y = evaluate(name, x, isa)
    distance = ulps(y, high, low, dtype)
    worst = int(np.argmax(np.where(np.isnan(distance), np.inf, distance)))
    allowed = SLOPE_ULPS if name.startswith("df") else ULPS
    assert distance[worst] <= allowed, (
        f"{name}({x[worst]!r}) = {y[worst]!r} is {distance[worst]:.3f} ulp from {high[worst]!r}"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, isa, dtype):
    y = evaluate(name, np.array([np.inf, -np.inf, 0.0, np.nan, -0.0], dtype), isa)
    rounding, tiny = 2 * np.finfo(dtype).eps, 32 * np.finfo(dtype).smallest_normal
    np.testing.assert_allclose(y[:3], np.array(SPECIAL[name], dtype), rtol=rounding, atol=tiny)
    assert np.isnan(y[3])
    if SPECIAL[name][2] == 0 and name not in ("sin", "log1p"):
        assert np.signbit(y[4])


@pytest.mark.parametrize("name", ["tanh", "f tanh", "logistic", "f logistic", "normal_cdf"])
def test_no_value_beyond_one(name, isa, dtype):
    assert np.max(np.abs(evaluate(name, np.linspace(-400, 400, 400_001).astype(dtype), isa))) <= 1


@pytest.mark.parametrize("name", ["log", "log1p"])
def test_logarithms_of_negative_numbers(name, isa, dtype):
    assert np.all(np.isnan(evaluate(name, np.array([-2, -1e30, -np.inf], dtype), isa)))
    assert evaluate("log1p", np.array([-1], dtype), isa)[0] == -np.inf


@pytest.mark.parametrize("n", [0, 1, 3, 7, 8, 9, 31])
def test_any_length(n, isa, dtype):
    x = np.linspace(-3, 3, n).astype(dtype)
    np.testing.assert_allclose(evaluate("exp", x, isa), np.exp(x), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", [n for n, row in activations.ACTIVATIONS.items() if not row.couples])
def test_activations_are_those_of_the_table(name, isa, dtype):
    row = activations.get(name)
    e = np.concatenate([np.linspace(-40, 40, 4001), np.linspace(-2, 2, 2001), [0.0, 1.0, -1.0]]).astype(dtype)
    wide = e.astype(np.float64)
    y = row.f(np, wide)
    for ours, theirs in ((evaluate(f"f {name}", e, isa), y), (evaluate(f"df {name}", e, isa), row.df(np, wide, y))):
        unit = np.finfo(dtype).eps
        np.testing.assert_allclose(ours, theirs, rtol=100 * unit, atol=4 * unit * min(1, float(np.max(np.abs(theirs)))))
