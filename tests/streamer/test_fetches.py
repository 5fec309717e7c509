"""Batches of several partitions that were fetched together: they share the steps, and no partition's fate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

import pytest

from model_store.serving import ServedModel
from streamer.errors import PublishFailed, StaleOwner
from streamer.history import ModelChange
from streamer.records import FetchedBatch
from streamer.window_store import Question, Snapshot, Write
from tests.streamer.events import Record, batch, event, record
from tests.streamer.models import random_model
from tests.streamer.pipelines import (
    MODEL,
    SOURCE,
    InMemoryKeeper,
    Topic,
    UnevenStore,
    UnevenTopic,
    Worker,
    run,
)
from tests.streamer.stores import InMemoryWindowStore

PARTITIONS = 3
SOURCES = [replace(SOURCE, partition=number) for number in range(PARTITIONS)]
SECOND = random_model(seed=2)


def log_of(partition: int, count: int) -> list[Record]:
    users = [f"ann-{partition}", f"bob-{partition}"]
    return [record(n, event(f"p{partition}-{n}", users[n % 2], n, f"item-{n % 7}")) for n in range(count)]


@asynccontextmanager
async def worker_of_all(
    store: InMemoryWindowStore, topic: Topic, keeper: InMemoryKeeper | None = None, model: ServedModel = MODEL
) -> AsyncIterator[Worker]:
    """A worker that owns all partitions; their generations begin with 1."""
    async with Worker(store, topic, [], keeper, model) as worker:
        sources = dict(enumerate(SOURCES))
        await worker.pipeline.owned.take_over(sources, dict.fromkeys(sources, 1))
        yield worker


def fetches(logs: Sequence[Sequence[Record]], chance: Random) -> list[list[FetchedBatch]]:
    """Cut ``logs`` into fetches, each with up to four records of some of the partitions."""
    at = [0] * len(logs)
    made = []
    while any(reached < len(log) for reached, log in zip(at, logs, strict=True)):
        fetch = []
        for partition, log in enumerate(logs):
            size = chance.choice([0, 1, 4])
            records = log[at[partition] : at[partition] + size]
            at[partition] += len(records)
            if records:
                fetch.append(batch(records, partition=partition))
        made.append(fetch)
    return made


def by_partition(topic: Topic) -> list[list[str]]:
    return [[name for name in topic.events if name.startswith(f"p{number}-")] for number in range(PARTITIONS)]


@pytest.mark.parametrize("seed", range(6))
def test_uneven_answers_change_neither_a_partitions_order_nor_its_predictions(seed: int) -> None:
    async def scenario() -> None:
        chance, done = Random(seed), list[tuple[int, int]]()
        logs = [log_of(number, 20) for number in range(PARTITIONS)]
        alone, together = Topic(), UnevenTopic(chance)
        async with worker_of_all(InMemoryWindowStore(), alone) as worker:
            for number, log in enumerate(logs):
                worker.pipeline.submit([batch(log, partition=number)], lambda _: None)
            await worker.settle()
        store = UnevenStore(chance)
        async with worker_of_all(store, together) as worker:
            for fetch in fetches(logs, chance):
                await worker.pipeline.wait_for_room()
                worker.pipeline.submit(fetch, lambda ended: done.append((ended.partition, ended.next_offset)))
            await worker.settle()
        assert store.offsets == dict.fromkeys(SOURCES, 20)
        assert by_partition(together) == by_partition(alone)
        assert by_partition(together)[2] == [f"p2-{n}" for n in range(20)]
        expected = {value["prediction_id"]: value["next_action"] for value in alone.values}
        for value in together.values:
            assert value["next_action"] == pytest.approx(expected[value["prediction_id"]], abs=1e-5)
        for number in range(PARTITIONS):
            ends = [reached for partition, reached in done if partition == number]
            assert ends == sorted(ends)
            assert ends[-1] == 20

    run(scenario)


def moved_before_reading(store: InMemoryWindowStore, topic: Topic) -> None:
    store.offsets[SOURCES[1]] = 3
    topic.before_ack = None


def moved_before_writing(store: InMemoryWindowStore, topic: Topic) -> None:
    async def move() -> None:
        store.offsets[SOURCES[1]] = 3

    topic.before_ack = move


@pytest.mark.parametrize(
    ("move", "published"), [(moved_before_reading, []), (moved_before_writing, ["p1-0", "p1-1"])]
)
def test_a_partition_that_another_owner_moved_on_holds_no_other_up(
    move: Callable[[InMemoryWindowStore, Topic], None], published: list[str]
) -> None:
    async def scenario() -> None:
        store, topic, done = InMemoryWindowStore(), Topic(), list[int]()
        async with worker_of_all(store, topic) as worker:
            move(store, topic)
            fetch = [batch(log_of(number, 2), partition=number) for number in range(PARTITIONS)]
            worker.pipeline.submit(fetch, lambda ended: done.append(ended.partition))
            await worker.settle()
            assert worker.seeks == [3]
        assert done == [0, 2]
        assert store.offsets == dict(zip(SOURCES, (2, 3, 2), strict=True))
        assert by_partition(topic) == [["p0-0", "p0-1"], published, ["p2-0", "p2-1"]]

    run(scenario)


def test_each_partition_of_a_fetch_is_scored_by_the_version_that_is_due_there() -> None:
    async def scenario() -> None:
        keeper, topic, done = InMemoryKeeper(MODEL, SECOND), Topic(), list[tuple[int, int]]()
        keeper.changes = [ModelChange(0, MODEL.version)]
        keeper.end = 3  # what lies before may have been published by the first version
        async with worker_of_all(InMemoryWindowStore(), topic, keeper, SECOND) as worker:
            fetch = [batch(log_of(number, 2 + 2 * number), partition=number) for number in range(PARTITIONS)]
            worker.pipeline.submit(fetch, lambda ended: done.append((ended.partition, ended.next_offset)))
            await worker.settle()
        versions = {value["event_id"]: value["model"]["version"] for value in topic.values}
        assert versions == {
            f"p{partition}-{n}": MODEL.version if n < 3 else SECOND.version
            for partition in range(PARTITIONS)
            for n in range(2 + 2 * partition)
        }
        assert sorted(done) == [(0, 2), (1, 4), (2, 6)]
        assert by_partition(topic)[2] == [f"p2-{n}" for n in range(6)]

    run(scenario)


def test_nothing_of_a_fetch_is_done_when_the_brokers_did_not_take_it() -> None:
    async def scenario() -> None:
        store, topic, done = InMemoryWindowStore(), Topic(), list[int]()
        topic.fail = True
        async with worker_of_all(store, topic) as worker:
            fetch = [batch(log_of(number, 2), partition=number) for number in range(PARTITIONS)]
            worker.pipeline.submit(fetch, lambda ended: done.append(ended.partition))
            with pytest.raises(ExceptionGroup) as failure:
                await worker.running
            assert failure.group_contains(PublishFailed)
        assert (done, store.offsets) == ([], {})

    run(scenario)


def test_the_batches_of_a_fetch_are_read_published_and_written_at_once() -> None:
    async def scenario() -> None:
        asked: list[str] = []

        class Counted(InMemoryWindowStore):
            async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
                asked.append(f"read {len(questions)}")
                return await super().read(questions)

            async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
                asked.append(f"write {len(writes)}")
                return await super().write(writes)

        async with worker_of_all(Counted(), Topic()) as worker:
            fetch = [batch(log_of(number, 2), partition=number) for number in range(PARTITIONS)]
            worker.pipeline.submit(fetch, lambda _: None)
            await worker.settle()
        assert asked == ["read 3", "write 3"]

    run(scenario)
