"""A worker's process: the app, whose agent feeds fetched batches to the pipeline, until told to stop."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import faust
import uvloop
from threadpoolctl import threadpool_limits

from streamer.app import StreamerApp
from streamer.config import WorkerConfig
from streamer.exits import exit_code
from streamer.process import collect_rarely, let_threads_take_turns, log_to_stderr
from streamer.reload import load_champion
from streamer.topics import topic_ids
from streamer.transport_schema import FetchedBatches
from streamer.web import listen


def build_app(config: WorkerConfig) -> StreamerApp:
    """Return the app whose agent feeds what is fetched to the pipeline.

    Blocks while it asks the brokers for the topics and loads the model. Raises `StreamerError` when
    a topic or the model is missing, or the port of the metrics is taken.
    """
    names = (
        config.events_topic,
        config.predictions_topic,
        config.dead_letters_topic,
        config.ledger_topic,
    )
    ids = topic_ids(config.kafka, config.kafka_security, names)
    model = load_champion(
        config.model_store, config.model_name, config.model_alias, exact=config.exact_search
    )
    app = StreamerApp(config, ids[config.events_topic], model, listen(config.web_port))
    events = app.topic(config.events_topic, schema=FetchedBatches())

    @app.agent(events, name="score")
    async def score(stream: Any) -> None:
        async for fetch in stream.noack():
            app.pipeline.submit(fetch, app.finish)

    return app


def run_worker(config: WorkerConfig) -> None:
    """Run a worker until it is told to stop (SIGTERM, Ctrl-C), and exit the process: 0 when it was told to.

    Else the code is `streamer.exits.exit_code` of the reason. Raises `StreamerError` when it cannot start.
    """
    log_to_stderr(config.log_level)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = build_app(config)
    # More threads only fight for the cores that Kafka, Redis and the event loop need.
    threadpool_limits(limits=1)
    collect_rarely()
    let_threads_take_turns()
    worker = faust.Worker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None  # standard output is the profile's
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        reason = app.crash_reason or worker.crash_reason or ended.__context__
        if not ended.code or reason is None:
            raise
        app.tell_why(reason)
        sys.exit(exit_code(reason))
