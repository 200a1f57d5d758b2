"""Conjugate gradients: the classical results on quadratics, every β, restarts, and claims that hold."""

from itertools import islice, pairwise, takewhile
from math import isfinite

import numpy as np
import pytest

from deltarule import steps
from deltarule.errors import SettingError
from deltarule.methods import ConjugateGradient
from deltarule.methods.conjugate_gradient import BETAS, POWELL
from deltarule.methods.line_search import HIDDEN, StrongWolfe
from problems import HESSIAN, SURFACES, rosenbrock

EXACT = StrongWolfe(c1=1e-8, c2=1e-7, max_trials=60)
QUADRATIC = next(surface for surface in SURFACES if surface.name == "quadratic")


def run(surface, method, n):
    return list(islice(steps(surface, surface.start, method), n + 1))


def test_a_quadratic_is_done_in_as_many_steps_as_it_has_curvatures(beta):
    """With exact searches, after n steps the error is 0; searches exact to c₂ leave about c₂ · condition · n of it."""
    *_, last = run(QUADRATIC, ConjugateGradient(beta, EXACT), 5)
    condition = 100.0
    assert np.linalg.norm(last.grad) <= 5 * condition * EXACT.c2 * np.linalg.norm(
        QUADRATIC.value_grad(QUADRATIC.start)[1]
    )


def test_on_a_quadratic_all_betas_are_one():
    """Their formulas differ by g·g_before and g·d_before, which exact searches make 0."""
    paths = {name: run(QUADRATIC, ConjugateGradient(name, EXACT), 4) for name in BETAS}
    path = paths["fletcher_reeves"]
    for other in paths.values():
        for a, b in zip(path, other, strict=True):
            scale = np.linalg.norm(a.direction) + np.linalg.norm(b.direction)
            assert np.linalg.norm(a.w - b.w) <= 1e3 * EXACT.c2 * np.linalg.norm(QUADRATIC.minimum)
            assert np.linalg.norm(a.direction - b.direction) <= 1e4 * EXACT.c2 * scale + 1e-5


def test_directions_are_conjugate_on_a_quadratic():
    path = run(QUADRATIC, ConjugateGradient("polak_ribiere", EXACT), 3)
    for i, a in enumerate(path):
        for b in path[i + 1 :]:
            sizes = np.linalg.norm(a.direction) * np.linalg.norm(b.direction)
            assert abs(a.direction @ HESSIAN @ b.direction) <= 100 * EXACT.c2 * 100 * sizes


def test_betas_are_their_formulas():
    rng = np.random.default_rng(0)
    for _ in range(20):
        g, g0, d = rng.normal(size=(3, 4))
        y = g - g0
        exact = {
            "fletcher_reeves": (g @ g) / (g0 @ g0),
            "polak_ribiere": max(0, (g @ y) / (g0 @ g0)),
            "hestenes_stiefel": max(0, (g @ y) / (d @ y)),
            "dai_yuan": (g @ g) / (d @ y),
            "hager_zhang": max(
                (y - 2 * d * (y @ y) / (d @ y)) @ g / (d @ y),
                -1 / (np.linalg.norm(d) * min(0.01, np.linalg.norm(g0))),
            ),
        }
        for name, beta in BETAS.items():
            # products of 4 terms and a division by d·y, which may cancel
            lost = 1 + np.linalg.norm(d) * np.linalg.norm(y) / abs(d @ y)
            size = np.linalg.norm(g) * np.linalg.norm(y) * lost**2
            assert beta(g, g0, d) == pytest.approx(exact[name], rel=64 * 2.3e-16 * lost**2, abs=64 * 2.3e-16 * size)


def test_a_function_of_ones_own():
    steepest = run(QUADRATIC, ConjugateGradient(lambda g, g0, d: 0.0), 3)
    assert [s.restart for s in steepest] == ["start", *["beta is 0"] * 3]
    assert all(np.array_equal(s.direction, -s.grad) for s in steepest)
    same = run(QUADRATIC, ConjugateGradient(BETAS["dai_yuan"]), 5)[-1]
    assert np.array_equal(same.w, run(QUADRATIC, ConjugateGradient("dai_yuan"), 5)[-1].w)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_beta_that_is_no_number_restarts(value):
    first, second = run(QUADRATIC, ConjugateGradient(lambda g, g0, d: value), 1)
    assert first.restart == "start"
    assert second.restart == "beta is not finite"
    assert np.array_equal(second.direction, -second.grad)


def test_a_direction_that_would_climb_restarts():
    *_, last = run(QUADRATIC, ConjugateGradient(lambda g, g0, d: np.copysign(1e30, g @ d)), 1)
    assert last.restart in ("the direction would not descend", "successive gradients overlap")
    assert last.grad @ last.direction < 0


def test_every_step_keeps_its_claims(surface, beta):
    """Each accepted step descends, its Wolfe flag is true, and restarts are those of their rules."""
    method = ConjugateGradient(beta)
    path = list(takewhile(lambda s: not s.stuck, islice(steps(surface, surface.start, method), 60)))
    for before, after in pairwise(path):
        assert isfinite(after.loss)
        assert after.loss <= before.loss
        assert before.grad @ before.direction < 0
        if after.step_length == 0:
            assert after.restart == "the search found nothing"
            continue
        assert np.array_equal(after.w, before.w + after.step_length * before.direction)
        assert after.slope == before.grad @ before.direction
        if after.wolfe:
            c1, c2 = method.search.c1, method.search.c2
            asked = -c1 * after.step_length * after.slope
            assert after.loss <= before.loss - asked or asked <= HIDDEN * abs(before.loss)
            assert abs(after.grad @ before.direction) <= c2 * abs(after.slope)
        overlap = abs(after.grad @ before.grad) >= POWELL * (after.grad @ after.grad)
        assert (after.restart == "") <= (not overlap)
        if after.restart:
            assert np.array_equal(after.direction, -after.grad)


def test_at_a_minimum_it_says_so():
    start, after = run(QUADRATIC._replace(start=QUADRATIC.minimum), ConjugateGradient(), 1)
    assert start.stuck == ""
    assert after.stuck == "the gradient is zero"
    assert np.array_equal(after.w, start.w)


class Cliff:
    """Finite only at the start: every step leads to NaN."""

    def value_grad(self, w):
        return (1.0, np.ones(2)) if not w.any() else (float("nan"), w * float("nan"))


def test_where_no_step_is_finite_it_is_stuck():
    start, after = islice(steps(Cliff(), np.zeros(2), ConjugateGradient()), 2)
    assert after.stuck == "the line search found no lower point along the negative gradient"
    assert np.array_equal(after.w, start.w)
    assert isfinite(after.loss)


def test_rosenbrock_takes_few_evaluations():
    """A regression of the search would show here; fmin_cg of SciPy 1.17 needs some 90 evaluations for 10⁻⁶."""
    calls = []

    class Counting:
        def value_grad(self, w):
            calls.append(w)
            return rosenbrock(w)

    near = (s for s in steps(Counting(), np.array([-1.2, 1.0]), ConjugateGradient()) if s.loss < 1e-12)
    next(near)
    assert len(calls) < 180


@pytest.mark.parametrize("beta", ["polak", None, 3])
def test_unknown_betas_are_refused(beta):
    with pytest.raises(SettingError, match=r"Unknown beta .*Accepted: fletcher_reeves"):
        ConjugateGradient(beta)


def test_a_search_must_be_a_search():
    with pytest.raises(SettingError, match="search was 'wolfe'; it is a line search such as StrongWolfe"):
        ConjugateGradient(search="wolfe")
