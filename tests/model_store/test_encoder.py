"""The encoder: vocabularies, the order of the features, and its files."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from model_store.encoder import ENCODER_FILE, ITEM_COUNTS_FILE, Encoder
from model_store.errors import FileAbsentError, FileCorruptError, FormatTooNewError, TrainingError
from model_store.features.groups import DEFAULT_GROUPS, GROUP_NAMES
from model_store.features.statistics import DAY_MS, EncoderStatistics
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


def fitted(
    *events: Event, least: int = 1, timed: bool = True, groups: tuple[str, ...] = DEFAULT_GROUPS
) -> Encoder:
    table = EventTable.from_events(events)
    return Encoder.fit(
        table.rows,
        table.item_ids,
        table.category_names,
        min_count=least,
        timed=timed,
        feature_groups=groups,
    )


def test_vocabulary_puts_the_frequent_first_and_leaves_out_the_rare() -> None:
    names = ["cup", "pot", "pot", "pot", "cup", "jar"]
    encoder = fitted(*(event(MONDAY_MS + place, name) for place, name in enumerate(names)), least=2)
    assert encoder.items == ["", "pot", "cup"]
    assert encoder.item_counts.tolist() == [1, 3, 2]  # the jar is unknown
    asked = rows(event(0, "cup"), event(0, "jar"), event(0, "pot"), event(0, "new"), event(0, None))
    assert encoder.item_indices(asked).tolist() == [2, 0, 1, 0, 0]


def test_features_stand_side_by_side_in_the_order_of_the_table() -> None:
    statistics = EncoderStatistics(2.0, 0.5, timed=True, daily=True, weekly=False)
    encoder = Encoder(["", "cup"], [""], np.zeros(2, np.int64), statistics)
    assert {name: (place.start, place.stop) for name, place in encoder.places.items()} == {
        "no_previous": (0, 1),
        "starts_session": (1, 2),
        "same_item_as_previous": (2, 3),
        "log_price": (3, 4),
        "price_absent": (4, 5),
        "log_gap": (5, 6),
        "hour": (6, 8),
    }
    assert encoder.numeric_features == 8
    window = rows(event(MONDAY_MS), event(MONDAY_MS + 31 * 60_000, "cup", price=math.expm1(3.0)))
    second = encoder.encode_window(window).numeric[1].tolist()
    angle = 2 * math.pi * 31 / (24 * 60)
    gap = 0.2 * math.log(1 + 31 * 60)
    expected = [0, 1, 1, 2.0, 0, gap, math.sin(angle), math.cos(angle)]
    assert second == pytest.approx(expected, abs=1e-3)


def test_without_real_times_no_feature_reads_them() -> None:
    encoder = fitted(event(MONDAY_MS), event(MONDAY_MS + 20 * DAY_MS), timed=False)
    early = encoder.encode_window(
        rows(event(MONDAY_MS, session_id="a"), event(MONDAY_MS + 1, session_id="a"))
    )
    late = encoder.encode_window(
        rows(event(MONDAY_MS + 7 * HOUR_MS, session_id="a"), event(MONDAY_MS + 99 * HOUR_MS, session_id="a"))
    )
    assert early.numeric.tolist() == late.numeric.tolist()
    assert encoder.numeric_features == 3  # of the default groups, only what compares two events is left


def test_no_features_at_all_are_no_numbers() -> None:
    encoder = fitted(event(MONDAY_MS), groups=("price",))
    assert encoder.lookback_events == 0
    assert encoder.encode_window(rows(event(MONDAY_MS), event(MONDAY_MS))).numeric.shape == (2, 0)


def test_a_group_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TrainingError, match="no group of features 'moon'; choose from previous"):
        fitted(event(MONDAY_MS), groups=("price", "moon"))


def test_what_is_loaded_encodes_as_what_was_saved(tmp_path: Path) -> None:
    encoder = fitted(
        event(MONDAY_MS, "cup", category="kitchen", price=2.0, device="phone"),
        event(MONDAY_MS + 15 * DAY_MS, "piñata", event_type=EventType.CART, source="advert"),
        groups=GROUP_NAMES,
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
    assert read.numeric.shape == (2, 29)
    assert read.numeric.tolist() == saved.numeric.tolist()


def test_a_feature_of_a_later_release_is_refused(tmp_path: Path) -> None:
    fitted(event(MONDAY_MS)).save(tmp_path)
    stored = msgspec.json.decode((tmp_path / ENCODER_FILE).read_bytes())
    stored["features"].append("phase_of_the_moon")
    (tmp_path / ENCODER_FILE).write_bytes(msgspec.json.encode(stored))
    with pytest.raises(FormatTooNewError, match=r"'phase_of_the_moon'.*update foreclick"):
        Encoder.load(tmp_path)


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
