from __future__ import annotations

from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import SettingsError
from foreclick.settings import Settings, confluent_settings


@takes_settings
def watch(
    settings: Settings,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each prediction as it is, one a line.")
    ] = False,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest prediction kept.")
    ] = False,
    count: Annotated[int, typer.Option(min=0, help="End after so many; 0 goes on until Ctrl-C.")] = 0,
) -> None:
    """Show predictions in words as they come, each once. Shoppers go by the start of a hash of their id.

    Examples:

        foreclick watch --kafka 127.0.0.1:9092

        foreclick watch --from-start --count 100 --json
    """
    from itertools import islice

    from foreclick.demo.words import in_words
    from streamer.client import PredictionConsumer
    from streamer.predictions import encode_prediction

    if not settings.kafka:
        raise SettingsError("no Kafka is named; give its address with --kafka or FORECLICK_KAFKA")
    try:
        with PredictionConsumer(
            settings.kafka,
            settings.predictions_topic,
            newest=not from_start,
            security=confluent_settings(settings),
        ) as consumer:
            for prediction in islice(consumer, count or None):
                typer.echo(encode_prediction(prediction) if as_json else in_words(prediction))
    except KeyboardInterrupt:
        return
