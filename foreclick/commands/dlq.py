from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

import typer
from rich.console import Console

from foreclick.command_settings import takes_settings
from foreclick.dead_letter_options import (
    AsJson,
    Numbers,
    Reasons,
    Since,
    Until,
    letter_filter,
    parsed_place,
    time_ms,
)
from foreclick.dead_letter_view import (
    Row,
    counted,
    letter_table,
    reason_json,
    reason_table,
    summary_json,
    whole_in_words,
    whole_json,
)
from foreclick.errors import SettingsError
from foreclick.progress import shown_progress
from foreclick.settings import Settings, confluent_settings
from streamer.dead_letters import LetterBox, LetterFilter
from streamer.letter_replay import LetterReplay, ReplayCounts, put_back_before

app = typer.Typer(no_args_is_help=True)
_READS_BETWEEN_UPDATES = 1_000


@app.command("list")
@takes_settings
def list_letters(
    settings: Settings,
    reason: Reasons = None,
    partition: Numbers = None,
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(min=0, help="End after so many; 0 shows all.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters: where they lie, when, why, and whether they were put back. No key, no value.

    A letter that was published twice, as after a crash, is listed once.

    Examples:

        foreclick dlq list --kafka 127.0.0.1:9092 --reason too_late --since 6h

        foreclick dlq list --partition 3 --limit 0 --json
    """
    rows = _rows(settings, letter_filter(reason, partition, since, until))
    shown = ((letter, put_back) for letter, repeat, put_back in rows if not repeat)
    chosen = list(islice(shown, limit or None))
    if as_json:
        for letter, put_back in chosen:
            typer.echo(json.dumps(summary_json(letter, put_back=put_back)))
    elif not chosen:
        typer.echo("no dead letters of that kind")
    else:
        Console(soft_wrap=True).print(letter_table(chosen), markup=False)


@app.command()
@takes_settings
def show(
    settings: Settings,
    letter: Annotated[
        str, typer.Argument(metavar="PARTITION:OFFSET", help="As `foreclick dlq list` shows it.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter whole: its reason, its history, its key and value.

    Example:

        foreclick dlq show 3:1207 --kafka 127.0.0.1:9092
    """
    wanted = LetterFilter(places=[parsed_place(letter)])
    for found, _, put_back in _rows(settings, wanted):
        if as_json:
            typer.echo(json.dumps(whole_json(found, put_back=put_back), indent=1))
        else:
            typer.echo("\n".join(whole_in_words(found, put_back=put_back)))
        return
    raise SettingsError(
        f"there is no dead letter {letter} (any more); `foreclick dlq list` shows what is there"
    )


@app.command()
@takes_settings
def stats(
    settings: Settings,
    reason: Reasons = None,
    partition: Numbers = None,
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Count dead letters by reason: how many, from when to when, and how many were put back.

    Example:

        foreclick dlq stats --kafka 127.0.0.1:9092 --since 1d --json
    """
    counts = counted(_rows(settings, letter_filter(reason, partition, since, until)))
    if as_json:
        typer.echo(json.dumps(reason_json(counts), indent=1))
    elif not counts:
        typer.echo("no dead letters of that kind")
    else:
        Console(soft_wrap=True).print(reason_table(counts))


@app.command()
@takes_settings
def replay(
    settings: Settings,
    letters: Annotated[
        list[str] | None, typer.Argument(metavar="[PARTITION:OFFSET]...", help="Only these letters.")
    ] = None,
    reason: Reasons = None,
    partition: Numbers = None,
    since: Since = "",
    until: Until = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Put back all letters, without a choice.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be put back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into the events topic with their bytes and their history, each once.

    Run it after what made them is mended. It may be killed and run again: what was put back is recognised.
    An event that becomes a dead letter once more is a new letter, and can be put back again.

    Examples:

        foreclick dlq replay --reason too_late --since 6h --dry-run

        foreclick dlq replay 3:1207 3:1209 --kafka 127.0.0.1:9092
    """
    wanted = letter_filter(reason, partition, since, until, places=letters)
    if wanted == LetterFilter(frozenset(), frozenset(), places=frozenset()) and not everything:
        raise SettingsError("say which letters to put back (--reason, --since, PARTITION:OFFSET), or --all")
    counts = _counted_only(settings, wanted) if dry_run else _put_back(settings, wanted)
    said = {"dry_run": dry_run, "put_back": counts.put_back, "put_back_before": counts.put_back_before}
    if as_json:
        typer.echo(json.dumps(said))
    else:
        what = "would be put back" if dry_run else "put back"
        typer.echo(f"{counts.put_back:,} {what}, {counts.put_back_before:,} were before or are repeats")


@app.command()
@takes_settings
def purge(
    settings: Settings,
    before: Annotated[
        str, typer.Option(metavar="TIME", help="Delete what lies before the first record of this time.")
    ] = "",
    upto: Annotated[
        list[str] | None,
        typer.Option("--up-to", metavar="PARTITION:OFFSET", help="Delete up to this letter, and it too."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all that is there now.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete dead letters for good, from the oldest on. What retention would delete later goes now.

    Examples:

        foreclick dlq purge --before 7d --kafka 127.0.0.1:9092

        foreclick dlq purge --up-to 3:1207 --yes
    """
    if sum((bool(before), bool(upto), everything)) != 1:
        raise SettingsError("say what to delete: one of --before TIME, --up-to PARTITION:OFFSET and --all")
    box = _box(settings)
    ranges = box.ranges()
    if before:
        limits = box.offsets_at(time_ms(before, datetime.now(UTC)))
    elif upto:
        limits = {number: offset + 1 for number, offset in map(parsed_place, upto)}
    else:
        limits = {number: end for number, (_, end) in ranges.items()}
    unknown = limits.keys() - ranges.keys()
    if unknown:
        raise SettingsError(f"{box.topic} has no partition {min(unknown)}")
    limits = {number: min(limit, ranges[number][1]) for number, limit in limits.items()}
    limits = {number: limit for number, limit in limits.items() if limit > ranges[number][0]}
    count = sum(limit - ranges[number][0] for number, limit in limits.items())
    if not count:
        typer.echo("nothing to delete")
        return
    if not yes:
        typer.confirm(f"Delete {count:,} records of {box.topic} for good?", abort=True)
    box.delete_before(limits)
    typer.echo(f"deleted {count:,} records")


def _box(settings: Settings) -> LetterBox:
    if not settings.kafka:
        raise SettingsError("no Kafka is named; give its address with --kafka or FORECLICK_KAFKA")
    return LetterBox(settings.kafka, settings.dead_letters_topic, confluent_settings(settings))


def _rows(settings: Settings, wanted: LetterFilter) -> Iterator[Row]:
    with _reading(settings) as (box, update):
        done = put_back_before(settings.kafka, settings.replays_topic, confluent_settings(settings))
        for letter, repeat in box.letters(wanted, update):
            yield letter, repeat, letter.source in done


def _counted_only(settings: Settings, wanted: LetterFilter) -> ReplayCounts:
    counts = ReplayCounts()
    for _, repeat, put_back in _rows(settings, wanted):
        counts.put_back += not (repeat or put_back)
        counts.put_back_before += repeat or put_back
    return counts


def _put_back(settings: Settings, wanted: LetterFilter) -> ReplayCounts:
    topics = (settings.events_topic, settings.replays_topic)
    with (
        _reading(settings) as (box, update),
        LetterReplay.opened(settings.kafka, *topics, confluent_settings(settings)) as replay,
    ):
        return replay.put_back(letter for letter, _ in box.letters(wanted, update))


@contextmanager
def _reading(settings: Settings) -> Iterator[tuple[LetterBox, Any]]:
    """Give the letters' topic, and what shows how far it is read."""
    box = _box(settings)
    total = sum(end - first for first, end in box.ranges().values())
    with shown_progress("reading dead letters", total) as update:

        def note(count: int) -> None:
            if count % _READS_BETWEEN_UPDATES == 0:
                update(count, f"{count:,} letters")

        yield box, note
