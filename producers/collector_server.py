"""Running the collector: listen, serve until told to stop, then let what is under way end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from producers.acknowledged import DEFAULT_MOST_IN_FLIGHT, AcknowledgedPublisher
from producers.clock import Clock, SystemClock
from producers.collector import DEFAULT_MAX_BODY_BYTES, collector_app
from producers.errors import PortUnavailable
from producers.publisher import connect

_DRAIN_MARGIN_S: Final = 5.0


async def serve_collector(
    bootstrap: str,
    topic: str,
    host: str,
    port: int,
    *,
    client_settings: Mapping[str, str],
    ack_timeout_ms: int = 30_000,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    most_in_flight: int = DEFAULT_MOST_IN_FLIGHT,
    clock: Clock | None = None,
    listening: Callable[[str], None] = lambda _address: None,
) -> None:
    """Collect events until SIGINT or SIGTERM, then answer what is under way and return.

    ``listening`` is told the address once requests are taken. Raises `PublishError` when Kafka cannot
    be used at the start, and `PortUnavailable`.
    """
    timeouts = {"message.timeout.ms": str(ack_timeout_ms), "linger.ms": "5"}
    producer = connect(bootstrap, topic, {**client_settings, **timeouts})
    publisher = AcknowledgedPublisher(producer, topic, most_in_flight)
    app = collector_app(publisher, clock or SystemClock(), max_body_bytes)
    drain_s = ack_timeout_ms / 1_000 + _DRAIN_MARGIN_S
    # The access log would hold addresses and queries, which may be personal.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain_s)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortUnavailable(
                f"cannot listen on {host}:{port}: {error.strerror}; choose another with --collector-port"
            ) from error
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        host_there, port_there = runner.addresses[0][:2]
        listening(f"http://{host_there}:{port_there}")
        await stopped.wait()
    finally:
        await runner.cleanup()
        await publisher.close(drain_s)
