"""Batches that were fetched and never came: they are read again, and nothing of their partition is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import msgspec
from confluent_kafka import Message

from foreclick.settings import Settings
from tests.streamer import missing_worker
from tests.streamer.artifacts import promote_random_model
from tests.streamer.events import batch, event
from tests.streamer.pipelines import SOURCE, Topic, Worker, log_of, run
from tests.streamer.stores import InMemoryWindowStore
from tests.streamer.worker import PATIENCE_S, keyed, produce, read_until, running_worker

NO_EVENT = (b"ann", b"no event")


def test_a_batch_that_never_came_is_read_again_with_all_behind_it() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(8)
        async with Worker(store, topic, log[:3]) as worker:
            await worker.read(3)
            await worker.settle()
            worker.pipeline.submit([batch(log[5:], fetched_from=5)], lambda _: None)
            await worker.rewound()
            await worker.settle()
            assert worker.seeks == [3]
            assert topic.events == ["e0", "e1", "e2"]
            worker.log = log
            await worker.read(5, first=3, generation=2)
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(8)]
            assert store.offsets[SOURCE] == 8

    run(scenario)


def test_what_is_in_flight_when_a_batch_is_missed_is_read_again_too() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(8)
        async with Worker(store, topic, log) as worker:
            worker.pipeline.submit([batch(log[:3])], lambda _: None)
            worker.pipeline.submit([batch(log[5:], fetched_from=5)], lambda _: None)
            await worker.rewound()
            await worker.settle()
            await worker.read(8, first=worker.seeks[-1] or 0, generation=2)
            await worker.settle()
            assert list(dict.fromkeys(topic.events)) == [f"e{n}" for n in range(8)]
            assert store.offsets[SOURCE] == 8

    run(scenario)


def test_what_is_read_behind_a_seek_is_due_before_the_seek_has_returned() -> None:
    async def scenario() -> None:
        store, topic, log = InMemoryWindowStore(), Topic(), log_of(8)
        async with Worker(store, topic, log[:3]) as worker:

            async def read_at_once() -> None:
                worker.pipeline.submit([batch(log[3:], generation=2, fetched_from=3)], lambda _: None)

            worker.before_seek = read_at_once
            await worker.read(3)
            await worker.settle()
            worker.pipeline.submit([batch(log[5:], fetched_from=5)], lambda _: None)
            await worker.rewound()
            await worker.settle()
            assert topic.events == [f"e{n}" for n in range(8)]

    run(scenario)


def test_a_worker_that_misses_every_other_fetch_loses_nothing(fresh_topics: Settings, tmp_path: Path) -> None:
    promote_random_model(tmp_path, seed=1)
    count = 20
    with running_worker(fresh_topics, tmp_path, program=missing_worker.__name__) as worker:
        for number in range(count):
            produce(fresh_topics, [keyed(event(f"e{number}", at_ms=number)), NO_EVENT])
        produce(fresh_topics, [keyed(event("last", at_ms=count))])
        found = read_until(
            fresh_topics, fresh_topics.predictions_topic, lambda found: b'"last"' in last_value(found)
        )
        letters = read_until(fresh_topics, fresh_topics.dead_letters_topic, lambda found: len(found) >= count)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == 0
    assert {msgspec.json.decode(one.value() or b"")["event_id"] for one in found} == {
        *(f"e{number}" for number in range(count)),
        "last",
    }
    assert len({dict(letter.headers() or [])["foreclick.source"] for letter in letters}) == count


def last_value(found: list[Message]) -> bytes:
    return (found[-1].value() or b"") if found else b""
