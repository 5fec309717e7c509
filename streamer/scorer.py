"""Scoring: take every batch that is ready, score them together, and take the next ones.

No batch waits for a timer: a lone event is scored at once, a backlog in large groups. Of a large group, one
thread advances the users' states, for which the next group waits, and another makes the predictions. A small
one is scored in the event loop, if that is quick: it has nothing else to do but to wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final, NamedTuple

from threadpoolctl import threadpool_limits

from model_store.serving import ServedModel
from streamer.profile import Profile
from streamer.scoring import Advanced, ScoredBatch, ScoringSettings, advance, finish
from streamer.windowing import Group

# What a smaller group takes is less than another thread's attention costs.
HANDED_OVER_EVENTS: Final = 128
# For how long scoring may hold the event loop up: metrics, health and the other clients wait as long.
QUICK_S: Final = 0.02


class _Waiting(NamedTuple):
    model: ServedModel
    batches: Group
    result: asyncio.Future[list[ScoredBatch]]

    @property
    def events(self) -> int:
        return sum(len(batch.events) for batch, _ in self.batches)


@dataclass(frozen=True)
class _Group:
    """What is scored at once; it is never empty."""

    waiting: list[_Waiting]
    scored_at_ms: int

    @property
    def model(self) -> ServedModel:
        return self.waiting[0].model

    @property
    def events(self) -> int:
        return sum(one.events for one in self.waiting)

    @property
    def batches(self) -> Group:
        return [batch for one in self.waiting for batch in one.batches]

    def resolve(self, scored: list[ScoredBatch]) -> None:
        """Tell those who wait what became of their batches."""
        results = iter(scored)
        for one in self.waiting:
            own = list(islice(results, len(one.batches)))
            if not one.result.done():
                one.result.set_result(own)


class Scorer:
    """Scores batches in the order in which they are handed in, those of one model together.

    There is at most one group whose users advance, and one whose predictions are made.

    ``model`` is the one that serves. `run` must be running. ``max_group_events`` bounds how many events are
    scored at once; from ``handed_over_events`` on a group's predictions are made in the second thread. A
    smaller one is scored in the event loop while the newest of them took under `QUICK_S` by ``clock_s``.
    """

    def __init__(
        self,
        model: ServedModel,
        settings: ScoringSettings,
        max_group_events: int,
        now_ms: Callable[[], int],
        profile: Profile,
        *,
        handed_over_events: int = HANDED_OVER_EVENTS,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self._settings = settings
        self._max_group_events = max_group_events
        self._now_ms = now_ms
        self._profile = profile
        self._handed_over_events = handed_over_events
        self._clock_s = clock_s
        self._quick = False
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._held: _Waiting | None = None
        self._advanced: asyncio.Queue[tuple[_Group, Advanced]] = asyncio.Queue()
        self._finishing = False
        self._advancing_thread = scoring_thread()
        self._finishing_thread = scoring_thread()

    def swap(self, model: ServedModel) -> None:
        """Let ``model`` serve: batches that come from now on are for it."""
        self.model = model

    def score(self, batches: Group, model: ServedModel) -> asyncio.Future[list[ScoredBatch]]:
        """Queue ``batches`` for ``model`` at once, behind all earlier ones; return what becomes of them."""
        result: asyncio.Future[list[ScoredBatch]] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(_Waiting(model, batches, result))
        return result

    async def run(self) -> None:
        """Score until cancelled. A failure of the model ends the run, and nothing of its group is acked."""
        with threadpool_limits(1):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._finish_all())
                await self._advance_all()

    def close(self) -> None:
        """End the scoring threads once their current groups are done."""
        for thread in (self._advancing_thread, self._finishing_thread):
            thread.shutdown(wait=False, cancel_futures=True)

    async def _advance_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            group = await self._next_group()
            if group.events >= self._handed_over_events or self._finishing:
                advanced = await loop.run_in_executor(self._advancing_thread, self._advance, group)
                await self._advanced.join()
                self._finishing = True
                self._advanced.put_nowait((group, advanced))
            elif self._quick:
                group.resolve(self._score(group))
            else:
                group.resolve(await loop.run_in_executor(self._advancing_thread, self._score, group))

    async def _finish_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            group, advanced = await self._advanced.get()
            group.resolve(await loop.run_in_executor(self._finishing_thread, self._finish, group, advanced))
            self._finishing = False
            self._advanced.task_done()

    def _score(self, group: _Group) -> list[ScoredBatch]:
        started_s = self._clock_s()
        scored = self._finish(group, self._advance(group))
        self._quick = self._clock_s() - started_s < QUICK_S
        return scored

    def _advance(self, group: _Group) -> Advanced:
        return advance(group.model, group.batches, self._settings, self._profile)

    def _finish(self, group: _Group, advanced: Advanced) -> list[ScoredBatch]:
        return finish(advanced, self._settings, group.scored_at_ms, self._profile)

    async def _next_group(self) -> _Group:
        group = [self._held or await self._waiting.get()]
        self._held = None
        events = group[0].events
        while events < self._max_group_events and not self._waiting.empty():
            following = self._waiting.get_nowait()
            if following.model is not group[0].model:
                self._held = following
                break
            group.append(following)
            events += following.events
        return _Group(group, self._now_ms())


def scoring_thread() -> ThreadPoolExecutor:
    """Return an executor of one thread, whose libraries compute in that thread alone.

    OpenMP counts its threads per calling thread. Helpers of the index would spin between two searches, on
    the cores that Kafka, Redis and the event loop need.
    """
    return ThreadPoolExecutor(
        max_workers=1, thread_name_prefix="scoring", initializer=partial(threadpool_limits, 1)
    )
