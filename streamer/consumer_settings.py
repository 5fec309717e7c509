"""How the worker's Kafka consumer is set up, under aiokafka's names."""

from __future__ import annotations

from typing import Any, Final

from streamer.config import WorkerConfig

MAX_POLL_INTERVAL_MS: Final = 120_000
REQUEST_TIMEOUT_MS: Final = 40_000
# A worker learns of added partitions when it asks for the topic's metadata again.
METADATA_MAX_AGE_MS: Final = 10_000


def consumer_settings(config: WorkerConfig) -> dict[str, Any]:
    """Return the consumer's settings, without security."""
    return {
        "bootstrap_servers": config.kafka,
        "group_id": config.consumer_group,
        "group_instance_id": config.group_instance_id,
        "max_poll_records": config.max_batch_events,
        "max_partition_fetch_bytes": config.fetch_max_bytes,
        "session_timeout_ms": config.session_timeout_ms,
        "heartbeat_interval_ms": config.heartbeat_ms,
        "rebalance_timeout_ms": 2 * config.session_timeout_ms,
        "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
    }
