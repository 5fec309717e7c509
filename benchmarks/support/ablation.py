"""Variants of a training run beside the usual one: differences seed by seed, and a table of them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

USUAL: Final = "base"
MEASURES: Final = ("action_loss", "hazard_loss", "item_loss", "recall_at_20")


@dataclass(frozen=True)
class Measures:
    """Of a network on the validation part: losses in nats, and the share of next items in the first 20."""

    action_loss: float
    hazard_loss: float
    item_loss: float
    recall_at_20: float


def compared(runs: dict[str, list[Measures]], costs_us: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Return by variant the mean of each measure, and how far it is from that of `USUAL`.

    ``runs`` holds the same seeds in the same order for each variant. A ``_difference`` is the mean of the
    differences seed by seed, an ``_error`` its standard error, None for a single seed.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, measured in runs.items():
        row: dict[str, Any] = {"us_per_event": round(costs_us[name], 3)}
        for measure in MEASURES:
            values = [getattr(run, measure) for run in measured]
            usual = [getattr(run, measure) for run in runs[USUAL]]
            differences = [value - base for value, base in zip(values, usual, strict=True)]
            row[measure] = round(statistics.mean(values), 4)
            row[f"{measure}_difference"] = round(statistics.mean(differences), 4)
            row[f"{measure}_error"] = _standard_error(differences)
        rows[name] = row
    return rows


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Print what `compared` returned: means for `USUAL`, differences for the others."""
    shown = Table("variant", "next-action loss", "hazard loss", "next-item loss", "recall@20", "us/event")
    for name, row in rows.items():
        cells = [
            f"{row[measure]:.4f}" if name == USUAL else _difference(row, measure) for measure in MEASURES
        ]
        shown.add_row(name, *cells, f"{row['us_per_event']:.2f}")
    Console(width=140).print(shown)


def _mean(row: dict[str, Any], measure: str) -> str:
    return f"{row[measure]:.4f}"


def _difference(row: dict[str, Any], measure: str) -> str:
    error = row[f"{measure}_error"]
    return f"{row[f'{measure}_difference']:+.4f}" + ("" if error is None else f" ± {error:.4f}")


def _standard_error(values: list[float]) -> float | None:
    return round(statistics.stdev(values) / math.sqrt(len(values)), 4) if len(values) > 1 else None
