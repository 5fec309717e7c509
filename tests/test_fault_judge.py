"""The judge of the fault bench, on runs made by hand: each broken promise is counted under its name."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from benchmarks.support.faults.findings import findings
from benchmarks.support.faults.hooks import Control
from benchmarks.support.faults.judge import Verdict, judge
from benchmarks.support.faults.schedule import endless_order
from benchmarks.support.faults.states import StoredRun
from benchmarks.support.faults.steady import Frontier
from benchmarks.support.faults.undisturbed import Run
from foreclick.checking.accounts import read_outputs
from foreclick.checking.predictions import SeenModel, SeenPrediction
from foreclick.checking.topics import SourcePosition, TopicContents, TopicRecord
from foreclick.checking.window_rule import WindowRule
from producers.events import Event, encode_event
from streamer.state import UserState
from tests.streamer.events import START_MS, event

RULE = WindowRule(20, 86_400_000)
EVENTS = [event(f"e{number}", at_ms=number) for number in range(4)]
ROW = bytes(29)


def source(topic_id: str) -> list[TopicRecord]:
    return [
        TopicRecord(SourcePosition(topic_id, 0, offset), START_MS, b"ann", encode_event(one))
        for offset, one in enumerate(EVENTS)
    ]


def prediction(topic_id: str, offset: int, view: float = 0.25, version: str = "v1") -> SeenPrediction:
    return SeenPrediction(
        prediction_id=f"{topic_id}-0-{offset}",
        user_id="ann",
        event_id=f"e{offset}",
        event_time_ms=EVENTS[offset].event_time_ms,
        scored_at_ms=START_MS + offset,
        model=SeenModel("gru", version),
        next_action={"view": view, "none": 1 - view},
    )


def run(topic_id: str, *predictions: SeenPrediction, state: UserState | None = None) -> Run:
    """A run whose topic holds `EVENTS`, and which published ``predictions`` in this order."""
    records = [
        TopicRecord(SourcePosition("out", 0, at), START_MS, b"ann", msgspec.json.encode(one))
        for at, one in enumerate(predictions)
    ]
    contents = TopicContents("events", topic_id, tuple(source(topic_id)))
    stored = StoredRun({"0": len(EVENTS)}, {("0", "ann"): state or UserState(ROW, b"\0" * 48, 7)})
    return Run(contents, read_outputs(records, []), stored)


def all_of(topic_id: str) -> list[SeenPrediction]:
    return [prediction(topic_id, offset) for offset in range(len(EVENTS))]


UNDISTURBED = run("calm", *all_of("calm"))


def verdict(disturbed: Run, sent: list[Event] = EVENTS) -> Verdict:
    return judge(disturbed, [UNDISTURBED], RULE, sent)


def test_what_was_lost_or_diverged_is_named() -> None:
    first, second, _, fourth = all_of("hit")
    broken = run("hit", first, replace_view(second), fourth)
    lost, diverged = sorted(findings(broken, [UNDISTURBED], RULE), key=lambda line: "nothing" not in line)
    assert "record 0-2 of" in lost
    assert "by the rule scored ; here nothing; undisturbed a prediction" in lost
    assert "record 0-1 of" in diverged
    assert findings(run("hit", *all_of("hit")), [UNDISTURBED], RULE) == []


def replace_view(one: SeenPrediction) -> SeenPrediction:
    return msgspec.structs.replace(one, next_action={"view": 0.5, "none": 0.5})


def test_a_run_like_the_undisturbed_one_is_clean_also_where_it_published_twice() -> None:
    repeated = [*all_of("wild")[:2], *all_of("wild")]
    assert verdict(run("wild", *repeated)) == Verdict(events=4, republished=2)
    assert verdict(run("wild", *repeated)).clean


def test_a_record_without_an_outcome_and_an_event_that_never_arrived_are_lost() -> None:
    assert verdict(run("wild", *all_of("wild")[:3])).lost == 1
    assert verdict(run("wild", *all_of("wild")), [*EVENTS, event("e9")]).lost == 1


@pytest.mark.parametrize(("view", "diverged"), [(0.25005, 0), (0.2503, 1)])
def test_a_probability_beyond_the_tolerance_diverges(view: float, diverged: int) -> None:
    others = all_of("wild")[:3]
    assert verdict(run("wild", *others, prediction("wild", 3, view))).diverged == diverged
    assert verdict(run("wild", *all_of("wild"), prediction("wild", 3, view))).diverged == diverged


def test_two_versions_under_one_id_diverge() -> None:
    again = prediction("wild", 3, version="v2")
    assert verdict(run("wild", *all_of("wild"), again)).diverged == 1


def test_a_prediction_behind_a_later_one_of_its_user_is_out_of_order_and_a_repeat_is_not() -> None:
    first, second, third, fourth = all_of("wild")
    assert verdict(run("wild", first, third, second, fourth)).out_of_order == 1
    assert verdict(run("wild", first, second, first, third, fourth)).out_of_order == 0


@pytest.mark.parametrize(
    "state",
    [
        UserState(ROW * 2, b"\0" * 48, 7),
        UserState(ROW, b"\0" * 47 + b"\1", 7),
        UserState(ROW, b"\0" * 48, 8),
        UserState(ROW, b"\0" * 48, 7, partial=True),
    ],
    ids=["window", "hidden state", "model", "partial"],
)
def test_another_window_state_or_model_differs(state: UserState) -> None:
    assert verdict(run("wild", *all_of("wild"), state=state)).state_differs == 1


def test_a_user_that_is_missing_differs() -> None:
    whole = run("wild", *all_of("wild"))
    assert verdict(replace(whole, stored=StoredRun({"0": 4}, {}))).state_differs == 1


def test_an_order_has_every_kind_once_in_each_turn_and_is_the_seeds() -> None:
    kinds = [f"kind {number}" for number in range(9)]
    turns = list(islice(endless_order(kinds, 3), 27))
    assert [sorted(turns[at : at + 9]) for at in (0, 9, 18)] == [kinds] * 3
    assert turns == list(islice(endless_order(kinds, 3), 27))
    assert turns[:9] != turns[9:18]


def test_an_order_is_taken_once_at_its_point_alone(tmp_path: Path) -> None:
    bench, worker = Control(tmp_path / "slot"), Control(tmp_path / "slot")
    worker.pass_point("read")
    bench.arm("read", "hold")
    bench.release()
    worker.pass_point("decoded")
    assert bench.taken_by() is None
    assert worker._take("read") == "hold"
    assert worker._take("read") is None
    assert bench.taken_by() is not None


class Taken(Frontier):
    """A frontier that reads nothing by itself."""

    def __init__(self) -> None:
        self.reached = {0: 0}
        self.repeated = 0
        self._beyond = {0: set()}


def test_the_frontier_counts_what_is_out_of_order_and_what_comes_twice() -> None:
    frontier = Taken()
    for offset in (0, 2, 3, 2, 0):
        frontier.take(b"a-topic-id-0-%d" % offset)
    assert (frontier.reached[0], frontier.repeated, frontier.behind([(0, 5)])) == (1, 2, 2)
    frontier.take(b"a-topic-id-0-1")
    assert (frontier.reached[0], frontier.behind([(0, 5)])) == (4, 1)
