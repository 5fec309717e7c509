"""Kafka and Redis for runs of several sizes, with topics and keys that no run shares with another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import redis

from benchmarks.support.brokers import delete_topic
from benchmarks.support.workload import Workload, publish
from foreclick.demo.redis_memory import memory_at_rest_bytes
from foreclick.services import Services, local_services
from foreclick.settings import Settings
from foreclick.topics import create_topics, topics
from model_store.artifacts import ModelStore

REWRITE_TIMEOUT_S = 120.0
REWRITE_LOOK_S = 0.2
MAX_MEMORY = "6gb"  # a million users and their history; the embedded server's own limit is lower


@dataclass(frozen=True)
class Stage:
    """``scratch`` is a directory for models and logs."""

    services: Services
    scratch: Path

    def serving(self, root: Path) -> Settings:
        """Return the settings of a worker that serves the model in the store at ``root``."""
        return Settings(kafka=self.services.kafka, redis=self.services.redis_url, model_store=root)

    def artifacts(self, settings: Settings) -> dict[str, Path]:
        """Return the directory of the version that ``settings`` serve, by its name."""
        store = ModelStore(settings.model_store)
        version = store.resolve(settings.model_name, settings.model_alias)
        return {version: store.path(settings.model_name, version)}

    @contextmanager
    def topics(self, settings: Settings, workload: Workload | None = None) -> Iterator[None]:
        """Make the topics, fill the events topic with ``workload``, and delete all behind the block."""
        create_topics(settings)
        try:
            if workload is not None:
                publish(workload, settings.kafka, settings.events_topic)
            yield
        finally:
            for topic in topics(settings):
                delete_topic(settings.kafka, topic.name)

    @contextmanager
    def emptied_redis(self) -> Iterator[None]:
        """Run the block with nothing in Redis."""
        client = redis.Redis.from_url(self.services.redis_url, socket_timeout=120)
        client.flushall()
        yield
        client.flushall()
        client.close()


@contextmanager
def staged(scratch: Path) -> Iterator[Stage]:
    """Start Kafka and Valkey with room for a million users."""
    with local_services() as services:
        client = redis.Redis.from_url(services.redis_url)
        client.config_set("maxmemory", MAX_MEMORY)
        client.close()
        yield Stage(services, scratch)


def redis_bytes_of(settings: Settings, users: int, fill: Callable[[], None]) -> float:
    """Return how much memory Redis holds for each of ``users`` behind ``fill``, once it has come to rest."""
    before = memory_at_rest_bytes(settings)
    fill()
    _rewrite_log(settings)
    return (memory_at_rest_bytes(settings) - before) / users


def _rewrite_log(settings: Settings) -> None:
    """Let Redis rewrite its log of the filling. It would soon do so, with a core of what is measured.

    Raises TimeoutError when it takes too long.
    """
    with redis.Redis.from_url(settings.redis) as client:
        _wait_for_rewriting(client)
        client.bgrewriteaof()
        _wait_for_rewriting(client)


def _wait_for_rewriting(client: redis.Redis) -> None:
    deadline_s = time.monotonic() + REWRITE_TIMEOUT_S
    while True:
        now: Any = client.info("persistence")
        if not now["aof_rewrite_in_progress"] and not now["aof_rewrite_scheduled"]:
            return
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"Redis did not rewrite its log in {REWRITE_TIMEOUT_S:g} s")
        time.sleep(REWRITE_LOOK_S)


def own_settings(settings: Settings, name: str) -> Settings:
    """Return ``settings`` with topics, a consumer group and Redis keys that no other run has."""
    return replace(settings, topic_prefix=name, consumer_group=name, redis_prefix=name)
