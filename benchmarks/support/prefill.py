"""States of many users in Redis, as a worker would have left them there, without scoring their past.

Each user's window is one of a few hundred, so a million users' states are written in seconds; what a worker
does with one does not depend on whose it is.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np
from aiokafka.partitioner import murmur2
from msgspec.structs import replace

from benchmarks.support.workload import START_MS, Workload, user_id
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.recompute import states_of_windows
from model_store.serving import load_served_model
from model_store.stored_states import packed_states
from model_store.windows import kept_after_overflow, pack_row
from producers.events import Event
from streamer.records import SourcePartition
from streamer.state import UserState
from streamer.topics import topic_ids
from streamer.window_store import RedisWindowStore, Write

DISTINCT_WINDOWS = 500
USERS_A_WRITE = 2_000
BETWEEN_EVENTS_MS = 60_000
_POSITIVE = 0x7FFFFFFF


@dataclass(frozen=True)
class Fill:
    """What is in Redis before a run: a window of up to ``window_size`` events for each of ``users`` users.

    Not ``full``, the lengths are those between two overflows, equally often: what a worker leaves that has
    run for long. Full ones are what the memory is counted for.
    """

    users: int
    items: int
    window_size: int
    full: bool = False
    end_ms: int = START_MS

    def windows(self) -> list[list[Event]]:
        """Return the distinct windows, oldest event first; user n has the one at n modulo their number."""
        lengths = np.random.default_rng(0).integers(
            self.window_size if self.full else kept_after_overflow(self.window_size) + 1,
            self.window_size + 1,
            size=DISTINCT_WINDOWS,
        )
        events = iter(
            Workload(
                int(lengths.sum()),
                self.users,
                self.items,
                seed=7,
                prefix="fill",
                start_ms=self.end_ms - self.window_size * BETWEEN_EVENTS_MS,
                spacing_ms=0,
            )
        )
        return [
            [_at(next(events), step * BETWEEN_EVENTS_MS) for step in range(length)]
            for length in lengths.tolist()
        ]

    def of_user(self, name: str, windows: list[list[Event]]) -> list[Event]:
        """Return the window of the user called ``name``, its events under that name."""
        number = int(name.rpartition("-")[2])
        return [replace(event, user_id=name) for event in windows[number % len(windows)]]


def _at(event: Event, later_ms: int) -> Event:
    return replace(event, event_time_ms=event.event_time_ms + later_ms)


def fill_redis(settings: Settings, fill: Fill) -> None:
    """Write the states of ``fill`` under the keys of ``settings``, before a worker of them starts.

    The partitions' offsets are 0 then: nothing of the events topic has been scored.
    """
    store = ModelStore(settings.model_store)
    version = store.resolve(settings.model_name, settings.model_alias)
    model = load_served_model(store, settings.model_name, version)
    windows = [b"".join(map(pack_row, events)) for events in fill.windows()]
    states = packed_states(states_of_windows(model, windows), bounded=model.state_bounded)
    records = [
        UserState(rows, hidden.tobytes(), model.fingerprint).packed()
        for rows, hidden in zip(windows, states, strict=True)
    ]
    asyncio.run(_write(settings, fill.users, records))


async def _write(settings: Settings, users: int, records: list[bytes]) -> None:
    topic_id = topic_ids(settings.kafka, {}, [settings.events_topic])[settings.events_topic]
    store = RedisWindowStore.connect(
        settings.redis, settings.redis_prefix, settings.state_ttl_ms, settings.redis_timeout_ms, {}
    )
    async with aclosing(store):
        written: set[int] = set()
        for partition, states in _by_partition(users, settings.partitions, records):
            source = SourcePartition(topic_id, partition)
            await store.write([Write(source, 0 if partition in written else None, 0, states)])
            written.add(partition)


def _by_partition(
    users: int, partitions: int, records: list[bytes]
) -> Iterator[tuple[int, dict[bytes, bytes]]]:
    """Yield states by user, a piece of a partition at a time."""
    at_once = USERS_A_WRITE * partitions
    for start in range(0, users, at_once):
        pieces: dict[int, dict[bytes, bytes]] = defaultdict(dict)
        for number in range(start, min(start + at_once, users)):
            key = user_id(number).encode()
            pieces[partition_of(key, partitions)][key] = records[number % len(records)]
        yield from pieces.items()


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a record's key, as Java and `murmur2_random` choose it."""
    return int((murmur2(key) & _POSITIVE) % partitions)
