"""The accounts of hand-made topics: each way in which a run can go wrong shows in its own number."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from foreclick.checking.accounts import Accounts, account, read_outputs
from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import WindowRule, rule_on

NOON_MS = 1_700_000_000_000


def position(offset: int) -> SourcePosition:
    return SourcePosition("a-topic_id", 0, offset)


def event_record(offset: int, event_id: str, user: str = "ada", time_ms: int = NOON_MS) -> TopicRecord:
    fields = {"event_id": event_id, "user_id": user, "event_type": "view", "event_time_ms": time_ms}
    value = msgspec.json.encode({**fields, "item_id": "kettle"})
    return TopicRecord(position(offset), NOON_MS, user.encode(), value)


def prediction_record(offset: int, event_id: str, view: float = 0.5, **more: Any) -> TopicRecord:
    fields = {
        "prediction_id": f"a-topic_id-0-{offset}",
        "user_id": "ada",
        "event_id": event_id,
        "event_time_ms": NOON_MS,
        "scored_at_ms": NOON_MS + 5,
        "model": {"name": "gru", "version": "1"},
        "next_action": {"view": view, "none": 1 - view},
        "churn": {"probability": 0.25, "horizon_ms": 1000, "alert_at_ms": None},
        "next_items": [{"item_id": "kettle", "score": 2.0}, {"item_id": "toaster", "score": 1.0}],
    }
    return TopicRecord(SourcePosition("out", 0, offset), NOON_MS, b"ada", msgspec.json.encode(fields | more))


def letter(source: TopicRecord, reason: str, value: bytes | None = None) -> TopicRecord:
    headers = (
        ("foreclick.reason", reason.encode()),
        ("foreclick.source", f"a-topic_id-0-{source.position.offset}".encode()),
    )
    value = source.value if value is None else value
    return TopicRecord(SourcePosition("dead", 0, 0), NOON_MS, source.key, value, headers)


EVENTS = [
    event_record(0, "a"),
    event_record(1, "a"),
    event_record(2, "b", time_ms=NOON_MS - 1_000_000),
    event_record(3, "c"),
]
PREDICTIONS = [prediction_record(0, "a"), prediction_record(3, "c")]
DEAD_LETTERS = [letter(EVENTS[2], "too_late")]


def accounts_of(
    predictions: list[TopicRecord], dead_letters: list[TopicRecord], lines: int = 6, duplicated: int = 0
) -> Accounts:
    return account(
        EVENTS,
        rule_on(EVENTS, WindowRule(window_size=20, allowed_lateness_ms=1_000)),
        read_outputs(predictions, dead_letters),
        lines=lines,
        rejected={"column_count": 2},
        duplicated=duplicated,
    )


def test_a_run_without_fault_balances() -> None:
    accounts = accounts_of(PREDICTIONS, DEAD_LETTERS)

    assert (accounts.published, accounts.predictions, accounts.duplicate_events) == (4, 2, 1)
    assert accounts.dead_letters == {"too_late": 1}
    assert (accounts.missing, accounts.republished, accounts.diverged) == (0, 0, 0)
    assert accounts.balanced


def test_an_identical_republication_is_counted_and_is_no_fault() -> None:
    again = prediction_record(3, "c", view=0.50009, scored_at_ms=NOON_MS + 900)

    accounts = accounts_of([*PREDICTIONS, again], [*DEAD_LETTERS, *DEAD_LETTERS])

    assert (accounts.republished, accounts.predictions, accounts.diverged) == (1, 2, 0)
    assert accounts.dead_letters == {"too_late": 1}
    assert accounts.balanced


@pytest.mark.parametrize(
    ("predictions", "dead_letters", "broken"),
    [
        (PREDICTIONS[:1], DEAD_LETTERS, "nothing_missing"),
        ([*PREDICTIONS, prediction_record(3, "c", view=0.6)], DEAD_LETTERS, "nothing_diverged"),
        ([*PREDICTIONS, prediction_record(1, "a")], DEAD_LETTERS, "outcomes_are_disjoint"),
        ([*PREDICTIONS, prediction_record(2, "b")], DEAD_LETTERS, "outcomes_are_disjoint"),
        ([*PREDICTIONS, prediction_record(9, "z")], DEAD_LETTERS, "outcomes_are_published_positions"),
        (PREDICTIONS, [letter(EVENTS[2], "price_not_number")], "window_rule_followed"),
        (PREDICTIONS[:1], [*DEAD_LETTERS, letter(EVENTS[3], "too_late")], "window_rule_followed"),
        (PREDICTIONS, [letter(EVENTS[2], "too_late", value=b"{}")], "dead_letters_unaltered"),
    ],
)
def test_each_fault_breaks_its_own_equation(
    predictions: list[TopicRecord], dead_letters: list[TopicRecord], broken: str
) -> None:
    accounts = accounts_of(predictions, dead_letters)

    assert not accounts.equations[broken]
    assert not accounts.balanced


def test_lines_that_went_nowhere_and_ids_yielded_twice_are_faults() -> None:
    assert not accounts_of(PREDICTIONS, DEAD_LETTERS, lines=7).equations["lines_are_rejected_or_published"]
    assert not accounts_of(PREDICTIONS, DEAD_LETTERS, duplicated=1).equations["nothing_duplicated"]


def test_a_record_without_a_source_position_is_counted_as_unreadable() -> None:
    stray = TopicRecord(SourcePosition("out", 0, 7), NOON_MS, b"ada", b"not json")

    assert accounts_of([*PREDICTIONS, stray], DEAD_LETTERS).unreadable == 1


def test_a_repeat_that_is_too_late_as_well_may_be_a_dead_letter() -> None:
    accounts = accounts_of(PREDICTIONS, [*DEAD_LETTERS, letter(EVENTS[1], "too_late")])

    assert (accounts.duplicate_events, sum(accounts.dead_letters.values())) == (0, 2)
    assert accounts.balanced
