"""Filling `Settings` from the command line, the environment and a TOML file, in that order of precedence."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Final, cast, get_args, get_type_hints
from urllib.parse import urlsplit

from foreclick.errors import SettingsError
from foreclick.settings import Settings

ENVIRONMENT_PREFIX: Final = "FORECLICK_"
CONFIG_VARIABLE: Final = "FORECLICK_CONFIG"


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. ``kind`` is str, int, float or Path; only a Path may be None."""

    name: str
    kind: type[str] | type[int] | type[float] | type[Path]
    default: str | int | float | Path | None
    help: str
    unit: str
    least: float | None
    most: float | None
    choices: tuple[str, ...]
    secret: bool

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def option(self) -> str:
        """Name of the command-line option."""
        return "--" + self.name.replace("_", "-")


def _table() -> dict[str, Setting]:
    hints = get_type_hints(Settings)
    rows = {}
    for row in fields(Settings):
        kinds = [kind for kind in get_args(hints[row.name]) or (hints[row.name],) if kind is not NoneType]
        default = cast("str | int | float | Path | None", row.default)
        rows[row.name] = Setting(name=row.name, kind=kinds[0], default=default, **row.metadata)
    return rows


SETTINGS: Final[Mapping[str, Setting]] = _table()


def load_settings(
    command_line: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None
) -> Settings:
    """Fill the settings: the command line over ``FORECLICK_*`` over the TOML file over the defaults.

    ``command_line`` holds setting names; a value of None means "not given". Without ``config``, the file
    that ``FORECLICK_CONFIG`` names is read. Raises `SettingsError` where a name is unknown, a value does not
    fit, the file cannot be read, or a secret stands on the command line.
    """
    named = environment.get(CONFIG_VARIABLE)
    config = config or (Path(named) if named else None)
    given: dict[str, Any] = {}
    if config is not None:
        given |= _from_file(config)
    given |= _from_environment(environment)
    given |= _from_command_line(command_line)
    return Settings(**given)


def _from_file(path: Path) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}; write lines such as: window_size = 20") from error
    values: dict[str, object] = {}
    for name, value in document.items():
        if name not in SETTINGS:
            raise SettingsError(f"{path}: {name!r} is no setting{_nearest(name, SETTINGS)}")
        values[name] = _parsed(SETTINGS[name], value, f"{path}: {name}")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    by_variable = {setting.variable: setting for setting in SETTINGS.values()}
    values: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in by_variable:
            hint = _nearest(variable, by_variable, ENVIRONMENT_PREFIX)
            raise SettingsError(f"the environment variable {variable} names no setting{hint}")
        setting = by_variable[variable]
        values[setting.name] = _parsed(setting, text, variable)
    return values


def _from_command_line(command_line: Mapping[str, object]) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, value in command_line.items():
        if value is None:
            continue
        if name not in SETTINGS:
            raise SettingsError(f"{name!r} is no setting{_nearest(name, SETTINGS)}")
        setting = SETTINGS[name]
        if setting.secret or (name == "redis" and urlsplit(str(value)).password):
            raise SettingsError(
                f"{setting.option}: other users of the machine can read a command line; give a password "
                f"in {setting.variable} or in the file of --config"
            )
        values[name] = _parsed(setting, value, setting.option)
    return values


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    ends = [one.removeprefix(prefix) for one in known]
    close = difflib.get_close_matches(name.removeprefix(prefix), ends, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{close[0]}?" if close else "; `foreclick settings` lists all"


def _parsed(setting: Setting, value: object, where: str) -> object:
    """Turn a text or a TOML value into the setting's type; raises `SettingsError`, naming ``where``."""
    shown = "the given value" if setting.secret else repr(value)
    fitting = {str: (str,), int: (int, str), float: (float, int, str), Path: (Path, str)}[setting.kind]
    if isinstance(value, bool) or not isinstance(value, fitting):
        raise SettingsError(f"{where}: {shown} is not {_described(setting)}")
    if setting.kind is Path and not str(value) and setting.default is None:
        return None
    try:
        parsed = setting.kind(value)  # type: ignore[arg-type]  # `fitting` holds what each kind takes
    except ValueError as error:
        raise SettingsError(f"{where}: {shown} is not {_described(setting)}") from error
    if setting.choices and parsed not in setting.choices:
        raise SettingsError(f"{where}: {shown} is none of {', '.join(setting.choices)}")
    if isinstance(parsed, int | float) and not _in_range(setting, parsed):
        raise SettingsError(f"{where}: {shown} is not {_described(setting)}")
    return parsed


def _in_range(setting: Setting, number: float) -> bool:
    above = setting.least is None or number >= setting.least
    return above and (setting.most is None or number <= setting.most)


def _described(setting: Setting) -> str:
    noun = {str: "a text", int: "a whole number", float: "a number", Path: "a path"}[setting.kind]
    if setting.unit:
        noun += f" of {setting.unit}"
    if setting.least is not None:
        noun += f" of at least {setting.least:g}" if not setting.unit else f", at least {setting.least:g}"
    if setting.most is not None:
        noun += f" and at most {setting.most:g}"
    return noun
