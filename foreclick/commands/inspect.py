from __future__ import annotations

import json
from typing import Annotated

import typer

from foreclick.log_options import LogSource, reads_log
from foreclick.survey_report import as_json, in_words, read_with_progress
from producers.survey import Surveyor


@reads_log
def inspect(
    source: LogSource,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON line instead.")] = False,
) -> None:
    """Read a whole log and tell what it holds: lines, events, rejected lines by reason, times, and order.

    Examples:

        foreclick inspect 2019-Oct.csv.gz --format rees46

        foreclick inspect clicks.csv --format csv --map user_id=visitor --map event_time_ms=at
    """
    survey = Surveyor().look(read_with_progress(source, "reading"))
    typer.echo(json.dumps(as_json(survey)) if json_ else "\n".join(in_words(survey)))
