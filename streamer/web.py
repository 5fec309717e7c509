"""A worker's health and metrics over HTTP: on loopback only, and without any user id."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.errors import PortTaken
from streamer.step_times import StepTimes
from streamer.tally import Tally

logger = logging.getLogger(__name__)

Lags = Callable[[], Mapping[int, int | None]]


class Status(Protocol):
    """What a worker says of itself."""

    def lags(self) -> Mapping[int, int | None]:
        """Return the owned partitions, and how many offsets of each lie behind what is written, if known."""

    def trouble(self) -> str | None:
        """Return what will end the worker if it goes on; None while all is well."""

    async def unready(self) -> str | None:
        """Return why no prediction may be expected of this worker now; None when it is ready."""

    def notice(self) -> str | None:
        """Return what an operator should know, though the worker works; None for nothing."""


HOST: Final = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on loopback; 0 is any free port. Raises `PortTaken`."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise PortTaken(
            f"cannot listen on {HOST}:{port} ({error.strerror}); give another --web-port, or 0 for any"
        ) from error


@asynccontextmanager
async def serving(
    tally: Tally, times: StepTimes, status: Status, listener: socket.socket
) -> AsyncIterator[None]:
    """Answer requests on ``listener`` while the block runs, then close it. See `worker_web`."""
    runner = web.AppRunner(worker_web(tally, times, status), access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        logger.info("serves /health, /ready and /metrics on http://%s:%d", *listener.getsockname())
        yield
    finally:
        await runner.cleanup()


def worker_web(tally: Tally, times: StepTimes, status: Status) -> web.Application:
    """Return the application that tells of one worker.

    `GET /health` answers 200 while the event loop turns and nothing is about to end the worker, else 503;
    `GET /ready` 200 while predictions may be expected, else 503; both name the reason, and ready a notice of
    what is wrong though the worker works. `GET /metrics` is what
    `WorkerCollector` counts, as Prometheus reads it; steps are timed from the first such request on.
    """
    registry = CollectorRegistry()
    registry.register(WorkerCollector(tally, times, status.lags))

    async def health(_: web.Request) -> web.Response:
        trouble = status.trouble()
        said = {"alive": True} if trouble is None else {"alive": True, "trouble": trouble}
        return web.json_response(said, status=200 if trouble is None else 503)

    async def ready(_: web.Request) -> web.Response:
        reason = await status.unready()
        owned = sorted(status.lags())
        told = {"reason": reason, "notice": status.notice()}
        said = {"partitions": owned} | {name: text for name, text in told.items() if text is not None}
        return web.json_response(said, status=200 if reason is None else 503)

    async def metrics(_: web.Request) -> web.Response:
        times.counting = True
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app


class WorkerCollector(Collector):
    """Reads a worker's counts when Prometheus asks: of all that was written since the worker's start."""

    def __init__(self, tally: Tally, times: StepTimes, lags: Lags) -> None:
        self._tally = tally
        self._times = times
        self._lags = lags

    def collect(self) -> Iterator[Metric]:
        """Yield the counters, and a lag for each owned partition whose lag is known."""
        tally = self._tally
        yield CounterMetricFamily(
            "foreclick_predictions", "Predictions published and written", value=tally.predictions
        )
        yield CounterMetricFamily(
            "foreclick_duplicate_events",
            "Events whose id stood in their user's window",
            tally.duplicate_events,
        )
        yield CounterMetricFamily(
            "foreclick_partial_predictions",
            "Predictions for users whose history could not be rebuilt whole",
            tally.partial_predictions,
        )
        yield CounterMetricFamily(
            "foreclick_rebuilt_events",
            "Events that only brought lost states forward, as they were published before",
            tally.rebuilt_events,
        )
        dead_letters = CounterMetricFamily(
            "foreclick_dead_letters", "Records that got no prediction", labels=["reason"]
        )
        for reason, count in sorted(tally.dead_letters.items()):
            dead_letters.add_metric([reason], count)
        yield dead_letters
        lags = self._lags()
        yield GaugeMetricFamily("foreclick_owned_partitions", "Partitions that this worker owns", len(lags))
        lag = GaugeMetricFamily(
            "foreclick_lag_offsets",
            "Offsets between what is written and a partition's end",
            labels=["partition"],
        )
        for partition, offsets in sorted(lags.items()):
            if offsets is not None:
                lag.add_metric([str(partition)], offsets)
        yield lag
        steps = HistogramMetricFamily(
            "foreclick_step_seconds", "How long a batch's steps took, waiting included", labels=["step"]
        )
        for step in sorted(self._times.counts):
            steps.add_metric([step], self._times.buckets(step), self._times.sums_s[step])
        yield steps
