"""Conjugate gradients: the classical results on quadratics, every β, restarts, and claims that hold."""

from itertools import islice, pairwise, takewhile
from math import isfinite

import numpy as np
import pytest

import reference_methods as reference
from deltarule import Network, Objective, steps
from deltarule.errors import SettingError
from deltarule.methods import ConjugateGradient
from deltarule.methods.betas import BETAS
from deltarule.methods.conjugate_gradient import OVERLAP, POWELL_BEALE
from deltarule.methods.line_search import HIDDEN, StrongWolfe
from problems import HESSIAN, SURFACES, TABLES, rosenbrock

EXACT = StrongWolfe(c1=1e-8, c2=1e-7, max_trials=60)
QUADRATIC = next(surface for surface in SURFACES if surface.name == "quadratic")


def objective_of(table):
    network = Network(table.sizes, table.activations)
    return Objective(network, table.loss, table.X, table.T), network.initial_weights(0)


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


@pytest.mark.promise("P11")
def test_a_direction_that_would_climb_restarts():
    *_, last = run(QUADRATIC, ConjugateGradient(lambda g, g0, d: np.copysign(1e30, g @ d)), 1)
    assert last.restart in ("the direction would not descend", "successive gradients overlap")
    assert last.grad @ last.direction < 0


@pytest.mark.promise("P11")
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
        overlap = abs(after.grad @ before.grad) >= OVERLAP * (after.grad @ after.grad)
        assert (after.restart == "") <= (not overlap)
        if after.restart:
            assert np.array_equal(after.direction, -after.grad)


def test_at_a_minimum_it_says_so():
    start, after = run(QUADRATIC._replace(start=QUADRATIC.minimum), ConjugateGradient(), 1)
    assert start.stuck == ""
    assert after.stuck == "the gradient is zero"
    assert np.array_equal(after.w, start.w)


def rounded_term(g, before, after, d):
    """Return |β d| and by how much it may be off, element by element, for β = g·y / d·y with y = after − before.

    A product of n terms is off by n + 1 roundings of the sum of their sizes, the difference y counted as one more. That
    of d·y, in which the two gradients cancel, is a share `lost` of it, and to the first order the same share of β.
    """
    u, sizes, rise = (len(g) + 2) * np.finfo(float).eps / 2, np.abs(after) + np.abs(before), abs(d @ (after - before))
    lost = u * (np.abs(d) @ sizes) / rise
    assert lost < 0.01
    beta = abs(g @ (after - before)) / rise
    return beta * np.abs(d), (beta * lost + u * (np.abs(g) @ sizes) / rise) * np.abs(d)


def test_powell_and_beale_are_their_formulas():
    """The reference starts from the package's own gradients and directions: one step of rounding, not a chain of them.

    Both are off by the rounding of −g + β d + γ d_t, its terms' and their sum's; 2 % are for the higher orders.
    """
    reasons = set()
    problems = [objective_of(table) for table in TABLES] + [(surface, surface.start) for surface in SURFACES]
    for objective, w in problems:
        path = list(islice(steps(objective, w, ConjugateGradient(preconditioned=False)), 60))
        gradients, directions, t = [path[0].grad], [path[0].direction], None
        for after in path[1:]:
            if after.stuck or after.since == 0:
                break
            reasons.add(after.restart)
            gradients.append(after.grad)
            expected, t = reference.powell_beale([g.tolist() for g in gradients], [d.tolist() for d in directions], t)
            terms, bound = np.abs(after.grad), 0.0
            for k in {t, len(directions) - 1}:
                term, off = rounded_term(after.grad, gradients[k], gradients[k + 1], directions[k])
                terms, bound = terms + term, bound + off
            bound = bound + 3 * np.finfo(float).eps * terms
            directions.append(after.direction)
            assert np.all(np.abs(after.direction - expected) <= 2 * 1.02 * bound)
            assert after.since == len(directions) - 1 - t
    assert reasons >= {"", "as many searches as weights", "successive gradients overlap"}
    assert "the direction is too far from the gradient" in reasons


def test_powell_and_beale_finish_a_quadratic_and_keep_conjugate():
    path = run(QUADRATIC, ConjugateGradient(search=EXACT), 5)
    first = np.linalg.norm(path[0].grad)
    assert np.linalg.norm(path[-1].grad) <= 5 * 100 * EXACT.c2 * first
    for i, a in enumerate(path[:5]):
        for b in path[i + 1 : 5]:
            sizes = np.linalg.norm(a.direction) * np.linalg.norm(b.direction)
            assert abs(a.direction @ HESSIAN @ b.direction) <= 100 * EXACT.c2 * 100 * sizes


@pytest.mark.promise("P11")
@pytest.mark.parametrize("beta", [POWELL_BEALE, *BETAS])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_wolfe_conditions_hold_on_networks(beta, table, engine):
    objective, w = objective_of(table)
    objective.engine = engine(objective.network, objective.loss)
    method, claimed = ConjugateGradient(beta), 0
    for before, after in pairwise(islice(steps(objective, w, method), 40)):
        if after.stuck:
            break
        assert after.loss <= before.loss
        assert (after.since == 0) <= np.array_equal(after.direction, -after.preconditioner * after.grad)
        if not after.wolfe or after.step_length == 0:
            continue
        claimed += 1
        asked = -method.search.c1 * after.step_length * after.slope
        assert after.loss <= before.loss - asked or asked <= HIDDEN * abs(before.loss)
        assert abs(after.grad @ before.direction) <= method.search.c2 * abs(after.slope)
    assert claimed >= 3


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
    with pytest.raises(SettingError, match=r"Unknown beta .*Accepted: powell_beale, fletcher_reeves"):
        ConjugateGradient(beta)


def test_a_search_must_be_a_search():
    with pytest.raises(SettingError, match="search was 'wolfe'; it is a line search such as StrongWolfe"):
        ConjugateGradient(search="wolfe")
