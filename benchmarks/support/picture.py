"""Pictures of measured numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLCONFIGDIR", str(Path(os.environ.get("TMPDIR", "/tmp")) / "matplotlib"))  # noqa: S108

OURS = "#1f6f8b"
THEIRS = "#b8c4cc"


def bars(
    path: Path,
    title: str,
    unit: str,
    values: Mapping[str, float],
    ours: Sequence[str],
    *,
    scale: str = "log",
) -> None:
    """Write a bar for each of ``values``, those of ``ours`` in another colour."""
    figure, axes = _figure((9, 0.5 * len(values) + 1.4))
    names = list(values)[::-1]
    numbers = [values[name] for name in names]
    places = range(len(names))
    axes.barh(places, numbers, color=[OURS if name in ours else THEIRS for name in names])
    axes.set_yticks(places, names)
    for place, number in zip(places, numbers, strict=True):
        axes.text(number, place, f" {number:,.0f}", va="center", fontsize=9)
    axes.set_xscale(scale)
    axes.set_xlim(right=max(numbers) * (3 if scale == "log" else 1.15))
    axes.set(xlabel=unit, title=title)
    _save(figure, path)


def lines(
    path: Path, title: str, axes_names: tuple[str, str], series: Mapping[str, tuple[list[float], list[float]]]
) -> None:
    """Write a line for each of ``series``, name → (x, y), on logarithmic scales."""
    figure, axes = _figure((8, 4.5))
    for name, (across, up) in series.items():
        axes.plot(across, up, marker="o", label=name)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1], title=title, xscale="log", yscale="log")
    axes.legend()
    _save(figure, path)


def panels(path: Path, title: str, unit: str, values: Mapping[str, tuple[list[str], list[float]]]) -> None:
    """Write a panel of bars for each of ``values``, name → (labels, numbers), with one scale for all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(
        1, len(values), figsize=(3 * len(values), 3.6), sharey=True, squeeze=False
    )
    for axes, (name, (labels, numbers)) in zip(all_axes[0], values.items(), strict=True):
        axes.bar(range(len(labels)), numbers, color=OURS)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_title(name)
    all_axes[0][0].set_ylabel(unit)
    figure.suptitle(title)
    _save(figure, path)


def _figure(size: tuple[float, float]) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)
    print(f"picture: {path}")
