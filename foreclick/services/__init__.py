"""Kafka and Valkey as child processes, which never outlive the process that started them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from foreclick.services.jars import kafka_jars, user_cache
from foreclick.services.kafka import KafkaBroker
from foreclick.services.process import ServiceProcess
from foreclick.services.valkey import ValkeyServer
from foreclick.settings import Settings
from foreclick.settings_sources import load_settings

__all__ = [
    "KafkaBroker", "ServiceProcess", "Services", "ValkeyServer", "kafka_jars", "local_services",
    "user_cache",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses of Kafka and Redis. ``broker`` and ``valkey`` are None where a server that exists is used."""

    kafka: str
    redis_url: str
    broker: KafkaBroker | None
    valkey: ValkeyServer | None

    @property
    def started(self) -> list[ServiceProcess]:
        """The services that were started here."""
        return [service for service in (self.broker, self.valkey) if service is not None]

    def require_alive(self) -> None:
        """Raise `ServiceError` when a service that was started here has ended by itself."""
        for service in self.started:
            if not service.running:
                raise service.end_error("ended by itself")


@contextmanager
def local_services(
    data_directory: Path | None = None,
    settings: Settings | None = None,
    *,
    kafka_port: int = 0,
    redis_port: int = 0,
    long_lived: bool = False,
) -> Iterator[Services]:
    """Start the services that the settings name no address for, and stop them at the end.

    ``settings`` are read from the environment when not given, so ``FORECLICK_KAFKA`` and
    ``FORECLICK_REDIS`` win over embedded services. Data are kept in ``data_directory``, or in a temporary
    directory that is removed. A port of 0 is any free one. ``long_lived`` ones need more for a start, and
    less after some minutes of load. Raises `ServiceError` when a service does not start; the other is
    stopped then.
    """
    settings = settings or load_settings({}, os.environ)
    with ExitStack() as stack:
        place = data_directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foreclick-")))
        temporary = data_directory is None
        cache = settings.cache_directory or user_cache()
        broker = valkey = None
        if not settings.kafka:
            broker = KafkaBroker(
                place.absolute() / "kafka", kafka_port, cache, temporary=temporary, long_lived=long_lived
            )
        if not settings.redis:
            valkey = ValkeyServer(place.absolute() / "valkey", redis_port, temporary=temporary)
        _start([service for service in (broker, valkey) if service], stack, temporary=temporary)
        yield Services(
            kafka=broker.address if broker else settings.kafka,
            redis_url=valkey.url if valkey else settings.redis,
            broker=broker,
            valkey=valkey,
        )


def _start(services: list[ServiceProcess], stack: ExitStack, *, temporary: bool) -> None:
    """Start all at once; the first error is raised when each has started or failed."""
    for service in services:
        stack.callback(service.kill if temporary else service.stop)
    with ThreadPoolExecutor(max(1, len(services))) as pool:
        for started in [pool.submit(service.start) for service in services]:
            started.result()
