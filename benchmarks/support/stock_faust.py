"""A Faust app as its own documentation shows it, that does nothing with an event but count it.

Run as `python -m benchmarks.support.stock_faust KAFKA TOPIC EVENTS`; prints events/s as its last line.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from typing import Any

import faust


def main(bootstrap: str, topic: str, wanted: int) -> None:
    """Read ``wanted`` events and leave."""
    app = faust.App(
        f"stock-{os.getpid()}",
        broker=f"kafka://{bootstrap}",
        datadir=tempfile.mkdtemp(prefix="stock-faust-"),
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    events = app.topic(topic, value_serializer="json")

    @app.agent(events)
    async def count(stream: Any) -> None:
        seen, start_s = 0, 0.0
        async for _ in stream:
            if not seen:
                start_s = time.perf_counter()
            seen += 1
            if seen == wanted:
                print((wanted - 1) / (time.perf_counter() - start_s), flush=True)
                os._exit(0)

    logging.basicConfig(level=logging.WARNING)
    faust.Worker(app, override_logging=False, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
