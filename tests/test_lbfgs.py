"""L-BFGS: its four products are the textbook's two loops, its searches keep the Wolfe conditions, pairs left out."""

from itertools import islice, pairwise

import numpy as np
import pytest

import reference_methods as reference
from deltarule import Network, Objective, steps
from deltarule.methods import LBFGS
from deltarule.methods.lbfgs import _direction
from deltarule.methods.line_search import HIDDEN, StrongWolfe
from problems import SINE, SURFACES, TABLES

QUADRATIC = next(surface for surface in SURFACES if surface.name == "quadratic")


def path(objective, w, method, n):
    """Return the states of n steps, or up to where the method can go no further."""
    states = []
    for made in islice(steps(objective, w, method), n + 1):
        states.append(made)
        if made.stuck:
            break
    return states


@pytest.mark.parametrize("memory", [1, 2, 5, 40])
def test_the_products_are_the_two_loops(memory, problem):
    """To the rounding of 4 · memory products, magnified by the pairs' |s||y| / s·y as both ways magnify it."""
    network = Network(problem.sizes, problem.activations)
    objective = Objective(network, problem.loss, problem.X, problem.T)
    states, pairs, checked = path(objective, network.initial_weights(2), LBFGS(memory, preconditioned=False), 30), [], 0
    for before, after in pairwise(states):
        if after.restart or after.skipped or after.stuck:
            break
        pairs.append((before.grad * 0 + (after.w - before.w), after.grad - before.grad))
        kept = [(s.tolist(), y.tolist()) for s, y in pairs[-memory:]]
        expected = np.array(reference.two_loops(after.grad.tolist(), kept))
        worst = max(np.linalg.norm(s) * np.linalg.norm(y) / (s @ y) for s, y in pairs[-memory:])
        # w carries rounding of its own size into the differences that the reference takes
        lost = worst**2 * np.linalg.norm(after.w) / np.linalg.norm(pairs[-1][0])
        error = np.linalg.norm(-_direction(after) - expected) / np.linalg.norm(expected)
        if lost < 1e6:
            assert error <= 100 * memory * lost * np.finfo(float).eps
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize("reach", [0.0, 0.15, 1.0])
def test_gamma_lies_where_reach_says_between_the_least_and_the_most(reach):
    states = path(QUADRATIC, QUADRATIC.start + 1.0, LBFGS(reach=reach), 4)
    for before, after in pairwise(states):
        s, y = after.w - before.w, after.grad - before.grad
        expected = ((s @ y) / (y @ y)) ** (1 - reach) * ((s @ s) / (s @ y)) ** reach
        assert after.gamma == pytest.approx(expected, rel=1e-9)


def test_with_memory_for_all_and_exact_searches_a_quadratic_is_done_in_as_many_steps_as_it_has_curvatures():
    exact = StrongWolfe(c1=1e-8, c2=1e-7, max_trials=60)
    *_, last = path(QUADRATIC, QUADRATIC.start, LBFGS(10, exact), 5)
    assert np.linalg.norm(last.grad) <= 5 * 100 * exact.c2 * np.linalg.norm(QUADRATIC.value_grad(QUADRATIC.start)[1])


@pytest.mark.promise("P11")
@pytest.mark.parametrize("memory", [1, 10])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_wolfe_conditions_hold_where_they_are_claimed(memory, table, engine):
    network = Network(table.sizes, table.activations)
    objective = Objective(network, table.loss, table.X, table.T)
    objective.engine = engine(objective.network, objective.loss)
    method, claimed = LBFGS(memory, preconditioned=False), 0
    for before, after in pairwise(path(objective, network.initial_weights(0), method, 60)):
        if after.stuck or after.step_length == 0:
            continue
        assert after.slope < 0
        assert after.loss <= before.loss
        if after.wolfe:
            claimed += 1
            asked = -method.search.c1 * after.step_length * after.slope
            assert after.loss <= before.loss - asked or asked <= HIDDEN * abs(before.loss)
            direction = -before.grad if before.restart else _direction(before)
            assert np.array_equal(after.w, before.w + after.step_length * direction)
            assert abs(after.grad @ direction) <= method.search.c2 * abs(after.slope)
    assert claimed >= 3


def test_after_the_first_search_the_step_1_is_tried_first(surface):
    states = path(surface, surface.start, LBFGS(), 40)
    assert sum(s.step_length == 1.0 for s in states) > 0.5 * len(states)


class Slide:
    """A slope without end: the gradient never changes, so no pair has curvature."""

    @staticmethod
    def value_grad(w):
        return -float(w.sum()), -np.ones_like(w)


def test_pairs_without_curvature_are_left_out():
    states = path(Slide, np.zeros(2), LBFGS(search=StrongWolfe(c2=0.9, max_trials=3)), 3)
    assert [s.skipped for s in states] == [0, 1, 2, 3]
    assert not any(s.A.any() or s.Y.any() for s in states)
    assert all(s.restart == "start" for s in states)


class Island:
    """Finite at one point alone."""

    def __init__(self, at):
        self.at = at

    def value_grad(self, w):
        factor = 1.0 if np.array_equal(w, self.at) else float("nan")
        return factor * float(w @ w), factor * 2 * w


def test_a_search_in_vain_forgets_the_pairs_and_then_is_stuck():
    method = LBFGS(4)
    before = path(QUADRATIC, QUADRATIC.start + 1.0, method, 3)[-1]
    assert before.restart == ""
    assert before.A.any()
    after = method.step(Island(before.w), before)
    assert after.restart == "the search found nothing"
    assert np.array_equal(after.w, before.w)
    assert not (after.A.any() or after.Y.any() or after.stuck)
    last = method.step(Island(before.w), after)
    assert last.stuck == "the line search found no lower point along the negative gradient"


def test_at_a_minimum_it_says_so():
    at = QUADRATIC._replace(start=QUADRATIC.minimum)
    assert path(at, at.start, LBFGS(), 1)[-1].stuck == "the gradient is zero"


def test_a_direction_that_climbs_for_rounding_is_not_searched():
    before = path(QUADRATIC, QUADRATIC.start, LBFGS(4), 3)[-1]
    after = LBFGS(4).step(QUADRATIC, before._replace(gamma=-1e9))
    assert after.restart == "the direction would not descend"
    assert np.array_equal(after.w, before.w)
    assert not (after.A.any() or after.Y.any() or after.stuck)
    assert LBFGS(4).step(QUADRATIC, after).loss < before.loss


def test_float32_stays_float32(engine):
    network = Network(SINE.sizes, SINE.activations)
    objective = Objective(network, SINE.loss, SINE.X.astype(np.float32), SINE.T)
    objective.engine = engine(objective.network, objective.loss)
    states = path(objective, network.initial_weights(0), LBFGS(), 60)
    assert all(array.dtype == np.float32 for array in states[-1] if isinstance(array, np.ndarray))
    assert states[-1].loss < 0.01 * states[0].loss
