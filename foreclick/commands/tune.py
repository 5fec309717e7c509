from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.log_options import LogSource, reads_log
from foreclick.settings import Settings
from foreclick.tuning_job import TuningJob, run_tuning
from model_store.specification import NetworkName
from model_store.training_settings import default_training_settings


@takes_settings
@reads_log
def tune(
    settings: Settings,
    source: LogSource,
    trials: Annotated[
        int, typer.Option(min=1, help="Trials in all, earlier ones of --resume included.")
    ] = 20,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that try settings side by side.")] = 1,
    storage: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the trials are kept; else in the model store.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials in the storage.")] = False,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the best settings go, as TOML.")] = Path(
        "tuned.toml"
    ),
    train_until: Annotated[float, typer.Option(min=0.001, max=1.0, help="End of the training part.")] = 1.0,
    network: Annotated[NetworkName, typer.Option(help="Kind of network.")] = "gru",
    most_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of a trial at most.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same first trials.")] = 0,
) -> None:
    """Search for better settings of `foreclick train` on a shop's log.

    Each trial learns the training part without its end, and is judged on that end. The first one takes the
    defaults, and a trial that is worse than most is stopped early. Ctrl-C keeps what has ended.

    Examples:

        foreclick tune 2019-Oct.csv --format rees46 --train-until 0.6 --trials 40 --jobs 2

        foreclick tune sessions.tsv --format sessions --storage trials.jsonl --resume --trials 80

        foreclick train sessions.tsv --format sessions --settings tuned.toml
    """
    defaults = default_training_settings(
        window_size=settings.window_size,
        timed=source.timed,
        train_until=train_until,
        network=network,
        most_epochs=most_epochs,
        seed=seed,
    )
    place = storage or settings.model_store / ".tuning" / f"{settings.model_name}.jsonl"
    run_tuning(source, TuningJob(defaults, trials, jobs, place, out, resume))
