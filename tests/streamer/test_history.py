"""Which version scores what, and what is published again, around crashes, promotions and lost states."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.history import HistoryCut, ModelChange, PartitionHistory, ScoringPlan
from streamer.window_store import BEING_EMPTIED
from tests.streamer.events import START_MS, batch, event, record
from tests.streamer.models import random_model
from tests.streamer.pipelines import SOURCE, InMemoryKeeper, Topic, Worker, log_of, run
from tests.streamer.stores import InMemoryWindowStore

FIRST, SECOND = random_model(1), random_model(2)


def versions(topic: Topic) -> dict[str, set[str]]:
    """Return the versions under which each event was published."""
    found: dict[str, set[str]] = {}
    for value in topic.values:
        found.setdefault(value["event_id"], set()).add(value["model"]["version"])
    return found


def by_id(topic: Topic) -> dict[str, dict[str, Any]]:
    return {value["prediction_id"]: value for value in topic.values}


offsets = st.integers(0, 60)


@given(
    st.lists(offsets, unique=True, max_size=5),
    offsets,
    offsets,
    st.lists(offsets, unique=True, min_size=1),
)
def test_every_record_is_in_one_piece_with_the_version_that_stood_first(
    changes: list[int], frontier: int, silent_until: int, present: list[int]
) -> None:
    recorded = [ModelChange(offset, f"v{offset}") for offset in sorted(changes)]
    plan = ScoringPlan(PartitionHistory.of(recorded), frontier, silent_until)
    records = [record(offset, event(f"e{offset}")) for offset in sorted(present)]
    pieces = plan.pieces(batch(records), "new")
    assert [one for piece in pieces for one in piece.batch.records] == records
    for piece in pieces:
        for one in piece.batch.records:
            before = [change.version for change in recorded if change.from_offset <= one.offset]
            obeyed = one.offset < max(frontier, silent_until, *(at + 1 for at in changes)) and before
            assert piece.version == (before[-1] if obeyed else "new")
            assert piece.silent == (one.offset < silent_until)
    announced = [piece.change for piece in pieces if piece.change is not None]
    assert all(change.version == "new" for change in announced)
    # Read again from the ledger, the same records have the same versions.
    again = ScoringPlan(PartitionHistory.of([*recorded, *announced]), 61, silent_until)
    first = {one.offset: piece.version for piece in pieces for one in piece.batch.records if not piece.silent}
    second = {
        one.offset: piece.version
        for piece in again.pieces(batch(records), "newer")
        for one in piece.batch.records
        if not piece.silent
    }
    assert second == first


def test_of_two_changes_at_one_offset_the_first_counts() -> None:
    history = PartitionHistory.of([ModelChange(5, "a"), ModelChange(0, "b"), ModelChange(5, "c")])
    assert history.changes == (ModelChange(0, "b"), ModelChange(5, "a"))


def test_a_version_is_announced_before_it_publishes_and_only_when_it_changes() -> None:
    async def scenario() -> None:
        topic, keeper = Topic(), InMemoryKeeper()
        published_before: list[int] = []

        async def note() -> None:
            published_before.append(len(topic.values))

        keeper.before_announcing = note
        async with Worker(InMemoryWindowStore(), topic, log_of(8), keeper, FIRST) as worker:
            await worker.read(2)
            await worker.settle()
            worker.scorer.swap(SECOND)
            worker.log = log_of(16)
            await worker.read(2, first=8)
            await worker.settle()
        assert keeper.changes == [ModelChange(0, FIRST.version), ModelChange(8, SECOND.version)]
        assert published_before == [0, 8]

    run(scenario)


@pytest.mark.parametrize("promoted_to", [FIRST, SECOND])
def test_what_a_dead_worker_published_is_scored_again_by_the_version_that_it_had(promoted_to: Any) -> None:
    async def scenario() -> None:
        store, topic, keeper = InMemoryWindowStore(), Topic(), InMemoryKeeper(FIRST, SECOND)
        async with Worker(store, topic, log_of(30), keeper, FIRST) as first:
            died = asyncio.Event()

            async def die() -> None:
                if len(topic.values) > 12:
                    died.set()
                    await asyncio.Event().wait()

            topic.before_ack = die
            reading = asyncio.create_task(first.read(4))
            await died.wait()
            reading.cancel()
        topic.before_ack = None
        published = len(topic.values)
        keeper.end = 30
        async with Worker(store, topic, log_of(40), keeper, promoted_to) as second:
            assert second.start < published
            await second.read(7)
            await second.settle()
        assert all(len(found) == 1 for found in versions(topic).values())
        assert len(versions(topic)) == 40
        assert versions(topic)["e39"] == {promoted_to.version}
        assert versions(topic)["e29"] == {FIRST.version}
        assert keeper.asked == ([] if promoted_to is FIRST else [FIRST.version] * len(keeper.asked))

    run(scenario)


def test_a_store_that_was_emptied_is_rebuilt_without_publishing_what_was_published() -> None:
    async def scenario() -> None:
        keeper, log = InMemoryKeeper(FIRST, SECOND), log_of(40)
        undisturbed, topic, store = Topic(), Topic(), InMemoryWindowStore()
        for target, kept, loses in ((undisturbed, InMemoryWindowStore(), False), (topic, store, True)):
            keeper.changes.clear()
            keeper.settled = keeper.end = 0
            async with Worker(kept, target, log[:20], keeper, FIRST) as worker:
                await worker.read(4)
                await worker.settle()
            keeper.end = 20
            async with Worker(kept, target, log[:30], keeper, SECOND) as worker:
                await worker.read(4)
                await worker.settle()
            if loses:
                store.offsets.clear()
                store.states.clear()
                keeper.settled = 28
            keeper.end = 30
            async with Worker(kept, target, log, keeper, SECOND) as worker:
                if loses:
                    assert worker.pipeline.owned.catching_up() == [0]
                    assert worker.pipeline.owned.commit_floor(0) == 28
                await worker.read(7)
                await worker.settle()
                assert worker.pipeline.owned.catching_up() == []
                assert worker.tally.rebuilt_events == (28 if loses else 0)
        assert topic.events == [f"e{n}" for n in [*range(30), 28, 29, *range(30, 40)]]
        assert by_id(topic) == by_id(undisturbed)
        assert store.offsets[SOURCE] == 40

    run(scenario)


def test_users_that_are_new_behind_a_cut_are_partial_until_a_lost_state_would_have_expired() -> None:
    async def scenario() -> None:
        keeper, topic = InMemoryKeeper(), Topic()
        keeper.cut = HistoryCut(START_MS + 1_000)
        made = [event("e0", "ann", 0), event("e1", "ann", 2_000), event("e2", "bob", 2_000)]
        log = [record(offset, one) for offset, one in enumerate(made)]
        async with Worker(InMemoryWindowStore(), topic, log, keeper) as worker:
            await worker.read(1)
            await worker.settle()
            assert worker.tally.partial_predictions == 2
        assert [value["state"] for value in topic.values] == ["partial", "partial", "complete"]

    run(scenario)


def test_a_store_that_lost_a_little_is_read_on_without_publishing_again() -> None:
    async def scenario() -> None:
        store, topic = InMemoryWindowStore(), Topic()
        async with Worker(store, topic, log_of(12)) as worker:
            await worker.read(3)
            await worker.settle()
            kept = dict(store.states)
            worker.log = log_of(18)
            await worker.read(3, first=12)
            await worker.settle()
            store.offsets[SOURCE] = 12
            store.states = kept
            worker.log = log_of(21)
            await worker.read(3, first=18)
            await worker.rewound()
            await worker.settle()
            assert worker.seeks == [12]
            await worker.read(2, first=12, generation=2)
            await worker.settle()
        assert topic.events == [f"e{n}" for n in range(21)]
        assert store.offsets[SOURCE] == 21

    run(scenario)


def test_lost_states_are_noticed_without_any_event() -> None:
    async def scenario() -> None:
        store, topic = InMemoryWindowStore(), Topic()
        async with Worker(store, topic, log_of(6)) as worker:
            await worker.read(3)
            await worker.settle()
            await worker.pipeline.owned.look()
            assert worker.seeks == []
            store.offsets.clear()
            store.states.clear()
            await worker.pipeline.owned.look()
            assert worker.seeks == [None]
            assert worker.pipeline.owned.catching_up() == [0]
            await worker.read(6, first=0, generation=2)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(6)]
            assert store.offsets[SOURCE] == 6

    run(scenario)


def test_a_worker_waits_while_its_states_are_deleted_and_then_rebuilds_them() -> None:
    async def scenario() -> None:
        store, topic = InMemoryWindowStore(), Topic()
        async with Worker(store, topic, log_of(12)) as worker:
            await worker.read(3)
            await worker.settle()
            kept = dict(store.states)
            store.offsets[SOURCE] = BEING_EMPTIED
            store.states.clear()
            worker.log = log_of(15)
            await worker.read(3, first=12)
            for _ in range(20):
                await asyncio.sleep(0)
            assert worker.seeks == []
            del store.offsets[SOURCE]
            await worker.rewound()
            assert worker.seeks == [None]
            worker.log = log_of(12)
            await worker.read(4, first=0, generation=2)
            await worker.settle()
            assert store.states == kept
            assert topic.events == [f"e{n}" for n in range(12)]

    run(scenario)
