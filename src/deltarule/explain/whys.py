"""Why multiply by the derivative? The question put to a table, and the answer with the table's own numbers.

The JSON of ``deltarule why --json`` and `Why.to_dict`:

    about        table, targets, task, rows, sizes, activation, loss, epochs, online, seeds, rates, initial weights
    directions   for each situation, range of weights and rule: cases, reversed_weights (share), cases_reversed, uphill,
                 median_angle, largest_angle (degrees)
    rows         for each row of the table: row (its number, the first is 1), angle_start and angle_trained between
                 η · δ · input and the gradient in degrees (null where either has no length), reversed_start and
                 reversed_trained (shares of weights), uphill_start and uphill_trained; at the first start, and where
                 the best run by the gradient ended
    odds         for each rule and learning rate: runs, solved, median_loss, best_loss, median_mistakes
    goal         the largest share of mistakes (numbers: mean square) that counts as solved; null where none did better
                 than one answer for all rows
    curves       epochs, and for each rule and rate the median loss at each of them
    collapse     see `deltarule.explain.collapse.Collapse`
    facts        for each: number, says, here, holds (null where this table does not test it), numbers
    notes        what was done to the table

A loss that is not finite is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from deltarule.activations import Activation
from deltarule.errors import SettingError
from deltarule.explain import collapse, directions, each_row, facts, facts_further, frames, lesson, odds
from deltarule.explain.collapse import Collapse
from deltarule.explain.directions import Measured
from deltarule.explain.each_row import Aside
from deltarule.explain.facts import Fact
from deltarule.explain.frames import plain
from deltarule.explain.lesson import Lesson
from deltarule.explain.odds import Trained
from deltarule.explain.rules import RULES

RATES = (0.1, 0.5, 2.0)
STARTS = 20


@dataclass(frozen=True, eq=False)
class Why:
    """What leaving the derivative out does on a table.

    Parameters
    ----------
    about : dict
        The table, the network and the runs, as JSON values.
    directions : tuple of Measured
        Where rules would move the weights, beside where the gradient would.
    rows : tuple of Aside
        The same row by row, at the start and after training.
    trained : Trained
        Networks trained by each rule from the same starts.
    collapse : Collapse
        What identity activations come to.
    facts : tuple of Fact
        The answer, fact by fact.
    notes : tuple of str
        What was done to the table.
    """

    about: dict[str, Any]
    directions: tuple[Measured, ...]
    rows: tuple[Aside, ...]
    trained: Trained
    collapse: Collapse
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON values; the module says what the keys are."""
        course = self.trained.course
        curves = [
            {"rule": rule, "rate": rate, "median_loss": np.median(self.trained.curves(rule, rate), axis=1).tolist()}
            for rule in RULES
            for rate in course.rates
        ]
        found: dict[str, Any] = plain({
            "about": self.about,
            "directions": [one._asdict() for one in self.directions],
            "rows": [one._asdict() for one in self.rows],
            "odds": [one._asdict() for one in self.trained.odds],
            "goal": self.trained.goal,
            "curves": {"epochs": course.recorded.tolist(), "rules": curves},
            "collapse": self.collapse._asdict(),
            "facts": [
                {"number": one.number, "says": one.says, "here": one.here, "holds": one.holds, "numbers": one.numbers}
                for one in self.facts
            ],
            "notes": list(self.notes),
        })  # fmt: skip
        return found

    def frame(self) -> Any:
        """Return a pandas DataFrame: a row for each situation, range of weights and rule.

        Raises
        ------
        SettingError
            If pandas is not installed.
        """
        return frames.frame(self.directions)

    def plot(self, axes: Any = None) -> Any:
        """Draw the losses of the rules' runs, one panel for each learning rate; return the matplotlib Axes."""
        from deltarule.explain import why_picture

        return why_picture.draw(self, axes)

    def __str__(self) -> str:
        from deltarule.explain import why_telling
        from deltarule.explain.grids import text

        return text(why_telling.grids(self))

    def __repr__(self) -> str:
        return f"<Why for {', '.join(self.about['targets'])} of {self.about['table']}>"

    def _repr_html_(self) -> str:
        from deltarule.explain import why_telling
        from deltarule.explain.grids import html

        return html(why_telling.grids(self))


def why(
    source: Any,
    target: str | Sequence[str],
    *,
    query: str | None = None,
    inputs: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    task: str | None = None,
    hidden: int | Sequence[int] | None = None,
    activation: str | Activation = "logistic",
    rates: Sequence[float] = RATES,
    seeds: int = STARTS,
    epochs: int | None = None,
    online: bool = True,
    init: str = "uniform",
    seed: int = 0,
) -> Why:
    """Show on a table what multiplying by the derivative is for, and what leaving it out does.

    Parameters
    ----------
    source : path, frame, dict or Table
        As for `deltarule.fit`; all rows are used, or 500 drawn at random.
    target : str or sequence of str
        The column or columns to predict.
    query, inputs, exclude, task : optional
        As for `deltarule.fit`.
    hidden : int or sequence of int, optional
        Widths of the hidden layers; one narrow layer unless given.
    activation : str or Activation
        What hidden neurons do; outputs are logistic.
    rates : sequence of float
        Learning rates to train with.
    seeds : int
        How many starts each rule is trained from.
    epochs : int, optional
        Passes over the rows of each run; about 8,000 updates unless given.
    online : bool
        Whether weights move after each row, or once an epoch.
    init : str
        How initial weights are drawn, see `Network.initial_weights`. ``uniform`` is small weights, as in the textbooks.
    seed : int
        Seed of draws, starts and orders.

    Returns
    -------
    Why
        Print it, or see its methods.

    Raises
    ------
    TableError, SettingError
        If the table, a column or a setting cannot be used.

    Examples
    --------
    >>> xor = {"a": [0, 0, 1, 1], "b": [0, 1, 0, 1], "y": [0, 1, 1, 0]}
    >>> found = why(xor, "y", rates=[0.5], seeds=2, epochs=10)
    >>> found.facts[0].holds, found.facts[2].holds
    (True, True)
    """
    for name, value in (("seeds", seeds), ("epochs", 1 if epochs is None else epochs)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise SettingError(f"{name} was {value!r}; it is a whole number from 1 up.")
    rates = tuple(rates)
    if len(set(rates)) != len(rates):
        raise SettingError(f"The learning rates were {rates}; give each of them once.")
    learnt = lesson.of(
        source, target, query=query, inputs=inputs, exclude=exclude, task=task, hidden=hidden, activation=activation,
        seed=seed,
    )  # fmt: skip
    how = {"rates": rates, "seeds": seeds, "seed": seed, "epochs": epochs, "online": online, "how": init}
    with np.errstate(all="ignore"):  # what overflows is a result here
        return _asked(learnt, seed, how)


def _asked(learnt: Lesson, seed: int, how: dict[str, Any]) -> Why:
    """Return what a lesson shows; `how` networks are trained is for `deltarule.explain.odds.train`."""
    found = tuple(
        directions.measured(learnt, situation, rule)
        for situation in directions.situations(learnt, seed)
        for rule in RULES
        if rule != "gradient"
    )
    trained = odds.train(learnt, **how)
    course, network = trained.course, trained.course.network
    answer = (
        facts.never_reversed(learnt, found),
        facts.reversed_elsewhere(found),
        facts.cross_entropy(learnt, seed),
        facts.in_hidden_layers(learnt, trained),
        facts_further.two_slopes(learnt, trained),
        facts_further.copied_rule(learnt, found, trained, seed),
        facts_further.online_and_batch(learnt, trained),
    )
    about = {
        "table": learnt.table, "targets": list(learnt.targets), "task": learnt.task, "rows": len(learnt.X),
        "sizes": list(network.sizes), "activation": network.activations[0].name, "loss": "squared_error",
        "epochs": course.epochs, "online": course.online, "seeds": len(course.starts), "rates": list(course.rates),
        "init": how["how"], "seed": int(seed),
    }  # fmt: skip
    best = min(one.best_loss for one in trained.odds if one.rule == "gradient")
    fewest = float(min(np.min(learnt.mistakes(course.outputs(run.w))) for run in trained.runs.values()))
    return Why(
        about,
        found,
        each_row.measured(learnt, trained),
        trained,
        collapse.measured(learnt, best, fewest, seed),
        answer,
        learnt.notes,
    )
