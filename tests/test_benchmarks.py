"""The arithmetic of the benchmarks, by hand: nobody would notice what a wrong sum says of the product."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.competitors.same_gru import ROW_BYTES, WINDOW, pushed
from benchmarks.support.figures import fall, latencies_ms, median_ratio, percentile, spread
from benchmarks.support.paced import Seen
from benchmarks.support.prefill import BETWEEN_EVENTS_MS, Fill, partition_of
from benchmarks.support.reader import Reading, prediction_id
from benchmarks.support.workload import START_MS, Workload
from model_store.windows import kept_after_overflow


def test_a_stall_counts_from_when_each_event_was_due() -> None:
    # Four events, 10 ms apart; the system stalls for 35 ms and then answers all at once.
    due_s = [0.0, 0.01, 0.02, 0.03]
    assert latencies_ms(due_s, [0.035, 0.035, 0.035, 0.035]) == pytest.approx([35, 25, 15, 5])


def test_lost_events_have_no_latency_but_are_counted() -> None:
    seen = Seen([1.002, None, 1.021, None])
    assert seen.lost == 2
    assert seen.latencies_ms(1.0, rate=100) == pytest.approx([2, 1])


def test_a_stretch_of_a_run_keeps_its_own_schedule() -> None:
    seen = Seen([5.001, 5.104, 5.203, 5.302])
    assert seen.latencies_ms(5.0, rate=10, first=1, end=3) == pytest.approx([4, 3])


def test_percentiles_are_of_what_there_is() -> None:
    assert percentile(list(range(101)), 99) == 99
    assert math.isnan(percentile([], 50))


def test_a_fall_is_the_share_that_is_lost_round_by_round() -> None:
    assert fall([100.0, 200.0, 50.0], [75.0, 150.0, 25.0]) == 0.25  # 0.25, 0.25 and 0.5
    assert fall([100.0], [110.0]) == -0.1


def test_ratios_are_of_the_same_round() -> None:
    # On a machine that slows down by half, the ratio stays what it is.
    assert median_ratio([40_000.0, 20_000.0], [10_000.0, 5_000.0]) == 4.0
    assert spread([3.0, 1.0, 2.0]) == [1.0, 3.0]


def test_the_first_fetch_is_left_out_of_the_rate() -> None:
    assert Reading(records=1_300, distinct=1_200, counted_from=200, seconds=2.0).records_per_s == 500


def test_an_id_is_read_without_decoding() -> None:
    assert prediction_id(b'{"prediction_id":"topic-3-14","user_id":"u"}') == b"topic-3-14"


# From Kafka's own test of its default partitioner, `UtilsTest.testMurmur2`: "foobar" → -790332482,
# "a-little-bit-long-string" → -985981536; the sign's bit is dropped.
@pytest.mark.parametrize(
    ("key", "murmur2"), [(b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_states_lie_in_the_partition_that_a_producer_chooses(key: bytes, murmur2: int) -> None:
    assert partition_of(key, 6) == (murmur2 & 0x7FFFFFFF) % 6


@given(window_size=st.integers(2, 40))
def test_filled_windows_are_as_between_two_overflows(window_size: int) -> None:
    fill = Fill(users=10, items=5, window_size=window_size)
    windows = fill.windows()
    lengths = {len(window) for window in windows}
    assert min(lengths) > kept_after_overflow(window_size)
    assert max(lengths) <= window_size
    for window in windows[:20]:
        times_ms = [event.event_time_ms for event in window]
        assert times_ms == sorted(times_ms)
        assert times_ms[-1] <= START_MS - BETWEEN_EVENTS_MS
    assert fill.windows() == windows


def test_a_users_fill_is_in_its_own_name() -> None:
    fill = Fill(users=10, items=5, window_size=4, full=True)
    windows = fill.windows()
    mine = fill.of_user("user-0000003", windows)
    assert [event.event_id for event in mine] == [event.event_id for event in windows[3]]
    assert {event.user_id for event in mine} == {"user-0000003"}
    assert len(mine) == 4


def test_a_competitors_window_holds_the_newest_events() -> None:
    window = None
    for number in range(WINDOW + 5):
        window = pushed(window, bytes([number]) * ROW_BYTES)
    assert window is not None
    assert len(window) == WINDOW * ROW_BYTES
    assert (window[0], window[-1]) == (5, WINDOW + 4)


def test_a_paced_workload_keeps_its_times_and_ids_apart() -> None:
    events = list(Workload(3, 2, 2, prefix="paced7", start_ms=1_000, spacing_ms=2.5))
    assert [event.event_time_ms for event in events] == [1_000, 1_002, 1_005]
    assert [event.event_id for event in events] == [f"paced7-00000000{number}" for number in range(3)]


PINNED = sorted((Path(__file__).parents[1] / "benchmarks" / "competitors").glob("*.txt"))


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_competitors_are_pinned_by_name_version_and_hash(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if not line.strip().startswith("#")]
    assert any("==" in line for line in lines)
    for line in lines:
        assert not line or "==" in line or line.startswith("--hash=sha256:"), line
