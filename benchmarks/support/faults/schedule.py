"""Which faults there are, and a seeded order in which a round injects them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.support.faults import kinds_of_servers as servers
from benchmarks.support.faults import kinds_of_topics as topics
from benchmarks.support.faults import kinds_of_workers as workers
from benchmarks.support.faults.hooks import POINTS
from benchmarks.support.faults.stage import NoEffect, Stage

Kind = Callable[[Stage], str]
Say = Callable[[str], None]

RECREATED: Final = "topic deleted and recreated"  # ends a round

KINDS: Final[dict[str, Kind]] = {
    "worker killed": workers.killed,
    **{f"worker killed at step {step}": partial(workers.killed_at, step=step) for step in POINTS.values()},
    "worker stopped past its session": workers.stopped_past_its_session,
    "worker joined and left": workers.joined_and_left,
    "promotion between publish and write": workers.promoted_before_the_write,
    "clock set back": workers.clock_set_back,
    "producer killed": workers.producer_killed,
    "partitions added": topics.partitions_added,
    "broker killed": servers.broker_killed,
    "disk full under the broker": servers.disk_full,
    "network cut to the broker": servers.broker_cut,
    "Redis killed": servers.redis_killed,
    "Redis full": servers.redis_full,
    "Redis set back": servers.redis_set_back,
    "Redis emptied": servers.redis_emptied,
    "Redis slow": servers.redis_slow,
    "Redis hung": servers.redis_hung,
    "network cut to Redis": servers.redis_cut,
}


@dataclass(frozen=True)
class Injected:
    """A fault that took effect, as it was seen from outside, and how long the slowest partition was away."""

    kind: str
    effect: str
    recovery_s: float


def endless_order(kinds: Sequence[str], seed: int) -> Iterator[str]:
    """Yield all ``kinds`` in a random order, then all again in another, without end."""
    order = random.Random(seed)
    while True:
        yield from order.sample(list(kinds), len(kinds))


def inject(kind: str, stage: Stage, say: Say) -> Injected | None:
    """Inject one fault and wait for the recovery; None where its effect was not seen.

    Raises TimeoutError when a partition does not recover.
    """
    started_s = time.monotonic()
    try:
        effect = KINDS[kind](stage)
    except NoEffect as reason:
        say(f"{kind}: does not count, {reason}")
        return None
    took_s = time.monotonic() - started_s
    recovery_s = stage.recovery_s()
    say(f"{kind} ({took_s:.1f} s): {effect}; recovered in {recovery_s:.1f} s")
    return Injected(kind, effect, recovery_s)


def counted(injected: Sequence[Injected]) -> dict[str, int]:
    """Return how many faults of each kind took effect; 0 for those that never did."""
    counts = Counter(fault.kind for fault in injected)
    return {kind: counts[kind] for kind in (*KINDS, RECREATED)}
