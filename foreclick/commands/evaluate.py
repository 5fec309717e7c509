from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from foreclick.command_settings import takes_settings
from foreclick.evaluation_job import EvaluationJob, run_evaluation
from foreclick.log_options import LogSource, reads_log
from foreclick.settings import Settings

_PARTS: Final = "Which part of the log is for what, in shares of its time"


@takes_settings
@partial(reads_log, named=True)
def evaluate(
    settings: Settings,
    source: LogSource,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL[/VERSION]", help="Else the version that serves --model-name."),
    ] = None,
    train_until: Annotated[
        float,
        typer.Option(min=0.001, max=1.0, help="End of the baselines' training part.", rich_help_panel=_PARTS),
    ] = 0.6,
    test_from: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Start of what is measured.", rich_help_panel=_PARTS)
    ] = 0.75,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where evaluation.json and evaluation.html go.")
    ] = Path("evaluation"),
    naive_epochs: Annotated[
        int, typer.Option(min=0, help="Of the naive example; 100 as written, 0 leaves it out.")
    ] = 0,
) -> None:
    """Measure a model as it is served, beside plain baselines on the same events, and write a report.

    The baselines learn the log up to --train-until; how to bet is fitted between the two shares; the rest is
    measured. Train the model on no more than that: foreclick train LOG --train-until 0.6.

    Examples:

        foreclick evaluate --data 2019-Oct.csv --format rees46 --out report

        foreclick evaluate gru/0002-1a2b3c4d --data shop.jsonl --format jsonl --naive-epochs 100
    """
    run_evaluation(source, settings, EvaluationJob(model, train_until, test_from, out, naive_epochs))
