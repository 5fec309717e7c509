from __future__ import annotations

from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import SettingsError
from foreclick.growing import grow_topics
from foreclick.settings import Settings
from foreclick.topics import create_topics


@takes_settings
def topics(
    settings: Settings,
    grow: Annotated[
        int | None,
        typer.Option(
            "--grow",
            metavar="PARTITIONS",
            min=1,
            help="Add partitions, up to this multiple of the present number. Pause the producers meanwhile.",
        ),
    ] = None,
) -> None:
    """Create the topics of events, predictions, dead letters, the ledger and replays where they are missing.

    Topics that exist are left as they are. Dead letters are kept longer and may be larger than events.

    Examples:

        foreclick topics --kafka 127.0.0.1:9092

        foreclick topics --kafka broker:9092 --topic-prefix shop --partitions 12 --retention-ms 86400000

        foreclick topics --kafka broker:9092 --topic-prefix shop --grow 24
    """
    if not settings.kafka:
        raise SettingsError(
            "no Kafka is named; give its address with --kafka or FORECLICK_KAFKA, "
            "or start one with `foreclick services up`"
        )
    if grow is not None:
        for name in grow_topics(settings, grow):
            typer.echo(f"{name} has {grow} partitions")
        typer.echo(f"set partitions = {grow} from now on")
        return
    made = create_topics(settings)
    for name in made:
        typer.echo(f"created {name}")
    if not made:
        typer.echo(f"all topics of {settings.topic_prefix} exist")
