"""What Kafka and Redis spend while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from benchmarks.support.child import cpu_s
from foreclick.services import Services


@dataclass
class Spending:
    """CPU seconds of each server, and what went into Redis and out of it. Filled at the end of the block."""

    kafka_cpu_s: float = 0.0
    redis_cpu_s: float = 0.0
    redis_bytes_in: int = 0
    redis_bytes_out: int = 0


@contextmanager
def spending_of(services: Services) -> Iterator[Spending]:
    """Measure the servers that were started here. Raises RuntimeError when they were not."""
    if services.broker is None or services.valkey is None:
        raise RuntimeError(
            "servers that run elsewhere hide their CPU: unset FORECLICK_KAFKA and FORECLICK_REDIS"
        )
    spent = Spending()
    before = _now(services)
    yield spent
    after = _now(services)
    spent.kafka_cpu_s = after.kafka_cpu_s - before.kafka_cpu_s
    spent.redis_cpu_s = after.redis_cpu_s - before.redis_cpu_s
    spent.redis_bytes_in = after.redis_bytes_in - before.redis_bytes_in
    spent.redis_bytes_out = after.redis_bytes_out - before.redis_bytes_out


def _now(services: Services) -> Spending:
    client = redis.Redis.from_url(services.redis_url)
    stats = client.info("stats")
    client.close()
    pids = [server.pid for server in services.started]
    kafka, valkey = (cpu_s(pid) for pid in pids)
    return Spending(kafka, valkey, stats["total_net_input_bytes"], stats["total_net_output_bytes"])
