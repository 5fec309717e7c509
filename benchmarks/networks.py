"""What scoring an event costs with each network: windows, network, heads, next items and rendering.

The worker's own scoring, without Kafka and Redis around it. Users' windows fill and overflow by the window
rule. The CPU time is that of the process, so TensorFlow's threads count. The models are untrained.

    python -m benchmarks.networks
    python -m benchmarks.networks --events 4000 --networks gru transformer --batch 512
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.support.artifact import write_model
from benchmarks.support.machine import machine
from benchmarks.support.workload import START_MS, Workload
from model_store.serving import ServedModel
from model_store.specification import NETWORKS
from producers.events import Event
from streamer.memory import Slot
from streamer.profile import Profile
from streamer.records import DecodedBatch, KeyedEvent, SourcePartition, SourceRecord
from streamer.reload import load_champion
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoringSettings, score_group

SOURCE = SourcePartition("benchmark", 0)
SCORING = ScoringSettings(86_400_000, RenderingSettings(10, 0.8))
EVENTS_ALONE = 300


@dataclass(frozen=True)
class Sent:
    """An event's record, as far as scoring looks at it."""

    offset: int
    timestamp: int = START_MS
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def main() -> None:
    """Measure each network, and print one JSON line."""
    arguments = _arguments()
    events = list(Workload(arguments.events, arguments.events // (2 * arguments.window), arguments.items))
    measured = {}
    with threadpool_limits(limits=1):
        for network in arguments.networks:
            measured[network] = _measured(network, events, arguments)
            print(network, measured[network], file=sys.stderr)
    print(json.dumps({"machine": machine(), "arguments": vars(arguments), "networks": measured}))


def _measured(network: str, events: list[Event], arguments: argparse.Namespace) -> dict[str, float]:
    """Return the CPU time of an event in batches and alone, and the bytes that a user's record takes."""
    workload = Workload(arguments.events, 1, arguments.items)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        write_model(root, workload, units=arguments.units, window_size=arguments.window, network=network)
        model = load_champion(root, "gru", "champion")
    users = {event.user_id.encode(): Slot() for event in events}
    half = len(events) // 2  # fills the windows
    _score(model, events[:half], 0, arguments.batch, users)
    spent_s = _score(model, events[half:], half, arguments.batch, users)
    alone_s = _score(model, events[-EVENTS_ALONE:], len(events), 1, {user: Slot() for user in users})
    return {
        "us_per_event": round(spent_s * 1e6 / (len(events) - half), 1),
        "us_per_event_alone": round(alone_s * 1e6 / EVENTS_ALONE, 1),
        "state_bytes": 4 * model.state_units,
    }


def _score(
    model: ServedModel, events: list[Event], first_offset: int, batch: int, users: dict[bytes, Slot]
) -> float:
    """Score ``events`` in batches of ``batch``, and return the CPU seconds that it took."""
    begun_s = time.process_time()
    for start in range(0, len(events), batch):
        keyed: list[KeyedEvent] = []
        for place, event in enumerate(events[start : start + batch]):
            record: SourceRecord = Sent(first_offset + start + place)
            keyed.append((event.user_id.encode(), record, event))
        decoded = DecodedBatch(SOURCE, first_offset + start + len(keyed), keyed)
        score_group(model, [(decoded, users)], SCORING, START_MS, Profile())
    return time.process_time() - begun_s


def _arguments() -> argparse.Namespace:
    assert __doc__ is not None
    description, _, examples = __doc__.partition("\n\n    ")
    parser = argparse.ArgumentParser(
        description=description,
        epilog="    " + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--events", type=int, default=20_000, help="events, the first half to fill windows")
    parser.add_argument("--items", type=int, default=10_000, help="items in the catalogue")
    parser.add_argument("--units", type=int, default=64, help="units of the network")
    parser.add_argument("--window", type=int, default=20, help="most events in a window")
    parser.add_argument("--batch", type=int, default=512, help="events scored together")
    return parser.parse_args()


if __name__ == "__main__":
    main()
