"""How a worker's group commits: each offset says for which states it was reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiokafka
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata


class TaggingConsumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types
    """Commits each offset with a tag that says for which states it was reached."""

    def __init__(self, tag: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._tag = tag

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata] | None = None) -> None:
        """Commit ``offsets`` with the tag; without any, nothing."""
        tagged = {
            place: OffsetAndMetadata(reached.offset, self._tag) for place, reached in (offsets or {}).items()
        }
        if tagged:
            await super().commit(tagged)
