from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.errors import SettingsError
from foreclick.settings import Settings
from foreclick.signals import end_on_sigterm_as_on_ctrl_c
from model_store.specification import NetworkName

EXIT_BROKEN = 1
EXIT_INTERRUPTED = 130


@takes_settings
def demo(
    settings: Settings,
    data: Annotated[
        Path | None, typer.Option(help="A shop's log to stream; without it, a simulated shop.")
    ] = None,
    log_format: Annotated[str, typer.Option("--format", help="The log's format, such as rees46.")] = "",
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file with the columns of a csv, jsonl or parquet log.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A trained model of the model store; without it, one is trained.")
    ] = None,
    network: Annotated[
        NetworkName | None, typer.Option(help="Network to train; else the default of `foreclick train`.")
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Shoppers of the simulated shop.")] = 1_000,
    events: Annotated[int, typer.Option(min=100, help="Events of the simulated shop.")] = 30_000,
    kills: Annotated[int, typer.Option(min=0, help="How often the worker is killed at a random moment.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated shop and of the kills.")] = 0,
    full_users: Annotated[
        int, typer.Option(min=1, help="Shoppers whose full windows are weighed in Redis.")
    ] = 2_000,
    latency_events: Annotated[
        int, typer.Option(min=1, help="Events of the pass at 500 events a second.")
    ] = 10_000,
    keep: Annotated[
        Path | None, typer.Option(help="Directory in which models, data and worker logs stay.")
    ] = None,
    headless: Annotated[
        bool, typer.Option("--headless", help="Print lines instead of a live screen.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one line of JSON on standard output.")
    ] = False,
) -> None:
    """Train a model on a shop's log, stream it through a real Kafka and Redis, and account for every line.

    Ends by itself with a summary. The exit code is 1 when a line is not accounted for, a prediction
    differs from the Keras model, or a consumer sees one twice.

    Examples:

        foreclick demo

        foreclick demo --kills 5 --seed 3

        foreclick demo --headless --json --data 2019-Oct.csv --format rees46

        foreclick demo --network transformer
    """
    from rich.console import Console

    from foreclick.demo.run import DemoOptions, run_demo
    from foreclick.demo.summary import summary_table
    from foreclick.demo.view import LiveView, PlainView
    from producers.readers import load_mapping

    if (data is None) != (log_format == ""):
        raise SettingsError("--data and --format go together: name the log and what it is, such as rees46")
    if model is not None and network is not None:
        raise SettingsError("--model serves a model as it was trained: leave --network out")
    options = DemoOptions(
        data=data,
        format_name=log_format,
        mapping=None if mapping is None else load_mapping(mapping),
        users=users,
        events=events,
        seed=seed,
        kills=kills,
        full_users=full_users,
        latency_events=latency_events,
        model=model,
        network=network,
        keep=keep,
    )
    console = Console(stderr=as_json)
    plain = headless or not console.is_terminal
    end_on_sigterm_as_on_ctrl_c()
    try:
        with PlainView(sys.stderr if as_json else sys.stdout) if plain else LiveView(console) as view:
            report = run_demo(options, settings, view)
    except KeyboardInterrupt:
        typer.echo("stopped; the servers and the worker have ended", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    console.print(summary_table(report))
    if as_json:
        typer.echo(json.dumps(report.as_fields(), allow_nan=False))
    if not report.holds:
        raise typer.Exit(EXIT_BROKEN)
