"""A real worker in a child process, and the topics around it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from foreclick.demo.worker_process import worker_environment
from foreclick.settings import Settings
from producers.events import Event, encode_event

PATIENCE_S = 60.0


@contextmanager
def running_worker(
    settings: Settings, model_store: Path, *options: str, program: str = "foreclick"
) -> Iterator[subprocess.Popen[str]]:
    """Run ``program worker`` until the block ends; kill it if it does not leave then."""
    own = replace(settings, model_store=model_store)
    command = [sys.executable, "-m", program, "worker", *options]
    with subprocess.Popen(
        command,
        env=worker_environment(own, os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def produce(settings: Settings, records: list[tuple[bytes | None, bytes | None]], partition: int = 0) -> None:
    """Publish raw (key, value) records in order, and wait for their acks."""
    producer = Producer({"bootstrap.servers": settings.kafka, "enable.idempotence": True})
    for key, value in records:
        producer.produce(settings.events_topic, value, key, partition)
    assert producer.flush(PATIENCE_S) == 0


def keyed(event: Event) -> tuple[bytes, bytes]:
    """The key and value of the record that carries ``event``."""
    return event.user_id.encode(), encode_event(event)


def read_until(
    settings: Settings, topic: str, enough: Callable[[list[Message]], bool], partition: int = 0
) -> list[Message]:
    """Read a partition from its beginning until ``enough`` says so. Fails after `PATIENCE_S`."""
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka, "group.id": "test", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, partition, 0)])
    messages: list[Message] = []
    deadline_s = time.monotonic() + PATIENCE_S
    try:
        while not enough(messages):
            assert time.monotonic() < deadline_s, f"only {len(messages)} records came"
            messages += consumer.consume(1_000, 0.2)
    finally:
        consumer.close()
    return messages
