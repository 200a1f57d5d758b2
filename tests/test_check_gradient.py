"""The gradient check: right for every pair of formulas, wrong for each planted fault, in the layer where it lies."""

import json

import mpmath
import numpy as np
import pytest

import deltarule as dr
from checks import Case, make_case, reference_gradient
from commandline import done, refused, run
from deltarule import losses
from deltarule.activations import ACTIVATIONS, Activation
from deltarule.engines.array import ArrayEngine
from deltarule.errors import InputError, SettingError
from deltarule.explain import check, check_differences
from deltarule.explain.check_complex import FORMULAS, ComplexStep, serves
from mixtures import homes, write
from problems import SURFACES


def objective(case, **settings):
    return dr.Objective(case.network, case.loss, *case.rows, **settings)


@pytest.mark.promise("P1")
def test_every_pair_of_formulas_is_right(pair):
    """By complex step, for the engine that is used and its bound, penalty and row weights included."""
    activation, loss = pair
    for weighted in (False, True):
        case = make_case(activation, loss, sizes=(3, 3, 3, 2), n=4, weighted=weighted)
        found = check.gradient(objective(case, l2=0.1), case.w)
        assert found.right and found.way == "complex step", found
        assert len(found.weights) == case.network.n_weights


@pytest.mark.promise("P1")
def test_a_complex_step_is_the_slope_in_many_digits(pair):
    case = make_case(*pair, sizes=(2, 3, 2), n=3)
    complex_step = ComplexStep(case.network, case.loss, case.w, case.rows)
    exact = reference_gradient(case) / len(case.rows.X)
    found = np.array([complex_step.slope(index) for index in range(case.network.n_weights)])
    assert np.allclose(found, exact, rtol=1e-11, atol=1e-13)


def test_the_complex_formulas_are_those_of_the_table():
    e = np.array([[-30.0, -3.0, -0.5, 0.3, 2.0, 25.0]])
    assert set(FORMULAS) == set(ACTIVATIONS)
    for name, row in ACTIVATIONS.items():
        with np.errstate(all="ignore"):
            assert np.allclose(FORMULAS[name](e.astype(complex)).real, row.f(np, e), rtol=1e-12, atol=0), name


FAULTS = {
    "no slope": lambda row: lambda xp, e, y: xp.ones_like(e),
    "slope at y": lambda row: lambda xp, e, y: row.df(xp, y, row.f(xp, y)),
    "sign": lambda row: lambda xp, e, y: -row.df(xp, e, y),
    "one in a million": lambda row: lambda xp, e, y: row.df(xp, e, y) * (1 + 1e-6),
}


@pytest.mark.promise("P1")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_fault_is_found_in_its_layer(fault, layer):
    """A user's own activation has no complex formula: central differences find a slope that is off by 1e−6."""
    row = ACTIVATIONS["tanh"]
    wrong = Activation("mine", row.f, FAULTS[fault](row))
    network = dr.Network((3, 4, 3, 2), [wrong if i == layer else "tanh" for i in range(3)])
    rng = np.random.default_rng(0)
    made = dr.Objective(network, "squared_error", rng.normal(size=(6, 3)), rng.normal(size=(6, 2)))
    found = check.gradient(made, rng.uniform(-0.9, 0.9, network.n_weights))
    names = [network.layer_name(i) for i in range(3)]
    assert not found.right and found.way == "central differences"
    assert [one.verdict for one in found.layers] == ["wrong"] * (layer + 1) + ["right"] * (2 - layer)
    assert found.notes[-1].startswith(f"{names[layer]} is the last wrong layer") and "'mine'" in found.notes[-1]


def test_a_right_activation_of_ones_own_passes():
    mine = dr.activations.own("mine", lambda e: e / np.sqrt(1 + e * e), lambda e, y: (1 + e * e) ** -1.5)
    case = make_case(sizes=(3, 4, 2), n=8)
    found = check.gradient(objective(Case(dr.Network((3, 4, 2), (mine, mine)), case.loss, case.w, case.rows)), case.w)
    assert found.right and all(weight.step > 0 for weight in found.weights)


def test_float32_has_its_own_bound():
    case = make_case(sizes=(3, 5, 2), n=9, dtype=np.float32)
    found = check.gradient(objective(case), case.w)
    assert found.right and 1e-8 < max(weight.bound for weight in found.weights) < 1e-2


def test_a_wrong_engine_is_found_by_the_complex_step():
    class Careless(ArrayEngine):
        def value_grad(self, w, rows):
            value, grad = super().value_grad(w, rows)
            grad[2] *= 1 + 1e-9
            return value, grad

    case = make_case(sizes=(3, 4, 2), n=8)
    found = check.gradient(objective(case, engine=Careless(case.network, case.loss)), case.w)
    assert [weight.place for weight in found.weights if weight.verdict == "wrong"] == [2]
    assert found.to_dict()["wrong"][0]["name"] == "hidden1[0] <- input[2]"
    assert "1 wrong" in str(found)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "hard_tanh", "selu"])
def test_a_kink_is_recognised(activation):
    """The first neuron receives exactly its kink: a one-sided slope is accepted there, and said so."""
    network = dr.Network((2, 3, 1), (activation, "identity"))
    w = np.random.default_rng(0).uniform(0.2, 0.9, network.n_weights)
    kink = 1.0 if activation == "hard_tanh" else 0.0
    w[0:2], w[6] = 0.0, kink
    made = dr.Objective(network, "squared_error", [[1.0, 2.0], [0.5, -1.0]], [[1.0], [2.0]])
    found = check.gradient(made, w)
    assert found.right and {found.weights[i].verdict for i in (0, 1, 6)} == {"kink"}
    assert found.layers[0].kinks == 3 and "at a kink" in str(found)
    assert found.weights[2].verdict == "right"


def test_a_loss_with_a_kink_at_its_target():
    network = dr.Network((1, 1))
    made = dr.Objective(network, "absolute_error", [[1.0], [2.0]], [[0.0], [5.0]])
    found = check.gradient(made, np.zeros(2))
    assert found.right and found.layers[0].kinks == 2


@pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
def test_any_function_is_checked(surface):
    class Function:
        def __init__(self, factor):
            self.factor = factor

        def value_grad(self, w):
            value, grad = surface.value_grad(w)
            return value, grad * self.factor

    assert check.gradient(Function(1.0), surface.start).right
    assert not check.gradient(Function(1 + 1e-5), surface.start).right


def test_noise_is_measured():
    rng = np.random.default_rng(0)
    for level in (1e-6, 1e-10):
        found = check_differences.noise(lambda w, level=level: float(w @ w) + level * rng.standard_normal(), np.ones(3))
        assert level < found < 100 * level


@pytest.mark.parametrize("name", ["exp", "sin", "tanh", "atan", "log1p"])
def test_the_bound_of_differences_holds(name):
    """The true slope, by mpmath, lies within the bound, and the bound is no excuse."""
    function, exact = {"atan": np.arctan}.get(name) or getattr(np, name), getattr(mpmath, name)
    for e in (-0.7, 0.1, 3.0):
        error = 4 * np.finfo(float).eps * abs(float(exact(e))) + 1e-18
        slope = check_differences.slope(lambda w: float(function(w[0])), np.array([e]), 0, error)
        truth = float(mpmath.diff(exact, e))
        assert abs(slope.value - truth) <= slope.bound <= 1e-8 and not slope.kink


def test_large_objectives_are_drawn_from():
    case = make_case(sizes=(6, 8, 2), n=30)
    found = check.gradient(objective(case), case.w, weights=5, rows=10, seed=1)
    assert found.right and found.rows == 10 and [layer.checked for layer in found.layers] == [5, 5]
    assert "10 of 30 rows were drawn; rows=… takes more" in found.notes
    assert any("10 of 74 weights were drawn" in note for note in found.notes)
    again = check.gradient(objective(case), case.w, weights=5, rows=10, seed=1)
    assert again.to_dict() == found.to_dict()


def test_serves_knows_its_limits():
    assert serves(dr.Network((2, 2, 1)), losses.get("huber(0.5)"))
    mine = Activation("tanh", ACTIVATIONS["tanh"].f, ACTIVATIONS["relu"].df)
    assert not serves(dr.Network((2, 2, 1), (mine, "identity")), losses.get("huber"))


def test_what_is_refused():
    case = make_case()
    for wrong, words in (
        (lambda: check.gradient(objective(case), case.w, rows=0), "rows was 0"),
        (lambda: check.gradient(objective(case), case.w, weights=True), "weights was True"),
        (lambda: check.gradient(objective(case), case.w[:3]), "this network needs"),
        (lambda: check.gradient(3, case.w), "value_grad"),
    ):
        with pytest.raises((SettingError, InputError), match=words):
            wrong()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "homes.csv", homes())
    done("train", "homes.csv", "-t", "price", "--epochs", 2, "--l2", 0.01, "--hidden", 3, "-o", "m.deltarule",
         "--quiet")  # fmt: skip
    return tmp_path


def test_the_command_checks_a_model(folder):
    typed = ("check", "m.deltarule", "homes.csv")
    told = done(*typed).out
    assert "every gradient lies within its bound" in told and "hidden1" in told and "output[price] <- " in told
    found = done(*typed, "--json", "--rows", 40, "--seed", 3).json
    assert list(found) == ["model", "table", "right", "way", "rows", "weights", "layers", "wrong", "notes"]
    assert found["right"] and found["rows"] == 40 and found["way"] == "complex step" and found["wrong"] == []
    layer = found["layers"][0]
    assert list(layer) == ["name", "checked", "kinks", "wrong", "worst", "verdict"]
    assert list(layer["worst"]) == ["place", "name", "gradient", "numeric", "bound", "step", "verdict"]
    model = dr.load("m.deltarule")
    expected = check.model(model, "homes.csv", rows=40, seed=3).to_dict()
    assert json.loads(json.dumps(expected)) == {key: found[key] for key in expected}
    assert "<- area" in " ".join(weight.name for weight in check.model(model, "homes.csv").weights)


def test_the_command_says_what_is_wrong_and_ends_with_1(folder, monkeypatch):
    from deltarule.compiled import kernels
    from deltarule.engines import native

    engine = native.NativeEngine if kernels() else ArrayEngine
    right = engine.value_grad

    def careless(self, w, rows):
        value, grad = right(self, w, rows)
        grad[:4] *= 1.001
        return value, grad

    monkeypatch.setattr(engine, "value_grad", careless)
    ended = run("check", "m.deltarule", "homes.csv")
    assert ended.status == 1 and "NOT every gradient" in ended.out and "Wrong:" in ended.out
    assert "hidden1[0] <- area" in ended.out.partition("Wrong:")[2]


def test_the_command_refuses(folder):
    assert "rows was 0" in refused("check", "m.deltarule", "homes.csv", "--rows", 0)
    assert "member was 7" in refused("check", "m.deltarule", "homes.csv", "--member", 7)
    assert "none.csv" in refused("check", "m.deltarule", "none.csv")
