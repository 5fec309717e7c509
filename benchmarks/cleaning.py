"""What the default cleaning costs the scoring thread, side by side with a model that cleans nothing.

A made-up shop's events, with repeated records, double clicks, bots and missing prices among them, go through
the worker's own scoring (`streamer.scoring.score_group`: windows, GRU, next items, predictions) in real
batches, without Kafka and Redis, whose time would only make the share smaller. Each batch is scored with and
without cleaning, right after one another and in changing order, so that what slows the machine slows both.
Each batch gives a share, and the median over the batches of all passes is told, beside the lowest and the
highest median of a pass: what interrupts a batch does not count. Times are the thread's CPU time.

    python -m benchmarks.cleaning
    python -m benchmarks.cleaning --events 20000 --rounds 3
    python -m benchmarks.cleaning --rules rules.toml
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.support.artifact import write_model
from benchmarks.support.machine import machine
from benchmarks.support.record import Record
from benchmarks.support.workload import START_MS, Workload, item_id
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.cleaning.learning import fit_cleaning
from model_store.cleaning.pipeline import Cleaning
from model_store.cleaning.rules import default_rules, load_rules
from model_store.sequences import EventTable
from model_store.serving import ServedModel, load_served_model
from producers.events import Event, EventType, decode_value, encode_event
from producers.simulator.faults import Rates, with_faults
from producers.simulator.shop import Shop
from streamer.decoding import decode_batch
from streamer.memory import Slot
from streamer.profile import Profile
from streamer.records import DecodedBatch, FetchedBatch, SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoredBatch, ScoringSettings, score_group

SOURCE = SourcePartition("benchmark0abcdefghijkl", 0)
MISSING_PRICES = 0.02
DOUBLE_CLICKS = 0.01
BAR = 0.05
WARMING_BATCHES = 4


@dataclass(frozen=True)
class Pass:
    """One pass over all events: CPU seconds by batch, microseconds an event, and what came of the events."""

    batches_s: Sequence[float]
    us_per_event: float
    outcomes: Counter[str]


def main() -> None:
    """Measure, show a line a round, and print one JSON line."""
    arguments = _arguments()
    settings = Settings()
    workload = Workload(arguments.events, arguments.users, arguments.items)
    events = list(_events(arguments))
    fitted = round(0.6 * len(events))
    rules = default_rules() if arguments.rules is None else load_rules(arguments.rules)
    table = EventTable.from_events(events[:fitted])
    cleaning = fit_cleaning(rules, table.rows, table.user, arguments.window)
    batches = [
        _batch(events[start : start + arguments.batch], start)
        for start in range(0, len(events), arguments.batch)
    ]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        version = write_model(root, workload, units=arguments.units, window_size=arguments.window)
        model = load_served_model(ModelStore(root), "gru", version)
    scoring = ScoringSettings(
        settings.allowed_lateness_ms,
        RenderingSettings(settings.next_items_count, settings.churn_alert_level),
    )
    pairs = []
    gc.collect()
    gc.freeze()  # a worker does not hold a benchmark's events
    _round(model, cleaning, batches[:WARMING_BATCHES], scoring)
    for number in range(arguments.rounds):
        plain, cleaned = _round(model, cleaning, batches, scoring)
        pairs.append((plain, cleaned))
        print(
            f"round {number + 1}: {plain.us_per_event:.2f} us an event without cleaning, "
            f"{cleaned.us_per_event:.2f} with; {statistics.median(_shares(plain, cleaned)):.1%} more",
            file=sys.stderr,
        )
    print(json.dumps(_summary(arguments, pairs)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--batch", type=int, default=2_048, help="events scored at once, as in a backlog")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rules", type=Path, metavar="FILE", help="TOML file; else the default rules")
    return parser.parse_args()


def _events(arguments: argparse.Namespace) -> Iterator[Event]:
    """Yield the shop's events with faults, of items that the model knows."""
    random = np.random.default_rng(1)
    shop = Shop(seed=1, users=arguments.users, items=arguments.items)
    faulty = with_faults(shop.events(START_MS), Rates(duplicates=0.01, bots=0.01), seed=1)
    for number, record in enumerate(islice(faulty, arguments.events)):
        event = decode_value(record.value, record.sent_ms + 1)
        item = None if event.item_id is None else item_id(int(event.item_id[1:]) % arguments.items)
        price = None if random.random() < MISSING_PRICES else event.price
        event = msgspec.structs.replace(event, item_id=item, price=price)
        yield event
        if random.random() < DOUBLE_CLICKS and event.event_type is not EventType.SEARCH:
            yield msgspec.structs.replace(event, event_id=f"again-{number}")


def _batch(events: Sequence[Event], first_offset: int) -> FetchedBatch:
    records = [
        Record(offset, event.event_time_ms, event.user_id.encode(), encode_event(event))
        for offset, event in enumerate(events, first_offset)
    ]
    return FetchedBatch(0, records, generation=1, fetched_from=first_offset)


class _Arm:
    """One way to score, with ``cleaning`` or, where that is None, without; from empty windows on."""

    def __init__(self, cleaning: Cleaning | None) -> None:
        self._cleaning = cleaning
        self._slots: dict[bytes, Slot] = {}
        self._profile = Profile()
        self._outcomes: Counter[str] = Counter()
        self._batches_s: list[float] = []
        self._events = 0

    def score(self, model: ServedModel, decoded: DecodedBatch, scoring: ScoringSettings) -> None:
        """Score one batch, and note what CPU time it took."""
        group = [(decoded, _claimed(decoded, self._slots))]
        model.encoder.cleaning = self._cleaning
        started_s = time.thread_time()
        scored = score_group(model, group, scoring, START_MS, self._profile)
        self._batches_s.append(time.thread_time() - started_s)
        self._events += len(decoded.events)
        _count(scored, self._outcomes)

    def told(self) -> Pass:
        """Return what the batches so far came to."""
        return Pass(self._batches_s, sum(self._batches_s) * 1e6 / self._events, self._outcomes)


def _round(
    model: ServedModel, cleaning: Cleaning, batches: Sequence[FetchedBatch], scoring: ScoringSettings
) -> tuple[Pass, Pass]:
    """Score all batches without ``cleaning`` and with it, in turn; return both."""
    plain, cleaned = _Arm(None), _Arm(cleaning)
    for number, batch in enumerate(batches):
        decoded = decode_batch(batch, SOURCE)
        for arm in (plain, cleaned) if number % 2 else (cleaned, plain):
            arm.score(model, decoded, scoring)
    return plain.told(), cleaned.told()


def _claimed(decoded: DecodedBatch, slots: dict[bytes, Slot]) -> dict[bytes, Slot]:
    return {user: slots.setdefault(user, Slot()) for user, _, _ in decoded.events}


def _count(scored: Sequence[ScoredBatch], outcomes: Counter[str]) -> None:
    for batch in scored:
        outcomes["predictions"] += len(batch.predictions)
        outcomes["repeated ids"] += batch.duplicate_events
        outcomes.update(letter.reason for letter in batch.dead_letters)
        outcomes["flagged"] += sum(b'"flags":["' in value for _, value in batch.predictions)


def _shares(plain: Pass, cleaned: Pass) -> list[float]:
    """Return by what share each batch took longer with cleaning."""
    return [more_s / less_s - 1.0 for less_s, more_s in zip(plain.batches_s, cleaned.batches_s, strict=True)]


def _summary(arguments: argparse.Namespace, pairs: Sequence[tuple[Pass, Pass]]) -> dict[str, object]:
    by_pass = [_shares(plain, cleaned) for plain, cleaned in pairs]
    medians = [statistics.median(shares) for shares in by_pass]
    return {
        "cost_share": round(statistics.median(share for shares in by_pass for share in shares), 4),
        "cost_share_low": round(min(medians), 4),
        "cost_share_high": round(max(medians), 4),
        "bar": BAR,
        "us_per_event_without": round(statistics.median(plain.us_per_event for plain, _ in pairs), 2),
        "us_per_event_with": round(statistics.median(cleaned.us_per_event for _, cleaned in pairs), 2),
        "rounds": len(pairs),
        "events": arguments.events,
        "outcomes_without": dict(pairs[0][0].outcomes),
        "outcomes_with": dict(pairs[0][1].outcomes),
        "machine": machine(),
    }


if __name__ == "__main__":
    main()
