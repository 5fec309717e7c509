"""Churn at cut-offs, as the served model says it: one curve behind each user's last event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.evaluating.served import served_steps

if TYPE_CHECKING:
    from model_store.churn.cutoffs import CutoffRows
    from model_store.sequences import EventTable
    from model_store.serving import ServedModel


def served_churn(
    model: ServedModel, table: EventTable, rows: CutoffRows, horizon_ms: int
) -> npt.NDArray[np.float64]:
    """Return P(no event in the horizon, given the silence up to the cut-off) [R] of ``rows`` of ``table``.

    Raises ValueError when the model says nothing of churn.
    """
    if model.survival is None:
        raise ValueError("this model says nothing of churn: train it on a log with times")
    asked = np.unique(rows.event)
    place = np.full(len(table), -1)
    place[asked] = np.arange(len(asked))
    hazard = np.ones((len(asked), len(model.survival.edges_ms)), np.float32)
    for step in served_steps(model, table):
        wanted = np.flatnonzero(place[step.events] >= 0)
        if step.heads.hazard is not None:
            hazard[place[step.events[wanted]]] = step.heads.hazard[wanted]
    return model.survival.churn_probability(hazard[place[rows.event]], rows.silent_ms, horizon_ms)
