"""One round: a log through the real system under faults, and the judgement on what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.support.faults.judge import Verdict, judge
from benchmarks.support.faults.schedule import Injected, inject
from benchmarks.support.faults.servers import Servers
from benchmarks.support.faults.shop import shop_events, write_log, write_models
from benchmarks.support.faults.stage import WORKERS, Stage, round_settings, set_stage
from benchmarks.support.faults.undisturbed import ends_of, read_run, run_undisturbed, wait_until_written
from foreclick.checking.topics import read_topic
from foreclick.checking.window_rule import WindowRule

Say = Callable[[str], None]
_LONGEST_PAUSE_S: Final = 1.0
_SPARE: Final = 3  # a log that is longer than the round, however long its last fault takes


@dataclass(frozen=True)
class Plan:
    """How a round is run: for about ``seconds``, at ``rate`` events/s, with faults in the order of ``kinds``.

    ``most`` bounds the faults; the first that is due when the time is up is not injected.
    """

    name: str
    seed: int
    seconds: float
    rate: float
    kinds: Iterator[str]
    most: int | None = None
    sabotage: str = ""


def run_round(plan: Plan, servers: Servers, directory: Path, say: Say) -> tuple[Verdict, list[Injected]]:
    """Run a round, and judge it. Raises TimeoutError where something never recovers."""
    place = directory / plan.name
    place.mkdir()
    versions = write_models(place / "models", plan.seed)
    lines = int(_SPARE * plan.rate * max(plan.seconds, 60.0))
    write_log(place / "shop.jsonl", plan.seed, lines)
    settings = round_settings(servers, place / "models", plan.name)
    with set_stage(
        servers, settings, versions, place / "shop.jsonl", plan.rate, place, plan.seed, plan.sabotage
    ) as stage:
        injected = _faults(plan, stage, say)
        sent = stage.feed.finish()
        events = read_topic(settings.kafka, settings.events_topic)
        say(f"{len(events.records):,} records were sent; waiting until all are done")
        wait_until_written(settings, servers, ends_of(events), stage.workers[:WORKERS])
    run = read_run(settings, servers)
    served = {str(prediction.model.version) for prediction in run.outputs.predictions}
    say(f"the same records undisturbed, through {len(served)} versions of the model")
    undisturbed = [
        run_undisturbed(run.events, settings, version, servers, place) for version in sorted(served)
    ]
    rule = WindowRule(settings.window_size, settings.allowed_lateness_ms)
    verdict = judge(run, undisturbed, rule, islice(shop_events(plan.seed, lines), sent))
    say(f"round {plan.name}: {verdict}")
    return verdict, injected


def _faults(plan: Plan, stage: Stage, say: Say) -> list[Injected]:
    injected: list[Injected] = []
    ends_s = time.monotonic() + plan.seconds
    for kind in islice(plan.kinds, plan.most):
        if time.monotonic() > ends_s and plan.most is None:
            break
        fault = inject(kind, stage, say)
        if fault is not None:
            injected.append(fault)
        time.sleep(stage.random.uniform(0, _LONGEST_PAUSE_S))
    return injected
