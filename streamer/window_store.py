"""Users' states in Redis: one read and one guarded write for the batches of a fetch.

All of a partition lies in one slot. In a cluster each partition is asked of its own node; a single server
is asked once for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol

from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisClusterException, RedisError, ResponseError

from streamer.errors import StaleOwner, StoreUnavailable
from streamer.guarded_write import GUARDED_WRITE, GUARDED_WRITE_SHA
from streamer.records import SourcePartition
from streamer.redis_link import RedisLink

MAX_CONNECTIONS: Final = 8
# Stands in place of an offset while a partition's states are deleted: nobody may read or write them then.
BEING_EMPTIED: Final = -1
_REDIS_ERRORS: Final = (RedisError, RedisClusterException)


class Question(NamedTuple):
    """Asks for the states of some ``users`` of a partition, each once."""

    source: SourcePartition
    users: Sequence[bytes]


@dataclass(frozen=True)
class Snapshot:
    """What one read saw, all at one moment: the partition's offset and the stored states (None: no state)."""

    offset: int | None
    states: list[bytes | None]


class Write(NamedTuple):
    """Moves a partition from the offset ``expected`` (None: no write yet) to ``reached``, with its states."""

    source: SourcePartition
    expected: int | None
    reached: int
    states: Mapping[bytes, bytes]


class WindowStore(Protocol):
    """Where users' states live between batches. Every method may raise `StoreUnavailable`."""

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        """Return what each partition holds, as of one moment of the partition."""
        ...

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        """Store each partition's states and the offset that they reach in one atomic step.

        Nothing is stored for a partition whose offset is not the ``expected`` one; its place in the answer
        has the refusal, but for a write that stands already. One that raised may be repeated.
        """
        ...

    async def offset(self, source: SourcePartition) -> int | None:
        """Return the offset that the partition's states have reached; None before the first write."""
        ...


class RedisWindowStore:
    """A `WindowStore` in Redis.

    A partition's keys share a hash tag, so they are in one slot of a cluster. Keys carry the topic's
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

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        """See `WindowStore.read`."""
        if not isinstance(self._client, RedisCluster):
            return await self._read(questions)
        answers = await asyncio.gather(*(self._read([question]) for question in questions))
        return [snapshot for snapshots in answers for snapshot in snapshots]

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        """See `WindowStore.write`."""
        if not isinstance(self._client, RedisCluster):
            return await self._write(writes)
        answers = await asyncio.gather(*(self._write([write]) for write in writes))
        return [refusal for refusals in answers for refusal in refusals]

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

    async def _read(self, questions: Sequence[Question]) -> list[Snapshot]:
        keys: list[bytes] = []
        for source, users in questions:
            root = self._root(source)
            keys += root, *[root + user for user in users]
        try:
            found: Iterator[bytes | None] = iter(await self._ask("MGET", *keys))
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        return [Snapshot(_number(next(found)), list(islice(found, len(users)))) for _, users in questions]

    async def _write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        keys: list[bytes] = []
        arguments: list[bytes | str] = [self._state_ttl_ms]
        for source, expected, reached, states in writes:
            root = self._root(source)
            keys += root, *[root + user for user in states]
            expected_text = "" if expected is None else str(expected)
            arguments += expected_text, str(reached), str(len(states)), *states.values()
        try:
            standing = map(_number, await self._evaluate(len(keys), [*keys, *arguments]))
        except _REDIS_ERRORS as error:
            raise _unavailable(error) from error
        return [
            None if found == write.reached else StaleOwner(write.expected, found)
            for write, found in zip(writes, standing, strict=True)
        ]

    async def _evaluate(self, key_count: int, values: list[bytes | str]) -> list[bytes]:
        found: list[bytes]
        try:
            found = await self._ask("EVALSHA", GUARDED_WRITE_SHA, key_count, *values)
        except NoScriptError:
            found = await self._ask("EVAL", GUARDED_WRITE, key_count, *values)
        return found

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
