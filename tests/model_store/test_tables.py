"""Tables on disk against the table in memory, and arrays in stretches against arrays whole."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.chunks import chunk_bounds, counted
from model_store.parts import Part, sampled_by_user
from model_store.sequences import EventTable, known_until_ms, labels_at, labels_of, windows_of
from model_store.tables import StoredTable, build_table
from model_store.tables.array_file import ArrayFile
from producers.events import Event, EventType

START_MS = 1_700_000_000_000


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(list(EventType)))
    return Event(
        event_id=draw(st.sampled_from("abcdefgh")),
        user_id=draw(st.sampled_from(["ada", "bob", "eve", "żółw"])),
        event_type=kind,
        event_time_ms=START_MS + draw(st.integers(0, 9)),
        item_id=None if kind == EventType.SEARCH else draw(st.sampled_from(["cup", "tee", "ümlaut"])),
        session_id=draw(st.none() | st.sampled_from(["s1", "s2"])),
        category=draw(st.none() | st.sampled_from(["home", "garden"])),
        price=draw(st.none() | st.floats(0, 1e9)),
    )


logs = st.lists(events(), max_size=40)
on_disk = settings(max_examples=30, deadline=None)  # how long files take depends on what else runs


@on_disk
@given(logs, st.integers(1, 7))
def test_one_partition_is_the_table_in_memory(log: list[Event], held_events: int) -> None:
    expected = EventTable.from_events(log)
    with TemporaryDirectory() as place:
        table = build_table(log, Path(place) / "table", partitions=1, held_events=held_events)
        assert table.rows.tobytes() == expected.rows.tobytes()
        assert table.user.tolist() == expected.user.tolist()
        assert table.times_ms.tolist() == expected.times_ms.tolist()
        again = StoredTable.open(table.directory)
        assert (again.item_ids, again.category_names) == (expected.item_ids, expected.category_names)
        assert again.rows.tobytes() == table.rows.tobytes()


def users_of(table: EventTable) -> list[bytes]:
    """Return each user's rows, users in any order of their own."""
    starts = np.flatnonzero(table.starts_user())
    return sorted(part.tobytes() for part in np.split(np.array(table.rows), starts[1:]))


@on_disk
@given(logs, st.integers(2, 5))
def test_partitions_only_change_the_order_of_users(log: list[Event], partitions: int) -> None:
    with TemporaryDirectory() as place:
        table = build_table(log, Path(place) / "table", partitions=partitions, held_events=3)
        assert users_of(table) == users_of(EventTable.from_events(log))
        assert (np.diff(table.user) >= 0).all()
        assert len(np.unique(table.user)) == np.count_nonzero(table.starts_user())


@pytest.fixture
def shop(tmp_path: Path) -> tuple[StoredTable, EventTable]:
    """Five users in turn, two hundred events, some of them stray in time."""
    log = [
        Event(
            event_id=f"{place}",
            user_id=f"user {place % 5}",
            event_type=EventType.VIEW,
            event_time_ms=START_MS + 37 * place % 101,
            item_id=f"item {place % 17}",
        )
        for place in range(200)
    ]
    return build_table(log, tmp_path / "table", partitions=1), EventTable.from_events(log)


def test_a_part_on_disk_is_the_part_in_memory(shop: tuple[StoredTable, EventTable]) -> None:
    stored, whole = shop
    kept = np.arange(200) % 3 > 0
    part, expected = stored.where(kept), whole.where(kept)
    assert part.rows.tobytes() == expected.rows.tobytes()
    assert part.user.tolist() == expected.user.tolist()
    assert part.times_ms.tolist() == expected.times_ms.tolist()
    assert stored.where(np.ones(200, bool)) is stored
    assert isinstance(part, StoredTable)
    assert part.rows.flags.writeable is False


def test_users_start_where_they_do_across_stretches(
    shop: tuple[StoredTable, EventTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, whole = shop
    expected = whole.starts_user().tolist()
    for length in (1, 39, 40, 41):
        monkeypatch.setattr("model_store.tables.stored.CHUNK_EVENTS", length)
        assert stored.starts_user().tolist() == expected


def test_a_second_build_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    table = build_table([], tmp_path)
    assert len(table) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "rows.npy",
        "texts.json",
        "times_ms.npy",
        "user.npy",
    ]


@given(st.integers(0, 50), st.integers(1, 60))
def test_stretches_cover_everything_once(count: int, length: int) -> None:
    places = [place for start, end in chunk_bounds(count, length) for place in range(start, end)]
    assert places == list(range(count))


@given(st.lists(st.lists(st.integers(0, 5), max_size=20), max_size=6))
def test_counts_over_parts_are_the_counts_of_all(parts: list[list[int]]) -> None:
    values, counts = counted(np.array(part, np.uint64) for part in parts)
    everything = np.array([value for part in parts for value in part], np.uint64)
    expected, times = np.unique(everything, return_counts=True)
    assert values.tolist() == expected.tolist()
    assert counts.tolist() == times.tolist()


def test_an_appended_array_is_an_npy_file(tmp_path: Path) -> None:
    dtype = np.dtype([("low", "<u4"), ("high", "<u2")])
    values = np.arange(14).astype(np.uint16).view(np.uint8)[:24].view(dtype)
    file = ArrayFile(tmp_path / "array.npy", dtype)
    for part in (values[:1], values[1:1], values[1:]):
        file.append(part)
    file.close()
    assert np.load(tmp_path / "array.npy", allow_pickle=False).tobytes() == values.tobytes()


def test_windows_do_not_depend_on_how_many_users_are_cut_at_once(
    shop: tuple[StoredTable, EventTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, whole = shop
    expected = [column.tolist() for column in windows_of(whole, 7)]
    for users in (1, 2, 4):
        monkeypatch.setattr("model_store.sequences._USERS_AT_ONCE", users)
        assert [column.tolist() for column in windows_of(stored, 7)] == expected


@given(logs.filter(len), st.integers(0, 12), st.data())
def test_labels_of_a_few_events_are_those_of_all(
    log: list[Event], after_ms: int, data: st.DataObject
) -> None:
    table = EventTable.from_events(log)
    index = np.array(data.draw(st.lists(st.integers(0, len(table) - 1), max_size=9)), np.int64)
    for until_ms in (None, START_MS + after_ms):
        whole, end_ms = labels_of(table, until_ms), known_until_ms(table, until_ms)
        few = labels_at(table, index, until_ms, end_ms)
        assert [column.tolist() for column in few] == [column[index].tolist() for column in whole]


def test_a_large_part_is_measured_by_whole_users_drawn_at_random(
    shop: tuple[StoredTable, EventTable],
) -> None:
    for table in shop:
        part = Part(table, np.arange(200) % 4 > 0, None)  # 30 scored events of each of five users
        few = sampled_by_user(part, 65)
        assert sampled_by_user(part, 150) is part
        assert len(few.table) == 80  # two users of 40 events
        assert np.count_nonzero(few.scored) == 60
        assert set(users_of(few.table)) < set(users_of(table))
        assert len(sampled_by_user(part, 1).table) == 40
