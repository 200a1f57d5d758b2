"""The same array engine on torch's CPU tensors: the same text, the same numbers."""

import numpy as np
import pytest

from checks import (
    assert_within,
    gauss_newton_bound,
    gradient_bound,
    make_case,
    reference_gauss_newton,
    reference_gradient,
    reference_loss,
    value_bound,
)
from deltarule import Network, Objective, train
from deltarule.engines import Rows, Update
from deltarule.engines.array import ArrayEngine
from deltarule.losses import LOSSES
from deltarule.methods import LBFGS, ConjugateGradient, GradientDescent, Online, Rprop, ScaledConjugateGradient, rules
from deltarule.methods.rprop import VARIANTS
from deltarule.stopping import MaxSteps

torch = pytest.importorskip("torch")


def as_tensors(case):
    return torch.asarray(case.w), Rows(*(None if A is None else torch.asarray(A) for A in case.rows))


def test_every_pair(pair):
    case = make_case(*pair, n=3, weighted=True)
    w, rows = as_tensors(case)
    engine = ArrayEngine(case.network, case.loss)
    value, grad = engine.value_grad(w, rows)
    assert isinstance(value, float)
    assert isinstance(grad, torch.Tensor)
    assert_within(value, reference_loss(case), value_bound(case), "loss")
    assert_within(grad, reference_gradient(case), gradient_bound(case), "gradient")
    outputs = engine.predict(w, rows.X)
    assert_within(
        outputs, engine.predict(case.w, case.rows.X), case.roundings() * 2.3e-16 * (1 + outputs.abs().numpy()), ""
    )
    if LOSSES[pair[1]].curvature is None:
        return
    H, bound = engine.gauss_newton(w, rows)[2], gauss_newton_bound(case)
    product = engine.gauss_newton_product(w, rows, grad)
    exact = reference_gauss_newton(case)
    assert_within(H, exact, bound, "Gauss-Newton matrix")
    assert_within(product, exact @ grad.numpy(), bound @ grad.abs().numpy(), "product")


def test_saturation_keeps_its_accuracy(activation):
    if activation.couples:
        return
    e = np.array([-700.0, -40.0, -20.0, -1.0, 0.5, 20.0, 40.0])
    y = activation.f(np, e)
    tensor = torch.asarray(e)
    import array_api_compat.torch as xp

    # the same formula: exp and its kin may differ by a rounding or two, magnified by e in an exponential
    allowed = 16 * np.finfo(float).eps * (1 + np.abs(e))
    ty = activation.f(xp, tensor)
    assert_within(ty, y, allowed * np.abs(y), activation.name)
    slope = activation.df(np, e, y)
    assert_within(activation.df(xp, tensor, ty), slope, allowed * np.abs(slope), activation.name)


def test_every_rule(rule):
    case = make_case("logistic", n=5)
    w, rows = as_tensors(case)
    engine, made = ArrayEngine(case.network, case.loss), rules.get(rule)
    order = np.array([3, 1, 4, 0, 2])
    update = Update(made, 0.05, 2, 0.1)
    expected, _, count, total = engine.epoch(case.w, np.zeros((made.n_memory, 17)), 0, case.rows, order, update)
    memory = torch.zeros((made.n_memory, 17), dtype=torch.float64)
    moved, _, tcount, ttotal = engine.epoch(w, memory, 0, rows, torch.asarray(order), update)
    # two computations within the bound of test_engines of the same loops; three updates of 0.05 · gradient
    allowed = 3 * case.roundings() * np.finfo(float).eps
    assert tcount == count == 3
    assert np.all(np.abs(moved.numpy() - expected) <= allowed * (1 + np.abs(expected)))
    assert ttotal == pytest.approx(total, rel=allowed)
    assert np.array_equal(w.numpy(), case.w)


FIRST_ORDER = [
    Online(0.05), GradientDescent(0.1), ConjugateGradient(), ConjugateGradient("polak_ribiere"),
    ScaledConjugateGradient(), LBFGS(), LBFGS(memory=1),
    *(Rprop(variant, first_step=(0.05, 0.1)) for variant in VARIANTS),
]  # fmt: skip


@pytest.mark.parametrize("method", FIRST_ORDER, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_method_trains_tensors(method, dtype):
    case = make_case(n=20, weighted=True)
    X, T, s = (torch.asarray(A).to(dtype) for A in case.rows)
    objective = Objective(case.network, case.loss, X, T, s, l2=0.01)
    result = train(objective, case.w, method, [MaxSteps(10)])
    assert result.w.dtype == dtype
    assert isinstance(result.loss, float)
    assert result.loss < result.history[0].loss
    assert objective.value(result.w) == pytest.approx(objective.value_grad(result.w)[0], rel=1e-6)


def test_the_door_checks_tensors_too():
    case = make_case()
    X = torch.asarray(case.rows.X).clone()
    X[2, 1] = float("nan")
    with pytest.raises(ValueError, match=r"X\[2, 1\] is nan, not a finite number"):
        Objective(case.network, case.loss, X, torch.asarray(case.rows.T))


def test_divergence_is_named_for_tensors():
    case = make_case("identity", n=8)
    objective = Objective(case.network, case.loss, *(100 * torch.asarray(A) for A in case.rows[:2]))
    result = train(objective, case.w, Online(10.0), [MaxSteps(500)])
    assert "in epoch 1" in result.message
    assert np.array_equal(result.w.numpy(), case.w)


@pytest.mark.parametrize("method", ["levenberg_marquardt", "trainlm", "bayesian_regularization", "newton_cg"])
def test_second_order_methods_take_the_same_steps(method):
    X = np.linspace(-1, 1, 41)[:, None]
    T = np.hstack([np.sin(np.pi * X), np.cos(X) + 0.1 * np.sin(40 * X)])
    network = Network((1, 5, 2))
    ends = [
        train(Objective(network, "squared_error", *rows), network.initial_weights(0), method, [MaxSteps(6)])
        for rows in ((X, T), (torch.asarray(X), torch.asarray(T)))
    ]
    assert isinstance(ends[1].w, torch.Tensor)
    assert ends[1].loss == pytest.approx(ends[0].loss, rel=1e-6)
