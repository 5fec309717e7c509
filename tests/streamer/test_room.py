"""How much may be under way."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from streamer.room import Room


def is_open(room: Room) -> bool:
    """Tell whether `Room.wait` returns at once."""

    async def wait() -> bool:
        waiting = asyncio.create_task(room.wait())
        await asyncio.sleep(0)
        came = waiting.done()
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        return came

    return asyncio.run(wait())


@pytest.mark.parametrize(
    ("fetches", "open_after"),
    [
        ([], True),
        ([9], True),  # one fetch and one event below the limits
        ([10], False),  # the limit on events
        ([4, 4], True),
        ([1, 1, 1], False),  # the limit on fetches
        ([25], False),  # a fetch is taken whole, be there room for it or not
    ],
)
def test_more_may_come_while_both_limits_are_not_reached(fetches: list[int], open_after: bool) -> None:
    room = Room(max_fetches=3, max_events=10)
    for events in fetches:
        room.take(events)
    assert is_open(room) is open_after
    for events in fetches:
        room.give_back(events)
    assert is_open(room)


def test_who_waits_goes_on_when_enough_was_given_back() -> None:
    async def scenario() -> None:
        room = Room(max_fetches=3, max_events=10)
        room.take(6)
        room.take(7)
        waiting = asyncio.create_task(room.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        room.give_back(6)
        await asyncio.wait_for(waiting, timeout=5.0)

    asyncio.run(scenario())
