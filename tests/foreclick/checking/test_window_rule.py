"""The checker's window rule: worked out by hand, and against the packed windows of training and serving."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import WindowRule, rule_on
from model_store import windows
from producers.events import Event, EventType, encode_event

DAY_MS = 86_400_000
NOON_MS = 1_700_000_000_000


def record(offset: int, event_id: str, time_ms: int = NOON_MS, user: str = "ada") -> TopicRecord:
    event = Event(
        event_id=event_id, user_id=user, event_type=EventType.VIEW, event_time_ms=time_ms, item_id="kettle"
    )
    return TopicRecord(SourcePosition("t", 0, offset), NOON_MS + DAY_MS, user.encode(), encode_event(event))


def ids_of(window: tuple[Event, ...]) -> list[str]:
    return [event.event_id for event in window]


def test_a_full_window_first_drops_its_oldest_half() -> None:
    records = [record(n, f"e{n}", NOON_MS + n) for n in range(5)]

    rulings = rule_on(records, WindowRule(window_size=4, allowed_lateness_ms=DAY_MS))

    assert ids_of(rulings[3].window) == ["e0", "e1", "e2", "e3"]
    assert ids_of(rulings[4].window) == ["e2", "e3", "e4"]


def test_an_odd_window_keeps_the_larger_half() -> None:
    records = [record(n, f"e{n}", NOON_MS + n) for n in range(4)]

    rulings = rule_on(records, WindowRule(window_size=3, allowed_lateness_ms=DAY_MS))

    assert ids_of(rulings[3].window) == ["e1", "e2", "e3"]


def test_a_late_event_takes_its_place_behind_equal_times() -> None:
    records = [record(0, "a", NOON_MS), record(1, "b", NOON_MS + 10), record(2, "c", NOON_MS)]

    rulings = rule_on(records, WindowRule(window_size=4, allowed_lateness_ms=DAY_MS))

    assert ids_of(rulings[2].window) == ["a", "c", "b"]
    assert rulings[2].place == 1


def test_an_event_exactly_as_late_as_allowed_is_scored_and_one_later_is_dead() -> None:
    records = [record(0, "a", NOON_MS), record(1, "b", NOON_MS - 100), record(2, "c", NOON_MS - 101)]

    rulings = rule_on(records, WindowRule(window_size=4, allowed_lateness_ms=100))

    assert [(ruling.outcome, ruling.reason) for ruling in rulings] == [
        ("scored", ""),
        ("scored", ""),
        ("dead", "too_late"),
    ]


def test_a_repeat_counts_only_while_the_first_stands_in_the_window_of_the_same_user() -> None:
    records = [
        record(0, "a", NOON_MS),
        record(1, "a", NOON_MS, user="bob"),
        record(2, "a", NOON_MS),
        record(3, "b", NOON_MS + 1),
        record(4, "c", NOON_MS + 2),
        record(5, "a", NOON_MS + 3),
    ]

    rulings = rule_on(records, WindowRule(window_size=2, allowed_lateness_ms=DAY_MS))

    assert [r.outcome for r in rulings] == ["scored", "scored", "repeated", "scored", "scored", "scored"]
    assert ids_of(rulings[5].window) == ["c", "a"]


def test_a_record_that_is_not_an_event_is_dead_under_the_contracts_reason() -> None:
    cut = TopicRecord(SourcePosition("t", 0, 0), NOON_MS, b"ada", b'{"event_id": "a"')

    (ruling,) = rule_on([cut], WindowRule(window_size=2, allowed_lateness_ms=0))

    assert (ruling.outcome, ruling.reason) == ("dead", "truncated_json")


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=60),
    st.integers(min_value=2, max_value=7),
)
def test_packed_windows_hold_the_same_events(steps: list[tuple[int, int]], window_size: int) -> None:
    records = [record(n, f"e{event}", NOON_MS + time) for n, (event, time) in enumerate(steps)]
    packed = b""
    for ruling, source in zip(
        rule_on(records, WindowRule(window_size, allowed_lateness_ms=DAY_MS)), records, strict=True
    ):
        row = windows.pack_row(event_of(source))
        if windows.contains_event(packed, row):
            assert ruling.outcome == "repeated"
            continue
        packed, place, _ = windows.inserted(packed, row, window_size)
        assert ruling.place == place
        assert b"".join(windows.pack_row(event) for event in ruling.window) == packed


def event_of(source: TopicRecord) -> Event:
    return msgspec.json.decode(source.value or b"", type=Event)
