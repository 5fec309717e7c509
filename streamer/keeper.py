"""What the pipeline must know of partitions and versions, kept in Kafka and in the model store."""

from __future__ import annotations

from collections.abc import Callable

from model_store.serving import ServedModel
from streamer.config import WorkerConfig
from streamer.growth_watch import GrowthWatch
from streamer.history import ModelChange, ScoringPlan
from streamer.ledger import Ledger
from streamer.records import SourcePartition
from streamer.take_over import TakeOver
from streamer.versions import VersionShelf


class KafkaKeeper:
    """A `streamer.history.Keeper` over the ledger topic and the model store."""

    def __init__(self, config: WorkerConfig, now_ms: Callable[[], int]) -> None:
        self._ledger = Ledger(
            config.kafka,
            config.events_topic,
            config.ledger_topic,
            config.consumer_group,
            config.redis_prefix,
            config.kafka_security,
        )
        self._take_over = TakeOver(self._ledger, config.state_ttl_ms, now_ms)
        self._growth = GrowthWatch(self._ledger)
        self._shelf = VersionShelf(config.model_store, config.model_name, exact=config.exact_search)

    @property
    def notice(self) -> str | None:
        """What is wrong with how the partitions came about; None where nothing is."""
        return self._growth.notice

    async def plan(self, source: SourcePartition, written: int | None, published: int) -> ScoringPlan:
        """See `streamer.history.Keeper.plan`."""
        await self._growth.look(source)
        return await self._take_over.plan(source, written, published)

    async def announce(self, source: SourcePartition, change: ModelChange) -> None:
        """See `streamer.history.Keeper.announce`."""
        await self._ledger.announce(source, change)

    async def model(self, version: str) -> ServedModel:
        """See `streamer.history.Keeper.model`."""
        return await self._shelf.get(version)

    def close(self) -> None:
        """Give the connections back."""
        self._ledger.close()
