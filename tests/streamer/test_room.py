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
        ([999], True),  # one event below the limit
        ([1_000], False),
        ([2_500], False),  # a fetch is taken whole, be there room for it or not
        ([1], False),  # a small one
        ([511], False),
        ([512], True),  # this is worth another
        ([256, 256], True),
        ([256, 256, 256], False),
    ],
)
def test_more_may_come_while_the_limits_are_not_reached(fetches: list[int], open_after: bool) -> None:
    room = Room(max_fetches=3, max_events=1_000)
    for events in fetches:
        room.take(events)
    assert is_open(room) is open_after
    for events in fetches:
        room.give_back(events)
    assert is_open(room)


def test_the_limit_on_fetches_holds_for_small_ones_too() -> None:
    room = Room(max_fetches=1, max_events=1_000)
    room.take(1)
    assert not is_open(room)


@pytest.mark.parametrize("under_way", [0, 600])
def test_nothing_more_may_come_while_a_fetch_is_expected(under_way: int) -> None:
    expecting, arrived = Room(max_fetches=3, max_events=1_000), Room(max_fetches=3, max_events=1_000)
    for room in (expecting, arrived):
        if under_way:
            room.take(under_way)
        room.expect()
    arrived.arrive()
    assert not is_open(expecting)
    assert is_open(arrived)


def test_who_waits_is_not_let_in_by_an_arrival_that_takes_the_room() -> None:
    async def scenario() -> None:
        room = Room(max_fetches=3, max_events=1_000)
        room.expect()
        waiting = asyncio.create_task(room.wait())
        await asyncio.sleep(0)
        room.arrive()
        room.take(1)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        room.give_back(1)
        await asyncio.wait_for(waiting, timeout=5.0)

    asyncio.run(scenario())


def test_who_waits_goes_on_when_enough_was_given_back() -> None:
    async def scenario() -> None:
        room = Room(max_fetches=3, max_events=1_000)
        room.take(600)
        room.take(700)
        waiting = asyncio.create_task(room.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        room.give_back(600)
        await asyncio.wait_for(waiting, timeout=5.0)

    asyncio.run(scenario())
