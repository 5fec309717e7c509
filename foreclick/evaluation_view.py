"""`evaluation.json` and the page `evaluation.html`, which needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from foreclick.measure_text import measure_text

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.evaluating.report import EvaluationReport, PredictorReport

JSON_FILE: Final = "evaluation.json"
HTML_FILE: Final = "evaluation.html"
_NAIVE: Final = "naive_example"
_ABOUT: Final = (
    "Ours is the served model: scored one event at a time, from its windows and its item index. "
    "All predictors answer the same rows."
)
_ABOUT_ACTIONS: Final = (
    "Accuracy, log loss and AUC are of the probabilities; F1, precision and recall of bets whose class "
    "weights were fitted for macro F1, for each predictor alike. Below: 95 % intervals by users."
)
_ABOUT_ITEMS: Final = (
    "Lists of 20. Coverage: the share of the items learned that stand in any list. Popularity bias: "
    "how popular the items shown are, against those that came."
)
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;color:#222;background:#fafafa;margin:0}
main{max-width:1120px;margin:0 auto;padding:1.2rem}
h1{font-size:1.5rem;margin:.4rem 0}h2{font-size:1.15rem;margin:2rem 0 .4rem}h3{font-size:1rem;margin:.2rem 0}
p{margin:.3rem 0;color:#555}.facts{display:flex;flex-wrap:wrap;gap:.6rem;margin:1rem 0}
.facts div{background:#fff;border:1px solid #e5e5e5;border-radius:8px;padding:.5rem .9rem}
.facts b{display:block;font-size:1.15rem;color:#222}.facts span{font-size:.8rem;color:#666}
.wide{overflow-x:auto;background:#fff;border:1px solid #e5e5e5;border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:.86rem}th,td{padding:.4rem .7rem;text-align:right}
th:first-child,td:first-child{text-align:left;white-space:nowrap;position:sticky;left:0;background:#fff}
thead th{color:#666;font-weight:600;border-bottom:2px solid #e5e5e5;vertical-align:bottom}
tbody tr+tr td{border-top:1px solid #f0f0f0}tr.ours td{background:#fdf1f1}td.best{font-weight:700;color:#a33}
small{color:#888;display:block;white-space:nowrap}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));gap:1rem}
figure{margin:0;background:#fff;border:1px solid #e5e5e5;border-radius:8px;padding:.8rem}
figure img{width:100%;height:auto;display:block}figcaption{font-size:.82rem;color:#666}
"""


class _Column(NamedTuple):
    """A measure in a table: how to read it, and whether more of it is better (None: neither)."""

    title: str
    value: Callable[[PredictorReport], float | None]
    more_is_better: bool | None
    interval: str = ""


def write_report(directory: Path, report: EvaluationReport, title: str) -> None:
    """Write both files into ``directory``, which is made if it is not there. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / JSON_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    (directory / HTML_FILE).write_text(page(report, title), encoding="utf-8")


def page(report: EvaluationReport, title: str) -> str:
    """Return the page as HTML."""
    from foreclick.evaluation_plots import plots_of  # matplotlib takes a second

    made_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>Evaluation: {escape(title)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Evaluation: {escape(title)}</h1>",
        f"<p>Made {made_at}. {_ABOUT}</p>",
        _facts(report),
        *(_table(heading, text, report.predictors, columns) for heading, text, columns in _tables()),
        _against_naive(report.predictors),
        '<h2>Plots</h2><div class="plots">',
        *(
            f'<figure><h3>{escape(heading)}</h3><img alt="{escape(heading)}" src="{image}">'
            f"<figcaption>{escape(text)}</figcaption></figure>"
            for heading, text, image in plots_of(report)
        ),
        "</div></main></body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _facts(report: EvaluationReport) -> str:
    facts = {
        "events learned": f"{report.training_events:,}",
        "rows measured": f"{report.rows:,}",
        "users measured": f"{report.users:,}",
        "rows with lists of items": f"{report.item_rows:,}",
        "silence that ends a session": f"{report.settling_ms / 60_000:.1f} min",
        "bets fitted on": report.decisions_fitted_on,
    }
    shown = "".join(f"<div><b>{value}</b><span>{name}</span></div>" for name, value in facts.items())
    return f'<div class="facts">{shown}</div>'


def _tables() -> list[tuple[str, str, list[_Column]]]:
    return [
        (
            "Next action",
            _ABOUT_ACTIONS,
            [
                _Column("macro F1", lambda each: _of(each.next_action, "macro_f1"), True, "macro_f1"),
                _Column("precision", lambda each: _of(each.next_action, "macro_precision"), True),
                _Column("recall", lambda each: _of(each.next_action, "macro_recall"), True),
                _Column("accuracy", lambda each: _of(each.next_action, "accuracy"), True, "accuracy"),
                _Column("AUC", lambda each: _of(each.next_action, "auc"), True),
                _Column("log loss", lambda each: _of(each.next_action, "log_loss"), False),
            ],
        ),
        *(
            (heading, text, _claim_columns(claim, interval))
            for heading, text, claim, interval in (
                ("A purchase comes next", "Of the user's next event.", "purchase_next", "purchase_pr_auc"),
                (
                    "A purchase comes in the session",
                    "Later in the session, at whatever place; of sessions whose end is known.",
                    "purchase_in_session",
                    "purchase_in_session_pr_auc",
                ),
                ("The user browses next", "A view or a search.", "next_browse", ""),
            )
        ),
        (
            "Next item",
            _ABOUT_ITEMS,
            [
                *(_ranked(name, k) for name in ("recall", "mrr", "ndcg") for k in ("5", "20")),
                _Column("coverage", lambda each: _of(each.next_items, "coverage"), True),
                _Column("popularity bias", lambda each: _of(each.next_items, "popularity_bias"), None),
            ],
        ),
    ]


def _claim_columns(claim: str, interval: str) -> list[_Column]:
    def column(title: str, field: str, more_is_better: bool, interval: str = "") -> _Column:
        return _Column(title, lambda each: _of(getattr(each, claim), field), more_is_better, interval)

    return [
        column("PR-AUC", "pr_auc", True, interval),
        column("AUC", "auc", True),
        column("Brier", "brier", False),
        column("log loss", "log_loss", False),
        column("calibration error", "calibration_error", False),
        _Column("rows that came true", lambda each: _of(getattr(each, claim), "positives"), None),
    ]


def _ranked(name: str, k: str) -> _Column:
    def value(each: PredictorReport) -> float | None:
        found = getattr(each.next_items, name, None)
        return None if found is None else float(found[k])

    return _Column(f"{name}@{k}", value, True, "recall_at_20" if (name, k) == ("recall", "20") else "")


def _table(heading: str, text: str, predictors: Mapping[str, PredictorReport], columns: list[_Column]) -> str:
    values = {name: [column.value(each) for column in columns] for name, each in predictors.items()}
    values = {name: row for name, row in values.items() if any(value is not None for value in row)}
    if not values:
        return ""
    best = [_best(column, [row[place] for row in values.values()]) for place, column in enumerate(columns)]
    rows = []
    for name, row in values.items():
        cells = "".join(
            f"<td{' class=best' if value is not None and value == best[place] else ''}>{measure_text(value)}"
            f"{_interval(predictors[name], columns[place].interval)}</td>"
            for place, value in enumerate(row)
        )
        mark = " class=ours" if name == "ours" else ""
        rows.append(f"<tr{mark}><td>{escape(name.replace('_', ' '))}</td>{cells}</tr>")
    head = "".join(f"<th>{column.title}</th>" for column in columns)
    return (
        f"<h2>{heading}</h2><p>{text}</p><div class=wide><table><thead><tr><th></th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _against_naive(predictors: Mapping[str, PredictorReport]) -> str:
    """Return by how much each predictor beats the naive example at what that was made for."""
    naive = predictors.get(_NAIVE)
    if naive is None or naive.next_browse is None:
        return ""
    rows = []
    for name, each in predictors.items():
        if each.next_browse is None or name == _NAIVE:
            continue
        cells = "".join(
            f"<td>{_gain(_of(each.next_browse, field), _of(naive.next_browse, field))}</td>"
            for field in ("auc", "pr_auc", "brier", "log_loss")
        )
        mark = " class=ours" if name == "ours" else ""
        rows.append(f"<tr{mark}><td>{escape(name.replace('_', ' '))}</td>{cells}</tr>")
    return (
        "<h2>Against the naive example</h2><p>At its own question, whether the user browses next, on the "
        "same rows: the difference to it. More AUC is better, less Brier and log loss are.</p>"
        "<div class=wide><table><thead><tr><th></th><th>AUC</th><th>PR-AUC</th><th>Brier</th>"
        f"<th>log loss</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _of(measures: object, field: str) -> float | None:
    return getattr(measures, field, None)


def _best(column: _Column, values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known or column.more_is_better is None:
        return None
    return max(known) if column.more_is_better else min(known)


def _gain(value: float | None, against: float | None) -> str:
    return "-" if value is None or against is None else f"{value - against:+.4f}"


def _interval(report: PredictorReport, name: str) -> str:
    found = report.intervals.get(name) if name else None
    return "" if found is None else f"<small>{found.low:.3f} to {found.high:.3f}</small>"
