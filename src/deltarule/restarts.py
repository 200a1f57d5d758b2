"""Restarts and ensembles: what is kept of the runs that a candidate makes from several seeds.

A network ends in one of many minima, and which one its first weights decide. So it is trained several times, and the
best run is kept (restarts); or several networks are kept, and their outputs are averaged (an ensemble); or both, where
each member of the ensemble is the best of its restarts. Member j, restart i has the seed  seed + j · restarts + i :
the first run is the one that there would be without restarts.

The best run has the smallest loss on the validation rows. Where cross-validation has chosen the candidate, the last
runs are trained on training and validation rows together, and none is left to hold them against. What decides there is
the objective, penalty included. Runs of one candidate have the same rows and the same penalty, so they differ only in
how far down they came; and rows are worth more in training than in telling apart runs that hardly differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from deltarule.errors import TrainingError
from deltarule.runs import CUT_OFF, Run, Setting
from deltarule.stopping import Reason


class Kept(NamedTuple):
    """The run kept for each member, all runs of the candidate in order of their seeds, and notes on the choice."""

    members: tuple[Run, ...]
    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()


def keep(setting: Setting, runs: Sequence[Run], interrupted: bool = False) -> Kept:
    """Return the best run of each member.

    Of several members, those without a run that came to its own end are left out, unless no other is left: a network
    that has hardly begun would spoil the mean. A single network may come from a run that was cut off.

    Parameters
    ----------
    setting : Setting
        Says how many restarts and members there were to be.
    runs : sequence of Run
        The runs there are, of one candidate.
    interrupted : bool
        Whether Ctrl-C ended them.

    Raises
    ------
    TrainingError
        If no run made a step with a finite loss.
    """
    useful = [run for run in runs if not run.came_to_nothing]
    if not useful:
        raise TrainingError(f"Nothing was learnt: {runs[-1].result.message}")
    members = tuple(_best(group) for group in _groups(setting, useful) if any(map(_finished, group)))
    if setting.ensemble == 1 or not members:
        members = (_best(useful),)
    if interrupted:
        members = tuple(_interrupted(run) for run in members)
    return Kept(members, tuple(runs), _notes(setting, members, len(runs)))


def _groups(setting: Setting, runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs by member."""
    members = [(run.seed - setting.seed) // setting.restarts for run in runs]
    return [[run for run, its in zip(runs, members, strict=True) if its == member] for member in sorted({*members})]


def _best(runs: Sequence[Run]) -> Run:
    return min(runs, key=lambda run: run.score)


def _finished(run: Run) -> bool:
    return run.result.reason not in CUT_OFF


def _interrupted(run: Run) -> Run:
    return run._replace(result=replace(run.result, reason=Reason.INTERRUPTED, message=Reason.INTERRUPTED.value))


def _notes(setting: Setting, members: tuple[Run, ...], n_runs: int) -> tuple[str, ...]:
    asked = setting.restarts * setting.ensemble
    if asked == 1:
        return ()
    kept = f"the best of {n_runs} runs"
    if setting.ensemble > 1:
        kept = f"an ensemble of {len(members)} network{'s' if len(members) > 1 else ''}"
    if setting.ensemble > 1 and setting.restarts > 1:
        kept += f", each the best of {setting.restarts} runs"
    if setting.restarts > 1:
        by_rows = members[0].validation_loss is not None
        kept += (
            " by the loss on the validation rows" if by_rows else
            " by the objective, penalty included: cross-validation used the validation rows, and all runs train on them"
        )  # fmt: skip
    if len(members) < setting.ensemble:
        kept += f"; the other {setting.ensemble - len(members)} were not finished or came to nothing"
    elif n_runs < asked:
        kept += f"; {asked - n_runs} more not begun"
    return (kept,)
