"""How long a worker waits for servers that are away."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from streamer.errors import BrokerUnavailable, StoreUnavailable

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 2.0


class Patience:
    """Asks Redis or the brokers again while they are away, until ``limit_s`` has passed."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    async def ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Await ``call``, again after each `StoreUnavailable` or `BrokerUnavailable`; raise the last one."""
        give_up_s, pause_s = time.monotonic() + self._limit_s, FIRST_PAUSE_S
        while True:
            try:
                return await call()
            except (StoreUnavailable, BrokerUnavailable) as error:
                if time.monotonic() >= give_up_s:
                    raise
                logger.warning("%s Trying again in %.2f s.", error, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
