"""Which records a round lost, or let diverge: for whoever must find out why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.support.faults.judge import diverged_places
from benchmarks.support.faults.undisturbed import Run
from foreclick.checking.accounts import REASON_HEADER, Outputs
from foreclick.checking.window_rule import WindowRule, rule_on

MOST: Final = 20


def findings(run: Run, undisturbed: Sequence[Run], rule: WindowRule) -> list[str]:
    """Return a line for each record that ended otherwise than undisturbed, or not at all; `MOST` at most.

    A line has the record's place, what the window rule says, and what it came to in each run.
    """
    records = run.events.records
    diverged = diverged_places(run, undisturbed) if undisturbed else set()
    ends = [_ends(one.outputs) for one in (run, *undisturbed)]
    lines = []
    for record, ruling in zip(records, rule_on(records, rule, run.outputs.cleaned), strict=True):
        place = record.position.partition, record.position.offset
        lost = ruling.outcome != "repeated" and place not in ends[0]
        if lost or place in diverged:
            here, *others = [one.get(place, "nothing") for one in ends]
            lines.append(
                f"record {place[0]}-{place[1]} of {record.timestamp_ms} ms: by the rule {ruling.outcome} "
                f"{ruling.reason}; here {here}; undisturbed {', '.join(others) or 'not run'}"
            )
    return lines[:MOST]


def _ends(outputs: Outputs) -> dict[tuple[int, int], str]:
    """Say what each record came to, by partition and offset."""
    ends = {(place.partition, place.offset): "a prediction" for place in outputs.predicted}
    for place, letters in outputs.dead_letters.items():
        reasons = sorted({letter.header(REASON_HEADER) or "no reason" for letter in letters})
        ends[place.partition, place.offset] = f"a dead letter ({', '.join(reasons)})"
    return ends
