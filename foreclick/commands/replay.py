from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import SettingsError
from foreclick.log_options import LogSource, reads_log
from foreclick.replay_job import run_replay
from foreclick.replay_options import ReplayOptions
from foreclick.settings import Settings

_WHEN = "When events are sent"
_WHICH = "Which events are sent"


@takes_settings
@reads_log
def replay(
    settings: Settings,
    source: LogSource,
    speed: Annotated[
        str, typer.Option(metavar="X|max", help="Times the log's own speed.", rich_help_panel=_WHEN)
    ] = "1",
    rate: Annotated[
        float | None,
        typer.Option(metavar="EVENTS/S", help="This rate, whatever the log's times.", rich_help_panel=_WHEN),
    ] = None,
    max_gap: Annotated[
        float, typer.Option(metavar="S", help="Longest wait; longer gaps are cut.", rich_help_panel=_WHEN)
    ] = 60.0,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Events from then on.", rich_help_panel=_WHICH),
    ] = None,
    to: Annotated[
        str | None, typer.Option(metavar="TIME", help="Events before then.", rich_help_panel=_WHICH)
    ] = None,
    users: Annotated[
        str | None,
        typer.Option(metavar="N|FILE", help="A sample of N users, or those in FILE.", rich_help_panel=_WHICH),
    ] = None,
    loop: Annotated[
        int, typer.Option(metavar="N", help="Times over, with other ids and later times.", min=1)
    ] = 1,
    shift_to_now: Annotated[
        bool, typer.Option("--shift-to-now", help="Move all times by one amount, up to now.")
    ] = False,
    sort: Annotated[bool, typer.Option("--sort", help="Sort the log by time first, on disk.")] = False,
    sort_directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to sort; needs room for two copies of the log.")
    ] = None,
    allow_disorder: Annotated[
        float, typer.Option(metavar="S", help="How late a line may be in a log that is in order.", min=0.0)
    ] = 60.0,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the place that was reached in FILE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the place in --checkpoint.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="End with one JSON line.")] = False,
) -> None:
    """Publish a log's events to the events topic, with the log's own gaps between them.

    The log is looked through first: that tells what is wrong with it, and how long the replay will take.
    Ctrl-C stops it cleanly; with --checkpoint it can be resumed where it stopped, even after a crash.
    The exit code is 0 only if every event was acknowledged by the brokers. TIME is ISO 8601 or Unix ms.

    Examples:

        foreclick replay 2019-Oct.csv --format rees46 --kafka 127.0.0.1:9092 --speed 60

        foreclick replay train.jsonl --format otto --sort --speed max --shift-to-now --json

        foreclick replay 2019-Oct.csv --format rees46 --rate 500 --checkpoint place.json --resume
    """
    if not settings.kafka:
        raise SettingsError(
            "no Kafka is named; give its address with --kafka or FORECLICK_KAFKA, "
            "or start one with `foreclick services up`"
        )
    options = ReplayOptions(
        speed=speed, rate=rate, max_gap_s=max_gap, from_time=from_, to_time=to, users=users, loops=loop,
        shift_to_now=shift_to_now, sort=sort, sort_directory=sort_directory,
        allow_disorder_s=allow_disorder, checkpoint=checkpoint, resume=resume,
    )  # fmt: skip
    raise typer.Exit(run_replay(source, options, settings, show_json=json_))
