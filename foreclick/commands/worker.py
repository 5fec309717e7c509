"""`foreclick worker`: score events as they come."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.settings import Settings, confluent_settings
from foreclick.worker_settings import worker_config


@takes_settings
def worker(
    settings: Settings,
    profile: Annotated[
        bool, typer.Option("--profile", help="At the end, print microseconds of CPU per event by step.")
    ] = False,
    instance: Annotated[
        str, typer.Option("--instance", help="Short for --worker-instance: a fixed name, for quick restarts.")
    ] = "",
) -> None:
    """Score every event of the events topic and publish the predictions, until Ctrl-C or SIGTERM.

    Examples:

        foreclick worker --kafka 127.0.0.1:9092 --redis redis://127.0.0.1:6379/0

        FORECLICK_KAFKA=broker:9092 FORECLICK_REDIS=redis://cache:6379/0 foreclick worker --profile
    """
    from streamer.worker import run_worker

    settings = replace(settings, worker_instance=instance or settings.worker_instance)
    config = worker_config(settings, confluent_settings(settings), profile=profile)
    run_worker(config)
