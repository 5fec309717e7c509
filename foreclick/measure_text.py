"""How a measure stands in a table, on a terminal and in a report."""

from __future__ import annotations


def measure_text(value: float | None) -> str:
    """Return a count with commas, any other measure with four places, and "-" for None."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
