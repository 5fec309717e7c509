"""Churn's statistics, periods, cut-offs and BG/NBD against plain lists and cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreclick.checking.churn_correction import numbers_of
from model_store.churn.bgnbd import BgNbd, History
from model_store.churn.correction import CHURN_FILE, ChurnCorrection
from model_store.churn.cutoffs import DAY_MS, cutoff_rows
from model_store.churn.person_periods import person_periods
from model_store.churn.visits import VISIT_LOOKBACK, VISIT_NAMES, visit_statistics
from model_store.errors import FileCorruptError
from model_store.lookback import lookback_of_windows
from model_store.sequences import EventTable
from model_store.windows import pack_row
from producers.events import Event, EventType

START_MS = 1_700_006_400_000
gaps_of_a_window = st.lists(st.integers(0, 10 * DAY_MS), min_size=0, max_size=80)


def event(user: int, at_ms: int) -> Event:
    return Event(
        event_id=f"{user}-{at_ms}",
        user_id=f"u{user}",
        event_type=EventType.VIEW,
        event_time_ms=START_MS + at_ms,
        item_id="a",
    )


@given(gaps_of_a_window)
def test_the_statistics_are_those_of_a_plain_list_of_visits(gaps_ms: list[int]) -> None:
    times_ms = np.concatenate([[0], np.cumsum(np.array(gaps_ms, np.int64))]).tolist()
    window = b"".join(pack_row(event(1, time_ms)) for time_ms in times_ms)
    found = visit_statistics(*lookback_of_windows([window], VISIT_LOOKBACK))
    assert found[0].tolist() == pytest.approx(numbers_of(times_ms), rel=1e-5, abs=1e-5)


def test_a_silence_gives_a_row_for_each_bin_that_was_seen_whole() -> None:
    rows = person_periods(np.array([15, 25, 5]), np.array([True, False, True]), (0, 10, 20), 1)
    found = {(int(s), int(b)): bool(e) for s, b, e in zip(*rows, strict=True)}
    assert found == {(0, 1): True, (1, 1): False}


def test_a_user_counts_at_a_cutoff_if_active_before_and_churns_if_nothing_follows() -> None:
    table = EventTable.from_events([event(1, 0), event(1, 5 * DAY_MS), event(2, 0), event(3, 9 * DAY_MS)])
    rows = cutoff_rows(table, np.array([START_MS + 2 * DAY_MS]), 3 * DAY_MS)
    assert rows.silent_ms.tolist() == [2 * DAY_MS, 2 * DAY_MS]
    assert rows.churned.tolist() == [True, True]  # an event at the horizon's end comes too late
    longer = cutoff_rows(table, np.array([START_MS + 2 * DAY_MS]), 3 * DAY_MS + 1)
    assert longer.churned.tolist() == [False, True]
    assert len(cutoff_rows(table, np.array([START_MS + 2 * DAY_MS]), DAY_MS, active_ms=DAY_MS).user) == 0


def test_bgnbd_says_what_the_paper_says() -> None:
    """The estimates that Fader, Hardie and Lee (2005) print for CDNOW; without a repeat, nobody has left."""
    model = BgNbd(0.243, 4.414, 0.793, 2.426)
    history = History(np.array([2.0, 0.0]), np.array([30.43, 0.0]), np.array([38.86, 38.86]))
    r, alpha, a, b = model
    ratio = a / (b + 2 - 1) * ((alpha + 38.86) / (alpha + 30.43)) ** (r + 2)
    alive = 1 / (1 + ratio)  # P(alive), their equation of the companion note
    silent = alive * ((alpha + 38.86) / (alpha + 38.86 + 10)) ** (r + 2) + 1 - alive
    never = (alpha + 38.86) ** r / (alpha + 48.86) ** r
    assert model.silent_probability(history, 10.0).tolist() == pytest.approx([silent, never])


def test_a_correction_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    correction = ChurnCorrection(
        np.array([1.0, 2.0]), np.full((len(VISIT_NAMES), 2), 0.5), np.array([0.0, -1.0])
    )
    assert ChurnCorrection.load(tmp_path, 2) is None
    correction.save(tmp_path)
    loaded = ChurnCorrection.load(tmp_path, 2)
    assert loaded is not None
    visits = np.zeros((1, len(VISIT_NAMES)), np.float32)
    visits[0, 0] = 1.0
    corrected = loaded(np.array([[0.5, 0.5]], np.float32), visits)
    assert corrected[0].tolist() == pytest.approx([1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(0.5))])
    with pytest.raises(FileCorruptError, match="another network"):
        ChurnCorrection.load(tmp_path, 3)
    (tmp_path / CHURN_FILE).write_bytes(b"no archive")
    with pytest.raises(FileCorruptError, match="cannot be read"):
        ChurnCorrection.load(tmp_path, 2)
