"""`check.rule` says which rule a gradient function follows: mistakes planted in code of another make than its own."""

import numpy as np
import pytest

from deltarule import InputError, Network, Objective, SettingError, losses
from deltarule.explain import check
from deltarule.explain.check_mistakes import Rule, rules


def logistic(e):
    return 1 / (1 + np.exp(-e))


def slope(e):
    return logistic(e) * (1 - logistic(e))


def mine(layers, X, T, plant="", l2=0.0):
    """Backpropagation row by row, as people write it, with a mistake to plant."""
    found = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    rows = list(zip(X, T, strict=True))
    for x, t in rows[-1:] if plant == "last row" else rows:
        e, y = [], [x]
        for W, b in layers:
            e.append(W @ y[-1] + b)
            y.append(logistic(e[-1]))
        delta = t - y[-1]
        if plant == "sign of the error":
            delta = np.sign(delta)
        for i in range(len(layers) - 1, -1, -1):
            hidden = i < len(layers) - 1
            f = slope(e[i])
            if (
                plant == "no slope"
                or (plant == "no hidden slope" and hidden)
                or (plant == "no slope out" and not hidden)
            ):
                f = np.ones_like(f)
            if plant == "slope at y":
                f = slope(y[i + 1])
            if plant == "offset":
                f = f + 0.1
            local = delta * f
            came = y[i]
            if plant == "own output":
                came = y[i + 1]
            if plant == "layer below":
                came = y[max(i - 1, 0)]
            if plant == "before activation" and i:
                came = e[i - 1]
            found[i][0][:] -= np.outer(local, came)
            if plant != "no biases":
                found[i][1][:] -= delta if plant == "bias without slope" else local
            back = delta if plant == "agh" else local
            W = layers[i][0]
            if plant == "transposed":
                delta = W @ back
            elif plant == "own weights" and i:
                delta = layers[i - 1][0].T @ back
            elif plant == "no weights":
                delta = np.full(W.shape[1], back.sum())
            else:
                delta = W.T @ back
    n = 1 if plant in ("sum", "last row") else len(X)
    factor = {"flipped": -1.0, "twice": 2.0, "half": 0.5, "mean twice": 1 / n}.get(plant, 1.0)
    penalty = {"penalty forgotten": 0.0, "penalty double": 2.0}.get(plant, 1.0) * l2
    on_bias = penalty if plant == "penalty on biases" else 0.0
    return [
        (factor * dW / n + penalty * W, factor * db / n + on_bias * b)
        for (dW, db), (W, b) in zip(found, layers, strict=True)
    ]


PLANTED = {
    "no hidden slope": "slopes:omit_hidden", "no slope out": "slopes:omit_output", "no slope": "slopes:omit",
    "slope at y": "slopes:at_y", "agh": "slopes:agh", "offset": "slopes:offset", "own output": "inputs:own",
    "layer below": "inputs:below", "before activation": "inputs:received", "transposed": "back:transposed",
    "own weights": "back:own", "no weights": "back:unweighted", "no biases": "biases:forgotten",
    "bias without slope": "biases:without_slope", "last row": "rows:last", "sign of the error": "error:sign",
    "sum": "factor:sum", "flipped": "factor:sign", "twice": "factor:2", "half": "factor:half",
    "mean twice": "factor:1/rows",
}  # fmt: skip
PENALTIES = {
    "penalty forgotten": "penalty:forgotten", "penalty double": "penalty:double",
    "penalty on biases": "penalty:on_biases",
}  # fmt: skip


def test_the_gradient_is_known_as_such():
    found = check.rule(mine)
    assert found.right and found.names == () and found.factor == pytest.approx(1, abs=1e-12)
    assert found.cosine == pytest.approx(1) and found.wrong_way == 0 and all(found.layers.values())
    assert str(found) == "This is the gradient of the mean loss."


@pytest.mark.parametrize("plant", PLANTED)
def test_each_planted_mistake_is_named(plant):
    found = check.rule(lambda layers, X, T: mine(layers, X, T, plant))
    assert found.names == (PLANTED[plant],), found
    assert found.mistakes and found.right == (plant == "sum")


@pytest.mark.parametrize("plant", [*PENALTIES, "sum", "no hidden slope", ""])
def test_mistakes_with_a_penalty(plant):
    found = check.rule(lambda layers, X, T: mine(layers, X, T, plant, l2=0.2), l2=0.2)
    wanted = (PENALTIES | PLANTED).get(plant)
    assert found.names == ((wanted,) if wanted else ()), found


def test_two_mistakes_are_both_named():
    def twice_wrong(layers, X, T):
        return [(7 * dW, 0 * db) for dW, db in mine(layers, X, T, "no hidden slope")]

    assert set(check.rule(twice_wrong).names) == {"slopes:omit_hidden", "biases:forgotten", "factor:sum"}


def test_every_single_mistake_is_told_from_every_other():
    """Each known rule, given as the function, is found again, on networks with hidden layers of one width."""
    from deltarule.explain.check_rule import L2, _draw

    network = Network((3, 3, 3, 3), ("logistic",) * 3)
    for wanted in rules(1):
        setting = _draw(network, losses.get("squared_error"), L2, [1, 1])
        by_rule = {rule: setting.gradient(rule) for rule in rules(1)}
        mine_made = np.add(*by_rule[wanted])
        for rule, parts in by_rule.items():
            made = np.add(*parts)
            cosine = made @ mine_made / np.linalg.norm(made) / np.linalg.norm(mine_made)
            assert rule == wanted or cosine < 1 - 1e-6, (rule.names, wanted.names)


def test_the_packages_own_gradient_passes_for_other_networks():
    for network, loss in [
        (Network((4, 5, 3), "relu"), "squared_error"),
        (Network((2, 3, 1), ("gelu", "logistic")), "binary_cross_entropy"),
        (Network((4, 4, 3), ("tanh", "softmax")), "cross_entropy"),
    ]:

        def flat(w, X, T, network=network, loss=loss):
            return Objective(network, loss, X, T).value_grad(w)[1]

        assert check.rule(flat, network=network, loss=loss, flat=True).names == ()


def test_single_precision_is_enough():
    def single(layers, X, T):
        return [(dW.astype(np.float32), db.astype(np.float32)) for dW, db in mine(layers, X, T, "agh")]

    assert check.rule(single).names == ("slopes:agh",)


def test_what_is_not_known_says_which_layer_is_right():
    def spoilt(layers, X, T):
        found = mine(layers, X, T)
        return [(found[0][0] + 0.1 * X.sum(), found[0][1]), *found[1:]]

    found = check.rule(spoilt)
    assert found.rule is None and not found.right and found.mistakes == ()
    assert found.layers == {"hidden1": False, "hidden2": True, "output": True}
    assert "nor any mistake that is known" in str(found) and "hidden2, output" in str(found)


def test_as_json():
    made = check.rule(lambda layers, X, T: mine(layers, X, T, "agh")).to_dict()
    assert made["known"] and not made["right"] and made["names"] == ["slopes:agh"] and 0 < made["wrong_way"] < 1


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (3, SettingError, "give one that is called as function"),
        (lambda w: w, SettingError, "failed when called with"),
        (lambda layers, X, T: 3, InputError, "return a list of"),
        (lambda layers, X, T: [(W.T[:1], b) for W, b in layers], InputError, "shapes"),
        (lambda layers, X, T: np.full(36, np.nan), InputError, "36 finite numbers are needed"),
    ],
)
def test_what_cannot_be_checked_is_refused(function, error, words):
    with pytest.raises(error, match=words):
        check.rule(function)


def test_words_for_every_choice():
    for rule in rules(1):
        assert len(rule.mistakes) == len(rule.names) == (rule != Rule())
