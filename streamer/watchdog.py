"""Stay alive or die loudly: a worker that gets nothing done ends with an error, so that its supervisor acts.

Consumers can stall after a rebalance or a broker's restart without any error of their own; only a look from
outside at what moves and what should tells.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from streamer.errors import BrokerUnavailable, NoProgress

logger = logging.getLogger(__name__)

LOOKS_PER_LIMIT: Final = 12


class Standing(NamedTuple):
    """How far one owned partition has come: offsets, each that of the next record.

    ``written`` is what Redis has confirmed, ``accepted`` what the pipeline has taken in, ``read`` what the
    consumer has read, and ``end`` where the brokers say that the partition ends.
    """

    written: int
    accepted: int
    read: int
    end: int

    @property
    def pending(self) -> bool:
        """Whether there is anything to do. Offsets that hold no record, as a transaction's end, are not."""
        return self.accepted > self.written or self.end > self.read


Look = Callable[[], Awaitable[Mapping[int, Standing]]]


class Watchdog:
    """Looks at the owned partitions again and again; raises when one has stood still for ``limit_s``.

    ``look`` asks the brokers; it may raise `BrokerUnavailable`, or never return. While it does not answer,
    the brokers count as silent, and after ``silence_limit_s`` of that (by default the same) the worker
    ends as well.
    """

    def __init__(
        self,
        look: Look,
        limit_s: float,
        now_s: Callable[[], float] = time.monotonic,
        *,
        silence_limit_s: float | None = None,
    ) -> None:
        self._look = look
        self._limit_s = limit_s
        self._silence_limit_s = silence_limit_s or limit_s
        self._now_s = now_s
        self._heard_s = now_s()
        self._moved: dict[int, tuple[Standing, float]] = {}

    async def run(self) -> None:
        """Watch until cancelled. Raises `NoProgress` or `BrokerUnavailable`.

        An event loop that is blocked for twice the limit ends the process at once, with its threads' stacks.
        """
        pause_s = self._silence_limit_s / LOOKS_PER_LIMIT
        try:
            while True:
                faulthandler.dump_traceback_later(2 * self._limit_s, exit=True)
                await self.look(self._silence_limit_s)
                await asyncio.sleep(pause_s)
        finally:
            faulthandler.cancel_dump_traceback_later()

    async def look(self, timeout_s: float) -> None:
        """Look once, for at most ``timeout_s``. Raises as `run` does."""
        try:
            async with asyncio.timeout(timeout_s):
                standings = await self._look()
        except (TimeoutError, BrokerUnavailable):
            self._require_answer()
        else:
            self.note(standings)

    def note(self, standings: Mapping[int, Standing]) -> None:
        """Take in where the owned partitions stand. Raises `NoProgress`."""
        now_s = self._heard_s = self._now_s()
        for number, standing in standings.items():
            before = self._moved.get(number)
            if (
                before is None
                or not (before[0].pending and standing.pending)
                or _moved_on(before[0], standing)
            ):
                self._moved[number] = (standing, now_s)
        self._moved = {number: kept for number, kept in self._moved.items() if number in standings}
        slowest = max(self.stalled_s().items(), key=lambda item: item[1], default=None)
        if slowest is not None and slowest[1] >= self._limit_s:
            raise NoProgress(
                f"partition {slowest[0]} has work and has not moved for {slowest[1]:.0f} s "
                f"({standings[slowest[0]]}); the worker ends, so that another can take over"
            )

    def stalled_s(self) -> dict[int, float]:
        """Return for how long each owned partition that has work has stood still, in seconds."""
        now_s = self._now_s()
        return {
            number: now_s - since for number, (standing, since) in self._moved.items() if standing.pending
        }

    def trouble(self) -> str | None:
        """Return what will end the worker if it goes on, once half of the limit has passed; else None."""
        silent_s = self._now_s() - self._heard_s
        if silent_s >= self._silence_limit_s / 2:
            return f"the brokers have been silent for {silent_s:.0f} s"
        stalled = {number: s for number, s in self.stalled_s().items() if s >= self._limit_s / 2}
        return f"partitions {sorted(stalled)} stand still" if stalled else None

    def _require_answer(self) -> None:
        silent_s = self._now_s() - self._heard_s
        if silent_s >= self._silence_limit_s:
            raise BrokerUnavailable(f"the brokers have been silent for {silent_s:.0f} s; are they up?")


def _moved_on(before: Standing, now: Standing) -> bool:
    """Whether anything but the end has moved, backwards too: a seek is a move."""
    return (before.written, before.accepted, before.read) != (now.written, now.accepted, now.read)
