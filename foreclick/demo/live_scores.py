"""What the run's predictions were worth, beside plain baselines on the same events."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from model_store.evaluation import LivePrediction, LiveScores, ScoredHistory, evaluate_live

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foreclick.checking.predictions import SeenPrediction
    from foreclick.checking.window_rule import Ruling
    from producers.events import Event


def live_scores(rulings: Iterable[Ruling], predictions: Iterable[SeenPrediction]) -> LiveScores:
    """Return the scores of the predictions made in the last 40 % of the log's time.

    Raises TrainingError when there is no event.
    """
    return evaluate_live(histories(rulings, predictions))


def histories(rulings: Iterable[Ruling], predictions: Iterable[SeenPrediction]) -> list[ScoredHistory]:
    """Return each user's scored events in order of time, with the prediction made at each."""
    made = {
        prediction.prediction_id: LivePrediction(
            prediction.next_action,
            None if prediction.next_items is None else [item.item_id for item in prediction.next_items],
        )
        for prediction in predictions
    }
    by_user: dict[str, list[tuple[Event, LivePrediction | None]]] = defaultdict(list)
    for ruling in rulings:
        if ruling.outcome == "scored":
            event = ruling.window[ruling.place]
            by_user[event.user_id].append((event, made.get(ruling.position.text)))
    for pairs in by_user.values():
        pairs.sort(key=lambda pair: pair[0].event_time_ms)
    return [
        ScoredHistory([event for event, _ in pairs], [prediction for _, prediction in pairs])
        for pairs in by_user.values()
    ]


def as_fields(scores: LiveScores) -> dict[str, Any]:
    """Return the scores by measure, then by predictor, ready for JSON; ``markov`` is of order 2."""
    named = scores.scores
    action = {
        name: {"accuracy": score.next_action_accuracy, "log_loss": score.next_action_log_loss}
        for name, score in named.items()
    }
    recall = {name: score.next_item_recall_at_20 for name, score in named.items()}
    return {
        "next_action": {"events": scores.next_action_rows, **action},
        "next_item_recall_at_20": {"events": scores.next_item_rows, **recall},
    }
