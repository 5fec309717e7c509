"""The simulated shop: one seed, one stream by the contract, and an oracle that is exact and calibrated."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator import (
    baseline_probabilities,
    cross_entropy,
    fresh_shoppers,
    true_probabilities,
)
from model_store.baselines.sequential import standard_baselines
from model_store.sequences import EventTable, labels_of
from model_store.specification import ACTION_NAMES
from producers.contract import SESSION_GAP_MS
from producers.errors import ImpossibleHistory
from producers.events import EVENT_TYPES, Event, decode_event, encode_event
from producers.simulator.behaviour import ACTIONS, GAP_EDGES_MS, Behaviour, default_behaviour
from producers.simulator.catalogue import Catalogue
from producers.simulator.oracle import Oracle, true_next_action
from producers.simulator.season import HOUR_MS, Season
from producers.simulator.shop import Shop

START_MS = 1_700_000_000_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(seed=5, users=150, items=120)


@pytest.fixture(scope="module")
def events(shop: Shop) -> list[Event]:
    return list(shop.events(START_MS, count=40_000))


@pytest.fixture(scope="module")
def histories(events: list[Event]) -> dict[str, list[Event]]:
    by_user = defaultdict(list)
    for event in events:
        by_user[event.user_id].append(event)
    return by_user


def test_the_seed_fixes_the_stream_and_a_longer_one_only_goes_on(events: list[Event]) -> None:
    again = Shop(seed=5, users=150, items=120).events(START_MS, count=5_000)
    assert list(again) == events[:5_000]
    other = Shop(seed=6, users=150, items=120).events(START_MS, count=100)
    assert [each.item_id for each in other] != [each.item_id for each in events[:100]]


def test_the_stream_ends_where_it_is_told_to(shop: Shop, events: list[Event]) -> None:
    until_ms = events[3_000].event_time_ms
    expected = [each for each in events if each.event_time_ms < until_ms]
    assert list(shop.events(START_MS, until_ms=until_ms)) == expected
    assert list(shop.events(START_MS, count=0)) == []
    assert list(shop.events(START_MS, until_ms=START_MS)) == []


def test_events_are_in_order_of_time_and_each_is_an_event_of_the_contract(events: list[Event]) -> None:
    assert all(before.event_time_ms <= after.event_time_ms for before, after in pairwise(events))
    assert len({each.event_id for each in events}) == len(events)
    for event in events[::50]:
        assert decode_event(encode_event(event), event.user_id.encode(), event.event_time_ms) == event
    assert {each.event_type for each in events} == set(EVENT_TYPES)


def test_session_names_change_exactly_where_the_silence_is_long(histories: dict[str, list[Event]]) -> None:
    for history in histories.values():
        for before, after in pairwise(history):
            silent = after.event_time_ms - before.event_time_ms > SESSION_GAP_MS
            assert silent == (before.session_id != after.session_id)


def test_baskets_hold_what_is_taken_out_of_them(histories: dict[str, list[Event]]) -> None:
    for history in histories.values():
        basket: list[str | None] = []
        for event in history:
            if event.event_type == "cart":
                basket.append(event.item_id)
            elif event.event_type == "remove_from_cart":
                assert basket.pop() == event.item_id
            elif event.event_type == "purchase" and basket:
                assert basket.pop(0) == event.item_id
            assert len(basket) <= 4


def test_items_keep_their_category_brand_and_price(shop: Shop, events: list[Event]) -> None:
    known: dict[str, tuple[str | None, str | None, float | None]] = {}
    for event in events:
        if event.item_id is not None:
            facts = (event.category, event.brand, event.price)
            assert known.setdefault(event.item_id, facts) == facts
    on_sale = {each.item_id: each for each in shop.catalogue.items_at(events[-1].event_time_ms)}
    last = next(each for each in reversed(events) if each.item_id in on_sale)
    item = on_sale[last.item_id or ""]
    assert (item.category, item.brand, item.price) == (last.category, last.brand, last.price)


def test_shoppers_come_and_go_and_items_give_way_to_new_ones(shop: Shop, events: list[Event]) -> None:
    assert len({each.user_id for each in events}) > shop.users
    first, last = events[0].event_time_ms, events[-1].event_time_ms
    before = {each.item_id for each in shop.catalogue.items_at(first)}
    after = {each.item_id for each in shop.catalogue.items_at(last)}
    assert len(before) == len(after) == 120
    assert 0 < len(after - before) < 120


def test_few_items_take_most_views() -> None:
    busy = Shop(seed=3, users=500, items=1_000)
    views: dict[str | None, int] = defaultdict(int)
    for event in busy.events(START_MS, count=30_000):
        views[event.item_id] += event.event_type == "view"
    counts = sorted(views.values(), reverse=True)
    assert sum(counts[:200]) > 0.5 * sum(counts)


def test_the_next_view_often_follows_from_the_last(histories: dict[str, list[Event]]) -> None:
    """The commonest follower of an item, learnt from one half, beats the most popular item on the other."""
    pairs = [
        (before.item_id, after.item_id)
        for history in histories.values()
        for before, after in pairwise(history)
        if before.event_type == after.event_type == "view" and before.item_id != after.item_id
    ]
    half = len(pairs) // 2
    followers: dict[str | None, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
    popular: dict[str | None, int] = defaultdict(int)
    for before, after in pairs[:half]:
        followers[before][after] += 1
        popular[after] += 1
    top = max(popular, key=lambda item: popular[item])
    hits = sum(
        max(followers[before], key=lambda item: followers[before][item], default=None) == after
        for before, after in pairs[half:]
    )
    assert hits > 3 * sum(after == top for _, after in pairs[half:])


def test_memory_does_not_grow_with_the_number_of_events() -> None:
    peaks = []
    for count in (6_000, 24_000):
        small = Shop(seed=1, users=40, items=200)
        tracemalloc.start()
        for _ in small.events(START_MS, count=count):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_shop_needs_shoppers_and_items() -> None:
    with pytest.raises(ValueError, match="at least 1 user"):
        Shop(users=0)
    with pytest.raises(ValueError, match="at least 4 items"):
        Shop(items=3)


@given(st.integers(4, 700))
@settings(max_examples=30, deadline=None)
def test_catalogues_of_any_size_are_sound(size: int) -> None:
    catalogue = Catalogue(size, np.random.default_rng(size))
    places = np.arange(size)
    assert catalogue.count.sum() == size
    assert catalogue.count.min() >= 2
    assert (catalogue.category[catalogue.successors] == catalogue.category[:, None]).all()
    assert (catalogue.successors != places[:, None]).all()
    for uniform in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        popular = catalogue.popular(catalogue.category, np.full(size, uniform))
        assert (catalogue.category[popular] == catalogue.category).all()


@given(st.integers(0, 2**41), st.floats(0, 2_000))
@settings(deadline=None)
def test_season_hours_turn_into_times_and_back(time_ms: int, hours: float) -> None:
    season = Season()
    later = int(season.time_at(season.passed(time_ms) + hours))
    assert float(season.passed(later) - season.passed(time_ms)) == pytest.approx(hours, abs=1e-5)
    assert float(season.passed(time_ms + 7 * DAY_MS) - season.passed(time_ms)) == pytest.approx(168.0)


def test_evenings_are_busier_than_nights(events: list[Event]) -> None:
    hours = np.array([each.event_time_ms // HOUR_MS % 24 for each in events])
    assert ((hours >= 18) & (hours < 21)).sum() > 4 * ((hours >= 1) & (hours < 4)).sum()


def test_the_tables_are_probabilities() -> None:
    tables = default_behaviour()
    for name in ("kinds", "start_intent", "start_action", "change", "next_action", "gap", "relation"):
        table = getattr(tables, name)
        assert table.min() >= 0, name
        np.testing.assert_allclose(table.sum(axis=-1), 1, atol=1e-12, err_msg=name)
    assert 0 < tables.leaving.min() <= tables.leaving.max() < 1


def _by_all_paths(shop: Shop, history: list[Event]) -> list[float]:
    """P(next action | history), summed over every kind of shopper and every path of intents.

    An oracle for the oracle: it follows no recursion, and counts the context anew for each event.
    """
    tables = shop.behaviour
    totals = np.zeros(len(ACTIONS))
    kinds, intents = range(len(tables.kinds)), range(len(tables.change))
    for kind in kinds:
        for path in itertools.product(intents, repeat=len(history) + 1):
            weight = _path_weight(shop, tables, history, kind, path)
            if weight:
                totals += weight * tables.next_action[(path[-1], *_context(tables, history))]
    return list(totals / totals.sum())


def _path_weight(
    shop: Shop, tables: Behaviour, history: list[Event], kind: int, path: tuple[int, ...]
) -> float:
    """The last intent of the path is the one that the event after the history would be drawn with."""
    weight = float(tables.kinds[kind])
    for place, event in enumerate(history):
        seen, intent = history[:place], path[place]
        action = list(EVENT_TYPES).index(event.event_type)
        day_part = event.event_time_ms // (6 * HOUR_MS) % 4
        kept = int(bool(seen) and _basket(seen) > 0)
        start = tables.start_intent[kind, kept, day_part, intent] * tables.start_action[kept, intent, action]
        if not seen:
            weight *= start
            continue
        gap_ms = event.event_time_ms - seen[-1].event_time_ms
        context = _context(tables, seen)
        if gap_ms <= SESSION_GAP_MS:
            weight *= tables.change[path[place - 1], intent] * tables.next_action[(intent, *context, action)]
            bucket = max(index for index, edge in enumerate(GAP_EDGES_MS) if edge <= gap_ms)
            weight *= tables.gap[intent, bucket]
            if event.event_type == "view" and seen[-1].event_type != "search":
                weight *= tables.relation[intent, _relation(seen, event)]
        else:
            rate = tables.return_rate[kind]
            season = shop.season
            hours = season.passed(event.event_time_ms) - season.passed(
                seen[-1].event_time_ms + SESSION_GAP_MS + 1
            )
            bought = any(each.event_type == "purchase" for each in _session(seen))
            # Summed over the intent at the session's end, which the path does not name.
            ends = sum(
                tables.change[path[place - 1], last]
                * tables.next_action[(last, *context, 6)]
                * (1 - tables.leaving[kind, int(bought), last])
                for last in range(len(tables.change))
            )
            weight *= float(ends * rate * math.exp(-rate * float(hours))) * start
    return float(weight * tables.change[path[-2], path[-1]])


def _session(history: list[Event]) -> list[Event]:
    return [each for each in history if each.session_id == history[-1].session_id]


def _basket(history: list[Event]) -> int:
    count = 0
    for event in history:
        count += event.event_type == "cart"
        count -= event.event_type in ("purchase", "remove_from_cart") and count > 0
    return count


def _relation(seen: list[Event], event: Event) -> int:
    last_item = next(each.item_id for each in reversed(seen) if each.item_id is not None)
    return 0 if event.item_id == last_item else 1 if event.category == seen[-1].category else 2


def _context(tables: Behaviour, history: list[Event]) -> tuple[int, int, int, int]:
    session = _session(history)
    looks = 0
    for event in session:
        looks = looks + 1 if event.event_type == "view" else looks if event.event_type == "search" else 0
    last = list(EVENT_TYPES).index(history[-1].event_type)
    looks_bucket = sum(looks >= edge for edge in (2, 4, 7))
    length_bucket = sum(len(session) >= edge for edge in (3, 7, 15))
    return last, _basket(history), looks_bucket, length_bucket


def test_the_oracle_agrees_with_a_sum_over_all_hidden_paths(
    shop: Shop, histories: dict[str, list[Event]]
) -> None:
    def lively(history: list[Event]) -> bool:
        head = history[:4]
        return len(head) == 4 and len({each.session_id for each in head}) == 2

    chosen = [history[:4] for history in histories.values() if lively(history)][:4]
    chosen += [history[:3] for history in list(histories.values())[:8]]
    assert len(chosen) == 12
    for history in chosen:
        exact = true_next_action(shop, history)
        assert list(exact) == [*(str(each) for each in EVENT_TYPES), "none"]
        np.testing.assert_allclose(list(exact.values()), _by_all_paths(shop, history), atol=1e-12)


def test_the_oracle_is_calibrated(shop: Shop, events: list[Event]) -> None:
    """Among events given a probability near p of some next action, a share near p is followed by it."""
    oracle = Oracle(shop)
    before: dict[str, tuple[Event, np.ndarray]] = {}
    predicted, happened = [], []
    for event in events:
        if event.user_id in before:
            last, probabilities = before[event.user_id]
            ended = event.event_time_ms - last.event_time_ms > SESSION_GAP_MS
            predicted.append(probabilities)
            happened.append(np.eye(7)[6 if ended else list(EVENT_TYPES).index(event.event_type)])
        before[event.user_id] = (event, oracle.observe(event))
    # Shoppers who leave are never seen again, so the silences of the sample are too few: leave them out.
    shares = np.array(predicted)[:, :6] / (1 - np.array(predicted)[:, 6:])
    outcomes = np.array(happened)
    shares, outcomes = shares[outcomes[:, 6] == 0], outcomes[outcomes[:, 6] == 0, :6]
    for low, high in pairwise([0.0, 0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 1.0]):
        near = (shares > low) & (shares <= high)
        expected, seen = shares[near].mean(), outcomes[near].mean()
        error = math.sqrt(expected * (1 - expected) / near.sum())
        assert abs(expected - seen) < 5 * error, (low, high)


def test_the_true_churn_is_what_happens(shop: Shop, events: list[Event]) -> None:
    """At 1,000 moments, the mean probability of three silent days meets the share of silent ones."""
    horizon_ms = 3 * DAY_MS
    oracle = Oracle(shop)
    end_ms = events[-1].event_time_ms
    next_ms: dict[str, list[int]] = defaultdict(list)
    for event in events:
        next_ms[event.user_id].append(event.event_time_ms)
    predicted, silent = [], []
    for place, event in enumerate(events):
        oracle.observe(event)
        if place % 25 == 0 and event.event_time_ms < end_ms - horizon_ms:
            probability = oracle.silence(event.user_id, horizon_ms)
            assert probability == pytest.approx(oracle.churn(event.user_id, horizon_ms))
            predicted.append(probability)
            later = [each for each in next_ms[event.user_id] if each > event.event_time_ms]
            silent.append(not later or later[0] > event.event_time_ms + horizon_ms)
    spread = math.sqrt(sum(p * (1 - p) for p in predicted))
    assert abs(sum(predicted) - sum(silent)) < 4 * spread
    assert 0.01 < np.mean(predicted) < 0.5


def test_silence_only_gets_less_likely(shop: Shop, histories: dict[str, list[Event]]) -> None:
    oracle = Oracle(shop)
    history = next(iter(histories.values()))
    for event in history[:20]:
        none = oracle.observe(event)[6]
    user_id = history[0].user_id
    lengths_ms = [0, 999, 1_000, 20_000, 1_500_000, SESSION_GAP_MS, SESSION_GAP_MS + 1, DAY_MS, 90 * DAY_MS]
    chances = [oracle.silence(user_id, each) for each in lengths_ms]
    assert chances[0] == chances[1] == pytest.approx(1.0)
    assert all(before >= after for before, after in pairwise(chances))
    # Behind the longest gap of a session only its end can have happened; no return comes before 30 min.
    assert chances[4] == pytest.approx(chances[5]) == pytest.approx(none)
    assert oracle.churn(user_id, DAY_MS, silent_ms=7 * DAY_MS) > 0


def test_impossible_histories_are_refused(shop: Shop, histories: dict[str, list[Event]]) -> None:
    with pytest.raises(ImpossibleHistory, match="at least one"):
        true_next_action(shop, [])
    history = next(each for each in histories.values() if len(each) > 2)
    with pytest.raises(ImpossibleHistory, match="gap"):
        true_next_action(shop, [history[0], history[0]])


def test_an_order_two_markov_model_misses_the_true_entropy_by_five_percent() -> None:
    shop = Shop(seed=1, users=2_000)
    events = list(shop.events(START_MS, 100_000))
    fresh = fresh_shoppers(shop, 500, 20_000, START_MS)
    truth, table = true_probabilities(shop, fresh), EventTable.from_events(fresh)
    markov = standard_baselines(len(ACTION_NAMES))["markov"]
    training = EventTable.from_events(events)
    said = baseline_probabilities(markov, training, events[-1].event_time_ms, table)
    followed = labels_of(table, fresh[-1].event_time_ms).next_action
    known = followed >= 0
    entropy = cross_entropy(truth[known], truth[known])
    assert cross_entropy(truth[known], said[known]) > 1.05 * entropy
    # The oracle's own loss is the entropy, up to the sample's spread.
    own = -np.log(truth[known, followed[known]]).mean()
    assert own == pytest.approx(entropy, rel=0.02)
