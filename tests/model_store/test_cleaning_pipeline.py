"""The pipeline on rows made by hand: duplicates, missing values, bots, the artifact, and little logs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from model_store.cleaning.learning import fit_cleaning
from model_store.cleaning.pipeline import ARRAYS_FILE, RULES_FILE, Cleaning, load_cleaning
from model_store.cleaning.report import report_on
from model_store.cleaning.rules import (
    PRICE_COLUMNS,
    USER_COLUMNS,
    IsolationForestRule,
    LocalOutlierFactorRule,
    Missing,
    NearDuplicate,
    Rule,
    SameContent,
    ZScore,
    default_rules,
    rules_of,
)
from model_store.cleaning.sifting import DROPPED, KEPT, LATE, REPEATED, Sieve, Stream, sift_rows
from model_store.cleaning.tables import clean_table
from model_store.errors import CleaningError, FileAbsentError, FileCorruptError
from model_store.sequences import EventTable
from model_store.windows import pack_row, rows_of
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
WINDOW = 20


def event(number: int, at_ms: int, user: str = "ann", **more: object) -> Event:
    made = Event(
        event_id=f"{user}-{number}",
        user_id=user,
        event_type=EventType.VIEW,
        event_time_ms=START_MS + at_ms,
        item_id="kettle",
        category="kitchen",
        price=20.0,
    )
    return msgspec.structs.replace(made, **more)


def shoppers(users: int = 40, events: int = 12, seed: int = 0) -> list[Event]:
    """Unhurried people: a minute or so between events, items and prices of their own."""
    random = np.random.default_rng(seed)
    made = []
    for user in range(users):
        at_ms = 0
        for number in range(events):
            at_ms += int(random.exponential(60_000)) + 2_000
            item = int(random.integers(50))
            price = float(np.exp(random.normal(3, 0.3)))
            made.append(event(number, at_ms, f"u{user}", item_id=f"i{item}", price=round(price, 2)))
    return made


def bot(events: int = 40, every_ms: int = 500) -> list[Event]:
    return [event(n, n * every_ms, "bot", item_id=f"i{n % 50}") for n in range(events)]


def fitted(rules: tuple[Rule, ...], events: list[Event]) -> Cleaning:
    table = EventTable.from_events(events)
    return fit_cleaning(rules, table.rows, table.user, WINDOW)


def outcomes(cleaning: Cleaning, events: list[Event]) -> list[int]:
    rows = [pack_row(one) for one in events]
    found: list[int] = Sieve(cleaning, WINDOW).sift([Stream(b"", rows)]).outcome.tolist()
    return found


def test_same_content_and_near_duplicates_are_told_apart() -> None:
    cleaning = fitted((SameContent(), NearDuplicate()), [])
    events = [
        event(0, 0),
        event(1, 0),  # the same again
        event(2, 1_000),  # as near as a near duplicate may be
        event(3, 1_001),  # and just too far, from the first
        event(4, 1_001, event_type=EventType.CART),
        event(5, 1_001, item_id="toaster"),
        event(3, 1_001),  # a repeated id
        event(6, 9_000, event_type=EventType.SEARCH, item_id=None),
        event(7, 9_000, event_type=EventType.SEARCH, item_id=None),  # perhaps for another word
    ]
    sifted = Sieve(cleaning, WINDOW).sift([Stream(b"", [pack_row(one) for one in events])])
    d, k, r = DROPPED, KEPT, REPEATED
    assert sifted.outcome.tolist() == [k, d, d, k, k, k, r, k, k]
    assert sifted.bits.tolist() == [0, 0b11, 0b10, 0, 0, 0, 0, 0, 0]


def test_times_within_the_resolution_of_a_log_are_the_same() -> None:
    cleaning = fitted((SameContent(resolution_ms=86_400_000),), [])
    day_ms = 86_400_000 - START_MS % 86_400_000  # up to midnight
    events = [event(0, 0), event(1, day_ms - 1), event(2, day_ms), event(3, day_ms + 5)]
    assert outcomes(cleaning, events) == [KEPT, DROPPED, KEPT, DROPPED]


def test_an_event_is_late_by_its_own_users_newest_event() -> None:
    sieve = Sieve(fitted((), []), WINDOW, allowed_lateness_ms=100)
    rows = [pack_row(event(n, at_ms)) for n, at_ms in enumerate((200, 100, 99))]
    assert sieve.sift([Stream(b"", rows), Stream(b"", rows[2:])]).outcome.tolist() == [KEPT, KEPT, LATE, KEPT]


def test_missing_values_come_from_the_item_then_from_the_category_else_they_stay_absent() -> None:
    known = [
        event(0, 0, price=10.0),
        event(1, 5_000, price=30.0),  # the item's last price
        event(2, 9_000, item_id="pan", price=50.0),
        event(3, 12_000, item_id="mystery", price=None, category=None),
    ]
    rules = (Missing(column="price"), Missing(column="category", fill=("item",)))
    cleaning = fitted(rules, known)
    asked = [
        event(4, 0, price=None, category=None),  # the item knows both
        event(5, 0, item_id="lid", price=None),  # the category's median: of 10, 30 and 50
        event(6, 0, item_id="mystery", price=None, category=None),
        event(7, 0, item_id=None, event_type=EventType.SEARCH, price=None, category=None),
        event(8, 0, price=7.0),
    ]
    rows = rows_of([pack_row(one) for one in asked])
    repaired = cleaning.repaired(rows)
    prices = np.expm1(repaired["log_price"].astype(np.float64))
    np.testing.assert_allclose(prices, [30.0, 30.0, np.nan, np.nan, 7.0], rtol=2e-3)  # a row's float16
    kitchen = rows["category"][4]
    assert repaired["category"].tolist() == [kitchen, kitchen, 0, 0, kitchen]
    assert np.isnan(rows["log_price"][0]), "the rows that were handed in are as they were"
    assert cleaning.repaired(repaired).tobytes() == repaired.tobytes()
    bits = cleaning.judge([pack_row(one) for one in asked]).tolist()
    assert [cleaning.labels(one) for one in bits] == [
        ("price_filled", "category_filled"), ("price_filled",), (), (), ()
    ]  # fmt: skip


def test_a_price_far_from_its_category_is_flagged_or_repaired() -> None:
    people = shoppers()
    wrong = pack_row(event(0, 0, price=900_000.0))
    flagging = fitted((ZScore(columns=("price_against_category",)),), people)
    assert flagging.labels(int(flagging.judge([wrong])[0])) == ("event_z_score",)
    assert flagging.repaired(rows_of(wrong)).tobytes() == wrong
    repairing = fitted(
        (ZScore(columns=("price_against_category",), action="repair"), Missing(column="price")), people
    )
    (price,) = np.expm1(repairing.repaired(rows_of(wrong))["log_price"].astype(np.float64))
    assert 10 < price < 40  # the category's median


@pytest.mark.parametrize("rule", [IsolationForestRule, LocalOutlierFactorRule])
def test_bots_are_found_and_people_are_not(rule: type[IsolationForestRule]) -> None:
    cleaning = fitted(
        (rule(columns=USER_COLUMNS, least_events_per_minute=0.01, contamination=0.01, screen=0.0),),
        shoppers(),
    )
    rows = rows_of([pack_row(one) for one in bot()])
    found = sift_rows(Sieve(cleaning, WINDOW), rows, np.zeros(len(rows), np.int64)).bits != 0
    assert not found[:9].any(), "nine events are too few to tell"
    assert found[9:].all()
    others = EventTable.from_events(shoppers(seed=1))
    humans = sift_rows(Sieve(cleaning, WINDOW), others.rows, others.user).bits != 0
    assert humans.mean() < 0.05


def test_slow_users_are_not_looked_at() -> None:
    cleaning = fitted(
        (IsolationForestRule(columns=USER_COLUMNS, screen=0.0, least_events_per_minute=0.01),), shoppers()
    )
    strict = fitted(
        (IsolationForestRule(columns=USER_COLUMNS, screen=0.0, least_events_per_minute=500.0),), shoppers()
    )
    assert cleaning.detectors[0] is not None
    assert strict.detectors[0] is None
    windows = [b"".join(pack_row(one) for one in bot())]
    assert cleaning.judge(windows)[0] == 1
    assert strict.judge(windows)[0] == 0


def test_the_artifact_gives_the_same_pipeline_back(tmp_path: Path) -> None:
    rules = (*default_rules(), LocalOutlierFactorRule(columns=PRICE_COLUMNS, screen=0.5, contamination=0.2))
    cleaning = fitted(rules, shoppers())
    cleaning.save(tmp_path)
    loaded = load_cleaning(tmp_path)
    assert loaded is not None
    assert loaded.rules == rules
    table = EventTable.from_events(shoppers(seed=1))
    ours, theirs = (sift_rows(Sieve(one, WINDOW), table.rows, table.user) for one in (cleaning, loaded))
    assert ours.bits.any()
    np.testing.assert_array_equal(ours.bits, theirs.bits)


def test_a_damaged_artifact_is_refused(tmp_path: Path) -> None:
    assert load_cleaning(tmp_path) is None
    fitted(default_rules(), shoppers()).save(tmp_path)
    whole = (tmp_path / ARRAYS_FILE).read_bytes()
    (tmp_path / ARRAYS_FILE).write_bytes(whole[:1000])
    with pytest.raises(FileCorruptError, match="train the model again"):
        load_cleaning(tmp_path)
    (tmp_path / ARRAYS_FILE).unlink()
    with pytest.raises(FileAbsentError):
        load_cleaning(tmp_path)
    (tmp_path / RULES_FILE).write_text('{"rules": [{"rule": "run", "code": "rm"}]}')
    with pytest.raises(FileCorruptError):
        load_cleaning(tmp_path)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": "z_score", "columns": ["weight"]}, "price_against_category"),
        ({"rule": "z_score", "columns": ["log_gap", "events_per_minute"]}, "must be some of"),
        ({"rule": "z_score", "columns": []}, "must be some of"),
        ({"rule": "z_score", "columns": ["log_gap", "log_gap"]}, "named twice"),
        ({"rule": "z_score", "columns": ["log_gap"], "action": "repair"}, "only a price"),
        ({"rule": "z_score", "columns": ["log_gap"], "threshold": -1}, "threshold"),
        ({"rule": "near_duplicate", "action": "repair"}, "action"),
        ({"rule": "missing", "column": "session", "action": "drop"}, "gap rule"),
        ({"rule": "cleanse"}, "cleanse"),
        ({"rule": "same_content", "within": 1}, "within"),
    ],
)
def test_rules_that_cannot_be_applied_are_refused(rule: dict[str, object], told: str) -> None:
    with pytest.raises(CleaningError, match=told):
        rules_of({"rules": [rule]})


LITTLE = {
    "no event": [],
    "one row": [event(0, 0)],
    "one user, all alike": [event(n, 0) for n in range(60)],
    "all of one class": [event(n, n * 60_000, f"u{n}") for n in range(60)],
    "times reversed": [event(n, -n * 60_000, item_id=f"i{n}") for n in range(60)],
    "no items, no prices": [
        event(n, n, event_type=EventType.SEARCH, item_id=None, price=None, category=None) for n in range(60)
    ],
}


@pytest.mark.parametrize("events", LITTLE.values(), ids=LITTLE)
def test_logs_with_little_in_them_give_a_pipeline_and_a_report(events: list[Event], tmp_path: Path) -> None:
    table = EventTable.from_events(events)
    cleaned, cleaning = clean_table(table, table, default_rules(), WINDOW)
    assert len(cleaned) == (1 if events and events[-1].event_time_ms == START_MS else len(events))
    cleaning.save(tmp_path)
    assert load_cleaning(tmp_path) is not None
    sifted = sift_rows(Sieve(cleaning, WINDOW), table.rows, table.user)
    report = report_on(cleaning, table.rows, table.user, sifted, np.arange(len(table)))
    assert report.kept + report.dropped + report.repeated_ids == report.events == len(events)
    assert b"NaN" not in msgspec.json.encode(report.as_fields())


def test_a_report_counts_each_event_once_and_says_who_filled_what() -> None:
    events = [*shoppers(), event(100, 0, "u0"), event(101, 500, "u0"), event(102, 500, "u0")]
    events += [event(n, 10_000_000 + n * 90_000, "zoe", price=None) for n in range(3)]
    table = EventTable.from_events(events)
    cleaning = fit_cleaning(default_rules(), table.rows, table.user, WINDOW)
    sifted = sift_rows(Sieve(cleaning, WINDOW), table.rows, table.user)
    report = report_on(cleaning, table.rows, table.user, sifted, np.arange(len(table)))
    same, near, _, price, *_ = report.rules
    assert (same.rule, same.met, same.dropped) == ("same_content", 0, 0)  # the first twin is gone already
    assert (near.rule, near.met, near.dropped) == ("near_duplicate", 2, 2)
    assert report.missing["price"] == 3
    assert price.filled == {"item": 3, "category": 0, "absent": 0}
    assert all(table.rows[place]["event_type"] == 0 for place in near.examples)
    assert report.dropped == 2
