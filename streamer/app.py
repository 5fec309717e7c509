"""The Faust app of a worker: it connects the parts of the pipeline, and owns partitions for it."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Mapping
from contextlib import aclosing, closing
from typing import cast

import faust
from faust.types import TP

from model_store.serving import ServedModel
from streamer.config import WorkerConfig
from streamer.consumer_settings import consumer_settings
from streamer.errors import AGAIN, StreamerError
from streamer.exits import end_within, exit_code, tell_why
from streamer.keeper import KafkaKeeper
from streamer.ledger_reading import committed_tag
from streamer.pipeline import Pipeline
from streamer.profile import Profile
from streamer.publishing import KafkaPublisher
from streamer.records import FetchedBatch, SourcePartition
from streamer.reload import ModelWatcher
from streamer.rendering import RenderingSettings
from streamer.room import Room
from streamer.scorer import Scorer
from streamer.scoring import ScoringSettings
from streamer.security import aiokafka_security
from streamer.tally import Tally
from streamer.timed_servers import TimedPublisher, TimedWindowStore
from streamer.topic_watch import TopicWatch
from streamer.topics import asks_for_topic_id
from streamer.transport import BatchConsumer
from streamer.web import serving
from streamer.window_store import RedisWindowStore
from streamer.worker_status import ReadPosition, WorkerStatus

logger = logging.getLogger(__name__)

STOP_GRACE_S = 10.0
CRASH_GRACE_S = 3.0
STREAM_BUFFER_FETCHES = 4_096


class StreamerApp(faust.App):
    """A Faust app that owns the pipeline. See `streamer.transport.BatchApp` for what it promises."""

    def __init__(
        self, config: WorkerConfig, events_topic_id: str, model: ServedModel, listener: socket.socket
    ) -> None:
        self.config = config
        self.security_settings = aiokafka_security(config.kafka_security)
        self.consumer_settings = consumer_settings(config)
        self.tally = Tally()
        self.profile = Profile(measuring=config.profile)
        self._pipeline: Pipeline | None = None
        self._told_why = False
        self._topic_id = events_topic_id
        ask = asks_for_topic_id(config.kafka, config.kafka_security, config.events_topic)
        self._topic_watch = TopicWatch(config.events_topic, events_topic_id, ask)
        self.commit_tag = committed_tag(config.redis_prefix, events_topic_id)
        self._keeper = KafkaKeeper(config, _now_ms)
        self._model = model
        self._listener = listener
        super().__init__(
            config.consumer_group,
            broker=[f"foreclick://{address}" for address in config.kafka.split(",")],
            store="memory://",
            broker_session_timeout=config.session_timeout_ms / 1000,
            broker_heartbeat_interval=config.heartbeat_ms / 1000,
            broker_commit_interval=1.0,
            # The pipeline bounds what is under way; a full stream would stall partitions one by one.
            stream_buffer_maxsize=STREAM_BUFFER_FETCHES,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )

    def _create_directories(self) -> None:
        """Create none of Faust's: they would hold tables, and outlive the worker."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of this worker; it stands once the app has started."""
        if self._pipeline is None:
            raise StreamerError("the worker's pipeline stands only once the app has started")
        return self._pipeline

    async def take_over(self, generations: Mapping[int, int]) -> Mapping[int, int | None]:
        """Own the partitions, each from the offset that its states in Redis have reached.

        Raises `TopicReplaced` where they are another topic's by now.
        """
        await self._topic_watch.look()
        sources = {number: SourcePartition(self._topic_id, number) for number in generations}
        starts = await self.pipeline.owned.take_over(sources, generations)
        logger.info("owns partitions %s", sorted(sources))
        return starts

    def commit_floor(self, partition: int) -> int:
        """Return the offset of ``partition`` below which nothing may be committed any more."""
        return self._pipeline.owned.commit_floor(partition) if self._pipeline is not None else 0

    def finish(self, batch: FetchedBatch) -> None:
        """Let the group commit the offset behind ``batch``, which is written."""
        cast(BatchConsumer, self.consumer).finish(TP(self.config.events_topic, batch.partition), batch)

    def next_generation(self, partition: int) -> int:
        """See `streamer.ownership.Reading`."""
        return cast(BatchConsumer, self.consumer).next_generation(partition)

    async def seek(self, partition: int, offset: int | None) -> None:
        """See `streamer.ownership.Reading`."""
        consumer = cast(BatchConsumer, self.consumer)
        await consumer.read_on_from(TP(self.config.events_topic, partition), offset)

    async def wait_for_room(self) -> None:
        """Return when so little is under way that more may be fetched."""
        if self._pipeline is not None:
            await self._pipeline.wait_for_room()

    def hand_over(self) -> None:
        """Note that a fetch is on its way to the agent."""
        if self._pipeline is not None:
            self._pipeline.expect()

    async def give_up(self) -> None:
        """Let batches in flight end, then own nothing."""
        if self._pipeline is not None:
            await self._pipeline.revoke(self._drain_timeout_s)

    async def on_start(self) -> None:
        """Connect, and set the pipeline up, before any partition is assigned."""
        logger.info("model %s %s serves", self._model.name, self._model.version)
        self._pipeline = await self._connect()
        self.add_future(self._pipeline.run())
        status = WorkerStatus(
            self._pipeline.owned,
            self._ask_brokers,
            self._known_end,
            self.config.stall_limit_ms / 1000,
            lambda: self._keeper.notice,
        )
        self.add_future(status.watchdog.run())
        self.add_future(self._topic_watch.run())
        await self.add_async_context(serving(self.tally, self.profile.times, status, self._listener))
        await super().on_start()

    async def on_stop(self) -> None:
        """Fetch no more, and finish what is in flight as far as the time allows."""
        if self.crash_reason is not None:
            self.tell_why(self.crash_reason)
        # Behind a crash nothing is drained: the sooner the next worker starts, the better.
        grace_s = self._drain_timeout_s + STOP_GRACE_S if self.crash_reason is None else CRASH_GRACE_S
        end_within(grace_s, exit_code(self.crash_reason) or AGAIN)
        await super().on_stop()
        if self._pipeline is not None and self.crash_reason is None:
            await self._pipeline.drain(self._drain_timeout_s)

    def tell_why(self, reason: BaseException) -> None:
        """Log what ends this worker, once."""
        if not self._told_why:
            self._told_why = True
            tell_why(reason)

    async def on_shutdown(self) -> None:
        """Say what this worker did, and where its time went."""
        outcome = self.tally
        dead_letters = sum(outcome.dead_letters.values())
        logger.info(
            "done: %d predictions, %d dead letters, %d repeated events",
            outcome.predictions,
            dead_letters,
            outcome.duplicate_events,
        )
        if self.config.profile:
            print(json.dumps({"us_per_event": self.profile.us_per_event()}), flush=True)
        await super().on_shutdown()

    async def _connect(self) -> Pipeline:
        config = self.config
        rendering = RenderingSettings(
            config.next_items_count, config.churn_alert_level, config.exclude_purchased
        )
        scoring = ScoringSettings(config.allowed_lateness_ms, rendering)
        scorer = Scorer(self._model, scoring, config.max_batch_events, _now_ms, self.profile)
        self.add_context(closing(scorer))
        watcher = ModelWatcher(
            scorer,
            config.model_store,
            config.model_name,
            config.model_alias,
            config.reload_interval_ms,
            exact=config.exact_search,
        )
        self.add_future(watcher.run())
        publisher = await self.add_async_context(
            KafkaPublisher.connected(
                config.kafka,
                config.predictions_topic,
                config.dead_letters_topic,
                config.publish_timeout_ms,
                self.security_settings,
                self.profile,
            )
        )
        store = RedisWindowStore.connect(
            config.redis_url,
            config.redis_prefix,
            config.state_ttl_ms,
            config.redis_timeout_ms,
            config.redis_options,
            cluster=config.redis_cluster,
        )
        await self.add_async_context(aclosing(store))
        self.add_context(closing(self._keeper))
        room = Room(config.max_fetches_in_flight, config.max_events_in_flight)
        times = self.profile.times
        return Pipeline(
            TimedWindowStore(store, times),
            scorer,
            TimedPublisher(publisher, times),
            self,
            self._keeper,
            room,
            self.tally,
            self.profile,
            store_retry_limit_s=config.stall_limit_ms / 1000,
        )

    @property
    def _drain_timeout_s(self) -> float:
        return self.config.drain_timeout_ms / 1000

    def _known_end(self, partition: int) -> int | None:
        return cast(BatchConsumer, self.consumer).end_offset(TP(self.config.events_topic, partition))

    async def _ask_brokers(self) -> Mapping[int, ReadPosition]:
        return await cast(BatchConsumer, self.consumer).read_positions()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
