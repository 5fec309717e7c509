"""What a run came to, and whether everything holds that must."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foreclick.checking.predictions import TOLERANCE
from foreclick.demo import live_scores

if TYPE_CHECKING:
    from foreclick.checking.parity import Parity
    from foreclick.demo.full_pass import FullPass
    from foreclick.demo.model import DemoModel
    from foreclick.demo.paced_pass import PacedPass
    from foreclick.demo.shop_log import ShopLog
    from model_store.evaluation import LiveScores


@dataclass(frozen=True)
class DemoReport:
    """Everything that a run of the demo measured."""

    log: ShopLog
    model: DemoModel
    full: FullPass
    parity: Parity
    paced: PacedPass
    live: LiveScores
    seconds: dict[str, float]

    @property
    def equations(self) -> dict[str, bool]:
        """Everything that must hold, the accounts' own equations first."""
        return {
            **self.full.accounts.equations,
            "consumer_yields_each_prediction": self.full.consumed == self.full.accounts.predictions,
            "parity_within_tolerance": self.parity.max_abs_diff <= TOLERANCE,
            "nothing_missing_in_paced_pass": self.paced.missing == 0,
        }

    @property
    def holds(self) -> bool:
        """Whether every equation holds."""
        return all(self.equations.values())

    def as_fields(self) -> dict[str, Any]:
        """Return the report for JSON; a number that could not be measured is None."""
        fields = {
            "log": self.log.title,
            "model": {"name": self.model.name, "version": self.model.version},
            **self.full.accounts.as_fields(),
            "equations": self.equations,
            "kills": [kill.as_fields() for kill in self.full.kills],
            "parity_max_abs_diff": self.parity.max_abs_diff,
            "parity_by_head": {
                "compared": self.parity.compared,
                "next_action": self.parity.next_action,
                "churn": self.parity.churn,
                "next_items": self.parity.next_items,
            },
            "events_per_s": round(self.full.events_per_s, 1),
            "latency_events": self.paced.latency_events,
            "latency_p50_ms": round(self.paced.latency_p50_ms, 2),
            "latency_p99_ms": round(self.paced.latency_p99_ms, 2),
            "worker_rss_bytes": max(self.full.worker_rss_bytes, self.paced.worker_rss_bytes),
            "redis_bytes_per_user": round(self.paced.redis_bytes_per_user, 1),
            "live": live_scores.as_fields(self.live),
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }
        return {name: _finite(value) for name, value in fields.items()}


def _finite(value: Any) -> Any:
    """Return ``value`` with None for each number that JSON has no word for."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
