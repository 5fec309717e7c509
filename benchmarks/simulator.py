"""How far an order-2 Markov model stays behind the simulated shop's true next-action entropy.

Run `python -m benchmarks.simulator`. The last line is JSON; all entropies are in nats an event.
The Markov model counts ``train`` events; then both it and the oracle are held against the next
``test`` events. What it misses is not a lack of data: its few hundred numbers come from a million events.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

import numpy as np
import typer

from producers.contract import SESSION_GAP_MS
from producers.events import Event
from producers.simulator.behaviour import ACTIONS, NONE
from producers.simulator.oracle import Oracle
from producers.simulator.shop import Shop

START_MS = 1_700_000_000_000
CODES = {action: code for code, action in enumerate(ACTIONS)}


class Markov2:
    """Next-action counts behind each pair of last actions; a session's start is an action of its own."""

    def __init__(self) -> None:
        self.counts: defaultdict[tuple[int, int], list[float]] = defaultdict(lambda: [0.5] * len(ACTIONS))

    def learn(self, pair: tuple[int, int], action: int) -> None:
        self.counts[pair][action] += 1

    def loss(self, pair: tuple[int, int], action: int) -> float:
        counts = self.counts[pair]
        return float(np.log(sum(counts) / counts[action]))


class Follower:
    """Pairs each event with what its shopper does next, as soon as that is certain."""

    def __init__(self) -> None:
        self.last: dict[str, tuple[int, tuple[int, int], int]] = {}

    def resolved(self, event: Event, row: int) -> Iterator[tuple[int, tuple[int, int], int]]:
        """Yield (row, pair of actions, next action) for the shopper's event before this one."""
        code, start = CODES[event.event_type], -1
        known = self.last.get(event.user_id)
        pair = (start, code)
        if known is not None:
            before_ms, before, before_row = known
            same = event.event_time_ms - before_ms <= SESSION_GAP_MS
            yield before_row, before, code if same else NONE
            pair = (before[1], code) if same else pair
        self.last[event.user_id] = (event.event_time_ms, pair, row)

    def ended(self, now_ms: int) -> Iterator[tuple[int, tuple[int, int], int]]:
        """Yield the events whose session is over by ``now_ms`` for want of another."""
        for time_ms, pair, row in self.last.values():
            if now_ms - time_ms > SESSION_GAP_MS:
                yield row, pair, NONE


def measure(train: int, test: int, seed: int = 1, users: int = 2_000, items: int = 2_000) -> dict[str, float]:
    """Return the true entropy, both models' cross-entropies on the test events, and the excess."""
    shop = Shop(seed=seed, users=users, items=items)
    events = shop.events(START_MS)
    markov, follower, oracle = Markov2(), Follower(), Oracle(shop)
    for row, event in enumerate(islice(events, train)):
        oracle.observe(event)
        for _, pair, action in follower.resolved(event, row):
            markov.learn(pair, action)
    predicted = np.zeros((test, len(ACTIONS)))
    outcomes = []
    now_ms = 0
    for row, event in enumerate(islice(events, test)):
        predicted[row] = oracle.observe(event)
        outcomes += [each for each in follower.resolved(event, train + row) if each[0] >= train]
        now_ms = event.event_time_ms
    outcomes += [each for each in follower.ended(now_ms) if each[0] >= train]

    rows = np.array([row - train for row, _, _ in outcomes])
    truth = predicted[rows]
    entropy = -(truth * np.log(np.where(truth > 0, truth, 1.0))).sum(axis=1).mean()
    own = -np.log(truth[np.arange(len(rows)), [action for _, _, action in outcomes]]).mean()
    missed = np.mean([markov.loss(pair, action) for _, pair, action in outcomes])
    return {
        "true_entropy": float(entropy),
        "oracle_cross_entropy": float(own),
        "markov2_cross_entropy": float(missed),
        "excess": float(missed / entropy - 1),
        "events": float(len(rows)),
    }


def main(train: int = 1_000_000, test: int = 200_000, seed: int = 1) -> None:
    """Print the entropies, and how many events a second the shop makes."""
    result = measure(train, test, seed)
    started = time.perf_counter()
    made = sum(1 for _ in Shop(seed=seed, users=2_000, items=2_000).events(START_MS, count=500_000))
    result["shop_events_per_s"] = round(made / (time.perf_counter() - started))
    print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
