"""Notices that the events topic was deleted, or deleted and made anew, under a worker that runs.

Kafka's clients fetch by name: a topic made anew looks to them like one whose records are gone. Its offsets
begin at 0 again, so a worker that went on would skip what it takes for done, and then write the new
topic's events into the old one's states.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from streamer.errors import BrokerUnavailable, TopicReplaced

LOOK_INTERVAL_S: Final = 2.0


class TopicWatch:
    """Holds a topic to the id that it had when the worker started.

    ``ask`` returns the id that the topic has now; it blocks, and raises `TopicMissing` or
    `BrokerUnavailable`.
    """

    def __init__(self, topic: str, topic_id: str, ask: Callable[[], str]) -> None:
        self._topic = topic
        self._topic_id = topic_id
        self._ask = ask

    async def run(self, interval_s: float = LOOK_INTERVAL_S) -> None:
        """Look every ``interval_s``, until cancelled. Raises as `look` does."""
        while True:
            await asyncio.sleep(interval_s)
            await self.look()

    async def look(self) -> None:
        """Return if the topic is still the same, or nobody can say.

        Raises `TopicReplaced` where it has another id, and `TopicMissing` where it is gone.
        """
        try:
            found = await asyncio.to_thread(self._ask)
        except BrokerUnavailable:
            return  # the watchdog sees to that
        if found != self._topic_id:
            raise TopicReplaced(
                f"the topic {self._topic} was deleted and made anew: its id was {self._topic_id}, and is "
                f"{found}; a worker that starts now reads the new one from its beginning"
            )
