"""A stage of the demo: topics, group and keys of its own, so that no pass can disturb another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from foreclick.checking.topics import QUIET, TopicContents, read_topic
from foreclick.checking.window_rule import WindowRule
from foreclick.demo.observer import Observer
from foreclick.demo.worker_process import WorkerProcess
from foreclick.errors import DemoError
from foreclick.settings import Settings, confluent_settings
from foreclick.topics import topics
from model_store.evaluation import DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foreclick.checking.predictions import SeenPrediction
    from foreclick.services import Services

_STATE_TTL_MS: Final = 3_600_000
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Stage:
    """The settings that a pass's worker, reader and checker share, and where its worker's log goes.

    ``doomed`` is a directory to remove if the demo dies without an end of its own.
    """

    settings: Settings
    worker_log: Path
    doomed: Path | None = None

    @property
    def client_settings(self) -> dict[str, str]:
        """The security settings of librdkafka."""
        return confluent_settings(self.settings)

    @property
    def rule(self) -> WindowRule:
        """The window rule that the worker must have followed."""
        return WindowRule(self.settings.window_size, self.settings.allowed_lateness_ms)

    def worker(self) -> WorkerProcess:
        """Return a worker, to be started as a context manager."""
        return WorkerProcess(self.settings, self.worker_log, self.doomed)

    def observer(self, on_prediction: Callable[[SeenPrediction, float], None]) -> Observer:
        """Return the independent reader of the two output topics, to be started as a context manager."""
        names = (self.settings.predictions_topic, self.settings.dead_letters_topic)
        partitions = dict.fromkeys(names, self.settings.partitions)
        return Observer(self.settings.kafka, partitions, self.client_settings, on_prediction)

    def read(self, topic: str) -> TopicContents:
        """Return all committed records of one of the stage's topics."""
        return read_topic(self.settings.kafka, topic, client_settings=self.client_settings)


def stage_settings(settings: Settings, services: Services, run_id: str, name: str) -> Settings:
    """Return the settings of one stage. Its Redis keys expire an hour after their last write.

    Predictions name as many items as the evaluation looks at.
    """
    own_name = f"foreclick-demo-{run_id}-{name}"
    return replace(
        settings,
        kafka=services.kafka,
        redis=services.redis_url,
        topic_prefix=own_name,
        consumer_group=own_name,
        redis_prefix=f"fc-{run_id}-{name}",
        state_ttl_ms=_STATE_TTL_MS,
        next_items_count=max(DEPTH, settings.next_items_count),
    )


def delete_topics(settings: Settings) -> None:
    """Delete the stage's topics, on brokers that outlive the demo. Raises `DemoError` when they refuse."""
    admin = AdminClient({**confluent_settings(settings), **QUIET, "bootstrap.servers": settings.kafka})
    names = [topic.name for topic in topics(settings)]
    for topic, gone in admin.delete_topics(names, operation_timeout=_TIMEOUT_S).items():
        try:
            gone.result()
        except KafkaException as error:
            raise DemoError(f"the topic {topic} could not be deleted: {error}; delete it by hand") from error
