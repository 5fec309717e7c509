"""What the owner of a partition must know before it reads on: versions, and what was published before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from streamer.growth import Ancestor
from streamer.history import HistoryCut, PartitionHistory, ScoringPlan
from streamer.ledger import Ledger
from streamer.ledger_reading import Bounds
from streamer.records import SourcePartition

logger = logging.getLogger(__name__)


class TakeOver:
    """Makes the plan for a partition that is taken over, or that must be read on from elsewhere.

    ``state_ttl_ms`` is how long a state that was lost could have lived; ``now_ms`` tells the time.
    """

    def __init__(self, ledger: Ledger, state_ttl_ms: int, now_ms: Callable[[], int]) -> None:
        self._ledger = ledger
        self._state_ttl_ms = state_ttl_ms
        self._now_ms = now_ms

    async def plan(self, source: SourcePartition, written: int | None, published: int = 0) -> ScoringPlan:
        """Return the plan for ``source``, whose states in Redis have reached ``written``; None for no states.

        What lies before the group's committed offset, or before ``published``, was published and written
        once; if Redis is behind it, these records only bring the states forward. Raises `BrokerUnavailable`.
        """
        # The history first: whatever was recorded before the end was looked at may have been published.
        history = (await self._ledger.histories([source]))[source.partition]
        bounds = (await self._ledger.bounds([source]))[source.partition]
        settled = max(bounds.settled or 0, published)
        silent_until = settled if settled > (written or 0) else 0
        if silent_until:
            logger.warning(
                "partition %d: its states are at offset %s, and all before %d was published: catching up",
                source.partition,
                written,
                settled,
            )
        if written is None and silent_until and bounds.begin > 0:
            history = await self._cut(source, history, bounds, settled)
        elif written is not None and written < bounds.begin:
            logger.error(
                "partition %d: retention has removed the records from %d to %d before a worker came to them",
                source.partition,
                written,
                bounds.begin,
            )
        history = replace(history, ancestors=await self._still_held(source, history.ancestors))
        return ScoringPlan(history, bounds.end, silent_until)

    async def _still_held(
        self, source: SourcePartition, ancestors: tuple[Ancestor, ...]
    ) -> tuple[Ancestor, ...]:
        """Return ``ancestors``, with no end to wait for where retention has removed all before it."""
        if not ancestors:
            return ()
        places = [replace(source, partition=ancestor.partition) for ancestor in ancestors]
        bounds = await self._ledger.bounds(places)
        return tuple(
            ancestor if bounds[ancestor.partition].begin < ancestor.end else ancestor._replace(end=0)
            for ancestor in ancestors
        )

    async def _cut(
        self, source: SourcePartition, history: PartitionHistory, bounds: Bounds, settled: int
    ) -> PartitionHistory:
        logger.error(
            "partition %d: its states are lost, and the topic begins at offset %d only; predictions for "
            "users that it does not know whole say so (state: partial)",
            source.partition,
            bounds.begin,
        )
        cut = HistoryCut(self._now_ms() + self._state_ttl_ms)
        await self._ledger.note_cut(source, settled, cut)
        return replace(history, cut=cut)
