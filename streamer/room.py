"""How much may be under way at once, so that memory stays flat under any backlog."""

from __future__ import annotations

import asyncio
from typing import Final

# Small fetches that overlap keep each other from the cores: a prediction comes sooner if each is done before
# the next is asked for. A backlog's are worth it.
SMALL_FETCHES: Final = 1
SMALL_EVENTS: Final = 512


class Room:
    """Counts what is under way. `wait` returns while it is less than both limits.

    The limit on fetches makes small ones grow: what is not fetched yet comes with one. While all that is
    under way are fewer than `SMALL_EVENTS`, it is ``small_fetches`` if that is less. There is no room while a
    fetch is expected: what it brings is not counted yet.
    """

    def __init__(self, max_fetches: int, max_events: int, small_fetches: int = SMALL_FETCHES) -> None:
        self._max_fetches = max_fetches
        self._small_fetches = min(small_fetches, max_fetches)
        self._max_events = max_events
        self._fetches = 0
        self._events = 0
        self._expecting = False
        self._open = asyncio.Event()
        self._open.set()

    def expect(self) -> None:
        """Note that a fetch is handed over; `arrive` tells that it is here, or never will be."""
        self._expecting = True
        self._update()

    def arrive(self) -> None:
        """Expect no fetch any more."""
        self._expecting = False
        self._update()

    def take(self, events: int) -> None:
        """Note that a fetch of ``events`` more is under way, be there room for it or not."""
        self._fetches += 1
        self._events += events
        self._update()

    def give_back(self, events: int) -> None:
        """Note that a fetch of ``events`` is under way no more."""
        self._fetches -= 1
        self._events -= events
        self._update()

    async def wait(self) -> None:
        """Return when there is room."""
        while not self._open.is_set():  # what opened it may have taken it by the time that this runs
            await self._open.wait()

    def _update(self) -> None:
        most = self._small_fetches if self._events < SMALL_EVENTS else self._max_fetches
        if self._fetches < most and self._events < self._max_events and not self._expecting:
            self._open.set()
        else:
            self._open.clear()
