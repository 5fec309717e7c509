"""How much memory the Redis-protocol server holds, once it has come to rest."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from foreclick.worker_settings import worker_config
from streamer.window_store import RedisWindowStore

if TYPE_CHECKING:
    from foreclick.settings import Settings

_BETWEEN_READINGS_S: Final = 0.5
_LONGEST_WAIT_S: Final = 15.0
_AT_REST_BYTES: Final = 4_096
_READINGS_AT_REST: Final = 3


def memory_at_rest_bytes(settings: Settings) -> int:
    """Return the server's allocated memory once it has stood still for a second and a half.

    A server that was just written to gives the buffers of its clients back within seconds. One that
    does not come to rest in 15 s is taken as it is then. Raises StreamerError when it does not answer.
    """
    return asyncio.run(_memory_at_rest_bytes(settings))


async def _memory_at_rest_bytes(settings: Settings) -> int:
    config = worker_config(settings, {}, profile=False)
    store = RedisWindowStore.connect(
        config.redis_url,
        config.redis_prefix,
        config.state_ttl_ms,
        config.redis_timeout_ms,
        config.redis_options,
        cluster=config.redis_cluster,
    )
    async with aclosing(store):
        readings = [await store.used_memory_bytes()]
        deadline_s = time.monotonic() + _LONGEST_WAIT_S
        while not _at_rest(readings) and time.monotonic() < deadline_s:
            await asyncio.sleep(_BETWEEN_READINGS_S)
            readings.append(await store.used_memory_bytes())
        return readings[-1]


def _at_rest(readings: list[int]) -> bool:
    last = readings[-_READINGS_AT_REST - 1 :]
    return len(last) > _READINGS_AT_REST and max(last) - min(last) <= _AT_REST_BYTES
