"""Scores two made-up events with every part of a model, so that its first event is not its slowest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from model_store.serving import ServedModel
from producers.events import Event, EventType
from streamer.memory import Slot
from streamer.profile import Profile
from streamer.record_batches import record_batches
from streamer.records import DecodedBatch, SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoringSettings, score_group

_WARMING_MS: Final = 2**40
_MANY_BYTES: Final = 2**20


@dataclass(frozen=True)
class _WarmingRecord:
    """A record that came from nowhere."""

    offset: int = 0
    timestamp: int = _WARMING_MS
    key: bytes | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


def warm(model: ServedModel) -> None:
    """Score two events of one user with every part of ``model``.

    What was never compiled on this machine is compiled here.
    """
    settings = ScoringSettings(0, RenderingSettings(next_items_count=1, churn_alert_level=0.5))
    slot = Slot()
    for number in range(2):
        event = Event(
            event_id=f"warm-{number}",
            user_id="warm",
            event_type=EventType.VIEW,
            event_time_ms=_WARMING_MS + number,
            item_id="warm",
        )
        batch = DecodedBatch(SourcePartition("warm", 0), number + 1)
        batch.events.append((b"warm", _WarmingRecord(number), event))
        for scored in score_group(model, [(batch, {b"warm": slot})], settings, _WARMING_MS, Profile()):
            record_batches(scored.predictions, _WARMING_MS, _MANY_BYTES)
