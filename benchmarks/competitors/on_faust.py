"""Stock Faust with the model: the naive way, and with windows in Redis and the model called on batches.

It runs in foreclick's own environment, since both stand on the same release of Faust; nothing of foreclick
is imported. `on_faust.py KAFKA EVENTS OUT ARTIFACT (naive|redis) [REDIS]`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections import defaultdict, deque
from pathlib import Path
from typing import Any

import faust
import numpy as np
import redis.asyncio as redis

from benchmarks.competitors.same_gru import (
    ROW_DTYPE,
    WINDOW,
    SameGru,
    decode_json,
    pushed,
)

TAKEN_EVENTS = 1_024
# `take` waits for this long when fewer are there; a backlog is taken at once, as fast as Faust hands it out.
TAKEN_WITHIN_S = 0.25


def naive(events: Any, out: Any, app: Any, artifact: Path) -> None:
    """One agent, a dictionary of windows, and `model.predict` for each event."""
    import keras

    keras_model = keras.saving.load_model(artifact / "model.keras", compile=False)
    model = SameGru(artifact)
    numbers = keras_model.input["numeric"].shape[-1]
    windows: dict[str, deque[bytes]] = defaultdict(lambda: deque(maxlen=WINDOW))

    @app.agent(events)  # type: ignore[untyped-decorator]
    async def score(stream: Any) -> None:
        async for message in stream.events():
            event = decode_json(message.value)
            window = windows[event["user_id"]]
            window.append(model.packed(event))
            rows = np.frombuffer(b"".join(window), ROW_DTYPE)
            read = {
                "item": rows["item"][None],
                "event_type": rows["type"][None],
                "category": rows["category"][None],
                "numeric": np.zeros((1, len(rows), numbers), np.float32),
            }
            said = keras_model.predict(read, verbose=0)
            prediction = model.rendered(
                [(event["event_id"], event)],
                said["next_action"][:, -1],
                model.churn(said["hazard"][:, -1]),
                *model.best(said["query"][:, -1]),
            )
            await out.send(key=event["user_id"].encode(), value=prediction[0])


def with_redis(events: Any, out: Any, app: Any, artifact: Path, address: str) -> None:
    """`take` a batch, MGET its windows, run the model on all of it, MSET, and send."""
    model = SameGru(artifact)
    store: Any = redis.Redis.from_url(address)

    @app.agent(events)  # type: ignore[untyped-decorator]
    async def score(stream: Any) -> None:
        async for taken in stream.take(TAKEN_EVENTS, within=TAKEN_WITHIN_S):
            told = [decode_json(value) for value in taken]
            users = list(dict.fromkeys(f"stock:{event['user_id']}" for event in told))
            windows = dict(zip(users, await store.mget(users), strict=True))
            asked = []
            for event in told:
                user = f"stock:{event['user_id']}"
                windows[user] = pushed(windows[user], model.packed(event))
                asked.append((event["event_id"], event, windows[user]))
            predictions = model.predictions(asked)
            await store.mset(windows)
            sent = [
                await out.send(key=event["user_id"].encode(), value=value)
                for event, value in zip(told, predictions, strict=True)
            ]
            await asyncio.gather(*sent)


def main(kafka: str, events_topic: str, out_topic: str, artifact: str, how: str, redis_url: str = "") -> None:
    app = faust.App(
        out_topic,
        broker=f"kafka://{kafka}",
        datadir=tempfile.mkdtemp(prefix="faust-", dir=str(Path.cwd())),
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.005,
        stream_wait_empty=False,
        key_serializer="raw",
        value_serializer="raw",
    )
    events = app.topic(events_topic, value_serializer="raw", key_serializer="raw")
    out = app.topic(out_topic, value_serializer="raw", key_serializer="raw")
    if how == "naive":
        naive(events, out, app, Path(artifact))
    else:
        with_redis(events, out, app, Path(artifact), redis_url)
    logging.basicConfig(level=logging.WARNING)
    faust.Worker(app, override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(*sys.argv[1:])
