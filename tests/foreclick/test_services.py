"""Embedded services: that they answer, come back with their data, and never outlive whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from foreclick.errors import DownloadMissing, ForeignData, PortTaken, ServiceError
from foreclick.services import (
    KafkaBroker,
    ServiceProcess,
    Services,
    ValkeyServer,
    kafka_jars,
    local_services,
    user_cache,
)
from foreclick.services.downloads import fetch_jars
from foreclick.settings import Settings
from foreclick.topics import create_topics

NO_KAFKA = Settings(kafka="127.0.0.1:1")
VALKEY_ONLY = """
import sys
from foreclick.services import local_services
from foreclick.services.downloads import fetch_jars
from foreclick.settings import Settings
with local_services(settings=Settings(kafka="127.0.0.1:1")) as services:
    valkey = services.valkey
    print(valkey.pid, valkey.directory, flush=True)
    sys.stdin.read()
"""


def ask_redis(port: int, *words: str) -> str:
    """Send one command; Redis' inline form needs no client library."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(" ".join(words).encode() + b"\r\n")
        return connection.recv(4_096).decode()


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that runs a Valkey of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", VALKEY_ONLY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:  # at the end its input is closed, and it stops in order
        yield process


def started_by(parent: subprocess.Popen[str]) -> tuple[psutil.Process, Path]:
    assert parent.stdout is not None
    pid, directory = parent.stdout.readline().split()
    service = psutil.Process(int(pid))
    assert service.is_running()
    assert service.name().startswith("valkey")
    return service, Path(directory)


def test_both_answer_on_loopback() -> None:
    with local_services() as services:
        assert services.broker is not None
        assert services.valkey is not None
        assert services.broker.answers()
        assert ask_redis(services.valkey.port, "CONFIG GET maxmemory-policy").endswith("noeviction\r\n")
        assert ask_redis(services.valkey.port, "CONFIG GET appendonly").endswith("yes\r\n")
        require_loopback_only([services.broker, services.valkey])


def require_loopback_only(services: Sequence[ServiceProcess]) -> None:
    for service in services:
        listening = [
            connection.laddr.ip.removeprefix("::ffff:")
            for connection in psutil.Process(service.pid).net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert set(listening) == {"127.0.0.1"}


def test_servers_that_exist_are_used_instead() -> None:
    settings = Settings(kafka="broker:9092", redis="redis://store:6379/1")
    with local_services(settings=settings) as services:
        assert services == Services("broker:9092", "redis://store:6379/1", broker=None, valkey=None)


def test_killed_services_come_back_with_their_data_on_their_ports(tmp_path: Path) -> None:
    with local_services(tmp_path) as services:
        broker, valkey = services.broker, services.valkey
        assert broker is not None
        assert valkey is not None
        settings = Settings(kafka=services.kafka, partitions=1)
        create_topics(settings)
        producer = Producer({"bootstrap.servers": services.kafka, "acks": "all"})
        producer.produce(settings.events_topic, b"kept")
        assert producer.flush(20) == 0
        assert ask_redis(valkey.port, "SET window kept").startswith("+OK")

        ports = broker.port, valkey.port
        for service in (broker, valkey):
            service.kill()
            assert not service.running
            service.start()
        assert (broker.port, valkey.port) == ports

        assert ask_redis(valkey.port, "GET window") == "$4\r\nkept\r\n"
        consumer = Consumer({"bootstrap.servers": services.kafka, "group.id": "reader"})
        consumer.assign([TopicPartition(settings.events_topic, 0, 0)])
        record = consumer.poll(20)
        consumer.close()
        assert record is not None
        assert record.value() == b"kept"
        last_pids = broker.pid, valkey.pid
    assert not any(psutil.pid_exists(pid) for pid in last_pids)
    assert (tmp_path / "kafka" / "logs" / "meta.properties").exists()


def test_services_end_when_their_parent_is_killed(parent: subprocess.Popen[str]) -> None:
    service, directory = started_by(parent)
    parent.kill()
    service.wait(10)
    wait_until_gone(directory.parent)


def test_services_end_when_their_guard_is_killed(parent: subprocess.Popen[str]) -> None:
    service, _ = started_by(parent)
    guard = service.parent()
    assert guard is not None
    guard.kill()
    service.wait(10)


def test_services_end_with_their_parent_even_when_a_fork_holds_its_pipes(tmp_path: Path) -> None:
    program = VALKEY_ONLY.replace(
        "    sys.stdin.read()", "    import os\n    os.fork()\n    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as parent:  # fmt: skip
        service, _ = started_by(parent)
        parent.kill()
        service.wait(10)
        os.killpg(parent.pid, signal.SIGKILL)


def wait_until_gone(directory: Path) -> None:
    """The guard removes the temporary directories after the service's death."""
    deadline_s = time.monotonic() + 10
    while directory.exists() and time.monotonic() < deadline_s:
        os.sched_yield()
    assert not directory.exists()


def test_services_up_stops_in_order_on_sigterm() -> None:
    environment = {**os.environ, "FORECLICK_KAFKA": "127.0.0.1:1"}
    with subprocess.Popen(
        [sys.executable, "-m", "foreclick", "services", "up"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        line = command.stdout.readline()
        assert line.startswith("export FORECLICK_REDIS=redis://127.0.0.1:")
        services = psutil.Process(command.pid).children(recursive=True)
        command.terminate()
        _, said = command.communicate(timeout=20)
    assert command.returncode == 0
    assert said == "stopped\n"
    assert not any(service.is_running() for service in services)


def test_services_up_ends_with_an_error_when_a_server_dies() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "foreclick", "services", "up"],
        env={**os.environ, "FORECLICK_KAFKA": "127.0.0.1:1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as command:  # fmt: skip
        assert command.stdout is not None
        command.stdout.readline()
        for child in psutil.Process(command.pid).children(recursive=True):
            if child.name().startswith("valkey"):
                child.kill()
        _, said = command.communicate(timeout=20)
    assert command.returncode == 1
    assert said.startswith("foreclick: Valkey ended by itself: ")


def test_a_ctrl_c_in_the_terminal_reaches_the_parent_alone(parent: subprocess.Popen[str]) -> None:
    service, _ = started_by(parent)
    assert os.getsid(service.pid) != os.getsid(parent.pid)


def test_a_taken_port_is_named_with_the_cure(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(PortTaken, match=rf"port {port} .*Valkey, is taken.*--redis-port"),
            local_services(tmp_path, NO_KAFKA, redis_port=port),
        ):
            pass


def test_what_kafka_did_not_put_into_its_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs" / "holiday-photos").mkdir(parents=True)
    broker = KafkaBroker(tmp_path, 0, user_cache(), temporary=False)
    with pytest.raises(ForeignData, match=r"holiday-photos is no partition.*--data"):
        broker.start()
    (tmp_path / "logs" / "holiday-photos").rmdir()
    (tmp_path / "logs" / "notes.txt").touch()
    with pytest.raises(ForeignData, match="holds files, but not Kafka's"):
        broker.start()


def test_a_missing_or_damaged_download_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DownloadMissing, match="foreclick services fetch"):
        kafka_jars(tmp_path)
    (tmp_path / "kafka").mkdir()
    for jar in kafka_jars(user_cache()):
        (tmp_path / "kafka" / jar.name).symlink_to(jar)
    assert len(kafka_jars(tmp_path)) == 46
    damaged = tmp_path / "kafka" / "kafka-raft-4.1.0.jar"
    damaged.unlink()
    damaged.write_bytes(b"PK")
    with pytest.raises(DownloadMissing, match=r"kafka-raft-4\.1\.0\.jar is not the file"):
        kafka_jars(tmp_path)


def test_a_complete_cache_is_not_fetched_again() -> None:
    fetched: list[str] = []
    fetch_jars(user_cache(), fetched.append)
    assert fetched == []


def test_a_broken_store_gives_the_servers_own_words(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    manifest = tmp_path / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("this is no manifest\n", encoding="utf-8")
    valkey = ValkeyServer(tmp_path, 0, temporary=False)
    with pytest.raises(ServiceError, match=r"Valkey ended at its start: .*manifest.*service\.log"):
        valkey.start()
    assert not valkey.running
