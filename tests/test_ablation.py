"""Differences between variants of a training run, by hand."""

import math

from benchmarks.support.ablation import Measures, compared


def test_differences_are_taken_seed_by_seed() -> None:
    runs = {
        "base": [Measures(1.0, 2.0, 3.0, 0.5), Measures(2.0, 2.0, 3.0, 0.7)],
        "with more": [Measures(0.9, 2.0, 3.5, 0.5), Measures(1.7, 2.0, 3.5, 0.8)],
    }
    rows = compared(runs, {"base": 0.25, "with more": 1.0})
    assert rows["base"]["action_loss"] == 1.5
    assert rows["base"]["action_loss_difference"] == 0.0
    more = rows["with more"]
    assert more["action_loss_difference"] == -0.2  # -0.1 and -0.3
    assert more["action_loss_error"] == round(math.sqrt(0.02) / math.sqrt(2), 4)
    assert (more["hazard_loss_difference"], more["hazard_loss_error"]) == (0.0, 0.0)
    assert (more["item_loss"], more["recall_at_20_difference"], more["us_per_event"]) == (3.5, 0.05, 1.0)


def test_one_seed_has_no_error() -> None:
    row = compared({"base": [Measures(1.0, 2.0, 3.0, 0.5)]}, {"base": 0.2})["base"]
    assert (row["recall_at_20"], row["recall_at_20_error"]) == (0.5, None)
