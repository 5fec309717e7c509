"""What a worker can say of itself at any moment: how far it is, whether it is well, whether it is ready."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from streamer.errors import StoreUnavailable
from streamer.ownership import Ownership
from streamer.watchdog import Standing, Watchdog

PING_TIMEOUT_S: Final = 1.0


class ReadPosition(NamedTuple):
    """Where the consumer of a partition is: the offset that it reads next, and the partition's end."""

    read: int
    end: int


AskBrokers = Callable[[], Awaitable[Mapping[int, ReadPosition]]]
KnownEnd = Callable[[int], int | None]


class WorkerStatus:
    """Looks at one worker's partitions, brokers and Redis.

    ``ask_brokers`` gives the read positions of the owned partitions as the brokers have them now; it may
    raise `BrokerUnavailable`. ``known_end`` gives a partition's end as the newest fetch told it. ``notice``
    tells what an operator should know, though the worker works; None for nothing.
    """

    def __init__(
        self,
        owned: Ownership,
        ask_brokers: AskBrokers,
        known_end: KnownEnd,
        stall_limit_s: float,
        notice: Callable[[], str | None],
    ) -> None:
        self._owned = owned
        self._ask_brokers = ask_brokers
        self._known_end = known_end
        self.notice = notice
        # Whoever waits for a server gives up first, and says for which.
        self.watchdog = Watchdog(self.standings, 1.5 * stall_limit_s, silence_limit_s=stall_limit_s)

    def lags(self) -> dict[int, int | None]:
        """Return how many offsets of each owned partition lie behind what is written; None if not known.

        A transaction's end marks count too: where producers use transactions, the lag ends a little over 0.
        """
        return {number: self._lag(number, at) for number, at in self._owned.written_offsets().items()}

    async def standings(self) -> dict[int, Standing]:
        """Ask the brokers, and return where each owned partition stands. May raise `BrokerUnavailable`."""
        positions = await self._ask_brokers()
        written, accepted = self._owned.written_offsets(), self._owned.accepted_offsets()
        return {
            number: Standing(written[number] or 0, accepted[number], *position)
            for number, position in positions.items()
            if number in written
        }

    def trouble(self) -> str | None:
        """Return what will end the worker if it goes on; None while all is well."""
        return self.watchdog.trouble()

    async def unready(self) -> str | None:
        """Return why no prediction may be expected of this worker now; None when it is ready.

        It answers within `PING_TIMEOUT_S`.
        """
        if not self._owned.written_offsets():
            return "no partition is owned"
        rebuilding = self._owned.catching_up()
        if rebuilding:
            return f"the states of partitions {rebuilding} are being rebuilt"
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                await self._owned.ping_store()
        except (TimeoutError, StoreUnavailable):
            return "Redis does not answer"
        return self.trouble()

    def _lag(self, partition: int, written: int | None) -> int | None:
        end = self._known_end(partition)
        return None if end is None or written is None else max(end - written, 0)
