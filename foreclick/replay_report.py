"""What became of a replay, in words and as JSON."""

from __future__ import annotations

from typing import Any

from producers.pacing import LogGaps, Pacing
from producers.replay import ReplayReport


def as_json(report: ReplayReport, pacing: Pacing) -> dict[str, Any]:
    """Give the replay's figures: lines = rejected + left_out + published."""
    return {
        "lines": report.lines,
        "rejected": dict(report.rejected),
        "left_out": report.left_out,
        "published": report.published,
        "delivered": report.delivered,
        "failed": report.failed,
        "undelivered": report.undelivered,
        "complete": report.complete,
        "cut_gaps": pacing.cut_gaps if isinstance(pacing, LogGaps) else 0,
        "strays": report.strays,
        "slightly_late": report.slightly_late,
        "seconds": round(report.seconds, 3),
    }


def in_words(report: ReplayReport, pacing: Pacing, *, resumable: bool) -> list[str]:
    """Tell what became of the lines, a line for each thing."""
    rate = report.published / report.seconds if report.seconds else 0.0
    rejected = report.rejected.total()
    told = [
        f"{report.lines:,} lines: {rejected:,} rejected, {report.left_out:,} left out",
        f"{report.published:,} events published in {report.seconds:,.1f} s, {rate:,.0f} a second",
        f"{report.delivered:,} delivered, {report.failed:,} failed, {report.undelivered:,} without an answer",
    ]
    if isinstance(pacing, LogGaps) and pacing.cut_gaps:
        told.append(
            f"{pacing.cut_gaps:,} gaps were cut, by {pacing.cut_ms / 1e3:,.0f} s together (--max-gap)"
        )
    if not report.complete:
        place = f"stopped after line {report.position.lines:,} of loop {report.position.loop + 1}"
        cure = (
            "go on with the same command and --resume" if resumable else "with --checkpoint, it could go on"
        )
        told.append(f"{place}; {cure}")
    return told
