"""The log that a round streams, with its own faults, and two models to promote in turn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from model_store.artifacts import ModelStore
from model_store.encoder import Encoder
from model_store.item_index import ExactIndex, save_item_index
from model_store.networks.specifying import specify
from model_store.specification import save_network
from model_store.windows import category_fingerprint, item_fingerprint, pack_row, rows_of
from producers.events import Event
from producers.simulator.shop import Shop

START_MS: Final = 1_704_067_200_000  # 2024-01-01T00:00:00Z, the past on any right clock
MODEL_NAME: Final = "gru"
USERS: Final = 400
_DAY_MS: Final = 86_400_000
_REPEAT_EVERY: Final = 41
_LATE_EVERY: Final = 97
_TOO_LATE_EVERY: Final = 211
_LATE_MS: Final = 3 * 3_600_000
_SAMPLE: Final = 5_000
UNITS: Final = 16
_WINDOW: Final = 20


def shop_events(seed: int, count: int) -> Iterator[Event]:
    """Yield ``count`` events of a small shop, some of them repeated, late, or later than allowed."""
    for number, event in enumerate(islice(_shop(seed).events(START_MS), count), start=1):
        if number % _LATE_EVERY == 0:
            yield _earlier(event, _LATE_MS)
        elif number % _TOO_LATE_EVERY == 0:
            yield _earlier(event, 3 * _DAY_MS)
        else:
            yield event
        if number % _REPEAT_EVERY == 0:
            yield event


def write_log(path: Path, seed: int, count: int) -> int:
    """Write the log as JSON lines; return how many."""
    lines = 0
    with path.open("wb") as file:
        for event in shop_events(seed, count):
            file.write(msgspec.json.encode(event) + b"\n")
            lines += 1
    return lines


def write_models(root: Path, seed: int, versions: int = 2) -> list[str]:
    """Write ``versions`` of a recurrent network with random weights, promote the first, return them all.

    What a model has learned makes no difference to what is lost.
    """
    events = list(islice(_shop(seed).events(START_MS), _SAMPLE))
    encoder = Encoder.fit(
        rows_of([pack_row(event) for event in events]),
        {item_fingerprint(event.item_id): event.item_id for event in events if event.item_id is not None},
        {category_fingerprint(event.category): event.category for event in events if event.category},
        min_count=2,
        timed=True,
    )
    store = ModelStore(root)
    written = [_write_model(store, encoder, seed + number) for number in range(versions)]
    store.promote(MODEL_NAME, written[0])
    return written


def _write_model(store: ModelStore, encoder: Encoder, seed: int) -> str:
    specification = specify(
        encoder,
        network="gru",
        units=UNITS,
        item_dimensions=UNITS,
        window_size=_WINDOW,
        churn_horizon_ms=7 * _DAY_MS,
    )
    random = np.random.default_rng(seed)
    weights = {
        name: random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in specification.weight_shapes().items()
    }
    weights["item_vectors"] /= np.linalg.norm(weights["item_vectors"], axis=1, keepdims=True)
    with store.writing(MODEL_NAME) as writing:
        encoder.save(writing.directory)
        save_network(writing.directory, specification, weights)
        save_item_index(writing.directory, ExactIndex(weights["item_vectors"]))
    return writing.version


def _shop(seed: int) -> Shop:
    return Shop(seed, USERS, items=500)


def _earlier(event: Event, by_ms: int) -> Event:
    return msgspec.structs.replace(event, event_time_ms=event.event_time_ms - by_ms)
