"""From the one settings table to what a worker must be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foreclick.errors import AddressMissing
from foreclick.settings import Settings
from streamer.config import WorkerConfig


def worker_config(settings: Settings, kafka_security: Mapping[str, str], *, profile: bool) -> WorkerConfig:
    """Return the worker's configuration. Raises `AddressMissing` without both addresses."""
    for name, address in (("kafka", settings.kafka), ("redis", settings.redis)):
        if not address:
            raise AddressMissing(
                f"the worker needs the address of a server: give --{name} or FORECLICK_{name.upper()}"
                " (`foreclick services up` starts both servers here and prints them)"
            )
    return WorkerConfig(
        kafka=settings.kafka,
        redis_url=settings.redis,
        redis_cluster=settings.redis_topology == "cluster",
        topic_prefix=settings.topic_prefix,
        consumer_group=settings.consumer_group,
        model_store=settings.model_store,
        model_name=settings.model_name,
        model_alias=settings.model_alias,
        redis_prefix=settings.redis_prefix,
        state_ttl_ms=settings.state_ttl_ms,
        allowed_lateness_ms=settings.allowed_lateness_ms,
        next_items_count=settings.next_items_count,
        exact_search=settings.next_items_search == "exact",
        exclude_purchased=settings.next_items_exclude == "purchased",
        churn_alert_level=settings.churn_alert_level,
        reload_interval_ms=settings.reload_interval_ms,
        max_batch_events=settings.max_batch_events,
        max_fetches_in_flight=settings.max_fetches_in_flight,
        max_events_in_flight=settings.max_events_in_flight,
        fetch_max_bytes=settings.fetch_max_bytes,
        publish_timeout_ms=settings.publish_timeout_ms,
        redis_timeout_ms=settings.redis_timeout_ms,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_ms=settings.heartbeat_interval_ms,
        stall_limit_ms=settings.stall_limit_ms,
        drain_timeout_ms=settings.drain_timeout_ms,
        web_port=settings.web_port,
        log_level=settings.log_level,
        kafka_security=kafka_security,
        redis_options=_redis_options(settings),
        group_instance_id=settings.worker_instance or None,
        profile=profile,
    )


def _redis_options(settings: Settings) -> dict[str, Any]:
    options = {
        "password": settings.redis_password,
        "ssl_ca_certs": settings.redis_tls_ca_location,
        "ssl_certfile": settings.redis_tls_certificate_location,
        "ssl_keyfile": settings.redis_tls_key_location,
    }
    return {name: str(value) for name, value in options.items() if value}
