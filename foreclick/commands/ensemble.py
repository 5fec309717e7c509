from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from foreclick.command_settings import takes_settings
from foreclick.errors import ForeclickError
from foreclick.log_options import LogSource, reads_log
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from foreclick.training_job import stored_events
from model_store.artifacts import ModelStore

if TYPE_CHECKING:
    from model_store.ensemble.making import MadeEnsemble


@takes_settings
@reads_log
def ensemble(
    settings: Settings,
    source: LogSource,
    of: Annotated[
        list[str],
        typer.Option(metavar="MODEL[/VERSION]", help="A recurrent network to take part; repeat."),
    ],
    name: Annotated[str, typer.Option(metavar="MODEL", help="Name under which to publish it.")] = "ensemble",
    knn: Annotated[bool, typer.Option(help="Let the nearest sessions take part.")] = True,
    markov: Annotated[bool, typer.Option(help="Let the items that follow others take part.")] = True,
    promote: Annotated[bool, typer.Option(help="Let workers serve it if it beats its parts.")] = True,
) -> None:
    """Weigh networks, session kNN and a Markov chain together, and publish them as one version to serve.

    The log is the one that the networks were trained on, with the same parts. The weights are fitted on its
    validation part, which the parts of the ensemble have not learned at that time. Prints what the ensemble
    is worth there beside each part, by weights that were fitted on the other half of the users.

    Examples:

        foreclick ensemble sessions.tsv --format sessions --of gru/0001-1a2b3c4d --of gru/0002-5e6f7a8b

        foreclick ensemble sessions.tsv --format sessions --of gru --no-knn --name ordered
    """
    with importing_tensorflow():  # it takes seconds
        from model_store.ensemble.making import make_ensemble

    store, console = ModelStore(settings.model_store), Console()
    networks = [_version(store, one, settings.model_alias) for one in of]
    if len(set(networks)) < len(networks):
        raise ForeclickError("--of names a version twice: name each network once")
    with (
        tempfile.TemporaryDirectory() as directory,
        stored_events(source, Path(directory), console) as table,
    ):
        made = make_ensemble(table, store, name, networks, neighbours=knn, followers=markov)
    _show(made, networks, console)
    if made.better_part is not None:
        console.print(f"The ensemble is no better than {made.better_part}: serve that one alone.")
    elif promote:
        store.promote(name, made.version, settings.model_alias)
    console.print(f"{name} {made.version}")


def _version(store: ModelStore, named: str, alias: str) -> tuple[str, str]:
    name, _, version = named.partition("/")
    return name, version or store.resolve(name, alias)


def _show(made: MadeEnsemble, networks: list[tuple[str, str]], console: Console) -> None:
    table = Table(title=f"Next items of {made.pairs:,} events of the validation part")
    for column in ("", "recall@20", "MRR@20", "weight"):
        table.add_column(column, justify="left" if not column else "right")
    labels = {f"network {number}": "/".join(network) for number, network in enumerate(networks)}
    for name, score in made.scores.items():
        weight = made.weights.get(name)
        table.add_row(
            labels.get(name, name),
            f"{score.recall_at_20:.4f}",
            f"{score.mrr_at_20:.4f}",
            "" if weight is None else f"{weight:.2f}",
        )
    console.print(table)
