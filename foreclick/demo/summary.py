"""The table that the demo ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foreclick.demo.report import DemoReport

_MEGABYTE: Final = 2**20


def summary_table(report: DemoReport) -> Table:
    """Return what became of every line, what it cost, and what the predictions were worth."""
    table = Table(title=f"What became of {report.log.title}", title_justify="left", show_header=False)
    _add_accounts(table, report)
    _add_costs(table, report)
    _add_worth(table, report.as_fields()["live"])
    broken = [name for name, holds in report.equations.items() if not holds]
    table.add_section()
    table.add_row(
        f"{len(report.equations)} equations", f"BROKEN: {', '.join(broken)}" if broken else "all hold"
    )
    return table


def _add_accounts(table: Table, report: DemoReport) -> None:
    accounts = report.full.accounts
    rejected = f"{sum(accounts.rejected.values()):,} rejected{_reasons(accounts.rejected)}"
    table.add_row("lines", f"{accounts.lines:,} = {accounts.published:,} published + {rejected}")
    dead_letters = f"{sum(accounts.dead_letters.values()):,} dead letters{_reasons(accounts.dead_letters)}"
    rest = f"{accounts.duplicate_events:,} repeated events + {accounts.missing:,} missing"
    table.add_row("published", f"{accounts.predictions:,} predictions + {dead_letters} + {rest}")
    for kill in report.full.kills:
        table.add_row("killed", f"at event {kill.at_event:,}, when {kill.published:,} were sent")
    again = f"{accounts.republished:,} predictions; a consumer sees {accounts.duplicated:,} of them twice"
    table.add_row("published again", again)
    parity = report.parity
    table.add_row(
        "off the Keras model by", f"at most {parity.max_abs_diff:.1e}, of {parity.compared:,} predictions"
    )


def _add_costs(table: Table, report: DemoReport) -> None:
    paced, fields = report.paced, report.as_fields()
    table.add_section()
    table.add_row("speed", f"{report.full.events_per_s:,.0f} events/s, until the last prediction was read")
    latency = f"median {paced.latency_p50_ms:.1f} ms, 99 of 100 within {paced.latency_p99_ms:.1f} ms"
    table.add_row("latency at 500 events/s", latency)
    table.add_row("worker's memory", f"{fields['worker_rss_bytes'] / _MEGABYTE:,.0f} MB")
    table.add_row("Redis", f"{paced.redis_bytes_per_user:,.0f} bytes a user with a full window")


def _add_worth(table: Table, live: Mapping[str, Any]) -> None:
    """Add the scores of the last 40 % of the time: the model's, then the baselines'."""
    action, recall = live["next_action"], live["next_item_recall_at_20"]
    names = [name for name in action if name != "events"]
    table.add_section()
    table.add_row("next action right", ", ".join(f"{n} {_share(action[n]['accuracy'])}" for n in names))
    table.add_row("next action, log loss", ", ".join(f"{n} {_nats(action[n]['log_loss'])}" for n in names))
    table.add_row("next item among 20", ", ".join(f"{n} {_share(recall[n])}" for n in names))


def _reasons(counts: Mapping[str, int]) -> str:
    named = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    return f" ({named})" if named else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _nats(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
