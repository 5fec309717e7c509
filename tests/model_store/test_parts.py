"""Parts of a log in time."""

import numpy as np
import pytest

from model_store.errors import TrainingError
from model_store.parts import Part, part_between, split_log, time_at_share
from model_store.sequences import EventTable
from producers.events import Event, EventType

START_MS = 1_700_000_000_000


def table_of(*times: tuple[str, int]) -> EventTable:
    return EventTable.from_events(
        Event(
            event_id=f"{place}",
            user_id=user,
            event_type=EventType.VIEW,
            event_time_ms=START_MS + at_ms,
            item_id="cup",
        )
        for place, (user, at_ms) in enumerate(times)
    )


def scored_times(part: Part) -> list[int]:
    return sorted((part.table.times_ms[part.scored] - START_MS).tolist())


def test_a_share_of_the_time_is_linear_between_the_first_and_the_last() -> None:
    assert time_at_share(np.array([500, 0, 100, 1000]), 0.6) == 600


def test_a_few_broken_clocks_do_not_move_the_shares() -> None:
    times = np.append(np.arange(10_000, 20_001), [-(10**12), 10**12])
    assert time_at_share(times, 0.0) == 10_000
    assert time_at_share(times, 1.0) == 20_000


def test_parts_in_time_keep_the_history_and_hide_the_future() -> None:
    table = table_of(*(("ada", at) for at in range(0, 1001, 10)))
    split = split_log(table, train_until=0.6, test_from=0.8, validation_share=0.25, timed=True)
    assert scored_times(split.fitting) == list(range(0, 450, 10))
    assert scored_times(split.validation) == list(range(450, 600, 10))
    assert scored_times(split.whole) == list(range(0, 600, 10))
    assert split.test is not None
    assert scored_times(split.test) == list(range(800, 1001, 10))
    assert len(split.validation.table) == 60  # the fitted ones are its history
    assert len(split.test.table) == 101
    assert split.fitting.until_ms == START_MS + 450


def test_a_log_that_is_dense_at_its_start_still_has_a_validation_part() -> None:
    table = table_of(*(("ada", at) for at in range(100)), ("ada", 10_000))
    split = split_log(table, train_until=1.0, test_from=1.0, validation_share=0.15, timed=True)
    assert int(split.validation.scored.sum()) == 16  # 15 % of 101, rounded up
    assert split.test is None


def test_without_times_users_stay_whole() -> None:
    table = table_of(*((f"user {user}", user * 10 + place) for user in range(10) for place in range(3)))
    split = split_log(table, train_until=0.8, test_from=0.8, validation_share=0.25, timed=False)
    sizes = [len(part.table) for part in (split.fitting, split.validation, split.whole)]
    assert sizes == [18, 6, 24]
    assert split.test is not None
    assert scored_times(split.test) == [80, 81, 82, 90, 91, 92]
    assert split.fitting.until_ms is None


@pytest.mark.parametrize("shares", [(0.0, 0.5, 0.1), (0.7, 0.6, 0.1), (0.5, 1.1, 0.1), (0.5, 0.6, 1.0)])
def test_shares_that_do_not_ascend_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(TrainingError, match="ascend"):
        split_log(
            table_of(("ada", 0)),
            train_until=shares[0],
            test_from=shares[1],
            validation_share=shares[2],
            timed=True,
        )


@pytest.mark.parametrize("timed", [True, False])
def test_an_empty_log_is_refused(timed: bool) -> None:
    with pytest.raises(TrainingError, match="no event"):
        part_between(table_of(), 0.0, 1.0, timed=timed)
