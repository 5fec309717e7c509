"""Notices partitions that were added with another tool than ours, whose users left their states behind."""

from __future__ import annotations

import asyncio
import logging

from streamer.growth import explained
from streamer.ledger import Ledger
from streamer.records import SourcePartition

logger = logging.getLogger(__name__)


class GrowthWatch:
    """Holds the number of partitions of the events topic against what the ledger says of its growth.

    A number that is explained is noted in the ledger, so that the next worker knows it, too.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = asyncio.Lock()
        self._looked_at = 0
        self.notice: str | None = None

    async def look(self, source: SourcePartition) -> None:
        """Look once at each number of partitions that a worker comes to. Raises `BrokerUnavailable`."""
        async with self._lock:
            if source.partition >= self._looked_at:
                await self._look(source.topic_id)

    async def _look(self, topic_id: str) -> None:
        count, records = await self._ledger.partition_count(topic_id)
        if explained(count, records.counts, records.growths):
            if count > max(records.counts, default=0):
                await self._ledger.note_partition_count(topic_id, count)
        elif self.notice is None:
            self.notice = (
                f"the events topic has {count} partitions and had {max(records.counts, default=0)}, and "
                "`foreclick topics --grow` did not add them: users whose partition changed began anew there"
            )
            logger.error("%s", self.notice)
        self._looked_at = max(self._looked_at, count)
