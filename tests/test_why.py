"""Why multiply by the derivative: on XOR and on two real tables the facts are as stated; the command says the same."""

import json
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from commandline import done, refused
from deltarule import cli
from deltarule.commands.explain import explain as explain_command
from deltarule.commands.why import why as why_command
from deltarule.errors import SettingError, TableError
from deltarule.explain import facts_further, lesson, odds, whys
from deltarule.explain.collapse import one_matrix
from deltarule.explain.whys import why
from deltarule.network import Network
from deltarule.objective import Objective, predict
from mixtures import homes, write

XOR = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "y": [0, 1, 1, 0]}

for command in (why_command, explain_command):
    if command.name not in cli.deltarule.commands:
        cli.deltarule.add_command(command)


def table(name):
    if name == "xor":
        return XOR, "y"
    data = {"iris": load_iris, "diabetes": load_diabetes}[name]()
    target = data.target if name == "diabetes" else data.target_names[data.target].astype(object)
    return {**dict(zip(data.feature_names, data.data.T, strict=True)), "target": target}, "target"


@cache
def asked(name):
    """Ask once for all tests of a table; the real ones with fewer runs."""
    few = {} if name == "xor" else {"seeds": 6, "rates": [0.5], "epochs": 20 if name == "iris" else 8}
    return why(*table(name), **few)


def fact(name, number):
    return next(one for one in asked(name).facts if one.number == number)


@pytest.mark.parametrize("name", ["xor", "iris", "diabetes"])
def test_all_facts_are_as_stated(name):
    found = asked(name)
    assert [one.number for one in found.facts] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.holds for one in found.facts] == [True] * 7, [one.here for one in found.facts if not one.holds]


@pytest.mark.parametrize("name", ["xor", "iris", "diabetes"])
def test_fact_1_no_weight_is_turned_round(name):
    numbers = fact(name, 1).numbers
    assert numbers["cases"] >= 160 and numbers["cases_reversed"] == 0 and numbers["weights_reversed"] == 0.0
    assert numbers["uphill"] == 0 and numbers["largest_angle"] < 90


@pytest.mark.parametrize("name", ["xor", "iris", "diabetes"])
def test_fact_2_elsewhere_weights_are_turned_round(name):
    situations = fact(name, 2).numbers["situations"]
    assert len(situations) == 4
    assert all(one["large"]["weights_reversed"] > 0.02 for one in situations.values())
    assert any(one["large"]["uphill"] > 0 for one in situations.values())


@pytest.mark.parametrize("name", ["xor", "iris", "diabetes"])
def test_fact_3_it_is_the_gradient_of_cross_entropy(name):
    assert all(value <= 1e-7 for value in fact(name, 3).numbers["relative_difference"].values())


def test_fact_4_xor_is_never_solved_without_the_derivative_in_the_hidden_layer():
    trained = asked("xor").trained
    for rate in (0.1, 0.5, 2.0):
        assert trained.of("omit_hidden", rate).solved == 0 and trained.of("omit_hidden", rate).runs == 20
    assert trained.of("gradient", 0.5).solved >= 15
    turning = fact("xor", 4).numbers["asymmetry"]
    assert turning["gradient"] < 1e-7 < 1e-2 < turning["omit_hidden"]


def test_each_row_has_its_angle():
    for name, rows in (("xor", 4), ("iris", 150), ("diabetes", 442)):
        found = asked(name).rows
        assert [one.row for one in found] == list(range(1, rows + 1))
        angles = np.array([(one.angle_start, one.angle_trained) for one in found])
        assert np.all((angles > 0) & (angles < 180))
        one_output = name != "iris"
        assert all((one.reversed_start == one.reversed_trained == 0) for one in found) == one_output
        assert all(a < 90 for a in angles.ravel()) or not one_output  # fact 1: one row, one output, one hidden layer
    lessons = lesson.of(XOR, "y", query=None, inputs=None, exclude=(), task=None, hidden=None, activation="logistic",
                        seed=0)  # fmt: skip
    trained = asked("xor").trained
    w, row = trained.course.starts[0], asked("xor").rows[2]
    network = lessons.network()
    true = -Objective(network, "squared_error", lessons.X[2:3], lessons.T[2:3]).value_grad(w)[1]
    layers = list(network.layers(w))
    y = 1 / (1 + np.exp(-(layers[0][0] @ lessons.X[2] + layers[0][1])))
    delta = lessons.T[2] - 1 / (1 + np.exp(-(layers[1][0] @ y + layers[1][1])))
    back = delta @ layers[1][0]
    careless = np.concatenate([np.outer(back, lessons.X[2]).ravel(), back, delta * y, delta])
    cosine = true @ careless / np.linalg.norm(true) / np.linalg.norm(careless)
    assert row.angle_start == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-9)


def test_a_solved_xor_has_all_rows_on_their_side():
    trained = asked("xor").trained
    outputs = trained.course.outputs(trained.runs["gradient"].w)
    solved = ((outputs > 0.5) == (trained.course.T > 0.5)).all(axis=(1, 2)).reshape(3, 20).sum(axis=1)
    assert solved.tolist() == [trained.of("gradient", rate).solved for rate in (0.1, 0.5, 2.0)]


def test_fact_5_the_level_point_is_level():
    for name in ("xor", "iris", "diabetes"):
        level = fact(name, 5).numbers["level"]
        assert level["gradient"] < 1e-9 and level["hidden_slope"] == 0.25
    assert fact("xor", 5).numbers["level"]["kind"] == "plateau"
    assert fact("diabetes", 5).numbers["level"]["kind"] == "saddle"


def test_curvature_tells_minimum_saddle_and_maximum_apart():
    line = Objective(Network((1, 1), "identity"), "squared_error", [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    kind, lowest, highest = facts_further.curvature(line, np.array([2.0, 1.0]))
    assert kind == "minimum" and 0 < lowest < highest
    exact = np.linalg.eigvalsh([[5 / 3, 1.0], [1.0, 1.0]])
    assert np.allclose([lowest, highest], exact, rtol=1e-6)


def test_fact_6_the_copied_rule():
    for name in ("xor", "iris", "diabetes"):
        numbers = fact(name, 6).numbers
        assert numbers["ratio_spread"] < 1e-9 and set(numbers["median_loss"]) == {
            "constant",
            "start_large",
            "start_small",
        }


@pytest.mark.parametrize("name", ["xor", "iris", "diabetes"])
def test_identity_layers_are_one_matrix(name):
    found = asked(name).collapse
    assert found.largest_difference <= found.rounding < 1e-10
    assert found.line_loss <= found.layers_loss + 1e-12 and found.layers_loss < 1.05 * found.line_loss
    assert found.bent_loss < found.line_loss
    if name == "xor":
        assert found.line_mistakes == 0.5 and found.line_loss == pytest.approx(0.125) and found.bent_mistakes == 0


def test_one_matrix_of_random_layers():
    network = Network((3, 4, 5, 2), ["identity"] * 3)
    w, X = network.initial_weights(1), np.random.default_rng(0).normal(size=(6, 3))
    W, b = one_matrix(network, w)
    assert np.allclose(predict(network, w, X), X @ W.T + b, rtol=1e-12)


def test_the_json_has_its_documented_keys():
    found = json.loads(json.dumps(asked("xor").to_dict(), allow_nan=False))
    assert list(found) == ["about", "directions", "rows", "odds", "goal", "curves", "collapse", "facts", "notes"]
    assert all(key in whys.__doc__ for key in found)
    assert len(found["curves"]["rules"]) == 18
    assert all(len(one["median_loss"]) == len(found["curves"]["epochs"]) for one in found["curves"]["rules"])
    assert all(
        key in whys.__doc__
        for part in ("directions", "rows", "odds", "facts")
        for key in found[part][0]
        if key != "rule"
    )


def test_text_frame_and_picture():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    found = asked("xor")
    text = str(found)
    assert (
        text.index("Directions")
        < text.index("Runs that succeeded")
        < text.index("one matrix")
        < text.index("7. Online")
    )
    assert text.count("Here (as stated)") == 7 and max(map(len, text.splitlines())) <= 100
    assert len(found.frame()) == len(found.directions)
    axes = found.plot()
    assert [ax.get_title() for ax in axes] == ["η 0.1", "η 0.5", "η 2"]
    assert "omit_hidden: 0 of 20" in [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert "<table>" in found._repr_html_()
    plt.close("all")


def test_tables_of_all_kinds_are_taken():
    quick = {"seeds": 2, "rates": [0.5], "epochs": 2}
    found = why(homes(), "price", **quick)
    assert found.about["task"] == "regression" and any("scaled" in note for note in found.notes)
    many = why(homes(700), ["garden"], **quick)
    assert many.about["rows"] == lesson.MOST_ROWS and any("drawn at random" in note for note in many.notes)
    two = why({"x": np.arange(20.0), "p": np.arange(20) % 2, "q": np.arange(20) > 9}, ["p", "q"], **quick)
    assert two.about["task"] == "multilabel" and two.about["sizes"][-1] == 2
    bent = why(XOR, "y", activation="sine", online=False, **quick)
    assert bent.facts[0].holds is None and "falls somewhere" in bent.facts[0].here
    diverged = why(XOR, "y", activation="exponential", seeds=2, rates=[1e300], epochs=3)
    json.dumps(diverged.to_dict(), allow_nan=False)
    str(diverged)


def test_runs_are_budgeted():
    assert [odds.epochs_for(n) for n in (1, 4, 150, 500, 10**6)] == [2000, 2000, 53, 16, 5]


def test_what_is_refused():
    for wrong, words in (
        ({"seeds": 0}, "seeds was 0"), ({"epochs": True}, "epochs"), ({"rates": [0.5, 0.5]}, "each of them once"),
        ({"hidden": ()}, "at least one width"), ({"init": "zeros"}, "initialization"),
        ({"activation": "x"}, "activation"),
    ):  # fmt: skip
        with pytest.raises(SettingError, match=words):
            why(XOR, "y", **wrong)
    with pytest.raises(TableError, match="no column"):
        why(XOR, "z")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "xor.csv", XOR)
    write(tmp_path / "homes.csv", homes())
    return tmp_path


def test_the_command_says_what_python_says(folder):
    typed = ("why", "xor.csv", "-t", "y", "--rates", "0.5", "--seeds", 2, "--epochs", 20)
    found = done(*typed, "--json", "--picture", "why.png").json
    expected = why("xor.csv", "y", rates=[0.5], seeds=2, epochs=20).to_dict()
    assert found == json.loads(json.dumps(expected))
    assert (folder / "why.png").read_bytes().startswith(b"\x89PNG")
    text = done(*typed).out
    assert "7. Online" in text and "1 row, 2 layers, 2 outputs" in text


def test_the_command_refuses(folder):
    assert "no column 'z'" in refused("why", "xor.csv", "-t", "z")
    assert "--rates was '0,x'" in refused("why", "xor.csv", "-t", "y", "--rates", "0,x")
    assert "--picture was 'a.txt'" in refused("why", "xor.csv", "-t", "y", "--picture", "a.txt")


def test_explain_as_a_command(folder):
    done(
        "train", "homes.csv", "-t", "price", "--epochs", 3, "--l2", 0.01, "--hidden", 3, "-o", "m.deltarule", "--quiet"
    )
    typed = ("explain", "m.deltarule", "homes.csv")
    found = done(*typed, "--row", 3, "--json", "--picture", "e.svg").json
    assert found["rows"] == ["row 3 of homes.csv"] and found["method"] == "online"
    assert found["error"] <= found["bound"]
    assert "<svg" in (folder / "e.svg").read_text()
    told = done(*typed, "--row", 3, "-w", "hidden1[2] <- area").out
    assert "hidden1[2] <- area" in told and "by output[price]" in told
    several = done(*typed, "-m", "cg", "-w", "hidden1[0]").out
    assert "|Σ|/Σ| |" in several and "hidden1[0] <- area" in several
    rated = done(*typed, "-r", 1, "-r", 2, "--set", "learning_rate=0.5", "--json").json
    assert rated["settings"]["learning rate"] == 0.5 and len(rated["rows"]) == 2
    ground = done(*typed, "-w", "hidden1[2] <- area", "-w", "hidden1[0] <- bias", "--surface", "s.png", "--json").json
    assert ground["surface"]["plane"]["labels"] == ["hidden1[2] <- area", "hidden1[0] <- bias"]
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "conjugate_gradient" in done(*typed, "--surface", "g.png").out.partition("−g, downhill")[2]
    assert "--weight names 11" in refused(*typed, "--surface", "s.png", "-w", "hidden1[0]")
    assert "--surface was 's.txt'" in refused(*typed, "--surface", "s.txt")
    assert "rows 1 to 160" in refused(*typed, "--row", 0)
    assert "Did you mean" in refused(*typed, "--row", 1, "-w", "hiden1[0]")
    assert "Unknown method" in refused(*typed, "-m", "magic")
