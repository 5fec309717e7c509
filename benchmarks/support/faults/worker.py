"""The bench's own worker: `foreclick worker`, with its parts wrapped so that it can be made to fail.

    python -m benchmarks.support.faults.worker [options of foreclick worker]

The environment names the control directory and, for the runs that must be caught, the sabotage.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import streamer.app
import streamer.journey
import streamer.pipeline
import streamer.publishing
import streamer.scorer
import streamer.scoring
from benchmarks.support.faults.hooks import (
    ACK_FIRST,
    CONTROL_VARIABLE,
    NO_GUARANTEES,
    SABOTAGE_VARIABLE,
    WRITE_FIRST,
    Control,
)
from foreclick.cli import main
from streamer.errors import StaleOwner
from streamer.publishing import KafkaPublisher
from streamer.scoring import ScoredBatch
from streamer.window_store import Question, RedisWindowStore, Snapshot, Write

_SENT_S: Final = 0.001  # time enough to hand a batch to the producer's task, not to hear of it
_control = Control(Path(os.environ[CONTROL_VARIABLE]))
_sabotage = os.environ.get(SABOTAGE_VARIABLE, "")
_stores: list[HookedStore] = []
_background: set[asyncio.Task[None]] = set()


class HookedStore(RedisWindowStore):
    """Passes the points of reading and writing, and notes what Redis refuses."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _stores.append(self)

    async def read(self, questions: Sequence[Question]) -> list[Snapshot]:
        """See `WindowStore.read`."""
        snapshots = await super().read(questions)
        _control.pass_point("read")
        return snapshots

    async def write(self, writes: Sequence[Write]) -> list[StaleOwner | None]:
        """See `WindowStore.write`."""
        if _sabotage == NO_GUARANTEES:
            _in_background(self._write_unguarded(writes))
            return [None] * len(writes)
        if _sabotage == ACK_FIRST:
            writes = [write._replace(expected=write.reached) for write in writes]
        refusals = await super().write(writes)
        for write, refusal in zip(writes, refusals, strict=True):
            if refusal is not None:
                _control.note_refusal(write.source.partition, refusal.expected, refusal.actual)
        if None in refusals:
            _control.pass_point("written")
        return refusals

    async def _write_unguarded(self, writes: Sequence[Write]) -> None:
        """Store states and offsets whatever stands there, with no time to live, in one command."""
        pairs: list[bytes | str] = []
        for write in writes:
            root = self._root(write.source)
            pairs += root, str(write.reached)
            pairs += [part for user, state in write.states.items() for part in (root + user, state)]
        await self._ask("MSET", *pairs)


class HookedPublisher(KafkaPublisher):
    """Passes the points of publishing; when sabotaged, moves the partition on before it publishes."""

    async def publish(self, batches: Sequence[ScoredBatch]) -> None:
        """See `Publisher.publish`."""
        _control.note_tasks(len(asyncio.all_tasks()))
        if _sabotage == NO_GUARANTEES:
            _in_background(super().publish(batches))
            return
        if _sabotage:
            for batch in batches:
                await _move_on(batch)
        asyncio.get_running_loop().call_later(_SENT_S, _control.pass_point, "publishing")
        await super().publish(batches)
        if not _sabotage:  # whose batch has passed this point already, too early
            _control.pass_point("published")


async def _move_on(batch: ScoredBatch) -> None:
    """Do too early what the pipeline does last: take the batch for done, with or without its states."""
    states = batch.states if _sabotage == WRITE_FIRST else {}
    for store in _stores:
        reached = await store.offset(batch.source)
        await RedisWindowStore.write(store, [Write(batch.source, reached, batch.next_offset, states)])
    if batch.predictions:  # a batch of repeated events alone publishes nothing, and loses nothing
        _control.pass_point("published")


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    """Do ``work`` without waiting for it."""
    task = asyncio.ensure_future(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


def _careless(producer: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes a producer that asks for no acks."""
    return lambda **settings: producer(**settings | {"acks": 0, "enable_idempotence": False})


def _replace(owner: object, name: str, make: Callable[[Any], Any]) -> None:
    """Put ``make`` of a part in its place. Raises AttributeError where the product has no such part."""
    setattr(owner, name, make(getattr(owner, name)))


def _passing(point: str, *, before: bool = False) -> Callable[[Any], Any]:
    """Return what wraps a function so that ``point`` is passed behind it, or before it."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if before:
                _control.pass_point(point)
            answer = function(*arguments, **options)
            if not before:
                _control.pass_point(point)
            return answer

        return wrapped

    return wrap


def wrap_product() -> None:
    """Wrap the parts of `streamer` that this process runs."""
    _replace(streamer.pipeline.Pipeline, "submit", _passing("fetched", before=True))
    _replace(streamer.journey, "decode_batch", _passing("decoded"))
    _replace(streamer.scoring, "take_steps", _passing("windowed"))
    _replace(streamer.scorer, "finish", _passing("scored"))
    _replace(streamer.app, "KafkaPublisher", lambda _: HookedPublisher)
    _replace(streamer.app, "RedisWindowStore", lambda _: HookedStore)
    _replace(streamer.app, "_now_ms", lambda _: _control.now_ms)
    if _sabotage == NO_GUARANTEES:
        _replace(streamer.publishing, "AIOKafkaProducer", _careless)


if __name__ == "__main__":
    wrap_product()
    sys.argv[1:1] = ["worker"]
    main()
