"""One round: a log through the real system under faults, and the judgement on what is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.support.faults.epochs import recreate_events_topic
from benchmarks.support.faults.judge import Verdict, judge
from benchmarks.support.faults.schedule import RECREATED, Injected, Say, inject
from benchmarks.support.faults.servers import Servers
from benchmarks.support.faults.shop import shop_events, write_log, write_models
from benchmarks.support.faults.stage import WORKERS, Stage, round_settings, set_stage
from benchmarks.support.faults.undisturbed import Run, read_run, run_undisturbed, wait_until_written
from foreclick.checking.window_rule import WindowRule

_LONGEST_PAUSE_S: Final = 1.0
_SPARE: Final = 4  # a log that is longer than the round, however long its last fault takes
_LEAST_LOG_S: Final = 60.0
_FAULT_S: Final = 10.0


@dataclass(frozen=True)
class Plan:
    """How a round is run: for about ``seconds``, at ``rate`` events/s, with faults in the order of ``kinds``.

    ``most`` bounds the faults, and then the time does not; `RECREATED` ends the round wherever it stands.
    Not ``compared``, there is no undisturbed run, and nothing is said of what would differ from it.
    """

    name: str
    seed: int
    seconds: float
    rate: float
    kinds: Iterator[str]
    most: int | None = None
    sabotage: str = ""
    compared: bool = True

    @property
    def expected_s(self) -> float:
        """Return how long the faults may take on a machine that has nothing else to do."""
        return max(self.seconds, _LEAST_LOG_S, _FAULT_S * (self.most or 0))


def run_round(plan: Plan, servers: Servers, directory: Path, say: Say) -> tuple[Verdict, list[Injected]]:
    """Run a round, and judge it. Raises TimeoutError where something never recovers."""
    place = directory / plan.name
    place.mkdir()
    versions = write_models(place / "models", plan.seed)
    lines = write_log(place / "shop.jsonl", plan.seed, int(_SPARE * plan.rate * plan.expected_s))
    settings = round_settings(servers, place / "models", plan.name)
    runs: list[tuple[Run, int]] = []
    with set_stage(
        servers, settings, versions, place / "shop.jsonl", plan.rate, place, plan.seed, plan.sabotage
    ) as stage:
        injected, recreate = _faults(plan, stage, say)
        runs.append(_finished(stage, say))
        if recreate:
            injected.append(recreate_events_topic(stage, say))
            runs.append(_finished(stage, say))
    verdict = Verdict()
    for number, (run, sent) in enumerate(runs):
        undisturbed = [
            run_undisturbed(run.events, settings, version, servers, place, number)
            for version in (_versions(run) if plan.compared else ())
        ]
        rule = WindowRule(settings.window_size, settings.allowed_lateness_ms)
        verdict += judge(run, undisturbed, rule, islice(shop_events(plan.seed, lines), sent))
    say(f"{plan.name}: {verdict}")
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
        if time.monotonic() > ends_s and plan.most is None:
            break
    return injected, recreate


def _finished(stage: Stage, say: Say) -> tuple[Run, int]:
    """Let the producer end and the workers come to the end; return the run, and how many lines were sent."""
    sent = stage.feed.finish()
    say(f"{sent:,} lines were sent; waiting until all records are done")
    wait_until_written(stage.settings, stage.servers, stage.workers[:WORKERS])
    return read_run(stage.settings, stage.servers), sent
