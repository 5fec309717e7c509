"""How many events a stream's producer must have sent by when."""

from itertools import count

from benchmarks.support.faults.load import Due, Load


def test_a_rate_is_due_by_the_clock() -> None:
    due = Due(Load(rate=100.0), lambda: 1_000_000)
    assert [due(seconds) for seconds in (0.0, 0.5, 2.0)] == [0, 50, 200]


def test_of_a_backlog_so_many_events_always_wait() -> None:
    predictions = iter((0, 700, 5_000))
    due = Due(Load(rate=100.0, backlog=1_000), lambda: next(predictions))
    assert [due(seconds) for seconds in (0.0, 0.2, 0.4)] == [1_000, 1_700, 6_000]


def test_the_brokers_are_not_asked_for_every_event() -> None:
    answers = count()
    due = Due(Load(rate=100.0, backlog=1_000), lambda: next(answers))
    for millisecond in range(0, 500, 5):
        due(millisecond / 1_000)
    assert next(answers) == 5
