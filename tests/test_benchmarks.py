"""The arithmetic of the benchmarks, by hand: nobody would notice what a wrong sum says of the product."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.competitors.same_gru import ROW_BYTES, TYPES, WINDOW, SameGru, pushed
from benchmarks.support.figures import fall, latencies_ms, median_ratio, percentile, spread
from benchmarks.support.paced import Seen
from benchmarks.support.prefill import BETWEEN_EVENTS_MS, Fill, partition_of
from benchmarks.support.reader import Reading, prediction_id
from benchmarks.support.workload import START_MS, Workload
from model_store.stepping import GruCell
from model_store.windows import kept_after_overflow

Weights = dict[str, npt.NDArray[np.float32]]


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
    assert (
        Reading(records=1_300, distinct=1_200, first=50, counted_from=200, seconds=2.0).records_per_s == 500
    )


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


def write_network(
    directory: Path, units: int, random: np.random.Generator
) -> dict[str, npt.NDArray[np.float32]]:
    """Write the files that a competitor reads of an artifact: 3 items, 2 categories, 4 numeric features."""
    shape = {
        "action_names": ["view", "none"],
        "item_logit_scale": 14.0,
        "units": units,
        "item_dimensions": 5,
        "event_type_dimensions": 2,
        "category_dimensions": 3,
        "churn_horizon_ms": 1_500,
        "hazard_edges_ms": [0, 1_000],
    }
    words = {"items": ["", "a", "b", "c"], "categories": ["", "x", "y"]}
    (directory / "network.json").write_text(json.dumps(shape))
    (directory / "encoder.json").write_text(json.dumps(words))
    known = units + 6 + 4
    sizes = {
        "item_vectors": (4, 5),
        "event_type_vectors": (6, 2),
        "category_vectors": (3, 3),
        "gru_kernel": (5 + 2 + 3 + 4, 3 * units),
        "gru_recurrent_kernel": (units, 3 * units),
        "gru_bias": (2, 3 * units),
        "action_kernel": (known, 2),
        "action_bias": (2,),
        "hazard_kernel": (known, 2),
        "hazard_bias": (2,),
        "query_kernel": (units + 5, 5),
        "query_bias": (5,),
    }
    weights = {name: random.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    np.savez(directory / "weights.npz", allow_pickle=False, **weights)
    return weights


def test_the_competitors_gru_is_ours(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    weights = write_network(tmp_path, 4, random)
    model = SameGru(tmp_path)
    kinds = ("view", "cart", "purchase", "search")
    events: list[dict[str, Any]] = [
        {
            "item_id": "abc"[number % 3],
            "event_type": kinds[number % 4],
            "category": "x",
            "price": float(number),
            "event_time_ms": 1_000 * number**2,
        }
        for number in range(7)
    ]
    rows = [model.packed(event) for event in events]
    windows = [b"".join(rows[:2]), b"".join(rows), b"".join(rows[3:4])]
    hidden, _ = model.behind(windows)
    cell = GruCell(weights["gru_kernel"], weights["gru_recurrent_kernel"], weights["gru_bias"])
    for place, of_window in enumerate((events[:2], events, events[3:4])):
        state, before_ms = np.zeros((1, 4), np.float32), None
        for event in of_window:
            now_ms = event["event_time_ms"]
            gap = math.log1p(now_ms - before_ms) if before_ms is not None else 0.0
            numbers = np.array([math.log1p(event["price"]), gap, 0, 0], np.float32)
            code = TYPES.index(event["event_type"])
            item = "abc".index(event["item_id"]) + 1
            vectors = (weights["item_vectors"][item], weights["event_type_vectors"][code])
            read = np.concatenate([*vectors, weights["category_vectors"][1], numbers])
            state = cell.step(state, read[None])
            before_ms = now_ms
        np.testing.assert_allclose(hidden[place], state[0], atol=1e-5)


def test_the_competitors_churn_is_the_survival_at_the_horizon(tmp_path: Path) -> None:
    write_network(tmp_path, 4, np.random.default_rng(3))
    # The first bin is 1 s long, the open one in stretches of that length; the horizon is 1.5 s.
    churn = SameGru(tmp_path).churn(np.array([[0.5, 0.75]], np.float32))
    assert churn[0] == pytest.approx(0.5 * 0.25**0.5)


PINNED = sorted((Path(__file__).parents[1] / "benchmarks" / "competitors").glob("*.txt"))


@pytest.mark.parametrize("path", PINNED, ids=lambda path: path.name)
def test_competitors_are_pinned_by_name_version_and_hash(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines() if not line.strip().startswith("#")]
    assert any("==" in line for line in lines)
    for line in lines:
        assert not line or "==" in line or line.startswith("--hash=sha256:"), line
