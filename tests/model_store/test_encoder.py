"""The encoder: features worked out by hand, and the same numbers however events are put together."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.encoder import (
    DAY_MS,
    ENCODER_FILE,
    ITEM_COUNTS_FILE,
    NUMERIC_NAMES,
    Encoder,
    EncoderStatistics,
)
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.lookback import lookback_of_windows
from model_store.sequences import EventTable
from model_store.windows import Rows, pack_row, rows_of
from producers.events import Event, EventType

MONDAY_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
HOUR_MS = 3_600_000


def event(time_ms: int, item: str | None = "cup", **fields: object) -> Event:
    known = {"event_id": f"{time_ms}", "user_id": "ada", "event_type": EventType.VIEW}
    return Event(**(known | {"event_time_ms": time_ms, "item_id": item} | fields))  # type: ignore[arg-type]


def rows(*events: Event) -> Rows:
    return rows_of([pack_row(each) for each in events])


def fitted(*events: Event, least: int = 1, timed: bool = True) -> Encoder:
    table = EventTable.from_events(events)
    return Encoder.fit(table.rows, table.item_ids, table.category_names, min_count=least, timed=timed)


def feature(encoder: Encoder, window: Rows, name: str) -> list[float]:
    values: list[float] = encoder.encode_window(window).numeric[:, NUMERIC_NAMES.index(name)].tolist()
    return values


def test_vocabulary_puts_the_frequent_first_and_leaves_out_the_rare() -> None:
    names = ["cup", "pot", "pot", "pot", "cup", "jar"]
    encoder = fitted(*(event(MONDAY_MS + place, name) for place, name in enumerate(names)), least=2)
    assert encoder.items == ["", "pot", "cup"]
    assert encoder.item_counts.tolist() == [1, 3, 2]  # the jar is unknown
    asked = rows(event(0, "cup"), event(0, "jar"), event(0, "pot"), event(0, "new"), event(0, None))
    assert encoder.item_indices(asked).tolist() == [2, 0, 1, 0, 0]


def test_features_of_a_window_by_hand() -> None:
    encoder = Encoder(["", "cup"], [""], np.zeros(2, np.int64), EncoderStatistics(2.0, 0.5, True, True, True))
    tuesday_6_ms = MONDAY_MS + DAY_MS + 6 * HOUR_MS
    window = rows(
        event(tuesday_6_ms, price=math.expm1(3.0)),
        event(tuesday_6_ms + 99_000),
        event(tuesday_6_ms + 99_000 + 31 * 60_000, "pot"),
    )
    assert feature(encoder, window, "no_previous") == [1, 0, 0]
    assert feature(encoder, window, "starts_session") == [1, 0, 1]
    assert feature(encoder, window, "same_item_as_previous") == [0, 1, 0]
    assert feature(encoder, window, "log_gap")[:2] == pytest.approx([0, 0.2 * math.log(100)])
    assert feature(encoder, window, "hour_sine")[0] == pytest.approx(1)  # a quarter of the day
    assert feature(encoder, window, "hour_cosine")[0] == pytest.approx(0, abs=1e-6)
    assert feature(encoder, window, "weekday_sine")[0] == pytest.approx(math.sin(2 * math.pi / 7))
    assert feature(encoder, window, "log_price") == pytest.approx([(3.0 - 2.0) / 0.5, 0, 0], abs=0.01)
    assert feature(encoder, window, "price_absent") == [0, 1, 1]


def test_cycles_are_learned_only_from_a_log_that_saw_them_twice() -> None:
    def statistics(days: float, *, timed: bool = True) -> tuple[bool, bool]:
        encoder = fitted(event(MONDAY_MS), event(MONDAY_MS + int(days * DAY_MS)), timed=timed)
        return encoder.statistics.daily, encoder.statistics.weekly

    assert statistics(1.9) == (False, False)
    assert statistics(2) == (True, False)
    assert statistics(14) == (True, True)
    assert statistics(14, timed=False) == (False, False)


def test_without_real_times_no_feature_reads_them() -> None:
    encoder = fitted(event(MONDAY_MS), event(MONDAY_MS + 20 * DAY_MS), timed=False)
    early = encoder.encode_window(
        rows(event(MONDAY_MS, session_id="a"), event(MONDAY_MS + 1, session_id="a"))
    )
    late = encoder.encode_window(
        rows(event(MONDAY_MS + 7 * HOUR_MS, session_id="a"), event(MONDAY_MS + 99 * HOUR_MS, session_id="a"))
    )
    assert early.numeric.tolist() == late.numeric.tolist()


def test_one_price_or_none_divides_by_nothing() -> None:
    same = fitted(event(MONDAY_MS, price=5.0), event(MONDAY_MS + 1, price=5.0))
    none = fitted(event(MONDAY_MS))
    for encoder in (same, none):
        assert np.isfinite(encoder.encode_window(rows(event(0, price=5.0), event(0))).numeric).all()


events = st.builds(
    event,
    st.integers(MONDAY_MS, MONDAY_MS + 30 * DAY_MS),
    st.sampled_from(["cup", "pot", "new", None]),
    category=st.sampled_from(["kitchen", "other", None]),
    session_id=st.sampled_from(["a", "b", None]),
    price=st.sampled_from([None, 0.0, 9.99, 1e9]),
)


@given(st.lists(events, min_size=1, max_size=12))
def test_events_one_by_one_and_as_a_window_encode_alike(window: list[Event]) -> None:
    encoder = fitted(event(MONDAY_MS, category="kitchen"), event(MONDAY_MS + 15 * DAY_MS, "pot", price=3.0))
    packed = rows(*window)
    whole = encoder.encode_window(packed)
    for place in range(len(window)):
        read = b"".join(pack_row(each) for each in window[: place + 1])
        single = encoder.encode(*lookback_of_windows([read]))
        for name in ("item", "event_type", "category", "numeric"):
            assert getattr(single, name)[0].tolist() == getattr(whole, name)[place].tolist()


def test_what_is_loaded_encodes_as_what_was_saved(tmp_path: Path) -> None:
    encoder = fitted(
        event(MONDAY_MS, "cup", category="kitchen", price=2.0), event(MONDAY_MS + 15 * DAY_MS, "piñata")
    )
    encoder.save(tmp_path)
    loaded = Encoder.load(tmp_path)
    window = rows(event(MONDAY_MS, "piñata", price=4.0), event(MONDAY_MS + 5, "cup", category="kitchen"))
    assert loaded.items == encoder.items
    assert loaded.item_counts.tolist() == encoder.item_counts.tolist()
    saved, read = encoder.encode_window(window), loaded.encode_window(window)
    assert (
        read.item.tolist()
        == saved.item.tolist()
        == [encoder.items.index("piñata"), encoder.items.index("cup")]
    )
    assert read.category.tolist() == saved.category.tolist() == [0, 1]
    assert read.numeric.tolist() == saved.numeric.tolist()


@pytest.mark.parametrize("name", [ENCODER_FILE, ITEM_COUNTS_FILE])
def test_a_missing_or_broken_file_is_named(tmp_path: Path, name: str) -> None:
    fitted(event(MONDAY_MS)).save(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileCorruptError):
        Encoder.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileAbsentError):
        Encoder.load(tmp_path)
