"""Step 5's end: heads into predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.lookback import lookback_of_windows
from model_store.own_items import OWN_EVENTS, OwnItems, own_items
from model_store.served_heads import Heads
from model_store.serving import ServedModel
from streamer.predictions import Churn, ModelVersion, NextItem, Prediction, encode_prediction
from streamer.records import SourcePartition
from streamer.windowing import Steps

DECIMALS = 6


@dataclass(frozen=True)
class RenderingSettings:
    """How many next items a prediction names, and the churn probability that raises an alert."""

    next_items_count: int
    churn_alert_level: float


@dataclass(frozen=True)
class Outputs:
    """What the network says behind each step, ready to be published; None for a head that it lacks."""

    next_actions: list[list[float]] | None
    churn: list[Churn] | None
    heads: Heads | None
    purchases: list[list[float]] | None = None


def predict(
    model: ServedModel,
    steps: Steps,
    states: npt.NDArray[np.float32],
    inputs: Inputs,
    settings: RenderingSettings,
) -> Outputs:
    """Run the heads on ``states``, float32[steps, state_units]. Probabilities are rounded to `DECIMALS`."""
    if not len(steps):
        return Outputs(None, None, None)
    heads = model.heads(states, inputs)
    actions = None if heads.next_action is None else _rounded(heads.next_action)
    churn = _churn(model, steps, heads.hazard, settings.churn_alert_level)
    bought = model.purchase_in_session(heads, inputs)
    purchases = None if bought is None else _rounded(bought[:, None])
    return Outputs(actions, churn, heads, purchases)


def find_next_items(
    model: ServedModel, steps: Steps, heads: Heads | None, count: int
) -> list[list[NextItem]] | None:
    """Return the ``count`` best next items behind each step, best first; None without a query or a count."""
    if heads is None or heads.query is None or count == 0:
        return None
    found, scores = model.ranked_items(heads, _own_items(model, steps), count)
    items = model.encoder.items
    return [
        [
            NextItem(items[item] if item > 0 else names[-item], score)
            for item, score in zip(row, values, strict=True)
            if item
        ]
        for row, values, names in zip(found.tolist(), _rounded(scores), steps.names, strict=True)
    ]


def _own_items(model: ServedModel, steps: Steps) -> OwnItems | None:
    """Return the items of the steps' windows, without those whose ids nobody knows any more.

    An item that an earlier model's vocabulary held and this one's lacks has no name beside the window.
    """
    if not model.specification.own_items:
        return None
    own = own_items(*lookback_of_windows(steps.windows, OWN_EVENTS - 1))
    unknown = (model.encoder.indices_of_items(own.items) == 0) & (own.items != 0)
    for step, place in np.argwhere(unknown).tolist():
        if int(own.items[step, place]) not in steps.names[step]:
            own.items[step, place] = 0
    return own


def render(
    model: ServedModel,
    steps: Steps,
    sources: Sequence[SourcePartition],
    outputs: Outputs,
    next_items: list[list[NextItem]] | None,
    scored_at_ms: int,
    flags: Sequence[tuple[str, ...]] | None = None,
) -> list[tuple[bytes, bytes]]:
    """Return the key and the value of the record that carries each step's prediction."""
    version = ModelVersion(model.name, model.version)
    names = model.action_names
    actions, churn = outputs.next_actions, outputs.churn
    rendered = []
    for step, (record, event, source) in enumerate(zip(steps.records, steps.events, sources, strict=True)):
        prediction = Prediction(
            prediction_id=source.record_id(record.offset),
            user_id=event.user_id,
            event_id=event.event_id,
            event_time_ms=event.event_time_ms,
            scored_at_ms=scored_at_ms,
            model=version,
            next_action=dict(zip(names, actions[step], strict=True)) if actions else None,
            churn=churn[step] if churn else None,
            next_items=next_items[step] if next_items else None,
            state="partial" if steps.states[step].partial else "complete",
            flags=flags[step] if flags is not None else None,
            purchase_in_session=outputs.purchases[step][0] if outputs.purchases else None,
        )
        rendered.append((event.user_id.encode(), encode_prediction(prediction)))
    return rendered


def _rounded(values: npt.NDArray[np.floating]) -> list[list[float]]:
    rounded: list[list[float]] = np.round(values.astype(np.float64), DECIMALS).tolist()
    return rounded


def _churn(
    model: ServedModel, steps: Steps, hazard: npt.NDArray[np.float32] | None, alert_level: float
) -> list[Churn] | None:
    survival = model.survival
    if hazard is None or survival is None:
        return None
    times_ms = np.array([event.event_time_ms for event in steps.events], dtype=np.int64)
    probability = survival.churn_probability(hazard)
    alerts = survival.alert_at_ms(hazard, times_ms, alert_level).tolist()
    rounded = np.round(probability.astype(np.float64), DECIMALS).tolist()
    return [
        Churn(value, survival.horizon_ms, alert if alert >= 0 else None)
        for value, alert in zip(rounded, alerts, strict=True)
    ]
