"""What a rerun may change in a prediction, and what it may not."""

from __future__ import annotations

import msgspec
import pytest

from foreclick.checking.predictions import SeenChurn, SeenItem, SeenModel, SeenPrediction, agree

FIRST = SeenPrediction(
    prediction_id="t-0-1",
    user_id="ada",
    event_id="a",
    event_time_ms=1,
    scored_at_ms=2,
    model=SeenModel("gru", "1"),
    next_action={"view": 0.5, "none": 0.5},
    churn=SeenChurn(0.25, 1_000),
    next_items=[SeenItem("kettle", 2.0), SeenItem("toaster", 1.0)],
)


def items(*pairs: tuple[str, float]) -> list[SeenItem]:
    return [SeenItem(item_id, score) for item_id, score in pairs]


@pytest.mark.parametrize(
    "change",
    [
        {"scored_at_ms": 99},
        {"next_action": {"view": 0.50009, "none": 0.49991}},
        {"churn": SeenChurn(0.25009, 1_000, alert_at_ms=5)},
        {"next_items": items(("kettle", 2.00005), ("toaster", 1.0))},
        {"next_items": items(("kettle", 2.0), ("pan", 1.00005))},
    ],
)
def test_a_rerun_may_differ_by_rounding(change: dict[str, object]) -> None:
    assert agree(FIRST, msgspec.structs.replace(FIRST, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"event_id": "b"},
        {"model": SeenModel("gru", "2")},
        {"state": "partial"},
        {"next_action": {"view": 0.5002, "none": 0.4998}},
        {"next_action": None},
        {"churn": SeenChurn(0.2502, 1_000)},
        {"churn": SeenChurn(0.25, 2_000)},
        {"churn": None},
        {"next_items": items(("kettle", 2.0), ("toaster", 1.0), ("pan", 0.5))},
        {"next_items": items(("kettle", 2.0), ("pan", 0.99))},
        {"next_items": items(("pan", 2.0), ("toaster", 1.0))},
        {"next_items": None},
    ],
)
def test_a_rerun_may_not_differ_by_more(change: dict[str, object]) -> None:
    assert not agree(FIRST, msgspec.structs.replace(FIRST, **change))
