"""What a worker must be told. Defaults stand in `foreclick.settings`, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from producers.topic_names import TopicNames


@dataclass(frozen=True, kw_only=True)
class WorkerConfig(TopicNames):
    """Everything that a worker needs to know.

    ``kafka_security`` holds librdkafka's names (``security.protocol``, ``sasl.username``, …) and
    serves every Kafka client of the worker; ``redis_options`` are the Redis client's own (password, TLS
    files). ``state_ttl_ms`` is counted from a user's last write.
    """

    kafka: str
    redis_url: str
    redis_cluster: bool
    topic_prefix: str
    consumer_group: str
    model_store: Path
    model_name: str
    model_alias: str
    redis_prefix: str
    state_ttl_ms: int
    allowed_lateness_ms: int
    next_items_count: int
    exact_search: bool
    exclude_purchased: bool
    churn_alert_level: float
    reload_interval_ms: int
    max_batch_events: int
    max_fetches_in_flight: int
    max_events_in_flight: int
    fetch_max_bytes: int
    publish_timeout_ms: int
    redis_timeout_ms: int
    session_timeout_ms: int
    heartbeat_ms: int
    stall_limit_ms: int
    drain_timeout_ms: int
    web_port: int
    log_level: str
    kafka_security: Mapping[str, str] = field(repr=False)
    redis_options: Mapping[str, Any] = field(repr=False)
    group_instance_id: str | None
    profile: bool
