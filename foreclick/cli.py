"""The command line. A command's module is imported only when that command is asked for, so help is quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from typing import Annotated, Final, NamedTuple

import typer


class Command(NamedTuple):
    """Where a command is: ``module:name`` of a function, or of a `typer.Typer` that holds several."""

    target: str
    help: str


COMMANDS: Final[dict[str, Command]] = {
    "demo": Command("foreclick.commands.demo:demo", "Train a model, stream a shop through it, and watch."),
    "services": Command("foreclick.commands.services:app", "Run Kafka and Valkey here, without Docker."),
    "topics": Command("foreclick.commands.topics:topics", "Create the topics that are missing."),
    "replay": Command("foreclick.commands.replay:replay", "Publish the events of a shop's log."),
    "inspect": Command(
        "foreclick.commands.inspect:inspect", "Tell what a log holds, and what is wrong with it."
    ),
    "clean": Command("foreclick.commands.clean:clean", "Clean a log by declared rules."),
    "simulate": Command("foreclick.commands.simulate:simulate", "Publish the events of a made-up shop."),
    "collect": Command("foreclick.commands.collect:collect", "Accept events over HTTP and publish them."),
    "train": Command("foreclick.commands.train:train", "Train a model from a log."),
    "tune": Command("foreclick.commands.tune:tune", "Search for better settings of a training."),
    "ensemble": Command(
        "foreclick.commands.ensemble:ensemble", "Weigh trained networks, kNN and Markov together."
    ),
    "models": Command("foreclick.commands.models:app", "List, show and promote trained models."),
    "evaluate": Command("foreclick.commands.evaluate:evaluate", "Measure a served model beside baselines."),
    "export-behavior": Command(
        "foreclick.commands.export_behavior:export_behavior", "Write the naive example's CSV from a log."
    ),
    "worker": Command("foreclick.commands.worker:worker", "Score events as they come."),
    "rebuild": Command("foreclick.commands.rebuild:rebuild", "Build users' states anew from the events."),
    "watch": Command("foreclick.commands.watch:watch", "Show predictions as they come."),
    "dlq": Command("foreclick.commands.dlq:app", "List, show, put back and delete dead letters."),
    "schema": Command("foreclick.commands.schema:schema", "Print the contract as JSON Schema or AsyncAPI."),
    "settings": Command("foreclick.commands.settings:show", "Show every setting and where to set it."),
}

# The base of each room's error tree. Their texts are written for the person who typed the command.
ERROR_TREES: Final = (
    "foreclick.errors:ForeclickError",
    "streamer.errors:StreamerError",
    "model_store.errors:ModelStoreError",
    "producers.errors:ProducerError",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 when it did its work, 1 when it could not, 2 when it was typed wrongly.

    An error that a later try may be spared, such as a server that is down, can have a code of its own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build_app(words)(args=words, prog_name="foreclick")
    except _shown_errors() as error:
        typer.secho(f"foreclick: {error}", fg=typer.colors.RED, err=True)
        sys.exit(getattr(error, "exit_code", 1))


def build_app(words: Sequence[str]) -> typer.Typer:
    """Build the command line for these words: the named command whole, the others as a name and a line."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help="Live predictions from a shop's clickstream: events in through Kafka, predictions out.",
        epilog="Start with `foreclick demo`. `foreclick COMMAND --help` has examples.",
    )
    app.callback()(_common_options)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, command in COMMANDS.items():
        found = _import(command.target) if name == wanted else _placeholder
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, help=command.help)
        else:
            app.command(name, short_help=command.help)(found)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"foreclick {metadata.version('foreclick')}")
        raise typer.Exit


def _common_options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Hold what comes before a command; the help text is the application's own."""


def _placeholder() -> None:
    """Stand for a command that was not asked for."""


def _import(target: str) -> typer.Typer | Callable[..., None]:
    module, _, name = target.partition(":")
    found: typer.Typer | Callable[..., None] = getattr(import_module(module), name)
    return found


def _shown_errors() -> tuple[type[Exception], ...]:
    """Give the error trees that this run has loaded; an error of another cannot have been raised."""
    loaded = [(sys.modules.get(tree.partition(":")[0]), tree.partition(":")[2]) for tree in ERROR_TREES]
    return tuple(getattr(module, name) for module, name in loaded if module is not None)
