"""A round's stage: its topics, producer, workers and reader, and what faults ask of it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from benchmarks.support.faults.feed import Feed
from benchmarks.support.faults.fleet import Worker, worker_settings
from benchmarks.support.faults.observer import Observer
from benchmarks.support.faults.servers import Servers, wait_until
from benchmarks.support.faults.settling import Grown
from foreclick.checking.topics import QUIET
from foreclick.settings import Settings
from foreclick.topics import create_topics

PATIENCE_S: Final = 180.0  # on a busy machine a worker takes long to start
WORKERS: Final = 2
FIRST_WORKER: Final = "worker-0"
SLOTS: Final = WORKERS + 1  # one more for a worker that joins
_LATEST: Final = cast(OffsetSpec, OffsetSpec.latest())
_ADMIN_TIMEOUT_S: Final = 5.0


class NoEffect(Exception):
    """A fault was injected, but its effect was not seen from outside: it does not count."""


@dataclass
class Stage:
    """What faults work on. ``settings`` see the servers directly; each worker sees them through its proxies.

    ``models`` are the versions to promote in turn, of which ``served`` serves. ``growths`` are those of the
    events topic as it now is.
    """

    settings: Settings
    servers: Servers
    workers: list[Worker]
    feed: Feed
    observer: Observer
    random: random.Random
    models: list[str]
    directory: Path
    log: Path
    rate: float
    sabotage: str = ""
    served: int = 0
    growths: list[Grown] = field(default_factory=list)

    def partition_count(self, topic: str) -> int:
        """Return how many partitions the broker says that a topic has."""
        admin = AdminClient({**QUIET, "log_level": "1", "bootstrap.servers": self.settings.kafka})
        return len(admin.list_topics(topic, timeout=_ADMIN_TIMEOUT_S).topics[topic].partitions)

    def ends(self, topic: str = "") -> dict[int, int]:
        """Return the end of each partition of a topic, or of the predictions; waits while Kafka is away."""
        deadline_s = time.monotonic() + PATIENCE_S
        admin = AdminClient({**QUIET, "log_level": "1", "bootstrap.servers": self.settings.kafka})
        name = topic or self.settings.predictions_topic
        places = [TopicPartition(name, number) for number in range(self.settings.partitions)]
        while True:
            try:
                asked = admin.list_offsets(dict.fromkeys(places, _LATEST), request_timeout=_ADMIN_TIMEOUT_S)
                return {place.partition: answer.result().offset for place, answer in asked.items()}
            except KafkaException:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def recovery_s(self, patience_s: float = PATIENCE_S) -> float:
        """Return the seconds until each partition has a new prediction behind this moment.

        Raises TimeoutError, with the workers' last words, when one has none within ``patience_s``.
        """
        ended_s = time.monotonic()
        ends = self.ends()

        def recovered() -> bool:
            self.feed.check()
            return max(self.observer.first_after(ends).values()) < float("inf")

        try:
            wait_until(recovered, patience_s, "recovery")
        except TimeoutError as error:
            dead = [number for number, at in self.observer.first_after(ends).items() if at == float("inf")]
            words = "\n\n".join(worker.last_words() for worker in self.workers)
            raise TimeoutError(
                f"no new prediction in partitions {dead} for {patience_s} s\n{words}"
            ) from error
        return max(self.observer.first_after(ends).values()) - ended_s

    def a_worker(self) -> Worker:
        """Return one of the workers that runs."""
        running = [worker for worker in self.workers if worker.process_id]
        if not running:
            raise NoEffect("no worker ran")
        return self.random.choice(running)

    def new_worker(self, slot: int, name: str = "") -> Worker:
        """Return a worker that sees the servers through the proxies of ``slot``; it is not started yet."""
        proxies = self.servers.broker.proxies[slot], self.servers.redis.proxies[slot]
        own = worker_settings(self.settings, proxies[0].address, proxies[1].port)
        return Worker(own, self.directory / f"worker-{slot}", name, self.sabotage)

    def partitions_of(self, name: str) -> set[int] | None:
        """Return the partitions of the worker called ``name``; None while the group has no such member."""
        admin = AdminClient({**QUIET, "log_level": "1", "bootstrap.servers": self.settings.kafka})
        group = self.settings.consumer_group
        try:
            described = admin.describe_consumer_groups([group], request_timeout=_ADMIN_TIMEOUT_S)
            members = described[group].result().members
        except KafkaException:
            return None
        for member in members:
            if member.group_instance_id == name:
                return {place.partition for place in member.assignment.topic_partitions}
        return None


def round_settings(servers: Servers, models: Path, name: str) -> Settings:
    """Return the settings of a round, or of an undisturbed run: nothing is shared but the servers.

    Limits are as they come, but Redis' answers are waited for less, so that a hung Redis is noticed.
    """
    return replace(
        Settings(),
        kafka=servers.broker.address,
        redis=servers.redis.url,
        model_store=models,
        topic_prefix=name,
        consumer_group=name,
        redis_prefix=name,
        partitions=4,
        reload_interval_ms=100,
        redis_timeout_ms=1_000,
    )


@contextmanager
def set_stage(
    servers: Servers,
    settings: Settings,
    models: list[str],
    log: Path,
    rate: float,
    directory: Path,
    seed: int,
    sabotage: str = "",
) -> Iterator[Stage]:
    """Create the topics, start workers, producer and reader; the block runs once all is served."""
    create_topics(settings)
    with ExitStack() as stack:
        feed = Feed(settings, log, rate, directory)
        observer = stack.enter_context(Observer(settings))
        stage = Stage(
            settings, servers, [], feed, observer, random.Random(seed), models, directory, log, rate, sabotage
        )
        for slot in range(WORKERS):
            # One has a fixed name in the group and is back at once; the other's session must end first.
            worker = stage.new_worker(slot, FIRST_WORKER if slot == 0 else "")
            stage.workers.append(stack.enter_context(worker))
        # On a busy machine workers take long to start; nothing is to be seen meanwhile.
        wait_until(lambda: stage.partitions_of(FIRST_WORKER), PATIENCE_S, "no worker got a partition")
        feed.__enter__()
        stack.callback(lambda: stage.feed.close())
        stage.recovery_s()
        yield stage
