from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.quiet import importing_tensorflow
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.specification import ENSEMBLE_FILE, METRICS_FILE, NETWORK_FILE

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]


@app.command("list")
@takes_settings
def list_models(settings: Settings) -> None:
    """List the models of the store, their versions and the aliases of these."""
    store = ModelStore(settings.model_store)
    names = store.models()
    if not names:
        typer.echo(f"no models in {settings.model_store}: make one with `foreclick train`")
    for name in names:
        aliases = store.aliases(name)
        for version in store.versions(name):
            held = ", ".join(alias for alias, target in aliases.items() if target == version)
            typer.echo(f"{name}  {version}  {held}".rstrip())


@app.command()
@takes_settings
def show(
    settings: Settings,
    name: Name,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="Else the one that --model-alias names.")
    ] = None,
) -> None:
    """Verify a version's files and print, as JSON, its shape, its measures and the aliases it has."""
    store = ModelStore(settings.model_store)
    shown = version or store.resolve(name, settings.model_alias)
    directory = store.path(name, shown)
    ensemble = directory / ENSEMBLE_FILE
    network = ensemble if ensemble.exists() else directory / NETWORK_FILE
    fields = {
        "name": name,
        "version": shown,
        "aliases": [alias for alias, target in store.aliases(name).items() if target == shown],
        "directory": str(directory),
        "network": json.loads(network.read_bytes()),
        "metrics": json.loads((directory / METRICS_FILE).read_bytes()),
    }
    typer.echo(json.dumps(fields, indent=1))


@app.command("import")
@takes_settings
def import_model(
    settings: Settings,
    file: Annotated[Path, typer.Argument(metavar="FILE.keras", help="A model that Keras 3 has saved.")],
    encoder_from: Annotated[
        str, typer.Option(metavar="MODEL[/VERSION]", help="Whose encoder made the inputs it was trained on.")
    ],
    name: Annotated[str, typer.Option(metavar="MODEL", help="Name under which to publish it.")],
    promote: Annotated[bool, typer.Option(help="Let workers serve the version at once.")] = True,
) -> None:
    """Check somebody's own Keras model, and publish it as a version that workers serve.

    It is held to the inputs and heads of docs/models.md, "Bring your own model"; each failing check is named.

    Example:

        foreclick models import mine.keras --encoder-from gru --name mine
    """
    with importing_tensorflow():  # it takes seconds
        from model_store.importing.publishing import import_model as publish

    store = ModelStore(settings.model_store)
    model, _, version = encoder_from.partition("/")
    version = version or store.resolve(model, settings.model_alias)
    published = publish(file, store, (model, version), name)
    if promote:
        store.promote(name, published, settings.model_alias)
    typer.echo(f"{file} is {name} {published}")


@app.command()
@takes_settings
def promote(
    settings: Settings,
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version to serve.")],
) -> None:
    """Let the alias (--model-alias, champion by default) name a version. Workers pick it up by themselves."""
    ModelStore(settings.model_store).promote(name, version, settings.model_alias)
    typer.echo(f"{settings.model_alias} of {name} is {version}")
