"""A stream through real workers, for the soak and the outage: servers, topics, producer and reader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Final, cast

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from benchmarks.support.brokers import ends_by
from benchmarks.support.faults.fleet import Worker
from benchmarks.support.faults.load import Load
from benchmarks.support.faults.shop import write_models
from benchmarks.support.faults.steady import Frontier
from foreclick.services import KafkaBroker, ValkeyServer, guard, local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics

PATIENCE_S: Final = 240.0
_PRODUCER_LOG: Final = "producer.log"
_SEGMENT_BYTES: Final = 32 * 2**20


class NotKeptUpWith(Exception):
    """The workers are slower than the load. The text begins with their last words."""


@dataclass
class Stream:
    """What runs. ``workers`` are restarted whenever they die."""

    settings: Settings
    broker: KafkaBroker
    redis: ValkeyServer
    workers: list[Worker]
    frontier: Frontier
    directory: Path
    producer: subprocess.Popen[bytes]
    producer_id: int
    load: Load

    def ends(self) -> list[tuple[int, int]]:
        """Return the end of each partition of the events topic. Raises KafkaException while Kafka is away."""
        admin = AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 1})
        places = ends_by(admin, self.settings.events_topic, self.settings.partitions)
        return [(place.partition, place.offset) for place in places]

    def waiting(self) -> int:
        """Return how many events have no prediction yet.

        Of a rate those count that were due, be they with the producer still; of a backlog what was sent.
        """
        if self.load.backlog:
            return sum(end for _, end in self.ends()) - self.frontier.count
        return int((time.monotonic() - self._start_s) * self.load.rate) - self.frontier.count

    def wait_until_kept_up_with(self, patience_s: float) -> float:
        """Return the seconds until no more events wait than while the workers keep up.

        Raises `NotKeptUpWith`.
        """
        most = self.load.kept_up_with
        return self._wait(lambda: self.frontier.count > 0 and self.waiting() <= most, patience_s)

    def _wait(self, holds: Callable[[], bool], patience_s: float) -> float:
        started_s = time.monotonic()
        while not holds():
            if time.monotonic() - started_s > patience_s:
                words = "\n\n".join(worker.last_words() for worker in self.workers)
                raise NotKeptUpWith(f"{words}\n\n{self.waiting():,} events wait after {patience_s:g} s")
            time.sleep(0.1)
        return time.monotonic() - started_s

    @cached_property
    def _start_s(self) -> float:
        """The producer's first moment, by the clock that all processes share."""
        self._wait_for_words()
        return float(json.loads(self._said()[0])["start_s"])

    def _wait_for_words(self) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not self._said() and time.monotonic() < deadline_s:
            time.sleep(0.1)

    def _said(self) -> list[str]:
        return (self.directory / _PRODUCER_LOG).read_text().splitlines()

    def new_worker(self, number: int) -> Worker:
        """Return one more worker, not yet started."""
        return Worker(self.settings, self.directory / f"worker-{number}", f"worker-{number}")

    def finish(self) -> dict[str, int]:
        """End the producer and wait for the last prediction; return the accounts, in records."""
        os.kill(self.producer_id, signal.SIGTERM)
        self.producer.wait(PATIENCE_S)
        sent: dict[str, int] = json.loads(self._said()[-1])
        ends = self.ends()
        self._wait(lambda: not self.frontier.behind(ends), PATIENCE_S)
        records = sum(end for _, end in ends)
        return {
            "events": sent["sent"],
            "not_delivered": sent["failed"],
            "lost": sent["sent"] - records + self.frontier.behind(ends),
            "republished": self.frontier.repeated,
        }

    def drop_read(self) -> None:
        """Delete what is behind, so that the disk does not fill however long the stream is."""
        admin = AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 1})
        places = [
            TopicPartition(topic, partition, reached)
            for topic in (self.settings.events_topic, self.settings.predictions_topic)
            for partition, reached in self.frontier.reached.items()
            if reached
        ]
        for done in admin.delete_records(places).values():
            done.exception(10)


@contextmanager
def running_stream(load: Load, workers: int) -> Iterator[Stream]:
    """Start all of it; the block runs once the workers keep up."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foreclick-stream-")))
        services = stack.enter_context(local_services(settings=Settings()))
        assert services.broker is not None
        assert services.valkey is not None
        write_models(directory / "models", seed=0, versions=1)
        settings = replace(
            Settings(), kafka=services.kafka, redis=services.redis_url, model_store=directory / "models"
        )
        create_topics(settings)
        _small_segments(settings)
        frontier = stack.enter_context(Frontier(settings))
        producer = stack.enter_context(_producer(settings, load, directory))
        process_id = int(cast("IO[bytes]", producer.stdout).readline() or 0)
        stream = Stream(
            settings, services.broker, services.valkey, [], frontier, directory, producer, process_id, load
        )
        for number in range(workers):
            stream.workers.append(stack.enter_context(stream.new_worker(number)))
        stream.wait_until_kept_up_with(PATIENCE_S)
        yield stream


@contextmanager
def _producer(settings: Settings, load: Load, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the producer under the guard, and end it at the end."""
    program = [sys.executable, "-m", "benchmarks.support.faults.steady"]
    told = {
        "kafka": settings.kafka,
        "topic": settings.events_topic,
        "predictions_topic": settings.predictions_topic,
        "partitions": settings.partitions,
        **asdict(load),
    }
    with (
        (directory / _PRODUCER_LOG).open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, "-", *program, json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        ) as producer,
    ):
        yield producer  # closing its input behind the block ends it


def _small_segments(settings: Settings) -> None:
    """Let deleted records leave the disk soon: a segment goes only as a whole."""
    admin = AdminClient({"bootstrap.servers": settings.kafka, "log_level": 1})
    entry = ConfigEntry("segment.bytes", str(_SEGMENT_BYTES), incremental_operation=AlterConfigOpType.SET)
    for topic in (settings.events_topic, settings.predictions_topic):
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        for done in admin.incremental_alter_configs([resource]).values():
            done.result()
