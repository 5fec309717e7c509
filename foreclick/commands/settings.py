from __future__ import annotations

from typing import Annotated

import typer

from foreclick.command_settings import takes_settings
from foreclick.settings import Settings
from foreclick.settings_view import markdown_page, settings_table


@takes_settings
def show(
    settings: Settings,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md instead.")] = False,
) -> None:
    """Show every setting with its value in force, and where to set it. Passwords are masked.

    Examples:

        foreclick settings

        foreclick settings --config shop.toml --window-size 50

        foreclick settings --markdown > docs/settings.md
    """
    typer.echo(markdown_page() if markdown else settings_table(settings), nl=False)
