"""The order of the steps, and what survives when something dies between two of them."""

from __future__ import annotations

import asyncio
from functools import partial
from random import Random
from typing import Any

import pytest

from streamer.errors import PublishFailed, StoreUnavailable
from tests.streamer.events import event, record
from tests.streamer.pipelines import SOURCE, AskedStore, Topic, UnevenStore, UnevenTopic, Worker, log_of, run
from tests.streamer.stores import InMemoryWindowStore


def assert_same(one: Any, other: Any) -> None:
    """Hold two predictions equal, but for what adding numbers up in another order makes of them."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert_same(value, other[name])
    elif isinstance(one, list):
        for value, its_other in zip(one, other, strict=True):
            assert_same(value, its_other)
    else:
        assert one == (pytest.approx(other, abs=1e-4) if isinstance(one, float) else other)


def test_batches_overlap_and_keep_their_order() -> None:
    async def scenario() -> None:
        topic, log = Topic(), log_of(40)
        async with Worker(InMemoryWindowStore(), topic, log) as worker:
            await worker.read(3)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(40)]
            assert worker.done == [*range(3, 40, 3), 40]

    run(scenario)


@pytest.mark.parametrize("seed", range(8))
def test_uneven_answers_of_redis_and_kafka_change_neither_order_nor_predictions(seed: int) -> None:
    async def scenario() -> None:
        even, uneven, log, turns = Topic(), UnevenTopic(Random(seed)), log_of(60), Random(seed)
        async with Worker(InMemoryWindowStore(), even, log) as worker:
            await worker.read(60)
            await worker.settle()
        async with Worker(store := UnevenStore(turns), uneven, log) as worker:
            await worker.read(3)
            await worker.settle()
            assert worker.seeks == []
            assert worker.done == list(range(3, 61, 3))
        assert store.offsets[SOURCE] == 60
        assert uneven.events == even.events
        for one, other in zip(uneven.values, even.values, strict=True):
            assert one["next_action"] == pytest.approx(other["next_action"], abs=1e-5)

    run(scenario)


@pytest.mark.parametrize("size", [1, 4, 5])
def test_a_worker_that_dies_after_publishing_leaves_the_same_predictions_to_the_next(size: int) -> None:
    async def scenario() -> None:
        undisturbed, log = Topic(), log_of(30)
        async with Worker(InMemoryWindowStore(), undisturbed, log) as worker:
            await worker.read(7)
            await worker.settle()

        store, topic = InMemoryWindowStore(), Topic()
        async with Worker(store, topic, log) as first:
            died = asyncio.Event()

            async def die_in_the_third_batch() -> None:
                if len(topic.values) > 2 * size:
                    died.set()
                    await asyncio.Event().wait()

            topic.before_ack = die_in_the_third_batch
            reading = asyncio.create_task(first.read(size))
            await died.wait()
            reading.cancel()
        topic.before_ack = None
        assert store.offsets[SOURCE] == 2 * size
        async with Worker(store, topic, log) as second:
            assert second.start == 2 * size
            await second.read(7)
            await second.settle()
        assert store.offsets[SOURCE] == 30
        expected = {value["prediction_id"]: value for value in undisturbed.values}
        assert {value["prediction_id"] for value in topic.values} == expected.keys()
        for value in topic.values:
            assert_same(value, expected[value["prediction_id"]])
        assert len(topic.values) > 30

    run(scenario)


def test_an_owner_whose_partition_moved_on_drops_its_batches_and_reads_on_from_there() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(12)
        async with Worker(store, topic, log) as stale:
            store.offsets[SOURCE] = 9
            await stale.read(4)
            await stale.rewound()
            await stale.settle()
            assert topic.values == []
            assert stale.done == []
            assert stale.seeks == [9]
            await stale.read(4, first=9, generation=2)
            await stale.settle()
            assert topic.events == ["e9", "e10", "e11"]

    run(scenario)


@pytest.mark.parametrize("size", [4, 12])
def test_an_owner_is_stale_also_where_another_has_written_up_to_the_end_of_its_own_batches(size: int) -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(12)
        async with Worker(store, topic, log) as stale:
            async with Worker(store, topic, log) as other:
                await other.read(12)
                await other.settle()
            assert store.offsets[SOURCE] == 12
            store.states.clear()  # as windows that have moved on: they tell of no repeated event
            first = list(topic.values)
            await stale.read(size)
            await stale.rewound()
            await stale.settle()
            assert topic.values == first
            assert (stale.done, stale.seeks) == ([], [12])

    run(scenario)


def test_a_store_that_lost_everything_sends_the_reading_back_to_the_beginning() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(12)
        async with Worker(store, topic, log) as worker:
            await worker.read(6)
            await worker.settle()
            store.offsets.clear()
            store.states.clear()
            worker.log = log_of(15)
            await worker.read(6, first=12)
            await worker.rewound()
            await worker.settle()
            assert worker.seeks == [None]
            assert topic.events == [f"e{n}" for n in range(12)]
            await worker.read(6, first=0, generation=2)
            await worker.settle()
            assert store.offsets[SOURCE] == 15

    run(scenario)


def test_only_records_that_are_due_are_taken() -> None:
    async def scenario() -> None:
        topic = Topic()
        async with Worker(InMemoryWindowStore(), topic, log_of(5)) as worker:
            await worker.read(5)
            await worker.read(5, first=0)  # all of it was taken before
            worker.log = log_of(8)
            await worker.read(5, first=3)  # e3 and e4 were
            worker.log = log_of(10)
            await worker.read(2, first=8, generation=0)  # fetched before the newest seek
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(8)]
            await worker.read(2, first=8)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(10)]
            assert worker.tally.predictions == 10
            assert worker.tally.duplicate_events == 0

    run(scenario)


def test_states_stay_in_memory_only_while_a_batch_in_flight_needs_them() -> None:
    async def scenario() -> None:
        store, log = AskedStore(), log_of(9)
        async with Worker(store, Topic(), log[:6]) as worker:
            await worker.read(3)
            await worker.settle()
            assert store.asked == [[b"ann", b"bob", b"cy"], []]
            worker.log = log
            await worker.read(3, first=6)
            await worker.settle()
            assert store.asked[2:] == [[b"ann", b"bob", b"cy"]]

    run(scenario)


def test_gaps_in_offsets_lose_nothing() -> None:
    async def scenario() -> None:
        topic = Topic()
        log = [record(offset, event(f"e{offset}", at_ms=offset)) for offset in (3, 4, 9, 30)]
        async with Worker(InMemoryWindowStore(), topic, log) as worker:
            await worker.read(2)
            await worker.settle()
            assert topic.events == ["e3", "e4", "e9", "e30"]

    run(scenario)


def test_a_store_that_is_away_for_a_while_delays_and_loses_nothing() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(10)
        async with Worker(store, topic, log) as worker:
            store.failures = 4
            await worker.read(5)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(10)]
            assert store.offsets[SOURCE] == 10

    run(scenario)


def test_a_publication_that_fails_ends_the_worker_with_nothing_written() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(4)
        topic.fail = True
        async with Worker(store, topic, log) as worker:
            await worker.read(4)
            with pytest.raises(ExceptionGroup) as failure:
                await worker.running
            assert failure.group_contains(PublishFailed)
            assert store.offsets == {}
            assert worker.done == []

    run(scenario)


def test_nothing_is_written_for_a_partition_that_was_revoked_in_the_midst_of_it() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(4)
        published, revoked = asyncio.Event(), asyncio.Event()

        async def wait_for_the_revocation() -> None:
            published.set()
            await revoked.wait()

        topic.before_ack = wait_for_the_revocation
        async with Worker(store, topic, log) as worker:
            await worker.read(4)
            await published.wait()
            await worker.pipeline.revoke(timeout_s=0.0)
            revoked.set()
            await worker.settle()
            assert topic.events == ["e0", "e1", "e2", "e3"]
            assert store.offsets == {}
            assert worker.done == []

    run(scenario)


def test_there_is_room_again_once_a_fetch_that_was_handed_over_is_here_or_dropped() -> None:
    async def scenario() -> None:
        async with Worker(InMemoryWindowStore(), Topic(), log_of(4)) as worker:
            pipeline = worker.pipeline

            async def submit_nothing() -> None:
                pipeline.submit([], lambda _: None)

            for arrive in (submit_nothing, partial(pipeline.revoke, 0.0)):
                pipeline.expect()
                room = asyncio.create_task(pipeline.wait_for_room())
                await asyncio.sleep(0)
                assert not room.done()
                await arrive()
                await asyncio.wait_for(room, timeout=5.0)

    run(scenario)


def test_a_partition_that_is_revoked_while_it_seeks_stays_given_up() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(12)
        async with Worker(store, topic, log) as worker:
            worker.before_seek = partial(worker.pipeline.revoke, 0.0)
            store.offsets[SOURCE] = 9
            await worker.read(4)
            await worker.settle()
            assert worker.pipeline.owned.written_offsets() == {}
            await worker.read(4, first=9, generation=2)
            await worker.settle()
            assert topic.events == []
            assert store.offsets == {SOURCE: 9}

    run(scenario)


def test_a_store_that_stays_away_ends_the_worker() -> None:
    async def scenario() -> None:
        store, topic = InMemoryWindowStore(), Topic()
        async with Worker(store, topic, log_of(4)) as worker:
            store.failures = 1_000
            await worker.read(4)
            with pytest.raises(ExceptionGroup) as failure:
                await worker.running
            assert failure.group_contains(StoreUnavailable)
            assert topic.events == []

    run(scenario)
