from __future__ import annotations

import asyncio
import time
from typing import Annotated, Final

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import RebuildError, SettingsError
from foreclick.progress import shown_progress
from foreclick.settings import Settings, confluent_settings
from foreclick.worker_settings import worker_config
from streamer.config import WorkerConfig
from streamer.errors import NoProgress
from streamer.ledger import Ledger
from streamer.ledger_reading import Bounds
from streamer.records import SourcePartition
from streamer.topics import topic_ids
from streamer.window_store_emptying import StateEmptier

_LOOK_AGAIN_S: Final = 0.5


@takes_settings
def rebuild(
    settings: Settings,
    partition: Annotated[
        list[int] | None, typer.Option(min=0, help="Only these partitions; give it again for more.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Show how far the workers are, until it is done.")
    ] = True,
) -> None:
    """Delete users' states in Redis, and let the workers build them anew from the events topic.

    A running worker notices and begins at once; else the next one to start does. Nothing is published
    again, and nothing new of these partitions until they have caught up. Where the topic does not reach
    back to its first record, predictions say `state: partial`.

    Examples:

        foreclick rebuild --kafka 127.0.0.1:9092 --redis redis://127.0.0.1:6379/0

        foreclick rebuild --partition 3 --yes --no-wait
    """
    config = worker_config(settings, confluent_settings(settings), profile=False)
    sources = _sources(config, settings.partitions, partition)
    settled = {source: bound.settled for source, bound in _bounds(config, sources).items()}
    unknown = sorted(source.partition for source, offset in settled.items() if offset is None)
    if unknown:
        raise RebuildError(
            f"the consumer group {config.consumer_group} has committed nothing for partitions {unknown}, so "
            "their predictions would be published again; let a worker run first, or name the others with "
            "--partition"
        )
    if not yes:
        numbers = [source.partition for source in sources]
        typer.confirm(f"Delete the states of partitions {numbers} and build them anew?", abort=True)
    emptier = StateEmptier(
        config.redis_url,
        config.redis_prefix,
        config.redis_timeout_ms,
        config.redis_options,
        cluster=config.redis_cluster,
    )
    for source in sources:
        count = emptier.empty(source)
        typer.echo(f"partition {source.partition}: {count:,} states deleted")
    if wait:
        _wait(emptier, {source: offset or 0 for source, offset in settled.items()}, config.stall_limit_ms)


def _sources(config: WorkerConfig, count: int, wanted: list[int] | None) -> list[SourcePartition]:
    numbers = sorted(set(wanted)) if wanted else list(range(count))
    if numbers[-1] >= count:
        raise SettingsError(f"{config.events_topic} has no partition {numbers[-1]}; it has {count}")
    ids = topic_ids(config.kafka, config.kafka_security, [config.events_topic])
    return [SourcePartition(ids[config.events_topic], number) for number in numbers]


def _bounds(config: WorkerConfig, sources: list[SourcePartition]) -> dict[SourcePartition, Bounds]:
    ledger = Ledger(
        config.kafka,
        config.events_topic,
        config.ledger_topic,
        config.consumer_group,
        config.redis_prefix,
        config.kafka_security,
    )
    try:
        found = asyncio.run(ledger.bounds(sources))
    finally:
        ledger.close()
    return {source: found[source.partition] for source in sources}


def _wait(emptier: StateEmptier, settled: dict[SourcePartition, int], stall_limit_ms: int) -> None:
    """Show how far the states have come, until all have caught up. Raises `NoProgress` when nothing moves."""
    total, moved_s, last = sum(settled.values()), time.monotonic(), -1
    with shown_progress("rebuilding", total) as update:
        while True:
            reached = {source: emptier.offset(source) or 0 for source in settled}
            done = sum(min(reached[source], offset) for source, offset in settled.items())
            update(done, f"{done:,} records")
            if done >= total:
                break
            if done != last:
                moved_s, last = time.monotonic(), done
            elif time.monotonic() - moved_s > stall_limit_ms / 1000:
                raise NoProgress(
                    "the states are deleted, but no worker builds them anew; the next `foreclick worker` does"
                )
            time.sleep(_LOOK_AGAIN_S)
    typer.echo(f"all {len(settled)} partitions have caught up")
