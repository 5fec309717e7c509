from __future__ import annotations

import json
from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.specification import METRICS_FILE, NETWORK_FILE

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
    fields = {
        "name": name,
        "version": shown,
        "aliases": [alias for alias, target in store.aliases(name).items() if target == shown],
        "directory": str(directory),
        "network": json.loads((directory / NETWORK_FILE).read_bytes()),
        "metrics": json.loads((directory / METRICS_FILE).read_bytes()),
    }
    typer.echo(json.dumps(fields, indent=1))


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
