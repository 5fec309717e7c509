"""What followed, on a log of one day and on one of minutes."""

import pytest

from model_store.errors import TrainingError
from model_store.evaluating.truth import NONE, PURCHASE, evaluation_parts, truth_of
from model_store.specification import ACTION_NAMES
from model_store.windows import SESSION_GAP_MS, item_fingerprint
from producers.events import EventType
from tests.model_store.evaluating.logs import MINUTE_MS, event, table

VIEW, CART = ACTION_NAMES.index("view"), ACTION_NAMES.index("cart")


def test_a_purchase_counts_for_all_events_before_it_in_its_session() -> None:
    log = table(
        event("ada", 0),
        event("ada", 1, EventType.CART, "pot"),
        event("ada", 2, EventType.PURCHASE, "pot"),
        event("ada", 3),
        event("ada", 100),  # another session
        event("bob", 2_000),
    )
    parts = evaluation_parts(log, train_until=0.5, test_from=0.6, timed=True)
    truth = truth_of(parts.training, parts.settling_ms)
    assert truth.next_action.tolist() == [CART, PURCHASE, VIEW, NONE, NONE]
    assert truth.bought.tolist() == [True, True, False, False, False]
    assert truth.next_item.tolist()[:2] == [item_fingerprint("pot")] * 2
    assert truth.next_browse.tolist() == [False, False, True, False, False]
    assert truth.session_known.all()
    assert parts.settling_ms == SESSION_GAP_MS


def test_what_the_end_of_a_part_hides_is_not_asked() -> None:
    log = table(event("ada", 0), event("ada", 20), event("ada", 40), event("bob", 100))
    parts = evaluation_parts(log, train_until=0.41, test_from=0.41, timed=True)
    truth = truth_of(parts.training, 10 * MINUTE_MS)
    # 20 minutes without an event are over the settling time; the event at 40 has 1 minute behind it.
    assert truth.next_action.tolist() == [NONE, NONE]
    assert truth.session_known.tolist() == [False, False]  # it may have gone on behind the part's end


def test_a_log_of_minutes_settles_sooner() -> None:
    log = table(*(event("ada", minute) for minute in range(101)))
    parts = evaluation_parts(log, train_until=0.6, test_from=0.8, timed=True)
    assert parts.settling_ms == 5 * MINUTE_MS  # a quarter of the 20 minutes of validation and of test
    assert len(truth_of(parts.validation, parts.settling_ms)) == 16  # 60 to 75; their part ends before 80
    assert len(truth_of(parts.test, parts.settling_ms)) == 16  # 80 to 95


def test_a_log_without_times_asks_every_event_of_a_user() -> None:
    log = table(*(event(f"user {number}", number) for number in range(10)))
    parts = evaluation_parts(log, train_until=0.6, test_from=0.8, timed=False)
    assert [len(truth_of(part, parts.settling_ms)) for part in parts[:3]] == [6, 2, 2]


@pytest.mark.parametrize("events", [1, 2])
def test_a_log_of_one_moment_leaves_nothing_to_measure(events: int) -> None:
    log = table(*(event(f"user {number}", 0) for number in range(events)))
    parts = evaluation_parts(log, train_until=0.6, test_from=0.75, timed=True)
    assert len(truth_of(parts.training, parts.settling_ms)) == 0


def test_an_empty_log_is_refused() -> None:
    with pytest.raises(TrainingError, match="no event"):
        evaluation_parts(table(), train_until=0.6, test_from=0.75, timed=True)
