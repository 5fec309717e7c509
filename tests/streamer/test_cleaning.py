"""Cleaning in the live path: the same as of a log, whatever the batches, and nothing is lost."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreclick.checking.accounts import account, read_outputs
from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import WindowRule, rule_on
from model_store.cleaning.learning import fit_cleaning
from model_store.cleaning.pipeline import Cleaning
from model_store.cleaning.rules import (
    EVENT_COLUMNS,
    USER_COLUMNS,
    IsolationForestRule,
    LocalOutlierFactorRule,
    Missing,
    NearDuplicate,
    Rule,
    SameContent,
    ZScore,
)
from model_store.cleaning.sifting import DROPPED, KEPT, LATE, REPEATED, Sieve, Stream
from model_store.sequences import EventTable
from model_store.windows import pack_row, rows_of
from producers.events import Event
from streamer.decoding import decode_batch
from streamer.memory import PartitionMemory
from streamer.profile import Profile
from streamer.records import SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoredBatch, ScoringSettings, score_group
from tests.streamer.events import START_MS, Record, batch, event, record
from tests.streamer.models import random_model

SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)
WINDOW = 6
LATENESS_MS = 3_000
SCORING = ScoringSettings(LATENESS_MS, RenderingSettings(3, 0.8))


def training() -> EventTable:
    random = np.random.default_rng(3)
    made = []
    for number in range(300):
        price = round(float(np.exp(random.normal(2, 0.4))), 2)
        one = event(f"t{number}", f"u{number % 25}", number * 400, f"item-{number % 40}")
        made.append(msgspec.structs.replace(one, price=price))
    return EventTable.from_events(made)


def cleaning_of(*rules: Rule) -> Cleaning:
    table = training()
    return fit_cleaning(rules, table.rows, table.user, WINDOW)


FAST = {"least_events": 3, "least_events_per_minute": 1.0, "screen": 0.0, "contamination": 0.2}
FLAGGING = cleaning_of(
    SameContent(),
    NearDuplicate(within_ms=300),
    Missing(column="price"),
    Missing(column="category", action="flag"),
    ZScore(columns=EVENT_COLUMNS, threshold=1.0),
    IsolationForestRule(columns=EVENT_COLUMNS, screen=0.0, contamination=0.2, trees=10),
    IsolationForestRule(columns=USER_COLUMNS, trees=10, **FAST),  # type: ignore[arg-type]
)
DROPPING = cleaning_of(
    NearDuplicate(within_ms=300, action="flag"),
    Missing(column="category", action="drop"),
    IsolationForestRule(columns=USER_COLUMNS, trees=10, action="drop", **FAST),  # type: ignore[arg-type]
    LocalOutlierFactorRule(columns=EVENT_COLUMNS, screen=0.0, contamination=0.2, action="drop", neighbours=5),
    ZScore(columns=("price_jump",), threshold=1.0, action="repair"),
)


class Shop:
    """Scores groups of batches and keeps what a store would keep."""

    def __init__(self, cleaning: Cleaning | None, window_size: int = WINDOW) -> None:
        self.model = random_model(window_size=window_size)
        self.model.encoder.cleaning = cleaning
        self.stored: dict[bytes, bytes] = {}
        self.scored: list[ScoredBatch] = []

    def score(self, groups: list[list[list[Record]]]) -> Shop:
        for group in groups:
            memory, work = PartitionMemory(), []
            for records in group:
                decoded = decode_batch(batch(records), SOURCE)
                slots, missing = memory.claim(dict.fromkeys(user for user, _, _ in decoded.events))
                for user in missing:
                    slots[user].record = self.stored.get(user)
                work.append((decoded, slots))
            for result in score_group(self.model, work, SCORING, START_MS, Profile()):
                self.scored.append(result)
                self.stored.update(result.states)
        return self

    @property
    def predictions(self) -> dict[int, dict[str, Any]]:
        values = [msgspec.json.decode(value) for result in self.scored for _, value in result.predictions]
        return {int(value["prediction_id"].rpartition("-")[2]): value for value in values}

    @property
    def letters(self) -> dict[int, str]:
        return {one.record.offset: one.reason for result in self.scored for one in result.dead_letters}


streams = st.lists(
    st.builds(
        lambda number, user, at_ms, item, price, category: msgspec.structs.replace(
            event(f"e{number}", user, at_ms, f"item-{item}"), price=price, category=category
        ),
        st.integers(0, 40),
        st.sampled_from(["ann", "bob"]),
        st.integers(0, 8_000),
        st.integers(0, 4),
        st.sampled_from([None, 2.0, 7.5, 8.0, 900.0]),
        st.sampled_from(["hats", "hats", "hats", None]),
    ),
    min_size=1,
    max_size=40,
)
both = pytest.mark.parametrize("cleaning", [FLAGGING, DROPPING], ids=["flagging", "dropping"])


def of_a_log(cleaning: Cleaning, events: list[Event]) -> tuple[dict[int, str], dict[int, list[str]]]:
    """The dead letters and the flags of events by their place, as cleaning a log of them gives."""
    letters: dict[int, str] = {}
    flags: dict[int, list[str]] = {}
    for user in ("ann", "bob"):
        places = [place for place, one in enumerate(events) if one.user_id == user]
        stream = Stream(b"", [pack_row(events[place]) for place in places])
        sifted = Sieve(cleaning, WINDOW, LATENESS_MS).sift([stream])
        for place, outcome, bits in zip(places, sifted.outcome, sifted.bits.tolist(), strict=True):
            if outcome == KEPT:
                flags[place] = list(cleaning.labels(bits))
            elif outcome != REPEATED:
                letters[place] = "too_late" if outcome == LATE else cleaning.first_dropping(bits).reason
            assert (outcome == DROPPED) == bool(bits & cleaning.dropping_bits)
    return letters, flags


@both
@settings(max_examples=25, deadline=None)
@given(streams, st.lists(st.integers(1, 9), min_size=40, max_size=40), st.integers(1, 4))
def test_live_and_of_a_log_are_the_same_in_any_batches(
    cleaning: Cleaning, events: list[Event], sizes: list[int], group_size: int
) -> None:
    records = [record(offset, one) for offset, one in enumerate(events)]
    batches, at = [], 0
    for size in sizes:
        batches.append(records[at : at + size])
        at += size
    batches = [some for some in batches if some]
    groups = [batches[first : first + group_size] for first in range(0, len(batches), group_size)]
    letters, flags = of_a_log(cleaning, events)
    for shop in (Shop(cleaning).score(groups), Shop(cleaning).score([[[one]] for one in records])):
        assert shop.letters == letters
        assert {offset: value["flags"] for offset, value in shop.predictions.items()} == flags


@both
@settings(max_examples=15, deadline=None)
@given(streams)
def test_every_record_has_one_outcome_by_the_independent_checker(
    cleaning: Cleaning, events: list[Event]
) -> None:
    records = [record(offset, one) for offset, one in enumerate(events)]
    shop = Shop(cleaning).score([[records]])
    topic = [
        TopicRecord(SourcePosition(SOURCE.topic_id, 0, one.offset), START_MS, one.key, one.value)
        for one in records
    ]
    predictions = [
        TopicRecord(SourcePosition("out", 0, number), START_MS, key, value)
        for number, (key, value) in enumerate(pair for one in shop.scored for pair in one.predictions)
    ]
    letters = [
        TopicRecord(
            SourcePosition("dead", 0, number),
            START_MS,
            letter.record.key,
            letter.record.value,
            (
                ("foreclick.reason", letter.reason.encode()),
                ("foreclick.source", SOURCE.record_id(letter.record.offset).encode()),
            ),
        )
        for number, letter in enumerate(letter for one in shop.scored for letter in one.dead_letters)
    ]
    outputs = read_outputs(predictions, letters)
    rulings = rule_on(topic, WindowRule(WINDOW, LATENESS_MS), outputs.cleaned)
    accounts = account(topic, rulings, outputs, lines=len(events), rejected={})
    assert accounts.balanced, accounts.equations


def test_what_is_dropped_leaves_no_trace_in_the_window() -> None:
    """The prediction behind a dropped copy is the one of a stream that never held it."""
    first, copy, last = event("a"), event("b", at_ms=200), event("c", at_ms=900, item="item-2")
    dropping = Shop(cleaning_of(NearDuplicate(within_ms=300)))
    dropping.score([[[record(0, first), record(1, copy), record(2, last)]]])
    without = Shop(None).score([[[record(0, first), record(2, last)]]])
    assert dropping.letters == {1: "near_duplicate"}
    assert dropping.stored == without.stored
    assert dropping.predictions[2]["next_action"] == without.predictions[2]["next_action"]


def test_a_missing_price_is_encoded_as_the_one_that_fills_it() -> None:
    cleaning = cleaning_of(Missing(column="price"))
    unpriced = msgspec.structs.replace(event("a", item="item-3"), price=None)
    (repaired,) = cleaning.repaired(rows_of(pack_row(unpriced)))
    priced = msgspec.structs.replace(unpriced, price=float(np.expm1(np.float64(repaired["log_price"]))))
    filled, given_one, absent = (
        Shop(pipeline).score([[[record(0, one)]]]).predictions[0]
        for pipeline, one in ((cleaning, unpriced), (None, priced), (None, unpriced))
    )
    assert filled["next_action"] == given_one["next_action"] != absent["next_action"]
    assert (filled["flags"], given_one["flags"]) == (["price_filled"], None)


def people(users: int = 25, events: int = 30) -> EventTable:
    """Quick but irregular: five seconds between events on average, of one item in three."""
    random = np.random.default_rng(4)
    made = []
    for user in range(users):
        times_ms = np.cumsum(random.exponential(5_000, events)).astype(int).tolist()
        items = random.integers(0, 3, events).tolist()
        pairs = enumerate(zip(times_ms, items, strict=True))
        made += [event(f"e{n}", f"u{user}", at_ms, f"item-{item}") for n, (at_ms, item) in pairs]
    return EventTable.from_events(made)


def test_a_bot_is_flagged_from_its_tenth_event_on_and_a_person_never() -> None:
    table = people()
    rule = IsolationForestRule(columns=USER_COLUMNS, contamination=0.01)
    shop = Shop(fit_cleaning((rule,), table.rows, table.user, 20), window_size=20)
    bot = [event(f"b{n}", "bot", n * 20, f"item-{n % 40}") for n in range(15)]
    gaps_ms = [0, 9_000, 300, 4_000, 12_000, 2_000, 5_000, 800, 7_000, 3_000, 6_000, 1_500, 10_000]
    times_ms = np.cumsum(gaps_ms).tolist()
    person = [event(f"p{n}", "ann", at_ms, f"item-{n % 3}") for n, at_ms in enumerate(times_ms)]
    shop.score([[[record(offset, one) for offset, one in enumerate([*bot, *person])]]])
    flagged = {offset: value["flags"] for offset, value in shop.predictions.items() if value["flags"]}
    assert flagged == {offset: ["user_isolation_forest"] for offset in range(9, 15)}
