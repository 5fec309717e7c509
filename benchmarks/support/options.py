"""Command-line options that several benchmarks share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def parser(about: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is ``about``, as it stands."""
    return argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_common_size(to: argparse.ArgumentParser) -> None:
    """Add the options for the size of the workload and of the model."""
    to.add_argument("--users", type=int, default=20_000)
    to.add_argument("--items", type=int, default=50_000)
    to.add_argument("--units", type=int, default=64, help="of the GRU, and dimensions of an item's vector")
    to.add_argument("--window", type=int, default=20, help="most events kept of a user")


def add_course(to: argparse.ArgumentParser) -> None:
    """Add the options for how often is measured, and for the picture."""
    to.add_argument("--rounds", type=int, default=3)
    to.add_argument("--picture", type=Path, help="an SVG or PNG file to write")


def integers(text: str) -> list[int]:
    """Return whole numbers that stand between commas."""
    return [int(one) for one in text.split(",")]


def numbers(text: str) -> list[float]:
    """Return numbers that stand between commas."""
    return [float(one) for one in text.split(",")]


def shown(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the options as they belong into a report."""
    return {name: value for name, value in vars(arguments).items() if not isinstance(value, Path)}
