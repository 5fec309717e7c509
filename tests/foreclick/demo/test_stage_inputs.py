"""What the demo hands to others: a worker's environment, events that fill windows, histories to evaluate."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from foreclick.checking.predictions import SeenItem, SeenModel, SeenPrediction
from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import WindowRule, rule_on
from foreclick.demo.live_scores import histories
from foreclick.demo.paced_pass import filling_events
from foreclick.demo.worker_process import worker_environment
from foreclick.settings import Settings
from foreclick.settings_sources import load_settings
from producers.events import Event, EventType, encode_event

NOON_MS = 1_700_000_000_000


def event(event_id: str, user: str, time_ms: int, item: str | None = "kettle") -> Event:
    kind = EventType.VIEW if item else EventType.SEARCH
    return Event(event_id=event_id, user_id=user, event_type=kind, event_time_ms=time_ms, item_id=item)


def test_a_worker_gets_exactly_the_stages_settings() -> None:
    settings = replace(Settings(), kafka="127.0.0.1:1", model_store=Path("shop models"), window_size=7)

    environment = worker_environment(settings, {"PATH": "bin", "FORECLICK_WINDOW_SIZE": "9"})

    assert environment["PATH"] == "bin"
    assert load_settings({}, environment) == settings


def test_filling_events_fill_every_window_to_the_brim() -> None:
    log = [event("a", "ada", NOON_MS), event("b", "bob", NOON_MS + 5, item=None)]

    filling = [line.event for line in filling_events(log, users=3, window_size=20)]

    assert Counter(each.user_id for each in filling) == {"fill-0": 20, "fill-1": 20, "fill-2": 20}
    assert len({each.event_id for each in filling}) == 60
    assert {each.item_id for each in filling} == {"kettle"}
    assert all(each.event_time_ms >= NOON_MS + 5 for each in filling)


def test_histories_pair_each_scored_event_with_its_prediction_in_order_of_time() -> None:
    arrivals = [
        event("late", "ada", NOON_MS + 9),
        event("early", "ada", NOON_MS),
        event("late", "ada", NOON_MS + 9),
    ]
    records = [
        TopicRecord(SourcePosition("t", 0, offset), NOON_MS, b"ada", encode_event(each))
        for offset, each in enumerate(arrivals)
    ]
    made = SeenPrediction(
        prediction_id="t-0-0",
        user_id="ada",
        event_id="late",
        event_time_ms=NOON_MS + 9,
        scored_at_ms=NOON_MS,
        model=SeenModel("gru", "1"),
        next_action={"view": 1.0},
        next_items=[SeenItem("pan", 1.0)],
    )

    (history,) = histories(rule_on(records, WindowRule(20, 1_000)), [made])

    assert [each.event_id for each in history.events] == ["early", "late"]
    early, late = history.predictions
    assert early is None
    assert late is not None
    assert late.next_items == ["pan"]
