"""The loop: records, reasons, the best weights, and divergence caught at the step it happens and named."""

from itertools import islice
from math import isfinite, nan

import numpy as np
import pytest

from deltarule import Network, Objective, methods, steps, train
from deltarule.errors import InputError, SettingError
from deltarule.methods import ConjugateGradient, GradientDescent, Online
from deltarule.stopping import Goal, MaxFail, MaxPasses, MaxSteps, MinGrad, Reason, Stalled
from problems import LINE, SINE, XOR, rosenbrock


def objective_of(table, rows=slice(None), **settings):
    return Objective(Network(table.sizes, table.activations), table.loss, table.X[rows], table.T[rows], **settings)


@pytest.fixture
def sine():
    return objective_of(SINE)


@pytest.fixture
def w(sine):
    return sine.network.initial_weights(0)


def test_records_say_what_happened(sine, w):
    result = train(sine, w, GradientDescent(0.1), [MaxSteps(5)])
    states = list(islice(steps(sine, w, GradientDescent(0.1)), 6))
    assert [r.step for r in result.history] == list(range(6))
    assert [r.loss for r in result.history] == [s.loss for s in states]
    assert [r.passes for r in result.history] == [1, 2, 3, 4, 5, 6]
    assert [r.gradient_size for r in result.history] == pytest.approx([np.linalg.norm(s.grad) for s in states])
    assert all(r.validation_loss is None for r in result.history)
    seconds = [r.seconds for r in result.history]
    assert seconds == sorted(seconds)
    assert np.array_equal(result.w, states[-1].w)
    assert (result.step, result.loss) == (5, states[-1].loss)


@pytest.mark.parametrize(
    "method",
    [ConjugateGradient(preconditioned=False), "online", Online(rows_per_step=10), GradientDescent(9.0, adaptive=True)],
)
def test_passes_count_every_evaluation_over_the_rows(sine, w, method):
    counted = {"rows": 0}

    class Watched:
        """An engine that counts the rows it sees."""

        def __init__(self, engine):
            self.engine = engine

        def working(self):
            return self.engine.working()

        def __getattr__(self, name):
            def call(w, *given):
                counted["rows"] += len(given[3]) if name == "epoch" else len(given[0].X)
                return getattr(self.engine, name)(w, *given)

            return call

    objective = objective_of(SINE, engine=Watched(sine.engine))
    result = train(objective, w, method, [MaxSteps(12)])
    assert result.history[-1].passes == pytest.approx(counted["rows"] / 25, rel=1e-14)
    assert result.history[0].passes == 1


def test_validation_rows_are_not_counted_and_carry_no_penalty(sine, w):
    validation = objective_of(SINE, slice(0, 9))
    result = train(objective_of(SINE, l2=0.1), w, GradientDescent(0.1), [MaxSteps(3)], validation)
    assert result.history[-1].passes == 4
    assert result.history[0].validation_loss == validation.value(w)


def test_the_best_weights_on_the_validation_rows_come_back():
    rng = np.random.default_rng(0)
    X, noise = np.linspace(-1, 1, 12)[:, None], rng.normal(size=(12, 1))
    network = Network((1, 12, 1))
    objective = Objective(network, "squared_error", X, noise)
    validation = Objective(network, "squared_error", X + 0.05, -0.2 * noise)
    result = train(objective, network.initial_weights(0), "cg", [MaxSteps(60)], validation)
    losses = [r.validation_loss for r in result.history]
    assert result.step == int(np.argmin(losses))
    assert 0 <= result.step < 60
    assert validation.value(result.w) == min(losses)
    assert result.loss == result.history[result.step].loss == objective.value_grad(result.w)[0]
    assert result.history[-1].best_step == result.step
    assert result.history[-1].fails == 60 - result.step
    stopped = train(objective, network.initial_weights(0), "cg", [MaxFail(4), MaxSteps(60)], validation)
    assert stopped.reason is Reason.VALIDATION
    assert stopped.history[-1].fails == 4
    assert np.array_equal(stopped.w, train(objective, network.initial_weights(0), "cg", [MaxFail(4)], validation).w)


def test_a_validation_loss_that_is_no_number_at_first_does_not_win(sine, w):
    class Odd:
        """Not a number at the start, then falling."""

        network = sine.network
        calls = 0

        def value(self, w):
            self.calls += 1
            return nan if self.calls == 1 else 1.0 / self.calls

    result = train(sine, w, "cg", [MaxSteps(3)], Odd())
    assert result.step == 3


def test_a_rising_loss_is_neither_stalled_nor_converged(sine, w):
    result = train(sine, w, GradientDescent(3.0), [Stalled(1e-7, 3), MaxSteps(6)])
    assert result.history[-1].loss > result.history[0].loss
    assert result.reason is Reason.MAX_STEPS and not result.converged


def test_a_validation_objective_of_another_network_is_refused(sine, w):
    other = Objective(Network((1, 2, 1)), "squared_error", SINE.X, SINE.T)
    with pytest.raises(SettingError, match="another network"):
        train(sine, w, "cg", [MaxSteps(3)], other)
    for wrong in (SINE.X, "validation", (SINE.X, SINE.T)):
        with pytest.raises(SettingError, match=r"validation was of type \w+; give an Objective"):
            train(sine, w, "cg", [MaxSteps(3)], wrong)


def test_weights_of_another_length_are_refused(sine, w):
    with pytest.raises(InputError, match="w has shape"):
        sine.value_grad(np.append(w, 1.0))


def test_an_interrupt_is_raised_or_keeps_the_result_so_far(sine, w):
    def interrupt(record):
        if record.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sine, w, "cg", observe=interrupt)
    result = train(sine, w, "cg", observe=interrupt, interrupt="keep")
    assert result.reason is Reason.INTERRUPTED and len(result.history) == 4


def test_the_loss_of_part_of_an_epoch_is_the_mean_of_the_rows_visited():
    network = Network((1, 1))
    objective = Objective(network, "squared_error", np.zeros((4, 1)), np.ones(4), sample_weight=[3.0, 1.0, 0.0, 0.0])
    stepping = steps(objective, np.zeros(2), Online(1e-300, shuffle=False, rows_per_step=1))
    assert [state.loss for _, state in zip(range(5), stepping, strict=False)] == [0.5] * 5


REASONS = {
    Reason.GOAL: (ConjugateGradient(preconditioned=False), [Goal(0.01)]),
    Reason.MIN_GRAD: (ConjugateGradient(preconditioned=False), [MinGrad(0.01)]),
    Reason.MAX_STEPS: ("cg", [MaxSteps(2)]),
    Reason.STALLED: (GradientDescent(1e-9), [Stalled(1e-3, 3)]),
}


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(sine, w, reason):
    method, stop = REASONS[reason]
    result = train(sine, w, method, [*stop, MaxSteps(500)])
    assert result.reason is reason
    assert result.message == reason.value
    assert result.converged == (reason is not Reason.MAX_STEPS)
    assert all(rule(result.history[:-1]) is None for rule in stop)


def test_one_rule_need_not_be_in_a_list(sine, w):
    result = train(sine, w, "gd", MaxSteps(3))
    assert len(result.history) == 4
    assert len(repr(result)) < 200 and "at step 3 of 3, 16 weights: The step limit was reached." in repr(result)


def test_the_first_rule_that_finds_a_reason_wins(sine, w):
    assert train(sine, w, "cg", [MaxPasses(1), Goal(1e9)]).reason is Reason.MAX_STEPS
    assert train(sine, w, "cg", [Goal(1e9), MaxPasses(1)]).reason is Reason.GOAL


def test_no_further_descent_is_said_with_its_particulars():
    class Bowl:
        def value_grad(self, w):
            return float(w @ w), 2 * w

    result = train(Bowl(), np.array([3.0, 4.0]), "cg", [MaxSteps(50)])
    assert result.reason is Reason.NO_DESCENT
    assert result.message == "No further descent was found: the gradient is zero."
    assert not result.w.any()


def test_the_observer_is_told_each_record_and_can_stop(sine, w):
    seen = []

    def observe(record):
        seen.append(record)
        return record.step == 3

    result = train(sine, w, "cg", observe=observe)
    assert result.reason is Reason.CALLER
    assert seen == result.history
    assert len(seen) == 4
    goes_on = train(sine, w, "cg", [MaxSteps(2)], observe=lambda record: "anything but True")
    assert goes_on.reason is Reason.MAX_STEPS


def test_a_run_goes_on_from_its_state(sine, w):
    whole = train(sine, w, Online(0.05), [MaxSteps(8)])
    first = train(sine, w, Online(0.05), [MaxSteps(3)])
    second = train(sine, None, Online(0.05), [MaxSteps(5)], state=first.state)
    assert np.array_equal(whole.w, second.w)
    assert [r.loss for r in whole.history[3:]] == [r.loss for r in second.history]


@pytest.mark.parametrize("name", methods.METHODS)
def test_a_state_that_is_not_the_methods_own_is_refused(sine, w, name):
    own = train(sine, w, name, [MaxSteps(1)])
    assert train(sine, None, name, [MaxSteps(1)], state=own.state).history
    for other in methods.METHODS:
        if other != name:
            state = train(sine, w, other, [MaxSteps(1)]).state
            words = f"state was a {type(state).__name__}, of {other}; {name} goes on from {type(own.state).__name__}"
            with pytest.raises(SettingError, match=words):
                train(sine, w, name, state=state)
            with pytest.raises(SettingError, match="give these as w and no state"):
                next(steps(sine, w, name, state=state))
    for nothing, kind in ((own, "Result"), (w, "ndarray"), ({}, "dict")):
        with pytest.raises(SettingError, match=f"state was a {kind}; "):
            train(sine, w, name, state=nothing)
    larger = objective_of(SINE._replace(sizes=(1, 9, 1)))
    with pytest.raises(SettingError, match="Give a state of the same network"):
        train(larger, None, name, state=own.state)


def test_a_state_of_another_rule_is_refused(sine, w):
    plain = train(sine, w, Online(), [MaxSteps(1)]).state
    with pytest.raises(SettingError, match="state belongs to another rule than adam, which remembers 2 numbers"):
        train(sine, w, "adam", state=plain)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("factor", [1e3, 1e6])
@pytest.mark.parametrize("method", [Online(0.1), Online(0.1, batch_size=4), GradientDescent(1.0)], ids=str)
def test_a_learning_rate_a_thousand_times_too_large(method, factor, seed):
    """Linear outputs and squared error: the weights explode, the run stops, the last finite ones are kept."""
    network = Network((3, 4, 2), "relu")
    objective = Objective(network, "squared_error", 3 * LINE.X, LINE.T)
    rate = method.learning_rate * factor
    wild = type(method)(
        **{"learning_rate": rate} | ({} if "batch" not in str(method) else {"batch_size": method.batch_size})
    )
    result = train(objective, network.initial_weights(seed), wild, [MaxSteps(3000), Stalled(1e-9, 100)])
    assert np.all(np.isfinite(result.w))
    assert all(isfinite(r.loss) for r in result.history)
    if result.reason is not Reason.NON_FINITE:  # every relu has died at once, and no gradient is left
        assert result.reason is Reason.STALLED
        return
    assert not result.converged
    assert "the weights from before are kept. Try a smaller learning rate" in result.message
    assert np.array_equal(result.w, result.state.w)


def spike(row, n):
    """Return a linear objective of n rows, of which one is so large that training explodes on it."""
    X = np.zeros((n, 1))
    X[row] = 1e150
    return Objective(Network((1, 1)), "squared_error", X, np.zeros(n)), np.array([1e-3, 0.0])


@pytest.mark.parametrize("rows_per_step", [None, 1, 7, 40])
@pytest.mark.parametrize("rate", [1.0, "cosine"])
def test_online_divergence_names_neuron_epoch_and_row_however_the_epoch_is_cut(rate, rows_per_step):
    """The first update with the row makes w 10²⁹⁷, with which the next epoch overflows at that row."""
    objective, w = spike(613, 1000)
    method = Online(rate, seed=5, rows_per_step=rows_per_step)
    result = train(objective, w, method, [MaxSteps(2000)])
    assert result.reason is Reason.NON_FINITE
    assert result.message.startswith("The neuron output[0] received -inf for row 613 in epoch 2; the weights from")
    states = islice(steps(objective, w, method), len(result.history))
    assert np.array_equal(result.w, [*states][-1].w)


def test_online_divergence_names_the_weight_and_the_row():
    objective, w = spike(17, 40)
    result = train(objective, w, Online(1e13, shuffle=False), [MaxSteps(9)])
    assert result.message.startswith("The weight output[0] <- input[0] became -inf in epoch 1 at row 17; the weights")
    assert len(result.history) == 1
    assert np.array_equal(result.w, w)


def test_online_divergence_names_the_mini_batch():
    objective, w = spike(6, 12)
    result = train(objective, w, Online(1e13, batch_size=4, shuffle=False), [MaxSteps(9)])
    assert "became -inf in epoch 1 in the mini-batch that begins with row 4;" in result.message
    result = train(objective, w, Online(1.0, batch_size=4, shuffle=False), [MaxSteps(9)])
    assert result.message.startswith("The neuron output[0] received -inf for row 6 in epoch 2;")


def test_a_neuron_that_overflows_is_named():
    """exp(1000) in the second hidden neuron, for the third row."""
    network = Network((1, 2, 1), ("exponential", "identity"))
    objective = Objective(network, "squared_error", [[0.0], [1.0], [1000.0]], [0.0, 0.0, 0.0])
    w = np.array([0.0, 0.0005, 0.0, 0.0, 0.1, 1e-3, 0.0])
    assert isfinite(objective.value(w))
    result = train(objective, w, GradientDescent(1e-300), [MaxSteps(3)])
    assert result.reason is Reason.MAX_STEPS
    # a step that doubles the weight of the second neuron, as a method would make it
    made = Steps([np.array([0.0, 1.0, 0.0, 0.0, 0.1, 1e-3, 0.0])])
    result = train(objective, w, made, [MaxSteps(3)])
    assert result.reason is Reason.NON_FINITE
    assert result.message.startswith("The neuron hidden1[1] put out inf for row 2; the weights from before are kept.")
    assert np.array_equal(result.w, w)


class Steps:
    """A method that goes where it is told."""

    name, needs = "told", ("value_grad",)

    def __init__(self, places):
        self.places = iter(places)

    def start(self, objective, w):
        loss, grad = objective.value_grad(w)
        return methods.gradient_descent.GradientDescentState(w, loss, grad, "", w, 0.0)

    def step(self, objective, state):
        return self.start(objective, next(self.places))


def test_a_gradient_that_is_not_finite_stops_the_run():
    class Edge:
        def value_grad(self, w):
            return 1.0, w * nan

    result = train(Edge(), np.ones(2), "cg")
    assert result.reason is Reason.NON_FINITE
    assert result.history == []


def test_a_start_that_cannot_be_used_is_said():
    network = Network((1, 1), ("exponential",))
    objective = Objective(network, "squared_error", [[1.0]], [0.0])
    result = train(objective, np.array([500.0, 0.0]), "cg")
    assert result.reason is Reason.NON_FINITE
    assert (
        result.message == "At the start the loss cannot be used (loss inf); give smaller weights or rescale the inputs."
    )
    assert not result.converged


def test_validation_restores_the_best_even_after_divergence(sine, w):
    validation = objective_of(SINE, slice(0, 9))
    # the third step is the best, the fourth is too far to be finite
    good = [w + 0.01, w - 0.01, train(sine, w, "cg", [MaxSteps(9)]).w, np.full_like(w, 1e300)]
    result = train(sine, w, Steps(good), validation=validation)
    assert result.reason is Reason.NON_FINITE
    assert np.array_equal(result.w, good[2])
    assert result.step == 3


def test_what_is_wrong_is_refused_before_any_work(sine, w):
    calls = []

    class Silent:
        def value_grad(self, w):
            calls.append(1)
            return 0.0, w

    for stop in (MaxSteps, "max", None, [5]):
        with pytest.raises(SettingError, match="give a list of stop rules such as"):
            train(Silent(), w, "cg", stop)
    with pytest.raises(SettingError, match="Unknown method"):
        train(Silent(), w, "cgg")
    with pytest.raises(SettingError, match="The method online needs value, epoch"):
        train(Silent(), w, "online")
    with pytest.raises(InputError, match="is not finite at the start"):
        train(sine, w * nan)
    assert not calls


def test_default_is_conjugate_gradients_on_any_objective():
    class Surface:
        def value_grad(self, w):
            return rosenbrock(w)

    result = train(Surface(), np.array([-1.2, 1.0]))
    assert result.reason in (Reason.MIN_GRAD, Reason.NO_DESCENT)
    assert np.linalg.norm(result.w - 1) < 1e-5
    assert ConjugateGradient().name in methods.METHODS


def test_overflow_on_the_way_does_not_warn():
    """A search that steps into infinity and back is no news to the user; pytest would raise any warning."""
    objective = Objective(Network((2, 3, 1), ("exponential", "identity")), "squared_error", 500 * XOR.X, XOR.T)
    result = train(objective, objective.network.initial_weights(0) * 0.01, "cg", [MaxSteps(20)])
    assert all(isfinite(r.loss) for r in result.history)
