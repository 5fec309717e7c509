"""Injected faults: each is what it says, as often as asked, and no good event is lost on the way."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.events import Event, EventRejected, EventType, decode_event, decode_value
from producers.simulator.faults import Kind, Rates, SimulatedRecord, with_faults
from producers.simulator.malformed import MALFORMED, Malformed
from producers.simulator.shop import Shop

START_MS = 1_700_000_000_000
RATES = Rates(duplicates=0.05, late=0.04, reordered=0.03, malformed=0.02, bots=0.1)
EVENTS = 20_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(Shop(seed=2, users=200, items=100).events(START_MS, count=EVENTS))


@pytest.fixture(scope="module")
def records(events: list[Event]) -> list[SimulatedRecord]:
    return list(with_faults(events, RATES, seed=2))


def read(record: SimulatedRecord) -> Event:
    return decode_event(record.value, record.key, record.sent_ms)


def test_each_kind_comes_at_its_rate(records: list[SimulatedRecord]) -> None:
    counts = Counter(record.kind for record in records)
    assert counts["genuine"] + counts["late"] + counts["reordered"] == EVENTS
    # Five standard deviations of a binomial count; a bot's events come 50 at a time.
    expected: list[tuple[Kind, float, int]] = [
        ("duplicate", 0.05, 1),
        ("late", 0.04, 1),
        ("reordered", 0.03, 1),
        ("malformed", 0.02, 1),
        ("bot", 0.1, 50),
    ]
    for kind, rate, size in expected:
        assert abs(counts[kind] - rate * EVENTS) < 5 * (rate * EVENTS * size) ** 0.5, kind


def test_no_good_event_is_lost_or_doubled_unasked(
    events: list[Event], records: list[SimulatedRecord]
) -> None:
    once = [read(record) for record in records if record.kind in ("genuine", "late", "reordered")]
    assert sorted(once, key=lambda event: event.event_id) == sorted(events, key=lambda event: event.event_id)


def test_a_duplicate_is_the_same_bytes_after_the_first(records: list[SimulatedRecord]) -> None:
    values = {record.value for record in records if record.kind in ("genuine", "late", "reordered")}
    assert all(record.value in values for record in records if record.kind == "duplicate")


def test_records_are_sent_in_order_and_late_ones_are_late(records: list[SimulatedRecord]) -> None:
    assert all(before.sent_ms <= after.sent_ms for before, after in pairwise(records))
    delays_ms = {kind: [] for kind in ("genuine", "late", "reordered")}  # type: dict[str, list[int]]
    for record in records:
        if record.kind in delays_ms:
            delays_ms[record.kind].append(record.sent_ms - read(record).event_time_ms)
    assert set(delays_ms["genuine"]) == {0}
    assert 0 < min(delays_ms["reordered"]) <= max(delays_ms["reordered"]) <= 60_000
    assert 60_000 < max(delays_ms["late"]) <= 3_600_000


def test_a_bot_is_one_user_that_no_human_could_be(records: list[SimulatedRecord]) -> None:
    bot = [read(record) for record in records if record.kind == "bot"]
    assert {event.user_id for event in bot} == {"bot"}
    assert len({event.event_id for event in bot}) == len(bot)
    burst = [event.event_time_ms for event in bot[:50]]
    assert {after - before for before, after in pairwise(burst)} == {20}


def test_the_seed_fixes_the_faults(events: list[Event], records: list[SimulatedRecord]) -> None:
    assert list(with_faults(events, RATES, seed=2)) == records
    assert list(with_faults(events, RATES, seed=3)) != records


def test_without_faults_the_stream_is_untouched(events: list[Event]) -> None:
    assert [read(record) for record in with_faults(events, Rates())] == events


@pytest.mark.parametrize("way", MALFORMED, ids=lambda way: way.name)
def test_each_malformed_record_is_refused_for_the_reason_it_states(
    way: Malformed, events: list[Event]
) -> None:
    key, value = way.record(events[0])
    with pytest.raises(EventRejected) as refusal:
        decode_event(value, key, START_MS)
    assert refusal.value.reason == way.reason


def test_the_ways_to_be_malformed_are_many_and_are_all_used(records: list[SimulatedRecord]) -> None:
    assert len({way.name for way in MALFORMED}) == len(MALFORMED) >= 30
    assert len({way.reason for way in MALFORMED}) >= 20
    assert {record.detail for record in records if record.kind == "malformed"} == {
        way.name for way in MALFORMED
    }


def test_rates_are_shares() -> None:
    with pytest.raises(ValueError, match="the rate of malformed must be from 0 to 1, not 2"):
        Rates(malformed=2)
    with pytest.raises(ValueError, match="must not sum to more than 1"):
        Rates(late=0.6, reordered=0.6)


@given(
    st.lists(st.integers(0, 10_000_000), max_size=60).map(sorted),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.floats(0, 1),
    st.integers(0, 1_000),
)
@settings(deadline=None)
def test_any_stream_at_any_rates_comes_through_whole(
    offsets_ms: list[int], late: float, reordered: float, share: float, seed: int
) -> None:
    events = [
        Event(
            event_id=str(place),
            user_id="u",
            event_type=EventType.VIEW,
            event_time_ms=START_MS + ms,
            item_id="i",
        )
        for place, ms in enumerate(offsets_ms)
    ]
    rates = Rates(duplicates=share, late=late, reordered=reordered, malformed=share)
    records = list(with_faults(events, rates, seed))
    assert all(before.sent_ms <= after.sent_ms for before, after in pairwise(records))
    once = [record for record in records if record.kind in ("genuine", "late", "reordered")]
    ids = [decode_value(record.value, START_MS).event_id for record in once]
    assert sorted(ids, key=int) == [event.event_id for event in events]
