"""Update rules: against the reference over many updates, in closed form, and what is refused."""

import numpy as np
import pytest

import reference
from deltarule.errors import SettingError
from deltarule.methods import rules
from deltarule.methods.rules import RULES


def test_many_updates_equal_the_reference(rule):
    """Each update rounds a handful of times; errors of earlier ones are never magnified, so they add up."""
    rng, n = np.random.default_rng(0), 50
    made = rules.get(rule)
    w, memory = rng.normal(size=4), np.zeros((made.n_memory, 4))
    start, expected, remembered = np.abs(w).max(), w.tolist(), [[0.0, 0.0]] * 4
    G = rng.normal(size=(n, 4)) * [1.0, 1e3, 1e-3, 1.0]
    for count, g in enumerate(G, start=1):
        made.apply(np, w, g.copy(), memory, 0.05, count)
        for i in range(4):
            expected[i], remembered[i] = reference.RULES[rule](expected[i], float(g[i]), remembered[i], 0.05, count)
    # no weight ever exceeds its start plus n times the longest step (momentum: 1/(1−0.9) of η g)
    largest = start + n * 0.05 * (10 * np.abs(G).max(axis=0) + 40)
    assert np.all(np.abs(w - expected) <= 16 * n * np.finfo(float).eps * largest)


def test_it_works_in_place_and_leaves_the_gradient(rule):
    made = rules.get(rule)
    w, g, memory = np.ones(3), np.array([1.0, -2.0, 0.0]), np.zeros((made.n_memory, 3))
    kept = g.copy()
    assert made.apply(np, w, g, memory, 0.1, 1) is None
    assert np.array_equal(g, kept)
    assert w[2] == 1.0  # no gradient, no step
    assert w[0] < 1.0 < w[1]


def test_without_momentum_the_rules_are_the_plain_one():
    g, plain = np.array([0.3, -2.0]), np.zeros(2)
    rules.Plain().apply(np, plain, g, np.zeros((0, 2)), 0.1, 1)
    for made in (rules.Momentum(0.0), rules.Nesterov(0.0)):
        w = np.zeros(2)
        made.apply(np, w, g, np.zeros((1, 2)), 0.1, 1)
        assert np.array_equal(w, plain)


def test_the_first_step_of_adam_is_the_rate():
    """|a/√b| = 1 after the correction of the start, whatever the gradient's size; ε shortens it a little."""
    for size in (1e-1, 1.0, 1e6):
        w = np.zeros(1)
        rules.Adam().apply(np, w, np.array([size]), np.zeros((2, 1)), 0.01, 1)
        assert w[0] == pytest.approx(-0.01, rel=1e-8 / (size * np.sqrt(1 - 0.999)) + 1e-14)


def test_a_constant_gradient_gives_momentum_its_final_speed():
    w, memory = np.zeros(1), np.zeros((1, 1))
    for count in range(1, 400):
        rules.Momentum(0.9).apply(np, w, np.ones(1), memory, 0.1, count)
    assert memory[0, 0] == pytest.approx(-0.1 / (1 - 0.9), rel=0.9**399 + 1e-13)


@pytest.mark.parametrize(
    ("made", "settings"),
    [
        ("momentum", {"momentum": 1.0}),
        ("nesterov", {"momentum": -0.1}),
        ("rmsprop", {"decay": 1.0}),
        ("rmsprop", {"epsilon": 0.0}),
        ("adam", {"beta1": 1.0}),
        ("adam", {"beta2": float("nan")}),
        ("adam", {"epsilon": float("inf")}),
        ("adam", {"epsilon": "a"}),
    ],
)
def test_settings_out_of_range_are_refused(made, settings):
    name = next(iter(settings))
    with pytest.raises(SettingError, match=f"{name} of {made} was"):
        RULES[made](**settings)


def test_names(rule):
    assert rules.get(rule) == RULES[rule]()
    assert rules.get(RULES[rule]()).name == rule


@pytest.mark.parametrize("rule", ["adm", None, 3])
def test_unknown_rules_are_refused(rule):
    with pytest.raises(SettingError, match=r"Unknown rule .*Accepted: plain, momentum"):
        rules.get(rule)
