"""What a round came to: its run held against the window rule and against the undisturbed runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from benchmarks.support.faults.states import differing_users, model_of
from benchmarks.support.faults.undisturbed import Run
from foreclick.checking.accounts import account
from foreclick.checking.predictions import SeenPrediction, agree, diverged_ids
from foreclick.checking.topics import SourcePosition, TopicRecord
from foreclick.checking.window_rule import WindowRule, rule_on
from producers.events import Event, EventRejected, decode_event

Place = tuple[int, int]  # partition, offset


@dataclass(frozen=True)
class Verdict:
    """A round in numbers of records, or of users for ``state_differs``.

    ``lost``: events of the log that never reached the topic, and records without an outcome.
    ``diverged``: ids under which two publications differ, or that differ from the undisturbed run's.
    ``out_of_order``: predictions that come behind a later one of their user, repeats left out. ``misruled``:
    records that ended elsewhere than the window rule says, or twice; dead letters that are not as they were.
    """

    events: int = 0
    lost: int = 0
    diverged: int = 0
    out_of_order: int = 0
    state_differs: int = 0
    misruled: int = 0
    republished: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.diverged or self.out_of_order or self.state_differs or self.misruled)

    def as_fields(self) -> dict[str, Any]:
        """Return the numbers under their names, ready for JSON."""
        return asdict(self)


def judge(run: Run, undisturbed: Sequence[Run], rule: WindowRule, sent: Iterable[Event]) -> Verdict:
    """Return what the run came to. ``sent`` is what the producer sent.

    ``undisturbed`` has a run for each version; without any, nothing is said of what would differ.
    """
    records = run.events.records
    accounts = account(
        records,
        rule_on(records, rule, run.outputs.cleaned),
        run.outputs,
        lines=len(records),
        rejected={},
    )
    stored = {model_of(other.stored): other.stored for other in undisturbed}
    misruled = accounts.misruled + accounts.altered + accounts.unreadable
    return Verdict(
        events=len(records),
        lost=accounts.missing + _never_published(sent, records),
        diverged=accounts.diverged + (len(diverged_places(run, undisturbed)) if undisturbed else 0),
        out_of_order=_out_of_order(run.outputs.predictions),
        state_differs=len(differing_users(run.stored, stored)) if stored else 0,
        misruled=misruled + (not accounts.disjoint) + (not accounts.inside),
        republished=accounts.republished,
    )


def _never_published(sent: Iterable[Event], records: Iterable[TopicRecord]) -> int:
    """Count the events that the producer holds for acknowledged and the topic does not have."""
    there = set()
    for record in records:
        try:
            there.add(decode_event(record.value, record.key, record.timestamp_ms).event_id)
        except EventRejected:
            continue
    return len({event.event_id for event in sent} - there)


def diverged_places(run: Run, undisturbed: Sequence[Run]) -> set[Place]:
    """Return where a prediction differs from that of the undisturbed run of its version, or a dead letter.

    Predictions under one id that differ among themselves are counted elsewhere.
    """
    expected: dict[tuple[Place, str | int], SeenPrediction] = {}
    letters: set[Place] = set()
    for other in undisturbed:
        for prediction in other.outputs.predictions:
            expected[_place(prediction.prediction_id), prediction.model.version] = prediction
        letters |= {(position.partition, position.offset) for position in other.outputs.dead_letters}
    already = diverged_ids(run.outputs.predictions)
    wrong = {
        _place(prediction.prediction_id)
        for prediction in run.outputs.predictions
        if prediction.prediction_id not in already
        and not _as_expected(
            prediction, expected.get((_place(prediction.prediction_id), prediction.model.version))
        )
    }
    return wrong | letters ^ {(place.partition, place.offset) for place in run.outputs.dead_letters}


def _as_expected(prediction: SeenPrediction, other: SeenPrediction | None) -> bool:
    return other is not None and agree(prediction, other)


def _out_of_order(predictions: Iterable[SeenPrediction]) -> int:
    """Count predictions that come behind a later one of the same user; they stand in order of their time."""
    seen: set[str] = set()
    newest: dict[tuple[int, str], int] = {}
    wrong = 0
    for prediction in predictions:
        if prediction.prediction_id in seen:
            continue
        seen.add(prediction.prediction_id)
        partition, offset = _place(prediction.prediction_id)
        user = (partition, prediction.user_id)
        wrong += offset < newest.get(user, -1)
        newest[user] = max(offset, newest.get(user, -1))
    return wrong


def _place(prediction_id: str) -> Place:
    position = SourcePosition.parse(prediction_id)
    return position.partition, position.offset
