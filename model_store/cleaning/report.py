"""What a pipeline did to a log, in counts and positions; never a user's id or a value of an event."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.cleaning.known import missing
from model_store.cleaning.rules import Anomaly, Missing
from model_store.cleaning.sifting import DROPPED, KEPT, REPEATED

if TYPE_CHECKING:
    from model_store.cleaning.pipeline import Cleaning
    from model_store.cleaning.rules import Rule
    from model_store.cleaning.sifting import Sifted
    from model_store.windows import Rows

Ints = npt.NDArray[np.int64]

EXAMPLES: Final = 5
COLUMNS: Final = ("category", "price", "session")


@dataclass(frozen=True)
class RuleReport:
    """What one rule did, in events.

    ``met`` it, of which ``dropped`` went because of it, the first dropping rule they met. ``filled`` says who
    gave missing values, and how many stay ``absent``. ``examples`` are positions in the log. ``learned`` is
    False for a rule that had too little to learn from, so that it finds nothing.
    """

    rule: str
    columns: tuple[str, ...]
    action: str
    met: int
    dropped: int
    filled: dict[str, int]
    examples: tuple[int, ...]
    learned: bool


@dataclass(frozen=True)
class CleaningReport:
    """What became of the events of a log. ``missing`` counts absent values by column, before any rule."""

    events: int
    users: int
    kept: int
    repeated_ids: int
    dropped: int
    flagged: int
    missing: dict[str, int]
    rules: tuple[RuleReport, ...]

    def as_fields(self) -> dict[str, Any]:
        """Return everything under its name, ready for JSON."""
        return asdict(self)


def report_on(
    cleaning: Cleaning, rows: Rows, user: Ints, sifted: Sifted, positions: Ints, *, repeated_ids: int = 0
) -> CleaningReport:
    """Return what ``cleaning`` did to ``rows`` [E] of ``user`` [E], which became ``sifted`` [E].

    ``positions`` [E] say where each event stands in its log. ``repeated_ids`` are events that were left out
    before, since an earlier one of their user had their id.
    """
    flagging = sum(1 << number for number, rule in enumerate(cleaning.rules) if rule.action == "flag")
    kept = sifted.outcome == KEPT
    repeated = int(np.count_nonzero(sifted.outcome == REPEATED)) + repeated_ids
    return CleaningReport(
        events=len(rows) + repeated_ids,
        users=len(np.unique(user)),
        kept=int(kept.sum()),
        repeated_ids=repeated,
        dropped=int(np.count_nonzero(sifted.outcome == DROPPED)),
        flagged=int(np.count_nonzero(sifted.bits[kept] & flagging)),
        missing={name: int(missing(rows, Missing(column=name)).sum()) for name in COLUMNS},
        rules=tuple(
            _rule_report(cleaning, number, rule, rows, sifted, positions)
            for number, rule in enumerate(cleaning.rules)
        ),
    )


def _rule_report(
    cleaning: Cleaning, number: int, rule: Rule, rows: Rows, sifted: Sifted, positions: Ints
) -> RuleReport:
    met = (sifted.bits >> number & 1).astype(bool)
    earlier = cleaning.dropping_bits & ((1 << number) - 1)
    dropped = met & (sifted.outcome == DROPPED) & (sifted.bits & earlier == 0) & (rule.action == "drop")
    filled = {}
    if isinstance(rule, Missing) and rule.action == "repair":
        filled = _filled(cleaning, rule, rows[sifted.outcome == KEPT])
    return RuleReport(
        rule=rule.kind,
        columns=_columns(rule),
        action=rule.action,
        met=int(met.sum()),
        dropped=int(dropped.sum()),
        filled=filled,
        examples=tuple(np.sort(positions[met])[:EXAMPLES].tolist()),
        learned=not isinstance(rule, Anomaly) or cleaning.detectors[number] is not None,
    )


def _columns(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, Missing):
        return (rule.column,)
    return rule.columns if isinstance(rule, Anomaly) else ()


def _filled(cleaning: Cleaning, rule: Missing, rows: Rows) -> dict[str, int]:
    """Return how many of the kept ``rows`` each source fills, and how many nobody does."""
    lacking = rows[missing(rows, rule)]
    if rule.column == "session":
        return {"gap rule": len(lacking)}
    if rule.column == "price":
        others = [other for other in cleaning.filling if other.column == "category"]
        lacking = cleaning.known.filled(lacking, others)
    counts: dict[str, int] = {}
    for source in rule.fill:
        one = msgspec.structs.replace(rule, fill=(source,))
        still = missing(cleaning.known.filled(lacking, [one]), rule)
        if source == "item" or rule.column == "price":
            counts[source] = int(np.count_nonzero(~still))
        lacking = lacking[still]
    return {**counts, "absent": len(lacking)}
