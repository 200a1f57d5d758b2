"""The error surface: planes, walks over them, samples of searches; steepest descent zigzags where CG does not."""

import json
from dataclasses import replace

import numpy as np
import pytest

import deltarule as dr
from deltarule import explain
from deltarule.errors import InputError, SettingError
from deltarule.explain import planes, surfaces
from deltarule.explain.names import Names
from deltarule.methods import METHODS, ConjugateGradient, Online
from deltarule.methods.line_search import StrongWolfe

EXACT = StrongWolfe(c2=1e-9, c1=1e-10)
STEEPEST = ConjugateGradient(beta=lambda g, g_before, d: 0.0, search=EXACT)
"""An exact search down −g at every step."""


@pytest.fixture(scope="module")
def valley():
    """Least squares in two weights: curvatures 10 to 1, the minimum known."""
    x = 1 + 0.7 * np.random.default_rng(0).normal(size=60)
    return dr.Objective(dr.Network((1, 1)), "squared_error", x[:, None], 2 * x - 1)


@pytest.fixture(scope="module")
def bent():
    """A network with a hidden layer, and other rows to judge by."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 2))
    T = np.sin(X[:, :1]) * X[:, 1:] + 0.3 * rng.normal(size=(50, 1))
    network = dr.Network((2, 4, 1))
    make = [dr.Objective(network, "squared_error", X[part], T[part]) for part in (slice(30), slice(30, 50))]
    return *make, network.initial_weights(0)


def test_steepest_descent_zigzags_and_conjugate_gradient_does_not(valley):
    """Exact searches down −g turn by 90° each time; CG ends after as many searches as weights (Hestenes, Stiefel)."""
    start = np.array([-1.0, 4.0])
    found = explain.surface(
        valley, w=start, method={"steepest": STEEPEST, "cg": ConjugateGradient(search=EXACT)}, through=(0, 1)
    )
    steepest, cg = found.walks
    moving = steepest.losses[:-1] > 1e-12
    assert moving.sum() >= 6 and np.all(np.abs(steepest.turns[: moving.sum() - 1] - 90) < 1e-3)
    assert cg.losses[2] < 1e-20 < steepest.losses[3]
    assert np.allclose(cg.w[2], [2, -1], atol=1e-9)
    assert np.all(found.plane.off(steepest.w) == 0) and "90°" in str(found)
    assert np.all(np.abs(steepest.arriving[:5]) <= 1e-9 * np.abs(steepest.leaving[:5]))  # searches on parabolas
    assert np.all(np.diff(steepest.losses) < 0) and cg.slopes[2] < 1e-9 < 1e-4 < steepest.slopes[-1]


def test_the_surface_is_the_objective(bent):
    objective, _, w = bent
    found = explain.surface(objective, w=w, steps=6, points=5)
    for i, b in enumerate(found.b):
        for j, a in enumerate(found.a):
            assert found.loss[i, j] == objective.value(found.plane.at(a, b))
    a, b, loss = found.lowest
    assert loss == found.loss.min() == objective.value(found.plane.at(a, b))


@pytest.mark.parametrize("name", METHODS)
def test_any_method_can_walk(name, bent):
    objective, _, w = bent
    one = explain.walk(objective, w, name, 4)
    assert one.n_steps == 4 and one.method == name
    for k in range(5):
        value, grad = objective.value_grad(one.w[k])
        assert one.losses[k] == value and one.slopes[k] == pytest.approx(np.linalg.norm(grad), rel=1e-12)
    method = dr.methods.get(name)
    plain = replace(method, preconditioned=False) if hasattr(method, "preconditioned") else method
    states = [state.w for state, _ in zip(dr.steps(objective, w, plain), range(5), strict=False)]
    assert np.array_equal(one.w, states)
    if name not in ("online", "gradient_descent", "rprop"):
        assert one.looks >= 4
    for samples, before, after in zip(one.samples, one.w, one.w[1:], strict=False):
        for sample in samples:
            at = before + sample.along * (after - before)
            if sample.aside < 1e-9:
                assert sample.loss == pytest.approx(objective.value(at), rel=1e-6)


def test_samples_of_a_line_search_lie_on_its_line(bent):
    objective, _, w = bent
    one = explain.walk(objective, w, steps=8)
    for samples, leaving, arriving in zip(one.samples, one.leaving, one.arriving, strict=True):
        assert max(sample.aside for sample in samples) < 1e-12
        last = samples[-1]
        assert last.along == pytest.approx(1, abs=1e-12) and last.slope == pytest.approx(arriving, abs=1e-12)
        assert leaving < 0 and abs(arriving) <= 0.1 * abs(leaving) * (1 + 1e-9)  # strong Wolfe, c₂ = 0.1


def test_planes_hold_what_they_were_made_of(bent):
    objective, validation, w = bent
    one = explain.walk(objective, w, steps=12, validation=validation)
    other = explain.walk(objective, w, "rprop", 12)
    for plane, inside in (
        (planes.of_ends([one]), one.w[[0, -1, one.best]]),
        (planes.of_ends([one, other]), [one.w[0], one.w[-1], other.w[-1]]),
        (planes.of_gradient(objective, w), one.w[:3]),
        (planes.of_directions(w, one.w[1] - w, other.w[4] - w), [w, one.w[1], other.w[4]]),
    ):
        assert np.allclose([plane.u @ plane.u, plane.v @ plane.v, plane.u @ plane.v], [1, 1, 0], atol=1e-14)
        assert np.all(plane.off(inside) < 1e-12)
        assert np.allclose([plane.at(*ab) for ab in plane.coordinates(inside)], inside, atol=1e-12)
    assert 0 < one.best < one.n_steps and one.best == np.argmin(one.validation)
    gradient = planes.of_gradient(objective, w)
    _, g = objective.value_grad(w)
    assert np.allclose(gradient.u, -g / np.linalg.norm(g))
    by_hand = one.w[5] - gradient.origin
    by_hand = by_hand - (by_hand @ gradient.u) * gradient.u - (by_hand @ gradient.v) * gradient.v
    assert gradient.off(one.w[5])[0] == pytest.approx(np.linalg.norm(by_hand))


def test_two_weights_by_name_are_shown_at_their_values(bent):
    objective, _, w = bent
    through = ("hidden1[1] <- input[0]", "output[0] <- bias")
    found = explain.surface(objective, w=w, method=None, through=through, points=5, reach=2.0)
    places = Names(objective.network).find(through)
    assert np.allclose(found.plane.coordinates(w)[0], w[places]) and found.plane.labels == through
    assert np.allclose(found.a, w[places[0]] + np.linspace(-2, 2, 5)) and found.walks == ()
    assert "walk" not in str(found)


def test_a_model_is_shown_by_the_names_of_its_columns():
    rng = np.random.default_rng(0)
    table = {"age": rng.uniform(0, 1, 40), "price": rng.normal(size=40)}
    model = dr.fit(table, "price", hidden=(3,), l2=0.01, max_steps=5)
    found = explain.surface(
        model, table, seed=3, through=("hidden1[0] <- age", "output[price] <- bias"), points=3, steps=4
    )
    assert found.plane.labels[0] == "hidden1[0] <- age"
    assert np.array_equal(found.walks[0].w[0], model.network.initial_weights(3))


def test_rows_of_an_epoch_can_be_walked(valley):
    one = explain.walk(valley, np.zeros(2), Online(0.1, rows_per_step=1, shuffle=False), 10)
    x, t = valley.rows.X[0, 0], valley.rows.T[0, 0]
    assert np.allclose(one.w[1], [0.1 * t * x, 0.1 * t]) and one.n_steps == 10


def test_the_json_has_its_documented_keys(valley):
    found = explain.surface(valley, w=np.zeros(2), method=[STEEPEST, "cg"], through=(0, 1), points=3)
    made = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(made) == ["plane", "a", "b", "loss", "lowest", "walks"]
    keys = {*made, *made["plane"], *made["walks"][0], *made["walks"][0]["samples"][0][0]}
    assert all(key in surfaces.__doc__ for key in keys)
    assert np.shape(made["loss"]) == (3, 3) and len(made["walks"]) == 2
    assert "<table>" in found._repr_html_()


def test_what_overflows_is_left_out(valley):
    found = explain.surface(valley, w=np.zeros(2), method=None, through=(0, 1), reach=1e160, points=3)
    assert np.isnan(found.loss).any() and found.to_dict()["loss"][0][0] is None
    assert np.isfinite(found.lowest[2])
    one = explain.walk(valley, np.zeros(2), dr.methods.GradientDescent(1e200), 5)
    assert one.stuck == "the next point is not finite" and one.n_steps < 5


def test_pictures(bent):
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    objective, _, w = bent
    found = explain.surface(objective, w=w, method={"down": STEEPEST, "cg": "cg"}, steps=8, points=9)
    texts = [text.get_text() for text in found.plot().get_legend().get_texts()]
    assert any("off the plane" in text for text in texts) and texts[-1] == "start"
    assert found.plot_3d().get_zlabel() == "loss"
    assert found.plot_slopes().get_yscale() == "log"
    line = found.plot_line(step=1, walk=1)
    assert any("end: slope" in text.get_text() for text in line.get_legend().get_texts())
    with pytest.raises(SettingError, match="counted from 0"):
        found.plot_line(step=99)
    with pytest.raises(SettingError, match="there are 2"):
        found.plot_line(walk=2)
    plt.close("all")


def test_what_is_refused(bent, valley):
    objective, _, w = bent
    minimum = np.array([2.0, -1.0])
    for wrong, words in (
        (lambda: explain.surface(objective, w=w, points=1), "points was 1"),
        (lambda: explain.surface(objective, w=w, steps=0), "steps was 0"),
        (lambda: explain.surface(objective, w=w, reach=-1), "reach was -1"),
        (lambda: explain.surface(objective, w=w, through="sideways"), "give 'ends'"),
        (lambda: explain.surface(objective, w=w, through=("hidden1[0]", 0)), "names 3 weights"),
        (lambda: explain.surface(objective, w=w, through=(1, 1)), "given twice"),
        (lambda: explain.surface(objective, w=w, through=(w, 2 * w)), "parallel"),
        (lambda: explain.surface(objective, w=w, through=(w, 0 * w)), "no length"),
        (lambda: explain.surface(objective, w=w, through=(w, w[:3])), "finite numbers are needed"),
        (lambda: explain.surface(objective, w=w, method=None), "No step was taken"),
        (lambda: explain.surface(valley, w=minimum, through="gradient"), "less than two steps"),
        (lambda: explain.surface(objective, w=w, method="magic"), "Unknown method"),
        (lambda: explain.walk(objective, w, steps=True), "steps was True"),
    ):
        with pytest.raises(InputError, match=words):
            wrong()
    straight = explain.walk(valley, minimum + 0.1, "gd", 1)
    with pytest.raises(SettingError, match="spans no plane"):
        planes.of_ends([straight])
