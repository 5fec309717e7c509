"""A grown topic's run, told as if it had never grown: what the judge of the fault bench is given then."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.faults.judge import judge
from benchmarks.support.faults.settling import Grown, as_if_always_there
from benchmarks.support.faults.states import StoredRun
from benchmarks.support.faults.undisturbed import Run
from foreclick.checking.accounts import read_outputs
from foreclick.checking.predictions import SeenModel, SeenPrediction
from foreclick.checking.topics import SourcePosition, TopicContents, TopicRecord
from foreclick.checking.window_rule import WindowRule
from producers.events import decode_event, encode_event
from streamer.state import UserState
from tests.streamer.events import START_MS, event

RULE = WindowRule(20, 86_400_000)
ROW = bytes(29)
Sent = list[tuple[int, int]]  # user, how often the topic had grown by then


def grown_run(sent: Sent, counts: list[int]) -> tuple[Run, list[Grown]]:
    """A run of ``sent``, whose user u is in partition u modulo the number of partitions; and its growths."""
    ends, records, growths = Counter[int](), list[TopicRecord](), list[Grown]()
    states: dict[tuple[str, str], UserState] = {}
    for number, (user, grown) in enumerate(sorted(sent, key=lambda one: one[1])):
        while len(growths) < grown:
            growths.append(Grown({partition: ends[partition] for partition in range(counts[len(growths)])}))
        partition, name = user % counts[grown], f"u{user}"
        one = encode_event(event(f"e{number}", name, number))
        records.append(
            TopicRecord(SourcePosition("wild", partition, ends[partition]), START_MS, name.encode(), one)
        )
        ends[partition] += 1
        states[str(partition), name] = UserState(ROW, number.to_bytes(48), 7)
    outputs = read_outputs([published(record, at) for at, record in enumerate(records)], [])
    contents = TopicContents("events", "wild", tuple(records))
    return Run(contents, outputs, StoredRun({}, states)), growths


def published(record: TopicRecord, at: int) -> TopicRecord:
    one = decode_event(record.value, record.key, record.timestamp_ms)
    prediction = SeenPrediction(
        prediction_id=record.position.text,
        user_id=one.user_id,
        event_id=one.event_id,
        event_time_ms=one.event_time_ms,
        scored_at_ms=START_MS + at,
        model=SeenModel("gru", "v1"),
    )
    return TopicRecord(SourcePosition("out", 0, at), START_MS + at, b"", msgspec.json.encode(prediction))


@given(
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2)), min_size=1, max_size=60),
    st.integers(1, 3),
    st.integers(2, 3),
)
def test_each_user_is_in_one_partition_with_all_records_and_outcomes_in_order(
    sent: Sent, first_count: int, factor: int
) -> None:
    wild, growths = grown_run(sent, [first_count, factor * first_count, 2 * factor * first_count])
    settled = as_if_always_there(wild, growths)
    by_user: defaultdict[bytes | None, list[TopicRecord]] = defaultdict(list)
    offsets: defaultdict[int, list[int]] = defaultdict(list)
    for record in settled.events.records:
        by_user[record.key].append(record)
        offsets[record.position.partition].append(record.position.offset)
    assert all(each == list(range(len(each))) for each in offsets.values())
    for records in by_user.values():
        assert len({record.position.partition for record in records}) == 1
        numbers = [int(event_of(record)[1:]) for record in records]
        assert numbers == sorted(numbers)
    assert sorted(map(event_of, settled.events.records)) == sorted(map(event_of, wild.events.records))
    places = {record.position.text: event_of(record) for record in settled.events.records}
    assert all(places[one.prediction_id] == one.event_id for one in settled.outputs.predictions)
    newest = {key: max(int(event_of(record)[1:]) for record in records) for key, records in by_user.items()}
    assert {
        (at, user.encode()): int.from_bytes(state.hidden)
        for (at, user), state in settled.stored.states.items()
    } == {(str(by_user[key][0].position.partition), key): number for key, number in newest.items()}
    if growths:
        assert judge(settled, [settled], RULE, []).clean


def event_of(record: TopicRecord) -> str:
    return decode_event(record.value, record.key, record.timestamp_ms).event_id


def test_a_prediction_of_the_new_partition_before_the_old_ones_last_is_out_of_order() -> None:
    wild, growths = grown_run([(1, 0), (1, 0), (1, 1)], [1, 2])
    calm = as_if_always_there(wild, growths)
    first, second, third = wild.outputs.predictions
    for order in itertools.permutations((first, second, third)):
        run = as_if_always_there(replace(wild, outputs=replace(wild.outputs, predictions=order)), growths)
        found = judge(run, [calm], RULE, [])
        assert (found.out_of_order == 0) == (order == (first, second, third))
        assert replace(found, out_of_order=0).clean


def test_an_outcome_of_no_record_stays_one() -> None:
    wild, growths = grown_run([(1, 0), (1, 1)], [1, 2])
    stray = msgspec.structs.replace(wild.outputs.predictions[0], prediction_id="wild-0-7")
    outputs = replace(
        wild.outputs,
        predictions=(*wild.outputs.predictions, stray),
        predicted=wild.outputs.predicted | {SourcePosition("wild", 0, 7)},
    )
    calm = as_if_always_there(wild, growths)
    assert judge(as_if_always_there(replace(wild, outputs=outputs), growths), [calm], RULE, []).misruled == 1
