"""Deleting a partition's states, so that its owner builds them anew from the events topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final

import redis
from redis.cluster import RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from streamer.errors import StoreUnavailable
from streamer.records import SourcePartition
from streamer.window_store import BEING_EMPTIED, root_key

_KEYS_PER_SCAN: Final = 2_000
_GLOB: Final = str.maketrans({letter: f"\\{letter}" for letter in "\\*?[]"})


class StateEmptier:
    """Empties partitions in Redis. Every method may raise `StoreUnavailable`."""

    def __init__(
        self, url: str, prefix: str, timeout_ms: int, options: Mapping[str, Any], *, cluster: bool
    ) -> None:
        self._prefix = prefix
        self._settings: dict[str, Any] = {
            "socket_timeout": timeout_ms / 1000,
            "socket_connect_timeout": timeout_ms / 1000,
            **options,
        }
        self._url = url
        self._cluster = cluster

    def offset(self, source: SourcePartition) -> int | None:
        """Return the offset that the partition's states have reached; None for none."""
        with self._connected() as client:
            try:
                found = client.get(root_key(self._prefix, source))
            except (RedisError, RedisClusterException) as error:
                raise _unavailable(error) from error
        return int(found) if found is not None and int(found) != BEING_EMPTIED else None

    def empty(self, source: SourcePartition, on_deleted: Callable[[int], None] = lambda _: None) -> int:
        """Delete the partition's states and then its offset; return how many states there were.

        In the meantime no worker reads or writes them. ``on_deleted`` is told how many are gone so far.
        """
        root, count = root_key(self._prefix, source), 0
        with self._connected() as client:
            try:
                client.set(root, BEING_EMPTIED)
                keys: list[bytes] = []
                for key in client.scan_iter(root.decode().translate(_GLOB) + "*", _KEYS_PER_SCAN):
                    if key != root:
                        keys.append(key)
                    if len(keys) == _KEYS_PER_SCAN:
                        count += client.unlink(*keys)
                        keys.clear()
                        on_deleted(count)
                count += client.unlink(*keys) if keys else 0
                client.delete(root)
            except (RedisError, RedisClusterException) as error:
                raise _unavailable(error) from error
        return count

    def _connected(self) -> Any:
        make: Any = RedisCluster if self._cluster else redis.Redis
        try:
            return closing(make.from_url(self._url, **self._settings))
        except (RedisError, RedisClusterException) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"Redis did not answer, or refused ({type(error).__name__}: {error}); is it up?")
