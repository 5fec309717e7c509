"""Every setting of foreclick, once: its name, type, default, unit and meaning.

A field of `Settings` is all there is to a setting. Its command-line option, its environment variable,
its key in a TOML file and its row in `docs/settings.md` are made from it. `settings_sources.load_settings`
fills one from those sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producers.topic_names import TopicNames

DAY_MS = 24 * 3_600_000


def _setting(
    default: object,
    text: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Describe one setting. A secret is never shown, nor taken from the command line."""
    about = {
        "help": text,
        "unit": unit,
        "least": least,
        "most": most,
        "choices": choices,
        "secret": secret,
    }
    return field(default=default, repr=not secret, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(TopicNames):
    """The settings of one run. All have defaults; an empty text means "not given"."""

    # Servers
    kafka: str = _setting("", "Kafka's bootstrap addresses, host:port,…; empty starts an embedded broker")
    redis: str = _setting("", "URL of the Redis-protocol server; empty starts an embedded Valkey")
    redis_topology: str = _setting(
        "single",
        "what stands at that URL: one server, or any node of a cluster",
        choices=("single", "cluster"),
    )
    redis_password: str = _setting("", "password of the Redis-protocol server", secret=True)
    redis_tls_ca_location: Path | None = _setting(
        None, "CA certificates (PEM) that a rediss:// server is held to"
    )
    redis_tls_certificate_location: Path | None = _setting(
        None, "client certificate (PEM) shown to a rediss:// server"
    )
    redis_tls_key_location: Path | None = _setting(None, "private key (PEM) of that client certificate")
    kafka_security_protocol: str = _setting(
        "PLAINTEXT", "how clients speak to Kafka", choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
    )
    kafka_sasl_mechanism: str = _setting(
        "SCRAM-SHA-512", "how clients log in, with SASL", choices=("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
    )
    kafka_sasl_username: str = _setting("", "user name of the clients, with SASL")
    kafka_sasl_password: str = _setting("", "password of the clients, with SASL", secret=True)
    kafka_ssl_ca_location: Path | None = _setting(None, "CA certificates (PEM) that the brokers are held to")
    kafka_ssl_certificate_location: Path | None = _setting(
        None, "client certificate (PEM) shown to the brokers"
    )
    kafka_ssl_key_location: Path | None = _setting(None, "private key (PEM) of that client certificate")
    kafka_ssl_key_password: str = _setting("", "password of that private key", secret=True)

    # Topics
    topic_prefix: str = _setting("clickstream", "what the names of all topics begin with")
    partitions: int = _setting(6, "partitions of each topic; workers share them", least=1, most=10_000)
    replication_factor: int = _setting(
        -1, "copies of each partition; -1 is the brokers' default", least=-1, most=100
    )
    retention_ms: int = _setting(
        7 * DAY_MS, "how long events and predictions are kept", unit="ms", least=60_000
    )
    dead_letter_retention_ms: int = _setting(
        30 * DAY_MS, "how long dead letters are kept", unit="ms", least=60_000
    )
    event_max_bytes: int = _setting(
        1_048_588, "largest record batch of the events topic", unit="bytes", least=1_024, most=100_000_000
    )
    dead_letter_max_bytes: int = _setting(
        2_097_152,
        "largest record batch of the dead-letter topic; more than an event's, as reasons are added",
        unit="bytes",
        least=2_048,
        most=100_000_000,
    )

    # Models and predictions
    model_store: Path = _setting(Path("models"), "directory that holds the trained models")
    model_name: str = _setting("gru", "model to train or serve")
    model_alias: str = _setting("champion", "alias of the version to serve")
    reload_interval_ms: int = _setting(
        1_000, "how often a worker looks for a promoted model", unit="ms", least=50
    )
    window_size: int = _setting(20, "most events kept for a user", unit="events", least=2, most=1_000)
    next_items_count: int = _setting(10, "items in a prediction", unit="items", least=0, most=1_000)
    next_items_search: str = _setting(
        "index", "how next items are found: by the model's index, or all compared", choices=("index", "exact")
    )
    next_items_exclude: str = _setting(
        "nothing",
        "items that are no next items: those bought in the last 20 events of the user's window, or none",
        choices=("nothing", "purchased"),
    )
    churn_alert_level: float = _setting(0.8, "churn probability that is worth an alert", least=0.0, most=1.0)
    allowed_lateness_ms: int = _setting(
        DAY_MS, "how much older than the user's newest event an event may be", unit="ms", least=0
    )
    state_ttl_ms: int = _setting(
        30 * DAY_MS, "how long a silent user's state is kept", unit="ms", least=60_000
    )

    # Worker
    consumer_group: str = _setting("foreclick-streamer", "consumer group that the workers share")
    redis_prefix: str = _setting("fc", "what the names of all Redis keys begin with")
    max_batch_events: int = _setting(
        8_192, "most events scored at once", unit="events", least=1, most=100_000
    )
    max_fetches_in_flight: int = _setting(
        3,
        "fetches under way in a worker, behind which it fetches no more; of small ones one",
        unit="fetches",
        least=1,
    )
    max_events_in_flight: int = _setting(
        24_576, "events under way in a worker, behind which it fetches no more", unit="events", least=1
    )
    fetch_max_bytes: int = _setting(
        1_048_576, "most bytes fetched from a partition at once", unit="bytes", least=1_024, most=100_000_000
    )
    publish_timeout_ms: int = _setting(
        30_000, "how long the brokers' acks are waited for", unit="ms", least=100
    )
    redis_timeout_ms: int = _setting(5_000, "how long an answer of Redis is waited for", unit="ms", least=10)
    session_timeout_ms: int = _setting(
        6_000, "silence after which Kafka gives a worker's partitions to another", unit="ms", least=6_000
    )
    heartbeat_interval_ms: int = _setting(2_000, "time between a worker's heartbeats", unit="ms", least=100)
    worker_instance: str = _setting(
        "", "fixed name of this worker in its consumer group, each its own, for restarts without a rebalance"
    )
    stall_limit_ms: int = _setting(
        120_000,
        "how long a worker goes on without progress, Redis or the brokers before it ends with an error",
        unit="ms",
        least=1_000,
    )
    drain_timeout_ms: int = _setting(
        5_000, "how long a worker that is told to stop may finish what it has begun", unit="ms", least=0
    )
    web_port: int = _setting(
        0, "loopback port of a worker's health and metrics; 0 is any free one, logged", least=0, most=65_535
    )
    log_level: str = _setting(
        "INFO", "least level that is logged", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )

    # Collector and embedded services
    collector_host: str = _setting("127.0.0.1", "address that the collector listens on")
    collector_port: int = _setting(
        8_080, "port that the collector listens on; 0 is any free one", least=0, most=65_535
    )
    cache_directory: Path | None = _setting(
        None, "where Kafka's jars are kept; empty is `foreclick` in the user's cache directory"
    )


def confluent_settings(settings: Settings) -> dict[str, str]:
    """Give librdkafka's security settings, without the bootstrap address; empty without TLS and SASL."""
    given: dict[str, object] = {}
    if settings.kafka_security_protocol != "PLAINTEXT":
        given["security.protocol"] = settings.kafka_security_protocol
    if settings.kafka_security_protocol.startswith("SASL"):
        given["sasl.mechanism"] = settings.kafka_sasl_mechanism
        given["sasl.username"] = settings.kafka_sasl_username
        given["sasl.password"] = settings.kafka_sasl_password
    if settings.kafka_security_protocol.endswith("SSL"):
        given["ssl.ca.location"] = settings.kafka_ssl_ca_location
        given["ssl.certificate.location"] = settings.kafka_ssl_certificate_location
        given["ssl.key.location"] = settings.kafka_ssl_key_location
        given["ssl.key.password"] = settings.kafka_ssl_key_password
    return {name: str(value) for name, value in given.items() if value}
