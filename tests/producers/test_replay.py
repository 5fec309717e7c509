"""A replay by a clock that only moves when it sleeps: what is sent, when, and what is accounted for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from producers.checkpoint import Position
from producers.errors import LogNotSorted
from producers.events import Event, EventType
from producers.pacing import AtOnce, FixedRate, LogGaps, Pacing
from producers.readers import LogLine, ReadEvent, RejectedLine
from producers.replay import ReplayPlan, ReplayReport, replay
from producers.selection import Selection

NOW_MS = 1_700_000_000_000
LOG_MS = 1_600_000_000_000


class SteppedClock:
    """A clock that moves when it sleeps, or when it is told to."""

    def __init__(self) -> None:
        self.time_ms = float(NOW_MS)

    def now_ms(self) -> float:
        return self.time_ms

    def sleep_ms(self, duration_ms: float) -> None:
        assert 0 < duration_ms <= 50
        self.time_ms += duration_ms


class Sink:
    """Takes events, and acknowledges them when it is flushed, but for those of one user."""

    def __init__(self, clock: SteppedClock, *, refuses: str = "", stalls_ms: float = 0.0) -> None:
        self.clock = clock
        self._refuses = refuses
        self._stalls_ms = stalls_ms
        self._pending: list[Event] = []
        self.sent: list[tuple[Event, int | None, float]] = []
        self.delivered = 0
        self.failed = 0

    def publish(self, event: Event, timestamp_ms: int | None = None) -> None:
        self.sent.append((event, timestamp_ms, self.clock.time_ms))
        self._pending.append(event)
        self.clock.time_ms += self._stalls_ms
        self._stalls_ms = 0.0

    def poll(self) -> None:
        self.flush()

    def flush(self) -> None:
        refused = [event for event in self._pending if event.user_id == self._refuses]
        self.failed += len(refused)
        self.delivered += len(self._pending) - len(refused)
        self._pending.clear()


def event_at(number: int, after_ms: int, user_id: str = "u") -> ReadEvent:
    event = Event(
        event_id=f"e{number}",
        user_id=user_id,
        event_type=EventType.VIEW,
        item_id="i",
        event_time_ms=LOG_MS + after_ms,
    )
    return ReadEvent(number, event)


def run(
    lines: Iterable[LogLine], pacing: Pacing, plan: ReplayPlan | None = None, sink: Sink | None = None
) -> tuple[ReplayReport, Sink]:
    clock = SteppedClock() if sink is None else sink.clock
    sink = sink or Sink(clock)
    kept = list(lines)
    return replay(lambda: kept, sink, pacing, plan, clock=clock), sink


TEN_SECONDS = [event_at(number, number * 1_000) for number in range(11)]


def test_events_are_sent_and_stamped_when_they_are_due() -> None:
    report, sink = run(TEN_SECONDS, LogGaps(speed=2))
    due_ms = [NOW_MS + 500 * number for number in range(11)]
    assert [timestamp_ms for _, timestamp_ms, _ in sink.sent] == due_ms
    assert [sent_ms for _, _, sent_ms in sink.sent] == due_ms
    assert [event for event, _, _ in sink.sent] == [line.event for line in TEN_SECONDS]
    assert report.all_delivered
    assert report.seconds == 5.0


def test_a_stall_is_caught_up_and_the_due_times_stay() -> None:
    clock = SteppedClock()
    _, sink = run(TEN_SECONDS, FixedRate(1), sink=Sink(clock, stalls_ms=3_500))
    assert [timestamp_ms for _, timestamp_ms, _ in sink.sent] == [
        NOW_MS + 1_000 * number for number in range(11)
    ]
    late_ms = [sent_ms - (timestamp_ms or 0) for _, timestamp_ms, sent_ms in sink.sent]
    assert late_ms == [0, 2_500, 1_500, 500, 0, 0, 0, 0, 0, 0, 0]


def test_at_once_leaves_the_stamp_to_the_sender() -> None:
    report, sink = run(TEN_SECONDS, AtOnce())
    assert {timestamp_ms for _, timestamp_ms, _ in sink.sent} == {None}
    assert report.seconds == 0.0


@pytest.mark.parametrize("place", [0, 5, 9, 10])
@pytest.mark.parametrize("wrong_ms", [-500 * 86_400_000, 500 * 86_400_000])
def test_one_broken_time_costs_no_more_than_the_longest_gap(place: int, wrong_ms: int) -> None:
    lines = TEN_SECONDS.copy()
    lines[place] = event_at(place, wrong_ms)
    report, sink = run(lines, LogGaps(max_gap_s=60))
    assert report.all_delivered
    assert len(sink.sent) == 11
    assert report.seconds <= 10 + 60


def test_every_line_is_rejected_left_out_or_published() -> None:
    lines: list[LogLine] = [
        event_at(1, 0, "a"),
        RejectedLine(2, "wrong_column_count", ""),
        event_at(3, 10, "b"),
        RejectedLine(4, "empty_value", ""),
        RejectedLine(5, "empty_value", ""),
        event_at(6, 20, "a"),
        event_at(7, 30, "a"),
    ]
    selection = Selection(from_ms=LOG_MS, to_ms=LOG_MS + 30, users=frozenset("a"))
    report, sink = run(lines, AtOnce(), ReplayPlan(selection=selection))
    assert [event.event_id for event, _, _ in sink.sent] == ["e1", "e6"]
    assert (report.lines, report.left_out, report.published, report.delivered) == (7, 2, 2, 2)
    assert report.rejected == {"wrong_column_count": 1, "empty_value": 2}


def test_left_out_events_keep_their_place_in_time() -> None:
    lines = [event_at(1, 0, "a"), event_at(2, 40_000, "b"), event_at(3, 80_000, "a")]
    _, sink = run(lines, LogGaps(max_gap_s=60), ReplayPlan(selection=Selection(users=frozenset("a"))))
    assert [timestamp_ms for _, timestamp_ms, _ in sink.sent] == [NOW_MS, NOW_MS + 80_000]


def test_each_loop_has_its_own_ids_and_later_times() -> None:
    lines = [event_at(1, 0), event_at(2, 10)]
    report, sink = run(lines, AtOnce(), ReplayPlan(loops=3, loop_span_ms=100, shift_ms=7))
    assert [(event.event_id, event.event_time_ms - LOG_MS) for event, _, _ in sink.sent] == [
        ("e1", 7), ("e2", 17), ("e1~1", 107), ("e2~1", 117), ("e1~2", 207), ("e2~2", 217),
    ]  # fmt: skip
    assert (report.lines, report.published) == (6, 6)


def test_an_id_that_a_loop_would_make_too_long_is_hashed() -> None:
    lines = [
        ReadEvent(
            1, Event(event_id="x" * 128, user_id="u", event_type=EventType.SEARCH, event_time_ms=LOG_MS)
        )
    ]
    _, sink = run(lines, AtOnce(), ReplayPlan(loops=3))
    ids = [event.event_id for event, _, _ in sink.sent]
    assert len(set(ids)) == 3
    assert all(len(event_id) <= 128 for event_id in ids)


def test_a_record_that_failed_ends_the_replay() -> None:
    lines = [event_at(number, number * 1_000, "bad" if number == 3 else "u") for number in range(11)]
    clock = SteppedClock()
    saved: list[Position] = []
    sink = Sink(clock, refuses="bad")
    report = replay(lambda: lines, sink, LogGaps(), clock=clock, save=saved.append)
    assert not report.all_delivered
    assert not report.complete
    assert (report.published, report.delivered, report.failed) == (4, 3, 1)
    assert max(position.lines for position in saved) <= 3


def test_a_stopped_replay_goes_on_where_it_stopped_without_loss_or_repeat() -> None:
    lines: list[LogLine] = [*TEN_SECONDS, RejectedLine(12, "empty_value", "")]
    plan = ReplayPlan(loops=2, loop_span_ms=11_000)
    saved: list[Position] = []
    clock = SteppedClock()
    whole = run(lines, LogGaps(), plan)[1].sent
    sink = Sink(clock)
    sent_at_stop = 15
    first = replay(
        lambda: lines,
        sink,
        LogGaps(),
        plan,
        clock=clock,
        stop=lambda: len(sink.sent) >= sent_at_stop,
        save=saved.append,
    )
    assert not first.complete
    assert saved[-1] == first.position
    rest = ReplayPlan(loops=2, loop_span_ms=11_000, start=saved[-1])
    second = replay(lambda: lines, sink, LogGaps(), rest, clock=clock)
    assert second.all_delivered
    assert [event for event, _, _ in sink.sent] == [event for event, _, _ in whole]
    assert first.lines + second.lines == 24
    assert first.rejected.total() + second.rejected.total() == 2


def test_a_stop_while_waiting_is_heeded_within_the_wait() -> None:
    clock = SteppedClock()
    sink = Sink(clock)
    lines = [event_at(1, 0), event_at(2, 50_000)]
    report = replay(lambda: lines, sink, LogGaps(), clock=clock, stop=lambda: clock.time_ms >= NOW_MS + 1_000)
    assert (report.published, report.lines, report.position) == (1, 1, Position(0, 1))
    assert report.seconds < 1.1


def test_a_log_out_of_order_is_refused() -> None:
    with pytest.raises(LogNotSorted):
        run([event_at(number, -number * 3_600_000) for number in range(20)], AtOnce())


def test_progress_is_told_a_few_times_a_second() -> None:
    clock = SteppedClock()
    told: list[int] = []
    replay(
        lambda: TEN_SECONDS,
        Sink(clock),
        LogGaps(),
        clock=clock,
        progress=lambda report: told.append(report.lines),
    )
    assert 40 <= len(told) <= 60
    assert told[-1] == 11
