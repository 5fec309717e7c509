from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from foreclick.cleaning_rules import rules_for
from foreclick.command_settings import takes_settings
from foreclick.log_options import LogSource, reads_log
from foreclick.settings import Settings
from foreclick.training_job import TrainingJob, run_training
from model_store.features.groups import GROUP_NAMES, checked_groups
from model_store.specification import NetworkName
from model_store.training_settings import TrainingSettings, default_training_settings, read_settings

_DEFAULTS: Final = TrainingSettings(window_size=Settings().window_size)
_PARTS = "Which part of the log is for what, in shares of its time"
_NETWORK = "The network and how it learns"
_SIZES = "else 64, or 100 for a log without times"


@takes_settings
@reads_log
def train(
    settings: Settings,
    source: LogSource,
    train_until: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="End of the training part.", rich_help_panel=_PARTS)
    ] = _DEFAULTS.train_until,
    test_from: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Start of the test; else --train-until.", rich_help_panel=_PARTS),
    ] = _DEFAULTS.test_from,
    network: Annotated[
        NetworkName, typer.Option(help="Kind of network.", rich_help_panel=_NETWORK)
    ] = _DEFAULTS.network,
    units: Annotated[
        int | None,
        typer.Option(min=1, help=f"Units of the hidden state; {_SIZES}.", rich_help_panel=_NETWORK),
    ] = None,
    item_dimensions: Annotated[
        int | None,
        typer.Option(min=1, help=f"Numbers in an item's vector; {_SIZES}.", rich_help_panel=_NETWORK),
    ] = None,
    least_item_count: Annotated[
        int, typer.Option(min=1, help="Events that an item needs to be known.", rich_help_panel=_NETWORK)
    ] = _DEFAULTS.least_item_count,
    features: Annotated[
        str,
        typer.Option(
            metavar="GROUP,...", help=f"Features, of {', '.join(GROUP_NAMES)}.", rich_help_panel=_NETWORK
        ),
    ] = ",".join(_DEFAULTS.feature_groups),
    churn_horizon_ms: Annotated[
        int | None,
        typer.Option(min=1, help="Silence that is churn, ms; else by the log.", rich_help_panel=_NETWORK),
    ] = _DEFAULTS.churn_horizon_ms,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            help=f"Adam's first step size; else {_DEFAULTS.learning_rate}.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="What `foreclick tune` found; options given here come first.",
            rich_help_panel=_NETWORK,
        ),
    ] = None,
    most_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs at most.", rich_help_panel=_NETWORK)
    ] = _DEFAULTS.most_epochs,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed gives the same model.", rich_help_panel=_NETWORK)
    ] = _DEFAULTS.seed,
    work_directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the checkpoint is; else in the model store.")
    ] = None,
    clean: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|default",
            help="Clean the log, and live events, by these rules; see `foreclick clean`.",
            rich_help_panel=_PARTS,
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that learn together.", rich_help_panel=_NETWORK)
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    promote: Annotated[bool, typer.Option(help="Let workers serve the new version at once.")] = True,
) -> None:
    """Train a model on a shop's log, and put it into the model store.

    The end of the training part says when to stop; then the whole part is learned. Prints what the model
    is worth beside plain baselines, on events that it has not learned.

    Examples:

        foreclick train 2019-Oct.csv --format rees46 --train-until 0.6

        foreclick train events.jsonl --format jsonl --network transformer --no-promote

        foreclick train 2019-Oct.csv --format rees46 --clean default
    """
    found = {} if settings_file is None else read_settings(settings_file)
    given = {"units": units, "item_dimensions": item_dimensions, "learning_rate": learning_rate}
    told = default_training_settings(
        window_size=settings.window_size,
        train_until=train_until,
        test_from=test_from,
        timed=source.timed,
        network=network,
        least_item_count=least_item_count,
        feature_groups=checked_groups(features.split(",")),
        churn_horizon_ms=churn_horizon_ms,
        most_epochs=most_epochs,
        cleaning=None if clean is None else rules_for(source, clean),
        seed=seed,
        **{**found, **{name: value for name, value in given.items() if value is not None}},
    )
    job = TrainingJob(told, work_directory, resume=resume, promote=promote, processes=processes)
    run_training(source, settings, job)
