"""Windows and states against plain lists and a recompute of the whole window."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreclick.checking.own_items import own_logit, own_rank
from model_store.features.groups import GROUP_NAMES
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel
from model_store.stored_states import unpacked_states
from model_store.windows import item_fingerprint, pack_row, row_items, rows_of
from producers.events import Event
from streamer.decoding import decode_batch
from streamer.memory import PartitionMemory
from streamer.profile import Profile
from streamer.records import SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoredBatch, ScoringSettings, score_group
from streamer.state import UserState, unpack_state
from tests.streamer.events import START_MS, Record, batch, event, record
from tests.streamer.models import random_model, random_weights

SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)
WINDOW = 6
LATENESS_MS = 1_000
# A matrix product rounds otherwise for one row than for many. Measured over 1,440 random windows: up to 12
# of the steps of 2**-23 in which states are stored, after one event and after six; allowed is twice that.
STATE_DIFFERENCE = 24 * 2.0**-23
MODEL = random_model(window_size=WINDOW, groups=GROUP_NAMES)
KNOWN = {item_fingerprint(item) for item in MODEL.encoder.items}
SCORING = ScoringSettings(LATENESS_MS, RenderingSettings(3, 0.8))


class Shop:
    """Scores batches one group after another and keeps what a store would keep."""

    def __init__(self) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.scored: list[ScoredBatch] = []

    def score(
        self,
        groups: list[list[list[Record]]],
        model: ServedModel = MODEL,
        told: ScoringSettings = SCORING,
    ) -> Shop:
        for group in groups:
            memory = PartitionMemory()
            work = []
            for records in group:
                decoded = decode_batch(batch(records), SOURCE)
                slots, missing = memory.claim(dict.fromkeys(user for user, _, _ in decoded.events))
                for user in missing:
                    slots[user].record = self.stored.get(user)
                work.append((decoded, slots))
            for result in score_group(model, work, told, START_MS, Profile()):
                self.scored.append(result)
                self.stored.update(result.states)
        return self

    @property
    def predictions(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(value) for result in self.scored for _, value in result.predictions]


def expected_windows(events: list[Event]) -> tuple[dict[str, list[Event]], int, list[str]]:
    """The window rule on plain lists: (windows, repeated events, ids that came too late)."""
    windows: defaultdict[str, list[Event]] = defaultdict(list)
    repeated, too_late = 0, []
    for one in events:
        window = windows[one.user_id]
        if any(one.event_id == kept.event_id for kept in window):
            repeated += 1
            continue
        if window and one.event_time_ms < window[-1].event_time_ms - LATENESS_MS:
            too_late.append(one.event_id)
            continue
        if len(window) == WINDOW:
            del window[: WINDOW // 2]
        window.append(one)
        window.sort(key=lambda kept: kept.event_time_ms)
    return windows, repeated, too_late


streams = st.lists(
    st.builds(
        lambda number, user, at_ms, item: event(f"e{number}", user, at_ms, f"item-{item}"),
        st.integers(0, 30),
        st.sampled_from(["ann", "bob"]),
        st.integers(0, 2_500),
        st.integers(0, 45),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(streams)
def test_windows_equal_the_rule_on_plain_lists(events: list[Event]) -> None:
    records = [record(offset, one) for offset, one in enumerate(events)]
    shop = Shop().score([[records]] if records else [])
    windows, repeated, too_late = expected_windows(events)
    stored = {user.decode(): unpack_state(state).rows for user, state in shop.stored.items()}
    assert stored == {user: b"".join(map(pack_row, window)) for user, window in windows.items()}
    assert sum(result.duplicate_events for result in shop.scored) == repeated
    late = [letter for result in shop.scored for letter in result.dead_letters]
    assert [msgspec.json.decode(letter.record.value or b"")["event_id"] for letter in late] == too_late
    assert {letter.reason for letter in late} <= {"too_late"}


@settings(max_examples=40, deadline=None)
@given(streams, st.lists(st.integers(1, 7), min_size=40, max_size=40), st.integers(1, 4))
def test_batch_boundaries_change_nothing(events: list[Event], sizes: list[int], group_size: int) -> None:
    records = [record(offset, one) for offset, one in enumerate(events)]
    one_by_one = Shop().score([[[one]] for one in records])
    batches, at = [], 0
    for size in sizes:
        batches.append(records[at : at + size])
        at += size
    batches = [some for some in batches if some]
    grouped = Shop().score(
        [batches[first : first + group_size] for first in range(0, len(batches), group_size)]
    )
    assert_same(one_by_one.predictions, grouped.predictions)
    assert one_by_one.stored.keys() == grouped.stored.keys()
    for user, state in one_by_one.stored.items():
        assert_same_state(unpack_state(state), unpack_state(grouped.stored[user]))


@settings(max_examples=40, deadline=None)
@given(streams)
def test_kept_states_equal_a_recompute_of_the_whole_window(events: list[Event]) -> None:
    shop = Shop().score([[[record(offset, one)]] for offset, one in enumerate(events)])
    states = [unpack_state(state) for state in shop.stored.values()]
    recomputed = states_of_windows(MODEL, [state.rows for state in states])
    for state, wanted in zip(states, recomputed, strict=True):
        np.testing.assert_allclose(hidden_of(state), wanted, atol=STATE_DIFFERENCE)


@settings(max_examples=30, deadline=None)
@given(streams)
def test_published_items_are_those_of_the_whole_window_and_unknown_ones_keep_their_names(
    events: list[Event],
) -> None:
    shop = Shop().score([[[record(offset, one)]] for offset, one in enumerate(events)])
    made = {one["prediction_id"]: one["next_items"] for one in shop.predictions}
    for offset in range(len(events)):
        if f"{SOURCE.topic_id}-0-{offset}" not in made:
            continue
        windows, _, _ = expected_windows(events[: offset + 1])
        window = windows[events[offset].user_id]
        last = MODEL.encoder.encode_window(rows_of(b"".join(map(pack_row, window)))).take(
            np.array([len(window) - 1])
        )
        heads = MODEL.heads(states_of_windows(MODEL, [b"".join(map(pack_row, window))]), last)
        assert heads.query is not None
        assert heads.own is not None
        outputs = heads.own[0].tolist()
        weights = random_weights(MODEL.specification, 1)
        vectors, offsets = weights["item_vectors"], weights["own_offsets"]
        logits = dict(zip(MODEL.encoder.items, (14.0 * vectors @ heads.query[0]).tolist(), strict=True))
        del logits[""]
        for one in window:
            if one.item_id is not None:
                logits.setdefault(one.item_id, -math.inf)
        totals = {}
        for item, logit in logits.items():
            rank = own_rank(item, window)
            moved = 0.0 if rank is None else float(offsets[rank])
            totals[item] = float(np.logaddexp(logit, own_logit(item, window, outputs))) + moved
        best = sorted(totals.values(), reverse=True)[:3]
        listed = made[f"{SOURCE.topic_id}-0-{offset}"]
        np.testing.assert_allclose([item["score"] for item in listed], best, atol=1e-4)
        np.testing.assert_allclose([totals[item["item_id"]] for item in listed], best, atol=1e-4)
    for state in map(unpack_state, shop.stored.values()):
        standing = set(row_items(rows_of(state.rows)).tolist())
        assert {item for item in standing if item not in KNOWN} <= state.names.keys()
        assert not state.names.keys() & KNOWN


def test_the_name_of_an_item_goes_when_the_item_leaves_the_window() -> None:
    shop = Shop()
    shop.score([[[record(0, event("e0", item="never seen"))]]])
    assert list(unpack_state(shop.stored[b"ann"]).names.values()) == ["never seen"]
    for number in range(1, WINDOW + 1):
        shop.score([[[record(number, event(f"e{number}", at_ms=number))]]])
    assert not unpack_state(shop.stored[b"ann"]).names


def test_a_full_window_drops_its_oldest_half_and_its_state_is_run_anew() -> None:
    shop = Shop()
    for number in range(3 * WINDOW):
        shop.score([[[record(number, event(f"e{number}", at_ms=number, item=f"item-{number}"))]]])
        state = unpack_state(shop.stored[b"ann"])
        # 1 to 6 events, then 4 to 6 again and again
        kept = number + 1 if number < WINDOW else WINDOW // 2 + 1 + number % (WINDOW // 2)
        expected = range(number + 1 - kept, number + 1)
        rows = [pack_row(event(f"e{at}", at_ms=at, item=f"item-{at}")) for at in expected]
        assert state.rows == b"".join(rows)
        (wanted,) = states_of_windows(MODEL, [state.rows])
        np.testing.assert_allclose(hidden_of(state), wanted, atol=STATE_DIFFERENCE)


def test_an_event_may_be_as_late_as_allowed_and_no_later() -> None:
    newest = record(0, event("newest", at_ms=LATENESS_MS + 1))
    just, over = record(1, event("just", at_ms=1)), record(2, event("over", at_ms=0))
    (scored,) = Shop().score([[[newest, just, over]]]).scored
    assert [letter.record for letter in scored.dead_letters] == [over]
    assert len(scored.predictions) == 2


def test_each_batch_stores_the_state_behind_its_own_last_event() -> None:
    first, second = [record(0, event("a"))], [record(1, event("b", at_ms=5))]
    together = Shop().score([[first, second]])
    alone = Shop().score([[first]])
    assert_same_state(
        unpack_state(together.scored[0].states[b"ann"]), unpack_state(alone.scored[0].states[b"ann"])
    )


def test_a_new_model_rebuilds_states_from_the_windows() -> None:
    history = [record(offset, event(f"e{offset}", at_ms=offset)) for offset in range(3)]
    last = [record(3, event("e3", at_ms=3))]
    new_model = random_model(seed=2, window_size=WINDOW)
    promoted = Shop().score([[history]])
    promoted.score([[last]], new_model)
    always = Shop().score([[[*history, *last]]], new_model)
    assert_same(promoted.predictions[-1:], always.predictions[-1:])
    assert promoted.predictions[-1]["model"]["version"] == new_model.version


def test_a_state_that_is_partial_stays_so_and_its_predictions_say_it() -> None:
    shop = Shop().score([[[record(0, event("e0"))]]])
    known = unpack_state(shop.stored[b"ann"])
    shop.stored[b"ann"] = UserState(known.rows, known.hidden, known.model, partial=True).packed()
    shop.score([[[record(1, event("e1", at_ms=1)), record(2, event("e2", "bob"))]]])
    assert [made["state"] for made in shop.predictions] == ["complete", "partial", "complete"]
    assert unpack_state(shop.stored[b"ann"]).partial
    assert not unpack_state(shop.stored[b"bob"]).partial


@pytest.mark.parametrize("bought", ["item-3", "never seen"])
def test_a_purchased_item_is_named_unless_it_is_excluded(bought: str) -> None:
    first = msgspec.structs.replace(event("e0", item=bought), event_type="purchase")
    records = [record(0, first), record(1, event("e1", at_ms=1, item="item-4"))]
    rendering = RenderingSettings(len(MODEL.encoder.items) + 1, 0.8)
    named: list[list[str]] = []
    without: list[list[str]] = []
    for exclude, listed in [(False, named), (True, without)]:
        told = ScoringSettings(LATENESS_MS, replace(rendering, exclude_purchased=exclude))
        made = Shop().score([[records]], told=told).predictions
        listed += [[item["item_id"] for item in one["next_items"]] for one in made]
    assert all(bought in items for items in named)
    assert without == [[item for item in items if item != bought] for items in named]


def test_a_search_without_an_item_and_unknown_items_are_scored() -> None:
    searching = msgspec.structs.replace(event("s"), item_id=None, event_type="search")
    unknown = event("u", item="never seen")
    made = Shop().score([[[record(0, searching), record(1, unknown)]]]).predictions
    assert [prediction["event_id"] for prediction in made] == ["s", "u"]
    for prediction in made:
        assert abs(sum(prediction["next_action"].values()) - 1) < 1e-5
        assert len(prediction["next_items"]) == 3


def assert_same(some: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert [one["prediction_id"] for one in some] == [one["prediction_id"] for one in others]
    for one, other in zip(some, others, strict=True):
        assert one["event_id"] == other["event_id"]
        for action, probability in one["next_action"].items():
            assert abs(probability - other["next_action"][action]) < 1e-5
        assert abs(one["churn"]["probability"] - other["churn"]["probability"]) < 1e-5
        for item, same in zip(one["next_items"], other["next_items"], strict=True):
            assert abs(item["score"] - same["score"]) < 1e-4


def hidden_of(state: UserState) -> npt.NDArray[np.float32]:
    (hidden,) = unpacked_states(state.hidden, MODEL.state_units, bounded=MODEL.state_bounded)
    return np.asarray(hidden)


def assert_same_state(one: UserState, other: UserState) -> None:
    assert one.rows == other.rows
    np.testing.assert_allclose(hidden_of(one), hidden_of(other), atol=STATE_DIFFERENCE)
