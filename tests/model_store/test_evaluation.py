"""Live measures on a log whose truth is plain to see."""

import math

import pytest

from model_store.errors import TrainingError
from model_store.evaluation import MODEL, LivePrediction, ScoredHistory, evaluate_live
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000


def event(user: str, minute: int, item: str | None, kind: EventType = EventType.VIEW) -> Event:
    return Event(
        event_id=f"{user}-{minute}",
        user_id=user,
        event_type=kind,
        event_time_ms=START_MS + minute * MINUTE_MS,
        item_id=item,
    )


def says(action: str, probability: float, *items: str) -> LivePrediction:
    other = "none" if action != "none" else "view"
    return LivePrediction({action: probability, other: 1 - probability}, items)


# 100 minutes of log: the first 60 are training. Ada's second session is in the last 40 minutes.
ADA = [
    event("ada", 0, "kettle"),
    event("ada", 5, "cup"),
    event("ada", 62, "kettle"),
    event("ada", 63, "cup"),
    event("ada", 64, None, EventType.SEARCH),
]
# Bob's only event could still be followed by another when the log ends.
BOB = [event("bob", 100, "cup")]


def test_only_known_truths_of_the_last_part_count() -> None:
    predictions = [
        says("cart", 1.0),
        says("cart", 1.0),
        says("view", 0.5, "spoon", "cup"),  # a view of the cup followed: right, and right
        says("view", 0.75, "kettle"),  # a search followed: it had no share at all, and there is no item
        says("none", 0.8, "cup"),  # the session ended: right, no item
    ]
    live = evaluate_live([ScoredHistory(ADA, predictions), ScoredHistory(BOB, [says("view", 1.0, "cup")])])
    assert (live.next_action_rows, live.next_item_rows) == (3, 1)
    model = live.scores[MODEL]
    assert model.next_action_accuracy == pytest.approx(2 / 3)
    assert model.next_action_log_loss == pytest.approx((math.log(2) + math.log(1e6) - math.log(0.8)) / 3)
    assert model.next_item_recall_at_20 == 1.0


def test_baselines_learn_from_the_first_part_only() -> None:
    predictions = [says("view", 1.0, "cup")] * 5
    live = evaluate_live([ScoredHistory(ADA, predictions), ScoredHistory(BOB, [says("view", 1.0)])])
    assert set(live.scores) == {MODEL, "popular", "repeat", "markov", "markov_order_1"}
    # Training knows that a view followed, that a session ended, and that the cup came after the kettle.
    # So popular has (1 + 1, …, 1 + 1) of 9, and view, search and none came true.
    popular = live.scores["popular"]
    surprises = [-math.log(2 / 9), -math.log(1 / 9), -math.log(2 / 9)]
    assert popular.next_action_log_loss == pytest.approx(sum(surprises) / 3)
    assert popular.next_item_recall_at_20 == 1.0
    assert live.scores["markov"].next_item_recall_at_20 == 1.0
    # Ada looked at the cup before, so repeat has it; of view, search and none the repeated view comes true.
    assert live.scores["repeat"].next_item_recall_at_20 == 1.0
    assert live.scores["repeat"].next_action_accuracy == pytest.approx(1 / 3)


def test_events_without_a_prediction_count_for_nobody() -> None:
    predictions = [None, None, None, says("none", 0.5), None]
    live = evaluate_live([ScoredHistory(ADA, predictions), ScoredHistory(BOB, [None])])
    assert (live.next_action_rows, live.next_item_rows) == (1, 0)
    assert live.scores[MODEL].next_item_recall_at_20 is None
    assert live.scores["popular"].next_item_recall_at_20 is None
    assert live.scores["popular"].next_action_log_loss == pytest.approx(math.log(9))


def test_a_head_that_the_model_lacks_is_not_measured() -> None:
    predictions = [LivePrediction(None, ["cup"])] * 5
    live = evaluate_live([ScoredHistory(ADA, predictions), ScoredHistory(BOB, [None])])
    assert (live.next_action_rows, live.next_item_rows) == (0, 1)
    assert live.scores[MODEL].next_action_log_loss is None


def test_only_the_first_twenty_items_count() -> None:
    predictions = [LivePrediction(None, [f"item-{place}" for place in range(20)] + ["cup"])] * 5
    live = evaluate_live([ScoredHistory(ADA, predictions), ScoredHistory(BOB, [None])])
    assert live.scores[MODEL].next_item_recall_at_20 == 0.0


def test_a_log_without_events_says_so() -> None:
    with pytest.raises(TrainingError, match="no event"):
        evaluate_live([])
