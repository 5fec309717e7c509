"""Step 5's end: heads into predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.serving import Heads, ServedModel
from streamer.predictions import Churn, ModelVersion, NextItem, Prediction
from streamer.records import SourcePartition
from streamer.windowing import Steps

DECIMALS = 6


@dataclass(frozen=True)
class RenderingSettings:
    """How many next items a prediction names, and the churn probability that raises an alert."""

    next_items_count: int
    churn_alert_level: float


def render(
    model: ServedModel,
    steps: Steps,
    sources: Sequence[SourcePartition],
    states: npt.NDArray[np.float32],
    inputs: Inputs,
    settings: RenderingSettings,
    scored_at_ms: int,
) -> list[Prediction]:
    """Return one prediction for each step. Probabilities and scores are rounded to `DECIMALS` places."""
    if not len(steps):
        return []
    heads = model.heads(states, inputs)
    actions = _next_actions(model, heads)
    churn = _churn(model, steps, heads, settings.churn_alert_level)
    next_items = _next_items(model, heads, settings.next_items_count)
    version = ModelVersion(model.name, model.version)
    predictions = []
    for step, (record, event, source) in enumerate(zip(steps.records, steps.events, sources, strict=True)):
        predictions.append(
            Prediction(
                prediction_id=source.record_id(record.offset),
                user_id=event.user_id,
                event_id=event.event_id,
                event_time_ms=event.event_time_ms,
                scored_at_ms=scored_at_ms,
                model=version,
                next_action=actions[step] if actions else None,
                churn=churn[step] if churn else None,
                next_items=next_items[step] if next_items else None,
                state="partial" if steps.states[step].partial else "complete",
            )
        )
    return predictions


def _rounded(values: npt.NDArray[np.floating]) -> list[list[float]]:
    rounded: list[list[float]] = np.round(values.astype(np.float64), DECIMALS).tolist()
    return rounded


def _next_actions(model: ServedModel, heads: Heads) -> list[dict[str, float]] | None:
    if heads.next_action is None:
        return None
    names = model.action_names
    return [dict(zip(names, row, strict=True)) for row in _rounded(heads.next_action)]


def _churn(model: ServedModel, steps: Steps, heads: Heads, alert_level: float) -> list[Churn] | None:
    if heads.hazard is None or model.survival is None:
        return None
    survival = model.survival
    times_ms = np.array([event.event_time_ms for event in steps.events], dtype=np.int64)
    probability = survival.churn_probability(heads.hazard, np.zeros(len(times_ms)))
    alerts = survival.alert_at_ms(heads.hazard, times_ms, alert_level).tolist()
    rounded = np.round(probability.astype(np.float64), DECIMALS).tolist()
    return [
        Churn(value, survival.horizon_ms, alert if alert >= 0 else None)
        for value, alert in zip(rounded, alerts, strict=True)
    ]


def _next_items(model: ServedModel, heads: Heads, count: int) -> list[list[NextItem]] | None:
    if heads.query is None or count == 0:
        return None
    indices, scores = model.next_items(heads.query, count)
    items = model.encoder.items
    return [
        [NextItem(items[item], score) for item, score in zip(row, values, strict=True) if item > 0]
        for row, values in zip(indices.tolist(), _rounded(scores), strict=True)
    ]
