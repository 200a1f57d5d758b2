"""How a model came to be: what was used, which runs there were, how good it is; and how a model file tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deltarule import report
from deltarule.jsonfields import choice, damaged, finite, flag, listed, record, text, whole
from deltarule.stopping import Reason

PARTS = ("training", "validation", "test")
"""What the rows of a table are divided into."""


LOSSES = ("loss", "objective", "validation_loss")
"""The losses of a run."""
GOOD = 1.05
"""A run is good if its loss is at most so many times that of the best run."""


@dataclass(frozen=True)
class Outcome:
    """How one of the last runs of the chosen candidate ended.

    Parameters
    ----------
    seed : int
        Seed of its initial weights and of the orders of online training.
    loss : float or None
        The loss on the rows it was trained on, without the penalty, at the weights it kept; None if it came to nothing.
    objective : float or None
        The same with the penalty.
    validation_loss : float or None
        The loss on the validation rows; None where they were trained on too.
    steps : int
        The step those weights come from.
    reason : str
        Why it ended: a name of `deltarule.stopping.Reason`.
    kept : bool
        Whether its weights are in the model.
    """

    seed: int
    loss: float | None
    objective: float | None
    validation_loss: float | None
    steps: int
    reason: str
    kept: bool

    @property
    def score(self) -> float | None:
        """What runs are compared by: the validation loss, or without validation rows the objective."""
        return self.objective if self.validation_loss is None else self.validation_loss


@dataclass(frozen=True)
class Training:
    """How a model came to be: what was used, how it ended, how good it was on rows it had not seen.

    Parameters
    ----------
    table : str
        Name of the table.
    rows : dict of str to int
        Number of rows in the training, validation and test parts. Where a note says that the model was chosen by
        cross-validation, training and validation rows both took part in the choice and in the last run.
    method : str
        Name of the method.
    settings : dict
        Its settings, as texts and numbers.
    l2 : float
        The penalty chosen.
    seed : int
        Seed of the split and of the first run.
    steps : int
        Steps of the run that was kept, up to its best weights; in an ensemble, of the first member's.
    seconds : float or None
        Time of all training; None in a model from a file, so that the same training gives the same bytes.
    reason : str
        Why the run ended.
    scores : dict of str to dict
        Scores of the parts ``test`` (or ``validation`` where there is no test part) and ``training``.
    baseline : dict
        Scores on the same held-out part of always predicting the training mean or the commonest class.
    notes : tuple of str
        What was left out, filled in or decided on the way.
    runs : tuple of Outcome
        The last runs of the chosen candidate, one for each seed.
    """

    table: str
    rows: dict[str, int]
    method: str
    settings: dict[str, Any]
    l2: float
    seed: int
    steps: int
    seconds: float | None = field(compare=False)
    reason: str
    scores: dict[str, dict[str, Any]]
    baseline: dict[str, Any]
    notes: tuple[str, ...] = ()
    runs: tuple[Outcome, ...] = ()

    @property
    def odds(self) -> float | None:
        """The odds of a good run: the share of the runs whose loss is at most `GOOD` times that of the best.

        The loss is the one the runs are compared by, `Outcome.score`. Runs that came to nothing count as bad ones.
        None for a single run, which says nothing about others.
        """
        if len(self.runs) < 2:
            return None
        scores = [run.score for run in self.runs if run.score is not None]
        best = min(scores)
        return sum(score <= best + (GOOD - 1) * abs(best) for score in scores) / len(self.runs)


def read_training(value: object) -> Training:
    """Return what a model file's JSON says.

    Raises
    ------
    ModelFileError
        If a value is not what belongs there.
    """
    d = record(value, "training", tuple(Training.__dataclass_fields__))
    held_out = "test" if isinstance(d["scores"], dict) and "test" in d["scores"] else "validation"
    scores = record(d["scores"], "training.scores", (held_out, "training"))
    if len({frozenset(found) for found in (*scores.values(), d["baseline"]) if isinstance(found, dict)}) > 1:
        raise damaged("training.scores", sorted(scores), "scores of one kind")
    return Training(
        table=text(d["table"], "training.table"),
        rows={
            part: whole(count, f"training.rows.{part}")
            for part, count in record(d["rows"], "training.rows", PARTS).items()
        },
        method=text(d["method"], "training.method"),
        settings=_settings(d["settings"]),
        l2=finite(d["l2"], "training.l2"),
        seed=whole(d["seed"], "training.seed"),
        steps=whole(d["steps"], "training.steps"),
        seconds=None if d["seconds"] is None else finite(d["seconds"], "training.seconds"),
        reason=text(d["reason"], "training.reason"),
        scores={part: _scores(found, f"training.scores.{part}") for part, found in scores.items()},
        baseline=_scores(d["baseline"], "training.baseline"),
        notes=listed(d["notes"], "training.notes", text),
        runs=listed(d["runs"], "training.runs", _outcome, least=1),
    )


def _outcome(value: object, where: str) -> Outcome:
    d = record(value, where, tuple(Outcome.__dataclass_fields__))
    losses = {name: None if d[name] is None else finite(d[name], f"{where}.{name}") for name in LOSSES}
    found = Outcome(
        seed=whole(d["seed"], f"{where}.seed"),
        **losses,
        steps=whole(d["steps"], f"{where}.steps"),
        reason=choice(d["reason"], f"{where}.reason", Reason.__members__),
        kept=flag(d["kept"], f"{where}.kept"),
    )
    if found.kept and found.score is None:
        raise damaged(where, value, "a run with a loss, since it was kept,")
    return found


def _settings(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise damaged("training.settings", value, "an object")
    for name, setting in value.items():
        if setting is not None and not isinstance(setting, bool | str):
            finite(setting, f"training.settings.{name}")
    return value


def _scores(value: object, where: str) -> dict[str, Any]:
    """Return the scores of one of the three kinds, each a number or null, with classes and their confusion."""
    kinds = [tuple(kind.__dataclass_fields__) for kind in (report.Regression, report.Classification, report.MultiLabel)]
    kinds.insert(0, tuple(key for key in kinds[0] if key != "each"))
    keys = next((keys for keys in kinds if isinstance(value, dict) and set(value) == set(keys)), kinds[0])
    d = record(value, where, keys)
    for key in keys:
        if key not in ("classes", "confusion", "each") and d[key] is not None:
            finite(d[key], f"{where}.{key}")
    if "each" in d:
        listed(d["each"], f"{where}.each", _target_scores)
    if "classes" in d:
        classes = listed(d["classes"], f"{where}.classes", _label, least=2)
        rows = listed(d["confusion"], f"{where}.confusion", lambda row, at: listed(row, at, whole))
        if [len(row) for row in rows] != [len(classes)] * len(classes):
            raise damaged(f"{where}.confusion", d["confusion"], "one row and one column a class")
    return d


def _target_scores(value: object, where: str) -> dict[str, Any]:
    d = record(value, where, ("target", "r2", "rmse", "mae"))
    text(d["target"], f"{where}.target")
    for key in ("r2", "rmse", "mae"):
        if d[key] is not None:
            finite(d[key], f"{where}.{key}")
    return d


def _label(value: object, where: str) -> str | float:
    return value if isinstance(value, str | bool) else finite(value, where)
