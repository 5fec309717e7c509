"""The scoring thread: takes every batch that is ready, scores them together, and takes the next ones.

No batch waits for a timer: a lone event is scored at once, a backlog in large groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from model_store.serving import ServedModel
from streamer.profile import Profile
from streamer.scoring import ScoredBatch, ScoringSettings, score_group
from streamer.windowing import Group


class _Waiting(NamedTuple):
    model: ServedModel
    batches: Group
    result: asyncio.Future[list[ScoredBatch]]

    @property
    def events(self) -> int:
        return sum(len(batch.events) for batch, _ in self.batches)


class Scorer:
    """Scores batches in the order in which they are handed in, those of one model together.

    ``model`` is the one that serves. `run` must be running. ``max_group_events`` bounds how many events are
    scored at once.
    """

    def __init__(
        self,
        model: ServedModel,
        settings: ScoringSettings,
        max_group_events: int,
        now_ms: Callable[[], int],
        profile: Profile,
    ) -> None:
        self.model = model
        self._settings = settings
        self._max_group_events = max_group_events
        self._now_ms = now_ms
        self._profile = profile
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._held: _Waiting | None = None
        self._thread = scoring_thread()

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
        loop = asyncio.get_running_loop()
        while True:
            group = await self._next_group()
            work = [batch for one in group for batch in one.batches]
            model = group[0].model
            scored = iter(await loop.run_in_executor(self._thread, self._score, model, work, self._now_ms()))
            for one in group:
                results = list(islice(scored, len(one.batches)))
                if not one.result.done():
                    one.result.set_result(results)

    def close(self) -> None:
        """End the scoring thread once its current group is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _score(self, model: ServedModel, work: Group, scored_at_ms: int) -> list[ScoredBatch]:
        return score_group(model, work, self._settings, scored_at_ms, self._profile)

    async def _next_group(self) -> list[_Waiting]:
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
        return group


def scoring_thread() -> ThreadPoolExecutor:
    """Return an executor of one thread, whose libraries compute in that thread alone.

    OpenMP counts its threads per calling thread. Helpers of the index would spin between two searches, on
    the cores that Kafka, Redis and the event loop need.
    """
    return ThreadPoolExecutor(
        max_workers=1, thread_name_prefix="scoring", initializer=partial(threadpool_limits, 1)
    )
