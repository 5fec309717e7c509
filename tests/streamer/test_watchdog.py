"""When a worker counts as stalled, and how its process ends. The clock is passed in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import pytest
from aiokafka.errors import KafkaConnectionError

from streamer.errors import (
    AGAIN,
    BrokerUnavailable,
    ModelUnavailable,
    NoProgress,
    PublishFailed,
    StoreUnavailable,
)
from streamer.exits import exit_code
from streamer.watchdog import Standing, Watchdog

LIMIT_S = 120.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def nobody() -> Mapping[int, Standing]:
    return {}


def watchdog(clock: Clock) -> Watchdog:
    return Watchdog(nobody, LIMIT_S, clock)


def test_a_partition_with_work_that_does_not_move_ends_the_worker_after_the_limit() -> None:
    clock = Clock()
    dog = watchdog(clock)
    moving, stuck = Standing(0, 5, 5, 90), Standing(10, 20, 20, 20)
    dog.note({0: moving, 1: stuck})
    clock.now_s += LIMIT_S / 2
    dog.note({0: moving._replace(written=5), 1: stuck})
    assert dog.trouble() == "partitions [1] stand still"
    clock.now_s += LIMIT_S / 2 - 1
    dog.note({0: moving._replace(written=6), 1: stuck})
    clock.now_s += 1
    with pytest.raises(NoProgress, match="partition 1 has work and has not moved for 120 s"):
        dog.note({0: moving._replace(written=7), 1: stuck})


@pytest.mark.parametrize(
    "idle",
    [
        Standing(7, 7, 7, 7),
        Standing(7, 7, 8, 8),  # behind a transaction's end, which is no record
    ],
)
def test_a_partition_without_work_may_rest_for_ever_and_gets_the_whole_limit_then(idle: Standing) -> None:
    clock = Clock()
    dog = watchdog(clock)
    for _ in range(5):
        dog.note({0: idle})
        clock.now_s += LIMIT_S
    dog.note({0: idle})
    clock.now_s += LIMIT_S - 1
    dog.note({0: idle._replace(end=9)})
    clock.now_s += LIMIT_S - 1
    dog.note({0: idle._replace(end=9)})
    clock.now_s += 1
    with pytest.raises(NoProgress):
        dog.note({0: idle._replace(end=9)})


def test_a_seek_backwards_is_a_move_and_a_partition_that_was_given_away_is_forgotten() -> None:
    clock = Clock()
    dog = watchdog(clock)
    dog.note({0: Standing(50, 60, 60, 90)})
    clock.now_s += LIMIT_S - 1
    dog.note({0: Standing(20, 20, 20, 90)})
    clock.now_s += LIMIT_S - 1
    dog.note({})
    clock.now_s += LIMIT_S
    dog.note({0: Standing(20, 20, 20, 90)})
    assert dog.stalled_s() == {0: 0}


def test_brokers_that_stay_silent_end_the_worker_after_the_limit() -> None:
    async def scenario() -> None:
        clock = Clock()
        answers = True

        async def look() -> Mapping[int, Standing]:
            if not answers:
                await asyncio.Event().wait()
            return {0: Standing(1, 1, 1, 1)}

        dog = Watchdog(look, LIMIT_S, clock)
        await dog.look(0.01)
        answers = False
        clock.now_s += LIMIT_S - 1
        await dog.look(0.01)
        assert dog.trouble() == "the brokers have been silent for 119 s"
        answers = True
        await dog.look(0.01)
        assert dog.trouble() is None
        answers = False
        clock.now_s += LIMIT_S
        with pytest.raises(BrokerUnavailable, match="silent for 120 s"):
            await dog.look(0.01)

    asyncio.run(scenario())


def test_a_blocked_event_loop_ends_the_process_with_the_stacks_of_its_threads() -> None:
    program = (
        "import asyncio, time\n"
        "from streamer.watchdog import Watchdog\n"
        "async def look(): return {}\n"
        "async def main():\n"
        "    task = asyncio.create_task(Watchdog(look, 0.1).run())\n"
        "    await asyncio.sleep(0.05)\n"
        "    time.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=False
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


def test_a_process_that_does_not_stop_in_time_is_cut_off_with_its_code() -> None:
    program = "import time\nfrom streamer.exits import end_within\nend_within(0.05, 75)\ntime.sleep(60)\n"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=False
    )
    assert ended.returncode == 75
    assert "did not stop within 0.05 s" in ended.stderr


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (None, 0),
        (StoreUnavailable("away"), AGAIN),
        (ExceptionGroup("", [ExceptionGroup("", [PublishFailed("away")])]), AGAIN),
        (KafkaConnectionError("away"), AGAIN),
        (ModelUnavailable("cut"), 1),
        (ExceptionGroup("", [StoreUnavailable("away"), ValueError("a mistake")]), 1),
    ],
)
def test_a_code_tells_whether_another_try_may_help(reason: BaseException | None, code: int) -> None:
    assert exit_code(reason) == code
