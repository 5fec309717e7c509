"""The undisturbed run: the same records at the same offsets, through one plain worker and no fault."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from heapq import merge
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from benchmarks.support.faults.fleet import Worker
from benchmarks.support.faults.servers import Servers, wait_until
from benchmarks.support.faults.states import StoredRun, read_states
from foreclick.checking.accounts import SOURCE_HEADER, Outputs, read_outputs
from foreclick.checking.topics import TopicContents, TopicRecord, read_topic
from foreclick.settings import Settings
from foreclick.topics import create_topics
from model_store.artifacts import ModelStore
from producers.publisher import CLIENT_DEFAULTS

PATIENCE_S: Final = 120.0


@dataclass(frozen=True)
class Run:
    """What a reader outside sees of a run: its events, what became of them, and Redis."""

    events: TopicContents
    outputs: Outputs
    stored: StoredRun


def read_run(settings: Settings, servers: Servers) -> Run:
    """Read all that there is of the events topic as it now is: of one made anew, nothing of the old one."""
    events = read_topic(settings.kafka, settings.events_topic)
    predictions = read_topic(settings.kafka, settings.predictions_topic)
    letters = read_topic(settings.kafka, settings.dead_letters_topic)
    published = _in_order_of_time(predictions.records)
    start = f"{events.topic_id}-"
    return Run(
        events,
        read_outputs(
            [record for record in published if start.encode() in (record.value or b"")],
            [record for record in letters.records if (record.header(SOURCE_HEADER) or "").startswith(start)],
        ),
        read_states(servers.redis.client(30.0), settings.redis_prefix, events.topic_id),
    )


def _in_order_of_time(records: Iterable[TopicRecord]) -> Iterator[TopicRecord]:
    """Yield records of all partitions by their time; those of one partition stay in order of offset."""
    by_partition: defaultdict[int, list[TopicRecord]] = defaultdict(list)
    for record in records:
        by_partition[record.position.partition].append(record)
    in_turn = [by_partition[number] for number in sorted(by_partition)]
    return merge(*in_turn, key=lambda record: record.timestamp_ms)


def all_undisturbed(
    disturbed: TopicContents,
    settings: Settings,
    versions: Sequence[str],
    servers: Servers,
    directory: Path,
    epoch: int,
) -> list[Run]:
    """Return a run of ``disturbed`` by each of ``versions``; they go on beside each other."""
    with ThreadPoolExecutor() as pool:
        asked = [
            pool.submit(run_undisturbed, disturbed, settings, version, servers, directory, epoch)
            for version in versions
        ]
        return [one.result() for one in asked]


def run_undisturbed(
    disturbed: TopicContents, settings: Settings, version: str, servers: Servers, directory: Path, epoch: int
) -> Run:
    """Copy ``disturbed`` into its own topic, let one worker with ``version`` score it, and read the run."""
    name = f"{settings.topic_prefix}-undisturbed-{epoch}-{version}"
    alias = f"pinned-{version}"
    ModelStore(settings.model_store).promote(settings.model_name, version, alias)
    own = replace(settings, topic_prefix=name, consumer_group=name, redis_prefix=name, model_alias=alias)
    create_topics(own)
    _copy(disturbed, own)
    with Worker(own, directory / name, hooked=False) as worker:
        wait_until_written(own, servers, [worker])
    return read_run(own, servers)


def wait_until_written(settings: Settings, servers: Servers, workers: list[Worker]) -> None:
    """Return once Redis has reached the end of each partition. Raises TimeoutError without progress."""
    events = read_topic(settings.kafka, settings.events_topic)
    ends = ends_of(events)
    client = servers.redis.client(30.0)
    offsets: dict[str, int] = {}
    changed_s = time.monotonic()

    def reached() -> bool:
        nonlocal offsets, changed_s
        found = read_states(client, settings.redis_prefix, events.topic_id).offsets
        if found != offsets:
            offsets, changed_s = found, time.monotonic()
        if time.monotonic() - changed_s > PATIENCE_S:
            words = "\n\n".join(worker.last_words() for worker in workers)
            raise TimeoutError(f"Redis stands at {found}, not at {ends}\n{words}")
        time.sleep(0.1)
        return all(found.get(partition, 0) >= end for partition, end in ends.items())

    wait_until(reached, 100 * PATIENCE_S, "the workers did not come to the end")


def ends_of(topic: TopicContents) -> dict[str, int]:
    """Return the offset behind the last record of each partition that has one."""
    ends: dict[str, int] = {}
    for record in topic.records:
        ends[str(record.position.partition)] = record.position.offset + 1
    return ends


def _copy(source: TopicContents, settings: Settings) -> None:
    """Write the records of ``source`` into the events topic of ``settings``, each at its own offset.

    Raises RuntimeError where an offset would differ, since ids would, too.
    """
    wrong: list[str] = []
    producer = Producer({"bootstrap.servers": settings.kafka, **CLIENT_DEFAULTS})
    for record in source.records:
        expected = record.position.offset

        def note(error: object, message: object, expected: int = expected) -> None:
            if error is not None or message.offset() != expected:  # type: ignore[attr-defined]
                wrong.append(str(error))

        while True:
            try:
                producer.produce(
                    settings.events_topic,
                    record.value,
                    record.key,
                    record.position.partition,
                    on_delivery=note,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                )
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    if producer.flush(PATIENCE_S) or wrong:
        raise RuntimeError(f"{len(wrong)} records could not be copied to their offsets: {wrong[:3]}")
