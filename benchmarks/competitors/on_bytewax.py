"""Bytewax with a window in its own state, with and without the model.

The window is kept by `stateful_map`; the model is called by `flat_map_batch`, which is there for that. There
is no recovery store, which is faster for it: a crash loses all windows. Run with Bytewax' own Python:
`on_bytewax.py KAFKA EVENTS OUT ARTIFACT (model|plain)`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

from benchmarks.competitors.same_gru import ROW_BYTES, SameGru, decode_json, encode_json, pushed

SOURCE_BATCH_EVENTS = 1_000


def main(kafka: str, events_topic: str, out_topic: str, artifact: str, how: str) -> None:
    model = SameGru(Path(artifact))

    def keyed(message: Any) -> tuple[str, tuple[str, Any]]:
        return message.key.decode(), (
            f"{message.partition}-{message.offset}",
            decode_json(message.value),
        )

    def keep(window: bytes | None, told: tuple[str, Any]) -> tuple[bytes, tuple[str, Any, bytes]]:
        prediction_id, event = told
        window = pushed(window, model.packed(event))
        return window, (prediction_id, event, window)

    def score(kept: list[tuple[str, tuple[str, Any, bytes]]]) -> list[KafkaSinkMessage[bytes, bytes]]:
        predictions = model.predictions([asked for _, asked in kept])
        return [
            KafkaSinkMessage(user.encode(), value) for (user, _), value in zip(kept, predictions, strict=True)
        ]

    flow = Dataflow("scoring")
    read = kop.input("events", flow, brokers=[kafka], topics=[events_topic], batch_size=SOURCE_BATCH_EVENTS)
    kept = op.stateful_map("window", op.map("decode", read.oks, keyed), keep)
    scored = op.flat_map_batch("score", kept, score) if how == "model" else op.map("plain", kept, _plain)
    kop.output("predictions", scored, brokers=[kafka], topic=out_topic, add_config={"linger.ms": "5"})
    run_main(flow)


def _plain(kept: tuple[str, tuple[str, Any, bytes]]) -> KafkaSinkMessage[bytes, bytes]:
    user, (prediction_id, _, window) = kept
    told = {
        "prediction_id": prediction_id,
        "user_id": user,
        "events_in_window": len(window) // ROW_BYTES,
    }
    return KafkaSinkMessage(user.encode(), encode_json(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
