"""Step 5's end: heads into predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.kernels.text import Texts, json_strings, texts_of
from model_store.lookback import Lookback
from model_store.own_items import OwnItems, own_items
from model_store.served_heads import Heads
from model_store.serving import ServedModel
from streamer.prediction_json import Answers, Told, layout_of, tail_of, written
from streamer.predictions import ModelVersion
from streamer.records import SourcePartition
from streamer.rendered import Predictions
from streamer.state import NO_NAMES
from streamer.windowing import Steps

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]

_NO_TEXTS = texts_of([])
NO_PREDICTIONS = Predictions([], _NO_TEXTS)


@dataclass(frozen=True)
class RenderingSettings:
    """How many next items a prediction names, and the churn probability that raises an alert.

    With ``exclude_purchased``, items whose purchase stands in the window are not named.
    """

    next_items_count: int
    churn_alert_level: float
    exclude_purchased: bool = False


@dataclass(frozen=True)
class Outputs:
    """What the network says behind each of B steps, ready to be published; None for a head that it lacks.

    ``next_actions`` are [B, A], ``churn`` and ``purchases`` [B], ``alerts_ms`` [B] as `Survival.alert_at_ms`
    gives them.
    """

    next_actions: Floats | None = None
    churn: Floats | None = None
    alerts_ms: Ints | None = None
    heads: Heads | None = None
    purchases: Floats | None = None


class NextItems(NamedTuple):
    """The next items behind each of B steps, best first, as `ServedModel.ranked_items` names them: [B, k]."""

    items: Ints
    scores: Floats


def predict(
    model: ServedModel,
    steps: Steps,
    states: npt.NDArray[np.float32],
    inputs: Inputs,
    settings: RenderingSettings,
) -> Outputs:
    """Run the heads on ``states``, float32[steps, state_units]."""
    if not len(steps):
        return Outputs()
    heads = model.heads(states, inputs)
    purchases = model.purchase_in_session(heads, inputs)
    survival = model.survival
    if heads.hazard is None or survival is None:
        return Outputs(heads.next_action, heads=heads, purchases=purchases)
    churn, alerts_ms = survival.churn_and_alert(heads.hazard, _times_ms(steps), settings.churn_alert_level)
    return Outputs(heads.next_action, churn, alerts_ms, heads, purchases)


def find_next_items(
    model: ServedModel, steps: Steps, lookback: Lookback, heads: Heads | None, settings: RenderingSettings
) -> NextItems | None:
    """Return the best next items behind each step, best first; None without a query or a count.

    ``lookback`` reaches back at least `OWN_EVENTS` - 1.
    """
    if heads is None or heads.query is None or settings.next_items_count == 0:
        return None
    exclude = settings.exclude_purchased
    own = _own_items(model, steps, lookback) if model.specification.own_items or exclude else None
    return NextItems(*model.ranked_items(heads, own, settings.next_items_count, exclude_purchased=exclude))


def _own_items(model: ServedModel, steps: Steps, lookback: Lookback) -> OwnItems:
    """Return the items of the steps' windows, without those whose ids nobody knows any more.

    An item that an earlier model's vocabulary held and this one's lacks has no name beside the window.
    """
    own = own_items(lookback)
    unknown = (model.encoder.indices_of_items(own.items) == 0) & (own.items != 0)
    if not unknown.any():
        return own
    for step, place in np.argwhere(unknown).tolist():
        if int(own.items[step, place]) not in steps.names.get(step, NO_NAMES):
            own.items[step, place] = 0
    return own


def render(
    model: ServedModel,
    steps: Steps,
    sources: Sequence[SourcePartition],
    source_of_step: Ints,
    outputs: Outputs,
    next_items: NextItems | None,
    scored_at_ms: int,
    flags: Sequence[tuple[str, ...]] | None = None,
) -> Predictions:
    """Return each step's prediction.

    ``source_of_step`` [steps] are places in ``sources``. Numbers are rounded to 6 decimals.
    """
    if not len(steps):
        return NO_PREDICTIONS
    tail_of_step, tails = _tails(steps, flags)
    horizon_ms = 0 if model.survival is None else model.survival.horizon_ms
    version = ModelVersion(model.name, model.version)
    layout = layout_of(version, horizon_ms, tuple(model.action_names), tuple(sources), tuple(tails))
    told = Told(
        np.array([record.offset for record in steps.records], np.int64),
        _times_ms(steps),
        source_of_step,
        tail_of_step,
        json_strings([text for event in steps.events for text in (event.user_id, event.event_id)]),
    )
    items, others = _named(next_items, steps)
    answers = Answers(
        _none(2) if outputs.next_actions is None else outputs.next_actions.astype(np.float64),
        _none(1) if outputs.churn is None else outputs.churn.astype(np.float64),
        np.empty(0, np.int64) if outputs.alerts_ms is None else outputs.alerts_ms,
        items,
        _none(2) if next_items is None else next_items.scores.astype(np.float64),
        _none(1) if outputs.purchases is None else outputs.purchases.astype(np.float64),
    )
    values = written(layout, scored_at_ms, told, answers, model.item_texts, others)
    return Predictions(steps.keys, values)


def _tails(steps: Steps, flags: Sequence[tuple[str, ...]] | None) -> tuple[Ints, list[bytes]]:
    """Return which text stands behind each step's next items [steps], and the different texts."""
    partial = steps.partial[steps.users]
    if flags is None and not partial.any():
        return np.zeros(len(steps), np.int64), [tail_of(partial=False, flags=None)]
    numbers: dict[tuple[bool, tuple[str, ...] | None], int] = {}
    of_step = [
        numbers.setdefault((lacks, None if flags is None else flags[step]), len(numbers))
        for step, lacks in enumerate(partial.tolist())
    ]
    texts = [tail_of(partial=lacks, flags=flagged) for lacks, flagged in numbers]
    return np.array(of_step, np.int64), texts


def _named(next_items: NextItems | None, steps: Steps) -> tuple[Ints, Texts]:
    """Return the items as `Answers` has them, and the texts of those that the model does not know."""
    if next_items is None:
        return np.empty((0, 0), np.int64), _NO_TEXTS
    items = next_items.items
    unknown = items < 0
    if not unknown.any():
        return items, _NO_TEXTS
    places = np.argwhere(unknown)
    names = [steps.names[step][-int(items[step, place])] for step, place in places.tolist()]
    items = items.copy()
    items[tuple(places.T)] = -1 - np.arange(len(names))
    return items, json_strings(names)


def _none(dimensions: int) -> npt.NDArray[np.float64]:
    """Return the array of a head that there is not, as `Answers` has it."""
    return np.empty((0,) * dimensions)


def _times_ms(steps: Steps) -> Ints:
    return np.array([event.event_time_ms for event in steps.events], np.int64)
