"""What Kafka and Redis spend while something runs."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import redis

from benchmarks.support.child import cpu_s
from foreclick.services import Services


@dataclass(frozen=True)
class Spending:
    """CPU seconds of each server, and what went into Redis and out of it."""

    kafka_cpu_s: float
    redis_cpu_s: float
    redis_bytes_in: int
    redis_bytes_out: int


class Meter:
    """Reads the servers that were started here whenever it is called."""

    def __init__(self, services: Services) -> None:
        """Raise RuntimeError where a server runs elsewhere, since its CPU is not known here."""
        if services.broker is None or services.valkey is None:
            raise RuntimeError("unset FORECLICK_KAFKA and FORECLICK_REDIS: servers elsewhere hide their CPU")
        self._pids = services.broker.pid, services.valkey.pid
        self._client = redis.Redis.from_url(services.redis_url)
        self._readings: list[Spending] = []

    def __call__(self) -> None:
        stats: Any = self._client.info("stats")
        kafka, valkey = map(cpu_s, self._pids)
        moved = stats["total_net_input_bytes"], stats["total_net_output_bytes"]
        self._readings.append(Spending(kafka, valkey, *moved))

    @property
    def spent(self) -> Spending:
        """What was spent between the first call and the last."""
        first, last = astuple(self._readings[0]), astuple(self._readings[-1])
        return Spending(*(after - before for before, after in zip(first, last, strict=True)))
