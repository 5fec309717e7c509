"""The plots of an evaluation, each as the address of a PNG that holds itself."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model_store.evaluating.actions import ActionMeasures
    from model_store.evaluating.report import EvaluationReport, PredictorReport
    from model_store.evaluating.survival_curves import SurvivalCurves

_OURS: Final = "ours"
_COLOURS: Final = ("#4c72b0", "#55a868", "#8172b3", "#937860", "#da8bc3", "#8c8c8c", "#64b5cd", "#ccb974")
_OURS_COLOUR: Final = "#c44e52"
_SHOWN: Final = (_OURS, "logistic_regression", "boosted_trees", "markov", "naive_example")
_DPI: Final = 150
_MS: Final = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_TICKS: Final = ((15, "s"), (1, "min"), (10, "min"), (1, "h"), (6, "h"), (1, "d"), (7, "d"), (30, "d"))
_GOOD_ROWS: Final = 20


def plots_of(report: EvaluationReport) -> list[tuple[str, str, str]]:
    """Return the title, the explanation and the image of each plot for which there is anything to show."""
    predictors = report.predictors
    shown: dict[str, PredictorReport] = {name: predictors[name] for name in _SHOWN if name in predictors}
    found: list[tuple[str, str, str]] = []
    for claim, title in (
        ("purchase_next", "a purchase comes next"),
        ("purchase_in_session", "a purchase comes later in the session"),
        ("next_browse", "the user browses next"),
    ):
        found += _reliability(shown, claim, title)
        found += _precision_recall(shown, claim, title)
    ours = predictors.get(_OURS)
    if ours is not None and ours.next_action is not None and ours.next_action.rows:
        found.append(_confusion(ours.next_action))
    found += _recall(predictors)
    found += _slices(shown, "accuracy", "Next action by slice", "Share of rows whose likeliest action came.")
    by_items = {name: each for name, each in predictors.items() if each.next_items is not None}
    found += _slices(by_items, "recall_at_20", "Next item by slice", "Recall among 20 items.")
    if report.survival is not None:
        found.append(_survival(report.survival))
    return found


def _reliability(shown: Mapping[str, PredictorReport], claim: str, title: str) -> list[tuple[str, str, str]]:
    curves = {name: each.reliability[claim] for name, each in shown.items() if claim in each.reliability}
    curves = {name: curve for name, curve in curves.items() if curve.rows}
    highest = max((max(*curve.mean_probability, *curve.frequency) for curve in curves.values()), default=0.0)
    if not highest:
        return []
    figure, axes = _figure("predicted probability", "share that came true")
    axes.plot([0, highest], [0, highest], color="#bbbbbb", linestyle="--", linewidth=1)
    for place, (name, curve) in enumerate(curves.items()):
        axes.plot(curve.mean_probability, curve.frequency, marker="o", **_style(name, place))
    axes.legend(fontsize=8, frameon=False)
    text = "Bins of equally many rows; on the dashed line a probability says what happens."
    return [(f"Reliability: {title}", text, _image(figure))]


def _precision_recall(
    shown: Mapping[str, PredictorReport], claim: str, title: str
) -> list[tuple[str, str, str]]:
    curves = {name: each.pr_curves[claim] for name, each in shown.items() if claim in each.pr_curves}
    curves = {name: curve for name, curve in curves.items() if curve.recall}
    if not curves:
        return []
    figure, axes = _figure("recall", "precision")
    for place, (name, curve) in enumerate(curves.items()):
        axes.step(curve.recall, curve.precision, where="pre", **_style(name, place))
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=8, frameon=False)
    return [(f"Precision and recall: {title}", "The area under a curve is its PR-AUC.", _image(figure))]


def _confusion(measures: ActionMeasures) -> tuple[str, str, str]:
    counts = np.array(measures.confusion, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure("decided", "true")
    axes.imshow(shares, cmap="Reds", vmin=0, vmax=1)
    axes.grid(visible=False)
    names = [name.replace("_", " ") for name in measures.classes]
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for row, values in enumerate(shares):
        for column, share in enumerate(values):
            colour = "white" if share > 0.6 else "#333333"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color=colour)
    return "Confusion, ours", "What is decided of each true next action, shares of its rows.", _image(figure)


def _recall(predictors: Mapping[str, PredictorReport]) -> list[tuple[str, str, str]]:
    figure, axes = _figure("k, items shown", "recall@k")
    drawn = 0
    for place, (name, each) in enumerate(predictors.items()):
        if each.next_items is not None and each.next_items.recall:
            depths = [int(k) for k in each.next_items.recall]
            axes.plot(depths, list(each.next_items.recall.values()), marker="o", **_style(name, place))
            drawn += 1
    if not drawn:
        return []
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8, frameon=False)
    return [("Next item", "Share of rows whose next item is among the first k.", _image(figure))]


def _slices(
    shown: Mapping[str, PredictorReport], measure: str, title: str, text: str
) -> list[tuple[str, str, str]]:
    rows_of = "item_rows" if measure == "recall_at_20" else "rows"
    first = next(iter(shown.values()), None)
    if first is None:
        return []
    names = [name for name, slice_ in first.slices.items() if getattr(slice_, rows_of) >= _GOOD_ROWS]
    if not names:
        return []
    figure, axes = _figure(measure.replace("_at_", "@").replace("_", " "), "")
    places = np.arange(len(names))
    for place, (name, each) in enumerate(shown.items()):
        values = [getattr(each.slices[slice_], measure) for slice_ in names]
        if all(value is not None for value in values):
            axes.plot(
                values, places, linestyle="", marker="D" if name == _OURS else "o", **_dots(name, place)
            )
    labels = [f"{name}\n{getattr(first.slices[name], rows_of):,} rows" for name in names]
    axes.set_yticks(places, labels, fontsize=7)
    axes.invert_yaxis()
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=4)
    return [(title, f"{text} Slices of under {_GOOD_ROWS} rows are left out.", _image(figure))]


def _survival(curves: SurvivalCurves) -> tuple[str, str, str]:
    figure, axes = _figure("silence after an event", "share still silent")
    for place, (name, curve) in enumerate(curves.curves.items()):
        colour = _OURS_COLOUR if not place else _COLOURS[(place - 1) % len(_COLOURS)]
        axes.plot(curves.silent_ms, curve.predicted, color=colour, label=f"{name}, {curve.rows:,} rows")
        axes.plot(curves.silent_ms, curve.seen, color=colour, linestyle=":", linewidth=1.6)
    axes.set_xscale("log")
    ticks = [(count * _MS[unit], f"{count} {unit}") for count, unit in _TICKS]
    ticks = [tick for tick in ticks if curves.silent_ms[0] <= tick[0] <= curves.silent_ms[-1]]
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=7, frameon=False)
    text = "Lines: the mean of the hazard head's curves. Dots: what was seen (Kaplan-Meier)."
    return "Survival", text, _image(figure)


def _figure(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#eeeeee")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _style(name: str, place: int) -> dict[str, Any]:
    return {**_dots(name, place), "linewidth": 2.2 if name == _OURS else 1.2}


def _dots(name: str, place: int) -> dict[str, Any]:
    return {
        "color": _OURS_COLOUR if name == _OURS else _COLOURS[place % len(_COLOURS)],
        "markersize": 5 if name == _OURS else 3.5,
        "label": name.replace("_", " "),
        "zorder": 3 if name == _OURS else 2,
    }


def _image(figure: Figure) -> str:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=_DPI)
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode()
