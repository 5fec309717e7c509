"""Every feature against plain Python over lists of events, and the same numbers in any company."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.encoder import Encoder
from model_store.features.groups import GROUP_NAMES
from model_store.features.statistics import EncoderStatistics
from model_store.features.table import FEATURES, companion_features, features_of
from model_store.lookback import lookback_of_windows
from model_store.windows import fingerprint, inserted, pack_row, rows_of
from producers.contract import SESSION_GAP_MS
from producers.events import Event, EventType

MONDAY_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
DAY_MS = 86_400_000
LOOKBACK = 20
NEVER = 0.2 * math.log1p(90 * 86_400)
REMOVE = EventType.REMOVE_FROM_CART
TYPES = (EventType.VIEW, EventType.CART, EventType.PURCHASE)
SHOP = (2.0, 0.5)
KITCHEN = (1.0, 2.0)
STATISTICS = EncoderStatistics(
    *SHOP,
    timed=True,
    daily=True,
    weekly=True,
    priced=True,
    category_prices=(SHOP, KITCHEN),
    event_types=(0, 1, 4),
    devices=(fingerprint("phone", 8), fingerprint("tablet", 8)),
    sources=(fingerprint("advert", 8),),
    events=100_000,
    categories=2,
)
ENCODER = Encoder(
    ["", "cup"],
    ["", "kitchen"],
    np.ones(2, np.int64),
    STATISTICS,
    features_of(GROUP_NAMES, STATISTICS),
)


def plain_features(window: list[Event]) -> dict[str, list[float]]:
    """The features of the newest event of ``window``, worked out from the events themselves."""
    event, past = window[-1], window[:-1][::-1][:LOOKBACK]
    session = 0
    for later, earlier in pairwise([event, *past]):
        if starts(later, earlier):
            break
        session += 1
    same = [place for place, one in enumerate(past, 1) if event.item_id and one.item_id == event.item_id]
    category = [
        place for place, one in enumerate(past, 1) if event.category and one.category == event.category
    ]
    looks = 0
    for one in [event, *past[:session]]:
        if one.event_type not in (EventType.VIEW, EventType.SEARCH):
            break
        looks += 1
    moment = datetime.fromtimestamp(event.event_time_ms / 1000, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    logarithm = None if event.price is None else float(np.float16(math.log1p(event.price)))
    of_category = KITCHEN if event.category == "kitchen" else SHOP
    return {
        "no_previous": [not past],
        "starts_session": [not past or starts(event, past[0])],
        "same_item_as_previous": [1 in same],
        "log_price": [scaled(logarithm, SHOP)],
        "price_absent": [logarithm is None],
        "price_in_category": [min(max(scaled(logarithm, of_category), -4.0), 4.0)],
        "item_seen": [math.log2(1 + len(same))],
        "item_recency": [1 / same[0] if same else 0.0],
        "category_seen": [math.log2(1 + len(category))],
        "type_counts": [math.log2(1 + sum(one.event_type is kind for one in past)) for kind in TYPES],
        "cart_size": [math.log2(1 + cart_size([event, *past]))],
        "looks_in_a_row": [math.log2(1 + looks)],
        "log_gap": [seconds(event, past[0]) if past else 0.0],
        "hour": circle((moment - midnight).total_seconds() / 86_400),
        "weekday": circle(moment.weekday() / 7),
        "session_position": [math.log2(1 + session)],
        "session_types": [
            math.log2(1 + sum(one.event_type is kind for one in past[:session])) for kind in TYPES
        ],
        "session_time": [seconds(event, [event, *past][session])],
        "device": [event.device == "phone", event.device == "tablet", event.device == "tv", not event.device],
        "same_category_as_previous": [
            bool(past) and bool(event.category) and event.category == past[0].category
        ],
        "gap_marks": marks(event, past[0]) if past else [0.0] * 14,
        "source": [event.source == "advert", event.source == "email", event.source is None],
        "last_types": [
            len(past) > back and past[back].event_type is kind for back in (0, 1) for kind in TYPES
        ],
        "type_recency": [
            next((seconds(event, one) for one in [event, *past] if one.event_type is kind), NEVER)
            for kind in TYPES
        ],
        "last_gaps": [
            seconds(past[back], past[back + 1]) if len(past) > back + 1 else NEVER for back in (0, 1)
        ],
        "history_position": [math.log2(1 + len(past))],
        "cart_held": [math.log2(1 + cart_held([event, *past][::-1]))],
        "session_gaps": faded([gap_bin(*pair) for pair in pairwise([event, *past[:session]])], 6),
        "session_looks": faded([look(*pair) for pair in pairwise([event, *past[:session]])], 3),
    }


def cart_size(events: list[Event]) -> int:
    types = [one.event_type for one in events]
    return max(types.count(EventType.CART) - types.count(EventType.PURCHASE) - types.count(REMOVE), 0)


def cart_held(events: list[Event]) -> int:
    """What is in a cart that held at first just what these events, the oldest first, could not do without."""
    put_in = {EventType.CART: 1, EventType.PURCHASE: -1, REMOVE: -1}
    for at_first in range(len(events) + 1):
        held = [*accumulate((put_in.get(one.event_type, 0) for one in events), initial=at_first)]
        if min(held) >= 0:
            return held[-1]
    raise AssertionError("no more can leave a cart than there are events")


def gap_bin(later: Event, earlier: Event) -> int:
    return sum(later.event_time_ms - earlier.event_time_ms >= 1_000 * end for end in (3, 10, 30, 100, 300))


def look(later: Event, earlier: Event) -> int | None:
    if later.event_type is not EventType.VIEW or earlier.item_id is None:
        return None
    if later.item_id == earlier.item_id:
        return 0
    return 1 if later.category and later.category == earlier.category else 2


def faded(bins: list[int] | list[int | None], count: int) -> list[float]:
    """How many there are in each of ``count`` bins, the newest first, each 0.85 of the one after it."""
    return [math.fsum(0.85**back for back, one in enumerate(bins) if one == each) for each in range(count)]


def starts(later: Event, earlier: Event) -> bool:
    if later.session_id is not None and earlier.session_id is not None:
        return later.session_id != earlier.session_id
    return later.event_time_ms - earlier.event_time_ms > SESSION_GAP_MS


def seconds(later: Event, earlier: Event) -> float:
    return 0.2 * math.log1p((later.event_time_ms - earlier.event_time_ms) / 1000)


def marks(later: Event, earlier: Event) -> list[float]:
    """The 14 hat functions over the logarithm of the gap, a second to 30 days, each 0 at its neighbours."""
    spaced = np.geomspace(1, 30 * 86_400, 14)
    gap_s = min(max((later.event_time_ms - earlier.event_time_ms) / 1000, 1), 30 * 86_400)
    return [float(np.interp(math.log(gap_s), np.log(spaced), hat)) for hat in np.eye(14)]


def scaled(value: float | None, mean_and_deviation: tuple[float, float]) -> float:
    return 0.0 if value is None else (value - mean_and_deviation[0]) / mean_and_deviation[1]


def circle(share: float) -> list[float]:
    return [math.sin(2 * math.pi * share), math.cos(2 * math.pi * share)]


@st.composite
def windows(draw: st.DrawFn, most: int = 24) -> list[Event]:
    """Events of one user in order of time, often close together and often alike."""
    gaps = st.sampled_from([0, 1, 999, 3_000, 29_999, 60_000, SESSION_GAP_MS, SESSION_GAP_MS + 1, DAY_MS])
    time_ms = MONDAY_MS + draw(st.integers(0, 30 * DAY_MS))
    events = []
    for number in range(draw(st.integers(1, most))):
        time_ms += draw(gaps)
        kind = draw(st.sampled_from([*TYPES, EventType.SEARCH, REMOVE]))
        event = Event(
            event_id=f"{number}",
            user_id="ada",
            event_type=kind,
            event_time_ms=time_ms,
            item_id=None if kind is EventType.SEARCH else draw(st.sampled_from(["cup", "pot", "jar"])),
            category=draw(st.sampled_from(["kitchen", "garden", None])),
            session_id=draw(st.sampled_from(["a", "b", None])),
            price=draw(st.sampled_from([None, 0.0, 9.99, 1e9])),
            device=draw(st.sampled_from(["phone", "tablet", "tv", None])),
            source=draw(st.sampled_from(["advert", "email", None])),
        )
        events.append(event)
    return events


def packed(window: list[Event]) -> bytes:
    return b"".join(pack_row(event) for event in window)


def test_the_table_names_each_feature_once_with_its_meaning() -> None:
    names = [feature.name for feature in FEATURES]
    assert len(set(names)) == len(names)
    assert all(feature.meaning.endswith(".") for feature in FEATURES)
    assert {feature.group for feature in FEATURES} == set(GROUP_NAMES)


@given(windows())
def test_each_feature_is_what_plain_python_makes_of_it(window: list[Event]) -> None:
    numeric = ENCODER.encode(*lookback_of_windows([packed(window)])).numeric[0]
    expected = plain_features(window)
    assert set(expected) == {feature.name for feature in FEATURES}
    for name, values in expected.items():
        assert numeric[ENCODER.places[name]].tolist() == pytest.approx([*map(float, values)], abs=1e-5), name


@settings(deadline=None, max_examples=25)
@given(st.lists(windows(), min_size=1, max_size=4), st.integers(1, 25))
def test_a_batch_one_by_one_and_a_rebuilt_window_encode_alike(
    shoppers: list[list[Event]], window_size: int
) -> None:
    kept = [b""] * len(shoppers)
    for place in range(max(map(len, shoppers))):
        running = [number for number, events in enumerate(shoppers) if place < len(events)]
        for number in running:
            kept[number], _, _ = inserted(kept[number], pack_row(shoppers[number][place]), window_size)
        seen = [kept[number] for number in running]
        batch = ENCODER.encode(*lookback_of_windows(seen, ENCODER.lookback_events))
        rows = rows_of(seen)
        lengths = np.array([len(rows_of(window)) for window in seen])
        rebuilt = ENCODER.encode_windows(rows, lengths).take(np.cumsum(lengths) - 1)
        for name in ("item", "event_type", "category", "numeric"):
            values = getattr(batch, name).tolist()
            alone = [getattr(ENCODER.encode_window(rows_of(window)), name)[-1].tolist() for window in seen]
            assert values == getattr(rebuilt, name).tolist() == alone


def test_rows_before_the_lookback_change_nothing() -> None:
    window = [
        Event(
            event_id=f"{number}",
            user_id="ada",
            event_type=EventType.VIEW,
            event_time_ms=MONDAY_MS + number,
            item_id="cup",
            category="kitchen",
        )
        for number in range(40)
    ]
    long = ENCODER.encode(*lookback_of_windows([packed(window)], 39)).numeric
    short = ENCODER.encode(*lookback_of_windows([packed(window[-21:])])).numeric
    assert long.tolist() == short.tolist()
    assert long[0, ENCODER.places["item_seen"]] == pytest.approx(math.log2(21))


def test_features_of_a_companion_stand_beside_those_of_its_network() -> None:
    whole = Encoder(
        ["", "cup"], ["", "kitchen"], np.ones(2, np.int64), STATISTICS, features_of(GROUP_NAMES, STATISTICS)
    )
    few = msgspec.structs.replace(STATISTICS, events=100)
    encoder = Encoder(["", "cup"], ["", "kitchen"], np.ones(2, np.int64), few)
    assert "type_counts" not in encoder.places  # a network would learn it by heart
    encoder.tell_extra(companion_features(encoder.features, few))
    names = [feature.name for feature in encoder.extra]
    assert not set(names) & set(encoder.places)
    assert {"type_counts", "item_seen", "last_types", "history_position"} <= set(names)
    assert not {"cart_held", "session_gaps", "session_looks"} & set(names)
    of_long = {feature.name for feature in companion_features(whole.features[:1], STATISTICS)}
    assert {"cart_held", "session_gaps", "session_looks"} <= of_long
    assert encoder.lookback_events == LOOKBACK
    window = packed(
        [
            Event(event_id=f"{n}", user_id="ada", event_type=EventType.VIEW, event_time_ms=MONDAY_MS + n)
            for n in range(3)
        ]
    )
    inputs, all_of_them = (one.encode(*lookback_of_windows([window])) for one in (encoder, whole))
    assert inputs.extra is not None
    assert inputs.numeric.shape == (1, encoder.numeric_features)
    wanted = [all_of_them.numeric[0, whole.places[name]] for name in names]
    assert inputs.extra[0].tolist() == np.concatenate(wanted).tolist()
    assert inputs.take(np.array([0])).extra is not None
