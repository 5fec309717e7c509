"""Histograms of the steps: which bucket a time falls into, and that nobody pays who does not ask."""

from __future__ import annotations

import pytest

from streamer.step_times import StepTimes


def test_a_time_falls_into_the_first_bucket_that_reaches_it() -> None:
    times = StepTimes()
    for took_s in (0.00005, 0.0001, 0.002, 5.0, 60.0):
        times.observe("decode", took_s)
    reached = dict(times.buckets("decode"))
    assert reached["0.0001"] == 2  # a bound belongs to its own bucket
    assert reached["0.001"] == 2
    assert reached["0.003"] == 3
    assert reached["3.0"] == 3
    assert reached["10.0"] == 4
    assert reached["+Inf"] == 5
    assert times.sums_s["decode"] == pytest.approx(65.00215)


def test_nothing_is_timed_before_somebody_asks_and_failures_are_timed_too() -> None:
    times = StepTimes()
    with times.timed("read"):
        pass
    assert times.counts == {}
    times.counting = True
    with pytest.raises(ValueError, match="gone"), times.timed("read"):
        raise ValueError("gone")
    assert sum(times.counts["read"]) == 1
