"""What a change of the model under load does to the latency."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from benchmarks.support.child import Child
from benchmarks.support.figures import percentile
from benchmarks.support.latency_run import WARMING_S, paced_run
from benchmarks.support.workload import Workload
from foreclick.settings import Settings
from model_store.artifacts import ModelStore

BEFORE_SHARE = 0.4
# Users' states are built anew when their next event comes, so the first moments of a model are part of it.
BEHIND_S = 2.0
SETTLED_S = 5.0


@dataclass(frozen=True)
class Promotion:
    """The swap is the time from the call that promotes to `BEHIND_S` after the new model's first prediction.

    ``steady_p99_ms`` is that of the same run: until the swap, and from `SETTLED_S` behind it on.
    """

    rate: float
    steady_p50_ms: float
    steady_p99_ms: float
    swap_p50_ms: float
    swap_p99_ms: float
    swap_max_ms: float
    ratio: float
    swap_s: float
    lost: int


def promotion(
    settings: Settings, version: str, rate: float, seconds: float, workload: Workload, child: Child
) -> Promotion:
    """Promote ``version`` in the middle of a paced run of ``seconds``.

    Raises RuntimeError when the new model never predicted.
    """
    moments: dict[str, float] = {}
    marker = f'"version":"{version}"'.encode()

    def note(value: bytes, now_s: float) -> None:
        if "first" not in moments:
            _begin(moments, settings, version, seconds)
            moments["first"] = now_s
        if "new" not in moments and marker in value:
            moments["new"] = now_s

    workload = Workload(1, workload.users, workload.items, start_ms=time.time_ns() // 1_000_000)
    places = settings.events_topic, settings.predictions_topic
    run = paced_run(settings, *places, rate, seconds, workload, note, child.check)
    if "new" not in moments:
        raise RuntimeError(f"no prediction by {version} came: give more --promotion-seconds")
    began_s, over_s = moments["promoted"], moments["new"] + BEHIND_S
    start_s = run.sent.start_s + WARMING_S
    end_s = run.sent.start_s + WARMING_S + seconds
    steady = [*run.between_ms(start_s, began_s), *run.between_ms(min(over_s + SETTLED_S, end_s), end_s)]
    swap = run.between_ms(began_s, over_s)
    steady_p99_ms, swap_p99_ms = percentile(steady, 99), percentile(swap, 99)
    return Promotion(
        rate=rate,
        steady_p50_ms=percentile(steady, 50),
        steady_p99_ms=steady_p99_ms,
        swap_p50_ms=percentile(swap, 50),
        swap_p99_ms=swap_p99_ms,
        swap_max_ms=percentile(swap, 100),
        ratio=round(swap_p99_ms / steady_p99_ms, 2),
        swap_s=round(over_s - began_s, 2),
        lost=run.lost,
    )


def _begin(moments: dict[str, float], settings: Settings, version: str, seconds: float) -> None:
    """Promote in a while, in a thread: what it costs stands beside the load, as it would elsewhere."""

    def promote() -> None:
        time.sleep(WARMING_S + BEFORE_SHARE * seconds)
        moments["promoted"] = time.monotonic()
        ModelStore(settings.model_store).promote(settings.model_name, version, settings.model_alias)

    threading.Thread(target=promote, daemon=True).start()
