"""The log that the demo streams: a file in a known format, or the simulator's."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from producers.log_clock import LogClock
from producers.readers import FORMATS, ReadEvent, read_log
from producers.simulator.shop import Shop
from producers.sorting import sorted_by_time

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from producers.events import Event
    from producers.readers import LogLine, Mapping

SIMULATION_START_MS: Final = 1_704_067_200_000  # 2024-01-01T00:00:00Z, the past on any right clock


@dataclass(frozen=True)
class ShopLog:
    """A log in memory, its lines in the order in which they are replayed.

    ``was_sorted`` says whether they were put in order of time first; ``timed``, whether it has real times.
    """

    title: str
    lines: tuple[LogLine, ...]
    was_sorted: bool = False
    timed: bool = True

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The events of the log; the other lines are rejected."""
        return tuple(line.event for line in self.lines if isinstance(line, ReadEvent))

    @cached_property
    def user_count(self) -> int:
        """How many users the log has."""
        return len({event.user_id for event in self.events})


def read_shop_log(path: Path, format_name: str, mapping: Mapping | None, now_ms: int) -> ShopLog:
    """Return the log at ``path``, put in order of time if it is not.

    ``now_ms`` is what times in the future are measured against. Raises ProducerError.
    """
    lines = tuple(read_log(path, format_name, mapping, now_ms=now_ms))
    unsorted = _is_unsorted(lines)
    if unsorted:
        lines = tuple(sorted_by_time(lines))
    return ShopLog(f"{path.name} ({format_name})", lines, unsorted, FORMATS[format_name].timed)


def simulated_log(seed: int, users: int, events: int) -> ShopLog:
    """Return ``events`` events of the simulator's shop; the same arguments give the same log."""
    shop = Shop(seed, users)
    stream = shop.events(SIMULATION_START_MS, events)
    lines = tuple(ReadEvent(number, event) for number, event in enumerate(stream, start=1))
    return ShopLog(f"simulated shop, seed {seed}", lines)


def _is_unsorted(lines: Iterable[LogLine]) -> bool:
    clock = LogClock(strict=False)
    deque(clock.follow(lines), maxlen=0)
    return clock.unsorted > 0
