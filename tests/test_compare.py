"""A race of methods: what is compared, what is drawn and printed, what is refused."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")
import matplotlib.pyplot as plt

import deltarule as dr
from commandline import COMMAND, done, refused, run
from deltarule import cli, comparing, comparison, methods, terminal
from deltarule.comparison import Curve
from deltarule.errors import SettingError, TableError
from deltarule.stopping import Reason
from mixtures import flowers, homes, waves, write

QUICK = {"max_passes": 30, "seeds": 2}
TYPED = ("--max-passes", 30, "--seeds", 2)
LABELS = ["online", "adam", "gradient_descent", "conjugate_gradient"]


@pytest.fixture(scope="module")
def race():
    """A race of several methods, one of which diverges and one of which cannot run."""
    entrants = {label: label for label in LABELS}
    return dr.compare(
        homes(), "price", {**entrants, "wild": methods.Online(learning_rate=1e200), "needy": Needy()}, **QUICK
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "homes.csv", homes())
    write(tmp_path / "flowers.csv", flowers())
    write(tmp_path / "waves.csv", waves())
    return tmp_path


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


class Needy:
    """A method that needs what no objective has."""

    name = "needy"
    needs = ("third_derivative",)

    def start(self, objective, w):
        raise AssertionError("never begun")

    def step(self, objective, state):
        raise AssertionError("never begun")


class Greedy(Needy):
    """A method that needs more memory than there is."""

    name = "greedy"
    needs = ("value",)

    def start(self, objective, w):
        raise MemoryError


def losses(race):
    """The losses of every run, by label and seed."""
    return {
        row.label: [(run.seed, run.loss, run.validation_loss, run.steps, run.curve.losses.tolist()) for run in row.runs]
        for row in race.rows
    }


def test_the_same_seed_gives_the_same_losses_and_another_one_others():
    first, second, other = (dr.compare(homes(), "price", ["online", "cg"], seed=s, **QUICK) for s in (1, 1, 2))
    assert losses(first) == losses(second)
    assert first.goal == second.goal and first["cg"].passes == second["cg"].passes
    assert first["cg"].loss != other["cg"].loss


def test_the_order_of_the_methods_does_not_matter():
    there = dr.compare(homes(), "price", ["online", "adam", "cg"], **QUICK)
    back = dr.compare(homes(), "price", ["cg", "adam", "online"], **QUICK)
    assert losses(there) == losses(back) and there.goal == back.goal
    assert [row.label for row in there.rows] == [row.label for row in reversed(back.rows)]


def test_a_method_reaches_its_own_final_loss(method_name):
    final = dr.compare(waves(), "y", [method_name], seeds=1, max_passes=40)[method_name].loss.median
    row = dr.compare(waves(), "y", [method_name], seeds=1, max_passes=40, goal=final)[method_name]
    assert row.loss.median == final and row.reached == 1 and row.share == 1.0
    assert 1 <= row.passes <= row.runs[0].curve.passes[-1]


def test_all_methods_begin_at_the_same_weights_and_each_start_elsewhere(race):
    begun = [[row_run.curve.losses[0] for row_run in race[label].runs] for label in LABELS]
    assert np.allclose(begun[:-1], begun[0], rtol=1e-12) and begun[0][0] != begun[0][1]
    assert np.all(np.less(begun[-1], begun[0]))  # conjugate gradients solve for the last layer first
    assert [row_run.seed for row_run in race["adam"].runs] == [0, 1]


def test_the_losses_are_those_of_training_by_hand():
    """The race is `train` on the same objective: same rows, weights and limits, the loss taken at the last weights."""
    row = dr.compare(waves(), "y", ["cg"], seeds=1, hidden=4, l2=0.01, max_passes=50)["cg"]
    (from_race,) = row.runs
    steps = from_race.steps
    model = dr.fit(waves(), "y", method="cg", hidden=4, l2=0.01, max_steps=steps, seed=0)
    assert model.history[0].loss == pytest.approx(from_race.curve.losses[0], rel=1e-12)
    found = [record.loss for record in model.history]
    assert np.allclose(from_race.curve.losses[: len(found)], found, rtol=1e-9)


def test_the_last_point_of_a_curve_is_the_loss_of_the_table(race):
    for label in LABELS:
        for of_row in race[label].runs:
            assert of_row.curve.losses[-1] == of_row.loss
            assert np.all(np.diff(of_row.curve.passes) > 0) and np.all(np.diff(of_row.curve.seconds) >= 0)
            assert of_row.curve.passes[-1] >= 30 and len(of_row.curve.passes) == of_row.steps + 1


def test_an_online_method_without_a_penalty_is_judged_by_its_last_weights():
    """With a rate next to 0 the weights stay, so the exact loss is that of the start, and so is the running mean."""
    still = methods.Online(learning_rate=1e-300)
    (of_row,) = dr.compare(waves(), "y", {"still": still}, seeds=1, max_passes=5)["still"].runs
    assert np.allclose(of_row.curve.losses, of_row.loss, rtol=1e-12) and of_row.steps == 4


def test_rows_sum_up_their_runs(race):
    for label in LABELS:
        row = race[label]
        found = sorted(of_row.loss for of_row in row.runs)
        assert row.loss == (sum(found) / 2, found[0], found[1])
        assert row.typical().loss == found[0]
        there = [of_row.curve.reached(race.goal) for of_row in row.runs]
        there = [at for at in there if at is not None]
        assert row.reached == len(there) and row.share == len(there) / 2
        if there:
            assert row.passes == np.median([passes for passes, _ in there])
            assert row.seconds == np.median([seconds for _, seconds in there])
        assert row.ended == {"passes used up": 2}


def test_what_is_slow_the_first_time_is_nobodys_time():
    """SciPy has loaded before the first run begins, though that one has no use for it."""
    code = """
import sys, numpy as np, deltarule as dr
x, seen = np.linspace(-1, 1, 40), []
told = lambda lap: seen.append("scipy.linalg.lapack" in sys.modules)
dr.compare({"x": x, "y": x}, "y", ["gd", "lm"], seeds=1, max_passes=3, hidden=2, observe=told)
assert seen and all(seen)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_goal_of_a_race_is_what_most_reach(race):
    finals = sorted(race[label].loss.median for label in LABELS)
    assert race.goal == pytest.approx(1.05 * finals[2], rel=0.005)
    assert sum(race[label].reached > 0 for label in LABELS) >= 3
    assert race.goal_from.startswith("about 1.05 times")
    given = dr.compare(waves(), "y", ["cg"], goal=0.1, **QUICK)
    assert (given.goal, given.goal_from) == (0.1, "given")


def test_a_goal_below_all_losses_is_reached_by_none_and_one_above_at_once():
    row = dr.compare(waves(), "y", ["cg"], goal=0, **QUICK)["cg"]
    assert (row.reached, row.passes, row.seconds) == (0, None, None)
    row = dr.compare(waves(), "y", ["cg"], goal=1e9, **QUICK)["cg"]
    assert (row.reached, row.passes) == (2, 3)  # the start's loss and gradient, its last layer and its preconditioner


def test_what_diverges_or_cannot_run_is_a_row_with_its_reason(race):
    wild, needy = race["wild"], race["needy"]
    assert wild.ended == {"diverged": 2} and wild.loss.median == np.inf and wild.reached == 0
    assert "smaller learning rate" in wild.runs[0].message and wild.runs[0].reason is Reason.NON_FINITE
    assert needy.ended == {"could not run": 2} and needy.runs[0].steps == 0 and needy.runs[0].reason is None
    assert "needs third_derivative" in needy.runs[0].message
    assert "wild: The loss became" in str(race) and "needy: The method needy needs" in str(race)
    assert str(race).count("needy: ") == 1


def test_where_no_method_can_run_there_is_no_goal():
    assert dr.compare(waves(), "y", ["cg"], seeds=1, max_passes=1).goal is None
    race = dr.compare(waves(), "y", [Needy(), Greedy()], **QUICK)
    assert race.goal is None and not race.interrupted and "There is no goal" in str(race)
    assert "memory of this machine is not enough" in race["greedy"].runs[0].message
    assert json.loads(json.dumps(race.to_dict(), allow_nan=False))["goal"] is None
    with pytest.raises(SettingError, match="no losses to draw"):
        race.plot()


def test_names_objects_and_labels():
    same = {"learning_rate": 0.05, "batch_size": 4}
    by_name = dr.compare(waves(), "y", {"a": "online"}, settings={"a": same}, **QUICK)
    by_object = dr.compare(waves(), "y", {"b": methods.Online(**same)}, **QUICK)
    assert losses(by_name)["a"] == losses(by_object)["b"]
    assert by_name["a"].method == "online" and by_name["a"].settings["batch_size"] == 4
    assert by_name["a"].settings == by_object["b"].settings
    race = dr.compare(waves(), "y", [methods.ConjugateGradient(beta="dai_yuan"), "cg"], **QUICK)
    assert [row.label for row in race.rows] == ["conjugate_gradient", "cg"]
    assert race["cg"].loss != race["conjugate_gradient"].loss


def test_each_start_of_an_online_method_has_orders_of_its_own(monkeypatch):
    seen = []
    train = comparing.train
    monkeypatch.setattr(comparing, "train", lambda *args, **named: seen.append(args[2].seed) or train(*args, **named))
    dr.compare(waves(), "y", {"name": "online", "object": methods.Online(seed=7)}, seed=3, **QUICK)
    assert seen == [3, 7, 4, 8]


def test_a_schedule_by_name_goes_by_the_passes(monkeypatch):
    seen = []
    train = comparing.train
    monkeypatch.setattr(comparing, "train", lambda *args, **named: seen.append(args[2]) or train(*args, **named))
    settings = {"online": {"learning_rate": "cosine"}}
    dr.compare(waves(), "y", ["online"], settings=settings, seeds=1, max_passes=30)
    assert seen[0].schedule == methods.schedules.get("cosine", 30)


def test_all_methods_unless_named():
    race = dr.compare(waves(30), "y", seeds=1, max_passes=3)
    assert [row.label for row in race.rows] == list(methods.METHODS)


def test_limits():
    race = dr.compare(waves(), "y", ["gd", "cg"], seeds=1, max_seconds=0.05)
    assert race.about["max_passes"] is None and race["gd"].ended == {"time used up": 1}
    assert race["gd"].runs[0].curve.seconds[-1] >= 0.05
    race = dr.compare(waves(), "y", ["gd"], seeds=1, max_seconds=60, max_passes=5)
    assert race["gd"].ended == {"passes used up": 1} and "5 passes or 60 seconds" in str(race)
    assert comparing.compare(waves(30), "y", ["gd"], seeds=1).about["max_passes"] == comparing.MAX_PASSES


def test_the_problem_is_the_one_that_fit_would_have():
    race = dr.compare(flowers(), "kind", ["cg"], hidden=(4, 3), activation=["relu", "sine"], l2=0.1, **QUICK)
    model = dr.fit(flowers(), "kind", hidden=(4, 3), activation=["relu", "sine"], l2=0.1, max_steps=2)
    assert race.about["sizes"] == list(model.network.sizes) and race.about["rows"] == model.training.rows
    assert race.about["activations"] == ["relu", "sine", "softmax"] and race.about["task"] == "multiclass"
    assert race.about["loss"] == str(model.loss) and race.about["l2"] == 0.1
    linear = dr.compare(waves(), "y", ["cg"], hidden=(), **QUICK)
    assert linear.about["sizes"] == [1, 1]


def test_notes_of_the_table_are_told():
    table = homes(100)
    table["price"][:10] = [None] * 10
    race = dr.compare(table, "price", ["cg"], **QUICK)
    assert any("10 of 100 rows have no price" in note for note in race.notes) and "note: 10 of 100" in str(race)


def test_an_observer_is_told_and_ends_the_race():
    laps = []

    def observe(lap):
        laps.append(lap)
        return lap.run == 3 and lap.record.step == 2

    race = dr.compare(waves(), "y", ["gd", "cg"], observe=observe, **QUICK)
    assert {(lap.run, lap.label) for lap in laps} == {(0, "gd"), (1, "cg"), (2, "gd"), (3, "cg")}
    assert all(0 < lap.share <= 1 and lap.runs == 4 for lap in laps)
    assert race.interrupted and race["cg"].ended == {"passes used up": 1, "stopped": 1}
    assert race["cg"].loss.median == race["cg"].runs[0].loss  # what was cut off does not count
    assert race["gd"].ended == {"passes used up": 2}


def test_a_race_cut_off_in_its_first_run_still_shows_it():
    race = dr.compare(waves(), "y", ["gd", "cg"], observe=lambda lap: lap.record.step == 3, **QUICK)
    assert race.interrupted and race["gd"].loss.median == race["gd"].runs[0].loss < np.inf
    assert race["cg"].runs == () and race["cg"].typical() is None and race["cg"].share == 0
    assert "not begun" in str(race) and len(race.plot()[0].lines) > 0


def test_ctrl_c_is_an_error_unless_it_is_to_be_kept():
    def interrupt(lap):
        if lap.run == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dr.compare(waves(), "y", ["gd", "cg"], observe=interrupt, **QUICK)
    race = dr.compare(waves(), "y", ["gd", "cg"], observe=interrupt, interrupt="keep", **QUICK)
    assert race.interrupted and race["gd"].ended == {"passes used up": 1}


def test_a_curve_is_thinned_and_keeps_its_ends():
    n = 5_000
    curve = Curve(np.arange(n) + 1.0, np.arange(n) * 0.1, np.linspace(1, 0, n))
    thin = curve.thinned(100)
    assert 50 < len(thin.losses) <= 100
    assert all((a[0], a[-1]) == (b[0], b[-1]) for a, b in zip(curve, thin, strict=True))
    assert np.all(np.diff(thin.passes) > 0) and thin.passes[1] == 2
    assert curve.reached(0.5) == (2_501.0, 250.0) and curve.reached(-1) is None
    assert Curve(*(column[:9] for column in curve)).thinned(100).losses.tolist() == curve.losses[:9].tolist()


def test_the_text_marks_the_best_of_each_column(race):
    text = str(race)
    assert repr(race) == text and all(len(line) <= 79 and line == line.rstrip() for line in text.splitlines())
    best = min(LABELS, key=lambda label: race[label].loss.median)
    assert re.search(rf"^{best} +{race[best].loss.median:.4g}\*", text, re.MULTILINE)
    assert f"Goal: training loss {race.goal:.4g}, about" in text
    way = text.partition("to the goal")[2]
    quickest = min((label for label in LABELS if race[label].reached == 2), key=lambda label: race[label].passes)
    assert re.search(rf"^{quickest} +2/2\* +{race[quickest].passes:.4g}\*", way, re.MULTILINE)
    assert re.search(r"^wild +0/2 +– +– +diverged .2.$", way, re.MULTILINE)
    alone = str(dr.compare(waves(), "y", ["cg"], seeds=1, max_passes=5)).partition("* is the best")[0]
    assert "*" not in alone and "1 start, seed 0" in alone


def test_the_frame_has_a_row_for_each_method(race):
    frame = race.frame()
    assert frame.index.tolist() == [*LABELS, "wild", "needy"] and frame.index.name == "method"
    assert frame.training_loss.tolist() == [row.loss.median for row in race.rows]
    assert frame.loc["adam", "ended"] == "passes used up (2)"
    assert np.isnan(frame.loc["wild", "passes"]) and frame.loc["wild", "training_loss"] == np.inf


JSON = {
    "table", "targets", "task", "sizes", "activations", "loss", "l2", "rows", "seed", "starts", "max_passes",
    "max_seconds", "goal", "goal_from", "interrupted", "notes", "methods",
}  # fmt: skip
JSON_ROW = {
    "label", "method", "settings", "training_loss", "validation_loss", "reached", "share", "passes", "seconds",
    "ended", "runs",
}  # fmt: skip
JSON_RUN = {"seed", "training_loss", "validation_loss", "steps", "passes", "seconds", "ended", "message", "curve"}


def test_the_dict_is_json_with_all_of_it(race):
    found = json.loads(json.dumps(race.to_dict(), allow_nan=False))
    assert set(found) == JSON and [row["label"] for row in found["methods"]] == [*LABELS, "wild", "needy"]
    for row in found["methods"]:
        assert set(row) == JSON_ROW and set(row["training_loss"]) == {"median", "low", "high"}
        for of_row in row["runs"]:
            assert set(of_row) == JSON_RUN and set(of_row["curve"]) == {"passes", "seconds", "losses"}
            assert len({len(column) for column in of_row["curve"].values()}) == 1
    wild = found["methods"][4]
    assert wild["training_loss"] == {"median": None, "low": None, "high": None} and wild["passes"] is None


def test_long_curves_are_thinned_in_the_dict(monkeypatch):
    race = dr.compare(waves(30), "y", ["gd"], seeds=1, max_passes=300)
    (of_row,) = race.to_dict()["methods"][0]["runs"]
    assert len(race["gd"].runs[0].curve.losses) == 300
    assert 100 < len(of_row["curve"]["losses"]) <= comparison.POINTS
    assert of_row["passes"] == 300 and of_row["curve"]["losses"][-1] == of_row["training_loss"]


def test_the_picture_shows_each_run_and_the_goal(race):
    passes, seconds = race.plot()
    for ax, by in ((passes, "passes"), (seconds, "seconds")):
        assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlabel().startswith(by)
        labels = [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
        assert labels == [*LABELS, "wild (diverged)", "goal"]
        drawn = [line.get_ydata() for line in ax.lines]
        assert all(
            any(np.array_equal(of_row.curve.losses, ys) for ys in drawn)
            for label in LABELS
            for of_row in race[label].runs
        )
        assert any(np.array_equal(ys, [race.goal] * 2) for ys in drawn)
    bold = [line for line in passes.lines if line.get_label() in LABELS]
    styles = {(line.get_color(), line.get_linestyle()) for line in bold}
    assert len(styles) == 4 and len({colour for colour, _ in styles}) == 4
    assert seconds.get_legend() is not None


def test_the_picture_is_drawn_where_it_is_told(race):
    _, axes = plt.subplots(1, 2)
    assert race.plot(axes)[1] is axes[1] and axes[0].lines


def test_a_run_that_diverges_does_not_flatten_the_others():
    class Wild(Needy):
        needs = ("value_grad",)

        def start(self, objective, w):
            return methods.gradient_descent.GradientDescentState(w, *objective.value_grad(w), "", 0 * w, 0.1)

        def step(self, objective, s):
            w = -10 * s.w
            return s._replace(w=w, **dict(zip(("loss", "grad"), objective.value_grad(w), strict=True)))

    race = dr.compare(waves(), "y", {"wild": Wild(), "gd": "gd"}, **QUICK)
    ax = race.plot()[0]
    start = max(of_row.curve.losses[0] for of_row in race["gd"].runs)
    assert race["wild"].loss.median > 1e50 and race.goal < start
    assert ax.get_ylim()[1] < 10 * start


REFUSED = {
    "unknown method": ({"methods": ["lme"]}, "Unknown method 'lme'"),
    "not a method": ({"methods": [5]}, "Unknown method 5"),
    "empty list": ({"methods": []}, r"methods was \[\]; give a list such as"),
    "empty dict": ({"methods": {}}, "methods was {}; give a list such as"),
    "one name": ({"methods": "cg"}, "methods was 'cg'; give a list"),
    "twice": ({"methods": ["cg", "gd", "cg"]}, "'cg' is there twice"),
    "twice by another name": ({"methods": ["cg", "conjugate_gradient"]}, "cg and conjugate_gradient are the same"),
    "two objects of a name": ({"methods": [methods.Online(), methods.Online(batch_size=2)]}, "'online' is there twice"),
    "settings of none": ({"settings": {"gd": {"momentum": 0.5}}}, "Unknown method of this race in the settings 'gd'"),
    "settings of another kind": ({"settings": {"cg": 0.5}}, "The settings of cg were 0.5; give a dict"),
    "unknown setting": ({"settings": {"cg": {"rate": 0.5}}}, "Unknown setting of conjugate_gradient 'rate'"),
    "settings of an object": (
        {"methods": {"a": methods.ConjugateGradient()}, "settings": {"a": {"beta": "dai_yuan"}}},
        "has its settings already",
    ),
    "no starts": ({"seeds": 0}, "seeds was 0; it is the number of starts"),
    "starts that are no number": ({"seeds": True}, "seeds was True"),
    "no passes": ({"max_passes": 0}, "max_passes was 0; it is what each run has at most, a number above 0"),
    "endless passes": ({"max_passes": np.inf}, "max_passes was inf"),
    "no seconds": ({"max_seconds": 0}, "max_seconds was 0"),
    "a goal that is no number": ({"goal": "low"}, "goal was 'low'; it is the training loss to reach"),
    "a goal that is not finite": ({"goal": np.nan}, "goal was nan"),
    "a goal below 0": ({"goal": -1}, "goal was -1; it is the training loss to reach, a number from 0 up"),
    "a penalty below 0": ({"l2": -1.0}, "l2 was -1.0; it is a number from 0 up"),
    "a penalty to be chosen": ({"l2": "auto"}, "l2 was 'auto'"),
    "widths": ({"hidden": (0,)}, "hidden was"),
    "activations": ({"hidden": 3, "activation": ["tanh", "relu"]}, "2 activations were given for 1 hidden"),
    "no such column": ({"exclude": "z"}, "no column 'z'"),
    "a seed below 0": ({"seed": -1}, "seed was -1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_before_any_work(case):
    options, words = REFUSED[case]
    laps = []
    with pytest.raises((SettingError, TableError), match=words):
        dr.compare(waves(), "y", **{"methods": ["cg"], **options}, observe=laps.append)
    assert laps == []


def test_the_command_is_the_function(folder):
    typed = done("compare", "homes.csv", "-t", "price", "-m", "online,cg", *TYPED, "--json")
    found, race = typed.json, dr.compare("homes.csv", "price", ["online", "cg"], **QUICK).to_dict()
    assert set(found) == JSON and typed.err == ""
    for content in (found, race):
        for row in content["methods"]:
            del row["seconds"]
            for of_row in row["runs"]:
                del of_row["seconds"], of_row["curve"]["seconds"]
    assert found == json.loads(json.dumps(race))


def test_the_report(folder):
    ended = done("compare", "flowers.csv", "-t", "kind", "-m", "gd,cg", *TYPED)
    words = "kind of flowers.csv: 66 training rows|network 2-8-3|2 starts|each run up to 30 passes|Goal: training loss"
    assert all(part in ended.out for part in words.split("|")) and ended.err == ""
    assert all(len(line) <= 80 for line in ended.out.splitlines())


def test_options_reach_the_race(folder):
    columns = waves()
    marks = np.array(["train", "train", "validation", "test"])[np.arange(60) % 4]
    write(folder / "t.csv", {**columns, "z": columns["x"] ** 2, "part": marks})
    found = done(
        "compare", "t.csv", "-t", "y", "-t", "z", "--inputs", "x", "-m", "fast=online,slow=online", "-m", "traingdx",
        "--set", "fast.learning_rate=0.1", "--set", "fast.batch_size=2", "--set", "slow.learning_rate=step_decay",
        "--hidden", "4,3", "--activation", "tanh, relu", "--loss", "huber(2)", "--scaling", "minmax", "--split",
        "column:part", "--seed", 5, "--max-seconds", 30, "--task", "regression", "--goal", 0.2, "--l2", 0.01, *TYPED,
        "--json",
    ).json  # fmt: skip
    assert found["targets"] == ["y", "z"] and found["sizes"] == [1, 4, 3, 2] and found["loss"] == "huber(2.0)"
    assert found["activations"] == ["tanh", "relu", "identity"] and found["l2"] == 0.01
    assert found["rows"] == {"training": 30, "validation": 15, "test": 15}
    assert (found["seed"], found["starts"], found["max_passes"], found["max_seconds"]) == (5, 2, 30, 30)
    assert (found["goal"], found["goal_from"]) == (0.2, "given")
    fast, slow, traingdx = found["methods"]
    assert [row["label"] for row in found["methods"]] == ["fast", "slow", "traingdx"]
    assert fast["settings"]["learning_rate"] == 0.1 and fast["settings"]["batch_size"] == 2
    assert "Step" in slow["settings"]["learning_rate"] and traingdx["method"] == "gradient_descent"


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.SVG", b"<?xml"), ("c.pdf", b"%PDF")])
def test_the_picture_is_written(folder, name, start):
    done("compare", "waves.csv", "-t", "y", "-m", "gd,cg", *TYPED, "--picture", name)
    assert (folder / name).read_bytes().startswith(start)


def test_nothing_is_drawn_where_nothing_ran(folder):
    arguments = ["compare", "waves.csv", "-t", "y", "-m", "online", "--set", "online.learning_rate=1e300", *TYPED]
    ended = done(*arguments, "--picture", "c.png")
    assert "diverged (2)" in ended.out and (folder / "c.png").exists()  # the losses of the start are there


WRONG = {
    "unknown method": (["-m", "cg,lme"], "Unknown method 'lme'"),
    "no method": (["-m", ""], "Unknown method ''"),
    "twice": (["-m", "cg,cg"], "'cg' is there twice"),
    "twice in two options": (["-m", "a=cg", "-m", "a=gd"], "'a' is there twice"),
    "goal": (["--goal", "low"], "'low' is not a valid float"),
    "goal nan": (["--goal", "nan"], "goal was nan"),
    "goal below 0": (["--goal", "-1"], "goal was -1.0"),
    "no seeds": (["--seeds", "0"], "seeds was 0"),
    "no seconds": (["--max-seconds", "0"], "max_seconds was 0"),
    "passes below 0": (["--max-passes", "-3"], "max_passes was -3"),
    "setting without method": (["--set", "beta=1"], "--set was 'beta=1'; give METHOD.NAME=VALUE"),
    "setting without value": (["--set", "cg.beta"], "--set was 'cg.beta'; give NAME=VALUE"),
    "setting of another method": (["-m", "cg", "--set", "gd.momentum=1"], "in the settings 'gd'. Accepted: cg"),
    "picture of another kind": (["--picture", "c.doc"], "--picture was 'c.doc'; give a name ending in .png"),
    "picture nowhere": (["--picture", "none/c.png"], "the folder 'none' does not exist"),
    "picture over the table": (["--picture", "waves.csv"], "it is another file of this command"),
    "l2": (["--l2", "-1"], "l2 was -1"),
    "no such target": (["-t", "why"], "has no column 'why'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_and_nothing_is_done(folder, case):
    arguments, words = WRONG[case]
    before = sorted(Path().iterdir())
    assert words in refused("compare", "waves.csv", "-t", "y", *arguments)
    assert sorted(Path().iterdir()) == before


def test_progress_is_told_to_a_log_unless_quiet(folder, monkeypatch):
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.0)
    arguments = ["compare", "waves.csv", "-t", "y", "-m", "gd,cg", "--max-passes", 4, "--seeds", 1, "--json"]
    told = done(*arguments).err.splitlines()
    assert re.fullmatch(r"run 1/2 gd  step 0  loss [\d.]+", told[0])
    assert told[-1].startswith("run 2/2 cg  step ")
    assert run(*arguments, "--quiet").err == ""


def test_the_bar_goes_from_0_to_1():
    shares = []
    dr.compare(waves(), "y", ["gd", "cg"], observe=lambda lap: shares.append(terminal.shown_race(lap).share), **QUICK)
    assert shares == sorted(shares) and 0 < shares[0] < 0.1 and shares[-1] == 1.0


def test_ctrl_c_prints_what_was_raced(folder):
    code = f"import deltarule.terminal\ndeltarule.terminal.LINE_SECONDS = 0.0\n{COMMAND[-1]}"
    arguments = ["compare", "homes.csv", "-t", "price", "-m", "cg,slow=online", "--set", "slow.learning_rate=1e-9"]
    limits = ["--max-seconds", "1.5", "--seeds", "1"]
    command = [*COMMAND[:-1], code, *arguments, *limits]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe) as child:
        for line in child.stderr:
            if line.startswith("run 2/2 slow"):
                break
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert child.returncode == cli.EXIT_INTERRUPTED
    assert "interrupted (1)" in out and re.search(r"^cg +[\d.e-]+\*? ", out, re.MULTILINE)
    assert err.splitlines()[-1] == "Interrupted: this is what was raced so far."


def test_help_fits_the_terminal():
    out = done("compare", "--help").out
    assert out.startswith("Usage: deltarule compare") and all(len(line) <= 80 for line in out.splitlines())
