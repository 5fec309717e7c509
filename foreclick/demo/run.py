"""The demo from beginning to end: services, log, model, two passes, checks, report."""

from __future__ import annotations

import secrets
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from foreclick.checking.parity import parity
from foreclick.demo.full_pass import run_full_pass
from foreclick.demo.live_scores import live_scores
from foreclick.demo.model import stored_model, train_demo_model
from foreclick.demo.paced_pass import run_paced_pass
from foreclick.demo.report import DemoReport
from foreclick.demo.shop_log import ShopLog, read_shop_log, simulated_log
from foreclick.demo.stage import Stage, delete_topics, stage_settings
from foreclick.errors import DemoError
from foreclick.services import local_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foreclick.demo.full_pass import FullPass
    from foreclick.demo.model import DemoModel
    from foreclick.demo.view import View
    from foreclick.services import Services
    from foreclick.settings import Settings
    from producers.readers import Mapping


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What a person asks of the demo. Without ``data`` it streams the simulator's shop.

    Without ``model`` one is trained: a ``network``, else the default one. ``full_users`` users get full
    windows, to be weighed in Redis, and ``latency_events`` events are sent at 500 a second. ``keep`` is a
    directory for the models, the servers' data and the workers' logs; without it they go when the demo ends.
    """

    data: Path | None = None
    format_name: str = ""
    mapping: Mapping | None = None
    users: int
    events: int
    seed: int
    kills: int
    full_users: int
    latency_events: int
    model: str | None = None
    network: str | None = None
    keep: Path | None = None


def run_demo(options: DemoOptions, settings: Settings, view: View) -> DemoReport:
    """Run the demo and return its report, whether everything holds or not.

    Raises ForeclickError, ProducerError, ModelStoreError or StreamerError where it cannot be run.
    """
    timer = _Timer()
    with ExitStack() as stack:
        place = (
            options.keep.absolute()
            if options.keep
            else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="foreclick-demo-")))
        )
        place.mkdir(parents=True, exist_ok=True)
        with timer.taking("log"):
            log = _log(options, view)
        with timer.taking("model"):
            model = _model(options, settings, log, place, view)
        with timer.taking("services"):
            view.say("starting Kafka and Redis, unless they are there")
            services = stack.enter_context(local_services(options.keep and place / "services", settings))
        stages = _Stages(settings, services, model, place, temporary=options.keep is None)
        with timer.taking("full_pass"), stages.stage("full") as stage:
            view.say(f"streaming {len(log.events):,} events at full speed")
            full = run_full_pass(stage, log, view, kills=options.kills, seed=options.seed)
        _say_kills(full, view)
        with timer.taking("paced_pass"), stages.stage("paced") as stage:
            view.say("a second pass on topics of its own: windows filled, then 500 events a second")
            paced = run_paced_pass(
                stage, log, view, full_users=options.full_users, events=options.latency_events
            )
        with timer.taking("checks"):
            view.say("holding every prediction against the Keras model, and against what came next")
            compared = parity(full.rulings, full.outputs.predictions, model.artifact)
            live = live_scores(full.rulings, full.outputs.predictions)
    return DemoReport(log, model, full, compared, paced, live, timer.seconds)


def _log(options: DemoOptions, view: View) -> ShopLog:
    if options.data is None:
        log = simulated_log(options.seed, options.users, options.events)
    else:
        log = read_shop_log(options.data, options.format_name, options.mapping, round(time.time() * 1000))
    if not log.events:
        raise DemoError(f"{log.title} holds no event; check its format with `foreclick inspect`")
    order = ", put in order of time" if log.was_sorted else ""
    view.say(f"{log.title}: {len(log.events):,} events of {log.user_count:,} shoppers{order}")
    return log


def _model(options: DemoOptions, settings: Settings, log: ShopLog, place: Path, view: View) -> DemoModel:
    if options.model is not None:
        model = stored_model(settings, options.model)
    else:
        view.say("training on the first 60 % of its time")
        model = train_demo_model(log, settings, place, view, options.network)
    view.say(f"model {model.name} {model.version} serves")
    return model


def _say_kills(full: FullPass, view: View) -> None:
    for number, kill in enumerate(full.kills, start=1):
        view.say(f"kill {number} hit at event {kill.at_event:,}, when {kill.published:,} were sent")


class _Stages:
    """Makes the stages of one run, on servers that may be shared."""

    def __init__(
        self, settings: Settings, services: Services, model: DemoModel, place: Path, *, temporary: bool
    ) -> None:
        self._run_id = secrets.token_hex(4)
        self._shared_kafka = services.broker is None
        self._services = services
        self._place = place
        self._doomed = place if temporary else None
        self._settings = replace(
            settings, model_store=model.root, model_name=model.name, window_size=model.window_size
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Give a stage; its topics go with it if the brokers stay."""
        settings = stage_settings(self._settings, self._services, self._run_id, name)
        yield Stage(settings, self._place / f"worker-{name}.log", self._doomed)
        if self._shared_kafka:
            delete_topics(settings)


class _Timer:
    """Adds up what each part of the run takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def taking(self, name: str) -> Iterator[None]:
        """Count what is done inside under ``name``."""
        started_s = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started_s
