"""The window rule and the rows of a window, on cases worked out by hand."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.windows import (
    EVENT_FINGERPRINT_BYTES,
    ROW_BYTES,
    category_fingerprint,
    category_fingerprints,
    contains_event,
    inserted,
    item_fingerprint,
    item_fingerprints,
    kept_after_overflow,
    pack_row,
    pack_rows,
    row_items,
    row_time_ms,
    row_times_ms,
    rows_of,
    starts_session,
)
from producers.contract import SESSION_GAP_MS
from producers.events import MAX_PRICE, Event, EventType

# More than 32 bits, so that both halves of a time count: 2 ** 32 + 5 ms is 1970-02-19.
LATE_MS = 2**32 + 5


def event(event_id: str = "e", at_ms: int = LATE_MS, session: str | None = None, item: str = "cup") -> Event:
    return Event(
        event_id=event_id,
        user_id="ann",
        event_type=EventType.VIEW,
        event_time_ms=at_ms,
        item_id=item,
        session_id=session,
    )


def window(*times_ms: int) -> bytes:
    return b"".join(pack_row(event(f"e{place}", at_ms)) for place, at_ms in enumerate(times_ms))


def times_of(packed: bytes) -> list[int]:
    return [row_time_ms(packed, place) for place in range(len(packed) // ROW_BYTES)]


def test_a_row_keeps_the_time_and_the_item_whole() -> None:
    packed = window(LATE_MS, 2**48 - 1, 0)
    assert row_times_ms(rows_of(packed)).tolist() == times_of(packed) == [LATE_MS, 2**48 - 1, 0]
    assert row_items(rows_of(packed)).tolist() == [item_fingerprint("cup")] * 3


@pytest.mark.parametrize(
    ("window_size", "kept"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (20, 10), (21, 11)]
)
def test_half_of_a_full_window_goes_rounded_down_but_at_least_one(window_size: int, kept: int) -> None:
    assert kept_after_overflow(window_size) == kept
    full = window(*range(window_size))
    after, place, overflowed = inserted(full, pack_row(event("new", window_size)), window_size)
    assert times_of(after) == list(range(window_size - kept, window_size + 1))
    assert (place, overflowed) == (kept, True)


def test_a_window_that_is_not_full_keeps_everything() -> None:
    after, place, overflowed = inserted(window(0, 1), pack_row(event("new", 2)), 3)
    assert (times_of(after), place, overflowed) == ([0, 1, 2], 2, False)


@pytest.mark.parametrize(("at_ms", "place"), [(5, 0), (10, 2), (15, 2), (20, 3), (25, 3)])
def test_an_event_stands_in_order_of_time_and_behind_its_equals(at_ms: int, place: int) -> None:
    before = window(10, 10, 20)
    row = pack_row(event("new", at_ms))
    after, found, _ = inserted(before, row, 10)
    assert found == place
    cut = place * ROW_BYTES
    assert after == before[:cut] + row + before[cut:]


def test_an_event_is_known_by_its_id_alone_and_only_where_a_row_starts() -> None:
    packed = window(0, 1)
    assert contains_event(packed, pack_row(event("e1", at_ms=99, item="hat")))
    assert not contains_event(packed, pack_row(event("e2")))
    wanted = pack_row(event("e2"))
    misplaced = bytearray(window(0, 1))
    misplaced[5 : 5 + EVENT_FINGERPRINT_BYTES] = wanted[:EVENT_FINGERPRINT_BYTES]
    assert not contains_event(bytes(misplaced), wanted)
    assert contains_event(bytes(misplaced) + wanted, wanted)


@pytest.mark.parametrize(
    ("before", "after", "gap_ms", "starts"),
    [
        (None, None, SESSION_GAP_MS, False),
        (None, None, SESSION_GAP_MS + 1, True),
        ("a", "a", SESSION_GAP_MS + 1, False),  # names decide where both have one
        ("a", "b", 1, True),
        ("a", None, SESSION_GAP_MS, False),  # else the gap does
        (None, "b", SESSION_GAP_MS + 1, True),
    ],
)
def test_a_session_ends_by_its_name_or_by_a_gap(
    before: str | None, after: str | None, gap_ms: int, starts: bool
) -> None:
    previous = rows_of(pack_row(event("e0", LATE_MS, before)))
    rows = rows_of(pack_row(event("e1", LATE_MS + gap_ms, after)))
    assert starts_session(rows, previous).tolist() == [starts]


def test_no_price_is_nan_and_a_price_is_a_logarithm() -> None:
    priced = msgspec.structs.replace(event(), price=math.expm1(2.0))
    rows = rows_of([pack_row(priced), pack_row(event())])
    assert rows["log_price"][0] == 2.0
    assert np.isnan(rows["log_price"][1])


texts = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=300))
identifiers = st.text(st.characters(codec="utf-8"), min_size=1, max_size=128)
whole_events = st.builds(
    Event,
    event_id=identifiers,
    user_id=st.just("ann"),
    event_type=st.sampled_from(EventType),
    event_time_ms=st.integers(0, 2**48 - 1),
    item_id=st.one_of(st.none(), identifiers),
    session_id=st.one_of(st.none(), identifiers),
    category=texts,
    device=texts,
    source=texts,
    price=st.one_of(st.none(), st.floats(0, MAX_PRICE)),
)


@given(st.lists(whole_events, max_size=8))
def test_rows_packed_together_are_those_packed_one_by_one(events: list[Event]) -> None:
    for some in (events, events * 150):  # few are packed in another way than many
        assert pack_rows(some).tobytes() == b"".join(map(pack_row, some))


@given(st.lists(identifiers))
def test_a_vocabulary_has_the_fingerprints_under_which_its_texts_stand_in_rows(texts: list[str]) -> None:
    assert item_fingerprints(texts).tolist() == [item_fingerprint(text) for text in texts]
    assert category_fingerprints(texts).tolist() == [category_fingerprint(text) for text in texts]
