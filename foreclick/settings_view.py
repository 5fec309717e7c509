"""Showing the table of settings: to a person in the terminal, and as the page `docs/settings.md`."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from foreclick.settings import Settings
from foreclick.settings_sources import SETTINGS, Setting

MASK: Final = "********"
_INTRODUCTION: Final = """\
# Settings

This page is made by `foreclick settings --markdown`; a test holds it equal. Each setting can be given in four
places. The first of these that names it wins:

1. the command line: `--window-size 50` (not for passwords, which others could read there);
2. the environment: `FORECLICK_WINDOW_SIZE=50`;
3. a TOML file: `window_size = 50`, the file given with `--config FILE` or in `FORECLICK_CONFIG`;
4. the default below.

An unknown name is an error, so a misspelt setting cannot pass unnoticed. `foreclick settings` shows the
values in force, passwords masked.

| setting | default | unit | range | meaning |
| --- | --- | --- | --- | --- |
"""


def settings_table(settings: Settings) -> str:
    """Give one line for each setting: name, value and meaning. Secrets are masked."""
    values = {name: shown_value(row, getattr(settings, name)) for name, row in SETTINGS.items()}
    name_width = max(map(len, values))
    value_width = min(40, max(map(len, values.values())))
    lines = [
        f"{name:{name_width}}  {value:{value_width}}  {_meaning(SETTINGS[name])}\n"
        for name, value in values.items()
    ]
    return "".join(lines)


def markdown_page() -> str:
    """Give the whole of `docs/settings.md`."""
    return _INTRODUCTION + "".join(_markdown_row(row) for row in SETTINGS.values())


def shown_value(row: Setting, value: object) -> str:
    """Give a setting's value for showing: a secret, or the password inside a URL, is masked."""
    text = "" if value is None else str(value)
    if row.secret:
        return MASK if text else ""
    password = urlsplit(text).password if "://" in text else None
    return text.replace(f":{password}@", f":{MASK}@") if password else text


def _meaning(row: Setting) -> str:
    return f"{row.help} [{row.unit}]" if row.unit else row.help


def _markdown_row(row: Setting) -> str:
    default = f"`{shown_value(row, row.default)}`" if row.default not in (None, "") else ""
    return f"| `{row.name}` | {default} | {row.unit} | {_range(row)} | {row.help} |\n"


def _range(row: Setting) -> str:
    if row.secret:
        return "secret"
    if row.choices:
        return ", ".join(row.choices)
    if row.least is None:
        return ""
    return f"{row.least:,g} to {row.most:,g}" if row.most is not None else f"at least {row.least:,g}"
