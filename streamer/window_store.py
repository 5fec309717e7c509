"""Users' states in Redis: one read and one guarded write per batch, all of a partition in one slot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from streamer.errors import StaleOwner, StoreUnavailable
from streamer.records import SourcePartition
from streamer.redis_link import RedisLink

MAX_CONNECTIONS: Final = 8
# Stands in place of an offset while a partition's states are deleted: nobody may read or write them then.
BEING_EMPTIED: Final = -1
_REDIS_ERRORS: Final = (RedisError, RedisClusterException)

# KEYS: the offset, then the users. ARGV: the expected offset ("" for none), the new one, the time to
# live in ms, then the states. The reply is the offset found when it is not the expected one.
_GUARDED_WRITE: Final = """
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
for i = 2, #KEYS do redis.call('SET', KEYS[i], ARGV[i + 2], 'PX', ARGV[3]) end
redis.call('SET', KEYS[1], ARGV[2])
return false
"""
_GUARDED_WRITE_SHA: Final = hashlib.sha1(_GUARDED_WRITE.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Snapshot:
    """What one read saw, all at one moment: the partition's offset and the stored states (None: no state)."""

    offset: int | None
    states: list[bytes | None]


class WindowStore(Protocol):
    """Where users' states live between batches. Every method may raise `StoreUnavailable`."""

    async def read(self, source: SourcePartition, users: Sequence[bytes]) -> Snapshot:
        """Return the states of ``users`` and the partition's offset, as of one moment."""
        ...

    async def write(
        self,
        source: SourcePartition,
        expected: int | None,
        reached: int,
        states: Mapping[bytes, bytes],
    ) -> None:
        """Store ``states`` and the offset that they reach in one atomic step.

        Raises `StaleOwner`, and stores nothing, unless the partition's offset is ``expected``.
        """
        ...

    async def offset(self, source: SourcePartition) -> int | None:
        """Return the offset that the partition's states have reached; None before the first write."""
        ...


class RedisWindowStore:
    """A `WindowStore` in Redis.

    A partition's keys share a hash tag, so a batch is one slot of a cluster. Keys carry the topic's
    id: a topic made anew starts from nothing.
    """

    def __init__(self, client: RedisLink | RedisCluster, prefix: str, state_ttl_ms: int) -> None:
        self._client = client
        self._prefix = prefix
        self._state_ttl_ms = str(state_ttl_ms)
        self._ask: Any = client.execute_command  # the cluster client's stubs know of text replies only

    @classmethod
    def connect(
        cls,
        url: str,
        prefix: str,
        state_ttl_ms: int,
        timeout_ms: int,
        options: Mapping[str, Any],
        *,
        cluster: bool = False,
    ) -> RedisWindowStore:
        """Return a store at ``url``; ``options`` are the client's own (password, TLS).

        It connects with the first call; each answer is awaited for ``timeout_ms``. ``cluster`` tells that
        ``url`` is any node of a Redis Cluster; the client then finds the node of each partition's slot.
        """
        timeout_s = timeout_ms / 1000
        if cluster:
            # The pipeline tries again itself, and says so; here one look for a slot's new owner is enough.
            client = RedisCluster.from_url(
                url,
                max_connections=MAX_CONNECTIONS,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 1),
                **options,
            )
            return cls(client, prefix, state_ttl_ms)
        return cls(RedisLink(url, timeout_s, options), prefix, state_ttl_ms)

    async def read(self, source: SourcePartition, users: Sequence[bytes]) -> Snapshot:
        """See `WindowStore.read`."""
        root = self._root(source)
        try:
            offset, *states = await self._ask("MGET", root, *[root + user for user in users])
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        return Snapshot(_number(offset), states)

    async def write(
        self,
        source: SourcePartition,
        expected: int | None,
        reached: int,
        states: Mapping[bytes, bytes],
    ) -> None:
        """See `WindowStore.write`."""
        root = self._root(source)
        keys = [root, *[root + user for user in states]]
        expected_text = "" if expected is None else str(expected)
        arguments: list[bytes | str] = [expected_text, str(reached), self._state_ttl_ms, *states.values()]
        try:
            found = await self._evaluate(len(keys), [*keys, *arguments])
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        if found is not None and _number(found) != reached:
            raise StaleOwner(expected, _number(found))

    async def offset(self, source: SourcePartition) -> int | None:
        """See `WindowStore.offset`. While the partition is being emptied, it is `StoreUnavailable`."""
        try:
            found = _number(await self._ask("GET", self._root(source)))
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        if found == BEING_EMPTIED:
            raise StoreUnavailable(
                f"the states of partition {source.partition} are being deleted by `foreclick rebuild`; "
                "if that was broken off, run it again."
            )
        return found

    async def used_memory_bytes(self) -> int:
        """Return how much memory the server has allocated, or all nodes. Raises `StoreUnavailable`."""
        try:
            if isinstance(self._client, RedisCluster):
                nodes = await self._ask("INFO", "memory", target_nodes=RedisCluster.PRIMARIES)
                return sum(int(memory["used_memory"]) for memory in nodes.values())
            report = await self._ask("INFO", "memory")
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        fields = dict(line.split(b":", 1) for line in report.splitlines() if b":" in line)
        return int(fields[b"used_memory"])

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def _evaluate(self, key_count: int, values: list[bytes | str]) -> bytes | None:
        try:
            reply = await self._ask("EVALSHA", _GUARDED_WRITE_SHA, key_count, *values)
        except NoScriptError:
            reply = await self._ask("EVAL", _GUARDED_WRITE, key_count, *values)
        return reply if isinstance(reply, bytes) else None

    def _root(self, source: SourcePartition) -> bytes:
        """Return the key of the partition's offset, which also begins its users' keys."""
        return root_key(self._prefix, source)


def root_key(prefix: str, source: SourcePartition) -> bytes:
    """Return the key of the partition's offset, which also begins its users' keys."""
    return f"{prefix}{{{source.topic_id[:8]}.{source.partition}}}".encode()


def _number(text: bytes | None) -> int | None:
    return int(text) if text else None


def _unavailable(error: Exception) -> StoreUnavailable:
    kind = "refused" if isinstance(error, ResponseError) else "did not answer"
    return StoreUnavailable(
        f"Redis {kind} ({type(error).__name__}: {error}); is it up, and has it memory left?"
    )
