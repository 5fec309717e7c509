"""Giving a command its settings: each becomes an option, and the command gets one `Settings`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from foreclick.settings_sources import SETTINGS, Setting, load_settings

SHOWN_OPTIONS: Final = ("kafka", "redis")
PANEL: Final = "Settings (`foreclick settings` lists all; each is also an option here)"


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter ``settings: Settings`` with ``--config`` and an option for each setting.

    A setting whose name the command uses for a parameter of its own, and every secret, gets no option.
    The options stay out of the command's help, but for `SHOWN_OPTIONS`. Whatever is wrong with a setting
    raises `SettingsError` when the command runs.
    """
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    offered = [row for row in SETTINGS.values() if not row.secret and row.name not in signature.parameters]

    @wraps(command)
    def with_settings(*, config: Path | None, **options: Any) -> None:
        given = {row.name: options.pop(row.name) for row in offered}
        command(settings=load_settings(given, os.environ, config), **options)

    keyword_only = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    options = [_config_parameter(), *(_parameter(row) for row in offered)]
    with_settings.__signature__ = signature.replace(parameters=[*keyword_only, *options])  # type: ignore[attr-defined]
    with_settings.__annotations__ = {
        parameter.name: parameter.annotation for parameter in [*keyword_only, *options]
    }
    return with_settings


def _config_parameter() -> inspect.Parameter:
    about = typer.Option("--config", metavar="FILE", help="TOML file with settings.", rich_help_panel=PANEL)
    kind = Annotated[Path | None, about]
    return inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _parameter(row: Setting) -> inspect.Parameter:
    """Make the option that carries one setting; its text is parsed with the settings of all other sources."""
    about = typer.Option(
        row.option,
        help=f"{row.help[0].upper()}{row.help[1:]}.",
        metavar=row.unit.upper() or "VALUE",
        hidden=row.name not in SHOWN_OPTIONS,
        rich_help_panel=PANEL,
    )
    kind = Annotated[str | None, about]
    return inspect.Parameter(row.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
