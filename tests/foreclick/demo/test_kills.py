"""Kills: the same seed gives the same moments, and each hits a worker that has work left."""

from __future__ import annotations

from itertools import pairwise

import pytest

from foreclick.demo.kills import Kill, KillMoment, KillSchedule, kill_moments


class Reader:
    """Sees one more event end each time somebody looks."""

    def __init__(self) -> None:
        self.ended = 0
        self.published = 0

    def __len__(self) -> int:
        return self.ended

    def check(self) -> None:
        self.ended = min(self.published, self.ended + 1)


class Worker:
    """Counts its deaths."""

    def __init__(self) -> None:
        self.killed = 0

    def check(self) -> None:
        pass

    def kill(self) -> None:
        self.killed += 1


def test_the_seed_decides_the_moments() -> None:
    assert kill_moments(5, 1, 10_000) == kill_moments(5, 1, 10_000)
    assert kill_moments(5, 1, 10_000) != kill_moments(5, 2, 10_000)


@pytest.mark.parametrize("seed", range(20))
def test_moments_lie_in_order_inside_the_replay(seed: int) -> None:
    moments = kill_moments(5, seed, 862)

    assert len(moments) == 5
    assert all(1 <= moment.published <= 862 and 0 <= moment.of_backlog < 1 for moment in moments)
    assert all(one.published <= other.published for one, other in pairwise(moments))


def test_each_kill_hits_at_its_share_of_what_was_still_to_do() -> None:
    worker, reader = Worker(), Reader()
    schedule = KillSchedule([KillMoment(100, 0.5, 0.0), KillMoment(200, 0.25, 0.0)], worker, reader)

    for published in range(300):
        reader.published = published
        schedule.before_next(published)

    # half of the first 100; then a quarter of the 149 that the second life found undone
    assert schedule.made == [Kill(51, 100), Kill(89, 200)]
    assert worker.killed == 2
