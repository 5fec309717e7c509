"""What live predictions were worth: next action and next item, beside plain baselines on the same rows.

The truth of an event is the next event of its user in the same session (`sequences.labels_of`). Where the
session ended, the next action is `none`. The events of the log's last 30 minutes are left out of the next
action's measures: their sessions could still go on, and only quick actions would be known of them. The next
item is that of the next event, repeats of the same item included; an event without a next one in its
session, or whose next one has no item, is left out of the item's measure.

- Accuracy: the share of events whose likeliest next action came true.
- Log loss: the mean of -log of the probability of what came true, in nats, never below 1e-6 a probability.
- Recall at 20: the share of events whose next item is among the first 20 that were predicted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.baselines import Act, Baseline, standard_baselines
from model_store.errors import TrainingError
from model_store.metrics import LEAST_PROBABILITY
from model_store.parts import Part, part_between
from model_store.sequences import MASKED, EventTable, labels_of
from model_store.specification import ACTION_NAMES
from model_store.windows import item_fingerprint, pack_row, row_items, rows_of, starts_session
from producers.events import Event

DEPTH: Final = 20
TRAINING_SHARE: Final = 0.6
MODEL: Final = "model"


class LivePrediction(NamedTuple):
    """What was published about one event: probabilities by action name, and item ids, the best first."""

    next_action: Mapping[str, float] | None
    next_items: Sequence[str] | None


@dataclass(frozen=True)
class ScoredHistory:
    """One user's events in order of time, and the prediction made at each; None where there was none."""

    events: Sequence[Event]
    predictions: Sequence[LivePrediction | None]


class Scores(msgspec.Struct, frozen=True):
    """The measures of one predictor; None where no row could be measured."""

    next_action_accuracy: float | None
    next_action_log_loss: float | None
    next_item_recall_at_20: float | None


class LiveScores(msgspec.Struct, frozen=True):
    """The measures of the model, under `MODEL`, and of each baseline, and on how many rows."""

    next_action_rows: int
    next_item_rows: int
    scores: dict[str, Scores]


@dataclass(frozen=True)
class Rows:
    """What truly followed each event of a table [E], and which events count.

    ``next_action`` is `MASKED` and ``next_item`` is 0 where it is not known or there was none.
    """

    next_action: npt.NDArray[np.int64]
    next_item: npt.NDArray[np.uint64]
    action_scored: npt.NDArray[np.bool_]
    item_scored: npt.NDArray[np.bool_]


def rows_of_part(part: Part) -> Rows:
    """Return the truth of a part, and its scored events of which the truth is known."""
    labels = labels_of(part.table, part.until_ms)
    next_item = np.where(labels.next_event == MASKED, 0, row_items(part.table.rows)[labels.next_event])
    next_item = next_item.astype(np.uint64)
    return Rows(
        labels.next_action,
        next_item,
        part.scored & (labels.next_action != MASKED),
        part.scored & (next_item != 0),
    )


def evaluate_live(histories: Sequence[ScoredHistory]) -> LiveScores:
    """Return the measures of the predictions made in the last 40 % of the log's time.

    The baselines learn from the first 60 %, and then see each user's events as they come, as the model does.
    Events without a prediction count for nobody. Raises `TrainingError` when there is no event.
    """
    table = _table_of(histories)
    if not len(table):
        raise TrainingError("there is no event to measure predictions by: check the log's rejected lines")
    training = part_between(table, 0.0, TRAINING_SHARE, timed=True)
    test = part_between(table, TRAINING_SHARE, 1.0, timed=True)
    predictions = [prediction for history in histories for prediction in history.predictions]
    rows = rows_of_part(test)
    rows = replace(
        rows,
        action_scored=rows.action_scored & [_says_action(made) for made in predictions],
        item_scored=rows.item_scored & [_says_items(made) for made in predictions],
    )
    scores = {MODEL: _model_scores(predictions, rows), **baseline_scores(training, test, rows)}
    return LiveScores(int(rows.action_scored.sum()), int(rows.item_scored.sum()), scores)


def baseline_scores(training: Part, test: Part, rows: Rows | None = None) -> dict[str, Scores]:
    """Return the measures of each of `standard_baselines` on ``rows`` of ``test``, or on all scored ones.

    They learn from what is known in ``training``, and nothing from ``test``: its events only move their
    contexts.
    """
    learned, asked = rows_of_part(training), rows or rows_of_part(test)
    scores = {}
    for name, baseline in standard_baselines(len(ACTION_NAMES)).items():
        for place, (user, act) in enumerate(_acts(training.table)):
            baseline.observe(user, act)
            action = int(learned.next_action[place]) if learned.action_scored[place] else None
            baseline.learn(user, action, int(learned.next_item[place]) if learned.item_scored[place] else 0)
        scores[name] = _scores_of(baseline, test.table, asked)
    return scores


def _scores_of(baseline: Baseline, table: EventTable, rows: Rows) -> Scores:
    tally = _Tally()
    for place, (user, act) in enumerate(_acts(table)):
        baseline.observe(user, act)
        if rows.action_scored[place]:
            truth = int(rows.next_action[place])
            bet, probabilities = baseline.next_action(user)
            tally.count_action(bet == truth, float(probabilities[truth]))
        if rows.item_scored[place]:
            tally.count_items(int(rows.next_item[place]) in baseline.next_items(user, DEPTH))
    return tally.scores()


def _model_scores(predictions: Sequence[LivePrediction | None], rows: Rows) -> Scores:
    tally = _Tally()
    for place, made in enumerate(predictions):
        if made is None:
            continue
        if rows.action_scored[place] and made.next_action:
            shares, truth = made.next_action, ACTION_NAMES[rows.next_action[place]]
            tally.count_action(max(shares, key=shares.__getitem__) == truth, shares.get(truth, 0.0))
        if rows.item_scored[place] and made.next_items is not None:
            found = (item_fingerprint(item) for item in made.next_items[:DEPTH])
            tally.count_items(int(rows.next_item[place]) in found)
    return tally.scores()


class _Tally:
    """Adds up the measures of one predictor, event by event."""

    def __init__(self) -> None:
        self._action_hits: list[bool] = []
        self._log_losses: list[float] = []
        self._item_hits: list[bool] = []

    def count_action(self, hit: bool, probability: float) -> None:
        self._action_hits.append(hit)
        self._log_losses.append(-math.log(max(probability, LEAST_PROBABILITY)))

    def count_items(self, hit: bool) -> None:
        self._item_hits.append(hit)

    def scores(self) -> Scores:
        return Scores(_mean(self._action_hits), _mean(self._log_losses), _mean(self._item_hits))


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _says_action(made: LivePrediction | None) -> bool:
    return made is not None and bool(made.next_action)


def _says_items(made: LivePrediction | None) -> bool:
    return made is not None and made.next_items is not None


def _table_of(histories: Iterable[ScoredHistory]) -> EventTable:
    """Return the histories' events one after another, each history a user of its own."""
    packed = bytearray()
    lengths = []
    for history in histories:
        packed += b"".join(pack_row(event) for event in history.events)
        lengths.append(len(history.events))
    return EventTable(rows_of(bytes(packed)), np.repeat(np.arange(len(lengths)), lengths), {}, {})


def _acts(table: EventTable) -> Iterator[tuple[int, Act]]:
    """Yield each event's user and what the baselines see of it."""
    starts = table.starts_user() | starts_session(table.rows, np.roll(table.rows, 1))
    columns = (table.user, table.rows["event_type"], row_items(table.rows), starts)
    for user, action, item, start in zip(*(column.tolist() for column in columns), strict=True):
        yield user, Act(action, item, start)
