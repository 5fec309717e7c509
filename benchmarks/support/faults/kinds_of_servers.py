"""Faults of Kafka, Redis and the network between them and the workers."""

from __future__ import annotations

import resource
import signal
import socket
import time
from typing import Final

import psutil
import redis

from benchmarks.support.faults.proxy import Proxy
from benchmarks.support.faults.servers import wait_until
from benchmarks.support.faults.stage import NoEffect, Stage
from foreclick.services import ServiceProcess
from foreclick.services.process import LOOPBACK

_DOWN_S: Final = (0.2, 3.0)
_HUNG_S: Final = (2.0, 4.0)
_SLOW_S: Final = 5.0
_SLOW_BY_S: Final = 0.2
_EFFECT_TIMEOUT_S: Final = 60.0
_UNLIMITED: Final = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def broker_killed(stage: Stage) -> str:
    """Kill Kafka and start it again on its data."""
    return _killed(stage, stage.servers.broker)


def redis_killed(stage: Stage) -> str:
    """Kill Redis and start it again on its data."""
    return _killed(stage, stage.servers.redis)


def redis_full(stage: Stage) -> str:
    """Let Redis reach its limit of memory, so that it refuses writes, for a while."""
    client = stage.servers.redis.client()
    client.config_set("maxmemory", "1mb")
    try:
        _require_refusal(client)
        time.sleep(stage.random.uniform(*_DOWN_S))
    finally:
        client.config_set("maxmemory", "1gb")
    return "a write of the bench's own was refused: out of memory"


def redis_set_back(stage: Stage) -> str:
    """Bring Redis back with its data of about a second ago."""
    server, copy = stage.servers.redis, stage.directory / "redis-copy"
    offsets = _offsets(stage)
    server.copy_data(copy)
    wait_until(lambda: _sum(_offsets(stage)) > _sum(offsets), _EFFECT_TIMEOUT_S, "nothing was written")
    time.sleep(1.0)
    before = _offsets(stage)
    server.kill()
    server.replace_data(copy)
    server.start()
    after = _offsets(stage)
    lost = _sum(before) - _sum(after)
    if lost <= 0:
        raise NoEffect("Redis lost nothing")
    return f"the offsets in Redis went back by {lost} in all"


def redis_emptied(stage: Stage) -> str:
    """Empty Redis while it runs."""
    steps = stage.servers.redis.client().pipeline(transaction=True)
    for step in (steps.dbsize, steps.flushall, steps.dbsize):
        step()
    before, _, behind = steps.execute()
    if not before or behind:
        raise NoEffect(f"Redis held {before} keys, then {behind}")
    return f"Redis held {before} keys, then none"


def redis_slow(stage: Stage) -> str:
    """Hold back all that goes to Redis and comes from it for a while."""
    proxies = stage.servers.redis.proxies
    for proxy in proxies:
        proxy.delay_s = _SLOW_BY_S
    try:
        took_s = _ping_s(proxies[0])
        time.sleep(_SLOW_S)
    finally:
        for proxy in proxies:
            proxy.delay_s = 0.0
    if took_s < _SLOW_BY_S:
        raise NoEffect(f"a ping took {took_s:.3f} s")
    return f"a ping took {took_s:.2f} s"


def redis_hung(stage: Stage) -> str:
    """Stop Redis in the middle of whatever it does, for longer than the workers wait for an answer."""
    server = stage.servers.redis
    process = psutil.Process(server.pid)
    process.send_signal(signal.SIGSTOP)
    try:
        if server.answers():
            raise NoEffect("Redis answers though it is stopped")
        time.sleep(stage.random.uniform(*_HUNG_S))
    finally:
        process.send_signal(signal.SIGCONT)
    return "a ping was not answered"


def broker_cut(stage: Stage) -> str:
    """Cut the network between a worker and Kafka."""
    return _cut(stage, stage.servers.broker.proxies)


def redis_cut(stage: Stage) -> str:
    """Cut the network between a worker and Redis."""
    return _cut(stage, stage.servers.redis.proxies)


def disk_full(stage: Stage) -> str:
    """Let no file of Kafka's grow beyond the round's largest, as on a full disk; then start it again."""
    server = stage.servers.broker
    written = f"logs/{stage.settings.predictions_topic}-*/*.log"
    # The limit is the kernel's own: the write fails, and Kafka gives its only log directory up.
    largest = max(path.stat().st_size for path in server.directory.glob(written))
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    try:
        wait_until(lambda: not server.running, _EFFECT_TIMEOUT_S, "Kafka writes on")
        words = server.log_path.read_text(errors="replace")
    except TimeoutError as error:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, _UNLIMITED)
        raise NoEffect("Kafka writes on") from error
    server.kill()
    server.start()
    if "File too large" not in words:
        raise NoEffect("Kafka ended without a word of its disk")
    return "Kafka ended: File too large"


def _killed(stage: Stage, server: ServiceProcess) -> str:
    process_id = server.pid
    server.kill()
    try:
        with socket.socket() as probe:
            refused = probe.connect_ex((LOOPBACK, server.port)) != 0
        time.sleep(stage.random.uniform(*_DOWN_S))
    finally:
        server.start()
    if psutil.pid_exists(process_id) or not refused:
        raise NoEffect(f"{server.title} lives on")
    return f"process {process_id} is gone, connections were refused"


def _cut(stage: Stage, proxies: list[Proxy]) -> str:
    used = [proxy for proxy in proxies if proxy.connections]
    if not used:
        raise NoEffect("no connection stood there to cut")
    proxy = stage.random.choice(used)
    ended = proxy.cut()
    try:
        with socket.socket() as probe:
            refused = probe.connect_ex((LOOPBACK, proxy.port)) != 0
        time.sleep(stage.random.uniform(*_DOWN_S))
    finally:
        proxy.mend()
    if not ended or not refused:
        raise NoEffect("connections were still taken")
    return f"{ended} connections ended, others were refused"


def _require_refusal(client: redis.Redis) -> None:
    try:
        client.set("fault-bench-probe", "x" * 1000, px=1)
    except redis.exceptions.OutOfMemoryError:
        return
    raise NoEffect("Redis took a write")


def _offsets(stage: Stage) -> dict[bytes, int]:
    """Return the partitions' offsets in Redis, by key."""
    client = stage.servers.redis.client()
    keys = list(client.scan_iter(f"{stage.settings.redis_prefix}*}}", 10_000))
    return {key: int(value or 0) for key, value in zip(keys, client.mget(keys), strict=True)}


def _sum(offsets: dict[bytes, int]) -> int:
    return sum(offsets.values())


def _ping_s(proxy: Proxy) -> float:
    started_s = time.monotonic()
    redis.Redis(port=proxy.port, socket_timeout=5).ping()
    return time.monotonic() - started_s
