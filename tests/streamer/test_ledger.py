"""The ledger on a real broker, and a real worker that obeys it when its states are lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from aiokafka import TopicPartition as Place
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from foreclick.settings import Settings
from streamer.errors import BrokerUnavailable
from streamer.history import HistoryCut, ModelChange, PartitionHistory
from streamer.ledger import Ledger
from streamer.ledger_reading import Bounds, LedgerReader, committed_tag
from streamer.records import SourcePartition
from streamer.take_over import TakeOver
from streamer.transport_commits import TaggingConsumer
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.test_worker import values
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker

SOURCE = SourcePartition("topicid0abcdefghijklmn", 1)
NOW_MS, TTL_MS = 1_700_000_000_000, 86_400_000


def ledger(settings: Settings, scope: str = "fc") -> Ledger:
    topics = (settings.events_topic, settings.ledger_topic)
    return Ledger(settings.kafka, *topics, settings.consumer_group, scope, {})


def asked(call: Callable[[], Awaitable[object]]) -> object:
    async def ask() -> object:
        return await call()

    return asyncio.run(ask())


async def commit(settings: Settings, offset: int, tag: str) -> None:
    """Commit for the group, as a worker does; partition 1."""
    consumer = TaggingConsumer(
        tag,
        bootstrap_servers=settings.kafka,
        group_id=settings.consumer_group,
        enable_auto_commit=False,
    )
    await consumer.start()
    place = Place(settings.events_topic, 1)
    consumer.assign([place])
    await consumer.commit({place: OffsetAndMetadata(offset, "")})
    await consumer.stop()


def test_what_was_announced_is_read_by_the_next_owner_of_the_same_states_only(fresh_topics: Settings) -> None:
    async def scenario() -> None:
        first = ledger(fresh_topics)
        await first.announce(SOURCE, ModelChange(7, "v2"))
        await first.announce(SOURCE, ModelChange(0, "v1"))
        await first.announce(replace(SOURCE, partition=2), ModelChange(5, "v9"))
        await first.note_cut(SOURCE, 3, HistoryCut(99))
        second, known = ledger(fresh_topics), (ModelChange(0, "v1"), ModelChange(7, "v2"))
        for reader in (first, second):
            assert await reader.histories([SOURCE]) == {1: PartitionHistory(known, HistoryCut(99))}
        await first.announce(SOURCE, ModelChange(9, "v3"))
        grown = PartitionHistory((*known, ModelChange(9, "v3")), HistoryCut(99))
        assert await second.histories([SOURCE]) == {1: grown}
        another_topic, another_scope = replace(SOURCE, topic_id="x"), ledger(fresh_topics, "other")
        assert await second.histories([another_topic]) == {1: PartitionHistory()}
        assert await another_scope.histories([SOURCE]) == {1: PartitionHistory()}
        for one in (first, second, another_scope):
            one.close()

    asyncio.run(scenario())


def test_those_who_ask_together_are_answered_by_few_reads_that_began_behind_their_calls(
    fresh_topics: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Sequence[int]] = []
    read = LedgerReader.read

    def counted(reader: LedgerReader, partitions: Sequence[int]) -> None:
        reads.append(partitions)
        if len(reads) == 2:
            raise BrokerUnavailable("not yet")
        read(reader, partitions)

    monkeypatch.setattr(LedgerReader, "read", counted)
    sources = [replace(SOURCE, partition=number) for number in range(3)]

    async def history(own: Ledger, source: SourcePartition) -> PartitionHistory:
        return (await own.histories([source]))[source.partition]

    async def scenario() -> None:
        own, other = ledger(fresh_topics), ledger(fresh_topics)
        for turn in range(3):
            change = ModelChange(turn, f"v{turn}")
            for source in sources:
                await other.announce(source, change)
            answers = await asyncio.gather(*(history(own, one) for one in sources), return_exceptions=True)
            told = [one for one in answers if isinstance(one, PartitionHistory)]
            assert len(told) == (2 if turn == 0 else 3)  # one of two read for both, and was told
            assert all(one.changes[-1] == change for one in told)
        assert len(reads) <= 2 * 3 + 1  # the one that failed was done again
        own.close()
        other.close()

    asyncio.run(scenario())


def test_a_ledger_without_brokers_says_so(fresh_topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.ledger_reading.TIMEOUT_S", 0.5)
    away = ledger(replace(fresh_topics, kafka="127.0.0.1:1"))
    for call in (
        lambda: away.histories([SOURCE]),
        lambda: away.bounds([SOURCE]),
        lambda: away.announce(SOURCE, ModelChange(0, "v1")),
    ):
        with pytest.raises(BrokerUnavailable):
            asked(call)
    away.close()


def test_only_an_offset_that_was_committed_for_these_states_counts(fresh_topics: Settings) -> None:
    produce(fresh_topics, [keyed(event(f"e{number}")) for number in range(5)], partition=1)
    own, tags = ledger(fresh_topics), ("", committed_tag("fc", "x"), committed_tag("fc", SOURCE.topic_id))

    async def scenario() -> None:
        assert await own.bounds([SOURCE]) == {1: Bounds(0, 5, None)}
        for tag, settled in zip(tags, (None, None, 4), strict=True):
            await commit(fresh_topics, 4, tag)
            assert await own.bounds([SOURCE]) == {1: Bounds(0, 5, settled)}

    asyncio.run(scenario())
    own.close()


def test_states_that_are_behind_catch_up_and_a_cut_history_is_noted(fresh_topics: Settings) -> None:
    produce(fresh_topics, [keyed(event(f"e{number}")) for number in range(9)], partition=1)
    own = ledger(fresh_topics)
    take_over = TakeOver(own, TTL_MS, lambda: NOW_MS)

    async def scenario() -> None:
        fresh = await take_over.plan(SOURCE, None)
        assert (fresh.frontier, fresh.silent_until, fresh.history.cut) == (9, 0, None)
        await commit(fresh_topics, 6, committed_tag("fc", SOURCE.topic_id))
        ahead, behind, empty = [await take_over.plan(SOURCE, at) for at in (8, 4, None)]
        assert [one.silent_until for one in (ahead, behind, empty)] == [0, 6, 6]
        assert empty.history.cut is None  # the topic reaches back to its first record
        delete_before(fresh_topics, 2)
        assert (await take_over.plan(SOURCE, 4)).history.cut is None
        assert (await take_over.plan(SOURCE, None)).history.cut == HistoryCut(NOW_MS + TTL_MS)
        assert (await take_over.plan(SOURCE, 4)).history.cut == HistoryCut(NOW_MS + TTL_MS)

    asyncio.run(scenario())
    own.close()


def delete_before(settings: Settings, offset: int, partition: int = 1) -> None:
    place = TopicPartition(settings.events_topic, partition, offset)
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    for future in admin.delete_records([place]).values():
        future.result(PATIENCE_S)


def committed(settings: Settings) -> int:
    """Return the group's committed offset of partition 0."""
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": settings.consumer_group})
    (place,) = consumer.committed([TopicPartition(settings.events_topic, 0)], timeout=PATIENCE_S)
    consumer.close()
    return place.offset


def empty_redis(settings: Settings) -> None:
    client = redis.Redis.from_url(settings.redis)
    keys = list(client.scan_iter(f"{settings.redis_prefix}*"))
    assert keys
    client.delete(*keys)
    client.close()


def test_a_real_worker_with_lost_states_rebuilds_them_by_the_old_version_and_publishes_each_once(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    first = promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event(f"e{number}", at_ms=number)) for number in range(10)])
    with running_worker(fresh_topics, tmp_path) as worker:
        read_until(fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= 10)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    assert committed(fresh_topics) == 10
    empty_redis(fresh_topics)
    second = promote_random_model(tmp_path, seed=2)
    produce(fresh_topics, [keyed(event(f"e{number}", at_ms=number)) for number in range(10, 13)])
    with running_worker(fresh_topics, tmp_path) as worker:
        read_until(fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= 13)
        produce(fresh_topics, [keyed(event("e13", at_ms=13))])
        found = read_until(fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= 14)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    told = values(found)
    assert [value["event_id"] for value in told] == [f"e{number}" for number in range(14)]
    # What stood in the topic when the second worker came might have been published under the first version.
    assert [value["model"]["version"] for value in told] == [first] * 13 + [second]
    assert {value["state"] for value in told} == {"complete"}


def test_lost_states_that_the_topic_no_longer_tells_make_partial_predictions(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event(f"e{number}")) for number in range(6)])
    with running_worker(fresh_topics, tmp_path) as worker:
        read_until(fresh_topics, fresh_topics.predictions_topic, lambda found: len(found) >= 6)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    empty_redis(fresh_topics)
    delete_before(fresh_topics, 4, partition=0)
    produce(fresh_topics, [keyed(event("new", "bob"))])

    def enough(found: list[Message]) -> bool:
        return len(found) >= 7

    with running_worker(fresh_topics, tmp_path):
        found = read_until(fresh_topics, fresh_topics.predictions_topic, enough)
    assert [(value["event_id"], value["state"]) for value in values(found[6:])] == [("new", "partial")]


def test_another_redis_prefix_scores_a_topic_anew(fresh_topics: Settings, tmp_path: Path) -> None:
    promote_random_model(tmp_path, seed=1)
    produce(fresh_topics, [keyed(event("e0"))])
    told: list[Message] = []
    for prefix in ("one", "two"):
        own = replace(fresh_topics, redis_prefix=f"{fresh_topics.redis_prefix}-{prefix}")
        with running_worker(own, tmp_path) as worker:
            before = len(told)
            told = read_until(own, own.predictions_topic, lambda found: len(found) > before)  # noqa: B023
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE_S) == 0
    assert [value["event_id"] for value in values(told)] == ["e0", "e0"]
