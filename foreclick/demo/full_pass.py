"""The first pass: the whole log as fast as it goes, with kills if wanted, and every record accounted for."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from foreclick.checking.accounts import Accounts, Outputs, account, read_outputs
from foreclick.checking.window_rule import Ruling, rule_on
from foreclick.demo.kills import Kill, KillSchedule, kill_moments
from foreclick.demo.live_board import LiveBoard
from foreclick.demo.pass_progress import PassProgress
from foreclick.demo.publishing import DemoPublisher
from foreclick.errors import DemoError
from foreclick.topics import create_topics
from producers.pacing import AtOnce
from producers.replay import ReplayReport, replay
from streamer.client import PredictionConsumer

if TYPE_CHECKING:
    from foreclick.demo.shop_log import ShopLog
    from foreclick.demo.stage import Stage
    from foreclick.demo.view import View

PATIENCE_S: Final = 60.0
_CONSUMER_PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class FullPass:
    """What the first pass came to.

    ``events_per_s`` is from the first event sent to the last one seen to end; ``consumed`` is how many ids
    the consumer for downstream programs yielded.
    """

    accounts: Accounts
    rulings: list[Ruling]
    outputs: Outputs
    kills: list[Kill]
    consumed: int
    events_per_s: float
    worker_rss_bytes: int


def run_full_pass(stage: Stage, log: ShopLog, view: View, *, kills: int, seed: int) -> FullPass:
    """Replay ``log`` through a worker, wait until every record has ended, and read the topics whole.

    The wait ends when nothing is missing, or after `PATIENCE_S` without progress; the accounts say which.
    Raises ForeclickError and ProducerError when the pass cannot be run.
    """
    create_topics(stage.settings)
    board = LiveBoard()
    with stage.observer(board.see) as observer, stage.worker() as worker:
        worker.wait_until_ready()
        schedule = KillSchedule(kill_moments(kills, seed, len(log.events)), worker, observer)
        publisher = DemoPublisher(stage, board, schedule.before_next)
        shown = PassProgress(view, "at full speed", board, observer, len(log.events))
        started_s = time.time()
        report = replay(lambda: log.lines, publisher, AtOnce(), progress=lambda _: shown.show())
        require_delivery(report)
        awaited = _awaited(stage)
        observer.wait_for(awaited, PATIENCE_S, worker.check, shown.show)
        last_seen_s = max(observer.seen_at_ms.values(), default=started_s * 1000) / 1000
        rss_bytes = worker.peak_rss_bytes
    outputs = read_outputs(
        stage.read(stage.settings.predictions_topic).records,
        stage.read(stage.settings.dead_letters_topic).records,
    )
    events = stage.read(stage.settings.events_topic).records
    rulings = rule_on(events, stage.rule, outputs.cleaned)
    yielded = _yielded(stage, len(outputs.predicted))
    accounts = account(
        events,
        rulings,
        outputs,
        lines=report.lines,
        rejected=report.rejected,
        duplicated=sum(times > 1 for times in yielded.values()),
    )
    rate = report.published / max(1e-9, last_seen_s - started_s)
    return FullPass(accounts, rulings, outputs, schedule.made, len(yielded), rate, rss_bytes)


def require_delivery(report: ReplayReport) -> None:
    """Raise `DemoError` when an event did not reach the brokers."""
    if not report.all_delivered:
        raise DemoError(
            f"{report.published - report.delivered} of {report.published} events were not acknowledged; "
            "see the broker's log"
        )


def _awaited(stage: Stage) -> set[str]:
    """Return the ids of the published records that must end in a topic."""
    rulings = rule_on(stage.read(stage.settings.events_topic).records, stage.rule)
    return {ruling.position.text for ruling in rulings if ruling.outcome != "repeated"}


def _yielded(stage: Stage, wanted: int) -> Counter[str]:
    """Return how often the consumer for downstream programs yields each id, until it falls silent."""
    settings = stage.settings
    times: Counter[str] = Counter()
    with PredictionConsumer(
        settings.kafka, settings.predictions_topic, security=stage.client_settings
    ) as consumer:
        patience_s = _CONSUMER_PATIENCE_S
        while (prediction := consumer.poll(patience_s)) is not None:
            times[prediction.prediction_id] += 1
            patience_s = 1.0 if len(times) >= wanted else _CONSUMER_PATIENCE_S
    return times
