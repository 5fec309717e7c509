"""What a served model answers on the rows of a `Truth`, stepped as a worker steps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.evaluating.answers import Answers, Asked, Report
from model_store.evaluating.ranking import DEPTH, NO_ITEM
from model_store.evaluating.served import ServedStep, best_items, served_steps

if TYPE_CHECKING:
    from model_store.serving import ServedModel

MOST_HAZARDS: Final = 20_000

Floats = npt.NDArray[np.float64]


class ModelAnswers(NamedTuple):
    """The answers, and of the first of the rows the hazards [H, bins] and which rows those are [H]."""

    answers: Answers
    hazard: npt.NDArray[np.float32]
    hazard_rows: npt.NDArray[np.int64]


def model_answers(model: ServedModel, asked: Asked, report: Report) -> ModelAnswers:
    """Return what ``model`` says of the rows ``asked``; their users' other events only move the windows."""
    whole = asked.part.table
    chosen = np.isin(whole.user, asked.truth.user)
    row = np.full(len(whole), -1)
    row[asked.truth.event] = np.arange(len(asked.truth))
    row = row[chosen]
    collected = _Collected(model, asked)
    done = 0
    for step in served_steps(model, whole.where(chosen)):
        collected.take(step, row[step.events])
        done += len(step.events)
        report(done / len(row))
    return collected.answers()


class _Collected:
    """Gathers what a model says, step by step, in the order of the rows asked."""

    def __init__(self, model: ServedModel, asked: Asked) -> None:
        rows = len(asked.truth)
        self._model = model
        self._list_of = np.full(rows + 1, -1)  # the last one is for the events that are no row
        self._list_of[asked.with_items] = np.arange(len(asked.with_items))
        self._next_action: Floats | None = np.zeros((rows, len(model.action_names)))
        self._bought: Floats | None = np.zeros(rows)
        self._lists: npt.NDArray[np.uint64] | None = np.full((len(asked.with_items), DEPTH), NO_ITEM)
        self._hazard = [np.empty((0, len(model.specification.hazard_edges_ms)), np.float32)]
        self._hazard_rows = [np.empty(0, np.int64)]

    def take(self, step: ServedStep, rows: npt.NDArray[np.int64]) -> None:
        wanted = np.flatnonzero(rows >= 0)
        if not len(wanted):
            return
        heads, kept = step.heads, rows[wanted]
        if heads.next_action is None or self._next_action is None:
            self._next_action = None
        else:
            self._next_action[kept] = heads.next_action[wanted]
        bought = self._model.purchase_in_session(heads, step.inputs)
        if bought is None or self._bought is None:
            self._bought = None
        else:
            self._bought[kept] = bought[wanted]
        if heads.hazard is not None and sum(map(len, self._hazard_rows)) < MOST_HAZARDS:
            self._hazard.append(heads.hazard[wanted])
            self._hazard_rows.append(kept)
        listed = np.flatnonzero(self._list_of[rows] >= 0)
        if heads.query is None or self._lists is None:
            self._lists = None
        elif len(listed):
            found = best_items(self._model, step, listed, DEPTH)
            self._lists[self._list_of[rows[listed]], : found.shape[1]] = found

    def answers(self) -> ModelAnswers:
        return ModelAnswers(
            Answers(self._next_action, self._bought, self._lists),
            np.concatenate(self._hazard),
            np.concatenate(self._hazard_rows),
        )
