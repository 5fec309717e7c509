from __future__ import annotations

import asyncio
import ipaddress
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import SettingsError
from foreclick.settings import Settings, confluent_settings
from producers.acknowledged import DEFAULT_MOST_IN_FLIGHT
from producers.collector import DEFAULT_MAX_BODY_BYTES
from producers.collector_server import serve_collector


@takes_settings
def collect(
    settings: Settings,
    max_body_bytes: Annotated[
        int, typer.Option(min=1_024, help="Largest body of a request; a larger one gets 413.")
    ] = DEFAULT_MAX_BODY_BYTES,
    max_in_flight: Annotated[
        int, typer.Option(min=1, help="Most events waiting for the brokers; beyond, requests get 429.")
    ] = DEFAULT_MOST_IN_FLIGHT,
) -> None:
    """Accept events over HTTP and publish them; answer when the brokers have them.

    `POST /events` takes one event, an array, or an array under "events", in the names of the contract or of
    GA4, Segment or Snowplow. A request is taken whole or not at all. `GET /health` says whether Kafka
    answers. Listens on loopback unless `--collector-host` says otherwise. Ends on Ctrl-C or SIGTERM when
    all that is under way is answered.

    Examples:

        foreclick collect --kafka localhost:9092

        foreclick collect --kafka broker:9092 --collector-host 0.0.0.0 --collector-port 80

        curl -d @event.json -H 'Content-Type: application/json' http://127.0.0.1:8080/events
    """
    if not settings.kafka:
        raise SettingsError("no Kafka is named; give its address with --kafka or FORECLICK_KAFKA")
    if not _is_loopback(settings.collector_host):
        typer.echo("whoever reaches this address can publish events; put a gateway before it", err=True)
    serving = serve_collector(
        settings.kafka,
        settings.events_topic,
        settings.collector_host,
        settings.collector_port,
        client_settings=confluent_settings(settings),
        ack_timeout_ms=settings.publish_timeout_ms,
        max_body_bytes=max_body_bytes,
        most_in_flight=max_in_flight,
        listening=lambda address: typer.echo(f"collecting at {address}/events"),
    )
    asyncio.run(serving)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
