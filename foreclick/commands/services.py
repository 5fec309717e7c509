from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from foreclick.command_settings import takes_settings
from foreclick.services import local_services, user_cache
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c

app = typer.Typer(no_args_is_help=True)
ALIVE_CHECK_S: Final = 0.5
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0 is any free one.")]


@app.command()
@takes_settings
def up(
    settings: Settings,
    data: Annotated[
        Path | None, typer.Option(help="Directory to keep the data in; else they go at the end.")
    ] = None,
    kafka_port: Port = 0,
    redis_port: Port = 0,
) -> None:
    """Start Kafka and Valkey here and keep them running until Ctrl-C.

    Prints their addresses as lines for a shell. A server whose address is set already is not started.
    The servers end with this command, however it ends.

    Examples:

        foreclick services up

        foreclick services up --data ./services --kafka-port 9092 --redis-port 6379
    """
    end_on_sigterm_as_on_ctrl_c()
    try:
        with local_services(
            data, settings, kafka_port=kafka_port, redis_port=redis_port, long_lived=True
        ) as running:
            if running.broker:
                typer.echo(f"export FORECLICK_KAFKA={running.kafka}")
            if running.valkey:
                typer.echo(f"export FORECLICK_REDIS={running.redis_url}")
            while running.started:
                running.require_alive()
                time.sleep(ALIVE_CHECK_S)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


@app.command()
@takes_settings
def fetch(settings: Settings) -> None:
    """Download what Kafka consists of, once; each file is checked against its pinned SHA-256.

    Examples:

        foreclick services fetch

        foreclick services fetch --cache-directory ./jars
    """
    from foreclick.services.downloads import fetch_jars  # its libraries take a second to load

    cache = settings.cache_directory or user_cache()
    fetch_jars(cache, lambda name: typer.echo(f"fetched {name}", err=True))
    typer.echo(f"Kafka is complete in {cache}", err=True)
