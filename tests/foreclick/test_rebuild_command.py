"""`foreclick rebuild` beside a real worker: states are deleted and come back, nothing is published again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner, Result

from foreclick.cli import build_app
from foreclick.errors import RebuildError, SettingsError
from foreclick.settings import Settings
from streamer.errors import NoProgress, StoreUnavailable
from streamer.records import SourcePartition
from streamer.window_store import BEING_EMPTIED, Question, RedisWindowStore, Write
from streamer.window_store_emptying import StateEmptier
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import event
from tests.streamer.test_worker import values
from tests.streamer.worker import keyed, produce, read_until, running_worker

SOURCE = SourcePartition("topicid0abcdefghijklmn", 1)


def invoke(settings: Settings, *words: str, answer: str | None = None) -> Result:
    typed = ["rebuild", *words]
    for name in ("kafka", "redis", "topic_prefix", "redis_prefix", "consumer_group", "partitions"):
        typed += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    return CliRunner().invoke(build_app(typed), [*typed, "--stall-limit-ms", "60000"], input=answer)


def stored(settings: Settings) -> dict[bytes, bytes]:
    client = redis.Redis.from_url(settings.redis)
    try:
        keys = sorted(client.scan_iter(f"{settings.redis_prefix}*"))
        found = cast("list[bytes]", client.mget(keys)) if keys else []
        return dict(zip(keys, found, strict=True))
    finally:
        client.close()


def committed(settings: Settings) -> list[int]:
    """Return the group's committed offsets of all partitions."""
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": settings.consumer_group})
    try:
        places = [TopicPartition(settings.events_topic, number) for number in range(settings.partitions)]
        return [place.offset for place in consumer.committed(places, timeout=20)]
    finally:
        consumer.close()


def test_states_come_back_as_they_were_and_nothing_is_published_again(
    fresh_topics: Settings, tmp_path: Path
) -> None:
    promote_random_model(tmp_path, seed=1)
    for number in range(fresh_topics.partitions):
        events = [event(f"e{number}-{at}", f"user-{number}", at) for at in range(20)]
        produce(fresh_topics, [keyed(one) for one in events], number)
    with running_worker(fresh_topics, tmp_path):
        while committed(fresh_topics) != [20] * fresh_topics.partitions:
            pass
        before = stored(fresh_topics)
        result = invoke(fresh_topics, "--yes")
        assert result.exit_code == 0, result.output
        assert "partition 0: 1 states deleted" in result.output
        assert "all 3 partitions have caught up" in result.output
        assert stored(fresh_topics) == before
        produce(fresh_topics, [keyed(event("last", "user-0", 20))])
        found = read_until(
            fresh_topics,
            fresh_topics.predictions_topic,
            lambda found: any(value["event_id"] == "last" for value in values(found)),
        )
    assert [value["event_id"] for value in values(found)] == [*(f"e0-{at}" for at in range(20)), "last"]
    assert values(found)[-1]["state"] == "complete"


def test_what_cannot_be_rebuilt_is_not_deleted(fresh_topics: Settings) -> None:
    for words, kind, said in (
        (("--yes",), RebuildError, "committed nothing for partitions [0, 1, 2]"),
        (("--partition", "3"), SettingsError, "has no partition 3"),
    ):
        error = invoke(fresh_topics, *words).exception
        assert isinstance(error, kind)
        assert said in str(error)


def test_states_are_deleted_of_one_partition_only_and_nobody_reads_them_meanwhile(
    redis_url: str, unique_prefix: str
) -> None:
    other = replace(SOURCE, partition=10)
    prefix = f"{unique_prefix}[*"  # characters that a pattern would read otherwise

    async def scenario() -> None:
        store = RedisWindowStore.connect(redis_url, prefix, 60_000, 5_000, {})
        emptier = StateEmptier(redis_url, prefix, 5_000, {}, cluster=False)
        for source in (SOURCE, other):
            await store.write([Write(source, None, 7, {b"ann": b"1", b"bob": b"2"})])
        assert emptier.offset(SOURCE) == 7
        assert emptier.empty(SOURCE) == 2
        emptied, kept = await store.read([Question(SOURCE, [b"ann"]), Question(other, [b"ann"])])
        assert emptied.states == [None]
        assert kept.states == [b"1"]
        assert await store.offset(SOURCE) is None
        assert emptier.offset(SOURCE) is None
        client = redis.Redis.from_url(redis_url)
        client.set(f"{prefix}{{{SOURCE.topic_id[:8]}.1}}", BEING_EMPTIED)
        client.close()
        with pytest.raises(StoreUnavailable, match="being deleted"):
            await store.offset(SOURCE)
        await store.aclose()

    asyncio.run(scenario())


def test_a_rebuild_that_no_worker_takes_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from foreclick.commands import rebuild as command

    class Idle:
        def offset(self, _source: SourcePartition) -> None:
            return None

    monkeypatch.setattr(command, "_LOOK_AGAIN_S", 0.001)
    with pytest.raises(NoProgress, match="no worker builds them anew"):
        command._wait(Idle(), {SOURCE: 5}, 20)  # type: ignore[arg-type]
