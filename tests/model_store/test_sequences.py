"""Windows against the window rule itself, and labels by hand."""

from hypothesis import given
from hypothesis import strategies as st

from model_store.sequences import MASKED, EventTable, labels_of, windows_of
from model_store.specification import ACTION_NAMES
from model_store.windows import inserted, pack_row, rows_of
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
NONE = ACTION_NAMES.index("none")


def event(
    user: str, minute: float, item: str = "cup", kind: EventType = EventType.VIEW, name: str | None = None
) -> Event:
    return Event(
        event_id=name or f"{user}-{minute}",
        user_id=user,
        event_type=kind,
        event_time_ms=START_MS + int(minute * MINUTE_MS),
        item_id=item,
    )


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 9))
def test_windows_are_the_contexts_that_serving_sees(counts: list[int], window_size: int) -> None:
    events = [event(f"{user}", minute) for user, count in enumerate(counts) for minute in range(count)]
    table = EventTable.from_events(events)
    seen = {}
    windows = windows_of(table, window_size)
    for start, length, new_from in zip(*(column.tolist() for column in windows), strict=True):
        for place in range(new_from, length):
            assert start + place not in seen  # each event is new in one window
            seen[start + place] = table.rows[start : start + place + 1].tobytes()
    place = 0
    for user, count in enumerate(counts):
        packed = b""
        for minute in range(count):
            packed, _, _ = inserted(packed, pack_row(event(f"{user}", minute)), window_size)
            assert seen[place] == packed
            place += 1
    assert len(seen) == place


def test_events_are_put_in_order_of_user_and_time() -> None:
    table = EventTable.from_events([event("bob", 3), event("ada", 9), event("bob", 1), event("ada", 2)])
    assert ((table.times_ms - START_MS) // MINUTE_MS).tolist() == [1, 3, 2, 9]
    assert table.user.tolist() == [0, 0, 1, 1]
    assert table.starts_user().tolist() == [True, False, True, False]


def test_an_event_sent_twice_is_kept_once_for_its_user() -> None:
    events = [
        event("ada", 5, name="x"),
        event("ada", 1, name="x"),
        event("bob", 1, name="x"),
        event("ada", 7, name="y"),
    ]
    table = EventTable.from_events(events)
    assert ((table.times_ms - START_MS) // MINUTE_MS).tolist() == [1, 7, 1]


def test_labels_by_hand() -> None:
    table = EventTable.from_events(
        [
            event("ada", 0),
            event("ada", 10, kind=EventType.CART),
            event("ada", 50),  # 40 minutes later: a new session
            event("bob", 30),  # silent for an hour at the end
            event("eve", 70),  # followed at once, but a silence until 100 would not have been seen
            event("eve", 71),  # silent for 19 minutes at the end: could still go on
        ]
    )
    labels = labels_of(table, START_MS + 90 * MINUTE_MS)
    cart = ACTION_NAMES.index("cart")
    assert labels.next_action.tolist() == [cart, NONE, NONE, NONE, MASKED, MASKED]
    assert labels.next_event.tolist() == [1, MASKED, MASKED, MASKED, 5, MASKED]
    assert labels.returned.tolist() == [True, True, False, False, True, False]
    assert (labels.gap_ms // MINUTE_MS).tolist() == [10, 40, 40, 60, 1, 19]


def test_whole_sequences_end_where_they_end() -> None:
    labels = labels_of(EventTable.from_events([event("ada", 0), event("ada", 1)]), None)
    assert labels.next_action.tolist() == [0, NONE]


def test_a_broken_clock_has_no_negative_gap() -> None:
    table = EventTable.from_events([event("ada", 0), event("ada", 500)])
    assert labels_of(table, START_MS + MINUTE_MS).gap_ms.tolist() == [500 * MINUTE_MS, 0]


def test_no_event_makes_an_empty_table() -> None:
    table = EventTable.from_events([])
    assert len(table) == 0
    assert len(windows_of(table, 5).start) == 0
    assert rows_of(b"").shape == table.rows.shape
