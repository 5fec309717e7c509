"""From what a person types to the rules of a cleaning pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from model_store.cleaning.rules import Rule, default_rules, load_rules

if TYPE_CHECKING:
    from foreclick.log_options import LogSource

DEFAULT: Final = "default"


def rules_for(source: LogSource, told: str) -> tuple[Rule, ...]:
    """Return the rules of the file ``told``, or the defaults for this kind of log. Raises CleaningError."""
    if told == DEFAULT:
        return default_rules(timed=source.timed, resolution_ms=source.resolution_ms)
    return load_rules(Path(told))
