"""The screen's accuracy: each prediction against its user's next event, `none` where the session changed."""

from __future__ import annotations

from foreclick.checking.predictions import SeenModel, SeenPrediction
from foreclick.demo.live_board import LiveBoard
from producers.events import Event, EventType

NOON_MS = 1_700_000_000_000


def event(number: int, kind: EventType, session: str) -> Event:
    return Event(
        event_id=f"e{number}",
        user_id="ada",
        event_type=kind,
        event_time_ms=NOON_MS + number,
        item_id="kettle",
        session_id=session,
    )


def prediction(number: int, likeliest: str) -> SeenPrediction:
    return SeenPrediction(
        prediction_id=f"t-0-{number}",
        user_id="ada",
        event_id=f"e{number}",
        event_time_ms=NOON_MS + number,
        scored_at_ms=NOON_MS,
        model=SeenModel("gru", "1"),
        next_action={"search": 0.1, likeliest: 0.9},
    )


def test_predictions_are_held_against_the_next_event() -> None:
    board = LiveBoard()
    steps = [
        (EventType.VIEW, "s1", "cart"),
        (EventType.CART, "s1", "none"),  # as foreseen; not the same again
        (EventType.VIEW, "s2", "view"),  # a new session: none, as foreseen
        (EventType.VIEW, "s2", "view"),  # as foreseen, and the same again
        (EventType.CART, "s2", "view"),  # neither
    ]
    for number, (kind, session, likeliest) in enumerate(steps):
        board.send(event(number, kind, session), at_ms=1_000.0 * number)
        board.see(prediction(number, likeliest), at_ms=1_000.0 * number + 7)

    assert board.scored == 4
    assert board.accuracy() == (3 / 4, 1 / 4)
    assert board.latency_ms() == 7


def test_a_repeated_prediction_counts_once() -> None:
    board = LiveBoard()
    board.send(event(0, EventType.VIEW, "s1"), at_ms=0.0)
    board.see(prediction(0, "view"), at_ms=5.0)
    board.see(prediction(0, "view"), at_ms=9_000.0)

    assert board.accuracy() is None
    assert board.latency_ms() == 5
