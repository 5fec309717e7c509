"""The bench's own Kafka and Valkey, each reachable directly and, for each worker, through a proxy."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import redis
from confluent_kafka.admin import AdminClient
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.support.faults.proxy import Network, Proxy
from foreclick.services import KafkaBroker, ValkeyServer, user_cache
from foreclick.services.kafka import LOG_ALERTS_ONLY
from foreclick.services.process import LOOPBACK, free_port
from foreclick.settings_sources import load_settings

_ANSWER_TIMEOUT_S: Final = 2.0
_ADMIN_TIMEOUT_S: Final = 30.0
_DATA: Final = "appendonlydir"
_MANIFEST: Final = "appendonly.aof.manifest"


class ProxiedBroker(KafkaBroker):
    """A broker with one more listener for each proxy, advertised at the proxy's own port.

    Without that a client would learn the broker's real port from its metadata, and go around the proxy.
    """

    def __init__(self, directory: Path, cache_directory: Path, network: Network, proxies: int) -> None:
        super().__init__(directory, 0, cache_directory, temporary=True)
        self.proxies = [Proxy(network, free_port()) for _ in range(proxies)]

    def command(self) -> Sequence[str]:
        """Give the broker's command, with the listeners added to its properties."""
        command = super().command()
        properties = self.directory / "server.properties"
        lines = properties.read_text(encoding="utf-8").splitlines()
        names = [f"PROXY{number}" for number in range(len(self.proxies))]
        added = {
            "listeners=": [
                f"{n}://{LOOPBACK}:{p.target_port}" for n, p in zip(names, self.proxies, strict=True)
            ],
            "advertised.listeners=": [f"{n}://{p.address}" for n, p in zip(names, self.proxies, strict=True)],
            "listener.security.protocol.map=": [f"{n}:PLAINTEXT" for n in names],
        }
        for place, line in enumerate(lines):
            for start, more in added.items():
                if line.startswith(start):
                    lines[place] = ",".join([line, *more])
        properties.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return command


class Redis(ValkeyServer):
    """A Valkey with one proxy for each worker, and a copy of its data from a moment ago."""

    def __init__(self, directory: Path, network: Network, proxies: int) -> None:
        super().__init__(directory, 0, temporary=True)
        self.proxies = [Proxy(network, self.port) for _ in range(proxies)]

    def client(self, timeout_s: float = _ANSWER_TIMEOUT_S) -> redis.Redis:
        """Return a client of its own for the bench, which goes around the proxies."""
        return redis.Redis(
            port=self.port,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )

    def copy_data(self, place: Path) -> None:
        """Copy the append-only file as it stands; again, where the server rewrote it meanwhile."""
        data = self.directory / _DATA
        while True:
            before = (data / _MANIFEST).read_bytes()
            shutil.rmtree(place, ignore_errors=True)
            try:
                shutil.copytree(data, place)
            except shutil.Error:
                continue
            if (data / _MANIFEST).read_bytes() == before:
                return

    def replace_data(self, place: Path) -> None:
        """Put the copy at ``place`` where the server's data are; the server must be down."""
        shutil.rmtree(self.directory / _DATA)
        shutil.copytree(place, self.directory / _DATA)


class Servers:
    """Kafka and Redis, running, with ``slots`` proxies each."""

    def __init__(self, directory: Path, network: Network, slots: int) -> None:
        cache = load_settings({}, os.environ).cache_directory or user_cache()
        self.broker = ProxiedBroker(directory / "kafka", cache, network, slots)
        self.redis = Redis(directory / "valkey", network, slots)

    def delete_topics(self, prefix: str) -> None:
        """Delete what a round made, so that the broker has no more to recover at its next start.

        ``prefix`` is the round's; those of its undisturbed runs go on behind a hyphen.
        """
        admin = AdminClient({"bootstrap.servers": self.broker.address, "log_level": LOG_ALERTS_ONLY})
        found = admin.list_topics(timeout=_ADMIN_TIMEOUT_S).topics
        own = [name for name in found if name.startswith((f"{prefix}.", f"{prefix}-"))]
        for deleted in admin.delete_topics(own).values():
            deleted.result()


@contextmanager
def running_servers(directory: Path, slots: int) -> Iterator[Servers]:
    """Start both servers behind their proxies; kill them at the end."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        servers = Servers(directory, network, slots)
        for server in (servers.broker, servers.redis):
            stack.callback(server.kill)
            server.start()
        yield servers


def wait_until(holds: Callable[[], object], patience_s: float, what: str) -> None:
    """Return once ``holds()`` is true. Raises TimeoutError, which says ``what``, after ``patience_s``."""
    deadline_s = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        time.sleep(0.02)
