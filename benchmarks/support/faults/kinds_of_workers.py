"""Faults of workers: killed at any moment or step, stopped past their session, joining and leaving."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

import msgspec

from benchmarks.support.faults.hooks import POINTS
from benchmarks.support.faults.servers import wait_until
from benchmarks.support.faults.stage import SLOTS, WORKERS, NoEffect, Stage
from model_store.artifacts import ModelStore

_TAKEN_TIMEOUT_S: Final = 60.0
_GONE_TIMEOUT_S: Final = 30.0
_REFUSED_TIMEOUT_S: Final = 60.0
_JOINED_TIMEOUT_S: Final = 120.0
_BACK_MS: Final = 3_600_000
_LONGEST_WAIT_S: Final = 0.5
_WRONG_S: Final = 1.0


def killed(stage: Stage) -> str:
    """Kill a worker at any moment."""
    time.sleep(stage.random.uniform(0, _LONGEST_WAIT_S))
    worker = stage.a_worker()
    process_id = worker.send(signal.SIGKILL)
    _await(lambda: worker.is_gone(process_id), _GONE_TIMEOUT_S, "the worker lives on")
    return f"process {process_id} is gone"


def killed_at(stage: Stage, step: int) -> str:
    """Kill a worker while a batch of its stands at the end of ``step``, or within it."""
    (point,) = [point for point, of_step in POINTS.items() if of_step == step]
    worker = stage.a_worker()
    worker.control.arm(point, "kill")
    try:
        _await(worker.control.taken_by, _TAKEN_TIMEOUT_S, f"no batch came to the point {point!r}")
    finally:
        worker.control.disarm()
    process_id = worker.control.taken_by() or 0
    _await(lambda: worker.is_gone(process_id), _GONE_TIMEOUT_S, "the worker lives on")
    return f"process {process_id} is gone, a batch was {point}"


def stopped_past_its_session(stage: Stage) -> str:
    """Stop a worker that has published and not yet written, until another has gone on; then let it write."""
    worker = stage.a_worker()
    refused = len(worker.control.refusals())
    worker.control.arm("published", "stop")
    try:
        _await(worker.control.taken_by, _TAKEN_TIMEOUT_S, "no batch was published")
    finally:
        worker.control.disarm()
    process_id = worker.control.taken_by() or 0
    try:
        _await(lambda: worker.is_stopped(process_id), _GONE_TIMEOUT_S, "the worker was not stopped")
        # Its partitions are the others' once each has a new prediction.
        away_s = stage.recovery_s()
    finally:
        worker.send(signal.SIGCONT)
    _await(
        lambda: len(worker.control.refusals()) > refused,
        _REFUSED_TIMEOUT_S,
        "no write of the old owner's was refused",
    )
    refusal = worker.control.refusals()[refused]
    if refusal["pid"] != process_id:
        raise NoEffect("another process's write was refused")
    return (
        f"stopped for {away_s:.1f} s; its write on {refusal['expected']} was refused at {refusal['actual']}"
    )


def joined_and_left(stage: Stage) -> str:
    """Let one more worker join under load, and leave again."""
    name = f"worker-{SLOTS - 1}"
    worker = stage.new_worker(SLOTS - 1, name)
    with worker:
        _await(lambda: stage.partitions_of(name), _JOINED_TIMEOUT_S, "the worker got no partition")
        partitions = stage.partitions_of(name)
        stage.recovery_s()
    _await(lambda: stage.partitions_of(name) is None, _JOINED_TIMEOUT_S, "the worker is still in the group")
    if worker.exits[-1] != 0:
        raise NoEffect(f"the worker left with {worker.exits[-1]}: {worker.last_words()}")
    return f"it had partitions {sorted(partitions or ())} of the group, and is no member any more"


def promoted_before_the_write(stage: Stage) -> str:
    """Promote another model while a batch is published and not written, and kill the worker there."""
    worker = stage.a_worker()
    worker.control.arm("published", "hold")
    served = (stage.served + 1) % len(stage.models)
    try:
        _await(worker.control.taken_by, _TAKEN_TIMEOUT_S, "no batch was published")
        ModelStore(stage.settings.model_store).promote(stage.settings.model_name, stage.models[served])
        stage.served = served
    finally:
        worker.control.disarm()
        worker.control.release()
    process_id = worker.control.taken_by() or 0
    _await(lambda: worker.is_gone(process_id), _GONE_TIMEOUT_S, "the worker lives on")
    wanted = stage.models[served].encode()
    _await(lambda: wanted in stage.observer.last_value, _JOINED_TIMEOUT_S, "the promoted model never served")
    return f"{stage.models[served]} was promoted before process {process_id} was gone, and serves"


def clock_set_back(stage: Stage) -> str:
    """Set every worker's clock back by an hour for a while."""
    workers = stage.workers[:WORKERS]
    for worker in workers:
        worker.control.set_clock_back(_BACK_MS)
    try:
        before_ms = time.time() * 1000 - _BACK_MS / 2
        _await(
            lambda: _scored_at_ms(stage) < before_ms, _TAKEN_TIMEOUT_S, "no prediction of an hour ago came"
        )
        stage.recovery_s()
        time.sleep(_WRONG_S)
        behind_s = time.time() - _scored_at_ms(stage) / 1000
        return f"a prediction says that it was made {behind_s:.0f} s ago"
    finally:
        for worker in workers:
            worker.control.set_clock_back(0)


def producer_killed(stage: Stage) -> str:
    """Kill the producer in the middle of its log, and let it go on from its checkpoint."""
    before = stage.feed.lines_done()
    code = stage.feed.kill_and_resume()
    if code != 128 + signal.SIGKILL:
        raise NoEffect(f"the producer had ended by itself, with {code}")
    return f"ended by SIGKILL behind line {before} of its checkpoint"


def _scored_at_ms(stage: Stage) -> float:
    value = stage.observer.last_value
    return float(msgspec.json.decode(value)["scored_at_ms"]) if value else float("inf")


def _await(holds: Callable[[], object], patience_s: float, what: str) -> None:
    """Return once ``holds()`` is true. Raises `NoEffect` after ``patience_s``."""
    try:
        wait_until(holds, patience_s, what)
    except TimeoutError as error:
        raise NoEffect(what) from error
