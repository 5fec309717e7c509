from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foreclick.cleaning_rules import rules_for
from foreclick.command_settings import takes_settings
from foreclick.log_options import LogSource, reads_log
from foreclick.settings import Settings


@takes_settings
@reads_log
def clean(
    settings: Settings,
    source: LogSource,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The cleaned events, as JSON lines; .gz gzips them."),
    ] = None,
    rules: Annotated[
        str, typer.Option(metavar="FILE", help="TOML file with the rules; else the defaults for this log.")
    ] = "default",
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="The report, as JSON.")] = None,
    train_until: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Share of the time that the rules learn from.")
    ] = 1.0,
    show_rules: Annotated[
        bool, typer.Option("--show-rules", help="Print the rules as JSON, and do nothing else.")
    ] = False,
) -> None:
    """Clean a log: duplicates, missing values and anomalies, each rule dropping, repairing or flagging.

    Prints what each rule touched: counts, and the first lines. The same rules clean live events when a model
    is trained with them: `foreclick train --clean default`.

    Examples:

        foreclick clean 2019-Oct.csv --format rees46 --out cleaned.jsonl --report report.json

        foreclick clean clicks.csv --format csv --rules rules.toml --out cleaned.jsonl.gz

        foreclick clean 2019-Oct.csv --format rees46 --show-rules
    """
    import msgspec

    chosen = rules_for(source, rules)
    if show_rules:
        typer.echo(json.dumps(msgspec.to_builtins({"rules": chosen}), indent=2))
        return
    if out is None:
        raise typer.BadParameter("say where the cleaned events go, with --out FILE")
    from foreclick.cleaning_job import CleaningJob, run_cleaning

    run_cleaning(source, CleaningJob(chosen, settings.window_size, train_until, out, report))
