from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import ForeclickError, SettingsError
from foreclick.settings import Settings, confluent_settings
from producers.clock import SystemClock
from producers.contract import LATEST_AFTER_RECORD_MS
from producers.pacing import AtOnce, FixedRate, LogGaps, Pacing
from producers.publisher import Publisher
from producers.simulator.broadcast import BroadcastReport, LinesFile, Sink, broadcast, fault_line
from producers.simulator.faults import KINDS, Rates, SimulatedRecord, with_faults
from producers.simulator.shop import Shop

DEFAULT_START: Final = datetime(2025, 1, 6, tzinfo=UTC)
Share = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the good events, 0 to 1.")]


@takes_settings
def simulate(
    settings: Settings,
    users: Annotated[int, typer.Option(min=1, help="Shoppers at any time.")] = 1_000,
    items: Annotated[int, typer.Option(min=4, help="Items in the shop.")] = 2_000,
    events: Annotated[int, typer.Option(min=0, help="Good events to make; 0 is no end.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop and events.")] = 0,
    start: Annotated[datetime, typer.Option(help="When the shop opens, UTC.")] = DEFAULT_START,
    rate: Annotated[float | None, typer.Option(help="Records a second, evenly spaced.")] = None,
    speed: Annotated[str, typer.Option(help="Times the shop's own pace, or 'max'. Not with --rate.")] = "max",
    duplicates: Share = 0.0,
    late: Share = 0.0,
    reordered: Share = 0.0,
    malformed: Share = 0.0,
    bots: Share = 0.0,
    late_by_s: Annotated[
        float, typer.Option(min=0.001, help="Most that a late event is held back, in shop time, seconds.")
    ] = 3_600.0,
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here, not to Kafka.")] = None,
    to_kafka: Annotated[bool, typer.Option("--to-kafka", help="Publish to Kafka (the default).")] = False,
    faults: Annotated[Path | None, typer.Option(help="Write a JSON line about each injected fault.")] = None,
) -> None:
    """Publish the events of a made-up shop whose true probabilities are known.

    Faults are put in at the given rates: events sent twice, late ones, swapped ones, records that are no
    events, and a bot. The counts by kind are printed at the end. Exits with 1 unless every record arrived.

    Examples:

        foreclick simulate --kafka localhost:9092 --events 200000 --seed 7

        foreclick simulate --events 0 --rate 500 --duplicates 0.01 --malformed 0.005 --faults faults.jsonl

        foreclick simulate --users 20000 --items 50000 --out shop.jsonl
    """
    if out is not None and to_kafka:
        raise SettingsError("--out and --to-kafka exclude each other; leave one away")
    pacing = _pacing(rate, speed)
    try:
        rates = Rates(duplicates, late, reordered, malformed, bots, int(late_by_s * 1_000))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    start_ms = int(start.replace(tzinfo=UTC).timestamp() * 1_000)
    shop = Shop(seed, users, items)
    records = with_faults(shop.events(start_ms, events or None), rates, seed)
    try:
        with _noted(faults) as note_fault, _sink(settings, out) as sink, _stopped_by_signals() as stop:
            report = broadcast(records, sink, pacing, stop=stop, progress=_progress, note_fault=note_fault)
    except OSError as error:
        raise ForeclickError(f"cannot write: {error}; make room there or name another file") from error
    _print_report(report)
    if report.shop_ms > SystemClock().now_ms() + LATEST_AFTER_RECORD_MS:
        typer.echo(
            "the shop's time ran over a day ahead of the clock, so its last events will be refused as "
            "event_time_in_future; choose an earlier --start, fewer --events or more --users",
            err=True,
        )
    if not report.all_delivered:
        raise typer.Exit(1)


def _pacing(rate: float | None, speed: str) -> Pacing:
    try:
        if rate is not None:
            if speed != "max":
                raise SettingsError("--rate and --speed exclude each other; leave one away")
            return FixedRate(rate)
        return AtOnce() if speed == "max" else LogGaps(float(speed))
    except ValueError as error:
        raise SettingsError(
            f"--speed must be a number over 0 or 'max', and --rate over 0: {error}"
        ) from error


@contextlib.contextmanager
def _sink(settings: Settings, out: Path | None) -> Iterator[Sink]:
    if out is not None:
        with out.open("wb") as file:
            yield LinesFile(file)
        return
    if not settings.kafka:
        raise SettingsError(
            "no Kafka is named; give its address with --kafka or FORECLICK_KAFKA, or a file with --out"
        )
    yield Publisher(settings.kafka, settings.events_topic, client_settings=confluent_settings(settings))


@contextlib.contextmanager
def _noted(path: Path | None) -> Iterator[Callable[[int, SimulatedRecord], None]]:
    if path is None:
        yield lambda _place, _record: None
        return
    with path.open("w", encoding="utf-8") as file:
        yield lambda place, record: print(fault_line(place, record), file=file)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into an orderly end, so that what was sent is still counted."""
    caught: list[int] = []
    before = {each: signal.signal(each, lambda number, _: caught.append(number))
              for each in (signal.SIGINT, signal.SIGTERM)}  # fmt: skip
    try:
        yield lambda: bool(caught)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _progress(report: BroadcastReport) -> None:
    if sys.stderr.isatty():
        pace = report.sent / max(report.seconds, 1e-9)
        typer.echo(f"\r{report.sent:>12,} records  {pace:>10,.0f}/s", nl=False, err=True)


def _print_report(report: BroadcastReport) -> None:
    if sys.stderr.isatty():
        typer.echo("", err=True)
    for kind in KINDS:
        typer.echo(f"{kind:<10} {report.by_kind[kind]:>12,}")
    typer.echo(f"{'sent':<10} {report.sent:>12,}  in {report.seconds:.1f} s")
    typer.echo(f"{'delivered':<10} {report.delivered:>12,}")
    if not report.all_delivered:
        lost = report.sent - report.delivered
        typer.secho(f"{lost:,} records did not arrive; are the brokers well?", fg=typer.colors.RED, err=True)
