"""The order of the steps, and what survives when something dies between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest

from streamer.errors import PublishFailed
from streamer.pipeline import Pipeline
from streamer.profile import Profile
from streamer.records import SourcePartition
from streamer.rendering import RenderingSettings
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.scoring import ScoredBatch, ScoringSettings
from streamer.tally import Tally
from tests.streamer.events import START_MS, Record, batch, event, record
from tests.streamer.models import random_model
from tests.streamer.stores import InMemoryWindowStore

SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)
MODEL = random_model()


class Topic:
    """Stands for the predictions topic: what was acknowledged, in order."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.fail = False
        self.before_ack: Callable[[], Awaitable[None]] | None = None

    async def publish(self, scored: ScoredBatch) -> None:
        if self.fail:
            raise PublishFailed("unplugged")
        await asyncio.sleep(0)
        self.values += [msgspec.json.decode(value) for _, value in scored.predictions]
        if self.before_ack is not None:
            await self.before_ack()

    @property
    def events(self) -> list[str]:
        return [value["event_id"] for value in self.values]


class Worker:
    """One worker's pipeline over a shared store and topic, and the log that it reads."""

    def __init__(self, store: InMemoryWindowStore, topic: Topic, log: Sequence[Record]) -> None:
        self.log = log
        self.seeks: list[int | None] = []
        self.done: list[int] = []
        scoring = ScoringSettings(10_000, RenderingSettings(2, 0.8))
        scorer = Scorer(MODEL, scoring, 1_000, lambda: START_MS, Profile())
        self.pipeline = Pipeline(store, scorer, topic, self._seek, Room(8, 1_000), Tally())
        self._rewound = asyncio.Event()

    async def __aenter__(self) -> Worker:
        self.running = asyncio.create_task(self.pipeline.run())
        await asyncio.sleep(0)
        starts = await self.pipeline.start_offsets({0: SOURCE})
        self.start = starts[0] or 0
        self.pipeline.assign(SOURCE, starts[0], generation=1)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.running.cancel()
        with suppress(asyncio.CancelledError, ExceptionGroup):
            await self.running

    async def _seek(self, _partition: int, offset: int | None) -> int:
        self.seeks.append(offset)
        self._rewound.set()
        return 2

    async def read(self, size: int, first: int | None = None, generation: int = 1) -> None:
        """Submit the log from ``first`` (default: where the worker starts) in batches of ``size``."""
        at = self.start if first is None else first
        while at < len(self.log):
            records = self.log[at : at + size]
            at += len(records)
            await self.pipeline.wait_for_room()
            self.pipeline.submit(batch(records, generation), partial(self.done.append, at))

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        await self.pipeline.drain(5.0)

    async def rewound(self) -> None:
        await asyncio.wait_for(self._rewound.wait(), 5.0)


def log_of(count: int) -> list[Record]:
    users = ["ann", "bob", "cy"]
    return [record(n, event(f"e{n}", users[n % 3], n, f"item-{n % 7}")) for n in range(count)]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_batches_overlap_and_keep_their_order() -> None:
    async def scenario() -> None:
        topic, log = Topic(), log_of(40)
        async with Worker(InMemoryWindowStore(), topic, log) as worker:
            await worker.read(3)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(40)]
            assert worker.done == [*range(3, 40, 3), 40]

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
        by_id: dict[str, dict[str, Any]] = {}
        for value in topic.values:
            assert by_id.setdefault(value["prediction_id"], value) == value
        assert by_id == {value["prediction_id"]: value for value in undisturbed.values}
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


def test_batches_of_an_older_generation_and_records_already_taken_are_ignored() -> None:
    async def scenario() -> None:
        topic, log = Topic(), log_of(10)
        async with Worker(InMemoryWindowStore(), topic, log) as worker:
            await worker.read(5)
            await worker.read(5, first=0)
            await worker.read(5, first=0, generation=0)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(10)]

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
