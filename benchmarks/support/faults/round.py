"""One round: a log through the real system under faults, and the judgement on what is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import isinf
from pathlib import Path
from typing import Final

from benchmarks.support.faults.epochs import recreate_events_topic
from benchmarks.support.faults.findings import findings
from benchmarks.support.faults.judge import Verdict, judge
from benchmarks.support.faults.schedule import RECREATED, Injected, Say, inject
from benchmarks.support.faults.servers import Servers
from benchmarks.support.faults.settling import as_if_always_there
from benchmarks.support.faults.shop import shop_events, write_log, write_models
from benchmarks.support.faults.stage import WORKERS, Stage, round_settings, set_stage
from benchmarks.support.faults.undisturbed import Run, all_undisturbed, read_run, wait_until_written
from foreclick.checking.window_rule import WindowRule
from foreclick.settings import Settings

_LONGEST_PAUSE_S: Final = 1.0
_LEAST_LOG_S: Final = 240.0
_SPARE_S: Final = 300.0  # the log is longer than the round, however long its last fault takes
_FAULT_S: Final = 40.0  # what no fault takes on average, on a busy machine


@dataclass(frozen=True)
class Plan:
    """How a round is run: at ``rate`` events/s, with ``most`` faults in the order of ``kinds``.

    It begins no fault behind ``seconds``, if these are finite; `RECREATED` ends the round wherever it stands.
    Not ``compared``, there is no undisturbed run, and nothing is said of what would differ from it.
    """

    name: str
    seed: int
    seconds: float
    rate: float
    kinds: Iterator[str]
    most: int
    sabotage: str = ""
    compared: bool = True

    @property
    def log_s(self) -> float:
        """Return how many seconds the log must last at the round's rate."""
        longest_s = _FAULT_S * self.most if isinf(self.seconds) else self.seconds + _SPARE_S
        return max(_LEAST_LOG_S, longest_s)


def run_round(plan: Plan, servers: Servers, directory: Path, say: Say) -> tuple[Verdict, list[Injected]]:
    """Run a round, and judge it. Raises TimeoutError where something never recovers."""
    place = directory / plan.name
    place.mkdir()
    versions = write_models(place / "models", plan.seed)
    lines = write_log(place / "shop.jsonl", plan.seed, int(plan.rate * plan.log_s))
    settings = round_settings(servers, place / "models", plan.name)
    runs: list[tuple[Run, int, Settings]] = []
    with set_stage(
        servers, settings, versions, place / "shop.jsonl", plan.rate, place, plan.seed, plan.sabotage
    ) as stage:
        injected, recreate = _faults(plan, stage, say)
        runs.append(_finished(stage, say))
        if recreate:
            injected.append(recreate_events_topic(stage, say))
            runs.append(_finished(stage, say))
    verdict = Verdict()
    for number, (run, sent, own) in enumerate(runs):
        served = _versions(run) if plan.compared else []
        undisturbed = all_undisturbed(run.events, own, served, servers, place, number)
        rule = WindowRule(settings.window_size, settings.allowed_lateness_ms)
        judged = judge(run, undisturbed, rule, islice(shop_events(plan.seed, lines), sent))
        if not judged.clean:
            for line in findings(run, undisturbed, rule):
                say(line)
        verdict += judged
    say(f"{plan.name}: {verdict}")
    servers.delete_topics(plan.name)
    return verdict, injected


def _versions(run: Run) -> list[str]:
    """Return the model versions that made predictions in a run."""
    return sorted({str(prediction.model.version) for prediction in run.outputs.predictions})


def _faults(plan: Plan, stage: Stage, say: Say) -> tuple[list[Injected], bool]:
    """Inject faults until the time is up; say whether the topic is to be recreated behind them."""
    injected: list[Injected] = []
    recreate = False
    ends_s = time.monotonic() + plan.seconds
    for kind in islice(plan.kinds, plan.most):
        if kind == RECREATED:
            recreate = True
        else:
            fault = inject(kind, stage, say)
            injected += [fault] if fault is not None else []
            time.sleep(stage.random.uniform(0, _LONGEST_PAUSE_S))
        if time.monotonic() > ends_s:
            break
    return injected, recreate


def _finished(stage: Stage, say: Say) -> tuple[Run, int, Settings]:
    """Let the producer end and the workers come to the end.

    Return the run, how many lines were sent, and the settings as they are by then.
    """
    sent = stage.feed.finish()
    say(f"{sent:,} lines were sent; waiting until all records are done")
    wait_until_written(stage.settings, stage.servers, stage.workers[:WORKERS])
    run = read_run(stage.settings, stage.servers)
    return as_if_always_there(run, stage.growths), sent, stage.settings
